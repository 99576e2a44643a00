"""A session that runs statements on names and options only: no jobs, no clock."""

from __future__ import annotations

from streamsql.catalog.catalog import CatalogManager
from streamsql.catalog.table import TableDefinition, ViewDefinition
from streamsql.config import Configuration
from streamsql.ddl import DdlContext, StatementResult, execute
from streamsql.planner import pipeline
from streamsql.planner.binder import BindContext, QueryBinder
from streamsql.planner.functions.registry import AGGREGATES, SCALARS, FunctionRegistry
from streamsql.planner.statements import parse_statement
from streamsql.schema import Schema


class DdlSession:
    """Runs statements; ``rows`` gives the answer's rows, ``names`` its first column."""

    def __init__(self) -> None:
        self.catalog = CatalogManager()
        self.config = Configuration()
        self.functions = FunctionRegistry()
        self.context = DdlContext(
            self.catalog,
            self.config,
            check_expressions=lambda table: pipeline.check_expressions(table, self._bind_context()),
            query_schema=lambda query, sql: pipeline.bind_query(query, sql, self._bind_context()).schema,
            view_schema=self._view_schema,
            builtin_functions=lambda: (*SCALARS, *AGGREGATES),
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

    def _bind_context(self) -> BindContext:
        return BindContext(self.catalog, self.functions)

    def _view_schema(self, view: ViewDefinition) -> Schema:
        return QueryBinder(self._bind_context(), view.query).view(view).schema
