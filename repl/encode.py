"""Rows as JSON objects and as CSV lines, for programs that read our output.

JSON: decimals keep all digits, timestamps are ISO 8601 (TIMESTAMP_LTZ in UTC with ``Z``), bytes are base64,
rows and maps are objects, NaN and the infinities are strings. CSV: NULL is an empty field, an empty text is
``""``; nested values are JSON.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from streamsql.changelog import RowKind
from streamsql.datatypes import DataType, Root
from streamsql.schema import Schema

from .render import OP, formatter, members, pairs

Encoder = Callable[[Any], str]


def json_encoder(t: DataType) -> Encoder:
    """The function that writes a value of the type as JSON text."""
    write = _json_encoder(t)
    return lambda v: "null" if v is None else write(v)


def _json_encoder(t: DataType) -> Encoder:
    match t.root:
        case Root.BOOLEAN:
            return lambda v: "true" if v else "false"
        case Root.TINYINT | Root.SMALLINT | Root.INT | Root.BIGINT | Root.DECIMAL:
            return formatter(t, dt.UTC)
        case Root.FLOAT | Root.DOUBLE:
            return _json_float(t)
        case Root.BINARY | Root.VARBINARY:
            return lambda v: json.dumps(base64.b64encode(v).decode())
        case Root.TIMESTAMP | Root.TIMESTAMP_LTZ:
            write, zone = formatter(t, dt.UTC), "Z" if t.root is Root.TIMESTAMP_LTZ else ""
            return lambda v: f'"{write(v).replace(" ", "T")}{zone}"'
        case Root.CHAR | Root.VARCHAR:
            return _json_text
        case Root.ARRAY:
            element = json_encoder(t.children[0])
            return lambda v: "[" + ", ".join(element(x) for x in v) + "]"
        case Root.MAP | Root.MULTISET:
            key, value = _key_text(t.children[0]), json_encoder(t.children[-1]) if t.root is Root.MAP else str
            return lambda v: "{" + ", ".join(f"{_json_text(key(k))}: {value(x)}" for k, x in pairs(v)) + "}"
        case Root.ROW:
            names = [_json_text(n) for n in t.names]
            fields = [json_encoder(child) for child in t.children]
            return lambda v: (
                "{"
                + ", ".join(f"{n}: {f(x)}" for n, f, x in zip(names, fields, members(v), strict=True))
                + "}"
            )
        case _:
            write = formatter(t, dt.UTC)
            return lambda v: _json_text(write(v))


def _json_text(v: Any) -> str:
    return json.dumps(str(v), ensure_ascii=False)


def _json_float(t: DataType) -> Encoder:
    write = formatter(t, dt.UTC)
    return lambda v: write(v) if math.isfinite(v) else f'"{write(v)}"'


def _key_text(t: DataType) -> Encoder:
    if t.is_string:
        return str
    write = formatter(t, dt.UTC)
    return lambda v: "null" if v is None else write(v)


class JsonRows:
    """One JSON object a row. ``op`` is the first member where ``with_op``."""

    def __init__(self, schema: Schema, *, with_op: bool) -> None:
        self._with_op = with_op
        self._names = [_json_text(n) for n in schema.names]
        self._encoders = [json_encoder(t) for t in schema.types]

    def line(self, row: Sequence[Any], kind: RowKind) -> str:
        fields = [f"{n}: {e(v)}" for n, e, v in zip(self._names, self._encoders, row, strict=True)]
        return "{" + ", ".join([f'"{OP}": "{kind.short}"', *fields] if self._with_op else fields) + "}"


class CsvRows:
    """CSV lines with a header. ``op`` is the first column where ``with_op``."""

    def __init__(self, schema: Schema, *, with_op: bool) -> None:
        self._with_op = with_op
        self._names = schema.names
        self._encoders = [_csv_encoder(t) for t in schema.types]

    @property
    def header(self) -> str:
        return ",".join(_csv_field(n) for n in ([OP, *self._names] if self._with_op else self._names))

    def line(self, row: Sequence[Any], kind: RowKind) -> str:
        fields = ["" if v is None else _csv_field(e(v)) for e, v in zip(self._encoders, row, strict=True)]
        return ",".join([kind.short, *fields] if self._with_op else fields)


def _csv_encoder(t: DataType) -> Encoder:
    if t.is_string:
        return str
    if t.root is Root.TIMESTAMP_LTZ:
        write = formatter(t, dt.UTC)
        return lambda v: write(v) + "Z"
    if t.is_nested:
        return json_encoder(t)
    if t.is_binary:
        return lambda v: base64.b64encode(v).decode()
    return formatter(t, dt.UTC)


def _csv_field(text: str) -> str:
    if text == "" or any(c in text for c in ',"\r\n') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text
