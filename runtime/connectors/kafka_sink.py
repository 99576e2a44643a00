"""Writes rows to Kafka topics: key and value encoded a batch at a time, sent by librdkafka in the
background.

Order within a partition is that of the rows; a retry neither doubles nor swaps (idempotent producer, acks
from all replicas). At least once: ``close(finished=True)`` returns when every message is acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.catalog.connectors import TableOptions
from streamsql.catalog.descriptors_kafka import delivery_guarantee
from streamsql.changelog import ChangelogBatch, ChangelogMode
from streamsql.errors import ConfigError, ConnectorError, DataError

from ..formats import create_encoder
from ..formats.base import Encoder
from .base import Sink, SinkContext
from .kafka_client import owner_of
from .kafka_layout import Part, layout_of
from .kafka_metadata import written_headers, written_timestamps
from .kafka_send import Messages, MessageSender

ABORT_FLUSH_S = 5.0
"""How long a job that ends early tries to get rid of what it wrote in earlier steps."""


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
            self._sender.finish(None if finished and self._waits else ABORT_FLUSH_S)
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
