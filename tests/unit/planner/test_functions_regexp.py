"""Regular expressions in Java syntax."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .evaluate import Evaluator, evaluator, same

PATTERNS: tuple[tuple[str, object, str], ...] = (
    # SQL, value, type
    ("REGEXP('foobar', 'o+b')", True, "BOOLEAN NOT NULL"),
    ("REGEXP('foobar', '(')", False, "BOOLEAN NOT NULL"),
    ("REGEXP_REPLACE('foobar', 'oo|ar', '')", 'fb', "STRING"),
    ("REGEXP_REPLACE('foobar', '(o)', '$1\\\\')", 'f$1\\\\$1\\\\bar', "STRING"),
    ("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2)", 'bar', "STRING"),
    ("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 1)", 'the', "STRING"),
    ("REGEXP_EXTRACT('foobar', 'foo(.*?)(bar)', 1)", '', "STRING"),
    ("REGEXP_EXTRACT('xx', 'foo(.*?)(bar)', 1)", None, "STRING"),
    ("REGEXP_EXTRACT('xx', 'y')", None, "STRING"),
    ("REGEXP_EXTRACT('xy', 'y', 1)", None, "STRING"),
    ("REGEXP_EXTRACT('123 abc x BUY 5', '(?i)^([a-z0-9]+) ([a-z0-9]+) ([a-z0-9]+) (BUY|SELL) ([0-9]+)$', 1)",
     '123', "STRING"),
    ("REGEXP_EXTRACT_ALL('100-200, 300-400', '(\\d+)-(\\d+)', 1)", ['100', '300'], "ARRAY<STRING>"),
    ("REGEXP_EXTRACT_ALL('a!b!', '!', 0)", ['!', '!'], "ARRAY<STRING>"),
    ("REGEXP_EXTRACT_ALL('abcdeabde', 'ab((c)|(.?))de', 2)", ['c', None], "ARRAY<STRING>"),
    ("REGEXP_EXTRACT_ALL('abcdeabde', 'abcdeabde')", None, "ARRAY<STRING>"),
    ("REGEXP_COUNT('abc123xyz456', '\\d')", 6, "INT"),
    ("REGEXP_INSTR('hello world! Hello everyone!', 'Hello')", 14, "INT"),
    ("REGEXP_INSTR('abc', 'z')", 0, "INT"),
    ("REGEXP_SUBSTR('abc123', '\\d+')", '123', "STRING"),
    ("REGEXP_SUBSTR('abc', '\\d+')", None, "STRING"),
    ("REGEXP('a b', '\\p{Alpha}\\h\\p{Lower}')", True, "BOOLEAN NOT NULL"),
)  # fmt: skip


@pytest.fixture(scope="module")
def duck() -> Iterator[Evaluator]:
    with evaluator() as made:
        yield made


@pytest.mark.parametrize(("sql", "value", "type_"), PATTERNS)
def test_value_and_type(duck: Evaluator, sql: str, value: object, type_: str) -> None:
    found = duck.value(sql)
    assert same(found.value, value), found
    assert found.type == type_
    assert found.exact, "DuckDB's value has another type than Flink's type says"
