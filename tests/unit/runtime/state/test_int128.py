"""128-bit arithmetic against Python's integers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsql.runtime.state import int128

LIMIT = 10**38
numbers = st.one_of(st.integers(-LIMIT + 1, LIMIT - 1), st.integers(-(2**70), 2**70), st.integers(-3, 3))


def fits(values: list[int]) -> bool:
    return all(abs(v) < LIMIT for v in values)


def check(expected: list[int], compute: Any) -> None:
    if fits(expected):
        assert int128.to_ints(compute()) == expected
    else:
        with pytest.raises(OverflowError):
            compute()


@given(st.lists(st.tuples(numbers, numbers, st.integers(-(2**29), 2**29)), min_size=1))
def test_arithmetic(rows: list[tuple[int, int, int]]) -> None:
    a, b = int128.from_ints([r[0] for r in rows]), int128.from_ints([r[1] for r in rows])
    factors = np.array([r[2] for r in rows], np.int64)
    check([x + y for x, y, _ in rows], lambda: int128.add(a, b))
    check([x - y for x, y, _ in rows], lambda: int128.subtract(a, b))
    check([x * f for x, _, f in rows], lambda: int128.multiply(a, factors))
    check([-x for x, _, _ in rows], lambda: int128.negate(a))
    assert int128.less(a, b).tolist() == [x < y for x, y, _ in rows]
    assert int128.equal(a, b).tolist() == [x == y for x, y, _ in rows]
    assert int128.from_ints([r[0] for r in rows]).tobytes() == a.tobytes()


@given(st.lists(st.tuples(st.integers(0, 4), numbers)))
def test_sums_and_extremes_per_slot(rows: list[tuple[int, int]]) -> None:
    slots = np.array([r[0] for r in rows], np.int64)
    values = int128.from_ints([r[1] for r in rows])
    sums = [sum(v for s, v in rows if s == slot) for slot in range(5)]

    def added() -> Any:
        target = int128.from_ints([0] * 5)
        int128.add_at(target, slots, values)
        return target

    check(sums, added)
    for largest, pick in ((True, max), (False, min)):
        target = int128.from_ints([0] * 5)
        int128.extremum_at(target, slots, values, largest=largest)
        expected = [pick([0, *(v for s, v in rows if s == slot)]) for slot in range(5)]
        assert int128.to_ints(target) == expected


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_from_int64(values: list[int]) -> None:
    assert int128.to_ints(int128.from_int64(np.array(values, np.int64))) == values


def test_to_and_from_arrow() -> None:
    column = pa.array([None, Decimal("-1.25"), Decimal("99999.99"), None], pa.decimal128(7, 2)).slice(1)
    raw = int128.from_decimal(column)
    assert int128.to_ints(raw[:2]) == [-125, 9999999]
    back = int128.to_decimal(raw, pa.decimal128(7, 2), np.array([True, True, False]))
    assert back.equals(column)
    with pytest.raises(OverflowError, match="9999999"):
        int128.to_decimal(raw, pa.decimal128(6, 2), np.array([True, True, False]))
