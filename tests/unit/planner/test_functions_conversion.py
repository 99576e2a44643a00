"""CAST and TYPEOF in SQL texts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from .evaluate import Evaluator, evaluator, same

CONVERSIONS: tuple[tuple[str, object, str], ...] = (
    # SQL, value, type
    ("TYPEOF(1)", 'INT NOT NULL', "STRING NOT NULL"),
    ("TYPEOF('abc')", 'CHAR(3) NOT NULL', "STRING NOT NULL"),
    ("CAST('42' AS INT)", 42, "INT NOT NULL"),
    ("TRY_CAST('non-number' AS INT)", None, "INT"),
    ("CAST(NULL AS STRING)", None, "STRING"),
    ("CAST(1.9e0 AS INT)", 1, "INT NOT NULL"),
    ("CAST(TRUE AS STRING)", 'TRUE', "STRING NOT NULL"),
    ("CAST(1e10 AS STRING)", '1.0E10', "STRING NOT NULL"),
    ("CAST('2020-01-01 10:00:00' AS TIMESTAMP(3))", dt.datetime(2020, 1, 1, 10, 0), "TIMESTAMP(3) NOT NULL"),
    ("CAST(TIMESTAMP '2020-01-01 10:00:00.1239' AS TIMESTAMP(3))",
     dt.datetime(2020, 1, 1, 10, 0, 0, 123000), "TIMESTAMP(3) NOT NULL"),
    ("CAST('abc' AS VARCHAR(2))", 'ab', "VARCHAR(2) NOT NULL"),
    ("CAST('abc' AS VARCHAR)", 'abc', "STRING NOT NULL"),
    ("CAST(ARRAY[1, 2] AS STRING)", '[1, 2]', "STRING NOT NULL"),
    ("CAST(ROW(1, 'a') AS ROW<x BIGINT, y STRING>)", {'x': 1, 'y': 'a'}, "ROW<`x` BIGINT, `y` STRING> NOT NULL"),
    ("CAST(ROW(1, 'a') AS ROW<x BIGINT, y STRING>).y", 'a', "STRING"),
    ("CAST(INTERVAL '14' MONTH AS STRING)", '+1-02', "STRING NOT NULL"),
    ("CAST(X'6869' AS STRING)", 'hi', "STRING NOT NULL"),
    ("X'6869'", b'hi', "BINARY(2) NOT NULL"),
)  # fmt: skip


@pytest.fixture(scope="module")
def duck() -> Iterator[Evaluator]:
    with evaluator() as made:
        yield made


@pytest.mark.parametrize(("sql", "value", "type_"), CONVERSIONS)
def test_value_and_type(duck: Evaluator, sql: str, value: object, type_: str) -> None:
    found = duck.value(sql)
    assert same(found.value, value), found
    assert found.type == type_
    assert found.exact, "DuckDB's value has another type than Flink's type says"
