"""The ``print`` connector: one line per change, ``identifier> +I[a, 1]``.

Values are printed as Flink prints them: NULL is ``null``, an array ``[1, 2]``, a map ``{k=v}``, a nested row ``+I[1,
a]``, a timestamp ``2024-01-02T10:00`` (seconds only where they are not zero), bytes as signed numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.compute as pc

from streamsql.changelog import ChangelogBatch, RowKind, row_kinds
from streamsql.datatypes import DataType, Root

from ..formats.json_write import decimal_texts, double_texts
from .base import Sink, SinkContext

_KINDS = [k.short for k in RowKind]


class PrintSink(Sink):
    """Prints to standard output or standard error as they are when a batch is written."""

    def __init__(self, context: SinkContext, stream: Callable[[], TextIO] | None = None) -> None:
        options = context.options.options
        identifier = options["print-identifier"]
        self._prefix = f"{identifier}> " if identifier else ""
        self._stream = stream or ((lambda: sys.stderr) if options["standard-error"] else (lambda: sys.stdout))
        self._types = context.schema.types
        self._key = context.query_key
        self._upsert = context.upsert

    def start(self) -> None:
        """The stream is open already."""

    def write(self, batch: ChangelogBatch) -> None:
        lines = change_lines(batch, self._types, self._key, upsert=self._upsert)
        if lines:
            self._stream().write("".join(f"{self._prefix}{line}\n" for line in lines))

    def flush(self) -> None:
        self._stream().flush()

    def close(self, *, finished: bool) -> None:
        self.flush()


def create_sink(context: SinkContext) -> Sink:
    return PrintSink(context)


def change_lines(
    batch: ChangelogBatch, types: list[DataType], key: tuple[int, ...] | None, *, upsert: bool = False
) -> list[str]:
    """``+I[a, 1]`` for each change, in the order they are shown."""
    order, kinds = row_kinds(batch, key, upsert=upsert)
    rows = batch.rows.take(pa.array(order))
    columns = [java_texts(c, t) for c, t in zip(rows.columns, types, strict=True)]
    values = zip(*columns, strict=True) if columns else ((),) * len(order)
    return [f"{_KINDS[kind]}[{', '.join(row)}]" for kind, row in zip(kinds.tolist(), values, strict=True)]


def java_texts(column: pa.Array, t: DataType) -> list[str]:
    """The values of a column as Java's ``toString`` gives them."""
    texts: pa.Array
    match t.root:
        case Root.CHAR | Root.VARCHAR:
            texts = column
        case Root.FLOAT | Root.DOUBLE:
            texts = double_texts(column)
        case Root.DECIMAL:
            texts = decimal_texts(column, plain=False)
        case Root.BOOLEAN | Root.TINYINT | Root.SMALLINT | Root.INT | Root.BIGINT | Root.DATE | Root.NULL:
            texts = column.cast(pa.string())
        case Root.ARRAY | Root.MAP | Root.MULTISET:
            return _collections(column, t)
        case Root.ROW:
            return _rows(column, t)
        case _:
            form = _FORMS.get(t.root, str)
            return ["null" if v is None else form(v) for v in column.to_pylist()]
    filled: list[str] = pc.fill_null(texts, "null").to_pylist()
    return filled


def _time(value: Any) -> str:
    """``10:00``, ``10:00:05`` or with three or six fraction digits."""
    text = f"{value.hour:02}:{value.minute:02}"
    if value.second or value.microsecond:
        text += f":{value.second:02}"
    if value.microsecond:
        text += f".{value.microsecond:06}" if value.microsecond % 1000 else f".{value.microsecond // 1000:03}"
    return text


def _timestamp(value: datetime) -> str:
    return f"{value:%Y-%m-%d}T{_time(value)}"


def _instant(value: datetime) -> str:
    text = _time(value)
    return f"{value:%Y-%m-%d}T{text if len(text) > 5 else text + ':00'}Z"


_FORMS: dict[Root, Callable[[Any], str]] = {
    Root.TIME: _time,
    Root.TIMESTAMP: _timestamp,
    Root.TIMESTAMP_LTZ: _instant,
    Root.BINARY: lambda v: str([b - 256 if b > 127 else b for b in v]),
    Root.VARBINARY: lambda v: str([b - 256 if b > 127 else b for b in v]),
}


def _collections(column: pa.Array, t: DataType) -> list[str]:
    offsets = column.offsets.to_pylist()
    valid = column.is_valid().to_pylist()
    if t.root is Root.ARRAY:
        items = java_texts(column.values, t.children[0])
        brackets = "[]"
    else:
        value_type = t.children[1] if t.root is Root.MAP else DataType(Root.INT)
        keys, values = java_texts(column.keys, t.children[0]), java_texts(column.items, value_type)
        items = [f"{k}={v}" for k, v in zip(keys, values, strict=True)]
        brackets = "{}"
    out = []
    for i, is_valid in enumerate(valid):
        inner = ", ".join(items[offsets[i] : offsets[i + 1]])
        out.append(f"{brackets[0]}{inner}{brackets[1]}" if is_valid else "null")
    return out


def _rows(column: pa.Array, t: DataType) -> list[str]:
    fields = [java_texts(c, child) for c, child in zip(column.flatten(), t.children, strict=True)]
    values = zip(*fields, strict=True) if fields else ((),) * len(column)
    return [
        f"+I[{', '.join(v)}]" if ok else "null"
        for v, ok in zip(values, column.is_valid().to_pylist(), strict=True)
    ]
