"""128-bit arithmetic against Python's integers."""

from __future__ import annotations

from typing import Any

import numpy as np
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


@given(st.lists(st.tuples(numbers, numbers), min_size=1))
def test_each_slot_once(rows: list[tuple[int, int]]) -> None:
    a, b = int128.from_ints([r[0] for r in rows]), int128.from_ints([r[1] for r in rows])

    def added() -> Any:
        target = a.copy()
        int128.add_at(target, np.arange(len(rows)), b, unique=True)
        return target

    check([x + y for x, y in rows], added)
    assert int128.less(a, b).tolist() == [x < y for x, y in rows]


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
