"""Tables as people read them: rows for DESCRIBE and SHOW COLUMNS, and the text of SHOW CREATE."""

from __future__ import annotations

import re
from collections.abc import Mapping

from streamsql.datatypes import BOOLEAN, STRING
from streamsql.schema import PROCTIME, ROWTIME, Field, Schema

from .objects import CatalogDefinition
from .table import Column, TableDefinition, ViewDefinition

_PROCTIME_CALL = re.compile(r"\s*PROCTIME\s*\(\s*\)\s*", re.IGNORECASE)

_NAMES = ("name", "type", "null", "key", "extras", "watermark")
DESCRIBE_SCHEMA = Schema.of([Field(n, BOOLEAN() if n == "null" else STRING()) for n in _NAMES])
COMMENT_FIELD = Field("comment", STRING())

DescribeRow = tuple[str, str, bool, str | None, str | None, str | None, str | None]


def quote(name: str) -> str:
    """A name in back-ticks."""
    return f"`{name.replace('`', '``')}`"


def literal(text: str) -> str:
    """A string in single quotes."""
    return f"'{text.replace(chr(39), chr(39) * 2)}'"


def time_attribute(table: TableDefinition, column: Column) -> str | None:
    """Whether a column is the table's rowtime or a proctime attribute."""
    if table.watermark is not None and table.watermark.column == column.name:
        return ROWTIME
    if column.expression is not None and _PROCTIME_CALL.fullmatch(column.expression):
        return PROCTIME
    return None


def table_schema(table: TableDefinition) -> Schema:
    """All columns of a table with their time attributes; the types of computed columns must be known."""
    fields = []
    for column in table.columns:
        assert column.type is not None, f"type of computed column {column.name} is not known yet"
        fields.append(Field(column.name, column.type, time_attribute(table, column)))
    return Schema.of(fields)


def describe_table(table: TableDefinition) -> list[DescribeRow]:
    """One row a column: name, type, null, key, extras, watermark, comment."""
    key = f"PRI({', '.join(table.primary_key)})" if table.primary_key else None
    rows: list[DescribeRow] = []
    for column, f in zip(table.columns, table_schema(table), strict=True):
        watermark = (
            table.watermark.expression if table.watermark and table.watermark.column == column.name else None
        )
        rows.append(
            (
                column.name,
                f.describe_type(),
                f.type.nullable,
                key if column.name in table.primary_key else None,
                _extras(column) or None,
                watermark,
                column.comment,
            )
        )
    return rows


def describe_schema(schema: Schema) -> list[DescribeRow]:
    """The same for a view, of which only the columns are known."""
    return [(f.name, f.describe_type(), f.type.nullable, None, None, None, None) for f in schema]


def _extras(column: Column) -> str:
    if column.is_computed:
        return f"AS {column.expression}"
    if not column.is_metadata:
        return ""
    key = "" if column.metadata_key == column.name else f" FROM {literal(column.metadata_key or '')}"
    return f"METADATA{key}{' VIRTUAL' if column.virtual else ''}"


def create_table_text(table: TableDefinition) -> str:
    """The CREATE TABLE statement of a table; parsing it gives the same table."""
    lines = [_column_text(c) for c in table.columns]
    if table.watermark is not None:
        lines.append(f"WATERMARK FOR {quote(table.watermark.column)} AS {table.watermark.expression}")
    if table.primary_key:
        columns = ", ".join(map(quote, table.primary_key))
        name = f"CONSTRAINT {quote(table.primary_key_name)} " if table.primary_key_name else ""
        lines.append(f"{name}PRIMARY KEY ({columns}) NOT ENFORCED")
    text = f"CREATE {'TEMPORARY ' if table.temporary else ''}TABLE {table.path.quoted()} (\n  "
    text += ",\n  ".join(lines) + "\n)"
    if table.comment:
        text += f" COMMENT {literal(table.comment)}"
    if table.partition_keys:
        text += f"\nPARTITIONED BY ({', '.join(map(quote, table.partition_keys))})"
    if table.options:
        text += f"\nWITH (\n{_options_text(table.options)}\n)"
    return text + "\n"


def create_view_text(view: ViewDefinition, query: str) -> str:
    """The CREATE VIEW statement of a view; ``query`` is its query with full table names."""
    columns = f" (\n  {', '.join(map(quote, view.columns))}\n)" if view.columns else ""
    comment = f" COMMENT {literal(view.comment)}" if view.comment else ""
    temporary = "TEMPORARY " if view.temporary else ""
    return f"CREATE {temporary}VIEW {view.path.quoted()}{columns}{comment}\nAS {query}\n"


def create_catalog_text(catalog: CatalogDefinition) -> str:
    """The CREATE CATALOG statement of a catalog."""
    options = {"type": "generic_in_memory", **catalog.options}
    comment = f"\nCOMMENT {literal(catalog.comment)}" if catalog.comment else ""
    return f"CREATE CATALOG {quote(catalog.name)}{comment}\nWITH (\n{_options_text(options)}\n)\n"


def _column_text(column: Column) -> str:
    comment = f" COMMENT {literal(column.comment)}" if column.comment else ""
    if column.is_computed:
        return f"{quote(column.name)} AS {column.expression}{comment}"
    assert column.type is not None
    extras = _extras(column)
    return f"{quote(column.name)} {column.type.sql()}{f' {extras}' if extras else ''}{comment}"


def _options_text(options: Mapping[str, str]) -> str:
    return ",\n".join(f"  {literal(k)} = {literal(v)}" for k, v in options.items())
