"""Rows of joins that expire: each side by its own time to live, with the clock set by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest

from streamsql.runtime.build import BuildOptions
from tests.harness import Harness, Table, harness

HOUR = 3_600_000


def joined(sql: str, restored: bool, mode: str = "I,UB,UA,D", ttl_ms: int = HOUR) -> Harness:
    tables = {
        "l": Table({"k": pa.string(), "v": pa.int64()}, mode=mode),
        "r": Table({"k": pa.string(), "w": pa.int64()}, mode=mode),
    }
    options = BuildOptions(threads=1, state_ttl_ms=ttl_ms)
    return harness(sql, tables, build_options=options, restored=restored)


@pytest.mark.parametrize("mode", ["I", "I,UB,UA,D"])
def test_a_row_meets_no_partner_that_has_expired(mode: str, restored: bool) -> None:
    with joined("SELECT l.k, v, w FROM l JOIN r ON l.k = r.k", restored, mode) as h:
        h.push("+I a 1", "l")
        h.advance_time(HOUR // 2)
        h.push("+I a 2", "l")
        h.advance_time(HOUR // 2 - 1)
        h.push("+I a 10", "r")
        assert sorted(h.take()) == ["+I a 1 10", "+I a 2 10"]
        h.advance_time(1)  # the first is an hour old; that its key was written since then does not count
        h.push("+I a 20", "r")
        assert h.take() == ["+I a 2 20"]
        h.advance_time(HOUR)
        assert h.state_rows() == {}


def test_an_outer_row_without_a_living_partner_stands_alone(restored: bool) -> None:
    with joined("SELECT l.k, v, w FROM l LEFT JOIN r ON l.k = r.k", restored) as h:
        h.push("+I a 10", "r")
        h.advance_time(HOUR - 1)
        h.push("+I a 1", "l")
        assert h.take() == ["+I a 1 10"]
        h.advance_time(1)
        assert h.take() == []  # expiry takes nothing back
        h.push("+I a 2", "l")
        assert h.take() == ["+I a 2 null"]
        h.push("+I a 20", "r")  # the first row has had its match, the second has none yet
        assert sorted(h.take()) == ["+I a 1 20", "+I a 2 20", "-D a 2 null"]
        h.push("-D a 20", "r")
        assert sorted(h.take()) == ["+I a 2 null", "-D a 1 20", "-D a 2 20"]


@pytest.mark.parametrize(("kind", "first", "second"), [("", ["+I a"], []), ("NOT", [], ["+I a"])])
def test_semi_and_anti_joins(kind: str, first: list[str], second: list[str], restored: bool) -> None:
    with joined(f"SELECT k FROM l WHERE {kind} EXISTS (SELECT 1 FROM r WHERE r.k = l.k)", restored) as h:
        h.push("+I a 10", "r")
        h.push("+I a 1", "l")
        assert h.take() == first
        h.advance_time(HOUR)
        h.push("+I a 1", "l")
        assert h.take() == second


def test_a_full_join_with_a_further_condition(restored: bool) -> None:
    with joined("SELECT l.k, v, w FROM l FULL JOIN r ON l.k = r.k AND v < w", restored) as h:
        h.push("+I a 5", "l")
        h.push("+I a 9", "r")
        assert sorted(h.take()) == ["+I a 5 9", "+I a 5 null", "-D a 5 null"]
        h.advance_time(HOUR)
        h.push("+I a 7", "l")
        assert h.take() == ["+I a 7 null"]


def test_a_deletion_of_an_expired_row_still_takes_back_its_pairs(restored: bool) -> None:
    with joined("SELECT l.k, v, w FROM l JOIN r ON l.k = r.k", restored) as h:
        h.push("+I a 1", "l")
        h.advance_time(HOUR // 2)
        h.push("+I a 10", "r")
        assert h.take() == ["+I a 1 10"]
        h.advance_time(HOUR // 2)
        h.push("-D a 1", "l")
        assert h.take() == ["-D a 1 10"]
        h.push("+I a 1", "l")  # nothing is left of the deletion
        assert h.take() == ["+I a 1 10"]


def test_of_equal_rows_the_earliest_goes_first(restored: bool) -> None:
    with joined("SELECT l.k, v, w FROM l JOIN r ON l.k = r.k", restored) as h:
        h.push("+I a 1\n+I a 1", "l")
        h.advance_time(HOUR // 2)
        h.push("+I a 1\n+I a 2", "l")
        h.push("-D a 1", "l")
        h.advance_time(HOUR // 4)
        h.push("+I a 0", "r")
        assert sorted(h.take()) == ["+I a 1 0", "+I a 1 0", "+I a 2 0"]
        h.advance_time(HOUR // 4)
        h.push("-D a 1\n-D a 2", "l")
        h.push("+I a 5", "r")
        assert h.take() == ["-D a 1 0", "-D a 2 0"]


def test_rows_whose_key_is_null_are_counted_where_nothing_becomes_of_them() -> None:
    with joined("SELECT l.k, v, w FROM l JOIN r ON l.k = r.k", restored=False) as h:
        h.push("+I null 1\n+I a 1", "l")
        h.push("+I null 1", "r")
        assert h.take() == []
        assert h.metrics("Join").num_null_key_dropped == 2
    with joined("SELECT l.k, v, w FROM l LEFT JOIN r ON l.k = r.k", restored=False) as h:
        h.push("+I null 1", "l")
        assert h.take() == ["+I null 1 null"]
        assert h.metrics("Join").num_null_key_dropped == 0


def test_expired_rows_are_counted() -> None:
    with joined("SELECT l.k, v, w FROM l LEFT JOIN r ON l.k = r.k", restored=False) as h:
        h.push("+I a 1\n+I b 1\n+I null 3", "l")
        h.push("+I a 1", "r")
        h.push("-D b 1", "l")
        h.advance_time(HOUR)
        assert h.metrics("Join").num_state_entries_expired == 3
        assert h.state_rows() == {}


def test_each_side_by_its_own_hint(restored: bool) -> None:
    hint = "/*+ STATE_TTL('a' = '30 min', 'r' = '0') */"
    with joined(f"SELECT {hint} a.k, v, w FROM l AS a JOIN r ON a.k = r.k", restored) as h:
        h.push("+I a 1", "l")
        h.push("+I a 10", "r")
        assert h.take() == ["+I a 1 10"]
        h.advance_time(HOUR // 2)
        assert h.state_rows() == {"Join.right": 1}
        h.advance_time(100 * HOUR)
        h.push("+I a 2", "l")
        assert h.take() == ["+I a 2 10"]
