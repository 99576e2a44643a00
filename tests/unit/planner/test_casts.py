"""CAST between all types: the cases of Flink's CastRulesTest and CastFunctionITCase, computed by DuckDB."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from decimal import Decimal

import duckdb
import pytest

from streamsql.planner.casts import can_cast, can_cast_implicitly, cast_sql
from streamsql.planner.parsing import parse_type
from streamsql.planner.typing import data_type

from .evaluate import Evaluator, evaluator, same

# DuckDB SQL of a value, its Flink type, the target, the value after CAST, or FAILS
FAILS = object()
TEXTS = (
    ("'1.0'::DOUBLE", "DOUBLE", "STRING", "1.0"),
    ("'1e10'::DOUBLE", "DOUBLE", "STRING", "1.0E10"),
    ("123456789.125::DOUBLE", "DOUBLE", "STRING", "1.23456789125E8"),
    ("'1e-5'::DOUBLE", "DOUBLE", "STRING", "1.0E-5"),
    ("0.00012::DOUBLE", "DOUBLE", "STRING", "1.2E-4"),
    ("'-1e7'::DOUBLE", "DOUBLE", "STRING", "-1.0E7"),
    ("9999999.5::DOUBLE", "DOUBLE", "STRING", "9999999.5"),
    ("0.001::DOUBLE", "DOUBLE", "STRING", "0.001"),
    ("'1.7976931348623157e308'::DOUBLE", "DOUBLE", "STRING", "1.7976931348623157E308"),
    ("'nan'::DOUBLE", "DOUBLE", "STRING", "NaN"),
    ("'-inf'::DOUBLE", "DOUBLE", "STRING", "-Infinity"),
    ("0::DOUBLE", "DOUBLE", "STRING", "0.0"),
    ("'3.4028235e38'::FLOAT", "FLOAT", "STRING", "3.4028235E38"),
    ("-123.456::FLOAT", "FLOAT", "STRING", "-123.456"),
    ("true", "BOOLEAN", "STRING", "TRUE"),
    ("false", "BOOLEAN", "CHAR(6)", "FALSE "),
    ("false", "BOOLEAN", "VARCHAR(3)", "FAL"),
    ("9.87::DECIMAL(4,3)", "DECIMAL(4, 3)", "STRING", "9.870"),
    ("-12345678::INTEGER", "INT", "VARCHAR(3)", "-12"),
    ("'foo'", "STRING", "CHAR(6)", "foo   "),
    ("'Apache'", "CHAR(6)", "VARCHAR(3)", "Apa"),
    ("'Apache Flink'", "STRING", "VARCHAR(3)", "Apa"),
    ("TIMESTAMP '2021-09-24 12:34:56.123456'", "TIMESTAMP(6)", "STRING", "2021-09-24 12:34:56.123456"),
    ("TIMESTAMP '2021-09-24 12:34:56.1'", "TIMESTAMP(3)", "STRING", "2021-09-24 12:34:56.100"),
    ("TIMESTAMP '2021-09-24 12:34:56.12345'", "TIMESTAMP(5)", "STRING", "2021-09-24 12:34:56.12345"),
    ("TIMESTAMP '2021-09-24 12:34:56'", "TIMESTAMP(0)", "STRING", "2021-09-24 12:34:56"),
    ("TIMESTAMPTZ '2021-09-24 12:34:56.1+00'", "TIMESTAMP_LTZ(3)", "STRING", "2021-09-24 14:34:56.100"),
    ("DATE '0123-01-02'", "DATE", "STRING", "0123-01-02"),
    ("TIME '12:34:56.123'", "TIME(3)", "STRING", "12:34:56.123"),
    ("TIME '12:34:56'", "TIME(0)", "STRING", "12:34:56"),
    ("to_months(84)", "INTERVAL YEAR TO MONTH", "STRING", "+7-00"),
    ("to_months(5)", "INTERVAL MONTH", "CHAR(6)", "+0-05 "),
    ("to_months(-123)", "INTERVAL MONTH", "STRING", "-10-03"),
    ("to_months(12334)", "INTERVAL MONTH", "STRING", "+1027-10"),
    ("to_milliseconds(10)", "INTERVAL DAY TO SECOND", "STRING", "+0 00:00:00.010"),
    ("to_milliseconds(123456789)", "INTERVAL DAY TO SECOND", "STRING", "+1 10:17:36.789"),
    ("to_milliseconds(-129600000)", "INTERVAL HOUR", "STRING", "-1 12:00:00.000"),
    ("[-123, NULL]", "ARRAY<INT>", "STRING", "[-123, NULL]"),
    ("[]::INTEGER[]", "ARRAY<INT>", "STRING", "[]"),
    ("[to_months(-123)]", "ARRAY<INTERVAL MONTH>", "STRING", "[-10-03]"),
    ("map(['a', 'b'], [1, NULL])", "MAP<STRING, INT>", "STRING", "{a=1, b=NULL}"),
    ("map(['a'], [2])", "MULTISET<STRING>", "STRING", "{a=2}"),
    ("{'f0': 123, 'f1': 'abc'}", "ROW<f0 INT, f1 STRING>", "STRING", "(123, abc)"),
    ("{'f0': NULL::INTEGER, 'f1': 'abc'}", "ROW<f0 INT, f1 STRING>", "STRING", "(NULL, abc)"),
    ("NULL::STRUCT(f0 INTEGER)", "ROW<f0 INT>", "STRING", None),
    ("'hi'::BLOB", "BYTES", "STRING", "hi"),
    ("unhex('FF')", "BYTES", "STRING", FAILS),
)  # fmt: skip
NUMBERS = (
    ("'1.234'", "STRING", "INT", 1),
    ("'-1.9'", "STRING", "INT", -1),
    ("' 12 '", "STRING", "INT", 12),
    ("'1e3'", "STRING", "INT", FAILS),
    ("'0x10'", "STRING", "INT", FAILS),
    ("'1_000'", "STRING", "INT", FAILS),
    ("''", "STRING", "INT", FAILS),
    ("'foo'", "STRING", "INT", FAILS),
    ("'-32769'", "STRING", "SMALLINT", FAILS),
    ("'-3276913443134'", "STRING", "BIGINT", -3276913443134),
    ("'-3276913443134'", "STRING", "INT", FAILS),
    ("3276913443134.87::DECIMAL(20,3)", "DECIMAL(20, 3)", "INT", -146603714),
    ("3276913443134.87::DECIMAL(20,3)", "DECIMAL(20, 3)", "BIGINT", 3276913443134),
    ("91235.87::DECIMAL(10,3)", "DECIMAL(10, 3)", "SMALLINT", 25699),
    ("9.87::DECIMAL(4,3)", "DECIMAL(4, 3)", "TINYINT", 9),
    ("-9.87::DECIMAL(4,3)", "DECIMAL(4, 3)", "INT", -9),
    ("123456.78::FLOAT", "FLOAT", "SMALLINT", -7616),
    ("9234567891.12345::DOUBLE", "DOUBLE", "INT", 2147483647),
    ("9234567891.12345::DOUBLE", "DOUBLE", "BIGINT", 9234567891),
    ("-1e30::DOUBLE", "DOUBLE", "BIGINT", -9223372036854775808),
    ("-123.9::DOUBLE", "DOUBLE", "INT", -123),
    ("'nan'::DOUBLE", "DOUBLE", "INT", 0),
    ("NULL::DOUBLE", "DOUBLE", "INT", None),
    ("1234567891234::BIGINT", "BIGINT", "INT", 1912277282),
    ("12345::INTEGER", "INT", "TINYINT", 57),
    ("true", "BOOLEAN", "BIGINT", 1),
    ("true", "BOOLEAN", "DECIMAL(5, 3)", Decimal("1.000")),
    ("'-3276913443134'", "STRING", "DOUBLE", -3276913443134.0),
    ("'foo'", "STRING", "DOUBLE", FAILS),
    ("-1.7976931348623157e308::DOUBLE", "DOUBLE", "FLOAT", -math.inf),
    ("9.87::DECIMAL(4,3)", "DECIMAL(4, 3)", "DOUBLE", 9.87),
    ("'1.2'", "STRING", "DECIMAL(5, 3)", Decimal("1.200")),
    ("'1.2345'", "STRING", "DECIMAL(5, 3)", Decimal("1.235")),
    ("'1e1'", "STRING", "DECIMAL(5, 3)", Decimal("10.000")),
    ("'99999'", "STRING", "DECIMAL(5, 3)", None),
    ("'foo'", "STRING", "DECIMAL(5, 3)", FAILS),
    ("12345::INTEGER", "INT", "DECIMAL(5, 3)", None),
    ("42::INTEGER", "INT", "DECIMAL(5, 3)", Decimal("42.000")),
    ("-12.345::FLOAT", "FLOAT", "DECIMAL(5, 3)", Decimal("-12.345")),
    ("3.15::DECIMAL(3,2)", "DECIMAL(3, 2)", "DECIMAL(8, 1)", Decimal("3.2")),
    ("'FalsE'", "VARCHAR(5)", "BOOLEAN", False),
    ("'true'", "CHAR(4)", "BOOLEAN", True),
    ("'Apache'", "STRING", "BOOLEAN", FAILS),
    ("''", "STRING", "BOOLEAN", FAILS),
    ("0.000::DECIMAL(5,3)", "DECIMAL(5, 3)", "BOOLEAN", False),
    ("-53::TINYINT", "TINYINT", "BOOLEAN", True),
    ("to_months(14)", "INTERVAL MONTH", "INT", 14),
    ("to_milliseconds(1500)", "INTERVAL SECOND", "BIGINT", 1500),
)  # fmt: skip
MOMENTS = (
    ("'123'", "STRING", "DATE", dt.date(123, 1, 1)),
    ("'2021-9'", "STRING", "DATE", dt.date(2021, 9, 1)),
    ("'2021-09-27 12:34:56.123456789'", "STRING", "DATE", dt.date(2021, 9, 27)),
    ("'2021/09/27'", "STRING", "DATE", FAILS),
    ("'2021-02-30'", "STRING", "DATE", FAILS),
    ("'Flink'", "STRING", "DATE", FAILS),
    ("'23'", "STRING", "TIME(0)", dt.time(23)),
    ("'23:45'", "STRING", "TIME(0)", dt.time(23, 45)),
    ("'12:34:56.123456789'", "STRING", "TIME(3)", dt.time(12, 34, 56, 123000)),
    ("'2021-09-27'", "STRING", "TIME(3)", FAILS),
    ("'2021-09-27'", "STRING", "TIMESTAMP(3)", dt.datetime(2021, 9, 27)),
    ("'2021-09-27 12:34:56.123456789'", "STRING", "TIMESTAMP(6)", dt.datetime(2021, 9, 27, 12, 34, 56, 123456)),
    ("'2021-09-27 12:34:56.9999'", "STRING", "TIMESTAMP(3)", dt.datetime(2021, 9, 27, 12, 34, 56, 999000)),
    ("'2021-09-27 12:34:56.9999'", "STRING", "TIMESTAMP(0)", dt.datetime(2021, 9, 27, 12, 34, 56)),
    ("'2021-9-7 1:2:3'", "STRING", "TIMESTAMP(3)", dt.datetime(2021, 9, 7, 1, 2, 3)),
    ("'2021-09-27T12:34:56'", "STRING", "TIMESTAMP(3)", FAILS),
    ("'2021-09-27 12:34'", "STRING", "TIMESTAMP(3)", FAILS),
    ("'123'", "STRING", "TIMESTAMP(3)", FAILS),
    ("'2021-09-27 12:34:56.123'", "STRING", "TIMESTAMP_LTZ(3)",
     dt.datetime(2021, 9, 27, 10, 34, 56, 123000, tzinfo=dt.UTC)),
    ("TIMESTAMP '2021-09-24 12:34:56.123456'", "TIMESTAMP(6)", "TIMESTAMP(3)",
     dt.datetime(2021, 9, 24, 12, 34, 56, 123000)),
    ("TIMESTAMP '2021-09-24 12:34:56.123456'", "TIMESTAMP(6)", "TIMESTAMP(2)",
     dt.datetime(2021, 9, 24, 12, 34, 56, 120000)),
    ("TIMESTAMP '2021-09-24 12:34:56.123456'", "TIMESTAMP(6)", "TIMESTAMP_LTZ(3)",
     dt.datetime(2021, 9, 24, 10, 34, 56, 123000, tzinfo=dt.UTC)),
    ("TIMESTAMPTZ '2021-09-24 22:34:56+00'", "TIMESTAMP_LTZ(3)", "TIMESTAMP(3)", dt.datetime(2021, 9, 25, 0, 34, 56)),
    ("TIMESTAMPTZ '2021-09-24 22:34:56+00'", "TIMESTAMP_LTZ(3)", "DATE", dt.date(2021, 9, 25)),
    ("TIMESTAMPTZ '2021-09-24 22:34:56+00'", "TIMESTAMP_LTZ(3)", "TIME(0)", dt.time(0, 34, 56)),
    ("TIMESTAMP '2021-09-24 12:34:56.9'", "TIMESTAMP(3)", "TIME(0)", dt.time(12, 34, 56)),
    ("TIMESTAMP '2021-09-24 12:34:56.9'", "TIMESTAMP(3)", "DATE", dt.date(2021, 9, 24)),
    ("DATE '2021-01-02'", "DATE", "TIMESTAMP(3)", dt.datetime(2021, 1, 2)),
    ("TIME '10:00:00'", "TIME(0)", "TIMESTAMP(3)", dt.datetime(1970, 1, 1, 10)),
    ("TIME '12:34:56.789'", "TIME(3)", "TIME(0)", dt.time(12, 34, 56)),
)  # fmt: skip
NESTED = (
    ("'abc'", "STRING", "BYTES", b"abc"),
    ("'abc'", "STRING", "BINARY(2)", b"ab"),
    ("'a'", "STRING", "BINARY(3)", b"a\0\0"),
    ("'abc'::BLOB", "BYTES", "VARBINARY(2)", b"ab"),
    ("[1, NULL]", "ARRAY<INT>", "ARRAY<STRING>", ["1", None]),
    ("[[1.9::DOUBLE]]", "ARRAY<ARRAY<DOUBLE>>", "ARRAY<ARRAY<INT>>", [[1]]),
    ("map(['1'], [true])", "MAP<STRING, BOOLEAN>", "MAP<INT, STRING>", [(1, "TRUE")]),
    ("{'a': 1, 'b': [2.5::DOUBLE]}", "ROW<a INT, b ARRAY<DOUBLE>>", "ROW<x STRING, y ARRAY<INT>>",
     {"x": "1", "y": [2]}),
    ("NULL::STRUCT(a INTEGER)", "ROW<a INT>", "ROW<x BIGINT>", None),
    ("NULL::INTEGER[]", "ARRAY<INT>", "ARRAY<STRING>", None),
)  # fmt: skip


@pytest.fixture(scope="module")
def duck() -> Iterator[Evaluator]:
    with evaluator("Europe/Berlin") as made:
        yield made


def run(duck: Evaluator, sql: str) -> object:
    return duck.connection.sql(f"SELECT {sql} AS v").to_arrow_table()["v"][0].as_py()


@pytest.mark.parametrize(("value", "source", "target", "wanted"), TEXTS + NUMBERS + MOMENTS + NESTED)
def test_cast(duck: Evaluator, value: str, source: str, target: str, wanted: object) -> None:
    from_, to = data_type(parse_type(source)), data_type(parse_type(target))
    assert can_cast(from_, to)
    strict, safe = cast_sql(value, from_, to), cast_sql(value, from_, to, safe=True)
    if wanted is FAILS:
        with pytest.raises(duckdb.Error):
            run(duck, strict)
        if not from_.is_binary:
            assert run(duck, safe) is None
        return
    relation = duck.connection.sql(f"SELECT {strict} AS v, {safe} AS s, CAST(NULL AS {to.duckdb}) AS wanted")
    assert relation.types[0] == relation.types[1] == relation.types[2]
    found = relation.to_arrow_table()
    assert same(found["v"][0].as_py(), wanted)
    assert same(found["s"][0].as_py(), wanted)


def test_an_operand_is_computed_once(duck: Evaluator) -> None:
    """A long operand is named, so nesting does not multiply the text."""
    text, double = data_type(parse_type("STRING")), data_type(parse_type("DOUBLE"))
    sql = "CAST(1.5 AS DOUBLE)"
    lengths = []
    for _ in range(4):
        sql = cast_sql(cast_sql(sql, double, text), text, double)
        lengths.append(len(sql))
    assert lengths[3] - lengths[2] < 2 * (lengths[1] - lengths[0])
    assert run(duck, sql) == 1.5


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("BYTES", "BOOLEAN"), ("BYTES", "INT"), ("DATE", "INT"), ("INT", "DATE"), ("INT", "TIMESTAMP(3)"),
        ("BOOLEAN", "DATE"), ("STRING", "INTERVAL DAY"), ("STRING", "ARRAY<INT>"), ("INT", "BYTES"),
        ("TIME", "DATE"), ("DATE", "TIME"), ("INTERVAL DAY", "INTERVAL MONTH"), ("ARRAY<DATE>", "ARRAY<INT>"),
        ("ROW<a INT>", "ROW<a INT, b INT>"), ("MAP<INT, INT>", "ARRAY<INT>"), ("BIGINT", "INTERVAL MONTH"),
    ],
)  # fmt: skip
def test_casts_that_are_not_allowed(source: str, target: str) -> None:
    assert not can_cast(data_type(parse_type(source)), data_type(parse_type(target)))


@pytest.mark.parametrize(
    ("source", "target", "allowed"),
    [
        ("INT", "BIGINT", True), ("BIGINT", "INT", False), ("INT", "DOUBLE", True), ("DOUBLE", "FLOAT", False),
        ("DOUBLE", "DECIMAL(10, 2)", False), ("DECIMAL(10, 2)", "DOUBLE", True), ("INT", "DECIMAL(10, 2)", True),
        ("DECIMAL(10, 2)", "INT", False), ("CHAR(3)", "STRING", True), ("STRING", "CHAR(3)", True),
        ("INT", "STRING", False), ("STRING", "INT", False), ("DATE", "TIMESTAMP(3)", True),
        ("TIMESTAMP(3)", "TIMESTAMP_LTZ(3)", True), ("TIME", "TIMESTAMP(3)", False), ("BOOLEAN", "INT", False),
        ("ARRAY<INT>", "ARRAY<BIGINT>", True), ("ARRAY<BIGINT>", "ARRAY<INT>", False), ("NULL", "INT", True),
    ],
)  # fmt: skip
def test_casts_without_writing_cast(source: str, target: str, allowed: bool) -> None:
    assert can_cast_implicitly(data_type(parse_type(source)), data_type(parse_type(target))) is allowed
