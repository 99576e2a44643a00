"""Sessions over tables of a database."""

from __future__ import annotations

from streamsql import TableEnvironment

from .server import Server


def declare(
    env: TableEnvironment, server: Server, name: str, columns: str, table: str, **options: str
) -> None:
    """CREATE TABLE ``name`` over the database's ``table``; options as for :meth:`Server.with_options`."""
    env.execute_sql(f"CREATE TABLE {name} ({columns}) {server.with_options(table, **options)}")


def rows(env: TableEnvironment, sql: str) -> list[tuple[object, ...]]:
    """The rows of a bounded query."""
    return [tuple(row) for row in env.execute_sql(sql).collect()]
