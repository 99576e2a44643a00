"""Messages of a Kafka topic to rows of its table: key and value decoded, metadata columns added.

One message that cannot be read leaves the others alone; it is reported with its place in the topic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..formats import create_decoder
from ..formats.base import Decoded, Decoder
from .base import SourceContext
from .kafka_fetch import Fetched
from .kafka_layout import Layout, Part, layout_of
from .kafka_metadata import VALUE_PREFIX, metadata_column
from .kafka_offsets import Partition

NO_KEY = "the message has no key"

Indexes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Built:
    """Rows of fetched messages. ``messages``: for each row the index of its message, ascending. ``errors``:
    message index → why it cannot be read; such a message has no row."""

    rows: ChangelogBatch
    messages: Indexes
    errors: dict[int, str]


@dataclass(frozen=True)
class _Rows:
    """Decoded rows with the message each came from; ``at`` finds the row of a message (−1: none), for
    append formats."""

    columns: pa.RecordBatch
    messages: Indexes
    weights: npt.NDArray[np.int64] | None
    errors: dict[int, str]
    count: int

    def at(self) -> Indexes:
        found = np.full(self.count, -1, np.int64)
        found[self.messages] = np.arange(len(self.messages))
        return found


class RowBuilder:
    """Decodes what a Fetcher brings. Belongs to the reader's thread."""

    def __init__(self, context: SourceContext, layout: Layout | None = None) -> None:
        layout = layout or layout_of(context.table, context.options)
        self._physical = context.physical
        self._metadata_types = context.metadata_schema.types
        self._metadata_keys = [key for _, key in context.metadata]
        self._time_zone = context.time_zone
        self._schema = pa.schema([*context.physical.arrow, *context.metadata_schema.arrow])
        wanted = frozenset(context.physical.names)
        self.value = layout.value.narrowed(wanted)
        self.key = self._needed_key(layout, wanted)
        formats = [k.removeprefix(VALUE_PREFIX) for k in self._metadata_keys if k.startswith(VALUE_PREFIX)]
        self._format_keys = formats
        self._value_decoder = _decoder(self.value, self._time_zone, formats)
        self._key_decoder = _decoder(self.key, self._time_zone, ()) if self.key is not None else None

    def _needed_key(self, layout: Layout, wanted: frozenset[str]) -> Part | None:
        """The key, if it alone has a wanted column: one that both have is read from the value, as in Flink."""
        if layout.key is None or not (set(layout.key.columns) & wanted - set(layout.value.columns)):
            return None
        return layout.key

    def close(self) -> None:
        self._value_decoder.close()
        if self._key_decoder is not None:
            self._key_decoder.close()

    def build(self, fetched: Fetched, partitions: Sequence[Partition]) -> Built:
        """The rows of the fetched messages (at least one)."""
        values = _rows(self._value_decoder.decode(fetched.values), len(fetched.values))
        if self._key_decoder is None:
            return self._assembled(values, None, None, fetched, partitions, values.errors)
        assert fetched.keys is not None
        keys = _decoded_where(self._key_decoder, fetched.keys, np.flatnonzero(~_nulls(fetched.keys)))
        errors = {i: f"key: {text}" for i, text in keys.errors.items()} | values.errors
        at = keys.at()[values.messages]
        if keys.errors:
            good = np.flatnonzero(~np.isin(values.messages, list(keys.errors)))
            values, at = _picked(values, good), at[good]
        return self._assembled(values, keys, at, fetched, partitions, errors)

    def _assembled(
        self,
        values: _Rows,
        keys: _Rows | None,
        key_at: Indexes | None,
        fetched: Fetched,
        partitions: Sequence[Partition],
        errors: dict[int, str],
    ) -> Built:
        columns: list[pa.Array] = []
        for name in self._physical.names:
            if name in self.value.columns:
                columns.append(values.columns.column(self.value.columns.index(name)))
            else:
                assert keys is not None and key_at is not None and self.key is not None
                columns.append(take(keys.columns.column(self.key.columns.index(name)), key_at))
        columns += self._metadata(values, values.messages, fetched, partitions)
        rows = record_batch(columns, self._schema, len(values.messages))
        return Built(ChangelogBatch(rows, values.weights), values.messages, errors)

    def _metadata(
        self, values: _Rows, messages: Indexes, fetched: Fetched, partitions: Sequence[Partition]
    ) -> list[pa.Array]:
        columns: list[pa.Array] = []
        from_format = len(self.value.columns)
        for key, declared in zip(self._metadata_keys, self._metadata_types, strict=True):
            if key.startswith(VALUE_PREFIX):
                columns.append(values.columns.column(from_format).cast(declared.arrow))
                from_format += 1
            else:
                columns.append(metadata_column(key, fetched, messages, partitions, declared, self._time_zone))
        return columns


class UpsertRowBuilder(RowBuilder):
    """The rows of ``upsert-kafka``: the last message of a key holds its row, and a NULL value deletes it.

    A deletion is a row of weight −1 with only the key's columns set. Key columns come from the key, unless
    the value holds them too and there is a value.
    """

    def _needed_key(self, layout: Layout, wanted: frozenset[str]) -> Part | None:
        assert layout.key is not None, "checked by the connector's validate"
        self._from_key = not set(layout.key.columns) <= set(layout.value.columns)
        return layout.key

    def build(self, fetched: Fetched, partitions: Sequence[Partition]) -> Built:
        assert fetched.keys is not None and self._key_decoder is not None and self.key is not None
        count = len(fetched.values)
        deleted = _nulls(fetched.values)
        from_key = self._from_key
        values = _decoded_where(self._value_decoder, fetched.values, np.flatnonzero(~deleted))
        keyless = np.flatnonzero(_nulls(fetched.keys) & (deleted | from_key))
        needed = np.ones(count, bool) if from_key else deleted
        needed[keyless] = False
        keys = _decoded_where(self._key_decoder, fetched.keys, np.flatnonzero(needed))
        value_at, key_at = values.at(), keys.at()
        errors = dict.fromkeys([*keyless.tolist(), *np.flatnonzero(needed & (key_at < 0)).tolist()], NO_KEY)
        errors |= {i: f"key: {text}" for i, text in keys.errors.items()} | values.errors
        present = (key_at >= 0) & (deleted | (value_at >= 0)) if from_key else (value_at >= 0) | (key_at >= 0)
        present[list(errors)] = False
        messages = np.flatnonzero(present)
        value_at, key_at, deleted = value_at[messages], key_at[messages], deleted[messages]
        columns = [self._column(name, values, keys, value_at, key_at) for name in self._physical.names]
        columns += self._metadata(_picked(values, value_at), messages, fetched, partitions)
        rows = record_batch(columns, self._schema, len(messages))
        weights = np.where(deleted, -1, 1).astype(np.int64) if deleted.any() else None
        return Built(ChangelogBatch(rows, weights), messages, errors)

    def _column(self, name: str, values: _Rows, keys: _Rows, value_at: Indexes, key_at: Indexes) -> pa.Array:
        assert self.key is not None
        in_value, in_key = name in self.value.columns, name in self.key.columns
        if not in_key:
            return take(values.columns.column(self.value.columns.index(name)), value_at)
        key_column = keys.columns.column(self.key.columns.index(name))
        if not in_value:
            return take(key_column, key_at)
        value_column = values.columns.column(self.value.columns.index(name))
        both = pa.concat_arrays([value_column, key_column])
        return take(
            both, np.where(value_at >= 0, value_at, np.where(key_at >= 0, key_at + len(value_column), -1))
        )


def take(column: pa.Array, at: Indexes) -> pa.Array:
    """The values at these places; NULL for −1."""
    missing = at < 0
    if not missing.any():
        return column if _is_all(at, len(column)) else column.take(pa.array(at))
    return column.take(pa.array(at, mask=missing))


def record_batch(columns: Sequence[pa.Array], schema: pa.Schema, count: int) -> pa.RecordBatch:
    """A batch of ``count`` rows, also without columns."""
    if not columns:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * count, pa.struct([])))
    return pa.RecordBatch.from_arrays(list(columns), schema=schema)


def _decoder(part: Part, time_zone: str, metadata: Sequence[str]) -> Decoder:
    return create_decoder(part.format, part.schema, time_zone=time_zone, metadata=metadata)


def _is_all(at: Indexes, count: int) -> bool:
    return len(at) == count and (count == 0 or bool((at == np.arange(count)).all()))


def _nulls(column: pa.Array) -> npt.NDArray[np.bool_]:
    if column.null_count == 0:
        return np.zeros(len(column), bool)
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False), bool)


def _rows(decoded: Decoded, count: int) -> _Rows:
    """Decoded messages 0 to ``count``. Rows are put in the order of their messages, if they are not."""
    messages = decoded.source_index
    if messages is None:
        messages = np.arange(decoded.rows.num_rows, dtype=np.int64)
    found = _Rows(decoded.rows, messages, decoded.weights, dict(decoded.errors), count)
    if len(messages) > 1 and (messages[1:] < messages[:-1]).any():
        found = _picked(found, np.argsort(messages, kind="stable"))
    return found


def _decoded_where(decoder: Decoder, messages: pa.BinaryArray, chosen: Indexes) -> _Rows:
    """Decodes the chosen messages; indexes in the result are those of all messages."""
    subset = messages if len(chosen) == len(messages) else messages.take(pa.array(chosen))
    found = _rows(decoder.decode(subset), len(chosen))
    errors = {int(chosen[i]): text for i, text in found.errors.items()}
    return _Rows(found.columns, chosen[found.messages], found.weights, errors, len(messages))


def _picked(rows: _Rows, at: Indexes) -> _Rows:
    """These rows in this order (NULLs for −1)."""
    if _is_all(at, rows.columns.num_rows):
        return rows
    columns = record_batch([take(c, at) for c in rows.columns.columns], rows.columns.schema, len(at))
    weights = None if rows.weights is None else rows.weights[at]
    return _Rows(columns, rows.messages[at], weights, rows.errors, rows.count)
