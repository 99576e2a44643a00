"""Writes rows to Kafka topics: key and value encoded a batch at a time, sent by librdkafka in the
background.

Order within a partition is that of the rows; a retry neither doubles nor swaps (idempotent producer, acks
from all replicas). At least once: ``close(finished=True)`` returns when every message is acknowledged.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from confluent_kafka import KafkaError, KafkaException

from streamsql.catalog.connectors import TableOptions
from streamsql.catalog.descriptors_kafka import delivery_guarantee
from streamsql.changelog import ChangelogBatch, ChangelogMode
from streamsql.errors import ConfigError, ConnectorError, DataError, did_you_mean

from ..formats import create_encoder
from ..formats.base import Encoder
from .base import Sink, SinkContext
from .kafka_client import (
    LOG,
    Health,
    create_producer,
    exception_reason,
    is_hopeless,
    owner_of,
    properties_of,
    reason,
)
from .kafka_fetch import Headers
from .kafka_layout import Part, layout_of
from .kafka_metadata import written_headers, written_timestamps

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
ABORT_FLUSH_S = 5.0
"""How long a job that ends early tries to get rid of what it wrote in earlier steps."""


@dataclass(frozen=True)
class Messages:
    """Columns of messages to send; ``topic`` and ``partition`` None: the sink's own choice."""

    values: Sequence[bytes | None]
    keys: Sequence[bytes | None] | None = None
    headers: Sequence[Headers] | None = None
    timestamps: Sequence[int | None] | None = None
    topics: Sequence[str] | None = None


class MessageSender:
    """A producer with back-pressure; delivery errors are raised by the next call."""

    def __init__(self, context: SinkContext) -> None:
        self._owner = owner_of(context)
        self.health = Health(self._owner, properties_of(context)["bootstrap.servers"])
        self._failure: ConnectorError | None = None
        self._drop_errors = delivery_guarantee(context.options) == "none"
        self._producer = create_producer(
            context,
            self.health,
            {
                "queue.buffering.max.messages": QUEUE_MESSAGES_MAX + CHUNK_MESSAGES,
                "on_delivery": self._on_delivery,
            },
        )
        self._bytes = 0
        self._closed = False
        self._last_probe = 0.0
        topics = context.options.options["topic"]
        self._probe_topic = topics[0] if topics else None

    def _on_delivery(self, error: KafkaError | None, message: Any) -> None:
        """Called for failed messages only (``delivery.report.only.error``)."""
        if error is None:
            return
        partition = f" partition {message.partition()}" if message.partition() is not None else ""
        place = f"topic {message.topic()}{partition}"
        text = f"{self._owner}: a message for {place} was not delivered: {reason(error)}"
        if self._drop_errors:
            LOG.warning("%s", text)
        else:
            self._failure = self._failure or ConnectorError(text)

    def check_topic(self, topic: str) -> int | None:
        """The topic's number of partitions; None while no broker answers. Raises ConnectorError where there
        is none."""
        deadline = time.monotonic() + AUTO_CREATE_WAIT_S
        while True:
            try:
                found = self._producer.list_topics(topic, timeout=ANSWER_TIMEOUT_S).topics[topic]
            except KafkaException as e:
                self._producer.poll(0)
                self.health.raise_failure()
                if is_hopeless(e):
                    raise ConnectorError(f"{self._owner}: {exception_reason(e)}") from None
                self.health.on_silence(exception_reason(e))
                return None
            self.health.on_answer()
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
        known = [
            t for t in self._producer.list_topics(timeout=ANSWER_TIMEOUT_S).topics if not t.startswith("__")
        ]
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
            self._producer.poll(0)
        self.raise_failure()

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
        for (name, number), part in _by_place(topic, partition, topics, numbers, batch).items():
            if self._producer.produce_batch(name, part, partition=number) != len(part):
                error = next(m["_error"] for m in part if "_error" in m)
                raise ConnectorError(
                    f"{self._owner}: a message for topic {name} cannot be sent: {reason(error)}"
                )

    def _send_each(
        self, topic: str, messages: Messages, chunk: slice, partition: int, partitions: Sequence[int] | None
    ) -> None:
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
                self._producer.produce(name, value=messages.values[i], **given)
            except KafkaException as e:
                raise ConnectorError(
                    f"{self._owner}: a message for topic {name} cannot be sent: {exception_reason(e)}"
                ) from None

    def _make_room(self, messages: Messages, chunk: slice) -> None:
        """Wait until a chunk fits, so that librdkafka never refuses a part of it (that would break the
        order)."""
        size = sum(len(v) for v in messages.values[chunk] if v is not None)
        while len(self._producer) > QUEUE_MESSAGES_MAX or (
            self._bytes + size > QUEUE_BYTES_MAX and len(self._producer) > 0
        ):
            self._producer.poll(0.1)
            self.raise_failure()
        if len(self._producer) == 0:
            self._bytes = 0
        self._bytes += size

    def poll(self) -> None:
        """Serve callbacks, and raise what they brought."""
        self._producer.poll(0)
        self.raise_failure()

    def raise_failure(self) -> None:
        self.health.raise_failure()
        if self._failure is not None:
            raise self._failure

    def status(self) -> str | None:
        """As the sink's; asks a broker that was away, at most once a second, whether it is back."""
        if self._closed:
            return None
        self._producer.poll(0)
        if self.health.away and time.monotonic() - self._last_probe >= PROBE_INTERVAL_S:
            self._last_probe = time.monotonic()
            with contextlib.suppress(KafkaException):
                self._producer.list_topics(self._probe_topic, timeout=PROBE_TIMEOUT_S)
                self.health.on_answer()
        return self.health.status()

    def drain(self, timeout_s: float | None = None) -> None:
        """Wait for every acknowledgement; those that never come fail after ``message.timeout.ms``.

        With a timeout: no longer, and not at all for a broker that is away.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while len(self._producer) > 0 and (deadline is None or time.monotonic() < deadline):
            if deadline is not None and self.health.away:
                break
            self._producer.flush(0.2)
        if deadline is None:
            self.raise_failure()

    def settle(self, timeout_s: float) -> bool:
        """Whether every message is acknowledged, after waiting so long at most. Raises what a delivery failed with."""
        self.drain(timeout_s)
        self.raise_failure()
        return len(self._producer) == 0

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._producer.purge()
            self._producer.flush(0)


class KafkaSink(Sink):
    """The sink of a ``kafka`` table."""

    def __init__(self, context: SinkContext) -> None:
        """Raises ConfigError for options that do not say where to write."""
        self._context = context
        self._owner = owner_of(context)
        options = context.options
        self._layout = layout_of(context.table, options)
        self._metadata = {key: context.schema.index(name) for name, key in context.metadata}
        self._topic = sink_topic(context, options)
        self._value = RowEncoder(self._layout.value, context)
        self._key = RowEncoder(self._layout.key, context) if self._layout.key is not None else None
        value_format = self._layout.value.format.descriptor
        self._appends = value_format.changelog_mode is ChangelogMode.INSERT_ONLY
        self._partitioner = str(options.options["sink.partitioner"])
        self._waits = delivery_guarantee(options) != "none"
        self._partition_count: int | None = None
        self._turn = 0
        self._sender = MessageSender(context)

    def start(self) -> None:
        if self._topic is not None:
            self._partition_count = self._sender.check_topic(self._topic)

    def write(self, batch: ChangelogBatch) -> None:
        if batch.num_rows == 0:
            return
        batch = appended(batch, self._owner) if self._appends else batch
        values, rows = self._value.encode(batch)
        source = None if len(rows) == batch.num_rows and bool((rows == np.arange(len(rows))).all()) else rows
        keys = None
        if self._key is not None:
            keys, _ = self._key.encode(ChangelogBatch(batch.rows))
            keys = keys if source is None else keys.take(pa.array(source))
        messages = Messages(
            values.to_pylist(),
            keys.to_pylist() if keys is not None else None,
            **self._written_metadata(batch.rows, source),
        )
        partition, partitions = self._partitions(len(messages.values))
        self._sender.send(self._topic or "", messages, partition, partitions)

    def _written_metadata(self, rows: pa.RecordBatch, source: npt.NDArray[np.int64] | None) -> dict[str, Any]:
        """The writable metadata columns, as arguments of Messages."""

        def column(key: str) -> pa.Array | None:
            if key not in self._metadata:
                return None
            found = rows.column(self._metadata[key])
            return found if source is None else found.take(pa.array(source))

        out: dict[str, Any] = {}
        count = rows.num_rows if source is None else len(source)
        maps, lists = column("headers"), column("header-list")
        if maps is not None or lists is not None:
            out["headers"] = written_headers(maps, lists, count)
        if (stamps := column("timestamp")) is not None:
            out["timestamps"] = written_timestamps(stamps, self._context.time_zone)
        if (topics := column("topic")) is not None:
            names = topics.to_pylist()
            if self._topic is None and None in names:
                raise DataError(f"{self._owner}: a row has NULL in its topic column")
            out["topics"] = [name or self._topic for name in names]
        return out

    def _partitions(self, count: int) -> tuple[int, Sequence[int] | None]:
        """One partition for all messages (−1: by key, or sticky), or one for each."""
        if self._partitioner == "default":
            return -1, None
        if self._partitioner == "fixed":
            return 0, None
        if self._partition_count is None and self._topic is not None:
            self._partition_count = self._sender.check_topic(self._topic)
        if self._partition_count is None:  # no broker has answered yet: librdkafka spreads them
            return -1, None
        turns = (self._turn + np.arange(count)) % self._partition_count
        self._turn = (self._turn + count) % self._partition_count
        return -1, turns.tolist()

    def flush(self) -> None:
        self._sender.poll()

    def settle(self, timeout_s: float) -> bool:
        return not self._waits or self._sender.settle(timeout_s)

    def close(self, *, finished: bool) -> None:
        try:
            if finished and self._waits:
                self._sender.drain()
            else:
                self._sender.drain(ABORT_FLUSH_S)
        finally:
            self._sender.close()
            self._value.close()
            if self._key is not None:
                self._key.close()

    def status(self) -> str | None:
        return self._sender.status()


class RowEncoder:
    """Encodes the columns of one part of the message."""

    def __init__(self, part: Part, context: SinkContext) -> None:
        self._indexes = [context.schema.index(name) for name in part.columns]
        self._schema = part.schema.arrow
        self._encoder: Encoder = create_encoder(part.format, part.schema, time_zone=context.time_zone)

    def encode(self, batch: ChangelogBatch) -> tuple[pa.BinaryArray, npt.NDArray[np.int64]]:
        """Messages, and the row each came from."""
        columns = [batch.rows.column(i) for i in self._indexes]
        if columns:
            rows = pa.RecordBatch.from_arrays(columns, schema=self._schema)
        else:
            rows = pa.RecordBatch.from_struct_array(pa.array([{}] * batch.num_rows, pa.struct([])))
        return self._encoder.encode(ChangelogBatch(rows, batch.weights))

    def close(self) -> None:
        self._encoder.close()


def sink_topic(context: SinkContext, options: TableOptions) -> str | None:
    """The topic to write to; None if each row names its own. Raises ConfigError."""
    owner = owner_of(context)
    topics: Sequence[str] = options.options["topic"] or ()
    per_row = any(key == "topic" for _, key in context.metadata)
    if len(topics) == 1:
        return topics[0]
    if per_row:
        return None
    found = f"'topic' names {len(topics)}" if topics else "there is only a 'topic-pattern'"
    raise ConfigError(
        f"{owner} cannot be written: {found}",
        hint="name one topic, or add a column  topic STRING METADATA  that says where each row goes",
    )


def appended(batch: ChangelogBatch, owner: str) -> ChangelogBatch:
    """The batch without weights: rows of weight n stand n times. Raises ConnectorError for a deletion."""
    if batch.weights is None:
        return batch
    if (batch.weights < 0).any():
        raise ConnectorError(
            f"{owner} takes only insertions, and the query deletes rows",
            hint="use the connector 'upsert-kafka', or the format 'debezium-json'",
        )
    copies = np.repeat(np.arange(batch.num_rows), batch.weights)
    return ChangelogBatch(batch.rows.take(pa.array(copies)))


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
