"""Jobs whose input has ended while rows of a lookup join still wait: they go on, and can be stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from streamsql import Job, TableEnvironment
from streamsql.runtime import build_lookup
from streamsql.runtime.connectors.lookup import LookupContext, LookupTable
from streamsql.testing import sink_table, source_table
from streamsql.testing.clock import VirtualClock
from streamsql.testing.sink import SinkTable

HELD: dict[int, int] = {}


class Table(LookupTable):
    """Answers from ``HELD``."""

    def rows(self, keys: Sequence[pa.Array]) -> pa.RecordBatch:
        found = [k for k in keys[0].to_pylist() if k in HELD]
        columns = [pa.array(found, pa.int32()), pa.array([HELD[k] for k in found], pa.int32())]
        return pa.RecordBatch.from_arrays(columns, names=["id", "v"])

    def start(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to free."""


def table(context: LookupContext) -> LookupTable:
    return Table()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualClock]:
    monkeypatch.setattr(build_lookup, "create_lookup", table)
    HELD.clear()
    HELD[1] = 10
    yield VirtualClock()


def session(clock: VirtualClock, folder: Path) -> tuple[TableEnvironment, SinkTable]:
    env = clock.environment()
    env.execute_sql("SET 'execution.checkpointing.interval' = '100 ms'")
    env.execute_sql(f"SET 'execution.checkpointing.dir' = '{folder}/checkpoints'")
    source_table(env, "CREATE TABLE o (n INT, k INT)", [("+I", 1, 1), ("+I", 2, 9)])
    env.execute_sql(
        "CREATE TABLE d (id INT, v INT) WITH ('connector' = 'jdbc', 'url' = 'jdbc:postgresql://h/d', "
        "'table-name' = 'd')"
    )
    return env, sink_table(env, "CREATE TABLE s (n INT, v INT)")


def insert(env: TableEnvironment) -> Job:
    result = env.execute_sql(
        "INSERT INTO s SELECT /*+ LOOKUP('table' = 'd', 'retry-predicate' = 'lookup_miss', "
        "'retry-strategy' = 'fixed_delay', 'fixed-delay' = '1 h', 'max-attempts' = '2') */ o.n, d.v "
        "FROM o LEFT JOIN d FOR SYSTEM_TIME AS OF PROCTIME() ON o.k = d.id"
    )
    assert result.job is not None
    return result.job


def eventually(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def rows(sink: SinkTable) -> list[tuple[object, ...]]:
    return [tuple(row) for row in sink.rows()]


def test_what_waits_is_waited_for(clock: VirtualClock, tmp_path: Path) -> None:
    env, sink = session(clock, tmp_path)
    with env:
        job = insert(env)
        clock.advance_time(1000)
        assert rows(sink) == [(1, 10)]
        assert job.status == "RUNNING"
        eventually(lambda: job.metrics().checkpoint is not None)
        HELD[9] = 90
        clock.advance_time(3_600_000)
        assert job.wait(20)
        assert rows(sink) == [(1, 10), (2, 90)]


def test_it_can_be_cancelled(clock: VirtualClock, tmp_path: Path) -> None:
    env, sink = session(clock, tmp_path)
    with env:
        job = insert(env)
        eventually(lambda: rows(sink) == [(1, 10)])
        job.stop()
        assert job.status == "CANCELED"
        assert rows(sink) == [(1, 10)]


def test_drained_it_looks_a_last_time(clock: VirtualClock, tmp_path: Path) -> None:
    env, sink = session(clock, tmp_path)
    with env:
        job = insert(env)
        eventually(lambda: rows(sink) == [(1, 10)])
        job.stop(drain=True)
        assert job.status == "FINISHED"
        assert rows(sink) == [(1, 10), (2, None)]


def test_a_savepoint_keeps_what_waits(clock: VirtualClock, tmp_path: Path) -> None:
    env, sink = session(clock, tmp_path)
    with env:
        job = insert(env)
        eventually(lambda: rows(sink) == [(1, 10)])
        path = job.stop_with_savepoint(str(tmp_path / "savepoints"))
        assert job.status == "CANCELED"
        HELD[9] = 90
        env.config.set("execution.state-recovery.path", path)
        again = insert(env)
        clock.advance_time(3_599_999)
        assert again.status == "RUNNING"
        clock.advance_time(1)
        assert again.wait(20)
        assert rows(sink) == [(1, 10), (2, 90)]
