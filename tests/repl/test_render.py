"""Values as text and tables in Flink's layout."""

import datetime as dt
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from streamsql import datatypes as t
from streamsql.datatypes import DataType
from streamsql.repl.render import (
    RowFormatter,
    TableLayout,
    content_widths,
    fit,
    floating,
    formatter,
    plain_table,
    type_widths,
    width,
)
from streamsql.schema import Schema

UTC = ZoneInfo("UTC")
NOON = dt.datetime(2024, 5, 1, 12, 30, 15, 123456)


@pytest.mark.parametrize(
    ("data_type", "value", "text"),
    [
        (t.STRING(), "abc", "abc"),
        (t.STRING(), "a\nb\tc\x1b[31m", "a\\nb\\tc\\x1b[31m"),
        (t.STRING(), "日本", "日本"),
        (t.BOOLEAN(), True, "TRUE"),
        (t.INT(), -5, "-5"),
        (t.BIGINT(), 9223372036854775807, "9223372036854775807"),
        (t.DECIMAL(10, 2), Decimal("1.20"), "1.20"),
        (t.DECIMAL(38, 10), Decimal("0E-10"), "0.0000000000"),
        (t.DOUBLE(), 0.1, "0.1"),
        (t.DOUBLE(), 3.0, "3.0"),
        (t.DOUBLE(), 1e10, "1.0E10"),
        (t.DOUBLE(), -2.5e-7, "-2.5E-7"),
        (t.DOUBLE(), float("nan"), "NaN"),
        (t.FLOAT(), 0.10000000149011612, "0.1"),
        (t.BYTES(), b"\x01\xff", "x'01ff'"),
        (t.DATE(), dt.date(2024, 5, 1), "2024-05-01"),
        (t.TIME(0), dt.time(1, 2, 3), "01:02:03"),
        (t.TIME(3), dt.time(1, 2, 3, 45000), "01:02:03.045"),
        (t.TIMESTAMP(0), NOON, "2024-05-01 12:30:15"),
        (t.TIMESTAMP(3), NOON, "2024-05-01 12:30:15.123"),
        (t.TIMESTAMP(6), NOON, "2024-05-01 12:30:15.123456"),
        (t.TIMESTAMP_LTZ(3), NOON.replace(tzinfo=UTC), "2024-05-01 12:30:15.123"),
        (t.INTERVAL_SECOND(), dt.timedelta(days=1, minutes=2, milliseconds=5), "+1 00:02:00.005"),
        (t.ARRAY(t.INT()), [1, None, 3], "[1, NULL, 3]"),
        (t.MAP(t.STRING(), t.INT()), {"a": 1, "b": None}, "{a=1, b=NULL}"),
        (t.MAP(t.STRING(), t.INT()), [("a", 1)], "{a=1}"),
        (t.ROW([("x", t.INT()), ("y", t.STRING())]), {"x": 1, "y": None}, "(1, NULL)"),
        (t.ROW([("x", t.INT()), ("y", t.ARRAY(t.STRING()))]), (1, ["q"]), "(1, [q])"),
        (t.MULTISET(t.STRING()), {"a": 2}, "{a=2}"),
    ],
)
def test_values(data_type: DataType, value: Any, text: str) -> None:
    assert formatter(data_type, UTC)(value) == text


def test_timestamp_ltz_is_shown_in_the_zone() -> None:
    assert (
        formatter(t.TIMESTAMP_LTZ(0), ZoneInfo("Asia/Tokyo"))(NOON.replace(tzinfo=UTC))
        == "2024-05-01 21:30:15"
    )


@pytest.mark.parametrize(
    ("shortest", "text"),
    [
        ("0.0", "0.0"),
        ("-0.0", "-0.0"),
        ("0.001", "0.001"),
        ("9999999.0", "9999999.0"),
        ("1e7", "1.0E7"),
        ("1.5e300", "1.5E300"),
    ],
)
def test_doubles_as_java_writes_them(shortest: str, text: str) -> None:
    assert floating(shortest) == text


def test_null_is_marked() -> None:
    assert RowFormatter(Schema.of([("a", t.INT()), ("b", t.STRING())])).texts((None, "x")) == ["<NULL>", "x"]


def test_plain_table_with_wide_characters() -> None:
    assert plain_table(["name", "n"], [["日本語", "1"], ["é", "20"], ["<NULL>", "3"]]) == [
        "+--------+----+",
        "|   name |  n |",
        "+--------+----+",
        "| 日本語 |  1 |",
        "|      é | 20 |",
        "| <NULL> |  3 |",
        "+--------+----+",
    ]


def test_a_cut_column_keeps_its_whole_name() -> None:
    assert plain_table(["a_long_name"], [["x" * 20]], 5)[1:4] == [
        "| a_long_name |",
        "+-------------+",
        "| xxxxxxxx... |",
    ]


def test_a_cut_wide_text_fits() -> None:
    cut = fit("日本語日本語日本語", 8)
    assert cut.endswith("...")
    assert width(cut) <= 8


def test_widths_by_type() -> None:
    schema = Schema.of(
        [("s", t.STRING()), ("i", t.INT()), ("b", t.BIGINT()), ("ts", t.TIMESTAMP(3)), ("c", t.CHAR(8))]
    )
    layout = TableLayout(schema.names, type_widths(schema, 30), with_op=True)
    assert layout.rule == "+----+" + "+".join("-" * (w + 2) for w in (30, 11, 20, 23, 8)) + "+"
    assert layout.line(["x", "1", "2", "", "y"], "+I").startswith("| +I | " + "x".rjust(30) + " | ")


def test_content_widths() -> None:
    assert content_widths(["a", "bb"], [["xxx", "y"]], 2) == [2, 2]
