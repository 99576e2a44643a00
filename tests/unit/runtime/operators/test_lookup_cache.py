"""The cache of lookup joins against a plain dictionary."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from streamsql.catalog.lookup import LookupOptions
from streamsql.runtime.operators.lookup_cache import LookupCache
from streamsql.runtime.state.hashing import hash_columns

SCHEMA = pa.schema([pa.field("k", pa.string()), pa.field("v", pa.int64())])


class Model:
    """What the cache is to do, a key at a time."""

    def __init__(self, options: LookupOptions) -> None:
        self.options = options
        self.rows: dict[str, list[int]] = {}
        self.written: dict[str, int] = {}
        self.used: dict[str, int] = {}
        self.turn: dict[str, int] = {}
        self.turns = 0

    def find(self, keys: Sequence[str], now: int) -> dict[str, list[int]]:
        for key in keys:
            if key in self.rows and self._expired(key, now):
                del self.rows[key]
        self.turns += 1
        found = {key: self.rows[key] for key in keys if key in self.rows}
        for key in found:
            self.used[key], self.turn[key] = now, self.turns
        return found

    def put(self, found: dict[str, list[int]], now: int) -> None:
        kept = {k: v for k, v in found.items() if v or self.options.missing_keys}
        if not kept:
            return
        self.turns += 1
        for key, values in kept.items():
            self.rows[key], self.written[key], self.used[key] = values, now, now
            self.turn[key] = self.turns
        if self.size > (self.options.max_rows or 10**9):
            self.rows = {k: v for k, v in self.rows.items() if not self._expired(k, now)}

    @property
    def size(self) -> int:
        return sum(max(len(v), 1) for v in self.rows.values())

    def _expired(self, key: str, now: int) -> bool:
        write, access = self.options.after_write_ms, self.options.after_access_ms
        old = write is not None and now - self.written[key] >= write
        return old or (access is not None and now - self.used[key] >= access)


def _arrays(keys: Sequence[str]) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint64]], list[pa.Array]]:
    column = pa.array(keys, pa.string())
    return hash_columns([column], len(keys)), [column]


@pytest.mark.parametrize(
    "options",
    [
        LookupOptions("PARTIAL"),
        LookupOptions("PARTIAL", missing_keys=False),
        LookupOptions("PARTIAL", after_write_ms=30),
        LookupOptions("PARTIAL", after_access_ms=12),
        LookupOptions("PARTIAL", after_write_ms=40, after_access_ms=15, missing_keys=False),
        LookupOptions("PARTIAL", max_rows=40, after_write_ms=25),
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", range(2))
def test_it_holds_what_a_dictionary_would(options: LookupOptions, seed: int) -> None:
    rng = random.Random(seed)
    cache, model = LookupCache(SCHEMA, [0], options), Model(options)
    names = [f"key {i}" * (1 + i % 9) for i in range(60)]
    now = hits = misses = 0
    for _ in range(80):
        now += rng.choice([0, 0, 1, 5])
        keys = rng.sample(names, rng.randint(1, 12))
        hashes, columns = _arrays(keys)
        rows, held = cache.find(hashes, columns, now)
        hits, misses = hits + int(held.sum()), misses + int((~held).sum())
        found: dict[str, list[int]] = {k: [] for k, h in zip(keys, held, strict=True) if h}
        for row in rows.to_pylist():
            found[row["k"]].append(row["v"])
        wanted = model.find(keys, now)
        if options.max_rows is None:
            assert {k: sorted(v) for k, v in found.items()} == {k: sorted(v) for k, v in wanted.items()}
        else:  # which of those used in one step goes first is not said
            assert all(sorted(v) == sorted(wanted[k]) for k, v in found.items())
            model.rows = {k: v for k, v in model.rows.items() if k not in keys or k in found}
        missing = [k for k in keys if k not in found]
        if missing:
            answer = {k: [rng.randint(0, 99) for _ in range(rng.choice([0, 1, 1, 3]))] for k in missing}
            hashes, columns = _arrays(missing)
            pairs = [(n, k, v) for n, k in enumerate(missing) for v in answer[k]]
            made = pa.RecordBatch.from_arrays(
                [
                    pa.array([k for _, k, _ in pairs], pa.string()),
                    pa.array([v for *_, v in pairs], pa.int64()),
                ],
                schema=SCHEMA,
            )
            of_key = np.array([n for n, *_ in pairs], np.int64)
            cache.put(hashes, columns, made, hashes[of_key], of_key, now)
            model.put(answer, now)
        assert cache.size <= (options.max_rows or 10**9)
    assert hits > 40 or options.after_access_ms is not None
    assert misses > 30


def test_what_was_not_used_for_longest_goes_first() -> None:
    cache = LookupCache(SCHEMA, [0], LookupOptions("PARTIAL", max_rows=3))

    def put(key: str) -> None:
        hashes, columns = _arrays([key])
        rows = pa.RecordBatch.from_arrays([pa.array([key]), pa.array([1])], schema=SCHEMA)
        cache.put(hashes, columns, rows, hashes, np.zeros(1, np.int64), 0)

    def held(*keys: str) -> list[bool]:
        return [bool(cache.find(*_arrays([key]), 0)[1][0]) for key in keys]

    for key in "abc":
        put(key)
    assert held("a") == [True]
    put("d")
    assert held("b", "a", "c", "d") == [False, True, True, True]
    put("e")
    assert held("a", "c", "d", "e") == [False, True, True, True]


def test_a_key_is_put_in_place_of_itself() -> None:
    cache = LookupCache(SCHEMA, [0], LookupOptions("PARTIAL"))
    for value in (1, 2):
        hashes, columns = _arrays(["a"])
        rows = pa.RecordBatch.from_arrays([pa.array(["a"]), pa.array([value])], schema=SCHEMA)
        cache.put(hashes, columns, rows, hashes, np.zeros(1, np.int64), 0)
    found, _ = cache.find(*_arrays(["a"]), 0)
    assert found.to_pylist() == [{"k": "a", "v": 2}]
    assert cache.size == 1
