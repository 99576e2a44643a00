"""A session that runs statements on names and options only, with a stand-in for the binder.

The stand-in knows plain columns, ``*`` and constants of one table; enough to give views and CREATE TABLE … AS
their columns. Computed columns get a type by their text.
"""

from __future__ import annotations

from sqlglot import exp

from streamsql.catalog.catalog import CatalogManager
from streamsql.catalog.describe import table_schema
from streamsql.catalog.table import ObjectPath, TableDefinition, ViewDefinition
from streamsql.config import Configuration
from streamsql.datatypes import BIGINT, INT, NULL, STRING, TIMESTAMP, TIMESTAMP_LTZ, DataType
from streamsql.ddl import DdlContext, StatementResult, execute
from streamsql.errors import ValidationError
from streamsql.planner.parsing import parse_one
from streamsql.planner.statement_names import columns_in
from streamsql.planner.statements import parse_statement
from streamsql.schema import Field, Schema


class Builtin:
    """One record of the function table."""

    def __init__(self, name: str, *aliases: str) -> None:
        self.name = name
        self.aliases = aliases
        self.result = "STRING"
        self.description = f"what {name} does"
        self.deterministic = True

    def usage(self) -> list[str]:
        return [f"{self.name}(STRING)"]


class DdlSession:
    """Runs statements; ``rows`` gives the answer's rows."""

    def __init__(self) -> None:
        self.catalog = CatalogManager()
        self.config = Configuration()
        self.context = DdlContext(
            self.catalog,
            self.config,
            self.check_expressions,
            self.query_schema,
            self.view_schema,
            lambda: [Builtin("UPPER", "UCASE"), Builtin("TRIM"), Builtin("+")],
        )

    def run(self, sql: str) -> StatementResult:
        result = execute(parse_statement(sql), self.context)
        assert result is not None, f"not a statement on names or options: {sql}"
        return result

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        return list(self.run(sql).rows)

    def names(self, sql: str) -> list[str]:
        return [str(row[0]) for row in self.run(sql).rows]

    def table(self, *parts: str) -> TableDefinition:
        found = self.catalog.require(self.catalog.resolve(parts))
        assert isinstance(found, TableDefinition)
        return found

    # -- the stand-in for the binder --

    def check_expressions(self, table: TableDefinition) -> TableDefinition:
        names = {c.name for c in table.columns}
        texts = [c.expression for c in table.columns if c.expression] + (
            [table.watermark.expression] if table.watermark else []
        )
        for text in texts:
            for unknown in sorted(columns_in(text) - names):
                raise ValidationError(f"column '{unknown}' not found in {text}")
        columns = [
            c if c.expression is None else type(c)(c.name, _type_of(c.expression), c.comment, c.expression)
            for c in table.columns
        ]
        return TableDefinition(**{**vars(table), "columns": tuple(columns)})

    def query_schema(self, query: exp.Expr, sql: str) -> Schema:
        return self._bind(query, self.catalog.current_catalog, self.catalog.current_database)

    def view_schema(self, view: ViewDefinition) -> Schema:
        schema = self._bind(parse_one(view.query), view.current_catalog, view.current_database)
        return Schema.of(
            [f.renamed(n) for f, n in zip(schema, view.columns, strict=True)] if view.columns else schema
        )

    def _bind(self, query: exp.Expr, catalog: str, database: str) -> Schema:
        source = query.args.get("from_")
        known = Schema.of([])
        if source is not None:
            parts = [p.name for p in source.this.parts]
            path = ObjectPath(*([catalog, database, *parts] if len(parts) == 1 else [catalog, *parts][-3:]))
            found = self.catalog.require(path)
            known = table_schema(found) if isinstance(found, TableDefinition) else self.view_schema(found)
        fields: list[Field] = []
        for i, item in enumerate(query.expressions):
            if isinstance(item, exp.Star):
                fields += known.fields
            else:
                inner = item.this if isinstance(item, exp.Alias) else item
                field = known.get(inner.name) if isinstance(inner, exp.Column) else None
                name = item.alias_or_name or f"EXPR${i}"
                fields.append(field.renamed(name) if field else Field(name, _constant(inner)))
        return Schema.of(fields)


def _type_of(expression: str) -> DataType:
    if expression == "PROCTIME()":
        return TIMESTAMP_LTZ(3).not_null()
    return TIMESTAMP(3) if "TIMESTAMP" in expression else BIGINT()


def _constant(node: exp.Expr) -> DataType:
    if isinstance(node, exp.Null):
        return NULL()
    return (STRING() if node.is_string else INT()).not_null()
