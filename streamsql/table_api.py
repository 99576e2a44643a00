"""Queries and INSERTs as objects: what :meth:`TableEnvironment.sql_query` and ``create_statement_set`` return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from .errors import ValidationError
from .planner import pipeline
from .planner.statements import Insert, parse_statement
from .result import TableResult
from .schema import Schema

if TYPE_CHECKING:
    from .session import TableEnvironment


class Table:
    """A query of a session; nothing runs until ``execute``."""

    def __init__(self, env: TableEnvironment, sql: str, schema: Schema) -> None:
        self._env = env
        self.sql = sql
        self.schema = schema

    def get_schema(self) -> Schema:
        """The columns of the result."""
        return self.schema

    def execute(self) -> TableResult:
        """Run the query."""
        return self._env.execute_sql(self.sql)

    def execute_insert(self, table: str) -> TableResult:
        """Run the query into a table."""
        return self._env.execute_sql(f"INSERT INTO {table} {self.sql}")

    def to_arrow(self) -> pa.Table:
        """The final table of a bounded query."""
        return self.execute().to_arrow()

    def to_pandas(self) -> Any:
        """The final table of a bounded query as a pandas DataFrame."""
        return self.execute().to_pandas()

    def explain(self, *details: str) -> str:
        """The text of EXPLAIN; ``details`` as in ``EXPLAIN CHANGELOG_MODE``."""
        return self._env.explain_sql(self.sql, *details)


class StatementSet:
    """INSERTs that run as one job and share what they read."""

    def __init__(self, env: TableEnvironment) -> None:
        self._env = env
        self._inserts: list[Insert] = []

    def add_insert_sql(self, sql: str) -> StatementSet:
        """Add an INSERT statement; it is checked now and runs with ``execute``."""
        statement = parse_statement(sql)
        if not isinstance(statement, Insert):
            raise ValidationError("a statement set takes INSERT statements only")
        pipeline.bind_root(statement, self._env.bind_context())
        self._inserts.append(statement)
        return self

    def add_insert(self, target: str, table: Table) -> StatementSet:
        """Add ``INSERT INTO target`` of a Table."""
        return self.add_insert_sql(f"INSERT INTO {target} {table.sql}")

    def execute(self) -> TableResult:
        """Start one job for all of them."""
        return self._env.execute_inserts(self._inserts)

    def explain(self, *details: str) -> str:
        """The text of EXPLAIN for the one job."""
        return self._env.explain_statements(self._inserts, details)
