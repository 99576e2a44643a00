"""Asks a real Flink what it answers to ``queries.sql`` and ``scalars.sql``, and stores it in ``expected/``.

Run it in an environment of its own, which has PyFlink and a Java runtime and not streamsql::

    python -m venv .flink && .flink/bin/pip install apache-flink
    .flink/bin/python -m tests.flink.record

Queries run one by one in Flink's mini-cluster with parallelism 1, so that a query over one table has one
changelog. What Flink refuses is stored as its error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pyflink.table import (  # pyright: ignore[reportMissingImports]
    EnvironmentSettings,
    TableEnvironment,
)

from tests.flink.cases import HERE, Case, canonical, queries, scalars, tables

SETTINGS = {"parallelism.default": "1", "table.local-time-zone": "Europe/Paris"}
KINDS = {"INSERT": "+I", "UPDATE_BEFORE": "-U", "UPDATE_AFTER": "+U", "DELETE": "-D"}
SCALARS_A_QUERY = 40


def environment() -> TableEnvironment:
    """A streaming environment with the tables of ``tables.sql``."""
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for key, value in SETTINGS.items():
        env.get_config().set(key, value)
    for statement in tables():
        env.execute_sql(statement)
    return env


def answer(env: TableEnvironment, sql: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The columns' types and the changelog: kinds and the values as text."""
    result = env.execute_sql(sql)
    types = [
        str(c.getDataType().getLogicalType()) for c in result._j_table_result.getResolvedSchema().getColumns()
    ]
    with result.collect() as rows:
        return types, [(KINDS[row.get_row_kind().name], [canonical(v) for v in row]) for row in rows]


def reason(error: Exception) -> str:
    """The innermost cause's first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes or lines)[-1 if causes else 0]


def record_query(env: TableEnvironment, case: Case) -> Iterator[str]:
    """Lines of one query."""
    yield f"-- {case.name}"
    try:
        types, changes = answer(env, case.sql)
    except Exception as error:
        yield f"error: {reason(error)}"
        return
    yield "types: " + " | ".join(types)
    for kind, values in changes:
        yield f"{kind} " + " | ".join(values)


def record_scalars(env: TableEnvironment, expressions: list[str]) -> Iterator[str]:
    """One line an expression: type, value. Those that fail are found by halving."""
    try:
        types, changes = answer(env, "SELECT " + ", ".join(f"{e} AS x{i}" for i, e in enumerate(expressions)))
    except Exception as error:
        if len(expressions) == 1:
            yield f"{expressions[0]} => error: {reason(error)}"
            return
        half = len(expressions) // 2
        yield from record_scalars(env, expressions[:half])
        yield from record_scalars(env, expressions[half:])
        return
    ((_, values),) = changes
    for expression, type_, value in zip(expressions, types, values, strict=True):
        yield f"{expression} => {type_} => {value}"


def main() -> None:
    """Everything; with the argument ``scalars`` these alone; with names of queries, prints their answers only."""
    env = environment()
    wanted = set(sys.argv[1:])
    if wanted == {"scalars"}:
        record_all_scalars(env)
        return
    if wanted:
        for case in queries():
            if case.name in wanted:
                print("\n".join(record_query(env, case)), flush=True)
        return
    record_queries(env)
    record_all_scalars(env)


def record_queries(env: TableEnvironment) -> None:
    """``expected/queries.txt``."""
    lines: list[str] = []
    for case in queries():
        lines += [*record_query(env, case), ""]
        print(case.name, flush=True)
    Path(HERE, "expected", "queries.txt").write_text("\n".join(lines))


def record_all_scalars(env: TableEnvironment) -> None:
    """``expected/scalars.txt``."""
    found = scalars()
    lines: list[str] = []
    for start in range(0, len(found), SCALARS_A_QUERY):
        lines += record_scalars(env, found[start : start + SCALARS_A_QUERY])
        print(start, flush=True)
    Path(HERE, "expected", "scalars.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
