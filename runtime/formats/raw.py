"""The ``raw`` format: the bytes of the message are the value of the only column.

A NULL message is a NULL value. With ``line-delimiter`` a message holds several rows.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.catalog.options import Options
from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import DataType, Root
from streamsql.errors import ConfigError, UnsupportedError
from streamsql.schema import Schema

from .base import Decoded, Decoder, Encoder, insert_rows
from .json_rows import shown

_NUMPY = {
    Root.TINYINT: "i1",
    Root.SMALLINT: "i2",
    Root.INT: "i4",
    Root.BIGINT: "i8",
    Root.FLOAT: "f4",
    Root.DOUBLE: "f8",
}


class _Raw:
    """What reading and writing share: the type and the options, checked."""

    def __init__(self, schema: Schema, options: Options) -> None:
        if len(schema) != 1:
            raise UnsupportedError(
                f"format 'raw' takes exactly one column, found {len(schema)}: {', '.join(schema.names)}",
                hint="use 'json' or 'csv' for several columns",
            )
        self.schema = schema
        self.type: DataType = schema.types[0]
        known = (Root.BOOLEAN, *_NUMPY)
        if not (self.type.is_string or self.type.is_binary or self.type.root in known):
            raise UnsupportedError(
                f"format 'raw' has no form for {self.type.sql(nullability=False)}", hint="use BYTES"
            )
        try:
            self.charset = codecs.lookup(options["charset"]).name
        except LookupError:
            raise ConfigError(
                f"option 'charset' of {options.owner}: found '{options['charset']}', "
                "expected a character set such as UTF-8"
            ) from None
        self.order = ">" if options["endianness"] == "big-endian" else "<"
        delimiter = options["line-delimiter"]
        self.delimiter: bytes | None = None
        if delimiter is not None:
            if not self.type.is_string:
                raise ConfigError(f"option 'line-delimiter' of {options.owner} needs a character column")
            text = delimiter.encode("latin-1", "backslashreplace").decode("unicode_escape")
            self.delimiter = text.encode(self.charset)

    def dtype(self) -> np.dtype[Any]:
        return np.dtype("u1" if self.type.root is Root.BOOLEAN else self.order + _NUMPY[self.type.root])


class RawDecoder(Decoder):
    """Reads the bytes of each message as the value of the column."""

    def __init__(self, schema: Schema, options: Options) -> None:
        self._raw = _Raw(schema, options)
        self.schema = schema

    def decode(self, messages: pa.BinaryArray) -> Decoded:
        index = np.arange(len(messages))
        if self._raw.delimiter is not None:
            messages, index = self._lines(messages, self._raw.delimiter)
        t = self._raw.type
        errors: dict[int, str] = {}
        if t.is_binary:
            column = messages
        elif t.is_string:
            column, errors = self._strings(messages)
        else:
            column, errors = self._numbers(messages)
        rows = pa.RecordBatch.from_arrays([column], schema=self.schema.arrow)
        if errors:
            keep = np.ones(len(messages), bool)
            keep[list(errors)] = False
            rows = rows.filter(pa.array(keep))
            errors = {int(index[i]): text for i, text in errors.items()}
            index = index[keep]
        return Decoded(rows, None, None if self._raw.delimiter is None and not errors else index, errors)

    def _lines(
        self, messages: pa.BinaryArray, delimiter: bytes
    ) -> tuple[pa.BinaryArray, npt.NDArray[np.int64]]:
        """Each message's lines; what follows the last delimiter is a line unless it is empty."""
        lines: list[bytes | None] = []
        index: list[int] = []
        for i, message in enumerate(messages.to_pylist()):
            found = [None] if message is None else message.split(delimiter)
            if len(found) > 1 and found[-1] == b"":
                found.pop()
            lines.extend(found)
            index.extend([i] * len(found))
        return pa.array(lines, pa.binary()), np.array(index, np.int64)

    def _strings(self, messages: pa.BinaryArray) -> tuple[pa.StringArray, dict[int, str]]:
        if self._raw.charset == "utf-8":
            try:
                return messages.cast(pa.string()), {}
            except pa.ArrowInvalid:
                pass
        texts: list[str | None] = []
        errors: dict[int, str] = {}
        for i, message in enumerate(messages.to_pylist()):
            try:
                texts.append(None if message is None else message.decode(self._raw.charset))
            except UnicodeDecodeError:
                texts.append(None)
                errors[i] = f"found {shown(message or b'')}, expected text in {self._raw.charset}"
        return pa.array(texts, pa.string()), errors

    def _numbers(self, messages: pa.BinaryArray) -> tuple[pa.Array, dict[int, str]]:
        dtype = self._raw.dtype()
        lengths = pc.binary_length(messages).to_numpy(zero_copy_only=False)
        valid = pc.is_valid(messages).to_numpy(zero_copy_only=False)
        bad = np.flatnonzero(valid & (lengths != dtype.itemsize))
        name = self._raw.type.sql(nullability=False)
        errors = {int(i): f"found {int(lengths[i])} bytes, expected {dtype.itemsize} for {name}" for i in bad}
        empty = bytes(dtype.itemsize)
        fixed = [empty if m is None or len(m) != len(empty) else m for m in messages.to_pylist()]
        values = np.frombuffer(b"".join(fixed), dtype).astype(dtype.newbyteorder("="))
        column = pa.array(values, mask=~valid)
        return column.cast(self._raw.type.arrow), errors


class RawEncoder(Encoder):
    """Writes the value of the only column; a NULL is a NULL message."""

    def __init__(self, schema: Schema, options: Options) -> None:
        self._raw = _Raw(schema, options)
        self.schema = schema

    def encode(self, batch: ChangelogBatch) -> tuple[pa.BinaryArray, npt.NDArray[np.int64]]:
        rows, index = insert_rows(batch)
        column = rows.column(0)
        t = self._raw.type
        if t.is_binary:
            return column, index
        if t.is_string and self._raw.charset == "utf-8" and self._raw.delimiter is None:
            return column.cast(pa.binary()), index
        to_bytes = self._text if t.is_string else self._number
        return pa.array([None if v is None else to_bytes(v) for v in column.to_pylist()], pa.binary()), index

    def _text(self, value: str) -> bytes:
        return value.encode(self._raw.charset, "replace") + (self._raw.delimiter or b"")

    def _number(self, value: float) -> bytes:
        return np.array([value], self._raw.dtype()).tobytes()


def create_decoder(schema: Schema, options: Options, *, time_zone: str, metadata: Sequence[str]) -> Decoder:
    assert not metadata, metadata
    return RawDecoder(schema, options)


def create_encoder(schema: Schema, options: Options, *, time_zone: str) -> Encoder:
    return RawEncoder(schema, options)
