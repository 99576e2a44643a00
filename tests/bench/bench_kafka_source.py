"""Messages a second out of Kafka: fetched and decoded by the source alone, without a query.

Run it with a broker of its own (Java 17 and Maven), or against one that runs::

    python -m tests.bench.bench_kafka_source [--messages 2000000] [--partitions 4] [--bootstrap host:port]

Prints the rate with JSON decoding, with the format ``raw`` (what Kafka and the taking out of messages cost alone), and
the processor time of a message over all threads. The median of three runs counts.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Producer

from streamsql.datatypes import BIGINT, DOUBLE, STRING, TIMESTAMP, DataType
from tests.kafka.broker import Broker
from tests.kafka.client import Cluster
from tests.kafka.tables import definition, source_of

COLUMNS: list[tuple[str, DataType]] = [
    ("id", BIGINT()),
    ("user", STRING()),
    ("amount", DOUBLE()),
    ("ts", TIMESTAMP(3)),
    ("item", STRING()),
    ("note", STRING()),
]
RUNS = 3
CHUNK = 10_000


def message(i: int) -> bytes:
    """150 to 200 bytes of JSON; of event time a second has 50,000 messages, as in the benchmarks without Kafka."""
    second, ms = i // 50_000, i % 50_000 // 50
    return json.dumps(
        {
            "id": i,
            "user": f"user-{i * 7919 % 10_000}",
            "amount": i * 31 % 100_000 / 100,
            "ts": f"2026-01-01 {second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}.{ms:03}",
            "item": f"banana-{i % 977}",
            "note": "x" * 40,
        }
    ).encode()


def fill(cluster: Cluster, topic: str, messages: int, partitions: int) -> float:
    """Produce all messages; returns their mean size in bytes."""
    cluster.create_topic(topic, partitions)
    producer = Producer(cluster.config(linger_ms=20, queue_buffering_max_messages=100_000))
    size = 0
    for begin in range(0, messages, CHUNK):
        batch = [{"value": message(i)} for i in range(begin, min(begin + CHUNK, messages))]
        size += sum(len(m["value"]) for m in batch)
        while len(producer) > 100_000 - CHUNK:
            producer.poll(0.05)
        producer.produce_batch(topic, batch, partition=begin // CHUNK % partitions)
    producer.flush()
    return size / messages


def read(
    bootstrap: str, topic: str, columns: list[tuple[str, DataType]], format_name: str
) -> tuple[int, float, float]:
    """Rows, seconds and processor seconds of reading the topic once, as a job would poll."""
    options = {
        "scan_startup_mode": "earliest-offset",
        "scan_bounded_mode": "latest-offset",
        "format": format_name,
    }
    source = source_of(definition(bootstrap, topic, columns, **options))
    rows, finished = 0, set[str]()
    began, cpu = time.perf_counter(), _cpu()
    source.start()
    while not source.splits() or finished != set(source.splits()):
        batch = source.poll(131_072)
        if batch is None:
            time.sleep(0.001)
            continue
        finished |= batch.finished
        rows += batch.batch.num_rows if batch.batch is not None else 0
    seconds, cpu = time.perf_counter() - began, _cpu() - cpu
    source.close()
    return rows, seconds, cpu


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@contextmanager
def cluster_at(bootstrap: str | None) -> Generator[Cluster]:
    """The cluster given, or one of our own for the time of the run."""
    if bootstrap:
        yield Cluster(bootstrap)
        return
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder) / "kafka")
        broker.start()
        try:
            yield broker
        finally:
            broker.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=2_000_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--bootstrap")
    given = parser.parse_args()
    topic = f"bench-{time.time_ns()}"
    with cluster_at(given.bootstrap) as cluster:
        size = fill(cluster, topic, given.messages, given.partitions)
        print(f"{given.messages:,} messages of {size:.0f} bytes in {given.partitions} partitions")
        try:
            for name, columns in (("json", COLUMNS), ("raw", [("line", STRING())])):
                runs = [read(cluster.bootstrap, topic, columns, name) for _ in range(RUNS)]
                assert all(rows == given.messages for rows, _, _ in runs), runs
                rates = sorted(rows / seconds for rows, seconds, _ in runs)
                cpu = statistics.median(cpu / rows * 1e6 for rows, _, cpu in runs)
                spread = f"{rates[0]:,.0f} to {rates[-1]:,.0f}"
                print(
                    f"{name:5} {statistics.median(rates):>10,.0f} messages/s ({spread}), {cpu:.2f} µs CPU a message"
                )
        finally:
            cluster.delete_topic(topic)


if __name__ == "__main__":
    main()
