"""What a checkpoint's cut costs the job, and what keeping account of changes costs a ``GROUP BY`` of 1 M keys.

``make bench ARGS=tests/bench/test_state_cuts.py`` prints milliseconds of CPU. Nothing fails on time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from streamsql.runtime.state.base import State
from streamsql.runtime.state.hashing import hash_columns
from streamsql.runtime.state.key_index import KeyIndex
from streamsql.runtime.state.run_store import RunStore
from streamsql.runtime.state.slice_store import SliceStore
from streamsql.runtime.state.slot_column import SlotColumn

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

STEP = 100_000
CHANGE = 10_000
SIZES = (200_000, 2_000_000)
SCHEMA = pa.schema([("k", pa.int64()), ("v", pa.float64())])
Use = Callable[[np.ndarray[tuple[int], np.dtype[np.int64]]], object]


def groups(ttl_ms: int | None = None) -> tuple[list[State], Use]:
    """The states of ``SELECT k, COUNT(*), SUM(v) … GROUP BY k``."""
    index, count, total = KeyIndex([pa.int64()], ttl_ms), SlotColumn(pa.int64()), SlotColumn(pa.float64())

    def use(keys: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        column = [pa.array(keys)]
        slots, _ = index.lookup_or_insert(hash_columns(column), column, 1)
        count.add(slots, np.ones(len(keys), np.int64), unique=True)
        total.add(slots, keys * 0.5, unique=True)

    return [index, count, total], use


def texts() -> tuple[list[State], Use]:
    column = SlotColumn(pa.string())
    return [column], lambda keys: column.set(keys, pa.array(keys).cast(pa.string()))


def rows(keys: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(keys), pa.array(keys * 0.5)], schema=SCHEMA)


def runs() -> tuple[list[State], Use]:
    store = RunStore(SCHEMA, [0])
    return [store], lambda keys: store.append(hash_columns([pa.array(keys)]), rows(keys))


def slices() -> tuple[list[State], Use]:
    store = SliceStore(SCHEMA)
    return [store], lambda keys: store.append(keys % 100, rows(keys))


MADE = {
    "groups": groups,
    "groups with ttl": lambda: groups(1000),
    "texts": texts,
    "runs": runs,
    "slices": slices,
}


@pytest.mark.parametrize("name", MADE)
def test_a_cut_costs_the_change(name: str) -> None:
    random = np.random.default_rng(1)
    print()
    for size in SIZES:
        states, use = MADE[name]()
        for state in states:
            state.track_changes()
        for at in range(0, size, STEP):
            use(np.arange(at, at + STEP))
        for state in states:
            state.changes()
        times = []
        for _ in range(9):
            use(np.sort(random.choice(size, CHANGE, replace=False)))
            start = time.process_time()
            for state in states:
                state.changes()
            times.append(time.process_time() - start)
        print(f"{name:<18} {size:>10,} entries, {CHANGE:,} changed: cut {sorted(times)[4] * 1e3:7.2f} ms")


@pytest.mark.parametrize("name", ["groups", "groups with ttl"])
def test_tracking(name: str) -> None:
    """Steps of 100 k rows, with and without tracking in turns, so that other load meets both."""
    random = np.random.default_rng(1)
    made = [MADE[name]() for _ in range(2)]
    for state in made[1][0]:
        state.track_changes()
    for at in range(0, 1_000_000, STEP):
        for _, use in made:
            use(np.arange(at, at + STEP))
    times: list[list[float]] = [[], []]
    for _ in range(60):
        keys = random.choice(1_000_000, STEP, replace=False)
        for which, (_, use) in enumerate(made):
            start = time.process_time()
            use(keys)
            times[which].append(time.process_time() - start)
        for state in made[1][0]:
            state.changes()
    plain, tracked = (sorted(t)[len(t) // 4] for t in times)
    print(
        f"\n{name}, 1 M keys, {STEP:,} rows a step: {plain * 1e3:.2f} ms, tracked {tracked * 1e3:.2f} ms "
        f"({tracked / plain - 1:+.1%})"
    )
