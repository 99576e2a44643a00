"""TopN, Limit, sorts, deduplication and ranks in windows: what each step emits, and what is kept."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pyarrow as pa
import pytest

from streamsql.runtime.operators import window_rank
from tests.harness import Table, harness
from tests.pretty import rows

CHANGELOG = {"t": Table({"k": pa.string(), "v": pa.int32()}, mode="I,UB,UA,D")}
UPSERTS = {"t": Table({"k": pa.string(), "v": pa.int32()}, mode="I,UA,D", key=("k",))}
CLOCKED = {"t": Table({"k": pa.string(), "v": pa.int32()}, proctime="pt")}


def top(
    function: str, order: str, condition: str, shown: str = "k, v, rn", partition: str = "PARTITION BY k"
) -> str:
    return f"SELECT {shown} FROM (SELECT *, {function}() OVER ({partition} ORDER BY {order}) AS rn FROM t) WHERE {condition}"


def test_with_the_rank_every_row_that_shifts_is_emitted(restored: bool) -> None:
    with harness(top("ROW_NUMBER", "v DESC", "rn <= 2"), restored=restored) as h:
        h.push("+I a 1 0\n+I a 3 0\n+I b 7 0\n+I a 2 0")
        assert h.take() == rows("""
            +I a 3 1
            +I a 2 2
            +I b 7 1
        """)
        h.push("+I a 5 0\n+I b null 0")
        assert h.take() == rows("""
            -U a 3 1
            +U a 5 1
            -U a 2 2
            +U a 3 2
            +I b null 2
        """)
        h.push("+I a 1 0")
        assert h.take() == []
        assert h.content("Rank") == ["+I a 3 2", "+I a 5 1", "+I b 7 1", "+I b null 2"]


def test_without_the_rank_rows_enter_and_leave(restored: bool) -> None:
    with harness(top("ROW_NUMBER", "v", "rn <= 2", "k, v"), restored=restored) as h:
        h.push("+I a 1 0\n+I a 3 0")
        assert h.take() == ["+I a 1", "+I a 3"]
        h.push("+I a 2 0")
        assert h.take() == ["-D a 3", "+I a 2"]
        h.push("+I a null 0")
        assert h.take() == ["-D a 2", "+I a null"]


def test_the_best_is_updated(restored: bool) -> None:
    with harness(top("ROW_NUMBER", "v DESC", "rn = 1"), restored=restored) as h:
        h.push("+I a 1 0")
        h.push("+I a 1 1")
        h.push("+I a 4 2\n+I a 3 3")
        assert h.take() == ["+I a 1 1", "-U a 1 1", "+U a 4 1"]


def test_only_the_rows_up_to_the_rank_are_kept() -> None:
    with harness(top("ROW_NUMBER", "v DESC", "rn <= 2", "v")) as h:
        for i in range(50):
            h.push(f"+I a {i} 0\n+I b {-i} 0")
        h.snapshot_and_restore()
        assert len(h.content("Rank")) == 4
        live = h.operator("Rank").ctx.states["rows"].read().num_rows
        assert live == 4


def test_rows_that_rank_equal_are_kept_together(restored: bool) -> None:
    with harness(top("RANK", "v DESC", "rn <= 2"), restored=restored) as h:
        h.push("+I a 5 0\n+I a 4 0\n+I a 4 0\n+I a 3 0")
        assert h.take() == ["+I a 5 1", "+I a 4 2", "+I a 4 2"]
        h.push("+I a 5 0")
        assert sorted(h.take()) == ["+I a 5 1", "-D a 4 2", "-D a 4 2"]
    with harness(top("DENSE_RANK", "v DESC", "rn <= 2", "v, rn"), restored=restored) as h:
        h.push("+I a 5 0\n+I a 4 0\n+I a 5 0\n+I a 3 0")
        assert h.take() == ["+I 5 1", "+I 5 1", "+I 4 2"]
        h.push("+I a 6 0")
        assert sorted(h.take()) == ["+I 5 2", "+I 5 2", "+I 6 1", "-D 4 2", "-D 5 1", "-D 5 1"]


def test_a_row_taken_back_makes_room(restored: bool) -> None:
    with harness(top("ROW_NUMBER", "v DESC", "rn <= 2"), CHANGELOG, restored=restored) as h:
        h.push("+I a 5\n+I a 4\n+I a 3\n+I b 1")
        assert h.take() == ["+I a 5 1", "+I a 4 2", "+I b 1 1"]
        h.push("-D a 5")
        assert h.take() == ["-U a 5 1", "+U a 4 1", "-U a 4 2", "+U a 3 2"]
        h.push("-D a 3\n-D b 1")
        assert h.take() == ["-D a 3 2", "-D b 1 1"]
        assert h.content("Rank") == ["+I a 4 1"]


def test_the_key_of_the_input_is_the_key_of_the_best(restored: bool) -> None:
    sql = "SELECT k, v FROM t ORDER BY v DESC LIMIT 2"
    with harness(sql, UPSERTS, restored=restored) as h:
        h.push("+I a 5\n+I b 4\n+I c 3")
        assert h.take() == ["+I a 5", "+I b 4"]
        h.push("+I a 1")
        assert h.take() == ["-D a 5", "+I c 3"]
        h.push("+I c 9")
        assert h.take() == ["-U c 3", "+U c 9"]
        h.push("-D b 0")
        assert h.take() == ["-D b 4", "+I a 1"]


def test_a_limit_passes_the_first_rows_and_wants_no_more(restored: bool) -> None:
    with harness("SELECT k, v FROM t LIMIT 3 OFFSET 1", restored=restored) as h:
        h.push("+I a 1 0\n+I b 2 0")
        assert h.take() == ["+I b 2"]
        assert not h.operator("Limit").satisfied
        h.push("+I c 3 0\n+I d 4 0\n+I e 5 0")
        assert h.take() == ["+I c 3", "+I d 4"]
        assert h.operator("Limit").satisfied
        h.push("+I f 6 0")
        assert h.take() == []


def test_what_follows_a_limit_is_completed_by_it(restored: bool) -> None:
    sql = "SELECT window_end, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE (SELECT * FROM t LIMIT 2), DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end"
    with harness(sql, restored=restored) as h:
        h.push("+I a 1 0")
        assert h.take() == []
        h.push("+I b 2 1\n+I c 3 2")
        assert h.take() == ["+I 5000 2"]


def test_a_limit_of_a_changelog_refills(restored: bool) -> None:
    with harness("SELECT k, v FROM t LIMIT 2", CHANGELOG, restored=restored) as h:
        h.push("+I a 1\n+I b 2\n+I c 3")
        assert h.take() == ["+I a 1", "+I b 2"]
        h.push("-D a 1")
        assert h.take() == ["-D a 1", "+I c 3"]


def test_a_sort_by_time_waits_for_the_watermark(restored: bool) -> None:
    with harness("SELECT v, ts FROM t ORDER BY ts, v", restored=restored) as h:
        h.push("+I a 3 2000\n+I a 1 1000\n+I a 2 2000", watermark=1500)
        assert h.take() == ["+I 1 1000"]
        h.push("+I a 9 1400\n+I a 0 1700", watermark=2000)
        assert h.take() == ["+I 0 1700", "+I 2 2000", "+I 3 2000"]
        assert h.metrics("TemporalSort").num_late_records_dropped == 1
        assert h.state_rows() == {}


def test_a_sort_by_the_clock_orders_each_step(restored: bool) -> None:
    with harness("SELECT k, v FROM t ORDER BY pt, v DESC", CLOCKED, restored=restored) as h:
        h.push("+I a 1\n+I b 3\n+I c 2")
        h.push("+I d 9")
        assert h.take() == ["+I b 3", "+I c 2", "+I a 1", "+I d 9"]


# -- deduplication -------------------------------------------------------------------------------------------------
def test_the_first_by_time_waits_for_the_watermark(restored: bool) -> None:
    with harness(top("ROW_NUMBER", "ts", "rn = 1", "k, v"), restored=restored) as h:
        h.push("+I a 1 3000\n+I b 2 2000")
        h.push("+I a 3 1000")
        assert h.take() == []
        h.watermark(2000)
        assert h.take() == ["+I a 3", "+I b 2"]
        h.push("+I a 4 5000\n+I c 5 4000\n+I c 6 1500", watermark=9000)
        assert h.take() == ["+I c 5"]
        assert h.metrics("Deduplicate").num_late_records_dropped == 1
        assert h.state_rows() == {"Deduplicate.keys": 3}


def test_the_last_by_time_is_not_replaced_by_an_older_row(restored: bool) -> None:
    with harness(top("ROW_NUMBER", "ts DESC", "rn = 1", "k, v"), restored=restored) as h:
        h.push("+I a 1 3000\n+I a 2 2000\n+I b 3 1000")
        assert h.take() == ["+I a 1", "+I b 3"]
        h.push("+I a 4 2999")
        assert h.take() == []
        h.push("+I a 5 3000")
        assert h.take() == ["-U a 1", "+U a 5"]
        assert h.content("Deduplicate") == ["+I a 5 3000", "+I b 3 1000"]


def test_by_the_clock_the_first_is_out_at_once_and_the_last_replaces(restored: bool) -> None:
    with harness(top("ROW_NUMBER", "pt", "rn = 1", "k, v"), CLOCKED, restored=restored) as h:
        h.push("+I a 1\n+I a 2\n+I null 3")
        h.push("+I a 4\n+I null 5")
        assert h.take() == ["+I a 1", "+I null 3"]
    with harness(top("ROW_NUMBER", "pt DESC", "rn = 1", "k, v"), CLOCKED, restored=restored) as h:
        h.push("+I a 1\n+I a 2\n+I null 3")
        h.push("+I a 4")
        assert h.take() == ["+I a 2", "+I null 3", "-U a 2", "+U a 4"]


# -- windows -------------------------------------------------------------------------------------------------------
WINDOWED = """
    SELECT window_end, k, v, rn FROM (
      SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY v DESC) AS rn
      FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR({time}), INTERVAL '5' SECOND))) WHERE rn <= 2
"""


def test_a_window_is_ranked_when_it_is_complete(restored: bool) -> None:
    with harness(WINDOWED.format(time="ts"), restored=restored) as h:
        h.push("+I a 1 1000\n+I b 2 2000\n+I c 3 3000\n+I d 4 6000", watermark=4998)
        assert h.take() == []
        h.watermark(4999)
        assert h.take() == ["+I 5000 c 3 1", "+I 5000 b 2 2"]
        h.push("+I e 9 4000")
        assert h.metrics("WindowRank").num_late_records_dropped == 1
        h.finish()
        assert h.take() == ["+I 10000 d 4 1"]
        assert h.operator("WindowRank").ctx.states["rows"].row_count == 0


def test_an_open_window_keeps_little_more_than_its_best(
    restored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_rank, "COMPACT_ROWS_MIN", 3)
    with harness(WINDOWED.format(time="ts"), restored=restored) as h:
        for i in range(20):
            h.push(f"+I a {i % 7} {i}\n+I b {i % 5} {i}")
        assert h.operator("WindowRank").ctx.states["rows"].row_count <= 8
        h.finish()
        assert h.take() == ["+I 5000 a 6 1", "+I 5000 a 6 2"]


def test_a_late_row_after_a_window_that_had_many(restored: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_rank, "COMPACT_ROWS_MIN", 3)
    by_key = WINDOWED.replace("window_end ORDER", "window_end, k ORDER")
    with harness(by_key.format(time="ts"), restored=restored) as h:
        many = "\n".join(f"+I {k} 1 1000" for k in "abcd")
        h.push(many)  # ranked at once
        h.push(many, watermark=5000)  # not yet ranked when the window is complete
        assert len(h.take()) == 8
        h.push("+I a 9 1000")
        assert h.metrics("WindowRank").num_late_records_dropped == 1
        h.push("+I b 1 6000\n+I a 9 2000", watermark=10_000)
        assert h.take() == ["+I 10000 b 1 1"]


def test_rows_that_windows_leave_behind_are_ranked_again(
    restored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window that is complete in every step does not put the ranking off for the open ones."""
    monkeypatch.setattr(window_rank, "COMPACT_ROWS_MIN", 3)
    hop = WINDOWED.replace("TUMBLE", "HOP").replace("'5' SECOND", "'1' SECOND, INTERVAL '100' SECOND")
    with harness(hop.format(time="ts"), restored=restored) as h:
        for i in range(12):
            h.push(f"+I a {i} {i * 1000}\n+I b {i} {i * 1000}", watermark=i * 1000)
        assert h.operator("WindowRank").ctx.states["rows"].row_count < 600  # of 2 400


def test_a_window_of_the_clock_is_ranked_by_the_clock(restored: bool) -> None:
    with harness(WINDOWED.format(time="pt"), CLOCKED, restored=restored) as h:
        h.push("+I a 1\n+I b 2\n+I c 3")
        h.advance_time(4999)
        assert h.take() == []
        h.advance_time(1)
        assert h.take() == ["+I 5000 c 3 1", "+I 5000 b 2 2"]
