"""GroupAggregate: one change per touched group and step, state freed with the last row."""

from __future__ import annotations

import pyarrow as pa

from streamsql.planner.convert import PhysicalOptions
from streamsql.planner.emit import EmitStrategy
from tests.harness import Table, harness
from tests.pretty import rows

CHANGELOG = {"t": Table({"k": pa.string(), "v": pa.int32()}, mode="I,UB,UA,D")}


def test_a_group_is_new_then_changed_then_unchanged(restored: bool) -> None:
    with harness("SELECT k, COUNT(*) AS c, MAX(v) AS m FROM t GROUP BY k", restored=restored) as h:
        h.push("""
            +I a 1 1000
            +I b 2 1000
            +I a 5 1000
        """)
        assert h.take() == rows("""
            +I a 2 5
            +I b 1 2
        """)
        h.push("+I a 3 2000")
        assert h.take() == rows("""
            -U a 2 5
            +U a 3 5
        """)
    with harness("SELECT k, MAX(v) AS m FROM t GROUP BY k", restored=restored) as h:
        h.push("+I a 5 1000")
        h.push("+I a 3 2000")
        assert h.take() == ["+I a 5"]


def test_null_is_a_key(restored: bool) -> None:
    with harness("SELECT k, SUM(v) AS s FROM t GROUP BY k", restored=restored) as h:
        h.push("+I null 1 1000")
        h.push("""
            +I null    2 1000
            +I ''      4 1000
            +I null null 1000
        """)
        assert h.take() == rows("""
            +I null 1
            -U null 1
            +U null 3
            +I ''   4
        """)
        assert h.content("GroupAggregate") == rows("+I '' 4\n+I null 3")


def test_values_that_are_all_null(restored: bool) -> None:
    sql = (
        "SELECT k, SUM(v) AS s, AVG(v) AS a, MIN(v) AS m, COUNT(v) AS c, LAST_VALUE(v) AS l FROM t GROUP BY k"
    )
    with harness(sql, restored=restored) as h:
        h.push("+I a null 1000")
        h.push("+I a -7 1000")
        h.push("+I a null 1000")
        assert h.take() == rows("""
            +I a null null null 0 null
            -U a null null null 0 null
            +U a -7 -7 -7 1 -7
        """)


def test_retractions_down_to_nothing_free_the_group(restored: bool) -> None:
    sql = "SELECT k, COUNT(*) AS c, SUM(v) AS s, COUNT(DISTINCT v) AS d FROM t GROUP BY k"
    with harness(sql, CHANGELOG, restored=restored) as h:
        h.push("""
            +I a 1
            +I a 1
            +I b 2
        """)
        assert h.take() == rows("""
            +I a 2 2 1
            +I b 1 2 1
        """)
        h.push("-D a 1")
        h.push("""
            -D a 1
            -U b 2
            +U b 3
        """)
        assert h.take() == rows("""
            -U a 2 2 1
            +U a 1 1 1
            -D a 1 1 1
            -U b 1 2 1
            +U b 1 3 1
        """)
        h.push("-D b 3")
        assert h.take() == ["-D b 1 3 1"]
        assert h.state_rows() == {}
        h.push("+I a 9")  # a slot that was freed holds nothing of the old group
        assert h.take() == ["+I a 1 9 1"]


def test_what_comes_and_goes_within_a_step_is_not_shown(restored: bool) -> None:
    with harness("SELECT k, SUM(v) AS s FROM t GROUP BY k", CHANGELOG, restored=restored) as h:
        h.push("""
            +I a 1
            -D a 1
        """)
        h.push("""
            +I b 1
            -U b 1
            +U b 2
        """)
        assert h.take() == ["+I b 2"]
        assert set(h.state_rows().values()) == {1}


def test_a_retraction_of_an_unknown_group_is_ignored(restored: bool) -> None:
    """As in Flink: a changelog read from the middle deletes rows whose insertion nobody saw."""
    with harness("SELECT k, COUNT(*) AS c, SUM(v) AS s FROM t GROUP BY k", CHANGELOG, restored=restored) as h:
        h.push("-D a 1")
        assert h.take() == []
        assert h.state_rows() == {}
        h.push("+I a 1")
        assert h.take() == ["+I a 1 1"]


def test_the_global_aggregate_has_a_row_from_its_first_input_on(restored: bool) -> None:
    with harness("SELECT COUNT(*) AS c, SUM(v) AS s FROM t", CHANGELOG, restored=restored) as h:
        h.push("+I a 1")
        h.push("-D a 1")
        h.push("+I b 2")
        assert h.take() == rows("""
            +I 1 1
            -U 1 1
            +U 0 null
            -U 0 null
            +U 1 2
        """)
        h.finish()
        assert h.take() == []


def test_the_global_aggregate_of_nothing_comes_at_the_end(restored: bool) -> None:
    with harness("SELECT COUNT(*) AS c, MAX(v) AS m FROM t WHERE v > 100", restored=restored) as h:
        h.push("+I a 1 1000", watermark=1000)
        assert h.take() == []
        h.finish()
        assert h.take() == ["+I 0 null"]


def test_distinct_counts_a_value_once_while_it_has_copies(restored: bool) -> None:
    calls = "COUNT(DISTINCT v) AS c, SUM(DISTINCT v) AS s, COUNT(DISTINCT v) FILTER (WHERE v > 1) AS f"
    sql = f"SELECT k, {calls} FROM t GROUP BY k"
    with harness(sql, CHANGELOG, restored=restored) as h:
        h.push("""
            +I a 1
            +I a 1
            +I a 2
            +I a null
        """)
        h.push("-D a 1")
        h.push("-D a 1")
        assert h.take() == rows("""
            +I a 2 3 1
            -U a 2 3 1
            +U a 1 2 1
        """)


def test_first_and_last_go_by_arrival(restored: bool) -> None:
    with harness(
        "SELECT k, FIRST_VALUE(v) AS f, LAST_VALUE(v) AS l FROM t GROUP BY k", restored=restored
    ) as h:
        h.push("""
            +I a null 1000
            +I a 3    9000
            +I a 2    1000
        """)
        h.push("+I a null 0")
        h.push("+I a 8 0")
        assert h.take() == rows("""
            +I a 3 2
            -U a 3 2
            +U a 3 8
        """)


EARLY = """
    SELECT window_start, k, COUNT(*) AS c, COUNT(DISTINCT v) AS d
    FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k
"""


def test_windows_that_fire_early_are_freed_by_the_watermark(restored: bool) -> None:
    """::

    rows   1 a    2 a          12 b      5 a late
    wm          0        9999
    """
    with harness(EARLY, restored=restored, options=PhysicalOptions(emit=EmitStrategy(early=0))) as h:
        h.push("+I a 1 1000", watermark=0)
        h.push("+I a 1 2000")
        assert h.take() == rows("""
            +I 0 a 1 1
            -U 0 a 1 1
            +U 0 a 2 1
        """)
        h.push("+I b 7 12000", watermark=9999)
        h.push("+I a 1 5000")
        assert h.take() == ["+I 10000 b 1 1"]
        assert h.metrics("GroupAggregate").num_late_records_dropped == 1
        h.finish()
        assert h.take() == []
        assert h.state_rows() == {}


def test_a_window_that_emptied_early_does_not_free_its_successor(restored: bool) -> None:
    """The slot of an emptied group may serve another window by the time the first window ends."""
    tables = {"t": Table({"k": pa.string(), "v": pa.int32(), "ts": pa.timestamp("ms")}, "ts", "I,UB,UA,D")}
    with harness(EARLY, tables, restored=restored, options=PhysicalOptions(emit=EmitStrategy(early=0))) as h:
        h.push("+I a 1 1000")
        h.push("-D a 1 1000")
        h.push("+I a 1 11000")
        h.take()
        h.watermark(9999)
        h.push("+I a 2 11000")
        assert h.take() == rows("""
            -U 10000 a 1 1
            +U 10000 a 2 2
        """)


def test_an_empty_table_is_computed_by_one_query(restored: bool) -> None:
    """Of rows that come and go."""
    with harness("SELECT ARRAY_AGG(v) AS a, COUNT(*) AS c FROM t", CHANGELOG, restored=restored) as h:
        bound: set[int] = set()
        for _ in range(3):
            h.push("+I a 1")
            h.push("-D a 1")
            bound.add(len(h.operator("GroupAggregate").ctx.engine._fragments))
        assert h.take()[-2:] == ["-U [1] 1", "+U null 0"]
        assert len(bound) == 1
