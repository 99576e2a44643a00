"""Rows a second into Kafka: JSON of about 60 bytes, at least once and exactly once with a commit every second."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest

from streamsql.changelog import ChangelogBatch
from tests.conftest import unique_name
from tests.kafka.client import Cluster
from tests.kafka.tables import definition, exactly_once, sink_of, transaction_for

pytestmark = [pytest.mark.bench, pytest.mark.kafka, pytest.mark.timeout(900)]

ROWS, BATCH = 1_000_000, 20_000
EPOCH_S = 1.0


def batches() -> list[ChangelogBatch]:
    """The same rows for every run."""
    names = pa.array([f"a name of some length {i % 977}" for i in range(BATCH)])
    starts = range(0, ROWS, BATCH)
    return [
        ChangelogBatch(pa.RecordBatch.from_arrays([pa.array(np.arange(s, s + BATCH)), names], ["id", "name"]))
        for s in starts
    ]


def at_least_once(kafka: Cluster, topic: str, rows: list[ChangelogBatch]) -> float:
    """Seconds until all is acknowledged."""
    sink = sink_of(definition(kafka.bootstrap, topic))
    sink.start()
    began = time.perf_counter()
    for batch in rows:
        sink.write(batch)
        sink.flush()
    sink.close(finished=True)
    return time.perf_counter() - began


def in_transactions(kafka: Cluster, topic: str, rows: list[ChangelogBatch]) -> float:
    """Seconds until all is committed."""
    table = exactly_once(kafka.bootstrap, topic, topic)
    transaction = transaction_for(table)
    transaction.open(None)
    sink = sink_of(table, transaction=transaction)
    sink.start()
    began = last = time.perf_counter()
    number = 0
    for i, batch in enumerate(rows, 1):
        sink.write(batch)
        sink.flush()
        if time.perf_counter() - last >= EPOCH_S or i == len(rows):
            number, last = number + 1, time.perf_counter()
            assert sink.settle(60)
            transaction.prepare(number)
            transaction.commit(number, "bench")
    took = time.perf_counter() - began
    sink.close(finished=True)
    transaction.close()
    return took


def test_exactly_once_against_at_least_once(kafka: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    rows = batches()
    rates: dict[str, float] = {}
    for name, run in (("at least once", at_least_once), ("exactly once", in_transactions)):
        for _ in range(3):
            topic = unique_name("bench")
            kafka.create_topic(topic, 4)
            rates[name] = max(rates.get(name, 0), ROWS / run(kafka, topic, rows))
            marks = sum(kafka.end_offsets(topic).values()) - ROWS
            assert marks == 0 if name == "at least once" else marks > 0
            kafka.delete_topic(topic)
    with capsys.disabled():
        print()
        for name, rate in rates.items():
            print(f"Kafka sink, {name}: {rate / 1e3:,.0f} k rows/s")
