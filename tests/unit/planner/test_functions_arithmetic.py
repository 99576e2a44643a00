"""Arithmetic: Java's integers, SQL Server's decimals, IEEE doubles."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

import pytest

from .evaluate import Evaluator, evaluator, same

NUMBERS: tuple[tuple[str, object, str], ...] = (
    # SQL, value, type
    ("1 + 2", 3, "INT NOT NULL"),
    ("2147483647 + 1", -2147483648, "INT NOT NULL"),
    ("-2147483648 - 1", 2147483647, "INT NOT NULL"),
    ("9223372036854775807 + 1", -9223372036854775808, "BIGINT NOT NULL"),
    ("CAST(127 AS TINYINT) + CAST(1 AS TINYINT)", -128, "TINYINT NOT NULL"),
    ("100000 * 100000", 1410065408, "INT NOT NULL"),
    ("7 / 2", 3, "INT NOT NULL"),
    ("-7 / 2", -3, "INT NOT NULL"),
    ("7 % -3", 1, "INT NOT NULL"),
    ("1e0 / 0", math.inf, "DOUBLE NOT NULL"),
    ("1.5 * 2", Decimal('3.0'), "DECIMAL(13, 1) NOT NULL"),
    ("1.50 + 2", Decimal('3.50'), "DECIMAL(13, 2) NOT NULL"),
    ("CAST(1 AS DECIMAL(30,0)) / CAST(3 AS DECIMAL(30,0))", Decimal('0.33333333'), "DECIMAL(38, 8) NOT NULL"),
    ("CAST(1 AS DECIMAL(10,2)) / 3", Decimal('0.3333333333333'), "DECIMAL(21, 13) NOT NULL"),
    ("CAST('99999999999999999999999999999999999999' AS DECIMAL(38,0)) + "
     "CAST('99999999999999999999999999999999999999' AS DECIMAL(38,0))",
     None, "DECIMAL(38, 0) NOT NULL"),
    ("CAST(-2 AS DECIMAL(38,2)) / CAST(3 AS DECIMAL(38,2))", Decimal('-0.666667'), "DECIMAL(38, 6) NOT NULL"),
    ("MOD(5, 3)", 2, "INT NOT NULL"),
    ("5.5 % 2", Decimal('1.5'), "DECIMAL(2, 1) NOT NULL"),
    ("-5", -5, "INT NOT NULL"),
    ("- CAST(-2147483648 AS INT)", -2147483648, "INT NOT NULL"),
    ("ABS(-5)", 5, "INT NOT NULL"),
    ("ABS(-5.5)", Decimal('5.5'), "DECIMAL(2, 1) NOT NULL"),
    ("POWER(2, 10)", 1024.0, "DOUBLE NOT NULL"),
    ("SQRT(4)", 2.0, "DOUBLE NOT NULL"),
    ("LN(1)", 0.0, "DOUBLE NOT NULL"),
    ("LOG(100)", 4.605170185988092, "DOUBLE NOT NULL"),
    ("LOG(10, 100)", 2.0, "DOUBLE NOT NULL"),
    ("LOG2(8)", 3.0, "DOUBLE NOT NULL"),
    ("CEIL(1.2)", Decimal('2'), "DECIMAL(2, 0) NOT NULL"),
    ("FLOOR(-1.5e0)", -2.0, "DOUBLE NOT NULL"),
    ("CEIL(5)", 5, "INT NOT NULL"),
    ("SIGN(-2.50)", Decimal('-1.00'), "DECIMAL(3, 2) NOT NULL"),
    ("ROUND(2.5e0)", 3.0, "DOUBLE NOT NULL"),
    ("ROUND(1.005e0, 2)", 1.01, "DOUBLE NOT NULL"),
    ("ROUND(646.646, 2)", Decimal('646.65'), "DECIMAL(6, 2) NOT NULL"),
    ("ROUND(646.646, -1)", Decimal('650'), "DECIMAL(4, 0) NOT NULL"),
    ("ROUND(125, -1)", 130, "INT NOT NULL"),
    ("ROUND(CAST(NULL AS INT))", None, "INT"),
    ("TRUNCATE(42.324, 2)", Decimal('42.32'), "DECIMAL(5, 2) NOT NULL"),
    ("TRUNCATE(42.324e0, 1)", 42.3, "DOUBLE NOT NULL"),
    ("TRUNCATE(-42.9)", Decimal('-42'), "DECIMAL(3, 0) NOT NULL"),
    ("PI()", 3.141592653589793, "DOUBLE NOT NULL"),
    ("BIN(12)", '1100', "STRING NOT NULL"),
    ("HEX(20)", '14', "STRING NOT NULL"),
    ("HEX('hello,world')", '68656C6C6F2C776F726C64', "STRING NOT NULL"),
    ("UNHEX('4D7')", b'\x04\xd7', "BYTES"),
    ("UNHEX('zz')", None, "BYTES"),
    ("NULL + 1", None, "INT"),
    ("SIN(0)", 0.0, "DOUBLE NOT NULL"),
    ("COS(0)", 1.0, "DOUBLE NOT NULL"),
    ("TAN(0)", 0.0, "DOUBLE NOT NULL"),
    ("COT(1)", 0.6420926159343306, "DOUBLE NOT NULL"),
    ("ASIN(1)", 1.5707963267948966, "DOUBLE NOT NULL"),
    ("ASIN(2)", math.nan, "DOUBLE NOT NULL"),
    ("ACOS(1)", 0.0, "DOUBLE NOT NULL"),
    ("ATAN(1)", 0.7853981633974483, "DOUBLE NOT NULL"),
    ("ATAN2(1, 1)", 0.7853981633974483, "DOUBLE NOT NULL"),
    ("SINH(0)", 0.0, "DOUBLE NOT NULL"),
    ("COSH(0)", 1.0, "DOUBLE NOT NULL"),
    ("TANH(0)", 0.0, "DOUBLE NOT NULL"),
    ("DEGREES(PI())", 180.0, "DOUBLE NOT NULL"),
    ("RADIANS(180)", 3.141592653589793, "DOUBLE NOT NULL"),
    ("E()", 2.718281828459045, "DOUBLE NOT NULL"),
    ("EXP(0)", 1.0, "DOUBLE NOT NULL"),
    ("LOG10(1000)", 3.0, "DOUBLE NOT NULL"),
    ("LOG10(0)", -math.inf, "DOUBLE NOT NULL"),
    ("SQRT(-1)", math.nan, "DOUBLE NOT NULL"),
    ("LN(0)", -math.inf, "DOUBLE NOT NULL"),
    ("POWER(CAST(NULL AS INT), 2)", None, "DOUBLE"),
    ("3000000000", 3000000000, "BIGINT NOT NULL"),
    ("12345678901234567890", Decimal('12345678901234567890'), "DECIMAL(20, 0) NOT NULL"),
    ("1.50", Decimal('1.50'), "DECIMAL(3, 2) NOT NULL"),
    ("0.5", Decimal('0.5'), "DECIMAL(2, 1) NOT NULL"),
    ("1e3", 1000.0, "DOUBLE NOT NULL"),
    ("CAST(1 AS BIGINT) + 1", 2, "BIGINT NOT NULL"),
    ("CAST(5 AS SMALLINT) * CAST(20000 AS SMALLINT)", -31072, "SMALLINT NOT NULL"),
    ("9223372036854775807 * 2", -2, "BIGINT NOT NULL"),
    ("CAST(1.5 AS FLOAT) + 1", 2.5, "FLOAT NOT NULL"),
    ("CAST(1.5 AS FLOAT) + 1.5", 3.0, "DOUBLE NOT NULL"),
    ("CAST(1.5 AS FLOAT) * 2e0", 3.0, "DOUBLE NOT NULL"),
    ("CAST(9 AS BIGINT) % 4", 1, "INT NOT NULL"),
    ("10 % CAST(3 AS BIGINT)", 1, "BIGINT NOT NULL"),
    ("7.5 / 2", Decimal('3.750000000000'), "DECIMAL(13, 12) NOT NULL"),
    ("CAST(1 AS DECIMAL(38,10)) + CAST(1 AS DECIMAL(38,28))", Decimal('2.000000000'), "DECIMAL(38, 9) NOT NULL"),
    ("CAST(1 AS DECIMAL(30,20)) * CAST(1 AS DECIMAL(30,20))",
     Decimal('1.00000000000000000'), "DECIMAL(38, 17) NOT NULL"),
    ("CAST('0.0000006' AS DECIMAL(38,10)) * CAST(1 AS DECIMAL(38,10))",
     Decimal('0.000001'), "DECIMAL(38, 6) NOT NULL"),
    ("CAST(100 AS DECIMAL(38,0)) * CAST('99999999999999999999999999999999999999' AS DECIMAL(38,0))",
     None, "DECIMAL(38, 0) NOT NULL"),
    ("ROUND(-2.5)", Decimal('-3'), "DECIMAL(2, 0) NOT NULL"),
    ("ROUND(2147483647, -1)", -2147483646, "INT NOT NULL"),
    ("ROUND(1.5e0, CHAR_LENGTH('a'))", 1.5, "DOUBLE NOT NULL"),
    ("TRUNCATE(125, -1)", 120, "INT NOT NULL"),
    ("CEIL(-1.5)", Decimal('-1'), "DECIMAL(2, 0) NOT NULL"),
    ("FLOOR(CAST(NULL AS DOUBLE))", None, "DOUBLE"),
    ("SIGN(CAST(0 AS DOUBLE))", 0.0, "DOUBLE NOT NULL"),
    ("- CAST(NULL AS INT)", None, "INT"),
    ("+ 5", 5, "INT NOT NULL"),
    ("BIN(CAST(NULL AS INT))", None, "STRING"),
    ("BIN(-1)", '1111111111111111111111111111111111111111111111111111111111111111', "STRING NOT NULL"),
    ("HEX(-1)", 'FFFFFFFFFFFFFFFF', "STRING NOT NULL"),
)  # fmt: skip


@pytest.fixture(scope="module")
def duck() -> Iterator[Evaluator]:
    with evaluator() as made:
        yield made


@pytest.mark.parametrize(("sql", "value", "type_"), NUMBERS)
def test_value_and_type(duck: Evaluator, sql: str, value: object, type_: str) -> None:
    found = duck.value(sql)
    assert same(found.value, value), found
    assert found.type == type_
    assert found.exact, "DuckDB's value has another type than Flink's type says"
