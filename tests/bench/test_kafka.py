"""Messages a second from Kafka through a TUMBLE count: JSON of 150 to 200 bytes, one process, two cores."""

from __future__ import annotations

import time

import pytest

from streamsql import TableEnvironment
from tests.bench.bench_kafka_source import fill
from tests.conftest import unique_name
from tests.kafka.client import Cluster

pytestmark = [pytest.mark.bench, pytest.mark.kafka, pytest.mark.timeout(900)]

MESSAGES = 2_000_000


def test_tumble_count(kafka: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    name = unique_name("bench")
    size = fill(kafka, name, MESSAGES, 4)
    columns = "id BIGINT, `user` STRING, amount DOUBLE, ts TIMESTAMP(3), item STRING, note STRING"
    options = (
        f"'connector' = 'kafka', 'topic' = '{name}', 'properties.bootstrap.servers' = '{kafka.bootstrap}', "
        "'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json'"
    )
    query = (
        "SELECT window_start, window_end, `user`, COUNT(*) AS n "
        "FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND)) "
        "GROUP BY window_start, window_end, `user`"
    )
    rates = []
    for _ in range(3):
        with TableEnvironment() as env:
            env.execute_sql(f"CREATE TABLE orders ({columns}, WATERMARK FOR ts AS ts) WITH ({options})")
            started = time.perf_counter()
            result = env.execute_sql(query)
            counted = 0
            while (batch := result.next_batch(1.0)) is not None or result.running:
                counted += 0 if batch is None else sum(batch.rows.column(3).to_numpy())
            rates.append(MESSAGES / (time.perf_counter() - started))
            assert counted == MESSAGES
    kafka.delete_topic(name)
    with capsys.disabled():
        print(
            f"\nKafka through a 10 s TUMBLE count: {max(rates) / 1e3:,.0f} k messages/s of {size:.0f} bytes"
        )
