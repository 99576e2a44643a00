"""Time by hand: processing time, watermarks, idle splits; looking waits for the jobs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace

import pytest

from streamsql.errors import JobError, ValidationError
from streamsql.runtime.checkpoint.recovery import CheckpointSetup
from streamsql.session import TableEnvironment
from streamsql.testing import VirtualClock, assert_changelog, sink_table, source_table
from streamsql.testing import clock as module
from streamsql.testing.crashes import CrashError

DDL = "CREATE TABLE {} (k STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)"
COUNTS = """
    INSERT INTO s SELECT window_start, k, COUNT(*)
    FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k
"""


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def env(clock: VirtualClock) -> Iterator[TableEnvironment]:
    with clock.environment() as env:
        yield env


def at(second: float) -> dt.datetime:
    return dt.datetime(2024, 1, 1) + dt.timedelta(seconds=second)


def test_watermarks_by_hand(env: TableEnvironment, clock: VirtualClock) -> None:
    t = source_table(env, DDL.format("t"), bounded=False)
    sink = sink_table(env, "CREATE TABLE s (w TIMESTAMP(3), k STRING, n BIGINT)")
    result = env.execute_sql(COUNTS)
    t.add(("+I", "a", at(1)), ("+I", "a", at(2)))
    assert sink.changelog() == []
    t.advance_watermark(at(9.999))
    assert_changelog(sink, "+I 2024-01-01 00:00:00 a 2")
    t.add(("+I", "late", at(3)), ("+I", "b", at(12)))
    clock.advance_watermark(at(30), table="t")
    assert_changelog(sink, "+I 2024-01-01 00:00:00 a 2\n+I 2024-01-01 00:00:10 b 1")
    assert result.job is not None
    assert result.job.metrics().late_records_dropped == 1
    t.finish()
    assert result.wait(10)
    with pytest.raises(ValidationError, match="finished"):
        t.add(("+I", "c", at(50)))
    with pytest.raises(ValidationError, match="finished"):
        t.advance_watermark(at(60))


def test_an_idle_split_holds_nobody_back(env: TableEnvironment, clock: VirtualClock) -> None:
    t = source_table(env, DDL.format("t"), bounded=False, splits=["left", "right"])
    sink = sink_table(env, "CREATE TABLE s (w TIMESTAMP(3), k STRING, n BIGINT)")
    env.execute_sql(COUNTS)
    t.add(("+I", "a", at(1)), ("+I", "a", at(11)), split="left")
    assert sink.changelog() == [], "nothing is known of the other split"
    clock.idle("right")
    assert_changelog(sink, "+I 2024-01-01 00:00:00 a 1")
    t.add(("+I", "a", at(12)), split="right")
    t.add(("+I", "a", at(30)), split="left")
    assert len(sink.changelog()) == 1, "with rows it holds the watermark again"
    t.advance_watermark(at(20), split="right")
    assert len(sink.changelog()) == 2
    with pytest.raises(ValidationError, match="no split 'top'"):
        t.idle("top")
    with pytest.raises(ValidationError, match="split 'top'"):
        clock.idle("top")


def test_rows_are_dealt_to_the_splits(env: TableEnvironment) -> None:
    rows = [("+I", "a", at(1)), ("+I", "a", at(50)), ("+I", "a", at(2)), ("+I", "a", at(60))]
    source_table(env, DDL.format("t"), rows, splits=["left", "right"])
    sink = sink_table(env, "CREATE TABLE s (w TIMESTAMP(3), k STRING, n BIGINT)")
    env.execute_sql(COUNTS).wait()
    assert [row.n for row in sink.changelog()] == [2, 1, 1], "no row was late: each split has its own order"


def test_the_idle_timeout_follows_the_clock(env: TableEnvironment, clock: VirtualClock) -> None:
    env.execute_sql("SET 'table.exec.source.idle-timeout' = '5 s'")
    t = source_table(env, DDL.format("t"), bounded=False, splits=["left", "right"])
    sink = sink_table(env, "CREATE TABLE s (w TIMESTAMP(3), k STRING, n BIGINT)")
    env.execute_sql(COUNTS)
    clock.advance_time(4_000)
    t.add(("+I", "a", at(1)), ("+I", "a", at(11)), split="left")
    assert sink.changelog() == []
    clock.advance_time(dt.timedelta(seconds=1))
    assert_changelog(sink, "+I 2024-01-01 00:00:00 a 1")


def test_processing_time_stands_still(env: TableEnvironment, clock: VirtualClock) -> None:
    t = source_table(env, "CREATE TABLE t (k STRING)", bounded=False)
    sink = sink_table(env, "CREATE TABLE s (k STRING, at TIMESTAMP_LTZ(3))")
    env.execute_sql("INSERT INTO s SELECT k, PROCTIME() FROM t")
    t.add(("+I", "a"))
    clock.advance_time(1_500)
    t.add(("+I", "b"))
    assert_changelog(sink, "+I a 2024-01-01T00:00:00Z\n+I b 2024-01-01T00:00:01.500Z")
    assert clock.now_ms == clock() == 1_704_067_201_500


def test_timers_fire_on_the_way(env: TableEnvironment, clock: VirtualClock) -> None:
    t = source_table(env, "CREATE TABLE t (k STRING, p AS PROCTIME())", bounded=False)
    sink = sink_table(env, "CREATE TABLE s (w TIMESTAMP_LTZ(3), n BIGINT)")
    env.execute_sql(
        """INSERT INTO s SELECT window_start, COUNT(*)
           FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(p), INTERVAL '10' SECOND)) GROUP BY window_start, window_end"""
    )
    t.add(("+I", "a"), ("+I", "b"))
    clock.advance_time(9_999)
    assert sink.changelog() == []
    clock.advance_time(1)
    assert [row.n for row in sink.changelog()] == [2]
    t.add(("+I", "a"))
    clock.advance_time(3_600_000)
    assert_changelog(sink, "+I 2024-01-01T00:00:00Z 2\n+I 2024-01-01T00:00:10Z 1")


def test_a_session_can_get_a_clock_later() -> None:
    with TableEnvironment() as env:
        clock = VirtualClock(env, start=at(0))
        t = source_table(env, DDL.format("t"), bounded=False)
        sink = sink_table(env, "CREATE TABLE s (k STRING, at TIMESTAMP_LTZ(3))")
        env.execute_sql("INSERT INTO s SELECT k, PROCTIME() FROM t")
        t.add(("+I", "a", at(5)))
        clock.advance_time(10)
        t.add(("+I", "b", at(6)))
        assert_changelog(sink, "+I a 1704067200000\n+I b 1704067200010")


def test_jobs_that_read_what_others_write(env: TableEnvironment) -> None:
    t = source_table(env, "CREATE TABLE t (v INT)", bounded=False)
    sink_table(env, "CREATE TABLE middle (v INT)")
    last = sink_table(env, "CREATE TABLE last_one (v INT)")
    env.execute_sql("INSERT INTO last_one SELECT v + 1 FROM middle")
    env.execute_sql("INSERT INTO middle SELECT v * 10 FROM t")
    for v in range(5):
        t.add(("+I", v))
        assert last.rows()[-1] == (v * 10 + 1,)


def test_a_job_that_fails_raises_where_the_row_is_added(env: TableEnvironment) -> None:
    t = source_table(env, "CREATE TABLE t (v STRING)", bounded=False)
    sink = sink_table(env, "CREATE TABLE s (v INT)")
    env.execute_sql("INSERT INTO s SELECT CAST(v AS INT) FROM t")
    t.add(("+I", "1"))
    with pytest.raises(JobError, match="'x'"):
        t.add(("+I", "x"))
    t.add(("+I", "2"))  # nobody reads it any more
    assert sink.rows() == [(1,)]


def test_a_job_that_fails_begins_again_when_time_has_come(
    env: TableEnvironment, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLE_S_MAX", 10.0)
    left = [CrashError("the store is away"), CrashError("it still is")]

    def fail(point: str) -> None:
        if point == "before-write" and left:
            raise left.pop()

    def failing(setup: CheckpointSetup) -> CheckpointSetup:
        return replace(setup, options=replace(setup.options, reach=fail))

    env.checkpoints = failing
    env.execute_sql("SET 'execution.checkpointing.interval' = '1 s'")
    env.execute_sql("SET 'restart-strategy.type' = 'fixed-delay'")
    env.execute_sql("SET 'restart-strategy.fixed-delay.attempts' = '2'")
    env.execute_sql("SET 'restart-strategy.fixed-delay.delay' = '10 s'")
    t = source_table(env, "CREATE TABLE t (k STRING)", bounded=False)
    sink = sink_table(env, "CREATE TABLE s (k STRING)")
    job = env.execute_sql("INSERT INTO s SELECT k FROM t").job
    assert job is not None
    t.add(("+I", "a"))
    assert (job.status, job.attempt, sink.changelog()) == ("RESTARTING", 1, [])
    clock.advance_time(9_999)
    assert (job.status, job.attempt) == ("RESTARTING", 1)
    clock.advance_time(1)
    assert (job.status, job.attempt) == ("RESTARTING", 2)
    clock.advance_time(3_600_000)
    assert (job.status, job.attempt) == ("RUNNING", 3)
    assert_changelog(sink, "+I a")


def test_what_is_no_time(clock: VirtualClock, env: TableEnvironment) -> None:
    for by in (-1, 1.5, "1 s", True):
        with pytest.raises(ValidationError, match="time moves forward"):
            clock.advance_time(by)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="knows no source table that has not ended"):
        clock.advance_watermark(at(1))
    with pytest.raises(ValidationError, match="knows no source table 'x'"):
        clock.idle(table="x")
    source_table(env, DDL.format("t"), bounded=False)
    with pytest.raises(ValidationError, match="a time is epoch milliseconds"):
        clock.advance_watermark("noon")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="splits are names that differ"):
        source_table(env, DDL.format("u"), splits=["a", "a"])
