"""What every state promises: its snapshot goes through an Arrow file and comes back as the same state."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from streamsql.runtime.state.base import State, fresh_name
from streamsql.runtime.state.hashing import hash_columns
from streamsql.runtime.state.key_index import KeyIndex
from streamsql.runtime.state.run_store import RunStore
from streamsql.runtime.state.scalars import Scalars
from streamsql.runtime.state.slice_store import SliceStore
from streamsql.runtime.state.slot_column import SlotColumn

SCHEMA = pa.schema([("k", pa.int64()), ("s", pa.string()), ("l", pa.list_(pa.string()))])
ROWS = pa.RecordBatch.from_arrays(
    [pa.array([1, None, 3]), pa.array(["a", "", None]), pa.array([["x"], None, []], pa.list_(pa.string()))],
    schema=SCHEMA,
)


def keys(ttl_ms: int | None = None) -> Callable[[], KeyIndex]:
    return lambda: KeyIndex(SCHEMA.types, ttl_ms)


def fill_keys(state: KeyIndex) -> None:
    slots, _ = state.lookup_or_insert(hash_columns(ROWS.columns), ROWS.columns, now_ms=5)
    state.remove(slots[1:2])


def fill_runs(state: RunStore) -> None:
    for time in range(3):
        times = np.full(3, time) if state.timed else None
        state.append(hash_columns(ROWS.columns[:1]), ROWS, np.array([1, 2, -1]), times=times)
    if state.timed:
        state.drop_until(0)


def column(arrow_type: pa.DataType) -> Callable[[], SlotColumn]:
    return lambda: SlotColumn(arrow_type)


def fill_slices(state: SliceStore) -> None:
    state.append(np.array([20, 10, 20]), ROWS)
    state.replace(10, ROWS.slice(0, 0))


def fill_scalars(state: Scalars) -> None:
    state.set("watermark", 5)
    state.set("name", "x")


def filler(values: list[object], arrow_type: pa.DataType) -> Callable[[SlotColumn], None]:
    return lambda state: state.set(np.array([5, 0, 2]), pa.array(values, arrow_type))


MONEY = pa.decimal128(38, 2)
STATES = [
    pytest.param(keys(), fill_keys, id="keys"),
    pytest.param(keys(10), fill_keys, id="keys with ttl"),
    pytest.param(
        lambda: KeyIndex([]), lambda s: s.lookup_or_insert(np.zeros(2, np.uint64), []), id="one key"
    ),
    pytest.param(column(pa.bool_()), filler([True, None, False], pa.bool_()), id="bool"),
    pytest.param(column(MONEY), filler([Decimal("1.50"), None, None], MONEY), id="decimal"),
    pytest.param(column(pa.string()), filler(["a", None, ""], pa.string()), id="string"),
    pytest.param(column(SCHEMA.types[2]), filler([["a"], None, []], SCHEMA.types[2]), id="list"),
    pytest.param(lambda: RunStore(SCHEMA, [0]), fill_runs, id="runs"),
    pytest.param(lambda: RunStore(SCHEMA, [0], timed=True), fill_runs, id="timed runs"),
    pytest.param(lambda: SliceStore(SCHEMA), fill_slices, id="slices"),
    pytest.param(Scalars, fill_scalars, id="scalars"),
]


def through_a_file(table: pa.Table) -> pa.Table:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_file(sink.getvalue()).read_all()


@pytest.mark.parametrize("filled", [False, True], ids=["empty", "filled"])
@pytest.mark.parametrize(("make", "fill"), STATES)
def test_a_snapshot_survives_a_file(
    make: Callable[[], State], fill: Callable[[State], None], filled: bool
) -> None:
    state = make()
    if filled:
        fill(state)
    tables = {name: through_a_file(table) for name, table in state.snapshot().items()}
    copy = make()
    fill(copy)  # what was there before is dropped
    copy.restore(tables)
    assert copy.read().equals(state.read())
    assert copy.row_count == state.row_count
    again = copy.snapshot()
    assert again.keys() == tables.keys()
    assert all(again[name].equals(tables[name]) for name in tables)
    fill(state)
    fill(copy)  # a restored state is as good as the first
    assert copy.read().equals(state.read())
    assert state.nbytes > 0 and copy.nbytes > 0


def test_a_restored_ttl_goes_on() -> None:
    state = keys(10)()
    fill_keys(state)
    copy = keys(10)()
    copy.restore(state.snapshot())
    assert copy.expire(14).tolist() == [] and copy.expire(15).tolist() == [0, 2]


@pytest.fixture
def impatient_threads() -> Iterator[None]:
    """Threads take turns all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient_threads")
def test_the_threads_of_several_jobs_get_different_names() -> None:
    with ThreadPoolExecutor(4) as jobs:
        found = list(jobs.map(lambda _: [fresh_name() for _ in range(5_000)], range(4)))
    assert all(names == sorted(names) for names in found)
    assert len({name for names in found for name in names}) == 20_000
