"""OVER aggregates: when rows leave, what is kept for later ones, what changes where rows may."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tests.harness import Table, harness
from tests.pretty import rows

K = "PARTITION BY k ORDER BY ts"
CHANGELOG = {"t": Table({"k": pa.string(), "v": pa.int32()}, mode="I,UB,UA,D")}
UPSERTS = {"t": Table({"k": pa.string(), "g": pa.string(), "v": pa.int32()}, mode="I,UA,D", key=("k",))}
CLOCKED = {"t": Table({"k": pa.string(), "v": pa.int32()}, proctime="pt")}


def test_rows_leave_with_the_watermark_and_in_order(restored: bool) -> None:
    with harness(f"SELECT k, v, SUM(v) OVER ({K}) AS s FROM t", restored=restored) as h:
        h.push("+I a 3 3000\n+I a 1 1000\n+I b 5 2000", watermark=2500)
        assert h.take() == ["+I a 1 1", "+I b 5 5"]
        h.push("+I a 2 2600\n+I a 9 2500\n+I a null 3500", watermark=3000)
        assert h.take() == ["+I a 2 3", "+I a 3 6"]
        assert h.metrics("OverAggregate").num_late_records_dropped == 1
        h.finish()
        assert h.take() == ["+I a null 6"]


def test_rows_of_one_time_are_taken_together_by_a_range_and_one_by_one_by_rows(restored: bool) -> None:
    sql = f"SELECT v, COUNT(*) OVER ({K}) AS a, COUNT(*) OVER ({K} ROWS UNBOUNDED PRECEDING) AS b FROM t"
    with harness(sql, restored=restored) as h:
        h.push("+I a 1 1000\n+I a 2 1000\n+I a 3 2000", watermark=1500)
        assert h.take() == ["+I 1 2 1", "+I 2 2 2"]
        h.push("+I a 4 2000", watermark=2000)
        assert h.take() == ["+I 3 4 3", "+I 4 4 4"]


@pytest.mark.parametrize(
    ("call", "kept"),
    [
        (f"COUNT(*) OVER ({K})", 0),
        (f"MAX(v) OVER ({K} ROWS UNBOUNDED PRECEDING)", 0),
        (f"SUM(v) OVER ({K} RANGE BETWEEN INTERVAL '2' SECOND PRECEDING AND CURRENT ROW)", 4),
        (f"SUM(v) OVER ({K} ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)", 6),
        (f"LAG(v) OVER ({K})", 2),
        (f"SUM(v) OVER ({K} ROWS BETWEEN CURRENT ROW AND CURRENT ROW)", 0),
        (f"AVG(v) OVER ({K})", 40),
    ],
)
def test_history_is_kept_as_far_back_as_the_frame_reads(call: str, kept: int) -> None:
    with harness(f"SELECT k, {call} AS x FROM t") as h:
        for i in range(20):
            h.push(f"+I a {i} {i * 1000}\n+I b {i} {i * 1000}", watermark=i * 1000)
        found = h.operator("OverAggregate").ctx.states
        assert ("history" in found) == (kept > 0 or "CURRENT ROW AND" in call)
        if "history" in found:
            assert found["history"].read().num_rows == kept
        assert found["waiting"].row_count == 0


def test_a_range_ends_exactly_at_its_bound(restored: bool) -> None:
    sql = "SELECT v, SUM(v) OVER (ORDER BY ts RANGE BETWEEN INTERVAL '2' SECOND PRECEDING AND CURRENT ROW) AS s FROM t"
    with harness(sql, restored=restored) as h:
        for v, time in ((1, 1000), (2, 2000), (4, 3000), (8, 3001), (16, 6000)):
            h.push(f"+I a {v} {time}", watermark=time)
        assert h.take() == ["+I 1 1", "+I 2 3", "+I 4 7", "+I 8 14", "+I 16 16"]


def test_a_range_before_there_is_a_watermark(restored: bool) -> None:
    sql = "SELECT v, SUM(v) OVER (ORDER BY ts RANGE BETWEEN INTERVAL '2' SECOND PRECEDING AND CURRENT ROW) AS s FROM t"
    with harness(sql, restored=restored) as h:
        h.push("+I a 1 1000")
        h.push("+I a 2 2000")
        assert h.take() == []
        h.watermark(2000)
        assert h.take() == ["+I 1 1", "+I 2 3"]


def test_by_the_clock_rows_leave_at_once(restored: bool) -> None:
    sql = (
        "SELECT v, SUM(v) OVER (PARTITION BY k ORDER BY pt) AS s,"
        " COUNT(*) OVER (ORDER BY pt RANGE BETWEEN INTERVAL '1' SECOND PRECEDING AND CURRENT ROW) AS n FROM t"
    )
    with harness(sql, CLOCKED, restored=restored) as h:
        h.push("+I a 1\n+I a 2\n+I b 5")
        assert h.take() == ["+I 1 1 3", "+I 2 3 3", "+I 5 5 3"]
        h.advance_time(1000)
        h.push("+I a 4")
        assert h.take() == ["+I 4 7 4"]
        h.advance_time(1)
        h.push("+I b 1")
        assert h.take() == ["+I 1 6 2"]


def test_a_row_changes_with_those_around_it(restored: bool) -> None:
    sql = (
        "SELECT k, v, SUM(v) OVER (PARTITION BY k) AS s, RANK() OVER (PARTITION BY k ORDER BY v) AS r FROM t"
    )
    with harness(sql, CHANGELOG, restored=restored) as h:
        h.push("+I a 1\n+I a 3\n+I b 7")
        assert h.take() == ["+I a 1 4 1", "+I a 3 4 2", "+I b 7 7 1"]
        h.push("-D a 1")
        assert sorted(h.take()) == ["+I a 3 3 1", "-D a 1 4 1", "-D a 3 4 2"]
        assert h.content("OverAggregate") == ["+I a 3 3 1", "+I b 7 7 1"]


def test_a_key_makes_updates(restored: bool) -> None:
    with harness("SELECT k, SUM(v) OVER (PARTITION BY g) AS s FROM t", UPSERTS, restored=restored) as h:
        h.push("+I a x 1\n+I b x 2\n+I c y 4")
        assert h.take() == ["+I a 3", "+I b 3", "+I c 4"]
        h.push("+I b y 2")
        assert sorted(h.take()) == rows("""
            +U a 1
            +U b 6
            +U c 6
            -U a 3
            -U b 3
            -U c 4
        """)


def test_lead_and_following_frames_wait_for_nothing_and_change(restored: bool) -> None:
    sql = f"SELECT v, LEAD(v) OVER ({K}) AS n FROM t"
    with harness(sql, restored=restored) as h:
        h.push("+I a 1 1000")
        assert h.take() == ["+I 1 null"]
        h.push("+I a 2 2000")
        assert sorted(h.take()) == ["+I 1 2", "+I 2 null", "-D 1 null"]
