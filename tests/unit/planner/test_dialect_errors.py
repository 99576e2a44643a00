"""What a wrong text is told, and how scripts are cut."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streamsql.errors import ConfigError, SqlSyntaxError
from streamsql.planner.dialect import Flink
from streamsql.planner.parsing import is_complete, parse, parse_expression, parse_one, split_statements

ERRORS = [
    # (text, marked text, message contains, hint contains)
    ("SELCT a FROM t", "SELCT", "expected a statement", "'SELECT'"),
    ("SELECT a FORM t", "FORM", "found 'FORM'", "'FROM'"),
    ("SELECT a FROM t WHER x > 1", "WHER", "found 'WHER'", "'WHERE'"),
    ("SELECT a FROM t GORUP BY a", "GORUP", "found 'GORUP'", "'GROUP'"),
    ("SELECT a FROM t GROUP a", "a", "found 'a'", "write GROUP BY"),
    ("SELECT a, FROM t", "FROM", "expected another item after ','", None),
    ("SELECT FROM t", "FROM", "expected a column or an expression after SELECT", None),
    ("SELECT (a + FROM t", "FROM", "expected an expression", None),
    ("SELECT a b c FROM t", "c", "expected the end of the statement", None),
    ('SELECT "a" FROM t', '"', "found '\"'", "single quotes"),
    ("SELECT a::INT FROM t", ":", "found ':'", "CAST(x AS type)"),
    ("SELECT INTERVAL 5 MINUTE", "5", "INTERVAL '5' MINUTE", None),
    ("SELECT CAST(a INT)", "INT", "expected AS and a type", None),
    ("VALUES (1), ()", ")", "expected a value in the row", None),
    ("INSERT INTO t VALUES ROW()", ")", "expected a value in the row", None),
    ("SELECT CASE a END", "END", "expected WHEN after CASE", None),
    ("SELECT COUNT(* FROM t", "FROM", "expected )", None),
    ("SELECT a FROM t LIMIT 1 LIMIT 2", "LIMIT", "LIMIT is given twice", None),
    ("SELECT a AS from FROM t", "from", "expected a name after AS", "`from`"),
    ("SELECT o. FROM t o", "FROM", "expected a field, a function or * after '.'", None),
    ("SELECT * FROM a LEFT b", "b", "expected JOIN", None),
    ("SELECT * FROM a JOIN b WHERE x", "WHERE", "expected ON or USING", None),
    ("SELECT MAP['a']", "]", "expected a value for every key", None),
    ("SELECT JSON_VALUE(a, '$' NULL ON EMPTY NULL ON EMPTY)", "EMPTY", "ON EMPTY is given twice", None),
    (r"SELECT U&'\12'", r"U&'\12'", "four hexadecimal digits", None),
    ("CREATE TABLE t (a INT, b STRNG)", "STRNG", "expected a data type", "'STRING'"),
    ("CREATE TABLE t (a INT PRIMARY KEY)", ")", "expected NOT ENFORCED after PRIMARY KEY", None),
    ("CREATE TABLE t (a INT PRIMARY KEY ENFORCED)", "ENFORCED", "Flink cannot enforce a key", None),
    ("CREATE TABLE t (a INT NOT NULL NOT NULL)", "NOT", "NOT NULL is given twice", None),
    ("CREATE TABLE t (a, b STRING)", ",", "expected a data type", None),
    ("CREATE TABEL t (a INT)", "TABEL", "expected TABLE, VIEW", "'TABLE'"),
    ("CREATE TABLE t (a INT) WITH ('a'='b' 'c'='d')", "'c'", "expected )", None),
    (
        "CREATE TABLE t (a INT) WITH (connector='x')",
        "connector",
        "expected an option key in single quotes",
        None,
    ),
    ("CREATE TABLE t (a INT) COMMENT 'x' COMMENT 'y'", "COMMENT", "COMMENT is given twice", None),
    ("REPLACE TABLE t (a INT)", "", "expected AS and a query", None),
    ("INSERT t SELECT 1", "t", "expected INTO or OVERWRITE", None),
    (
        "INSERT INTO t SELECT 1 ON CONFLICT DO UPDATE",
        "UPDATE",
        "expected ERROR, NOTHING or DEDUPLICATE",
        None,
    ),
    ("EXECUTE STATEMENT SET BEGIN SELECT 1; END", "SELECT", "expected INSERT in a statement set", None),
    (
        "EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1 END",
        "END",
        "expected ; after every statement",
        None,
    ),
    ("EXECUTE STATEMENT SET BEGIN END", "END", "at least one INSERT", None),
    ("SHOW TABELS", "TABELS", "expected TABLES", "'TABLES'"),
    ("EXPLAIN SHOW TABLES", "SHOW", "expected a query, INSERT or STATEMENT SET to explain", None),
    ("SET a b = c", "b", "expected =", None),
    ("STOP JOB x", "x", "expected the id of a job in single quotes", None),
    ("SELECT a FROM t /*+ OPTIONS('a'=1) */", "1", "expected the option's value", None),
    (
        "SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10'))",
        ")",
        "expected a unit such as",
        None,
    ),
    ("SELECT 1_000", "_000", "found '_000'", None),
    ("SELECT 0x1F", "0x1F", "expected a binary literal as X'1F'", None),
    ("SELECT CURRENT_TIMESTAMP(3)", "CURRENT_TIMESTAMP", "stands without parentheses", None),
    ("SELECT * FROM t PIVOT (SUM(a) FOR b IN (1))", "PIVOT", "PIVOT is not supported", None),
    ("SELECT * FROM t TABLESAMPLE BERNOULLI (10)", "TABLESAMPLE", "TABLESAMPLE is not supported", None),
    ("SELECT 'abc FROM t", "'", "the string that starts here is not closed", None),
    ("SELECT `abc FROM t", "`", "the back-ticked name that starts here is not closed", None),
    ("SELECT 1 /* x", "/*", "the comment that starts here is not closed", None),
    (r"SELECT E'a\'", "E'", "the string that starts here is not closed", None),
]


@pytest.mark.parametrize(("text", "marked", "message", "hint"), ERRORS)
def test_syntax_error(text: str, marked: str, message: str, hint: str | None) -> None:
    with pytest.raises(SqlSyntaxError) as caught:
        parse(text)
    error = caught.value
    assert message in error.message
    assert (error.hint is None) if hint is None else (hint in (error.hint or ""))
    assert error.position is not None
    start = error.position.column - 1
    assert text[start : start + len(marked)] == marked
    assert error.position.length == max(1, len(marked))


def test_the_place_in_a_text_of_several_lines() -> None:
    with pytest.raises(SqlSyntaxError) as caught:
        parse("SELECT a\nFROM t\n  WHER a > 1")
    assert str(caught.value) == (
        "Syntax error: found 'WHER'\nline 3:   WHER a > 1\n          ^^^^\nHint: did you mean 'WHERE'?"
    )


def test_number_of_statements() -> None:
    assert parse("") == []
    assert parse(" ; -- nothing\n;") == []
    assert len(parse("SELECT 1; SELECT 2;")) == 2
    with pytest.raises(SqlSyntaxError, match="found no statement"):
        parse_one("-- nothing")
    with pytest.raises(SqlSyntaxError, match="found 2 statements") as caught:
        parse_one("SELECT 1; SELECT 2")
    assert caught.value.position is not None
    assert caught.value.position.column == 11
    with pytest.raises(SqlSyntaxError, match="expected an expression"):
        parse_expression("")


def test_a_deep_expression_is_refused_not_a_crash() -> None:
    with pytest.raises(SqlSyntaxError, match="nested too deeply"):
        parse("SELECT " + "(" * 5000 + "1" + ")" * 5000)


SPLITS = [
    ("", []),
    ("  ;; -- nothing\n ; /* here */", []),
    ("SELECT 1", ["SELECT 1"]),
    ("SELECT ';' ; SELECT `;`;", ["SELECT ';'", "SELECT `;`"]),
    ("SELECT 'it''s;' ; SELECT 2", ["SELECT 'it''s;'", "SELECT 2"]),
    (r"SELECT 'a\'; SELECT E'\';' ; x", [r"SELECT 'a\'", r"SELECT E'\';'", "x"]),
    ("SELECT 1 -- a; b\n; /* c; */ SELECT 2", ["SELECT 1 -- a; b", "/* c; */ SELECT 2"]),
    ("EXECUTE STATEMENT SET BEGIN a; b; END; c", ["EXECUTE STATEMENT SET BEGIN a; b; END", "c"]),
    ("begin statement set; a; b; end; c", ["begin statement set; a; b; end", "c"]),
    (
        "EXPLAIN STATEMENT SET BEGIN a CASE b END c; END; d",
        ["EXPLAIN STATEMENT SET BEGIN a CASE b END c; END", "d"],
    ),
    (
        "COMPILE PLAN 'x' FOR STATEMENT SET BEGIN a; END; b",
        ["COMPILE PLAN 'x' FOR STATEMENT SET BEGIN a; END", "b"],
    ),
    ("SELECT 'STATEMENT SET BEGIN'; SELECT 2", ["SELECT 'STATEMENT SET BEGIN'", "SELECT 2"]),
    ("SELECT 'open; SELECT 2", ["SELECT 'open; SELECT 2"]),
]


@pytest.mark.parametrize(("text", "expected"), SPLITS)
def test_split_statements(text: str, expected: list[str]) -> None:
    pieces = split_statements(text)
    assert [piece for piece, _ in pieces] == expected
    assert all(text[at : at + len(piece)] == piece for piece, at in pieces)


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("", False),
        (";", False),
        ("SELECT 1", False),
        ("SELECT 1;", True),
        ("SELECT 1; -- done", True),
        ("SELECT 1; SELECT 2", False),
        ("SELECT ';", False),
        ("SELECT `;", False),
        ("SELECT 1 /* ;", False),
        ("SELECT 1 -- ;", False),
        ("BEGIN STATEMENT SET;", False),
        ("EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1;", False),
        ("EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1; END;", True),
        ("EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT CASE a WHEN 1 THEN 2 END FROM s;", False),
    ],
)
def test_is_complete(text: str, complete: bool) -> None:
    assert is_complete(text) is complete


def test_importing_parsing_leaves_sqlglot_alone() -> None:
    code = "import sys, streamsql.planner.parsing as p; p.is_complete('x;'); print('sqlglot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_compiled_sqlglot_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Flink) -> None:
        raise TypeError("interpreted classes cannot inherit from compiled")

    monkeypatch.setattr(Flink, "parser", refuse)
    with pytest.raises(ConfigError, match="compiled build") as caught:
        parse("SELECT 1")
    assert caught.value.hint == "pip uninstall sqlglotc"
