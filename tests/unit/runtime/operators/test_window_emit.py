"""Windows that fire early and late: when their changes are shown, and when their state goes."""

from __future__ import annotations

import pyarrow as pa
import pytest

from streamsql.errors import ConfigError, UnsupportedError
from streamsql.planner.convert import PhysicalOptions
from streamsql.planner.emit import EmitStrategy
from tests.harness import Harness, Table, harness
from tests.pretty import rows

TUMBLE = """
    SELECT window_start, k, COUNT(*) AS c
    FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k
"""
SESSION = """
    SELECT window_start, window_end, COUNT(*) AS c
    FROM TABLE(SESSION(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end
"""
RETRACTING = {"t": Table({"k": pa.string(), "v": pa.int32(), "ts": pa.timestamp("ms")}, "ts", "I,UB,UA,D")}


def emitting(sql: str, restored: bool, tables: dict[str, Table] | None = None, **emit: int) -> Harness:
    options = PhysicalOptions(emit=EmitStrategy(**emit))
    return harness(sql, tables, restored=restored, options=options)


def test_early_values_come_at_an_interval_by_the_clock(restored: bool) -> None:
    """::

    clock    0    3      5    8        10
    rows     a    a b         a
    shown               a 2   b 1     a 3
    """
    with emitting(TUMBLE, restored, early=5000) as h:
        h.push("+I a 1 1000")
        assert h.take() == []
        h.advance_time(3000)
        h.push("+I b 1 1000\n+I a 1 1000")
        h.advance_time(2000)
        assert h.take() == ["+I 0 a 2"]
        h.advance_time(3000)
        assert h.take() == ["+I 0 b 1"]  # five seconds after its own first row
        h.push("+I a 1 1000")  # at 8 s: with the next interval of its group, at 10 s
        h.advance_time(1999)
        assert h.take() == []
        h.advance_time(1)
        assert h.take() == rows("""
            -U 0 a 2
            +U 0 a 3
        """)
        h.advance_time(60_000)
        assert h.take() == []  # nothing has changed
        h.push("+I a 1 1000")
        h.watermark(9999)
        assert h.take() == rows("""
            -U 0 a 3
            +U 0 a 4
        """)
        h.advance_time(60_000)
        assert h.take() == []
        assert not h.state_rows().keys() - {"GroupAggregate.flags"}


def test_groups_that_are_again_as_they_were_shown_are_not_sent(restored: bool) -> None:
    with emitting(TUMBLE, restored, RETRACTING, early=5000) as h:
        h.push("+I a 1 1000\n+I b 1 1000")
        h.push("-D b 1 1000")
        h.advance_time(5000)
        assert h.take() == ["+I 0 a 1"]
        h.push("+I a 2 1000")
        h.push("-D a 2 1000")
        h.advance_time(5000)
        assert h.take() == []
        h.push("-D a 1 1000")
        h.advance_time(5000)
        assert h.take() == ["-D 0 a 1"]


def test_late_rows_change_a_window_within_the_lateness(restored: bool) -> None:
    """::

    watermark   9999        29998       29999
    rows        a late: +U  a late: +U  a too late
    """
    with emitting(TUMBLE, restored, late=0, lateness=20_000) as h:
        h.push("+I a 1 1000")
        assert h.take() == []
        h.watermark(9999)
        assert h.take() == ["+I 0 a 1"]
        h.push("+I a 1 2000\n+I a 1 3000", watermark=29_998)
        h.push("+I b 1 2000")
        assert h.take() == rows("""
            -U 0 a 1
            +U 0 a 3
            +I 0 b 1
        """)
        assert h.metrics("GroupAggregate").num_late_records_dropped == 0
        h.watermark(29_999)
        h.push("+I a 1 2000")
        assert h.take() == []
        assert h.metrics("GroupAggregate").num_late_records_dropped == 1
        assert not h.state_rows().keys() - {"GroupAggregate.flags"}


def test_late_values_come_at_an_interval_and_at_last_when_the_window_goes(restored: bool) -> None:
    with emitting(TUMBLE, restored, early=0, late=5000, lateness=20_000) as h:
        h.push("+I a 1 1000")
        assert h.take() == ["+I 0 a 1"]
        h.watermark(9999)
        h.push("+I a 1 1000")
        h.advance_time(4999)
        assert h.take() == []
        h.advance_time(1)
        assert h.take() == rows("""
            -U 0 a 1
            +U 0 a 2
        """)
        h.push("+I a 1 1000")
        h.watermark(29_999)
        assert h.take() == rows("""
            -U 0 a 2
            +U 0 a 3
        """)
        assert not h.state_rows().keys() - {"GroupAggregate.flags"}


def test_a_window_that_is_gone_wakes_nobody(restored: bool) -> None:
    with emitting(TUMBLE, restored, early=5000) as h:
        h.push("+I a 1 1000\n+I b 1 11000")
        h.watermark(9999)
        h.advance_time(1000)
        h.push("+I c 1 12000")
        assert h._built.plan.graph.next_timer_ms() == 5000, "b"
        h.watermark(19_999)
        assert h._built.plan.graph.next_timer_ms() is None
        h.push("+I d 1 21000")
        assert h._built.plan.graph.next_timer_ms() == 6000


def test_sessions_grow_and_merge_in_sight(restored: bool) -> None:
    with emitting(SESSION, restored, early=0) as h:
        h.push("+I a 1 1000")
        h.push("+I a 1 9000")
        assert h.take() == rows("""
            +I 1000 6000 1
            +I 9000 14000 1
        """)
        h.push("+I a 1 5000")
        assert h.take() == rows("""
            -D 1000 6000 1
            -D 9000 14000 1
            +I 1000 14000 3
        """)
        h.watermark(13_999)
        h.push("+I a 1 8000")
        assert h.take() == []
        assert h.metrics("WindowTableFunction").num_late_records_dropped == 1
        assert set(h.state_rows()) <= {"GroupAggregate.flags", "WindowTableFunction.flags"}


def test_a_late_row_joins_sessions_that_were_complete(restored: bool) -> None:
    with emitting(SESSION, restored, late=0, lateness=20_000) as h:
        h.push("+I a 1 1000\n+I a 1 9000")
        h.watermark(7000)
        assert h.take() == ["+I 1000 6000 1"]
        h.push("+I a 1 5000")  # the session is open again: its end is at 14 s
        assert h.take() == ["-D 1000 6000 1"]
        h.watermark(13_999)
        assert h.take() == ["+I 1000 14000 3"]
        h.push("+I a 1 14500")
        h.push("+I a 1 13000", watermark=40_000)
        assert h.take() == rows("""
            -D 1000 14000 3
            +I 1000 19500 5
        """)
        assert not [n for n in h.state_rows() if n.endswith(("rows", "held", "keys"))]


def test_windows_of_the_clock_fire_early(restored: bool) -> None:
    tables = {"t": Table({"k": pa.string(), "v": pa.int32()}, proctime="p")}
    sql = TUMBLE.replace("DESCRIPTOR(ts)", "DESCRIPTOR(p)")
    with emitting(sql, restored, tables, early=3000, late=0, lateness=1000) as h:
        h.push("+I a 1")
        h.advance_time(3000)
        assert h.take() == ["+I 0 a 1"]
        h.advance_time(1000)
        h.push("+I a 1\n+I b 1")
        h.advance_time(2000)
        assert h.take() == rows("""
            -U 0 a 1
            +U 0 a 2
        """)
        h.push("+I a 1")
        h.advance_time(1000)
        assert h.take() == ["+I 0 b 1"]
        h.advance_time(3000)
        assert h.take() == rows("""
            -U 0 a 2
            +U 0 a 3
        """)


@pytest.mark.parametrize(
    ("emit", "message"),
    [
        ({"lateness": 5}, "'table.exec.emit.allow-lateness' has no effect without late firing"),
        ({"late": 0}, "needs to know how late rows may be"),
        ({"late": 0, "lateness": 0}, "needs to know how late rows may be"),
        ({"late": 7, "lateness": 5}, r"'table.exec.emit.late-fire.delay' \(7 ms\) is longer than"),
    ],
)
def test_options_that_do_not_go_together(emit: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        harness(TUMBLE, options=PhysicalOptions(emit=EmitStrategy(**emit)))


def test_without_a_lateness_the_time_to_live_is_it() -> None:
    with emitting(TUMBLE, False, late=0, ttl=20_000) as h:
        h.push("+I a 1 1000", watermark=29_998)
        h.push("+I a 1 1000")
        assert h.take()[-1] == "+U 0 a 2"


def test_rows_of_sessions_that_are_joined_cannot_fire_early() -> None:
    over = "COUNT(*) OVER (PARTITION BY window_start, window_end ORDER BY ts)"
    sql = SESSION.replace("TABLE(", f"(SELECT *, {over} AS n FROM TABLE(").replace("))", "))) AS s")
    with pytest.raises(UnsupportedError, match="a SESSION window cannot fire early or late where its rows"):
        emitting(sql, False, early=0)
