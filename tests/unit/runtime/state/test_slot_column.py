"""SlotColumn against a dict, for fixed-width types and for those kept in a log."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsql.runtime.state import int128
from streamsql.runtime.state.slot_column import SlotColumn
from streamsql.runtime.state.text_values import TextValues
from streamsql.runtime.state.value_log import ValueLog

TYPES: list[tuple[pa.DataType, list[Any]]] = [
    (pa.int32(), [1, -7, None]),
    (pa.float64(), [1.5, None]),
    (pa.bool_(), [True, False, None]),
    (pa.date32(), [3, None]),
    (pa.timestamp("us", "UTC"), [12345, None]),
    (pa.decimal128(12, 3), [Decimal("1.250"), Decimal("-99.000"), None]),
    (pa.string(), ["", "x", "longer text", None]),
    (pa.binary(), [b"\0", None]),
    (pa.list_(pa.string()), [[], ["a", None], None]),
    (pa.struct([("a", pa.int64())]), [{"a": 1}, {"a": None}, None]),
    (pa.map_(pa.string(), pa.int64()), [[("k", 1)], [], None]),
    (pa.decimal256(50, 0), [Decimal(10) ** 45, None]),
]


@pytest.mark.parametrize(("arrow_type", "values"), TYPES, ids=[str(t) for t, _ in TYPES])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_behaves_like_a_dict(arrow_type: pa.DataType, values: list[Any], data: st.DataObject) -> None:
    column, model = SlotColumn(arrow_type), dict[int, Any]()
    everything = np.arange(-1, 20)
    for _ in range(data.draw(st.integers(1, 6))):
        slots = data.draw(st.lists(st.integers(0, 15), max_size=20))
        action = data.draw(st.sampled_from(["set", "set", "clear", "restore"]))
        if action == "set":
            new = data.draw(st.lists(st.sampled_from(values), min_size=len(slots), max_size=len(slots)))
            array = pa.array([*values, *new], arrow_type).slice(len(values))
            column.set(np.array(slots, np.int64), array)
            model |= dict(zip(slots, array.to_pylist(), strict=True))
        elif action == "clear":
            column.clear(np.array(slots, np.int64))
            model |= dict.fromkeys(slots)
        else:
            tables = column.snapshot()
            column = SlotColumn(arrow_type)
            column.restore(tables)
        got = column.get(everything)
        got.validate(full=True)
        assert got.type == arrow_type
        assert got.to_pylist() == [model.get(s) for s in everything.tolist()]
        assert column.is_set(everything).tolist() == [model.get(s) is not None for s in everything.tolist()]
    held = {s: v for s, v in model.items() if v is not None}
    assert dict(zip(*(column.read()[c].to_pylist() for c in ("slot", "value")), strict=True)) == held
    assert column.row_count == len(held)
    assert column.nbytes > 0 or not held


def test_a_snapshot_is_not_touched_by_later_changes() -> None:
    for arrow_type, first, second in ((pa.int64(), 1, 2), (pa.string(), "a", "b"), (pa.bool_(), True, False)):
        column = SlotColumn(arrow_type)
        slots = np.arange(100)
        column.set(slots, pa.array([first] * 100, arrow_type))
        tables = column.snapshot()
        column.set(slots, pa.array([second] * 100, arrow_type))
        column.clear(slots[:50])
        copy = SlotColumn(arrow_type)
        copy.restore(tables)
        assert copy.get(slots).to_pylist() == [first] * 100


def test_values_read_before_a_write_do_not_change() -> None:
    column = SlotColumn(pa.int64())
    column.put(np.arange(3), np.array([1, 2, 3]))
    array, raw = column.get(np.arange(3)), column.values(np.arange(3))
    column.put(np.arange(3), np.array([7, 8, 9]))
    assert array.to_pylist() == raw.tolist() == [1, 2, 3]


@pytest.mark.parametrize("arrow_type", [pa.string(), pa.list_(pa.string())])
def test_garbage_stays_within_bounds(arrow_type: pa.DataType) -> None:
    column, random = SlotColumn(arrow_type), np.random.default_rng(1)
    store = column._store

    def held() -> int:
        """Bytes in the buffer, or about as many as the log's values have."""
        if isinstance(store, TextValues):
            return store.used_bytes
        assert isinstance(store, ValueLog)
        return 12 * store.log_length

    model: dict[int, Any] = {}
    for step in range(300):
        slots = random.integers(0, 3000, 200)
        texts = [f"{step:4} {i:7}" for i in range(200)]
        column.set(slots, pa.array(texts if arrow_type == pa.string() else [[t] for t in texts], arrow_type))
        model |= dict(zip(slots.tolist(), texts, strict=True))
        assert held() <= 3 * 12 * len(model) + 70_000
    column.clear(np.arange(3000))
    column.set(np.arange(10), pa.array([None] * 10, arrow_type))
    assert held() <= 70_000


@pytest.mark.parametrize("arrow_type", [pa.string(), pa.list_(pa.string())])
def test_a_slice_does_not_keep_its_batch_alive(arrow_type: pa.DataType) -> None:
    column = SlotColumn(arrow_type)
    big = pa.array(["x" * 100 if arrow_type == pa.string() else ["x" * 100]] * 10_000, arrow_type)
    before = pa.total_allocated_bytes()
    column.set(np.arange(2), big.slice(5, 2))
    del big
    assert pa.total_allocated_bytes() < before


def test_add_counts_null_as_zero_and_adds_up_equal_slots() -> None:
    column = SlotColumn(pa.int64())
    column.add(np.array([3, 3, 5]), np.array([1, 2, 10]))
    column.add(np.array([5]), np.array([-10]), unique=True)
    assert column.get(np.arange(7)).to_pylist() == [None, None, None, 3, None, 0, None]
    assert column.values(np.array([-1, 3, 0])).tolist() == [0, 3, 0]
    column.clear(np.array([3]))
    column.add(np.array([3]), np.array([4]))
    assert column.values(np.array([3])).tolist() == [4]


def test_add_wraps_around_as_bigint_does() -> None:
    column = SlotColumn(pa.int64())
    column.add(np.array([0, 0]), np.array([2**63 - 1, 1]))
    assert column.values(np.array([0])).tolist() == [-(2**63)]


def test_extremes() -> None:
    nan = float("nan")
    low, high = SlotColumn(pa.float64()), SlotColumn(pa.float64())
    slots, values = np.array([0, 0, 1, 2, 2]), np.array([3.0, 2.0, nan, nan, 1.0])
    low.minimum(slots, values)
    high.maximum(slots, values)
    assert low.values(np.arange(3)).tolist()[::2] == [2.0, 1.0] and np.isnan(low.values(np.array([1])))[0]
    assert high.values(np.arange(1)).tolist() == [3.0] and np.isnan(high.values(np.array([1, 2]))).all()
    days = SlotColumn(pa.date32())
    days.minimum(np.array([4, 4]), np.array([5, 3]))
    days.minimum(np.array([4]), np.array([9]))
    assert days.values(np.array([4])).tolist() == [3]


def test_decimal_sums_and_extremes() -> None:
    total, high = SlotColumn(pa.decimal128(38, 2)), SlotColumn(pa.decimal128(38, 2))
    slots = np.array([0, 1, 0, 0])
    cents = int128.from_ints([150, -(10**30), 250, -1])
    total.add(slots, cents)
    high.maximum(slots, cents)
    assert total.get(np.arange(3)).to_pylist() == [Decimal("3.99"), Decimal(-(10**28)), None]
    assert high.get(np.arange(2)).to_pylist() == [Decimal("2.50"), Decimal(-(10**28))]


def test_a_decimal_sum_of_more_than_38_digits_is_an_error_and_changes_nothing() -> None:
    column = SlotColumn(pa.decimal128(38, 0))
    most = int128.from_ints([10**38 - 1])
    column.add(np.array([0]), most)
    with pytest.raises(OverflowError, match="38"):
        column.add(np.array([1, 0]), int128.from_ints([5, 1]))
    assert column.get(np.arange(2)).to_pylist() == [Decimal(10**38 - 1), None]
