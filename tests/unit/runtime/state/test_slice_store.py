"""SliceStore: rows land in their slices, slices merge by a geometric rule and are dropped in bulk."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsql.runtime.state.slice_store import ROWS, SliceStore

SCHEMA = pa.schema([("v", pa.int64())])


def rows(values: list[int]) -> pa.RecordBatch:
    return pa.record_batch([pa.array(values, pa.int64())], schema=SCHEMA)


def content(store: SliceStore) -> dict[int, list[int]]:
    return {end: [v for b in store.batches(end) for v in b["v"].to_pylist()] for end in store.slices()}


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.lists(st.integers(0, 6))),
            st.tuples(st.just("drop"), st.integers(0, 6)),
            st.tuples(st.just("merge"), st.integers(0, 6)),
            st.tuples(st.just("restore"), st.none()),
        )
    )
)
@settings(max_examples=150, deadline=None)
def test_behaves_like_a_dict_of_lists(steps: list[tuple[str, list[int] | int | None]]) -> None:
    store, model, counter = SliceStore(SCHEMA), dict[int, list[int]](), 0
    for action, argument in steps:
        if isinstance(argument, list):
            values = list(range(counter, counter + len(argument)))
            counter += len(values)
            store.append(np.array(argument, np.int64) * 1000, rows(values))
            for end, value in zip(argument, values, strict=True):
                model.setdefault(end * 1000, []).append(value)
        elif argument is None:
            tables = store.snapshot()
            store = SliceStore(SCHEMA)
            store.restore(tables)
        elif action == "drop":
            gone = sorted(end for end in model if end <= argument * 1000)
            assert store.drop_until(argument * 1000) == gone
            model = {end: values for end, values in model.items() if end not in gone}
        elif argument * 1000 in model:
            model[argument * 1000] = [sum(model[argument * 1000])]
            store.replace(argument * 1000, rows(model[argument * 1000]))
        assert content(store) == model
        assert store.slices() == sorted(model)
        assert store.row_count == sum(map(len, model.values()))
    assert sorted(store.read()["v"].to_pylist()) == sorted(v for values in model.values() for v in values)


def test_needs_merge_when_new_rows_outnumber_merged_ones() -> None:
    store = SliceStore(SCHEMA)
    assert not store.needs_merge(1000)
    for _ in range(2):  # the first batch is merged in itself
        store.append(np.full(4096, 1000), rows([0] * 4096))
        assert not store.needs_merge(1000)
    store.append(np.full(1, 1000), rows([0]))
    assert store.needs_merge(1000)
    store.replace(1000, rows([0] * 5000))
    store.append(np.full(5000, 1000), rows([0] * 5000))
    assert not store.needs_merge(1000)
    copy = SliceStore(SCHEMA)
    copy.restore(store.snapshot())
    for each in (store, copy):
        each.append(np.full(1, 1000), rows([0]))
        assert each.needs_merge(1000)


def test_a_slice_is_read_with_its_end_as_a_time() -> None:
    store = SliceStore(SCHEMA)
    store.append(np.array([10, 20]), rows([1, 2]))
    assert [end.timestamp() for end in store.read().to_pydict()["slice_end"]] == [0.01, 0.02]


def test_changes_are_what_came_and_went() -> None:
    store = SliceStore(SCHEMA)
    store.track_changes()
    store.append(np.array([10, 20]), rows([1, 2]))
    first = store.changes()[ROWS]
    assert first["c0"].to_pylist() == [1, 2] and first["slice_end"].to_pylist() == [10, 20]
    store.append(np.array([20, 30]), rows([3, 4]))
    store.append(np.array([30]), rows([5]))
    store.replace(30, rows([9]))
    store.drop_until(10)
    second = store.changes()[ROWS]
    assert second["c0"].to_pylist() == [3, 9, None]
    assert second["live"].to_pylist() == [True, True, False]
    assert second["slot"].to_pylist()[-1] == first["slot"].to_pylist()[0]
    assert store.changes()[ROWS].num_rows == 0


def test_batches_stay_apart_through_a_snapshot() -> None:
    store = SliceStore(SCHEMA)
    for values in ([1, 2], [3], [4, 5, 6]):
        store.append(np.full(len(values), 10), rows(values))
    copy = SliceStore(SCHEMA)
    copy.restore({n: t.take(list(range(t.num_rows))) for n, t in store.snapshot().items()})
    assert [b["v"].to_pylist() for b in copy.batches(10)] == [[1, 2], [3], [4, 5, 6]]


def test_rows_are_split_without_copying() -> None:
    store = SliceStore(SCHEMA)
    batch = rows(list(range(1000)))
    before = pa.total_allocated_bytes()
    store.append(np.repeat(np.array([10, 20]), 500), batch)
    assert pa.total_allocated_bytes() - before < 1000
