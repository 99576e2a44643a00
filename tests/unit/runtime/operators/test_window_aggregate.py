"""WindowAggregate: slices in, windows out when the watermark completes them; late and timeless rows counted."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pyarrow as pa
import pytest

from streamsql.planner.convert import PhysicalOptions
from streamsql.runtime.build import BuildOptions
from tests.harness import Table, harness
from tests.pretty import rows

HOP = """
    SELECT window_start, window_end, k, COUNT(*) AS c, SUM(v) AS s
    FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k
"""
TUMBLE = """
    SELECT window_start, k, COUNT(*) AS c, {calls}
    FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k
"""
CHANGELOG = {"t": Table({"k": pa.string(), "v": pa.int32(), "ts": pa.timestamp("ms")}, "ts", "I,UB,UA,D")}
DEFERRED = "LISTAGG(DISTINCT CAST(v AS STRING)) AS l"
"""A call that keeps the slice's rows."""


def test_hop_fires_each_window_once(restored: bool) -> None:
    """::

    rows     a1 a4    a7
    windows  [-5  5)
                [0   10)
                     [5  15)
    """
    with harness(HOP, restored=restored) as h:
        h.push("""
            +I a 1 1000
            +I a 4 4000
            +I a 7 7000
        """)
        h.watermark(4998)
        assert h.take() == []
        h.watermark(4999)
        assert h.take() == ["+I -5000 5000 a 2 5"]
        assert h.content("WindowAggregate") == rows("""
            +I 0 10000 a 3 12
            +I 5000 15000 a 1 7
        """)
        h.push("+I a 9 9000", watermark=9999)
        assert h.take() == ["+I 0 10000 a 4 21"]
        h.finish()
        assert h.take() == ["+I 5000 15000 a 2 16"]
        assert h.state_rows().keys() <= {"WindowAggregate.flags"}


def test_a_row_is_late_when_its_last_window_has_fired(restored: bool) -> None:
    """::

    wm 9999 ──▶ [0 10) has fired, [5 15) has not: a row at 4 s is late, one at 7 s is in the open window only.
    """
    with harness(HOP, restored=restored) as h:
        h.push("+I a 1 6000", watermark=9999)
        assert h.take() == rows("""
            +I 0 10000 a 1 1
        """)
        h.push("""
            +I a 10 4000
            +I b 20 4999
            +I a 40 7000
        """)
        assert h.metrics("WindowAggregate").num_late_records_dropped == 2
        h.finish()
        assert h.take() == ["+I 5000 15000 a 2 41"]


def test_rows_that_arrive_with_the_watermark_that_passes_them_count(restored: bool) -> None:
    """The watermark advances at the end of the step."""
    with harness(HOP, restored=restored) as h:
        h.push("+I a 1 1000", watermark=20_000)
        assert h.take() == rows("""
            +I -5000 5000  a 1 1
            +I 0     10000 a 1 1
        """)


def test_a_row_without_time_is_in_no_window(restored: bool) -> None:
    with harness(HOP, restored=restored) as h:
        h.push("""
            +I a 1 null
            +I a 2 1000
        """)
        assert h.metrics("WindowAggregate").num_null_time_dropped == 1
        h.finish()
        assert h.take() == rows("""
            +I -5000 5000  a 1 2
            +I 0     10000 a 1 2
        """)


@pytest.mark.parametrize("calls", ["MAX(v) AS m", DEFERRED])
def test_retractions_cancel_inside_the_window(restored: bool, calls: str) -> None:
    with harness(TUMBLE.format(calls=calls), CHANGELOG, restored=restored) as h:
        h.push("""
            +I a 1 1000
            +I a 9 2000
            +I b 3 3000
        """)
        h.push("""
            -D a 9 2000
            -D b 3 3000
        """)
        h.push("+I c 5 9999", watermark=9999)
        assert h.take() == rows("""
            +I 0 a 1 1
            +I 0 c 1 5
        """)
        assert h.state_rows().keys() <= {"WindowAggregate.flags"}


def test_many_small_steps_are_merged(restored: bool) -> None:
    """A slice holds about as many rows as it has keys, however many steps there were."""
    if restored:
        pytest.skip("slow; the other half covers what is new here")
    with harness(TUMBLE.format(calls="SUM(v) AS s")) as h:
        text = "\n".join(f"+I k{i} 1 {i}" for i in range(300))
        for _ in range(60):
            h.push(text)
        assert h.state_rows()["WindowAggregate.slices"] < 9000
        h.finish()
        assert h.take()[0] == "+I 0 k0 60 60"


def test_first_and_last_value_go_by_arrival_across_steps_and_slices(restored: bool) -> None:
    sql = HOP.replace("SUM(v) AS s", "FIRST_VALUE(v) AS f, LAST_VALUE(v) AS l")
    with harness(sql, restored=restored) as h:
        h.push("+I a 7 6000")
        h.push("+I a 1 1000")
        h.push("+I a 8 8000")
        h.push("+I a 3 3000")
        h.finish()
        assert h.take() == rows("""
            +I -5000 5000  a 2 1 3
            +I 0     10000 a 4 7 3
            +I 5000  15000 a 2 7 8
        """)


def test_cumulate_grows_and_starts_anew(restored: bool) -> None:
    sql = """
        SELECT window_start, window_end, SUM(v) AS s
        FROM TABLE(CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)) GROUP BY window_start, window_end
    """
    with harness(sql, restored=restored) as h:
        h.push("""
            +I a 1  1000
            +I a 2  6000
            +I a 4 15000
        """)
        h.watermark(9999)
        assert h.take() == rows("""
            +I 0 5000  1
            +I 0 10000 3
        """)
        h.push(
            "+I a 8 2000"
        )  # of a window that is still open, by way of a slice whose first windows have fired
        h.finish()
        assert h.take() == rows("""
            +I 0     15000 11
            +I 15000 20000 4
            +I 15000 25000 4
            +I 15000 30000 4
        """)


CASCADE = f"""
    SELECT window_start, window_end, SUM(c) AS c FROM ({HOP})
    GROUP BY window_start, window_end
"""


def test_an_aggregate_over_windows_fires_with_them(restored: bool) -> None:
    with harness(CASCADE, restored=restored) as h:
        h.push("""
            +I a 1 1000
            +I b 1 2000
            +I b 1 7000
        """)
        h.watermark(4999)
        assert h.take() == ["+I -5000 5000 2"]
        h.watermark(9999)
        assert h.take() == ["+I 0 10000 3"]
        h.finish()
        assert h.take() == ["+I 5000 15000 1"]


LTZ = {"t": Table({"k": pa.string(), "v": pa.int32(), "ts": pa.timestamp("ms", "UTC")}, "ts")}
H = 3_600_000


@pytest.mark.parametrize(("zone", "hours"), [("Asia/Shanghai", 8), ("America/New_York", -5)])
def test_windows_of_a_zone_start_at_its_midnight(restored: bool, zone: str, hours: int) -> None:
    """A day there begins ``hours`` before it does in UTC; window columns are wall-clock, window_time is the instant."""
    day = """
        SELECT window_start, window_end, window_time, k, COUNT(*) AS c
        FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' DAY)) GROUP BY window_start, window_end, window_time, k
    """
    over = f"SELECT window_start, SUM(c) AS c FROM ({day}) GROUP BY window_start, window_end"
    end = (24 - hours) * H
    options = {
        "options": PhysicalOptions(time_zone=zone),
        "build_options": BuildOptions(time_zone=zone, threads=1),
    }
    for sql, line in ((day, f"+I 0 {24 * H} {end - 1} a 2"), (over, "+I 0 2")):
        with harness(sql, LTZ, restored=restored, **options) as h:
            h.push(f"""
                +I a 1 {-hours * H}
                +I a 2 {end - 1}
                +I a 4 {end}
            """)
            h.watermark(end - 2)
            assert h.take() == []
            h.watermark(end - 1)
            assert h.take() == [line]


PROCTIME = {"t": Table({"k": pa.string(), "v": pa.int32()}, proctime="pt")}
BY_CLOCK = """
    SELECT window_start, window_end, k, COUNT(*) AS c
    FROM TABLE({window}(TABLE t{by}, DESCRIPTOR(pt), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k
"""


def test_processing_time_windows_fire_by_the_clock(restored: bool) -> None:
    with harness(BY_CLOCK.format(window="TUMBLE", by=""), PROCTIME, restored=restored, now_ms=1000) as h:
        h.push("+I a 1")
        h.advance_time(8000)
        h.push("+I a 2")
        h.advance_time(999)
        assert h.take() == []
        h.advance_time(1)
        assert h.take() == ["+I 0 10000 a 2"]
        h.push("+I b 1")
        h.advance_time(60_000)
        assert h.take() == ["+I 10000 20000 b 1"]


def test_an_aggregate_over_processing_time_windows_fires_with_them(restored: bool) -> None:
    inner = BY_CLOCK.format(window="TUMBLE", by="")
    sql = f"SELECT window_start, COUNT(*) AS n, SUM(c) AS c FROM ({inner}) GROUP BY window_start, window_end"
    with harness(sql, PROCTIME, restored=restored, now_ms=1000) as h:
        h.push("+I a 1\n+I b 2\n+I a 3")
        h.advance_time(9000)
        assert h.take() == ["+I 0 2 3"]


def test_processing_time_sessions_end_a_gap_after_the_last_row(restored: bool) -> None:
    sql = BY_CLOCK.format(window="SESSION", by=" PARTITION BY k")
    with harness(sql, PROCTIME, restored=restored, now_ms=1000) as h:
        h.push("+I a 1")
        h.advance_time(6000)
        h.push("+I a 2\n+I b 2")
        h.advance_time(4000)
        assert h.take() == []
        h.advance_time(6000)
        assert sorted(h.take()) == rows("""
            +I 1000 17000 a 2
            +I 7000 17000 b 1
        """)
        assert h.state_rows().keys() <= {"WindowAggregate.flags"}
