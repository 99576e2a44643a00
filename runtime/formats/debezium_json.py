"""The ``debezium-json`` format: change events ``{"before": {…}, "after": {…}, "op": "u"}`` as a changelog.

``c`` and ``r`` insert ``after``, ``d`` deletes ``before``, ``u`` deletes ``before`` and inserts ``after`` (−1, then
+1). A NULL or empty message (a tombstone) gives nothing. Written are ``c`` for insertions and ``d`` for deletions, as
Flink does.

Source: Flink's DebeziumJsonDeserializationSchema and DebeziumJsonSerializationSchema.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.catalog.connectors import FORMATS
from streamsql.catalog.options import Options
from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import BIGINT, MAP, ROW, STRING, DataType
from streamsql.errors import UnsupportedError, ValidationError
from streamsql.schema import Field, Schema

from .base import Decoded, Decoder, Encoder
from .json import JsonDecoder, read_options
from .json_text import as_mask
from .json_write import JsonWriteOptions, ObjectText, write_options
from .text_columns import cast_strictly

_SOURCE_KEYS = {"source.database": "db", "source.schema": "schema", "source.table": "table"}


def create_decoder(schema: Schema, options: Options, *, time_zone: str, metadata: Sequence[str]) -> Decoder:
    return DebeziumDecoder(schema, options, metadata)


def create_encoder(schema: Schema, options: Options, *, time_zone: str) -> Encoder:
    if options["schema-include"]:
        raise UnsupportedError(
            f"'schema-include' of {options.owner}: messages are written without their schema",
            hint="leave the option out for a table that is written",
        )
    return DebeziumEncoder(schema, write_options(options))


class DebeziumDecoder(Decoder):
    """Reads change events into rows with weights; the metadata columns follow the schema's."""

    def __init__(self, schema: Schema, options: Options, metadata: Sequence[str]) -> None:
        self._metadata = list(metadata)
        known = FORMATS["debezium-json"].metadata
        for key in self._metadata:
            if key not in known:
                raise ValidationError(
                    f"format 'debezium-json' has no metadata key '{key}'",
                    hint="keys: " + ", ".join(sorted(known)),
                )
        self._schema_include = bool(options["schema-include"])
        self._ignore = bool(options["ignore-parse-errors"])
        self.schema = Schema.of([*schema, *(Field(key, known[key]) for key in self._metadata)])
        self._arrow = self.schema.arrow
        self._decoder = JsonDecoder(self._envelope(schema), read_options(options))

    def _envelope(self, schema: Schema) -> Schema:
        row = ROW([(f.name, f.type) for f in schema])
        fields: list[tuple[str, DataType]] = [("before", row), ("after", row), ("op", STRING())]
        if "ingestion-timestamp" in self._metadata:
            fields.append(("ts_ms", BIGINT()))
        if any(key.startswith("source.") for key in self._metadata):
            fields.append(("source", MAP(STRING(), STRING())))
        if not self._schema_include:
            return Schema.of(fields)
        around: list[tuple[str, DataType]] = [("payload", ROW(fields))]
        if "schema" in self._metadata:
            around.append(("schema", STRING()))
        return Schema.of(around)

    def close(self) -> None:
        self._decoder.close()

    def decode(self, messages: pa.BinaryArray) -> Decoded:
        tombstones = as_mask(pc.fill_null(pc.equal(pc.binary_length(messages), 0), True))
        if tombstones.any():
            messages = pc.if_else(pa.array(tombstones), pa.scalar(None, pa.binary()), messages)
        read = self._decoder.decode(messages)
        index = read.source_index if read.source_index is not None else np.arange(read.rows.num_rows)
        errors = dict(read.errors)
        columns = {name: read.rows.column(name) for name in read.rows.schema.names}
        empty = np.zeros(len(index), bool)
        if self._schema_include:
            payload = columns.pop("payload")
            empty = as_mask(pc.is_null(payload))
            columns |= {f.name: c for f, c in zip(payload.type, payload.flatten(), strict=True)}
        delete, insert = self._operations(columns, index, errors, empty)
        return self._rows(
            columns, index, delete, insert, {} if self._ignore else dict(sorted(errors.items()))
        )

    def _operations(
        self,
        columns: dict[str, pa.Array],
        index: npt.NDArray[np.int64],
        errors: dict[int, str],
        empty: npt.NDArray[np.bool_],
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which messages delete their ``before`` and which insert their ``after``."""
        op = columns["op"]
        update, remove = (as_mask(pc.fill_null(pc.equal(op, code), False)) for code in "ud")
        create = as_mask(pc.fill_null(pc.is_in(op, pa.array(["c", "r"])), False))
        delete, insert = update | remove, update | create
        no_before = delete & as_mask(pc.is_null(columns["before"]))
        no_after = insert & as_mask(pc.is_null(columns["after"]))
        unknown = ~(delete | insert) & ~empty
        for i in np.flatnonzero(unknown):
            found = op[int(i)].as_py()
            errors[int(index[i])] = f"found op {found!r}, expected 'c', 'r', 'u' or 'd'"
        for i in np.flatnonzero(no_before):
            errors[int(index[i])] = (
                f"found op '{op[int(i)].as_py()}' without a row in 'before', expected the old row "
                "(on PostgreSQL: ALTER TABLE … REPLICA IDENTITY FULL)"
            )
        for i in np.flatnonzero(no_after & ~no_before):
            errors[int(index[i])] = (
                f"found op '{op[int(i)].as_py()}' without a row in 'after', expected the new row"
            )
        good = ~(no_before | no_after)
        return delete & good, insert & good

    def _rows(
        self,
        columns: dict[str, pa.Array],
        index: npt.NDArray[np.int64],
        delete: npt.NDArray[np.bool_],
        insert: npt.NDArray[np.bool_],
        errors: dict[int, str],
    ) -> Decoded:
        deleted, inserted = np.flatnonzero(delete), np.flatnonzero(insert)
        message = np.concatenate([deleted, inserted])
        # Deletions come first in the concatenation, so also in a message.
        order = np.argsort(message, kind="stable")
        message = message[order]
        weights = np.concatenate([-np.ones(len(deleted), np.int64), np.ones(len(inserted), np.int64)])[order]
        before = columns["before"].take(pa.array(deleted)).flatten()
        after = columns["after"].take(pa.array(inserted)).flatten()
        take = pa.array(order)
        arrays = [pa.concat_arrays([b, a]).take(take) for b, a in zip(before, after, strict=True)]
        arrays += [self._metadata_column(key, columns).take(pa.array(message)) for key in self._metadata]
        return Decoded(
            pa.RecordBatch.from_arrays(arrays, schema=self._arrow), weights, index[message], errors
        )

    def _metadata_column(self, key: str, columns: dict[str, pa.Array]) -> pa.Array:
        count = len(columns["op"])
        millis = pa.timestamp("ms", tz="UTC")
        target = FORMATS["debezium-json"].metadata[key].arrow
        if key == "schema":
            return columns["schema"] if "schema" in columns else pa.nulls(count, pa.string())
        if key == "ingestion-timestamp":
            return columns["ts_ms"].cast(millis).cast(target)
        source = columns["source"]
        if key == "source.properties":
            return source
        if key == "source.timestamp":
            numbers, _ = cast_strictly(pc.map_lookup(source, "ts_ms", "first"), pa.int64(), leaf_rows=1)
            return numbers.cast(millis).cast(target)
        return pc.map_lookup(source, _SOURCE_KEYS[key], "first")


class DebeziumEncoder(Encoder):
    """Writes an insertion as ``c`` with ``after`` and a deletion as ``d`` with ``before``."""

    def __init__(self, schema: Schema, options: JsonWriteOptions) -> None:
        self.schema = schema
        self._object = ObjectText(schema.names, schema.types, options)
        self._drop_nulls = options.ignore_null_fields

    def encode(self, batch: ChangelogBatch) -> tuple[pa.BinaryArray, npt.NDArray[np.int64]]:
        weights = batch.weight_array()
        index = np.repeat(np.arange(batch.num_rows, dtype=np.int64), np.abs(weights))
        inserts = pa.array(weights[index] > 0)
        rows = batch.rows.take(pa.array(index))
        texts = self._object.texts(rows.columns, rows.num_rows)
        created = (
            ('{"after":', ',"op":"c"}') if self._drop_nulls else ('{"before":null,"after":', ',"op":"c"}')
        )
        deleted = (
            ('{"before":', ',"op":"d"}') if self._drop_nulls else ('{"before":', ',"after":null,"op":"d"}')
        )
        head = pc.if_else(inserts, created[0], deleted[0])
        tail = pc.if_else(inserts, created[1], deleted[1])
        return pc.binary_join_element_wise(head, texts, tail, "").cast(pa.binary()), index
