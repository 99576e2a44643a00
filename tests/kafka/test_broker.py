"""The broker the other tests stand on does what they rely on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from tests.conftest import BrokerFactory, TopicFactory
from tests.kafka.client import REQUEST_TIMEOUT_S, Cluster, Received, Record
from tests.kafka.jars import KafkaUnavailableError, java


def test_what_is_produced_is_consumed(kafka: Cluster, topic: TopicFactory) -> None:
    name = topic("orders", partitions=2)
    kafka.produce(
        name,
        [
            Record("k1", "v1", 1_000, [("h", b"x"), ("h", None)], 0),
            Record(None, b"\xff\x00", 2_000, None, 0),
            ("k3", None, 500, None, 1),
        ],
    )
    assert kafka.consume_all(name) == [
        Received(0, 0, b"k1", b"v1", 1_000, [("h", b"x"), ("h", None)]),
        Received(0, 1, None, b"\xff\x00", 2_000, []),
        Received(1, 0, b"k3", None, 500, []),
    ]
    assert kafka.end_offsets(name) == {0: 2, 1: 1}


def test_consume_waits_for_the_number_asked_for(kafka: Cluster, topic: TopicFactory) -> None:
    name = topic()
    kafka.produce(name, [("k", "v")])
    assert len(kafka.consume_all(name, 1)) == 1
    with pytest.raises(TimeoutError, match="1 of 2 messages"):
        kafka.consume_all(name, 2, timeout_s=0.3)


def test_topic_names_never_repeat(kafka: Cluster, topic: TopicFactory) -> None:
    first, second = topic("same"), topic("same")
    assert first != second
    assert {first, second} <= set(kafka.admin().list_topics(timeout=REQUEST_TIMEOUT_S).topics)


def test_offsets_for_times(kafka: Cluster, topic: TopicFactory) -> None:
    name = topic()
    kafka.produce(name, [Record(None, str(i), 1_000 * i, partition=0) for i in range(1, 6)])
    consumer = Consumer(kafka.config(group_id="unused"))
    try:
        for asked_ms, offset in [(0, 0), (1_000, 0), (1_001, 1), (5_000, 4), (5_001, -1)]:
            found = consumer.offsets_for_times([TopicPartition(name, 0, asked_ms)], timeout=REQUEST_TIMEOUT_S)
            assert found[0].offset == offset, asked_ms
    finally:
        consumer.close()


def test_aborted_and_open_transactions_are_invisible_to_read_committed(
    kafka: Cluster, topic: TopicFactory
) -> None:
    name = topic()
    producer = Producer(kafka.config(transactional_id=name))
    producer.init_transactions(REQUEST_TIMEOUT_S)
    for value, end in [("a", producer.commit_transaction), ("b", producer.abort_transaction)]:
        producer.begin_transaction()
        producer.produce(name, value)
        producer.flush(REQUEST_TIMEOUT_S)
        end(REQUEST_TIMEOUT_S)
    producer.begin_transaction()
    producer.produce(name, "c")
    producer.flush(REQUEST_TIMEOUT_S)
    assert [m.value for m in kafka.consume_all(name)] == [b"a"]
    assert [m.value for m in kafka.consume_all(name, read_committed=False)] == [b"a", b"b", b"c"]
    producer.commit_transaction(REQUEST_TIMEOUT_S)
    assert [m.value for m in kafka.consume_all(name)] == [b"a", b"c"]


def test_a_second_producer_of_a_transactional_id_fences_the_first(
    kafka: Cluster, topic: TopicFactory
) -> None:
    name = topic()
    zombie, heir = (Producer(kafka.config(transactional_id=name)) for _ in range(2))
    zombie.init_transactions(REQUEST_TIMEOUT_S)
    zombie.begin_transaction()
    zombie.produce(name, "lost")
    zombie.flush(REQUEST_TIMEOUT_S)
    heir.init_transactions(REQUEST_TIMEOUT_S)
    with pytest.raises(KafkaException) as error:
        zombie.commit_transaction(REQUEST_TIMEOUT_S)
    assert error.value.args[0].code() == KafkaError._FENCED
    assert kafka.consume_all(name) == []


@pytest.mark.timeout(300)  # two starts of a broker, on a machine that may be busy
def test_a_broker_of_ones_own_can_be_killed_paused_and_stopped(kafka_broker_factory: BrokerFactory) -> None:
    broker = kafka_broker_factory()
    broker.create_topic("t")
    broker.produce("t", [(None, "before the kill")])
    broker.kill()
    assert not broker.running
    broker.start()
    broker.produce("t", [(None, "after")])
    broker.pause()
    with pytest.raises(TimeoutError):
        broker.wait_ready(1.5)
    broker.resume()
    broker.wait_ready()
    assert [m.value for m in broker.consume_all("t")] == [b"before the kill", b"after"]
    broker.stop()
    assert not broker.running


@pytest.mark.kafka
def test_the_broker_ends_when_the_test_run_is_killed(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time; from tests.kafka.broker import Broker\n"
        "broker = Broker(pathlib.Path(sys.argv[1])); broker.start()\n"
        "print(broker.pid, flush=True); time.sleep(60)"
    )
    try:
        java()
    except KafkaUnavailableError as error:
        pytest.skip(str(error))
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "kafka")], stdout=subprocess.PIPE, cwd=root
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(pid)


def _alive(pid: int) -> bool:
    """False also for a zombie that nobody has reaped yet."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
