"""A running job tells its consumer group how far it is, with checkpoints and without."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from streamsql.session import TableEnvironment
from tests.conftest import TopicFactory, unique_name
from tests.kafka.client import Cluster, Record

from .test_source import committed

TIMEOUT_S = 60


@pytest.mark.parametrize("interval", [None, "100 ms"])
def test_positions_are_committed_while_the_job_runs(
    kafka: Cluster, topic: TopicFactory, tmp_path: Path, interval: str | None
) -> None:
    name, out, group = topic("in"), topic("out"), unique_name("g")
    kafka.produce(name, [Record(None, f'{{"id": {i}}}') for i in range(5)])
    servers = f"'properties.bootstrap.servers' = '{kafka.bootstrap}', 'format' = 'json'"
    with TableEnvironment() as env:
        env.config.set("execution.checkpointing.dir", str(tmp_path))
        if interval is not None:
            env.config.set("execution.checkpointing.interval", interval)
        env.execute_sql(
            f"CREATE TABLE a (id INT) WITH ('connector' = 'kafka', 'topic' = '{name}', {servers}, "
            f"'scan.startup.mode' = 'earliest-offset', 'properties.group.id' = '{group}')"
        )
        env.execute_sql(f"CREATE TABLE b (id INT) WITH ('connector' = 'kafka', 'topic' = '{out}', {servers})")
        job = env.execute_sql("INSERT INTO b SELECT id FROM a").job
        assert job is not None
        deadline = time.monotonic() + TIMEOUT_S
        while committed(kafka, group, name, 1) != {0: 5} and time.monotonic() < deadline:
            time.sleep(0.1)
        assert committed(kafka, group, name, 1) == {0: 5}
        assert job.status == "RUNNING"
