"""Time to live of rows: per row and per key, against a plain list of rows with their times."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsql.runtime.state.hashing import hash_columns
from streamsql.runtime.state.key_index import KeyIndex
from streamsql.runtime.state.run_store import RunStore
from streamsql.runtime.state.ttl import KeyedTtl, TtlRunStore

SCHEMA = pa.schema([("k", pa.int64()), ("v", pa.string())])
TTL = 10
Row = tuple[int, str]

rows = st.tuples(st.integers(0, 3), st.sampled_from("ab"))
changes = st.lists(
    st.tuples(rows, st.sampled_from([1, 1, 2, -1, -2])), min_size=1, max_size=5, unique_by=lambda c: c[0]
)
scripts = st.lists(st.tuples(st.integers(0, 7), changes, st.booleans()), max_size=15)


def batch(found: list[tuple[Row, int]]) -> tuple[pa.RecordBatch, np.ndarray]:
    columns = [pa.array([r[i] for r, _ in found], f.type) for i, f in enumerate(SCHEMA)]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA), np.array([w for _, w in found], np.int64)


def held(store: RunStore) -> Counter[Row]:
    return Counter((r["k"], r["v"]) for r in store.read().to_pylist())


@settings(max_examples=40)
@given(scripts)
def test_each_row_goes_a_time_after_it_came(script: list[tuple[int, list[tuple[Row, int]], bool]]) -> None:
    store = TtlRunStore(SCHEMA, (0,), TTL)
    model: list[tuple[int, Row]] = []
    now = 1000
    for wait, found, restore in script:
        now += wait
        gone = store.expire(now)
        dropped = Counter[Row]() if gone is None else Counter()
        for r, w in [] if gone is None else zip(gone.rows.to_pylist(), gone.weights.tolist(), strict=True):
            dropped[r["k"], r["v"]] += w
        assert dropped == Counter(r for at, r in model if at + TTL <= now)
        model = [(at, r) for at, r in model if at + TTL > now]
        assert held(store) == Counter(r for _, r in model)
        made, weights = batch(found)
        store.append(hash_columns([made.column(0)]), made, weights)
        for row, weight in found:
            model += [(now, row)] * weight
            for _ in range(-weight):
                first = next((i for i, (_, r) in enumerate(model) if r == row), None)
                if first is not None:
                    del model[first]
        assert held(store) == Counter(r for _, r in model)
        due = store.next_expiry_ms()
        assert not model or (due is not None and due >= min(model)[0] + TTL)
        if restore:
            again = TtlRunStore(SCHEMA, (0,), TTL)
            again.restore(store.snapshot())
            store = again
    store.expire(now + TTL)
    assert store.row_count == 0 and store.next_expiry_ms() is None


@settings(max_examples=40)
@given(scripts)
def test_all_rows_of_a_key_go_a_time_after_it_was_written(
    script: list[tuple[int, list[tuple[Row, int]], bool]],
) -> None:
    store, index = RunStore(SCHEMA, (0,)), KeyIndex([pa.int64()], TTL)
    ttl = KeyedTtl(store, index)
    model: Counter[Row] = Counter()
    written: dict[int, int] = {}
    now = 1000
    for wait, found, _ in script:
        now += wait
        expired = {k for k, at in written.items() if at + TTL <= now}
        count = ttl.expire(now)
        assert (count > 0) == any(model[r] > 0 for r in model if r[0] in expired)
        written = {k: at for k, at in written.items() if k not in expired}
        model = Counter({r: n for r, n in model.items() if r[0] not in expired})
        made, weights = batch(found)
        hashes = hash_columns([made.column(0)])
        store.append(hashes, made, weights)
        first = [i for i, (r, _) in enumerate(found) if r[0] not in [x[0] for x, _ in found[:i]]]
        keys = [made.column(0).take(pa.array(first))]
        ttl.touch(hashes[first], keys, now)
        ttl.settle(store.probe(hashes[first], keys, consolidate=True), hashes[first])
        for row, weight in found:
            written[row[0]] = now
            model[row] = max(model[row] + weight, 0)
        assert held(store) == +model
    ttl.expire(now + TTL)
    assert not len(held(store))


def test_without_a_time_to_live_nothing_is_watched() -> None:
    store = RunStore(SCHEMA, (0,))
    ttl = KeyedTtl(store, None)
    made, weights = batch([((1, "a"), 1)])
    hashes = hash_columns([made.column(0)])
    store.append(hashes, made, weights)
    ttl.touch(hashes, [made.column(0)], 5)
    assert (ttl.active, ttl.expire(10**15), store.row_count) == (False, 0, 1)


def test_what_expires_costs_what_it_is() -> None:
    """Rows that stay are not looked at: the runs that hold them are the same objects."""
    store = TtlRunStore(SCHEMA, (0,), 1_000_000)
    many = pa.RecordBatch.from_arrays([pa.array(range(10_000)), pa.array(["x"] * 10_000)], schema=SCHEMA)
    few = many.slice(0, 10)
    store.expire(0)
    store.append(hash_columns([few.column(0)]), few)
    store.expire(500_000)
    store.append(hash_columns([many.column(0)]), many)
    assert store.expire(999_999) is None
    gone = store.expire(1_000_000)
    assert gone is not None and gone.rows.num_rows == 10
    assert store.expire(1_000_001) is None
    assert len(held(store)) == 10_000
