"""What exactly-once costs: rows a second with a checkpoint every second, over those without any, in turns.

``make bench ARGS=tests/bench/test_exactly_once.py`` prints both rates and their ratio; 0.85 is what we want. Nothing
fails on time. ``$STREAMSQL_BENCH_PART`` below 1 takes fewer rows.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from streamsql.session import TableEnvironment
from tests.bench.bench_kafka_source import fill
from tests.conftest import unique_name
from tests.kafka.client import Cluster

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

PART = float(os.environ.get("STREAMSQL_BENCH_PART", "1"))
MESSAGES = int(3_000_000 * PART)
ROWS = int(20_000_000 * PART)
KEYS = int(1_000_000 * PART)
RUNS = 3


def finished(env: TableEnvironment, sql: str, checkpoints: Path | None) -> tuple[float, int]:
    """Seconds from an INSERT to the end of its job, and how many checkpoints that took."""
    if checkpoints is not None:
        env.execute_sql("SET 'execution.checkpointing.interval' = '1 s'")
        env.execute_sql(f"SET 'execution.checkpointing.dir' = '{checkpoints}'")
    began = time.perf_counter()
    job = env.execute_sql(sql).job
    assert job is not None
    job.wait()
    return time.perf_counter() - began, job.metrics().checkpoint or 0


def told(name: str, rows: int, without: list[float], with_: list[float], checkpoints: int) -> str:
    """The line that is printed: each pair ran back to back, so the median of their ratios counts."""
    ratios = sorted(a / b for a, b in zip(without, with_, strict=True))
    return (
        f"\n{name}: {rows / min(without) / 1e3:,.0f} k rows/s without checkpoints, {rows / min(with_) / 1e3:,.0f} k "
        f"with {checkpoints} of them; ratio {min(without) / min(with_):.2f} of the best, "
        f"{statistics.median(ratios):.2f} in the middle ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )


@pytest.fixture
def topic(kafka: Cluster) -> Iterator[str]:
    name = unique_name("bench")
    fill(kafka, name, MESSAGES, 4)
    yield name
    kafka.delete_topic(name)


def windowed(env: TableEnvironment, kafka: Cluster, topic: str, sink: str, guarantee: str) -> str:
    """The tables of a count per user and second of event time; returns the INSERT."""
    common = f"'connector' = 'kafka', 'properties.bootstrap.servers' = '{kafka.bootstrap}', 'format' = 'json'"
    env.execute_sql(
        "CREATE TABLE orders (id BIGINT, `user` STRING, amount DOUBLE, ts TIMESTAMP(3), item STRING, note STRING, "
        f"WATERMARK FOR ts AS ts) WITH ({common}, 'topic' = '{topic}', 'scan.startup.mode' = 'earliest-offset', "
        "'scan.bounded.mode' = 'latest-offset')"
    )
    env.execute_sql(
        f"CREATE TABLE counts (until TIMESTAMP(3), `user` STRING, n BIGINT, total DOUBLE) WITH ({common}, "
        f"'topic' = '{sink}', 'sink.delivery-guarantee' = '{guarantee}', 'sink.transactional-id-prefix' = '{sink}')"
    )
    return (
        "INSERT INTO counts SELECT window_end, `user`, COUNT(*), SUM(amount) "
        "FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' SECOND)) "
        "GROUP BY window_start, window_end, `user`"
    )


def test_windows_from_kafka_to_kafka(
    kafka: Cluster, topic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds: dict[bool, list[float]] = {False: [], True: []}
    checkpoints = 0
    for run in range(2 * RUNS):
        exactly = run % 2 == 1
        sink = unique_name("bench.counts")
        kafka.create_topic(sink, 4)
        with TableEnvironment() as env:
            insert = windowed(env, kafka, topic, sink, "exactly-once" if exactly else "at-least-once")
            took, taken = finished(env, insert, tmp_path / str(run) if exactly else None)
        seconds[exactly].append(took)
        checkpoints = max(checkpoints, taken)
        kafka.delete_topic(sink)
    assert checkpoints > 1
    with capsys.disabled():
        print(told("windows from Kafka to Kafka", MESSAGES, seconds[False], seconds[True], checkpoints))


def test_groups_of_a_million_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(7)
    rows = pa.table({"k": random.integers(0, KEYS, ROWS), "v": random.random(ROWS)})
    seconds: dict[bool, list[float]] = {False: [], True: []}
    checkpoints = 0
    for run in range(2 * RUNS):
        exactly = run % 2 == 1
        with TableEnvironment() as env:
            env.from_arrow(rows, "t")
            env.execute_sql(
                "CREATE TABLE sums (k BIGINT PRIMARY KEY NOT ENFORCED, n BIGINT, s DOUBLE) "
                "WITH ('connector' = 'blackhole')"
            )
            insert = "INSERT INTO sums SELECT k, COUNT(*), SUM(v) FROM t GROUP BY k"
            took, taken = finished(env, insert, tmp_path / str(run) if exactly else None)
        seconds[exactly].append(took)
        checkpoints = max(checkpoints, taken)
    assert checkpoints > 1
    with capsys.disabled():
        print(told(f"GROUP BY {KEYS:,} keys", ROWS, seconds[False], seconds[True], checkpoints))
