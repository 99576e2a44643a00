"""Hashes: the same for what SQL groups together, spread over the rest, and fixed for ever."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsql.errors import UnsupportedError
from streamsql.runtime.state.equality import values_equal
from streamsql.runtime.state.hashing import hash_array, hash_columns

NAN = float("nan")
STRUCT = pa.struct([("a", pa.int64()), ("b", pa.string())])
SAMPLES: list[tuple[pa.DataType, list[Any]]] = [
    (pa.int8(), [1, -1, 0, None]),
    (pa.int64(), [1, -(2**63), 2**63 - 1, None]),
    (pa.uint64(), [1, 2**64 - 1, None]),
    (pa.float32(), [1.5, 0.0, NAN, None]),
    (pa.float64(), [1.5, 0.0, NAN, None]),
    (pa.bool_(), [True, False, None]),
    (pa.string(), ["", "a", "a\0", "abcdefgh", "abcdefghi", "x" * 3000, "x" * 3001, "héllo", None]),
    (pa.binary(), [b"", b"\0", b"\0\0", b"\xff" * 20, None]),
    (pa.large_string(), ["", "a", None]),
    (pa.string_view(), ["", "a", "a long string beyond the view", None]),
    (pa.binary(4), [b"abcd", b"abce", None]),
    (pa.decimal128(38, 4), [Decimal("1.5"), Decimal("-1.5"), Decimal(10) ** 33, None]),
    (pa.date32(), [dt.date(2024, 1, 1), dt.date(1969, 1, 1), None]),
    (pa.time64("us"), [dt.time(1, 2, 3, 4), None]),
    (pa.timestamp("us"), [dt.datetime(2024, 1, 1), None]),
    (pa.timestamp("us", "UTC"), [dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None]),
    (pa.month_day_nano_interval(), [pa.MonthDayNano([1, 2, 3]), pa.MonthDayNano([1, 2, 4]), None]),
    (pa.list_(pa.int64()), [[], [1], [1, 2], [2, 1], [None], None]),
    (pa.list_(pa.int32(), 2), [[1, 2], [2, 1], None]),
    (pa.list_(pa.list_(pa.string())), [[], [[]], [["a"], ["b"]], [["a", "b"]], [None], None]),
    (STRUCT, [{"a": 1, "b": "x"}, {"a": 1, "b": None}, {"a": None, "b": None}, None]),
    (pa.map_(pa.string(), pa.int64()), [[], [("a", 1)], [("a", 2)], [("a", 1), ("b", 2)], None]),
    (pa.dictionary(pa.int8(), pa.string()), ["a", "b", None]),
    (pa.null(), [None]),
]


@pytest.mark.parametrize(("arrow_type", "values"), SAMPLES, ids=[str(t) for t, _ in SAMPLES])
def test_distinct_values_have_distinct_hashes_and_equal_ones_the_same(
    arrow_type: pa.DataType, values: list[Any]
) -> None:
    once = pa.array(values, arrow_type)
    hashes = hash_array(once)
    assert len(set(hashes.tolist())) == len(values)
    # Equal values at other offsets and among other rows, as a slice of a larger array.
    twice = pa.array([values[0], values[-1], *values, values[0]], arrow_type)
    assert hash_array(twice.slice(2, len(values))).tolist() == hashes.tolist()
    if not pa.types.is_dictionary(arrow_type):
        assert values_equal(twice.slice(2, len(values)), once).all()
        n = len(values)
        for shift in range(1, n):
            rotated = pa.array(values[shift:] + values[:shift], arrow_type)
            assert not values_equal(once, rotated).any()


def test_zeros_and_nans_are_one_value_each() -> None:
    quiet = np.array([0x7FF8_0000_0000_0001, 0xFFF8_0000_0000_0000], np.uint64).view(np.float64)
    floats = pa.array(np.concatenate([[0.0, -0.0, NAN], quiet]))
    hashes = hash_array(floats)
    assert hashes[0] == hashes[1]
    assert len(set(hashes[2:].tolist())) == 1
    assert values_equal(floats, pa.array(np.array([-0.0, 0.0, quiet[0], NAN, quiet[1]]))).all()
    nested = pa.array([[0.0, NAN], [-0.0, NAN]])
    assert len(set(hash_array(nested).tolist())) == 1
    assert values_equal(nested.slice(0, 1), nested.slice(1, 1)).all()


def test_integers_hash_alike_in_every_width() -> None:
    hashes = {int(hash_array(pa.array([-5], t))[0]) for t in (pa.int8(), pa.int16(), pa.int32(), pa.int64())}
    assert len(hashes) == 1


def test_what_stands_under_a_null_does_not_count() -> None:
    data = pa.py_buffer(np.array([7, 8], np.int64))
    nulls = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\0"), data])
    assert len(set(hash_array(nulls).tolist())) == 1
    assert values_equal(nulls, pa.nulls(2, pa.int64())).all()
    structs = pa.StructArray.from_arrays([pa.array([1, 2])], ["a"], mask=pa.array([True, True]))
    assert len(set(hash_array(structs).tolist())) == 1
    assert values_equal(structs.slice(0, 1), structs.slice(1, 1)).all()


def test_columns_are_ordered_and_separate() -> None:
    a, b = pa.array(["ab", "a"]), pa.array(["c", "bc"])
    hashes = hash_columns([a, b])
    assert hashes[0] != hashes[1]
    assert hashes[0] != hash_columns([b, a])[0]
    assert hash_columns([], 3).tolist() == [int(hash_columns([], 1)[0])] * 3


def test_empty_arrays() -> None:
    for arrow_type, _ in SAMPLES:
        assert len(hash_array(pa.array([], arrow_type))) == 0


def test_a_type_without_equality_is_refused_by_name() -> None:
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    with pytest.raises(UnsupportedError, match="sparse_union"):
        hash_array(union)


def test_hashes_never_change() -> None:
    """Part of the checkpoint format; a failure here means that old checkpoints cannot be read."""
    text = (
        "import pyarrow as pa; from streamsql.runtime.state.hashing import hash_columns;"
        "columns = [pa.array([1, None]), pa.array(['k', 'a longer key']), pa.array([[1.5], None])];"
        "print(hash_columns(columns).tolist())"
    )
    out = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[13001714945220206852, 5008020538790948310]"


def test_no_collisions_in_patterned_keys() -> None:
    numbers = hash_array(pa.array(np.arange(0, 2**20 * 1000, 1000)))
    texts = hash_array(pa.array([f"user-{i:08d}" for i in range(200_000)]))
    for hashes in (numbers, texts):
        assert len(np.unique(hashes)) == len(hashes)
        # The upper and the lower bits are each spread evenly over 256 buckets.
        for part in (hashes >> np.uint64(56), hashes & np.uint64(255)):
            counts = np.bincount(part.astype(np.int64), minlength=256)
            assert counts.max() < 1.25 * counts.mean() and counts.min() > 0.75 * counts.mean()


TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=40)))


@given(TEXTS, TEXTS)
def test_string_hashes_do_not_depend_on_neighbours(a: list[str | None], b: list[str | None]) -> None:
    alone = hash_array(pa.array(a, pa.string())).tolist()
    together = hash_array(pa.array(b + a, pa.string()))
    assert together[len(b) :].tolist() == alone
