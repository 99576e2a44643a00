"""INSERT INTO: the query's columns matched to the sink's, with the casts that lose nothing."""

from __future__ import annotations

from collections.abc import Sequence

from streamsql.catalog.checks import check_writable
from streamsql.catalog.connectors import table_options
from streamsql.catalog.table import Column, TableDefinition, ViewDefinition
from streamsql.datatypes import Root
from streamsql.errors import CatalogError, UnsupportedError, ValidationError, did_you_mean
from streamsql.schema import Field, Schema

from .bind_nodes import cast, project, refs
from .bind_options import check_dynamic_options
from .binder import BindContext, QueryBinder
from .casts import can_cast_implicitly
from .expressions import Expr, Literal
from .logical import LogicalNode, Sink
from .scope import Scope
from .statement_types import Ident, Insert


def bind_insert(statement: Insert, context: BindContext) -> Sink:
    """The plan of an INSERT. Raises ValidationError naming the column that does not fit."""
    if statement.overwrite:
        raise UnsupportedError("INSERT OVERWRITE is not supported", hint="use INSERT INTO")
    path = context.resolve(statement.target.parts)
    table = context.catalog.require(path, position=statement.target.position)
    if isinstance(table, ViewDefinition):
        raise CatalogError(f"{path} is a view; INSERT needs a table", position=statement.target.position)
    options = table_options(table, statement.options)
    if not options.connector.sink:
        raise ValidationError(
            f"table {path} (connector '{options.connector.name}') cannot be written",
            position=statement.target.position,
        )
    if statement.options:
        check_dynamic_options(context.dynamic_options, statement.target.position)
    check_writable(table, options)
    conflict = None if statement.on_conflict is None else statement.on_conflict.removeprefix("DO ")
    if conflict is not None and not table.primary_key:
        raise ValidationError(
            f"ON CONFLICT needs a PRIMARY KEY, and table {path} has none",
            hint="declare PRIMARY KEY (…) NOT ENFORCED, or leave ON CONFLICT out",
            position=statement.target.position,
        )
    node = QueryBinder(context, statement.sql).bind(statement.query)
    return Sink(
        _schema(table),
        _matched(table, statement, node, context),
        table,
        options,
        tuple(sorted(statement.options.items())),
        conflict,
    )


def _schema(table: TableDefinition) -> Schema:
    return Schema(tuple(Field(c.name, c.type) for c in table.sink_columns if c.type is not None))


def _matched(
    table: TableDefinition, statement: Insert, node: LogicalNode, context: BindContext
) -> LogicalNode:
    """The query's rows in the sink's columns, in order; columns not named get NULL."""
    static = {name.name: value for name, value in statement.partition if value is not None}
    targets = _targets(table, statement.columns, set(static))
    if len(targets) != len(node.schema):
        raise ValidationError(
            f"the query yields {_columns(len(node.schema))}, table {table.path} takes {len(targets)}: "
            f"({', '.join(c.name for c in targets)})",
            hint="name the columns: INSERT INTO t (a, b) SELECT …",
            position=statement.target.position,
        )
    given: dict[str, Expr] = {}
    for column, expr in zip(targets, refs(node.schema), strict=True):
        given[column.name] = _assign(table, column, expr)
    binder = QueryBinder(context, statement.sql)
    for name, value in static.items():
        target = next((c for c in table.sink_columns if c.name == name), None)
        if target is None or name not in table.partition_keys:
            raise ValidationError(
                f"'{name}' is not a partition column of {table.path}",
                hint=did_you_mean(name, table.partition_keys),
            )
        assert value is not None
        given[name] = _assign(table, target, binder.expressions(Scope(())).bind(value))
    exprs: list[Expr] = []
    names: list[str] = []
    for column in table.sink_columns:
        assert column.type is not None
        exprs.append(given.get(column.name) or Literal(None, column.type.with_nullable(True)))
        names.append(column.name)
        if column.name not in given and not column.type.nullable:
            raise ValidationError(
                f"column '{column.name}' of {table.path} is NOT NULL and the INSERT gives it no value"
            )
    return project(node, exprs, names)


def _targets(table: TableDefinition, columns: Sequence[Ident], static: set[str]) -> list[Column]:
    if not columns:
        return [c for c in table.sink_columns if c.name not in static]
    found = []
    for ident in columns:
        column = table.column(ident.name)
        if column is None:
            raise ValidationError(
                f"table {table.path} has no column '{ident.name}'",
                hint=did_you_mean(ident.name, [c.name for c in table.sink_columns]),
                position=ident.position,
            )
        if not column.is_persisted:
            kind = "a computed column" if column.is_computed else "a virtual metadata column"
            raise ValidationError(
                f"'{ident.name}' is {kind} of {table.path} and cannot be written", position=ident.position
            )
        if column in found:
            raise ValidationError(f"column '{ident.name}' is named twice", position=ident.position)
        found.append(column)
    return found


def _assign(table: TableDefinition, column: Column, expr: Expr) -> Expr:
    """``expr`` as a value of ``column``; only conversions that lose nothing are made unasked, as in Flink."""
    assert column.type is not None
    if expr.type.root is not Root.NULL and not can_cast_implicitly(expr.type, column.type):
        raise ValidationError(
            f"column '{column.name}' of {table.path} has type {column.type.sql(nullability=False)}, "
            f"but the query gives {expr.type.sql(nullability=False)}",
            hint=f"CAST({expr.text()} AS {column.type.sql(nullability=False)})",
        )
    return cast(expr, column.type.with_nullable(True))


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"
