"""The rows of a step numbered by slot, added up, and shown before and after."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from streamsql.runtime.operators.step_groups import Pairs, SlotGroups, summed


def test_groups_are_numbered_by_their_first_rows() -> None:
    groups = SlotGroups()
    first, numbers = groups.number(np.array([7, 2, 7, 9, 2, 7]), 10)
    assert first.tolist() == [0, 1, 3]
    assert numbers is not None and numbers.tolist() == [0, 1, 0, 2, 1, 0]


def test_what_an_earlier_step_left_is_not_read() -> None:
    groups = SlotGroups()
    groups.number(np.array([3, 1, 3]), 4)
    first, numbers = groups.number(np.array([9, 1, 0]), 10)
    assert (first.tolist(), numbers) == ([0, 1, 2], None)


@pytest.mark.parametrize(
    ("values", "sums"),
    [
        (pa.array([1, None, 2**63 - 1, 5], pa.int64()), [-(2**63), 5]),
        (pa.array([0.5, 1.0, None, None]), [0.5, 1.0]),
    ],
    ids=["integers wrap around", "doubles"],
)
def test_sums(values: pa.Array, sums: list[object]) -> None:
    assert summed(values, np.array([0, 1, 0, 1]), 2).to_pylist() == sums
    assert summed(values, None, 4) is values


@pytest.mark.parametrize("type_", [pa.int64(), pa.float32(), pa.bool_(), pa.string(), pa.decimal128(21, 1)])
@pytest.mark.parametrize("null", [False, True])
def test_pairs_stand_side_by_side(type_: pa.DataType, null: bool) -> None:
    before, after = pa.array([1, 0, 1]).cast(type_), pa.array([None if null else 0, 1, 0]).cast(type_)
    b, a = before.to_pylist(), after.to_pylist()
    whole = Pairs(np.arange(6), 3)
    assert whole.of(before, after).to_pylist() == [b[0], a[0], b[1], a[1], b[2], a[2]]
    assert whole.weights().tolist() == [-1, 1, -1, 1, -1, 1]
    some = Pairs(np.array([1, 2, 3, 4]), 3)
    assert some.of(before, after).to_pylist() == [a[0], b[1], a[1], b[2]]
    assert some.weights().tolist() == [1, -1, 1, -1]
