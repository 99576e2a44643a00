"""Functions over columns: NULLs, the session's time zone, nested fields, and aggregates over groups."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa
import pytest

from streamsql.datatypes import BIGINT, BOOLEAN, DECIMAL, DOUBLE, FLOAT, INT, ROW, STRING, TIMESTAMP_LTZ
from streamsql.schema import Schema

from .evaluate import Evaluator, evaluator, same, utc

SCHEMA = Schema.of(
    [
        ("i", INT()),
        ("b", BIGINT()),
        ("d", DECIMAL(10, 2)),
        ("f", DOUBLE()),
        ("fl", FLOAT()),
        ("s", STRING()),
        ("o", BIGINT().not_null()),
        ("ts", TIMESTAMP_LTZ(3)),
        ("r", ROW([("x", INT()), ("y", ROW([("z", STRING())]))])),
        ("bo", BOOLEAN()),
    ]
)
WINTER, SUMMER = (
    dt.datetime(2020, 1, 1, 0, 0, 0, 500000, tzinfo=dt.UTC),
    dt.datetime(2020, 7, 1, 12, tzinfo=dt.UTC),
)
ROWS = [
    (1, 1, Decimal("1.00"), 1.5, 1.5, "a", 1, WINTER, {"x": 1, "y": {"z": "q"}}, True),
    (2, 2, Decimal("2.00"), 2.5, 2.5, "b", 2, SUMMER, {"x": None, "y": {"z": None}}, False),
    (4, 4, Decimal("2.01"), None, None, "a", 3, None, None, None),
    (None, None, None, None, None, None, 4, None, None, None),
]
TABLE = pa.table(
    [pa.array(column, f.type.arrow) for column, f in zip(zip(*ROWS, strict=True), SCHEMA, strict=True)],
    schema=SCHEMA.arrow,
)


@pytest.fixture(scope="module")
def duck() -> Iterator[Evaluator]:
    with evaluator("UTC", (SCHEMA, TABLE)) as made:
        yield made


@pytest.fixture(scope="module")
def berlin() -> Iterator[Evaluator]:
    with evaluator("Europe/Berlin", (SCHEMA, TABLE)) as made:
        yield made


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("i + 1", [2, 3, 5, None]),
        ("i + b", [2, 4, 8, None]),
        ("-i", [-1, -2, -4, None]),
        ("i + d", [Decimal("2.00"), Decimal("4.00"), Decimal("6.01"), None]),
        ("fl + d", [2.5, 4.5, None, None]),
        ("d / i", [Decimal("1.0000000000000"), Decimal("1.0000000000000"), Decimal("0.5025000000000"), None]),
        ("f / 0", [float("inf"), float("inf"), None, None]),
        ("i % 2", [1, 0, 0, None]),
        ("t.i", [1, 2, 4, None]),
        ("r.x", [1, None, None, None]),
        ("r.y.z", ["q", None, None, None]),
        ("t.r.y.z", ["q", None, None, None]),
        ("CAST(r AS STRING)", ["(1, (q))", "(NULL, (NULL))", None, None]),
        ("CAST(f AS INT)", [1, 2, None, None]),
        ("CASE s WHEN 'a' THEN 1 ELSE 0 END", [1, 0, 1, 0]),
        ("i IS NULL", [False, False, False, True]),
        ("bo IS NOT TRUE", [False, True, True, True]),
        ("NOT bo", [False, True, None, None]),
        ("bo AND i > 0", [True, False, None, None]),
        ("bo OR i > 0", [True, True, True, None]),
        ("i BETWEEN 1 AND 2", [True, True, False, None]),
        ("i BETWEEN SYMMETRIC 2 AND 1", [True, True, False, None]),
        ("s IN ('a', 'c')", [True, False, True, None]),
        ("s NOT IN ('a', NULL)", [False, None, False, None]),
        ("s IS DISTINCT FROM 'a'", [False, True, False, True]),
        ("COALESCE(i, 0)", [1, 2, 4, 0]),
        ("NULLIF(i, 2)", [1, None, 4, None]),
        ("IF(bo, i, b + 10)", [1, 12, 14, None]),
        ("GREATEST(i, b, 2)", [2, 2, 4, None]),
        ("s || 'x'", ["ax", "bx", "ax", None]),
        ("SUBSTRING(s || 'bcd', -i)", ["d", "cd", "abcd", None]),
        ("SPLIT_INDEX('x,y,z', ',', i)", ["y", "z", None, None]),
        ("CONCAT_WS('-', s, CAST(i AS STRING))", ["a-1", "b-2", "a-4", ""]),
        ("ARRAY[i, 7][i]", [1, 7, None, None]),
        ("MAP['a', 1][s]", [1, None, 1, None]),
        ("ROW(i, s).EXPR$1", ["a", "b", "a", None]),
        ("JSON_VALUE('{\"a\": {\"b\": ' || CAST(i AS STRING) || '}}', '$.a.b' RETURNING INT)", [1, 2, 4, None]),
        ("JSON_OBJECT('i' VALUE i, 's' VALUE s)", ['{"i":1,"s":"a"}', '{"i":2,"s":"b"}', '{"i":4,"s":"a"}',
                                                   '{"i":null,"s":null}']),
        ("ts > '2020-03-01 00:00:00'", [False, True, None, None]),
        ("CURRENT_WATERMARK(ts)", [utc(2023, 11, 13, 22, 13, 20, 123000)] * 4),
    ],
)  # fmt: skip
def test_rows(duck: Evaluator, sql: str, values: list[object]) -> None:
    assert same(duck.rows(sql), values)


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("CAST(ts AS STRING)", ["2020-01-01 01:00:00.500", "2020-07-01 14:00:00.000"]),
        ("EXTRACT(HOUR FROM ts)", [1, 14]),
        ("DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm')", ["2020-01-01 01:00", "2020-07-01 14:00"]),
        ("CAST(ts AS DATE)", [dt.date(2020, 1, 1), dt.date(2020, 7, 1)]),
        ("FLOOR(ts TO DAY)", [utc(2019, 12, 31, 23, 0, 0, 0), utc(2020, 6, 30, 22, 0, 0, 0)]),
        ("ts + INTERVAL '1' MONTH", [utc(2020, 2, 1, 0, 0, 0, 500000), utc(2020, 8, 1, 12, 0, 0, 0)]),
        ("ts + INTERVAL '180' DAY", [utc(2020, 6, 29, 0, 0, 0, 500000), utc(2020, 12, 28, 12, 0, 0, 0)]),
        ("TO_TIMESTAMP_LTZ(o, 0)", [utc(1970, 1, 1, 0, 0, 1, 0), utc(1970, 1, 1, 0, 0, 2, 0)]),
        ("FROM_UNIXTIME(o)", ["1970-01-01 01:00:01", "1970-01-01 01:00:02"]),
        ("UNIX_TIMESTAMP('1970-01-01 08:00:01')", [25201, 25201]),
        ("CAST('2020-07-01 00:00:00' AS TIMESTAMP_LTZ(3))", [utc(2020, 6, 30, 22, 0, 0, 0)] * 2),
        ("ts = '2020-01-01 01:00:00.5'", [True, False]),
        ("CURRENT_DATE", [dt.date(2023, 11, 14)] * 2),
        ("CURRENT_TIMESTAMP", [utc(2023, 11, 14, 22, 13, 20, 123000)] * 2),
        ("NOW()", [utc(2023, 11, 14, 22, 13, 20, 123000)] * 2),
        ("PROCTIME()", [utc(2023, 11, 14, 22, 13, 20, 123000)] * 2),
        ("CURRENT_ROW_TIMESTAMP()", [utc(2023, 11, 14, 22, 13, 20, 123000)] * 2),
        ("LOCALTIMESTAMP", [dt.datetime(2023, 11, 14, 23, 13, 20, 123000)] * 2),
        ("LOCALTIME", [dt.time(23, 13, 20)] * 2),
        ("CURRENT_TIME", [dt.time(23, 13, 20)] * 2),
        ("UNIX_TIMESTAMP()", [1700000000] * 2),
    ],
)
def test_the_session_zone(berlin: Evaluator, sql: str, values: list[object]) -> None:
    """A TIMESTAMP_LTZ is read on the session's wall clock; days of an interval are 24 hours, months UTC months."""
    assert same(berlin.rows(sql)[:2], values)


AGGREGATES: tuple[tuple[str, str, object, object], ...] = (
    # SQL, type, over all rows, over none
    ("COUNT(*)", "BIGINT NOT NULL", 4, 0),
    ("COUNT(i)", "BIGINT NOT NULL", 3, 0),
    ("COUNT(DISTINCT s)", "BIGINT NOT NULL", 2, 0),
    ("COUNT(DISTINCT s, i)", "BIGINT NOT NULL", 3, 0),
    ("COUNT(*) FILTER (WHERE i > 1)", "BIGINT NOT NULL", 2, 0),
    ("SUM(i)", "INT", 7, None),
    ("SUM(i + 2147483647)", "INT", -2147483644, None),
    ("SUM(b)", "BIGINT", 7, None),
    ("SUM(DISTINCT i % 2)", "INT", 1, None),
    ("SUM(d)", "DECIMAL(38, 2)", Decimal("5.01"), None),
    ("SUM(f)", "DOUBLE", 4.0, None),
    ("SUM(fl)", "FLOAT", 4.0, None),
    ("SUM(i) FILTER (WHERE s = 'a')", "INT", 5, None),
    ("SUM(o)", "BIGINT NOT NULL", 10, None),
    ("AVG(i)", "INT", 2, None),
    ("AVG(-i)", "INT", -2, None),
    ("AVG(b)", "BIGINT", 2, None),
    ("AVG(d)", "DECIMAL(38, 6)", Decimal("1.670000"), None),
    ("AVG(d * -1)", "DECIMAL(38, 6)", Decimal("-1.670000"), None),
    ("AVG(CAST(o AS DECIMAL(10, 8)) / 3)", "DECIMAL(38, 19)", Decimal("0.8333333333333333333"), None),
    ("AVG(f)", "DOUBLE", 2.0, None),
    ("AVG(fl)", "FLOAT", 2.0, None),
    ("MIN(i)", "INT", 1, None),
    ("MAX(s)", "STRING", "b", None),
    ("MIN(ts)", "TIMESTAMP_LTZ(3)", WINTER, None),
    ("FIRST_VALUE(s)", "STRING", "a", None),
    ("LAST_VALUE(s)", "STRING", "a", None),
    ("LAST_VALUE(i) FILTER (WHERE i < 3)", "INT", 2, None),
    ("LAST_VALUE(i) RESPECT NULLS", "INT", None, None),
    ("FIRST_VALUE(i) RESPECT NULLS", "INT", 1, None),
    ("LISTAGG(s)", "STRING", "a,b,a", None),
    ("LISTAGG(s, '|')", "STRING", "a|b|a", None),
    ("LISTAGG(DISTINCT s)", "STRING", "a,b", None),
    ("COLLECT(s)", "MULTISET<STRING NOT NULL> NOT NULL", [("a", 2), ("b", 1)], []),
    ("ARRAY_AGG(s)", "ARRAY<STRING>", ["a", "b", "a", None], None),
    ("ARRAY_AGG(s) IGNORE NULLS", "ARRAY<STRING>", ["a", "b", "a"], None),
    ("STDDEV_POP(i)", "INT", 1, None),
    ("STDDEV_POP(f)", "DOUBLE", 0.5, None),
    ("STDDEV(f)", "DOUBLE", 0.7071067811865476, None),
    ("VAR_POP(f)", "DOUBLE", 0.25, None),
    ("VARIANCE(f)", "DOUBLE", 0.5, None),
    ("VAR_SAMP(d)", "DECIMAL(38, 6)", Decimal("0.336700"), None),
    (
        "JSON_OBJECTAGG(KEY CAST(o AS STRING) VALUE i)",
        "STRING NOT NULL",
        '{"1":1,"2":2,"3":4,"4":null}',
        "{}",
    ),
    (
        "JSON_OBJECTAGG(KEY CAST(o AS STRING) VALUE i ABSENT ON NULL)",
        "STRING NOT NULL",
        '{"1":1,"2":2,"3":4}',
        "{}",
    ),
    ("JSON_ARRAYAGG(s)", "STRING NOT NULL", '["a","b","a"]', "[]"),
    ("JSON_ARRAYAGG(i NULL ON NULL)", "STRING NOT NULL", "[1,2,4,null]", "[]"),
    ("APPROX_COUNT_DISTINCT(s)", "BIGINT NOT NULL", 2, 0),
    ("PERCENTILE(f, 0.5)", "DOUBLE", 2.0, None),
)


@pytest.mark.parametrize(("sql", "type_", "value", "of_nothing"), AGGREGATES)
def test_aggregates(duck: Evaluator, sql: str, type_: str, value: object, of_nothing: object) -> None:
    assert duck.aggregate_type(sql).replace(" NOT NULL", "") == type_.replace(" NOT NULL", "")
    assert same(duck.aggregate(sql, order='"o"')[0], value)
    assert same(duck.aggregate(sql, order='"o"', where="false")[0], of_nothing)


def test_arrival_order_decides(duck: Evaluator) -> None:
    assert duck.aggregate("FIRST_VALUE(i)", order='-"o"') == [4]
    assert duck.aggregate("LAST_VALUE(i)", order='-"o"') == [1]
    assert duck.aggregate("LISTAGG(s)", order='-"o"') == ["a,b,a"]
    assert duck.aggregate("ARRAY_AGG(i)", order='-"o"') == [[None, 4, 2, 1]]


def test_single_value(duck: Evaluator) -> None:
    assert duck.aggregate("SINGLE_VALUE(i)", where="o = 2") == [2]
    with pytest.raises(Exception, match="used as a value has more than one row"):
        duck.aggregate("SINGLE_VALUE(i)")


def test_a_repeated_json_key_is_an_error(duck: Evaluator) -> None:
    with pytest.raises(Exception, match="JSON_OBJECTAGG: a key occurs twice"):
        duck.aggregate("JSON_OBJECTAGG(KEY 'k' VALUE i)")


@pytest.mark.parametrize(
    ("sql", "window", "values"),
    [
        ("SUM(i)", 'ORDER BY "o" ROWS UNBOUNDED PRECEDING', [1, 3, 7, 7]),
        ("AVG(i)", 'ORDER BY "o" ROWS 1 PRECEDING', [1, 1, 3, 4]),
        ("COUNT(*)", 'PARTITION BY "s"', [2, 1, 2, 1]),
        ("LAST_VALUE(s)", 'ORDER BY "o" ROWS UNBOUNDED PRECEDING', ["a", "b", "a", "a"]),
        ("ROW_NUMBER()", 'ORDER BY "o" DESC', [4, 3, 2, 1]),
        ("RANK()", 'ORDER BY "s" NULLS LAST', [1, 3, 1, 4]),
        ("DENSE_RANK()", 'ORDER BY "s" NULLS LAST', [1, 2, 1, 3]),
        ("LAG(i)", 'ORDER BY "o"', [None, 1, 2, 4]),
        ("LAG(i, 2, 0)", 'ORDER BY "o"', [0, 0, 1, 2]),
        ("LEAD(i)", 'ORDER BY "o"', [2, 4, None, None]),
        ("NTILE(2)", 'ORDER BY "o"', [1, 1, 2, 2]),
        ("CUME_DIST()", 'ORDER BY "o"', [0.25, 0.5, 0.75, 1.0]),
        ("PERCENT_RANK()", 'ORDER BY "o"', [0.0, 1 / 3, 2 / 3, 1.0]),
    ],
)
def test_windows(duck: Evaluator, sql: str, window: str, values: list[object]) -> None:
    assert same(duck.aggregate(sql, window=window), values)
