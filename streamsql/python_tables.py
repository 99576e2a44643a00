"""Tables that the program holds: Arrow data, pandas, polars, or rows appended while jobs read them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa

from .catalog.table import Column, ObjectPath, TableDefinition, WatermarkSpec
from .runtime.connectors.in_process import InProcessTable, as_arrow, schema_of
from .schema import Schema

OPTIONS = {"connector": "in-process"}


def define(path: ObjectPath, data: Any, *, watermark: str | None, bounded: bool) -> TableDefinition:
    """The definition of a temporary table over ``data``: rows (see ``from_arrow``), or a schema for an empty one.

    ``watermark``: ``"ts"``, or ``"ts AS ts - INTERVAL '5' SECOND"``. ``bounded``: no rows will follow.
    """
    table = _table(data)
    if bounded:
        table.finish()
    spec = _watermark(watermark)
    columns = tuple(
        # a time attribute is in milliseconds, as in Flink
        Column(f.name, replace(f.type, precision=min(f.type.precision, 3)))
        if spec and f.name == spec.column
        else Column(f.name, f.type)
        for f in table.schema
    )
    options = {**OPTIONS, "bounded": str(bounded).lower()}
    return TableDefinition(path, columns, options, watermark=spec, temporary=True, data=table)


def finite(path: ObjectPath, schema: Schema, rows: pa.Table) -> TableDefinition:
    """The definition of a table that holds just these rows, named by position."""
    data = InProcessTable(schema)
    data.append(rows.rename_columns(schema.names))
    data.finish()
    columns = tuple(Column(f.name, f.type) for f in schema)
    return TableDefinition(path, columns, {**OPTIONS, "bounded": "true"}, data=data)


def _table(data: Any) -> InProcessTable:
    if isinstance(data, Schema):
        return InProcessTable(data)
    if isinstance(data, pa.Schema):
        return InProcessTable(schema_of(data))
    rows = as_arrow(data)
    table = InProcessTable(schema_of(rows.schema))
    table.append(rows)
    return table


def _watermark(text: str | None) -> WatermarkSpec | None:
    if text is None:
        return None
    column, _, expression = text.partition(" AS ")
    column = column.strip().strip("`")
    return WatermarkSpec(column, expression.strip() or f"`{column}`")
