"""A plain confluent-kafka view of a cluster for tests: create topics, put messages in, read them back.

Deliberately shares no code with the product's connector, so that one can check the other.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

REQUEST_TIMEOUT_S = 30.0  # a loaded machine may need seconds; more than this is a failure
LOG = logging.getLogger("tests.kafka")

Headers = Sequence[tuple[str, bytes | None]]


class Record(NamedTuple):
    """A message to produce. Text is sent as UTF-8; a None value is a tombstone; timestamp None = now."""

    key: str | bytes | None
    value: str | bytes | None
    timestamp_ms: int | None = None
    headers: Headers | None = None
    partition: int | None = None  # None: chosen by the key's hash, or at random without a key


class Received(NamedTuple):
    """A message as read back."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: list[tuple[str, bytes | None]]


class Cluster:
    """Test helpers bound to one `bootstrap` address."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def config(self, **options: Any) -> dict[str, Any]:
        """Client configuration; `options` have _ for '.'. Reconnects fast, as brokers here come and go."""
        base: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 500,
            "logger": LOG,
        }
        return base | {name.replace("_", "."): value for name, value in options.items()}

    def admin(self) -> AdminClient:
        """An admin client; keep the reference until its futures are done."""
        return AdminClient(self.config())

    def wait_ready(self, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """Returns when the cluster answers a metadata request; raises TimeoutError otherwise."""
        admin, deadline = self.admin(), time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                if admin.list_topics(timeout=1.0).brokers:
                    return
            except KafkaException:
                time.sleep(0.05)
        raise TimeoutError(f"no answer from Kafka at {self.bootstrap} within {timeout_s} s")

    def create_topic(self, name: str, partitions: int = 1, config: dict[str, str] | None = None) -> None:
        """Creates the topic and waits until every partition has a leader."""
        admin = self.admin()
        new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config or {})
        admin.create_topics([new], operation_timeout=REQUEST_TIMEOUT_S)[name].result(REQUEST_TIMEOUT_S)
        self._wait_for_leaders(admin, name, partitions)

    def add_partitions(self, name: str, partitions: int) -> None:
        """Gives the topic so many partitions in all, and waits until every one has a leader."""
        admin = self.admin()
        admin.create_partitions([NewPartitions(name, partitions)])[name].result(REQUEST_TIMEOUT_S)
        self._wait_for_leaders(admin, name, partitions)

    @staticmethod
    def _wait_for_leaders(admin: AdminClient, name: str, partitions: int) -> None:
        deadline = time.monotonic() + REQUEST_TIMEOUT_S
        while time.monotonic() < deadline:
            found = admin.list_topics(name, timeout=REQUEST_TIMEOUT_S).topics[name].partitions
            if len(found) == partitions and all(p.leader >= 0 for p in found.values()):
                return
            time.sleep(0.02)
        raise TimeoutError(f"topic {name} has no leader for some of its {partitions} partitions")

    def delete_topic(self, name: str) -> None:
        """Deletes the topic; one that is already gone is fine."""
        admin = self.admin()
        try:
            admin.delete_topics([name])[name].result(REQUEST_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise

    def produce(self, topic: str, records: Iterable[tuple[Any, ...]]) -> None:
        """Sends the records in order and waits for every acknowledgement.

        A record is a Record or a tuple with its leading fields: (key, value), (key, value, timestamp_ms), …
        """
        failures: list[KafkaError] = []
        producer = Producer(self.config(linger_ms=1))
        for record in records:
            while not _try_produce(producer, topic, Record(*record), failures):
                producer.poll(0.05)  # the local queue is full: let it drain
        left = producer.flush(REQUEST_TIMEOUT_S)
        if failures or left:
            raise KafkaException(failures[0] if failures else KafkaError(KafkaError._MSG_TIMED_OUT))

    def transact(
        self,
        topic: str,
        records: Iterable[tuple[Any, ...]],
        *,
        commit: bool | None = True,
        name: str = "tests",
    ) -> Producer:
        """Sends the records in one transaction, and commits it, aborts it (False) or leaves it open (None).

        Returns the producer, which ends an open transaction. `name` is the transactional id.
        """
        producer = Producer(self.config(transactional_id=f"{topic}-{name}"))
        producer.init_transactions(REQUEST_TIMEOUT_S)
        producer.begin_transaction()
        failures: list[KafkaError] = []
        for record in records:
            assert _try_produce(producer, topic, Record(*record), failures)
        assert not producer.flush(REQUEST_TIMEOUT_S) and not failures, failures
        if commit is not None:
            (producer.commit_transaction if commit else producer.abort_transaction)(REQUEST_TIMEOUT_S)
        return producer

    def consume_all(
        self,
        topic: str,
        n: int | None = None,
        *,
        read_committed: bool = True,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> list[Received]:
        """The topic's messages from the beginning, ordered by partition and offset.

        Without `n`: all up to the end as it is when reached. With `n`: waits until `n` have come, and raises
        TimeoutError with what came otherwise; more than `n` present are returned too when already fetched.
        """
        isolation = "read_committed" if read_committed else "read_uncommitted"
        options = {"enable.partition.eof": True, "isolation.level": isolation, "enable.auto.commit": False}
        consumer = Consumer(self.config(group_id="tests-never-joined") | options)
        try:
            partitions = list(consumer.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
            received = _read(consumer, set(partitions), n, time.monotonic() + timeout_s)
        finally:
            consumer.close()
        if n is not None and len(received) < n:
            raise TimeoutError(
                f"{topic}: {len(received)} of {n} messages within {timeout_s} s: {received[-5:]}"
            )
        return sorted(received, key=lambda m: (m.partition, m.offset))

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Partition -> the offset that the next message will get (control records of transactions count)."""
        consumer = Consumer(self.config(group_id="tests-never-joined"))
        try:
            partitions = consumer.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic].partitions
            return {p: self._end_offset(consumer, topic, p) for p in sorted(partitions)}
        finally:
            consumer.close()

    @staticmethod
    def _end_offset(consumer: Consumer, topic: str, partition: int) -> int:
        marks = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=REQUEST_TIMEOUT_S)
        assert marks is not None
        return marks[1]


def _try_produce(producer: Producer, topic: str, record: Record, failures: list[KafkaError]) -> bool:
    """Queues one record; False when the local queue is full."""

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(error)

    optional: dict[str, Any] = {
        "timestamp": record.timestamp_ms,
        "headers": list(record.headers) if record.headers is not None else None,
        "partition": record.partition,
    }
    given = {name: value for name, value in optional.items() if value is not None}
    try:
        producer.produce(topic, value=record.value, key=record.key, on_delivery=delivered, **given)
    except BufferError:
        return False
    producer.poll(0)
    return True


def _read(consumer: Consumer, open_partitions: set[int], n: int | None, deadline: float) -> list[Received]:
    """Reads until `n` messages, or (n is None) until every partition has reported its end."""
    received: list[Received] = []
    while (open_partitions if n is None else len(received) < n) and time.monotonic() < deadline:
        for message in consumer.consume(1000, timeout=0.05):
            error = message.error()
            if error is None:
                received.append(_received(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition() or 0)
            elif not error.retriable():
                raise KafkaException(error)
    if n is None and open_partitions:
        raise TimeoutError(
            f"partitions {sorted(open_partitions)} not read to their end; {len(received)} messages came"
        )
    return received


def _received(message: Message) -> Received:
    partition, offset = message.partition(), message.offset()
    assert partition is not None and offset is not None
    headers: Any = message.headers()  # librdkafka gives bytes, whatever the stub says
    return Received(
        partition, offset, message.key(), message.value(), message.timestamp()[1], list(headers or ())
    )
