"""The ``parquet`` format: files only, read by row groups and written by row groups.

Columns are matched by name; a column that a file lacks is NULL. Timestamps are read from any unit and written without
a zone (TIMESTAMP) or as UTC (TIMESTAMP_LTZ).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from streamsql.catalog.options import Options
from streamsql.changelog import ChangelogBatch
from streamsql.errors import DataError, UnsupportedError
from streamsql.schema import Schema

from .base import Decoder, Encoder

_BUFFERED_ROWS_MAX = 1_048_576


def create_decoder(schema: Schema, options: Options, *, time_zone: str, metadata: Sequence[str]) -> Decoder:
    raise UnsupportedError(
        "format 'parquet' is a format of files, not of messages", hint="use 'json' or 'csv'"
    )


def create_encoder(schema: Schema, options: Options, *, time_zone: str) -> Encoder:
    raise UnsupportedError(
        "format 'parquet' is a format of files, not of messages", hint="use 'json' or 'csv'"
    )


def check_types(schema: Schema) -> None:
    """Raises UnsupportedError for a column that parquet cannot hold."""
    todo = [(f.name, f.type) for f in schema]
    while todo:
        name, t = todo.pop()
        if t.is_interval:
            raise UnsupportedError(
                f"format 'parquet' has no form for {t.sql(nullability=False)} (column '{name}')",
                hint="CAST it to BIGINT or STRING",
            )
        todo.extend((name, c) for c in t.children)


def read_batches(
    file: pa.NativeFile, name: str, schema: Schema, skip: int, rows_max: int
) -> Iterator[pa.RecordBatch]:
    """Rows of a file from row ``skip`` on, as columns of ``schema``. Raises DataError for a column that does not
    fit."""
    reader = pq.ParquetFile(file, coerce_int96_timestamp_unit="us")
    groups: list[int] = []
    for i in range(reader.num_row_groups):
        rows = reader.metadata.row_group(i).num_rows
        if skip >= rows and not groups:
            skip -= rows
        else:
            groups.append(i)
    present = set(reader.schema_arrow.names)
    columns = [f.name for f in schema if f.name in present]
    if not groups:
        return
    for batch in reader.iter_batches(batch_size=rows_max, row_groups=groups, columns=columns):
        if skip >= batch.num_rows:
            skip -= batch.num_rows
            continue
        yield _conform(batch.slice(skip), schema, name)
        skip = 0


def _conform(batch: pa.RecordBatch, schema: Schema, name: str) -> pa.RecordBatch:
    arrays = []
    for field in schema:
        if field.name not in batch.schema.names:
            arrays.append(pa.nulls(batch.num_rows, field.type.arrow))
            continue
        column = batch.column(field.name)
        try:
            arrays.append(_cast(column, field.type.arrow))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as e:
            raise DataError(
                f"file {name}: column '{field.name}' is {column.type}, "
                f"expected {field.type.sql(nullability=False)}: {e}"
            ) from None
    return pa.RecordBatch.from_arrays(arrays, schema=schema.arrow)


def _cast(column: pa.Array, target: pa.DataType) -> pa.Array:
    if column.type == target:
        return column
    if pa.types.is_timestamp(column.type) and pa.types.is_timestamp(target):
        return pc.cast(column, target, safe=False)  # nanoseconds are cut
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_dictionary)
    mixed = pa.types.is_string(target) != any(is_text(column.type) for is_text in texts)
    if (
        pa.types.is_timestamp(target)
        or mixed
        or pa.types.is_boolean(column.type) != pa.types.is_boolean(target)
    ):
        raise pa.ArrowTypeError("the types have nothing in common")
    return pc.cast(column, target)


class ParquetFileWriter:
    """Writes one file; rows wait in memory until they fill a row group."""

    def __init__(self, stream: pa.NativeFile, schema: Schema, options: Options) -> None:
        compression = str(options["compression"]).lower()
        self._group_bytes: int = options["block.size"]
        self._stream = stream
        self._waiting: list[pa.RecordBatch] = []
        self._bytes = self._rows = 0
        given: dict[str, Any] = {
            "compression": "none" if compression == "uncompressed" else compression,
            "coerce_timestamps": "ms" if options["timestamp.time.unit"] == "millis" else "us",
            "allow_truncated_timestamps": True,
            "data_page_size": options["page.size"],
            "use_dictionary": options["enable.dictionary"],
        }
        self._schema = schema.arrow
        self._writer = pq.ParquetWriter(stream, self._schema, **given)

    def write(self, batch: ChangelogBatch) -> None:
        rows = batch.rows
        self._waiting.append(rows)
        self._bytes += rows.nbytes
        self._rows += rows.num_rows
        if self._bytes >= self._group_bytes or self._rows >= _BUFFERED_ROWS_MAX:
            self._write_group()

    def _write_group(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
        self._waiting, self._bytes, self._rows = [], 0, 0

    @property
    def size(self) -> int:
        """Bytes so far; rows that wait count as they are in memory."""
        return int(self._stream.tell()) + self._bytes

    def close(self) -> None:
        self._write_group()
        self._writer.close()

    def abandon(self) -> None:
        """Free it: nobody wants the file."""
        self._waiting = []
        with contextlib.suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._writer.is_open = False  # or it is closed again, and fails again, when Python frees it
