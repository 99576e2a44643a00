"""What whole queries show step by step: updates that pass through filters, unions and aggregates over aggregates."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tests.harness import Table, harness
from tests.pretty import rows

CHANGES = Table({"k": pa.string(), "v": pa.int32()}, mode="I,UB,UA,D")
INSERTS = Table({"k": pa.string(), "v": pa.int32()})
UPSERTS = Table({"k": pa.string(), "v": pa.int32()}, mode="I,UA,D", key=("k",))


@pytest.fixture(params=[False, True], ids=["straight", "restored"])
def restored(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_an_update_and_a_filter(restored: bool) -> None:
    """::

    before → after    pass → pass     pass → fail    fail → pass
    """
    with harness("SELECT k, v FROM t WHERE v > 2", {"t": CHANGES}, restored=restored) as h:
        h.push("+I a 5\n+I b 1")
        h.push("-U a 5\n+U a 7")
        h.push("-U a 7\n+U a 1")
        h.push("-U b 1\n+U b 9")
        h.push("-D a 1\n-D b 9")
        assert h.take() == rows("""
            +I a 5
            -D a 5
            +I a 7
            -D a 7
            +I b 9
            -D b 9
        """)


def test_having_lets_groups_in_and_out(restored: bool) -> None:
    sql = "SELECT k, COUNT(*) AS c FROM t GROUP BY k HAVING SUM(v) BETWEEN 3 AND 6"
    with harness(sql, {"t": INSERTS}, restored=restored) as h:
        h.push("+I a 1")
        assert h.take() == []
        h.push("+I a 3")
        assert h.take() == ["+I a 2"]
        h.push("+I a 2")
        assert h.take() == ["-U a 2", "+U a 3"]
        h.push("+I a 9")
        assert h.take() == ["-D a 3"]


def test_counts_of_counts(restored: bool) -> None:
    sql = "SELECT c, COUNT(*) AS n FROM (SELECT k, COUNT(*) AS c FROM t GROUP BY k) GROUP BY c"
    with harness(sql, {"t": INSERTS}, restored=restored) as h:
        h.push("+I a 1\n+I b 1")
        assert h.take() == ["+I 1 2"]
        h.push("+I a 1")
        assert sorted(h.take()) == rows("""
            +I 2 1
            +U 1 1
            -U 1 2
        """)
        h.push("+I b 1")
        assert sorted(h.take()) == rows("""
            +U 2 2
            -D 1 1
            -U 2 1
        """)


def test_the_greatest_of_updated_sums(restored: bool) -> None:
    """The maximum falls when the sum that held it does."""
    sql = "SELECT MAX(s) AS m, MIN(k) AS k FROM (SELECT k, SUM(v) AS s FROM t GROUP BY k)"
    with harness(sql, {"t": CHANGES}, restored=restored) as h:
        h.push("+I a 5\n+I b 3")
        h.push("+I a -4")
        h.push("-D b 3")
        h.push("-D a 5\n-D a -4")
        assert h.take() == rows("""
            +I 5 a
            -U 5 a
            +U 3 a
            -U 3 a
            +U 1 a
            -U 1 a
            +U null null
        """)


def test_a_change_that_cancels_below_shows_nothing_above(restored: bool) -> None:
    sql = "SELECT SUM(s) AS s, COUNT(*) AS c FROM (SELECT k, SUM(v) AS s FROM t GROUP BY k)"
    with harness(sql, {"t": CHANGES}, restored=restored) as h:
        h.push("+I a 5\n+I b 3")
        h.push("+I a 2\n+I b -2")
        assert h.take() == ["+I 8 2"]


def test_a_union_of_updating_tables(restored: bool) -> None:
    sql = "SELECT k, SUM(v) AS s FROM (SELECT k, v FROM t UNION ALL SELECT k, v FROM u) GROUP BY k"
    with harness(sql, {"t": CHANGES, "u": UPSERTS}, restored=restored) as h:
        h.push("+I a 5", "t")
        h.push("+I a 1", "u")
        h.push("+U a 2", "u")
        h.push("-D a 5", "t")
        h.push("-D a null", "u")
        assert h.take() == rows("""
            +I a 5
            -U a 5
            +U a 6
            -U a 6
            +U a 7
            -U a 7
            +U a 2
            -D a 2
        """)


def test_distinct_of_a_changelog(restored: bool) -> None:
    with harness("SELECT DISTINCT v FROM t", {"t": CHANGES}, restored=restored) as h:
        h.push("+I a 5\n+I b 5")
        h.push("-D a 5")
        h.push("-D b 5\n+I c null")
        assert h.take() == ["+I 5", "-D 5", "+I null"]


def test_upserts_are_normalized_where_their_old_rows_matter(restored: bool) -> None:
    with harness("SELECT v, COUNT(*) AS c FROM t GROUP BY v", {"t": UPSERTS}, restored=restored) as h:
        h.push("+I a 1\n+I b 1")
        h.push("+U a 2")
        assert sorted(h.take()) == rows("""
            +I 1 2
            +I 2 1
            +U 1 1
            -U 1 2
        """)


def test_rows_of_an_updating_query_come_with_both_sides(restored: bool) -> None:
    """A client without a key in sight is told which row goes."""
    with harness("SELECT v + 1 AS w FROM t", {"t": UPSERTS}, restored=restored) as h:
        h.push("+I a 1")
        h.push("+U a 2")
        assert h.take() == ["+I 2", "-D 2", "+I 3"]
