"""CREATE TABLE: from the statement to a checked definition in the catalog."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from streamsql.catalog.checks import (
    COLUMN,
    KEY,
    PARTITION,
    WATERMARK,
    Places,
    check_columns,
    check_connector,
    check_rowtime,
    with_not_null_keys,
)
from streamsql.catalog.like import merge_like
from streamsql.catalog.table import Column, ObjectPath, TableDefinition, WatermarkSpec
from streamsql.planner.statements import ColumnSpec, CreateTable, Ident, Insert, Name, TableParts

from .datatypes import Root
from .ddl_context import OK, DdlContext, StatementResult
from .errors import CatalogError, Position, ValidationError, did_you_mean
from .schema import Schema


def create_table(statement: CreateTable, context: DdlContext) -> StatementResult:
    """Creates the table. For AS query the answer carries the INSERT that fills it."""
    path = context.catalog.resolve(statement.name.parts)
    old = context.catalog.exact(path, temporary=statement.temporary)
    if statement.if_not_exists and old is not None:
        return OK
    if statement.replace == "REPLACE" and not isinstance(old, TableDefinition):
        raise CatalogError(
            f"table '{path}' does not exist",
            hint="CREATE OR REPLACE TABLE creates it if need be",
            position=statement.name.position,
        )
    definition, insert = define_table(statement, path, context)
    context.catalog.create(definition, replace=bool(statement.replace) and isinstance(old, TableDefinition))
    return replace(OK, insert=insert)


def define_table(
    statement: CreateTable, path: ObjectPath, context: DdlContext
) -> tuple[TableDefinition, Insert | None]:
    """The checked definition, not yet in the catalog; with the INSERT of CREATE TABLE … AS."""
    parts = statement.parts
    table = TableDefinition(
        path,
        tuple(column_of(c) for c in parts.columns),
        dict(statement.options),
        primary_key=tuple(c.name for c in parts.primary_key.columns) if parts.primary_key else (),
        primary_key_name=parts.primary_key.name if parts.primary_key else None,
        watermark=WatermarkSpec(parts.watermark.column.name, parts.watermark.expression)
        if parts.watermark
        else None,
        partition_keys=tuple(i.name for i in statement.partition_keys),
        comment=statement.comment,
        temporary=statement.temporary,
    )
    insert = None
    if statement.like is not None:
        source = context.catalog.require(
            context.catalog.resolve(statement.like.source.parts), statement.like.source.position
        )
        if not isinstance(source, TableDefinition):
            raise ValidationError(
                f"LIKE: '{source.path}' is a view",
                hint="CREATE TABLE … AS SELECT takes the columns of a view",
                position=statement.like.source.position,
            )
        table = merge_like(source, table, statement.like.rules)
    if statement.query is not None:
        schema = context.query_schema(statement.query, statement.sql)
        table = replace(table, columns=as_query_columns(parts.columns, schema))
        target = Name((path.catalog, path.database, path.name), statement.name.position)
        insert = Insert(target, statement.query, tuple(Ident(n) for n in schema.names), sql=statement.sql)
    return complete(table, context, places_of(parts, statement.partition_keys)), insert


def complete(table: TableDefinition, context: DdlContext, places: Places) -> TableDefinition:
    """The table with everything checked and the types of its computed columns filled in."""
    check_columns(table, places)
    table = with_not_null_keys(table, places)
    check_rowtime(table, places)
    check_connector(table, places)
    typed = context.check_expressions(replace(table, watermark=None))
    if table.watermark is None:
        return typed
    check_rowtime(replace(typed, watermark=table.watermark), places)
    return context.check_expressions(table)


def column_of(spec: ColumnSpec) -> Column:
    """The catalog's column of a declared one."""
    return Column(spec.name.name, spec.type, spec.comment, spec.expression, spec.metadata_key, spec.virtual)


def places_of(parts: TableParts, partition_keys: Iterable[Ident] = ()) -> Places:
    """Where each column, key column, watermark and partition key is declared (the last one if twice)."""
    found: list[tuple[str, Ident]] = [(COLUMN, c.name) for c in parts.columns]
    found += [(KEY, i) for i in (parts.primary_key.columns if parts.primary_key else ())]
    found += [(PARTITION, i) for i in partition_keys]
    if parts.watermark is not None:
        found.append((WATERMARK, parts.watermark.column))
    places: dict[tuple[str, str], Position] = {}
    for where, ident in found:
        if ident.position is not None:
            places[where, ident.name] = ident.position
    return places


# -- CREATE TABLE … AS -----------------------------------------------------------------------------


def as_query_columns(specs: tuple[ColumnSpec, ...], schema: Schema) -> tuple[Column, ...]:
    """The columns of CREATE TABLE … AS: those declared, then those of the query that are not declared.

    A list of bare names puts the query's columns in that order. A declared physical column of the same name
    sets the type of the query's column.
    """
    given = [_query_column(schema, name) for name in schema.names]
    bare = [s for s in specs if s.type is None and s.expression is None]
    if bare:
        return _reordered(specs, bare, given)
    declared = tuple(column_of(s) for s in specs)
    names = set(schema.names)
    for spec, column in zip(specs, declared, strict=True):
        if column.name in names and not column.is_persisted:
            raise ValidationError(
                f"column '{column.name}' is computed, and the query has a column of that name",
                hint="rename the column in the query with AS",
                position=spec.name.position,
            )
        if column.is_physical and column.name not in names and column.type and not column.type.nullable:
            raise ValidationError(
                f"column '{column.name}' is NOT NULL, but the query gives no values for it",
                hint="leave NOT NULL out, or select a value for it",
                position=spec.name.position,
            )
    own = {c.name for c in declared}
    return (*declared, *(c for c in given if c.name not in own))


def _query_column(schema: Schema, name: str) -> Column:
    found = schema.fields[schema.index(name)].type
    if found.root is Root.NULL:
        raise ValidationError(
            f"column '{name}' of the query has no type, only NULL",
            hint=f"write CAST(NULL AS STRING) AS `{name}`",
        )
    return Column(name, found)


def _reordered(
    specs: tuple[ColumnSpec, ...], bare: list[ColumnSpec], given: list[Column]
) -> tuple[Column, ...]:
    if len(bare) != len(specs):
        typed = next(s for s in specs if s not in bare)
        raise ValidationError(
            "CREATE TABLE … AS takes a list of names or of columns with types, not both",
            position=typed.name.position,
        )
    by_name = {c.name: c for c in given}
    for spec in bare:
        if spec.name.name not in by_name:
            raise ValidationError(
                f"the query has no column '{spec.name}'",
                hint=did_you_mean(spec.name.name, by_name) or f"columns: {', '.join(by_name)}",
                position=spec.name.position,
            )
    columns = tuple(by_name[s.name.name] for s in bare)
    missing = [c.name for c in given if c not in columns]
    if missing:
        raise ValidationError(
            f"the query's column '{missing[0]}' is not in the list of names",
            hint="list every column of the query",
        )
    return columns
