"""MATCH_RECOGNIZE against a matcher that backtracks: random patterns, conditions, rows, steps and orders of arrival."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsql.errors import DataError
from streamsql.testing.compare import difference

from .match_cases import input_of, random_case, random_rows
from .run import batch, final, restarted, stream
from .test_generated import profile

WAYS = ("1", "7", "all", "shuffled", "batch", "restarted")


@profile(60)
@given(st.integers(0, 10**9), st.sampled_from((3, 8, 14, 20)), st.sampled_from(WAYS))
def test_every_way_equals_the_reference(seed: int, size: int, way: str) -> None:
    rng = random.Random(seed)
    case, rows = random_case(rng), random_rows(rng, size)
    source = input_of(rows)
    try:
        expected = case.expected(rows)
    except ValueError:
        with pytest.raises(DataError, match="AFTER MATCH SKIP"):
            batch(case.sql, [source])
        return
    runs: dict[str, Callable[[], Any]] = {
        "1": lambda: stream(case.sql, [source], step=1),
        "7": lambda: stream(case.sql, [source], step=7),
        "all": lambda: stream(case.sql, [source]),
        "shuffled": lambda: final(case.sql, [source.shuffled(seed)], step=4),
        "batch": lambda: batch(case.sql, [source]),
        "restarted": lambda: restarted(case.sql, [source], step=3),
    }
    text = difference(runs[way](), expected)
    assert text is None, f"{way}: {case.sql}\n{text}"
