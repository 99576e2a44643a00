"""Windows as sums of slices: slices that grow, are merged or dropped, and keys that nobody has any more."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from streamsql.runtime.operators import slot_merge
from streamsql.runtime.operators.slot_merge import SlotMerge
from streamsql.runtime.state.slice_store import SliceStore

SCHEMA = pa.schema([("k0", pa.string()), ("n", pa.int64()), ("p0_0", pa.float64())])


def rows(*values: tuple[str | None, int, float | None]) -> pa.RecordBatch:
    columns = zip(*values, strict=True)
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], SCHEMA)


def merged(merge: SlotMerge, *windows: tuple[int, list[int]]) -> set[tuple[object, ...]]:
    return {tuple(r.values()) for r in merge.merge(windows).to_pylist()}


@pytest.fixture
def store() -> SliceStore:
    store = SliceStore(SCHEMA)
    store.append(np.array([1, 1, 2]), rows(("a", 1, 0.5), (None, 2, None), ("a", 3, 2.0)))
    return store


def test_a_window_is_the_sum_of_its_slices(store: SliceStore) -> None:
    merge = SlotMerge(SCHEMA, 1, store)
    assert merged(merge, (2, [1, 2]), (3, [2])) == {(2, "a", 4, 2.5), (2, None, 2, 0.0), (3, "a", 3, 2.0)}
    assert merge.merge([]).num_rows == 0


def test_a_slice_that_grew_and_one_that_was_merged(store: SliceStore) -> None:
    merge = SlotMerge(SCHEMA, 1, store)
    merged(merge, (2, [1, 2]))
    store.append(np.array([2, 2]), rows(("a", -3, -2.0), ("b", 1, 1.0)))
    assert merged(merge, (2, [2])) == {(2, "b", 1, 1.0)}
    store.replace(2, rows(("c", 7, 7.0)))
    assert merged(merge, (2, [2])) == {(2, "c", 7, 7.0)}


def test_keys_of_slices_that_are_gone_are_given_up(
    store: SliceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_merge, "UNUSED_KEYS_MAX", 1)
    merge = SlotMerge(SCHEMA, 1, store)
    for n in range(1, 50):
        store.append(np.array([n + 2]), rows((f"key {n}", 1, 1.0)))
        assert (n + 2, f"key {n}", 1, 1.0) in merged(merge, (n + 2, [n + 1, n + 2]))
        store.drop_until(n + 1)
        merge.forget()
        assert len(merge._index) <= 3
