"""The forgiving tokenizer: any text, and on whole statements the same cuts as the parser's own."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsql.planner.dialect import Flink
from streamsql.planner.highlight import is_open, tokens
from streamsql.repl.highlighting import styled_lines

STATEMENTS = [
    "SELECT a, `b c`, COUNT(*) AS n FROM cat.db.t WHERE x >= 1.5e3 AND y <> 'it''s' GROUP BY a",
    "CREATE TABLE t (ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('a' = 'b')",
    "SELECT * FROM TABLE(TUMBLE(DATA => TABLE t, TIMECOL => DESCRIPTOR(ts), SIZE => INTERVAL '1' MINUTE))",
    "SELECT x'0aff', arr[1] || 'b', m['k'], -1, 0.5 FROM t",
    "INSERT INTO t VALUES (1, TRUE, DATE '2024-01-01'), (2, NULL, CAST(a AS DECIMAL(10, 2)))",
]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_it_cuts_where_the_parser_cuts(sql: str) -> None:
    ours = {t.start for t in tokens(sql)}
    theirs = {t.start for t in Flink().tokenize(sql)}
    assert theirs <= ours  # the parser takes some phrases, such as GROUP BY, as one token


@pytest.mark.parametrize(
    ("sql", "kinds"),
    [
        ("SELECT", ["keyword"]),
        ("select n", ["keyword", "name"]),
        ("t.select", ["name", "punctuation", "name"]),
        ("COUNT (x)", ["function", "punctuation", "name", "punctuation"]),
        ("a INT", ["name", "type"]),
        ("-- a\nb", ["comment", "name"]),
        ("/*+ OPTIONS('a'='b') */", ["hint"]),
        ("'open", ["string"]),
        ("E'it\\'s' b", ["string", "name"]),
        ("`a``b`", ["quoted"]),
        ("1..2", ["number", "punctuation", "number"]),
    ],
)
def test_kinds(sql: str, kinds: list[str]) -> None:
    assert [t.kind for t in tokens(sql)] == kinds


@pytest.mark.parametrize(
    ("sql", "open_"),
    [("'a", True), ("'a'", False), ("'a''", True), ("/* a", True), ("/**/", False), ("`a", True)],
)
def test_open_ends(sql: str, open_: bool) -> None:
    assert is_open(sql, tokens(sql)[-1]) is open_


@given(st.text(alphabet="aS1 .'`-/*;()\n=>\\€", max_size=60))
def test_any_text_is_covered(text: str) -> None:
    found = tokens(text)
    assert all(a.end <= b.start for a, b in pairwise(found))
    kept = "".join(text[t.start : t.end] for t in found)
    assert kept.replace(" ", "").replace("\n", "") == text.replace(" ", "").replace("\n", "")


@given(st.text(alphabet="aS '`-/*\n", max_size=60))
def test_styled_lines_are_the_text(text: str) -> None:
    assert "\n".join("".join(part for _, part, *_ in line) for line in styled_lines(text)) == text
