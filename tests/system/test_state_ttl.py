"""The time to live of state, from SET to DESCRIBE JOB, in a clock set by hand; and what jobs count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from streamsql import TableEnvironment
from streamsql.testing import VirtualClock, sink_table, source_table

HOUR = 3_600_000


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def env(clock: VirtualClock) -> Iterator[TableEnvironment]:
    with clock.environment() as made:
        yield made


def described(env: TableEnvironment, job: str) -> dict[str, Any]:
    """The row of DESCRIBE JOB by column name."""
    (row,) = env.execute_sql(f"DESCRIBE JOB '{job}'").collect()
    return row.as_dict()


def test_a_job_forgets_while_nothing_comes(env: TableEnvironment, clock: VirtualClock) -> None:
    env.execute_sql("SET 'table.exec.state.ttl' = '1 h'")
    orders = source_table(env, "CREATE TABLE orders (k STRING, v INT)", bounded=False)
    sums = sink_table(env, "CREATE TABLE sums (k STRING PRIMARY KEY NOT ENFORCED, s BIGINT)")
    job = env.execute_sql("INSERT INTO sums SELECT k, SUM(v) FROM orders GROUP BY k").job
    assert job is not None
    orders.add(("+I", "a", 1), ("+I", "b", 1))
    clock.advance_time(HOUR // 2)
    orders.add(("+I", "a", 2))
    clock.advance_time(0)
    row = described(env, job.id)
    assert (row["state rows"], row["state entries expired"]) == (2, 0)
    clock.advance_time(HOUR // 2)
    row = described(env, job.id)
    assert (row["state rows"], row["state entries expired"]) == (1, 1)
    clock.advance_time(HOUR)
    row = described(env, job.id)
    assert (row["state rows"], row["state entries expired"]) == (0, 2)
    assert sorted(sums.rows()) == [("a", 3), ("b", 1)]  # what went out stays
    orders.add(("+I", "a", 10))
    clock.advance_time(0)
    assert sorted(sums.rows()) == [("a", 10), ("b", 1)]


def test_a_running_job_keeps_the_time_it_began_with(env: TableEnvironment, clock: VirtualClock) -> None:
    orders = source_table(env, "CREATE TABLE orders (k STRING)", bounded=False)
    counts = sink_table(env, "CREATE TABLE counts (k STRING PRIMARY KEY NOT ENFORCED, n BIGINT)")
    env.execute_sql("INSERT INTO counts SELECT k, COUNT(*) FROM orders GROUP BY k")
    env.execute_sql("SET 'table.exec.state.ttl' = '1 s'")
    orders.add(("+I", "a"))
    clock.advance_time(HOUR)
    orders.add(("+I", "a"))
    clock.advance_time(0)
    assert counts.rows() == [("a", 2)]


def test_rows_that_come_to_nothing_are_counted(env: TableEnvironment, clock: VirtualClock) -> None:
    env.execute_sql("SET 'table.exec.sink.not-null-enforcer' = 'DROP'")
    a = source_table(env, "CREATE TABLE a (k STRING, v INT)", bounded=False)
    source_table(env, "CREATE TABLE b (k STRING, w INT)", [("+I", "x", 1), ("+I", None, 2)])
    joined = sink_table(env, "CREATE TABLE joined (v INT NOT NULL, w INT)")
    job = env.execute_sql("INSERT INTO joined SELECT v, w FROM a JOIN b ON a.k = b.k").job
    assert job is not None
    a.add(("+I", "x", None), ("+I", "x", 7), ("+I", None, 8))
    clock.advance_time(0)
    assert joined.rows() == [(7, 1)]
    row = described(env, job.id)
    assert (row["null keys dropped"], row["null values dropped"], row["null times dropped"]) == (2, 1, 0)
