"""A table reference to its logical plan: Scan, then computed columns, then the watermark, then declared order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from streamsql.catalog.connectors import table_options
from streamsql.catalog.table import Column, TableDefinition
from streamsql.datatypes import Root
from streamsql.errors import StreamSqlError, ValidationError
from streamsql.schema import PROCTIME, ROWTIME, Field, Schema

from .expressions import Call, Expr, InputRef
from .logical import LogicalNode, Project, Scan, Watermark
from .scope import Scope

BindText = Callable[[str, Scope], Expr]
"""Binds the Flink SQL text of an expression in a scope."""


@dataclass(frozen=True)
class _Layer:
    """The columns known so far, as expressions over the scan."""

    names: list[str]
    exprs: list[Expr]
    times: list[str | None]


def bind_table(
    table: TableDefinition, bind: BindText, overrides: Mapping[str, str] | None = None
) -> LogicalNode:
    """The rows of ``table`` with all its declared columns in declared order."""
    options = table_options(table, overrides)
    stored = [*table.physical_columns, *table.metadata_columns]
    scan = Scan(
        Schema(tuple(_stored_field(c) for c in stored)),
        table,
        options,
        tuple((c.name, c.metadata_key or c.name) for c in table.metadata_columns),
        tuple(sorted((overrides or {}).items())),
    )
    layer = _columns(table, scan, bind)
    by_name = {n: i for i, n in enumerate(layer.names)}
    order = [by_name[c.name] for c in table.columns]
    fields = tuple(Field(layer.names[i], layer.exprs[i].type, layer.times[i]) for i in order)
    node: LogicalNode = Project(Schema(fields), scan, tuple(layer.exprs[i] for i in order))
    if table.watermark is not None:
        node = _watermark(table, node, bind)
    return node


def _stored_field(column: Column) -> Field:
    """A physical or metadata column in its declared type."""
    assert column.type is not None
    return Field(column.name, column.type)


def _columns(table: TableDefinition, scan: Scan, bind: BindText) -> _Layer:
    names = scan.schema.names
    exprs: list[Expr] = [InputRef(i, f.name, f.type) for i, f in enumerate(scan.schema)]
    times: list[str | None] = [None] * len(names)
    scope = Scope.of(scan.schema, table.path.name)
    for column in table.columns:
        if column.expression is None:
            continue
        try:
            expr = bind(column.expression, scope)
        except StreamSqlError as e:
            raise ValidationError(
                f"computed column '{column.name}' of {table.path}: {e.message}",
                hint=e.hint,
                position=e.position,
            ) from None
        names.append(column.name)
        exprs.append(expr)
        times.append(PROCTIME if is_proctime(expr) else None)
    return _Layer(names, exprs, times)


def is_proctime(expr: Expr) -> bool:
    """Whether the expression is PROCTIME()."""
    return isinstance(expr, Call) and expr.function.name == "PROCTIME"


def _watermark(table: TableDefinition, node: LogicalNode, bind: BindText) -> LogicalNode:
    spec = table.watermark
    assert spec is not None
    column = node.schema.index(spec.column)
    declared = node.schema[column].type
    if declared.root not in (Root.TIMESTAMP, Root.TIMESTAMP_LTZ) or declared.precision > 3:
        raise ValidationError(
            f"the watermark column '{spec.column}' of {table.path} has type {declared}, "
            "expected TIMESTAMP(3) or TIMESTAMP_LTZ(3)",
            hint=f"declare it TIMESTAMP(3), or add a computed column: ts AS CAST({spec.column} AS TIMESTAMP(3))",
        )
    try:
        expression = bind(spec.expression, Scope.of(node.schema, table.path.name))
    except StreamSqlError as e:
        raise ValidationError(
            f"watermark of {table.path}: {e.message}", hint=e.hint, position=e.position
        ) from None
    if not expression.type.is_timestamp:
        raise ValidationError(
            f"the watermark of {table.path} has type {expression.type}, expected a timestamp"
        )
    fields = list(node.schema)
    fields[column] = replace(fields[column], time=ROWTIME)
    return Watermark(Schema(tuple(fields)), node, column, expression)


def check_expressions(table: TableDefinition, bind: BindText) -> TableDefinition:
    """The definition with the types of its computed columns.

    Raises ValidationError for an expression that does not bind.
    """
    node = bind_table(replace(table, watermark=table.watermark), bind)
    types = {f.name: f.type for f in node.schema}
    columns = tuple(replace(c, type=types[c.name]) if c.is_computed else c for c in table.columns)
    return replace(table, columns=columns)
