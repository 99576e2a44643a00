"""What statements use, and INSERT as text again."""

from __future__ import annotations

import pytest

from streamsql.errors import StreamSqlError
from streamsql.planner.statement_nodes import insert_text
from streamsql.planner.statement_uses import uses_of_text, with_hidden_options
from streamsql.planner.statements import Insert, Query, StatementSet, parse_statement

from .test_dialect_round_trip import STATEMENTS


def inserts(sql: str) -> list[Insert]:
    try:
        statement = parse_statement(sql)
    except StreamSqlError:  # refused: no job has it
        return []
    members = statement.statements if isinstance(statement, StatementSet) else (statement,)
    return [m for m in members if isinstance(m, Insert)]


def parts(insert: Insert) -> list[object]:
    """All of it but where it stood."""
    columns = [c.name for c in insert.columns], [(c.name, value) for c, value in insert.partition]
    how = insert.options, insert.overwrite, insert.on_conflict
    return [insert.target.parts, insert.query, *columns, *how]


def test_an_insert_reads_back_the_same() -> None:
    found = [insert for sql in STATEMENTS for insert in inserts(sql)]
    assert len(found) > 10
    for insert in found:
        (again,) = inserts(insert_text(insert))
        assert parts(again) == parts(insert)


@pytest.mark.parametrize(
    "sql",
    [
        "/* c */ INSERT INTO t SELECT 1 -- the end",
        "-- c\nEXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1; END;",
        "BEGIN STATEMENT SET;\n-- one\nINSERT INTO t SELECT 1; -- two\nEND",
        "EXECUTE INSERT INTO t SELECT 1;",
    ],
)
def test_neither_comments_nor_surroundings_stay(sql: str) -> None:
    assert [insert_text(insert) for insert in inserts(sql)] == ["INSERT INTO t SELECT 1"]


def test_what_a_query_uses() -> None:
    used = uses_of_text(
        "WITH c AS (SELECT * FROM a.b) SELECT Mine(x), ABS(y) FROM c, TABLE(TUMBLE(TABLE w, DESCRIPTOR(t), "
        "INTERVAL '1' SECOND)), d /*+ OPTIONS('k' = 'v') */ WHERE x IN (SELECT y FROM e)"
    )
    assert set(used.tables) == {("a", "b"), ("w",), ("d",), ("e",)}
    assert {"mine", "abs"} <= used.functions
    assert used.options == (("d", "k", "v"),)


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("WITH t AS (SELECT * FROM t) SELECT * FROM t", {"t"}),
        ("WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a, b", {"b"}),
        (
            "WITH a AS (SELECT * FROM (WITH b AS (SELECT 1) SELECT * FROM b, c)) SELECT * FROM a, b",
            {"b", "c"},
        ),
        ("SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) AS x, a", {"a"}),
        ("WITH a AS (SELECT 1) SELECT * FROM d.a, (SELECT * FROM a) AS x", {"d.a"}),
    ],
)
def test_with_queries_hide_tables_where_they_are_in_sight(sql: str, tables: set[str]) -> None:
    assert {".".join(parts) for parts in uses_of_text(sql).tables} == tables


def test_values_of_hints_are_hidden_in_a_copy() -> None:
    query = parse_statement("SELECT * FROM t /*+ OPTIONS('a' = 'x', 'b' = 'y') */")
    assert isinstance(query, Query)
    hidden = with_hidden_options(query.ast, lambda key, value: value == "y", "**")
    assert hidden.sql(dialect="flink") == "SELECT * FROM t /*+ OPTIONS('a' = 'x', 'b' = '**') */"
    assert "'b' = 'y'" in query.ast.sql(dialect="flink")
