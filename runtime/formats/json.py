"""The ``json`` format: one JSON object per message.

Small batches are read row by row with the standard library (``json_rows.py``), large ones in columns with DuckDB
(``json_columns.py``); both give the same rows and the same errors. Messages are written in columns (``json_write.py``).

A NULL message and the message ``null`` give no row and no error, as in Flink.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.catalog.options import Options
from streamsql.errors import ConfigError, UnsupportedError
from streamsql.schema import Schema

from .base import Decoded, Decoder, Encoder, Part, merge_parts
from .json_columns import ColumnReader
from .json_rows import FieldError, JsonReadOptions, Malformed, RowReader
from .json_text import optional
from .json_write import JsonEncoder, write_options

COLUMNS_FROM_ROWS = 400
"""Batches of at least so many messages are read in columns: DuckDB costs 2 to 3 ms per call, a row about 7 µs."""


def create_decoder(schema: Schema, options: Options, *, time_zone: str, metadata: Sequence[str]) -> Decoder:
    assert not metadata, metadata
    return JsonDecoder(schema, read_options(options))


def create_encoder(schema: Schema, options: Options, *, time_zone: str) -> Encoder:
    return JsonEncoder(schema, write_options(options))


def read_options(options: Options) -> JsonReadOptions:
    """The reading half of the format's options. Raises ConfigError for two that exclude each other."""
    fail_on_missing = optional(options, "fail-on-missing-field")
    ignore = bool(options["ignore-parse-errors"])
    if fail_on_missing and ignore:
        raise ConfigError(
            f"'fail-on-missing-field' and 'ignore-parse-errors' of {options.owner} are both true",
            hint="choose one of them",
        )
    return JsonReadOptions(
        fail_on_missing_field=fail_on_missing,
        ignore_parse_errors=ignore,
        iso_timestamps=options["timestamp-format.standard"] == "ISO-8601",
        scalar=optional(options, "scalar"),
    )


class JsonDecoder(Decoder):
    """Reads JSON messages into ``schema``.

    A message that is no object is read as the bare value of the column if there is just one (not a ROW).
    """

    def __init__(
        self, schema: Schema, options: JsonReadOptions, *, columns_from_rows: int = COLUMNS_FROM_ROWS
    ) -> None:
        if options.scalar and len(schema) != 1:
            raise UnsupportedError(
                f"'json.scalar' needs exactly one column, found {len(schema)}: {', '.join(schema.names)}",
                hint="leave 'json.scalar' out, or let the format carry one column",
            )
        self.schema = schema
        self._options = options
        self._from_rows = columns_from_rows
        self._arrow = schema.arrow
        self._rows = RowReader(schema, options)
        self._readers: dict[bool, ColumnReader] = {}
        self._in_columns = len(schema) > 0
        self._bare = len(schema) == 1 and not schema.types[0].is_nested

    def decode(self, messages: pa.BinaryArray) -> Decoded:
        if not self._in_columns or len(messages) < self._from_rows:
            return self._decode_rows(messages)
        return self._decode_columns(messages)

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    # -- row by row --------------------------------------------------------------------------------------------------
    def _decode_rows(self, messages: pa.BinaryArray) -> Decoded:
        read, errors, unparsed = self._read_each(messages.to_pylist(), range(len(messages)))
        parts = [(self._batch([r for _, r in read]), np.array([i for i, _ in read], np.int64))]
        if unparsed:
            parts.append(self._lenient(messages, unparsed, errors))
        return self._merge(parts, len(messages), errors)

    def _read_each(
        self, values: Sequence[bytes | None], indexes: Sequence[int]
    ) -> tuple[list[tuple[int, list[Any]]], dict[int, str], dict[int, str]]:
        """Rows by message index; errors; and messages that the standard library calls malformed, with its reason."""
        parse, to_row = self._rows.parse, self._rows.row
        read: list[tuple[int, list[Any]]] = []
        errors: dict[int, str] = {}
        unparsed: dict[int, str] = {}
        for index, message in zip(indexes, values, strict=True):
            if message is None:
                continue
            try:
                value = parse(message)
                if value is not None:
                    read.append((index, to_row(value)))
            except Malformed as e:
                unparsed[index] = str(e)
            except FieldError as e:
                if not self._options.ignore_parse_errors:
                    errors[index] = e.text()
        return read, errors, unparsed

    def _batch(self, rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
        columns = zip(*rows, strict=True) if rows else ([] for _ in self._arrow)
        arrays = [pa.array(list(c), f.type) for c, f in zip(columns, self._arrow, strict=True)]
        if not len(self._arrow):
            return pa.RecordBatch.from_struct_array(pa.array([{}] * len(rows), pa.struct([])))
        return pa.RecordBatch.from_arrays(arrays, schema=self._arrow)

    def _lenient(self, messages: pa.BinaryArray, unparsed: dict[int, str], errors: dict[int, str]) -> Part:
        """A second look by DuckDB, which forgives a trailing comma: both ways of reading must forgive the same."""
        indexes = np.array(sorted(unparsed), np.int64)
        clean = np.zeros(len(indexes), bool)
        rows = self._batch([])
        if self._in_columns:
            try:
                texts = messages.take(pa.array(indexes)).cast(pa.string())
            except pa.ArrowInvalid:
                indexes = np.array([i for i in indexes if "UTF-8" not in unparsed[int(i)]], np.int64)
                texts = messages.take(pa.array(indexes)).cast(pa.string())
            if len(indexes):
                rows, suspicious = self._reader(texts).read(texts)
                clean = ~suspicious
                rows = rows.filter(pa.array(clean))
                indexes = indexes[clean]
            else:
                indexes = indexes[:0]
        else:
            indexes = indexes[:0]
        for i in sorted(set(unparsed) - set(indexes.tolist())):
            if not self._options.ignore_parse_errors:
                errors[i] = unparsed[i]
        return rows, indexes

    # -- in columns --------------------------------------------------------------------------------------------------
    def _decode_columns(self, messages: pa.BinaryArray) -> Decoded:
        errors: dict[int, str] = {}
        count = len(messages)
        present = np.arange(count)
        if messages.null_count:
            present = np.flatnonzero(pc.is_valid(messages).to_numpy(zero_copy_only=False))
            messages = messages.drop_null()
        try:
            texts = messages.cast(pa.string())
        except pa.ArrowInvalid:
            texts, present, messages = self._drop_invalid(messages, present, errors)
        if len(texts) == 0:
            return self._merge([], count, errors)
        rows, suspicious = self._reader(texts).read(texts)
        if suspicious.any():
            return self._settle(messages, present, rows, suspicious, errors, count)
        return self._merge([(rows, present)], count, errors)

    def _settle(
        self,
        messages: pa.BinaryArray,
        present: npt.NDArray[np.int64],
        rows: pa.RecordBatch,
        suspicious: npt.NDArray[np.bool_],
        errors: dict[int, str],
        count: int,
    ) -> Decoded:
        """Read the suspicious rows one by one and put all in order."""
        doubtful = np.flatnonzero(suspicious)
        values = messages.take(pa.array(doubtful)).to_pylist()
        read, found, unparsed = self._read_each(values, doubtful.tolist())
        if not self._options.ignore_parse_errors:
            errors.update({int(present[i]): text for i, text in {**found, **unparsed}.items()})
        clean = np.flatnonzero(~suspicious)
        parts = [
            (rows.filter(pa.array(~suspicious)), present[clean]),
            (self._batch([r for _, r in read]), present[np.array([i for i, _ in read], np.int64)]),
        ]
        return self._merge(parts, count, errors)

    def _drop_invalid(
        self, messages: pa.BinaryArray, present: npt.NDArray[np.int64], errors: dict[int, str]
    ) -> tuple[pa.StringArray, npt.NDArray[np.int64], pa.BinaryArray]:
        """Leave out messages that are not UTF-8."""
        keep = np.ones(len(messages), bool)
        for i, value in enumerate(messages.to_pylist()):
            try:
                value.decode("utf-8")
            except UnicodeDecodeError:
                keep[i] = False
                if not self._options.ignore_parse_errors:
                    try:
                        self._rows.parse(value)
                    except Malformed as e:
                        errors[int(present[i])] = str(e)
        messages = messages.filter(pa.array(keep))
        return messages.cast(pa.string()), present[keep], messages

    def _reader(self, texts: pa.StringArray) -> ColumnReader:
        """The reader of objects, or of bare values if that is what the messages are."""
        scalar = self._options.scalar or (self._bare and not (pc.starts_with(texts, "{").true_count))
        if scalar not in self._readers:
            options = JsonReadOptions(**{**vars(self._options), "scalar": scalar})
            self._readers[scalar] = ColumnReader(self.schema, options)
        return self._readers[scalar]

    def _merge(self, parts: Sequence[Part], count: int, errors: dict[int, str]) -> Decoded:
        rows, index = merge_parts(parts, self._arrow, count, bool(errors))
        return Decoded(rows, None, index, dict(sorted(errors.items())))
