"""Time through a whole job: watermarks of several splits, idle splits and sources, late rows, timers, draining."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from streamsql.result import TableResult
from tests.pretty import show

from .scripted import Scripted, scripted_session, settled, until

COUNTS = """
    SELECT window_start, k, COUNT(*) AS c
    FROM TABLE(TUMBLE(TABLE {table}, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k
"""
IDLE = ["SET 'table.exec.source.idle-timeout' = '5 s'"]


def shown(result: TableResult) -> list[str]:
    """The changes that the job has made so far, once it has nothing left to do."""
    assert result.job is not None
    settled(result.job)
    lines: list[str] = []
    while rows := result.poll(0):
        lines += [" ".join([row.kind.short, *map(show, row)]) for row in rows]
    return sorted(lines)


def test_the_watermark_is_that_of_the_slowest_split(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Scripted(2)
    with scripted_session(monkeypatch, {"t": source}, delay_s=1) as (env, _):
        result = env.execute_sql(COUNTS.format(table="t"))
        assert result.job is not None
        source.give(p0="+I a 1 1000\n+I a 1 50000")
        assert shown(result) == []
        assert result.job.metrics().watermark_ms is None  # nothing is known of split 1
        source.give(p1="+I b 1 2000\n+I b 1 10998")
        assert shown(result) == []
        assert result.job.metrics().watermark_ms == 9998
        source.give(p1="+I b 1 10999")
        assert shown(result) == ["+I 0 a 1", "+I 0 b 1"]
        assert result.job.metrics().watermark_ms == 9999


def test_a_watermark_does_not_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Scripted(1)
    with scripted_session(monkeypatch, {"t": source}) as (env, _):
        result = env.execute_sql(COUNTS.format(table="t"))
        assert result.job is not None
        source.give(p0="+I a 1 30000")
        assert shown(result) == []
        source.give(p0="+I a 1 21000\n+I a 1 null")
        assert shown(result) == []
        assert result.job.metrics().watermark_ms == 30000


def test_a_split_that_has_ended_holds_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Scripted(2)
    with scripted_session(monkeypatch, {"t": source}) as (env, _):
        result = env.execute_sql(COUNTS.format(table="t"))
        source.give(p0="+I a 1 1000", p1="+I b 1 15000")
        source.end(0)
        assert shown(result) == ["+I 0 a 1"]
        source.end(1)
        assert result.job is not None
        assert result.job.wait(20)
        assert [row[2] for row in result.collect()] == [1]


def test_an_idle_split_holds_nothing_back_until_it_speaks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """::

    clock    0 s            5 s          6 s
    split 0  a at 1 s, 12 s  a at 13 s    …
    split 1  (nothing)       idle         b at 3 s: late
    """
    source = Scripted(2)
    with scripted_session(monkeypatch, {"t": source}, setup=IDLE) as (env, clock):
        result = env.execute_sql(COUNTS.format(table="t"))
        assert result.job is not None
        source.give(p0="+I a 1 1000\n+I a 1 12000")
        clock.advance(4999)
        assert shown(result) == []
        source.give(p0="+I a 1 13000")
        clock.advance(1)
        assert shown(result) == ["+I 0 a 1"]
        clock.advance(1000)
        source.give(p1="+I b 1 3000\n+I b 1 14000")
        assert shown(result) == []
        assert result.job.metrics().late_records_dropped == 1
        source.give(p0="+I a 1 25000")
        assert shown(result) == []  # split 1 counts again: 14 s
        assert result.job.metrics().watermark_ms == 14000
        source.give(p1="+I b 1 20000")
        assert shown(result) == ["+I 10000 a 2", "+I 10000 b 1"]


def test_an_idle_source_holds_a_union_up_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = Scripted(1), Scripted(1)
    view = "(SELECT k, ts FROM t UNION ALL SELECT k, ts FROM u)"
    with scripted_session(monkeypatch, {"t": one, "u": two}, setup=IDLE) as (env, clock):
        result = env.execute_sql(COUNTS.format(table=view))
        one.give(p0="+I a 1 1000")
        two.give(p0="+I b 1 2000")
        assert shown(result) == []
        clock.advance(4000)
        one.give(p0="+I a 1 12000")
        assert shown(result) == []
        clock.advance(1000)
        assert shown(result) == ["+I 0 a 1", "+I 0 b 1"]
        two.give(p0="+I b 1 5000\n+I b 1 15000")
        one.give(p0="+I a 1 16000")
        assert shown(result) == []
        assert result.job is not None
        assert result.job.metrics().late_records_dropped == 1


def test_when_the_active_source_ends_the_idle_one_may_still_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = Scripted(1), Scripted(1)
    view = "(SELECT k, ts FROM t UNION ALL SELECT k, ts FROM u)"
    with scripted_session(monkeypatch, {"t": one, "u": two}, setup=IDLE) as (env, clock):
        result = env.execute_sql(COUNTS.format(table=view))
        one.give(p0="+I a 1 1000")
        clock.advance(5000)
        assert shown(result) == []
        one.end(0)
        assert shown(result) == []
        two.give(p0="+I b 1 2000")
        two.end(0)
        assert result.job is not None
        assert result.job.wait(20)
        assert sorted(row[1] for row in result.collect()) == ["a", "b"]


def test_all_idle_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Scripted(2)
    with scripted_session(monkeypatch, {"t": source}, setup=IDLE) as (env, clock):
        result = env.execute_sql(COUNTS.format(table="t"))
        source.give(p0="+I a 1 1000", p1="+I b 1 12000")
        assert shown(result) == []
        clock.advance(60_000)
        assert shown(result) == []
        source.give(p1="+I b 1 13000")
        assert shown(result) == ["+I 0 a 1"]


def test_late_rows_are_counted_once_for_each_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Scripted(1)
    with scripted_session(monkeypatch, {"t": source}) as (env, _):
        result = env.execute_sql(COUNTS.format(table="t"))
        assert result.job is not None
        source.give(p0="+I a 1 1000\n+I a 1 25000\n+I a 1 2000")  # one step: nothing is late within it
        assert shown(result) == ["+I 0 a 2"]
        source.give(p0="+I a 1 3000\n+I a 1 19999\n+I a 1 20000\n+I a 1 null")
        assert shown(result) == []
        metrics = result.job.metrics()
        assert metrics.late_records_dropped == 2
        assert metrics.operators["WindowAggregate"]["numLateRecordsDropped"] == 2
        assert metrics.operators["WindowAggregate"]["numNullTimeDropped"] == 1
        assert metrics.records_in == 7


def by_clock(window: str) -> str:
    return f"""
        SELECT window_start, window_end, k, COUNT(*) AS c
        FROM TABLE({window}(TABLE (SELECT k, PROCTIME() AS pt FROM t), DESCRIPTOR(pt), INTERVAL '10' SECOND))
        GROUP BY window_start, window_end, k
    """


@pytest.mark.parametrize(
    ("window", "lines"), [("TUMBLE", ["+I 0 10000 a 2"]), ("SESSION", ["+I 1000 15000 a 2"])]
)
def test_processing_time_windows_fire_without_input(
    monkeypatch: pytest.MonkeyPatch, window: str, lines: Sequence[str]
) -> None:
    source = Scripted(1)
    with scripted_session(monkeypatch, {"t": source}) as (env, clock):
        result = env.execute_sql(by_clock(window))
        clock.advance(1000)
        source.give(p0="+I a 1 0")
        assert shown(result) == []
        clock.advance(4000)
        source.give(p0="+I a 2 0")
        assert shown(result) == []
        clock.advance(4999)
        assert shown(result) == []
        clock.advance(5001)
        assert shown(result) == list(lines)


@pytest.mark.parametrize("idle", [False, True])
def test_stop_with_drain_fires_the_open_windows(monkeypatch: pytest.MonkeyPatch, idle: bool) -> None:
    source = Scripted(2)
    sink = "CREATE VIEW counts AS " + COUNTS.format(table="t")
    with scripted_session(monkeypatch, {"t": source}, setup=IDLE) as (env, clock):
        env.execute_sql(sink)
        result = env.execute_sql("SELECT * FROM counts")
        assert result.job is not None
        source.give(p0="+I a 1 1000\n+I a 1 12000", p1="+I b 1 2000")
        assert shown(result) == []
        if idle:
            clock.advance(6000)
            assert shown(result) == []
        env.execute_sql(f"STOP JOB '{result.job.id}' WITH DRAIN")
        assert result.job.status == "FINISHED"
        rows = sorted(" ".join([row.kind.short, *map(show, row)]) for row in result.collect())
        assert rows == ["+I 0 a 1", "+I 0 b 1", "+I 10000 a 1"]


def test_stop_without_drain_fires_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Scripted(1)
    with scripted_session(monkeypatch, {"t": source}) as (env, _):
        result = env.execute_sql(COUNTS.format(table="t"))
        assert result.job is not None
        source.give(p0="+I a 1 1000")
        assert shown(result) == []
        env.execute_sql(f"STOP JOB '{result.job.id}'")
        assert result.job.status == "CANCELED"
        assert list(result.collect()) == []


def test_a_split_far_ahead_is_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Scripted(2)
    hour = 3_600_000
    with scripted_session(monkeypatch, {"t": source}) as (env, clock):
        result = env.execute_sql(COUNTS.format(table="t"))
        source.give(p0=f"+I a 1 {2 * hour}", p1="+I b 1 1000")
        shown(result)
        assert source.paused == {"0"}
        source.give(p1=f"+I b 1 {hour + 1}")
        shown(result)
        assert source.paused == frozenset()
        source.give(p0=f"+I a 1 {4 * hour}")
        shown(result)
        assert source.paused == {"0"}
        clock.advance(1001)  # split 1 is not catching up, it is just quiet
        until(lambda: source.paused == frozenset(), "the split that is ahead resumes")
