"""Parse, generate, parse gives the same tree: for a table of statements, and for random ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from streamsql.errors import SqlSyntaxError
from streamsql.planner.parsing import is_complete, parse, parse_one, split_statements

from . import dialect_grammar as grammar

TABLES = Path(__file__).parent / "dialect"


def read_table(name: str) -> list[str]:
    """The statements of one file, which blank lines separate."""
    text = (TABLES / f"{name}.sql").read_text(encoding="utf-8")
    return [part.strip() for part in text.split("\n\n") if part.strip()]


def sql(node: exp.Expr, pretty: bool = False) -> str:
    return node.sql(dialect="flink", pretty=pretty)


STATEMENTS = [
    *read_table("create_and_alter"),
    *read_table("statements"),
    *read_table("queries"),
    *(f"SELECT {expression} FROM t" for expression in read_table("expressions")),
]


@pytest.mark.parametrize("text", STATEMENTS)
def test_round_trip(text: str) -> None:
    tree = parse_one(text)
    generated = sql(tree)
    assert parse_one(generated) == tree, generated
    assert sql(parse_one(generated)) == generated
    assert parse_one(sql(tree, pretty=True)) == tree


def test_the_table_is_large() -> None:
    assert len(STATEMENTS) > 400
    assert len(set(STATEMENTS)) == len(STATEMENTS)


@pytest.mark.parametrize("text", STATEMENTS)
def test_a_statement_is_one_piece_of_a_script(text: str) -> None:
    script = f"{text};\nSELECT 1"
    opens_a_set = text == "BEGIN STATEMENT SET"
    pieces = [(script, 0)] if opens_a_set else [(text, 0), ("SELECT 1", len(text) + 2)]
    assert split_statements(script) == pieces
    assert is_complete(f"{text};") is not opens_a_set
    assert not is_complete(text)


CANONICAL = [
    ("desc t", "DESCRIBE t"),
    ("explain plan for select 1", "EXPLAIN SELECT 1"),
    ("execute insert into t select 1", "INSERT INTO t SELECT 1"),
    ("BEGIN STATEMENT SET; INSERT INTO a SELECT 1; END", "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; END"),
    ("SET table.exec.state.ttl = 1 h", "SET 'table.exec.state.ttl' = '1 h'"),
    ("SHOW TABLES IN d", "SHOW TABLES FROM d"),
    ("SELECT * FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECONDS)",
     "SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))"),
    ("SELECT offset, `price`, `Order` FROM t", "SELECT `offset`, price, `Order` FROM t"),
    ("SELECT SUBSTRING(a FROM 1 FOR 2) FROM t", "SELECT SUBSTRING(a, 1, 2) FROM t"),
    ("SELECT CAST(a AS TIMESTAMP(3) WITH LOCAL TIME ZONE) FROM t", "SELECT CAST(a AS TIMESTAMP_LTZ(3)) FROM t"),
    ("SELECT CAST(a AS INT ARRAY) FROM t", "SELECT CAST(a AS ARRAY<INT>) FROM t"),
    ("SELECT TIMESTAMP '2024-01-01 00:00:00'", "SELECT TIMESTAMP '2024-01-01 00:00:00'"),
    ("SELECT arr[1], '\\b' FROM t", "SELECT arr[1], '\\b' FROM t"),
    ("CREATE TABLE t (timestamp TIMESTAMP_LTZ(3) METADATA)", "CREATE TABLE t (`timestamp` TIMESTAMP_LTZ(3) METADATA)"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CANONICAL)
def test_canonical_form(text: str, expected: str) -> None:
    assert sql(parse_one(text)) == expected


def test_pretty_create_table() -> None:
    text = "CREATE TABLE t (a INT, WATERMARK FOR ts AS ts, PRIMARY KEY (a) NOT ENFORCED) COMMENT 'c' WITH ('k' = 'v')"
    assert sql(parse_one(text), pretty=True).split("\n") == [
        "CREATE TABLE t (",
        "  a INT,",
        "  WATERMARK FOR ts AS ts,",
        "  PRIMARY KEY (a) NOT ENFORCED",
        ")",
        "COMMENT 'c'",
        "WITH (",
        "  'k' = 'v'",
        ")",
    ]


@given(grammar.statements, st.booleans())
def test_random_statements(text: str, pretty: bool) -> None:
    tree = parse_one(text)
    generated = sql(tree, pretty)
    assert parse_one(generated) == tree, generated


@given(st.lists(grammar.statements, min_size=1, max_size=3))
def test_random_scripts_are_cut_between_statements(texts: list[str]) -> None:
    script = "".join(f"-- it's; a comment\n{text};\n" for text in texts)
    pieces = split_statements(script)
    assert [parse_one(piece) for piece, _ in pieces] == [parse_one(text) for text in texts]
    assert all(script[at : at + len(piece)] == piece for piece, at in pieces)
    assert is_complete(script)


@given(st.text())
def test_any_text_gives_a_tree_or_a_syntax_error(text: str) -> None:
    try:
        parse(text)
    except SqlSyntaxError as error:
        assert str(error)


@given(
    st.sampled_from(STATEMENTS),
    st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from(["", "(", ")", ",", "AS", "x", "'s'", "1", "NOT", "."]))
    ),
)
def test_a_spoilt_statement_gives_a_tree_or_a_syntax_error(text: str, edits: list[tuple[int, str]]) -> None:
    words = text.split()
    for at, word in edits[:3]:
        words[at % len(words)] = word
    try:
        trees = parse(" ".join(words))
    except SqlSyntaxError as error:
        assert str(error)
        return
    assert [parse_one(sql(tree)) for tree in trees] == trees


def test_the_dialect_is_found_without_importing_streamsql() -> None:
    code = (
        "import sqlglot, sys; "
        "tree = sqlglot.parse_one('SHOW TABLES', read='flink'); "
        "print(tree.sql('flink'), 'streamsql.session' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "SHOW TABLES False"


def test_other_dialects_can_read_the_tree() -> None:
    text = "SELECT a, COUNT(*) AS n FROM t WHERE ts > TIMESTAMP '2024-01-01 00:00:00' GROUP BY a LIMIT 3"
    [duckdb] = sqlglot.transpile(text, read="flink", write="duckdb")
    assert duckdb == (
        "SELECT a, COUNT(*) AS n FROM t WHERE ts > CAST('2024-01-01 00:00:00' AS TIMESTAMP) GROUP BY a LIMIT 3"
    )
    query = (
        exp.select("a")
        .from_("t /*+ OPTIONS('k'='v') */", dialect="flink")
        .where("b IS UNKNOWN", dialect="flink")
    )
    assert sql(query) == "SELECT a FROM t /*+ OPTIONS('k' = 'v') */ WHERE b IS UNKNOWN"
