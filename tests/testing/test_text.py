"""Text tables: cells of every type, and messages that show what differs."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from streamsql.changelog import Row, RowKind
from streamsql.session import TableEnvironment
from streamsql.testing import assert_changelog, assert_rows, source_table
from streamsql.testing.text import cell_matches, show

NOON = dt.datetime(2024, 5, 1, 12)
ROME = dt.timezone(dt.timedelta(hours=2))
NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "cells"),
    [
        (None, ["null", "NULL"]),
        (True, ["true", "TRUE"]),
        (12, ["12", "+12"]),
        (0.1, ["0.1", "1e-1", "0.10000000000000001"]),
        (NAN, ["nan", "NaN"]),
        (Decimal("1.50"), ["1.50", "1.5"]),
        ("a", ["a", "'a'"]),
        ("a b", ["'a b'"]),
        ("it's", ["it's", "'it''s'"]),
        ("", ["''"]),
        ("null", ["'null'"]),
        (b"\x00\xff", ["x'00ff'", "X'00FF'"]),
        (NOON.date(), ["2024-05-01"]),
        (NOON.time(), ["12:00:00", "12:00"]),
        (NOON, ["2024-05-01 12:00:00", "2024-05-01T12:00", "1714564800000", "'2024-05-01 12:00:00'"]),
        (
            NOON.replace(tzinfo=dt.UTC),
            ["2024-05-01T12:00:00Z", "2024-05-01 14:00:00+02:00", "2024-05-01 12:00"],
        ),
        (NOON.replace(tzinfo=ROME), ["2024-05-01T10:00:00Z"]),
        (dt.timedelta(hours=1), ["1:00:00"]),
        ([1, None], ["[1,null]", "[1, null]"]),
        (["a b", 0.1], ['["a b",0.1]', '["a b", 0.1]']),
        ({"k": [1]}, ['{"k":[1]}', '{"k": [1]}']),
        (Row((1, Row(("x",), ("c",))), ("a", "b")), ['{"a":1,"b":{"c":"x"}}']),
        (Row((1, "[{")), ['[1,"[{"]', '[1, "[{"]']),
        ({1: NOON}, ['{"1":"2024-05-01 12:00:00"}']),
    ],
)
def test_cells(value: Any, cells: list[str]) -> None:
    for cell in [*cells, show(value)]:
        assert_changelog([Row(("before", value, "after"))], f"+I before {cell} after")


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("null", "null"), ("1", True), ("true", 1), ("1", None), ("null", 1), ("1.1", 1), ("1", "2"), ("0.2", 0.1),
        ("x", 1), ("x", 0.5), ("x", Decimal(1)), ("x", NOON), ("x", NOON.date()), ("x", NOON.time()), ("x", [1]),
        ("[1]", [2]), ("[1]", [1, 2]), ("[true]", [1.5]), ('{"a":1}', {"b": 1}), ("x'00'", b"\x01"), ("1", [1]),
    ],
)  # fmt: skip
def test_cells_that_say_something_else(cell: str, value: Any) -> None:
    assert not cell_matches(cell, value)


def test_a_date_and_a_time_are_two_cells() -> None:
    assert_changelog([Row((NOON.date(), NOON.time()))], "+I 2024-05-01 12:00:00")
    assert_changelog([Row((NOON,))], "+I 2024-05-01 12:00:00")


CHANGES = [
    Row(("a", 1), ("k", "n"), RowKind.INSERT),
    Row(("a", 1), ("k", "n"), RowKind.UPDATE_BEFORE),
    Row(("a", 2), ("k", "n"), RowKind.UPDATE_AFTER),
]


def test_remarks_and_blank_lines() -> None:
    assert_changelog(CHANGES, "\n  # first\n  +I a   1\n\n  -U a 1\n  +U a 2\n")


def test_order_counts_unless_said_otherwise() -> None:
    other = "-U a 1\n+I a 1\n+U a 2"
    with pytest.raises(AssertionError):
        assert_changelog(CHANGES, other)
    assert_changelog(CHANGES, other, in_any_order=True)
    with pytest.raises(AssertionError):
        assert_changelog(CHANGES, other + "\n+U a 2", in_any_order=True)


@pytest.mark.parametrize(
    "text", ["+I a 1\n-U a 1", "+I a 1\n-U a 1\n+U a 2\n+U a 2", "+I a 1\n-U a 1\n+I a 2", ""]
)
def test_what_differs(text: str) -> None:
    with pytest.raises(AssertionError, match="the changes differ"):
        assert_changelog(CHANGES, text)


def test_the_message_shows_both() -> None:
    with pytest.raises(AssertionError) as error:
        assert_changelog(CHANGES, "+I a 1.0\n-U a 1\n+U a 3")
    assert str(error.value).splitlines()[1:] == [
        "  - +I a 1.0",
        "  + +I a 1",
        "    -U a 1",
        "  - +U a 3",
        "  + +U a 2",
    ]


def test_a_line_without_a_kind() -> None:
    with pytest.raises(AssertionError, match="a line begins with"):
        assert_changelog(CHANGES, "a 1")


def test_results_of_queries() -> None:
    with TableEnvironment() as env:
        source_table(
            env, "CREATE TABLE t (k STRING, v INT)", [("+I", "b", 1), ("+I", "a", 2), ("+I", "b", 3)]
        )
        query = "SELECT k, SUM(v) FROM t GROUP BY k"
        assert_changelog(env.execute_sql(query), "+I b 1\n+I a 2\n-U b 1\n+U b 4")
        assert_rows(env.execute_sql(query), "a 2\nb 4")
        assert_rows([("b", 4), ("a", 2)], "a 2\nb 4")
        with pytest.raises(AssertionError):
            assert_rows([("b", 4), ("a", 2)], "a 2\nb 4", in_any_order=False)
        with pytest.raises(AssertionError):
            assert_rows([], "a 2")
