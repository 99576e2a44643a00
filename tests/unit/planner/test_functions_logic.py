"""Comparison, three-valued logic, CASE and its relatives."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from .evaluate import Evaluator, evaluator, same

CONDITIONS: tuple[tuple[str, object, str], ...] = (
    # SQL, value, type
    ("1 = 1", True, "BOOLEAN NOT NULL"),
    ("'2020-01-01' = DATE '2020-01-01'", True, "BOOLEAN NOT NULL"),
    ("TIMESTAMP '2020-01-01 00:00:00' > '2019-12-31 23:59:59'", True, "BOOLEAN NOT NULL"),
    ("TIMESTAMP '2020-01-01 00:00:00' > DATE '2019-12-31'", True, "BOOLEAN NOT NULL"),
    ("TRUE = 'true'", True, "BOOLEAN NOT NULL"),
    ("1 IS DISTINCT FROM NULL", True, "BOOLEAN NOT NULL"),
    ("NULL IS NOT DISTINCT FROM NULL", True, "BOOLEAN NOT NULL"),
    ("12 BETWEEN 15 AND 12", False, "BOOLEAN NOT NULL"),
    ("12 BETWEEN SYMMETRIC 15 AND 12", True, "BOOLEAN NOT NULL"),
    ("12 BETWEEN 10 AND NULL", None, "BOOLEAN"),
    ("12 NOT BETWEEN 15 AND 12", True, "BOOLEAN NOT NULL"),
    ("12 BETWEEN NULL AND 10", False, "BOOLEAN"),
    ("DATE '2020-01-01' BETWEEN '2019-01-01' AND '2021-01-01'", True, "BOOLEAN NOT NULL"),
    ("4 IN (1, 2, 3)", False, "BOOLEAN NOT NULL"),
    ("1 IN (1, 2, NULL)", True, "BOOLEAN"),
    ("4 IN (1, 2, NULL)", None, "BOOLEAN"),
    ("4 NOT IN (1, 2, NULL)", None, "BOOLEAN"),
    ("1 IN (1.0, 2)", True, "BOOLEAN NOT NULL"),
    ("DATE '2020-01-01' IN ('2020-01-01', '2021-01-01')", True, "BOOLEAN NOT NULL"),
    ("'abc' LIKE 'a%'", True, "BOOLEAN NOT NULL"),
    ("'abc' NOT LIKE 'a_d'", True, "BOOLEAN NOT NULL"),
    ("'a_c' LIKE 'a\\_c' ESCAPE '\\'", True, "BOOLEAN NOT NULL"),
    ("'a_c' NOT LIKE 'a\\_c' ESCAPE '\\'", False, "BOOLEAN NOT NULL"),
    ("'abc' SIMILAR TO '(a|b)%'", True, "BOOLEAN NOT NULL"),
    ("'abc' NOT SIMILAR TO 'a.c'", True, "BOOLEAN NOT NULL"),
    ("TRUE AND NULL", None, "BOOLEAN"),
    ("TRUE OR NULL", True, "BOOLEAN"),
    ("NOT NULL", None, "BOOLEAN"),
    ("TRUE AND FALSE AND TRUE", False, "BOOLEAN NOT NULL"),
    ("NULL IS NULL", True, "BOOLEAN NOT NULL"),
    ("1 IS NOT NULL", True, "BOOLEAN NOT NULL"),
    ("NULL IS TRUE", False, "BOOLEAN NOT NULL"),
    ("FALSE IS NOT TRUE", True, "BOOLEAN NOT NULL"),
    ("CASE WHEN 1 > 2 THEN 'BUY' ELSE 'SELL' END", 'SELL', "VARCHAR(4) NOT NULL"),
    ("CASE 1 WHEN 1 THEN 1.5 WHEN 2 THEN 2 END", Decimal('1.5'), "DECIMAL(11, 1)"),
    ("NULLIF(5, 5)", None, "INT"),
    ("NULLIF(5, 0)", 5, "INT"),
    ("COALESCE(NULL, 'default')", 'default', "CHAR(7) NOT NULL"),
    ("COALESCE(NULL, NULL)", None, "NULL"),
    ("IF(5 > 3, 5, 3)", 5, "INT NOT NULL"),
    ("IFNULL(CAST(NULL AS INT), 5)", 5, "INT NOT NULL"),
    ("GREATEST(1, 2, 3)", 3, "INT NOT NULL"),
    ("GREATEST(1, CAST(NULL AS INT))", None, "INT"),
    ("LEAST('b', 'a')", 'a', "CHAR(1) NOT NULL"),
    ("CAST(NULL AS BOOLEAN) IS UNKNOWN", True, "BOOLEAN NOT NULL"),
    ("CAST(NULL AS BOOLEAN) IS NOT UNKNOWN", False, "BOOLEAN NOT NULL"),
)  # fmt: skip


@pytest.fixture(scope="module")
def duck() -> Iterator[Evaluator]:
    with evaluator() as made:
        yield made


@pytest.mark.parametrize(("sql", "value", "type_"), CONDITIONS)
def test_value_and_type(duck: Evaluator, sql: str, value: object, type_: str) -> None:
    found = duck.value(sql)
    assert same(found.value, value), found
    assert found.type == type_
    assert found.exact, "DuckDB's value has another type than Flink's type says"
