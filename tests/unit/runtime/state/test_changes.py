"""What the cuts of a state give, merged, is the state: random histories against ``snapshot``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsql.runtime.state import dirty, memory, run_store
from streamsql.runtime.state.base import IMMUTABLE_PREFIX, KEYED_PREFIX, State, fresh_name
from streamsql.runtime.state.dirty import DirtySlots
from streamsql.runtime.state.hashing import hash_columns
from streamsql.runtime.state.key_index import KeyIndex
from streamsql.runtime.state.keyed import merge_keyed
from streamsql.runtime.state.memory import StateMemory
from streamsql.runtime.state.run_store import RunStore
from streamsql.runtime.state.scalars import Scalars
from streamsql.runtime.state.slice_store import SliceStore
from streamsql.runtime.state.slot_column import SlotColumn

ROWS = pa.schema([("k", pa.int64()), ("s", pa.string())])


def through_a_file(table: pa.Table) -> pa.Table:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_file(sink.getvalue()).read_all()


class Chain:
    """What a checkpoint directory holds of one state."""

    def __init__(self) -> None:
        self.keyed: dict[str, list[pa.Table]] = {}
        self.runs: dict[str, pa.Table] = {}
        self.other: dict[str, pa.Table] = {}
        self.handed_out: list[tuple[pa.Table, pa.Table]] = []

    def cut(self, state: State) -> None:
        tables = state.changes()
        self.other = {}
        for name, table in tables.items():
            written = through_a_file(table)
            self.handed_out.append((table, written))
            if name.startswith(KEYED_PREFIX):
                self.keyed.setdefault(name, []).append(written)
            elif name.startswith(IMMUTABLE_PREFIX):
                assert self.runs.setdefault(name, written).equals(written), f"{name} has changed"
                self.other[name] = self.runs[name]
            else:
                self.other[name] = written

    def restore(self, state: State) -> None:
        half = {n: [merge_keyed(t[:2], keep_dead=True), *t[2:]] for n, t in self.keyed.items()}
        state.restore({n: merge_keyed(t) for n, t in half.items()} | self.other)


def numbers(most: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, most), max_size=12)


def rows(keys: list[int]) -> pa.RecordBatch:
    texts = [None if k % 5 == 0 else f"text {k}" for k in keys]
    return pa.RecordBatch.from_arrays([pa.array(keys, pa.int64()), pa.array(texts)], schema=ROWS)


def use_keys(state: KeyIndex, data: st.DataObject, now: int) -> None:
    action = data.draw(st.sampled_from(["insert", "insert", "remove", "touch", "expire"]))
    keys = rows(data.draw(numbers(15)))
    if action == "insert":
        state.lookup_or_insert(hash_columns(keys.columns, keys.num_rows), keys.columns, now)
        return
    if action == "expire":
        state.expire(now)
        return
    live = state.live_slots()
    chosen = live[np.isin(live, keys.column(0).to_numpy())]
    if action == "remove":
        state.remove(chosen)
    elif state.next_expiry_ms() is not None:
        state.touch(chosen, now)


def use_column(values: list[Any], *, raw: bool) -> Callable[[SlotColumn, st.DataObject, int], None]:
    def use(state: SlotColumn, data: st.DataObject, now: int) -> None:
        slots = data.draw(numbers(15))
        actions = ["set", "set", "clear", *(["add", "put", "max"] if raw else [])]
        action: str = data.draw(st.sampled_from(actions))
        at, some = np.array(slots, np.int64), np.array(slots, np.int64) + now
        if action == "set":
            chosen = data.draw(st.lists(st.sampled_from(values), min_size=len(slots), max_size=len(slots)))
            state.set(at, pa.array(chosen, state.type))
        elif action == "clear":
            state.clear(at)
        else:
            {"add": state.add, "put": state.put, "max": state.maximum}[action](at, some)

    return use


def use_runs(state: RunStore, data: st.DataObject, now: int) -> None:
    keys = rows(data.draw(numbers(5)))
    weights = np.where(np.arange(keys.num_rows) % 3 == 2, -1, 1)
    times = np.full(keys.num_rows, now) if state.timed else None
    state.append(hash_columns(keys.columns[:1], keys.num_rows), keys, weights, times=times)
    if state.timed and now % 3 == 0:
        state.drop_until(now - 2)


def use_slices(state: SliceStore, data: st.DataObject, now: int) -> None:
    ends = data.draw(numbers(6))
    state.append(np.array(ends, np.int64) + now, rows(ends))
    if now % 3 == 0:
        state.drop_until(now - 2)
    held = state.slices()
    if now % 2 and held:
        state.replace(held[0], rows(data.draw(numbers(2))))


def use_scalars(state: Scalars, data: st.DataObject, now: int) -> None:
    for number in data.draw(numbers(3)):
        state.set(f"n{number}", now)


USES: list[Any] = [
    pytest.param(lambda: KeyIndex(ROWS.types), use_keys, id="keys"),
    pytest.param(lambda: KeyIndex(ROWS.types, 3), use_keys, id="keys with ttl"),
    pytest.param(lambda: SlotColumn(pa.int64()), use_column([1, None, 7], raw=True), id="numbers"),
    pytest.param(lambda: SlotColumn(pa.string()), use_column(["a", None, ""], raw=False), id="texts"),
    pytest.param(
        lambda: SlotColumn(pa.list_(pa.int64())), use_column([[1], None, []], raw=False), id="lists"
    ),
    pytest.param(lambda: RunStore(ROWS, [0]), use_runs, id="runs"),
    pytest.param(lambda: RunStore(ROWS, [0], timed=True), use_runs, id="timed runs"),
    pytest.param(lambda: SliceStore(ROWS), use_slices, id="slices"),
    pytest.param(Scalars, use_scalars, id="scalars"),
]


@pytest.mark.parametrize(("make", "use"), USES)
@given(data=st.data())
@settings(max_examples=30)
def test_the_changes_of_all_cuts_are_the_state(
    make: Callable[[], State], use: Callable[[State, st.DataObject, int], None], data: st.DataObject
) -> None:
    check_history(make, use, data)


@pytest.mark.parametrize(("make", "use"), USES)
@given(data=st.data())
@settings(max_examples=15)
def test_so_they_are_where_all_state_lies_in_files(
    make: Callable[[], State], use: Callable[[State, st.DataObject, int], None], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "_LEAST", 0)
        patch.setattr(run_store, "SMALL_RUN_BYTES", 0)
        files = StateMemory(0)

        def limited() -> State:
            state = make()
            state.limit_memory(files)
            return state

        check_history(limited, use, data)


def check_history(
    make: Callable[[], State], use: Callable[[State, st.DataObject, int], None], data: st.DataObject
) -> None:
    state, chain = make(), Chain()
    state.track_changes()
    for now in range(1, data.draw(st.integers(2, 12))):
        use(state, data, now)
        if data.draw(st.booleans()):
            continue
        chain.cut(state)
        copy = make()
        chain.restore(copy)
        expected, found = state.snapshot(), copy.snapshot()
        assert found.keys() == expected.keys()
        for name, table in expected.items():
            first = str(table.schema.names[0])
            same = found[name].sort_by(first).equals(table.sort_by(first))
            assert same or found[name].equals(table), name
        if data.draw(st.booleans()):  # a job that failed: what came after the cut is undone
            use(state, data, now)
            state = make()
            state.track_changes()
            chain.restore(state)
    for handed_out, written in chain.handed_out:
        assert handed_out.equals(written)


def test_a_cut_after_a_restore_repeats_nothing() -> None:
    index, column = KeyIndex(ROWS.types), SlotColumn(pa.int64())
    keys = rows([1, 2, 3])
    slots, _ = index.lookup_or_insert(hash_columns(keys.columns), keys.columns)
    column.put(slots, np.array([10, 20, 30]))
    for state, make in ((index, lambda: KeyIndex(ROWS.types)), (column, lambda: SlotColumn(pa.int64()))):
        copy = make()
        copy.track_changes()
        copy.restore(state.snapshot())
        assert [t.num_rows for t in copy.changes().values()] == [0]


def test_a_slot_used_again_within_a_cut_has_its_last_key() -> None:
    index = KeyIndex([pa.int64()])
    index.track_changes()
    for key in (1, 2, 3):
        slots, _ = index.lookup_or_insert(np.array([key], np.uint64), [pa.array([key])])
        if key < 3:
            index.remove(slots)
    table = index.changes()["slots-keys"]
    assert table.select(["slot", "live", "key0"]).to_pylist() == [{"slot": 0, "live": True, "key0": 3}]
    index.remove(np.array([0]))
    assert index.changes()["slots-keys"]["live"].to_pylist() == [False]


@given(marks=st.lists(st.lists(st.integers(0, 200), max_size=10), max_size=8), far=st.booleans())
def test_dirty_slots_are_a_set(marks: list[list[int]], far: bool) -> None:
    both, expected = (DirtySlots(), DirtySlots()), set[int]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dirty, "_FEW", 5)
        for number, part in enumerate(marks):
            slots = np.array(part, np.int64) * (10_000_000 if far else 1)
            for one in both:
                one.mark(slots)
            expected |= set(slots.tolist())
            if number % 3 == 2:
                assert all(one.take().tolist() == sorted(expected) for one in both)
                expected = set()
        assert all(one.take().tolist() == sorted(expected) for one in both)
        assert all(one.take().tolist() == [] for one in both)


def test_slots_that_are_marked_do_not_change() -> None:
    column, slots = SlotColumn(pa.int64()), np.array([1, 2])
    column.track_changes()
    column.put(slots, slots)
    with pytest.raises(ValueError, match="read-only"):
        slots[0] = 5


def test_names_are_given_once() -> None:
    names = [fresh_name() for _ in range(100)]
    assert len(set(names)) == 100 and sorted(names) == names
