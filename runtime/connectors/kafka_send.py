"""Hands messages to librdkafka with back-pressure, in order, and tells what became of them.

Where they go is an *outlet*: a producer of the sink's own, or the transaction that all sinks of a job share.
"""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from streamsql.catalog.descriptors_kafka import delivery_guarantee
from streamsql.errors import ConfigError, ConnectorError, StreamSqlError, did_you_mean

from .base import SinkContext
from .kafka_client import (
    LOG,
    Health,
    create_producer,
    error_of,
    exception_reason,
    is_hopeless,
    owner_of,
    properties_of,
    reason,
)
from .kafka_fetch import Headers

QUEUE_MESSAGES_MAX = 200_000
"""Messages that may wait for their acknowledgement; then writing waits."""
QUEUE_BYTES_MAX = 256 * 1024 * 1024
"""The same in bytes, counted from the last time nothing was waiting."""
CHUNK_MESSAGES = 10_000
"""Messages handed to librdkafka at once."""
ANSWER_TIMEOUT_S = 1.0
"""How long ``start`` waits for a broker to check the topic."""
PROBE_INTERVAL_S = 1.0
"""How often ``status`` asks a broker that was away whether it is back."""
PROBE_TIMEOUT_S = 0.1
"""How long it waits for the answer: whoever asks for a status is not to be held up."""
AUTO_CREATE_WAIT_S = 3.0
"""How long a topic that the broker creates on demand may take to appear."""


@dataclass(frozen=True)
class Messages:
    """Columns of messages to send; ``topic`` and ``partition`` None: the sink's own choice."""

    values: Sequence[bytes | None]
    keys: Sequence[bytes | None] | None = None
    headers: Sequence[Headers] | None = None
    timestamps: Sequence[int | None] | None = None
    topics: Sequence[str] | None = None


class Outlet(ABC):
    """A way out for messages. ``queued_bytes``: handed over since nothing was waiting, kept by the senders."""

    health: Health
    shared: bool = False
    queued_bytes: int = 0

    @property
    @abstractmethod
    def client(self) -> Any:
        """The producer that asks brokers for topics, and whose queue counts."""

    @property
    @abstractmethod
    def producer(self) -> Any:
        """The same, ready to take messages."""

    @abstractmethod
    def failed(self, what: str, error: KafkaError) -> StreamSqlError:
        """The error to raise, also by whatever is called later."""

    @abstractmethod
    def raise_failure(self) -> None:
        """Raise what has failed."""

    @abstractmethod
    def close(self) -> None:
        """The sender needs it no longer."""

    def poll(self, wait_s: float = 0) -> None:
        """Serve callbacks, and raise what they brought."""
        try:
            self.client.poll(wait_s)
        except KafkaException as e:  # librdkafka tells so what ends a producer for good
            raise self.failed("writing", error_of(e)) from None
        self.raise_failure()

    def flush(self, wait_s: float) -> None:
        """Wait for acknowledgements; does not raise what came instead of them."""
        try:
            self.client.flush(wait_s)
        except KafkaException as e:
            raise self.failed("writing", error_of(e)) from None


class OwnOutlet(Outlet):
    """The producer of one sink. ``waits``: whether a message that is not delivered is an error."""

    def __init__(self, context: SinkContext, *, waits: bool) -> None:
        self._owner = owner_of(context)
        self._waits = waits
        self._failure: StreamSqlError | None = None
        self.health = Health(self._owner, properties_of(context)["bootstrap.servers"])
        self._producer = create_producer(
            properties_of(context),
            self._owner,
            self.health,
            {
                "queue.buffering.max.messages": QUEUE_MESSAGES_MAX + CHUNK_MESSAGES,
                "on_delivery": self._on_delivery,
            },
        )

    @property
    def client(self) -> Any:
        return self._producer

    @property
    def producer(self) -> Any:
        return self._producer

    def _on_delivery(self, error: KafkaError | None, message: Any) -> None:
        """Called for failed messages only (``delivery.report.only.error``)."""
        if error is None:
            return
        text = f"{self._owner}: {undelivered(message)}: {reason(error)}"
        if self._waits:
            self._failure = self._failure or ConnectorError(text)
        else:
            LOG.warning("%s", text)

    def failed(self, what: str, error: KafkaError) -> StreamSqlError:
        return ConnectorError(f"{self._owner}: {what} failed: {reason(error)}")

    def raise_failure(self) -> None:
        self.health.raise_failure()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        self._producer.purge()
        with contextlib.suppress(KafkaException):
            self._producer.flush(0)


def undelivered(message: Any) -> str:
    """What did not arrive, for an error."""
    partition = f" partition {message.partition()}" if message.partition() is not None else ""
    return f"a message for topic {message.topic()}{partition} was not delivered"


def outlet_of(context: SinkContext) -> Outlet:
    """Where a sink writes. Raises ConfigError for exactly-once in a job without checkpoints."""
    guarantee = delivery_guarantee(context.options)
    if guarantee != "exactly-once":
        return OwnOutlet(context, waits=guarantee != "none")
    if not isinstance(context.transaction, Outlet):
        raise ConfigError(
            f"{owner_of(context)}: 'sink.delivery-guarantee' = 'exactly-once' needs checkpoints, "
            "and the job takes none",
            hint="SET 'execution.checkpointing.interval' = '10 s'",
        )
    return context.transaction


class MessageSender:
    """Sends the messages of one sink; delivery errors are raised by the next call."""

    def __init__(self, context: SinkContext) -> None:
        self._owner = owner_of(context)
        self._outlet = outlet_of(context)
        self._closed = False
        self._last_probe = 0.0
        topics = context.options.options["topic"]
        self._probe_topic = topics[0] if topics else None

    def check_topic(self, topic: str) -> int | None:
        """The topic's number of partitions; None while no broker answers. Raises ConnectorError where there
        is none."""
        deadline = time.monotonic() + AUTO_CREATE_WAIT_S
        while True:
            try:
                found = self._outlet.client.list_topics(topic, timeout=ANSWER_TIMEOUT_S).topics[topic]
            except KafkaException as e:
                self._outlet.poll()
                if is_hopeless(e):
                    raise ConnectorError(f"{self._owner}: {exception_reason(e)}") from None
                self._outlet.health.on_silence(exception_reason(e))
                return None
            self._outlet.health.on_answer()
            if found.error is None and found.partitions:
                return len(found.partitions)
            unknown = found.error is None or found.error.code() in (
                KafkaError.UNKNOWN_TOPIC_OR_PART,
                KafkaError.LEADER_NOT_AVAILABLE,
            )
            if not unknown or time.monotonic() > deadline:
                raise self._no_topic(topic, found.error)
            time.sleep(0.1)

    def _no_topic(self, topic: str, error: KafkaError | None) -> ConnectorError:
        if error is not None and error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            return ConnectorError(f"{self._owner}: topic '{topic}' cannot be written: {reason(error)}")
        topics = self._outlet.client.list_topics(timeout=ANSWER_TIMEOUT_S).topics
        known = [t for t in topics if not t.startswith("__")]
        return ConnectorError(
            f"{self._owner}: there is no topic '{topic}', and the broker does not create it",
            hint=did_you_mean(topic, known)
            or "create it, or allow the broker to (auto.create.topics.enable)",
        )

    def send(
        self, topic: str, messages: Messages, partition: int = -1, partitions: Sequence[int] | None = None
    ) -> None:
        """Hand over messages in order; waits while too many are on their way. Raises ConnectorError."""
        for begin in range(0, len(messages.values), CHUNK_MESSAGES):
            chunk = slice(begin, begin + CHUNK_MESSAGES)
            self._make_room(messages, chunk)
            if messages.headers is not None or messages.timestamps is not None:  # not possible in batches
                self._send_each(topic, messages, chunk, partition, partitions)
            else:
                self._send_batch(topic, messages, chunk, partition, partitions)
            self._outlet.poll()

    def _send_batch(
        self, topic: str, messages: Messages, chunk: slice, partition: int, partitions: Sequence[int] | None
    ) -> None:
        batch: list[dict[str, Any]] = [{"value": v} for v in messages.values[chunk]]
        if messages.keys is not None:
            for message, key in zip(batch, messages.keys[chunk], strict=True):
                if key is not None:
                    message["key"] = key
        # librdkafka takes one topic and one partition a batch; a partition named in a message is not heeded.
        topics = messages.topics[chunk] if messages.topics is not None else None
        numbers = partitions[chunk] if partitions is not None else None
        producer = self._outlet.producer
        for (name, number), part in _by_place(topic, partition, topics, numbers, batch).items():
            if producer.produce_batch(name, part, partition=number) != len(part):
                self._refused(name, next(m["_error"] for m in part if "_error" in m))

    def _send_each(
        self, topic: str, messages: Messages, chunk: slice, partition: int, partitions: Sequence[int] | None
    ) -> None:
        producer = self._outlet.producer
        for i in range(*chunk.indices(len(messages.values))):
            given: dict[str, Any] = {"partition": partition if partitions is None else partitions[i]}
            if messages.headers is not None and messages.headers[i]:
                given["headers"] = list(messages.headers[i] or ())
            if messages.timestamps is not None and messages.timestamps[i] is not None:
                given["timestamp"] = messages.timestamps[i]
            if messages.keys is not None:
                given["key"] = messages.keys[i]
            name = messages.topics[i] if messages.topics is not None else topic
            try:
                producer.produce(name, value=messages.values[i], **given)
            except KafkaException as e:
                self._refused(name, error_of(e))

    def _refused(self, topic: str, error: KafkaError) -> None:
        """librdkafka does not take a message. Raises what is behind it."""
        if error.code() in (KafkaError._FATAL, KafkaError._STATE):  # the producer is broken, not the message
            raise self._outlet.failed("writing", error)
        raise ConnectorError(f"{self._owner}: a message for topic {topic} cannot be sent: {reason(error)}")

    def _make_room(self, messages: Messages, chunk: slice) -> None:
        """Wait until a chunk fits, so that librdkafka never refuses a part of it (that would break the
        order)."""
        size = sum(len(v) for v in messages.values[chunk] if v is not None)
        outlet = self._outlet
        while len(outlet.client) > QUEUE_MESSAGES_MAX or (
            outlet.queued_bytes + size > QUEUE_BYTES_MAX and len(outlet.client) > 0
        ):
            outlet.poll(0.1)
        if len(outlet.client) == 0:
            outlet.queued_bytes = 0
        outlet.queued_bytes += size

    def poll(self) -> None:
        """Serve callbacks, and raise what they brought."""
        self._outlet.poll()

    def status(self) -> str | None:
        """As the sink's; asks a broker that was away, at most once a second, whether it is back."""
        if self._closed:
            return None
        with contextlib.suppress(StreamSqlError):  # raised again by the next write or flush
            self._outlet.poll()
        self._probe()
        return self._outlet.health.status()

    def _probe(self) -> None:
        """Ask a broker that was away whether it is back, once in a while."""
        health = self._outlet.health
        if health.away and time.monotonic() - self._last_probe >= PROBE_INTERVAL_S:
            self._last_probe = time.monotonic()
            with contextlib.suppress(KafkaException):
                self._outlet.client.list_topics(self._probe_topic, timeout=PROBE_TIMEOUT_S)
                health.on_answer()

    def drain(self, timeout_s: float | None = None) -> None:
        """Wait for every acknowledgement; those that never come fail after ``message.timeout.ms``.

        With a timeout: no longer, and not at all for a broker that is away.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while len(self._outlet.client) > 0 and (deadline is None or time.monotonic() < deadline):
            if deadline is not None and self._outlet.health.away:
                self._probe()
                if self._outlet.health.away:
                    break
            self._outlet.flush(0.2)
        if deadline is None:
            self._outlet.raise_failure()

    def settle(self, timeout_s: float) -> bool:
        """Whether every message is acknowledged, after waiting so long at most. Raises what a delivery failed with."""
        self.drain(timeout_s)
        self._outlet.raise_failure()
        return len(self._outlet.client) == 0

    def finish(self, timeout_s: float | None) -> None:
        """The sink ends: as :meth:`drain`. What is left in a transaction is the job's to commit or to abort."""
        if not self._outlet.shared:
            self.drain(timeout_s)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            if not self._outlet.shared:
                self._outlet.close()


def _by_place(
    topic: str,
    partition: int,
    topics: Sequence[str] | None,
    partitions: Sequence[int] | None,
    batch: list[dict[str, Any]],
) -> Mapping[tuple[str, int], list[dict[str, Any]]]:
    """The messages of each topic and partition (−1: any), in order."""
    if topics is None and partitions is None:
        return {(topic, partition): batch}
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for i, message in enumerate(batch):
        place = (
            topics[i] if topics is not None else topic,
            partitions[i] if partitions is not None else partition,
        )
        found.setdefault(place, []).append(message)
    return found
