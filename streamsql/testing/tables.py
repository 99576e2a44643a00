"""From a ``CREATE TABLE`` statement without WITH to a table of the session that the program holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from streamsql.catalog.table import TableDefinition
from streamsql.ddl_tables import define_table
from streamsql.errors import ValidationError
from streamsql.planner.statements import CreateTable, parse_statement
from streamsql.runtime.connectors.in_process import InProcessTable
from streamsql.schema import Field, Schema
from streamsql.session import TableEnvironment

_CONNECTOR = "in-process"


def declared(env: TableEnvironment, ddl: str, options: Mapping[str, str]) -> TableDefinition:
    """The checked table of a declaration, not in the catalog yet. ``options`` are those of the in-process connector.

    Raises SqlSyntaxError, or ValidationError for a statement that is no plain CREATE TABLE and for METADATA columns.
    """
    statement = parse_statement(ddl)
    if not isinstance(statement, CreateTable):
        raise ValidationError(
            "a test table is declared with CREATE TABLE", hint="CREATE TABLE t (k STRING, v INT)"
        )
    _refuse(statement)
    statement = replace(statement, options={"connector": _CONNECTOR, **options})
    path = env.catalog.resolve(statement.name.parts)
    table, _ = define_table(statement, path, env._ddl_context())
    return table


def create(env: TableEnvironment, table: TableDefinition, data: InProcessTable) -> TableDefinition:
    """Put the table with its rows into the catalog. Raises CatalogError where the name is taken."""
    made = replace(table, data=data)
    env.catalog.create(made)
    return made


def physical_schema(table: TableDefinition) -> Schema:
    """The columns that rows have: computed ones left out."""
    return Schema.of([Field(c.name, c.type) for c in table.columns if c.is_physical and c.type is not None])


def _refuse(statement: CreateTable) -> None:
    name = statement.name
    if statement.options:
        raise ValidationError(
            f"table '{name}': a test table has no options of its own",
            hint="leave WITH (…) out",
            position=name.position,
        )
    if statement.query is not None or statement.like is not None:
        clause = "AS query" if statement.query is not None else "LIKE"
        raise ValidationError(
            f"table '{name}': a test table is declared column by column, not with {clause}",
            hint="list the columns in parentheses",
            position=name.position,
        )
    for column in statement.parts.columns:
        if column.metadata_key is not None:
            raise ValidationError(
                f"table '{name}': column '{column.name}' is a METADATA column, and a test table has no metadata",
                hint=f"declare `{column.name}` without METADATA and give its values with the others",
                position=column.name.position,
            )
