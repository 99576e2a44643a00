"""Changelogs as text tables: ``+I a 1`` is a row inserted, cells stand in columns parted by blanks.

``null`` is NULL, ``''`` the empty text, a time is its epoch milliseconds, a list or row is JSON without blanks.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from streamsql.changelog import ChangelogBatch, to_rows

SIGNS = {"+I": 1, "+U": 1, "-U": -1, "-D": -1}
_EPOCH = dt.datetime(1970, 1, 1)


def rows(text: str) -> list[str]:
    """The rows of a text table, blanks between cells made one.

    >>> rows("+I a   1\\n\\n  -D bb 22")
    ['+I a 1', '-D bb 22']
    """
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def changes(text: str, schema: pa.Schema) -> ChangelogBatch:
    """The batch that a text table describes. Raises ValueError for a line that does not fit the schema.

    >>> changes("+I a 1", pa.schema([("k", pa.string()), ("v", pa.int32())])).rows.to_pylist()
    [{'k': 'a', 'v': 1}]
    """
    weights: list[int] = []
    cells: list[list[Any]] = [[] for _ in schema]
    for line in rows(text):
        kind, *values = line.split(" ")
        if kind not in SIGNS or len(values) != len(schema):
            raise ValueError(f"expected +I, -U, +U or -D and {len(schema)} cells, found: {line}")
        weights.append(SIGNS[kind])
        for column, field, value in zip(cells, schema, values, strict=True):
            column.append(parse(value, field.type))
    arrays = [pa.array(c, f.type) for c, f in zip(cells, schema, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    inserted = all(w == 1 for w in weights)
    return ChangelogBatch(batch, None if inserted else np.array(weights, np.int64))


def parse(cell: str, type_: pa.DataType) -> Any:
    """The value of one cell."""
    if cell == "null":
        return None
    if pa.types.is_timestamp(type_):
        return _EPOCH + dt.timedelta(milliseconds=int(cell))
    if pa.types.is_boolean(type_):
        return {"true": True, "false": False}[cell]
    if pa.types.is_integer(type_):
        return int(cell)
    if pa.types.is_floating(type_):
        return float(cell)
    if pa.types.is_decimal(type_):
        return Decimal(cell)
    if pa.types.is_nested(type_):
        return json.loads(cell)
    return "" if cell == "''" else cell


def shown(batch: ChangelogBatch, key: Sequence[int] | None = None) -> list[str]:
    """The batch as lines of a text table. ``key``: the upsert key; with it a deletion and an insertion read −U, +U."""
    return [" ".join([row.kind.short, *map(show, row)]) for row in to_rows(batch, key)]


def show(value: Any) -> str:
    """The cell of one value; the inverse of :func:`parse`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dt.datetime():
            return str((value.replace(tzinfo=None) - _EPOCH) // dt.timedelta(milliseconds=1))
        case float():
            return f"{value:g}"
        case list() | dict():
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        case "":
            return "''"
        case _:
            return str(value)
