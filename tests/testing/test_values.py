"""All types in and out of the kit's tables, and the errors for values that do not fit."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from streamsql.changelog import Row
from streamsql.errors import ValidationError
from streamsql.session import TableEnvironment
from streamsql.testing import sink_table, source_table

NOON = dt.datetime(2024, 5, 1, 12, 0, 0, 250_000)
UTC_NOON = NOON.replace(tzinfo=dt.UTC)
ROME = dt.timezone(dt.timedelta(hours=2))


@pytest.fixture
def env() -> Iterator[TableEnvironment]:
    with TableEnvironment() as env:
        yield env


def copied(env: TableEnvironment, type_: str, *values: Any) -> list[Any]:
    """The values after a job has copied them from a source to a sink."""
    source_table(env, f"CREATE TABLE t (v {type_})", [("+I", v) for v in values], step_rows=2)
    sink = sink_table(env, f"CREATE TABLE s (v {type_})")
    env.execute_sql("INSERT INTO s SELECT v FROM t").wait()
    return [row[0] for row in sink.changelog()]


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("BOOLEAN", [True, False]),
        ("TINYINT", [-128, 127]),
        ("SMALLINT", [-32768, 32767]),
        ("INT", [-(2**31), 2**31 - 1]),
        ("BIGINT", [-(2**63), 2**63 - 1]),
        ("FLOAT", [0.5, -1.25]),
        ("DOUBLE", [0.1, -1e300]),
        ("DECIMAL(10, 2)", [Decimal("12345678.90"), Decimal("-0.01")]),
        ("DECIMAL(38, 10)", [Decimal("1234567890123456789012345678.0123456789")]),
        ("STRING", ["", "a b", "ü€", "null"]),
        ("CHAR(3)", ["abc"]),
        ("VARCHAR(10)", ["abc"]),
        ("BYTES", [b"", b"\x00\xff"]),
        ("BINARY(2)", [b"ab"]),
        ("DATE", [dt.date(1969, 12, 31), dt.date(2024, 2, 29)]),
        ("TIME", [dt.time(23, 59, 59)]),
        ("TIME(3)", [dt.time(1, 2, 3, 4000)]),
        ("TIMESTAMP(3)", [NOON]),
        ("TIMESTAMP", [NOON.replace(microsecond=123_456)]),
        ("TIMESTAMP_LTZ(3)", [UTC_NOON]),
        ("ARRAY<INT>", [[1, None, 2], []]),
        ("ARRAY<ARRAY<STRING>>", [[["a"], []]]),
        ("MAP<STRING, INT>", [{"a": 1, "b": None}, {}]),
        ("MAP<STRING, ARRAY<INT>>", [{"a": [1]}]),
        ("MULTISET<STRING>", [{"a": 2, "b": 1}]),
        ("ROW<a INT, b STRING>", [Row((1, "x")), Row((None, "y"))]),
        ("ARRAY<ROW<a INT, b ROW<c DOUBLE>>>", [[Row((1, Row((0.5,))))]]),
        ("MAP<STRING, ROW<a INT>>", [{"k": Row((1,))}]),
    ],
)
def test_a_value_comes_out_as_it_went_in(env: TableEnvironment, type_: str, values: list[Any]) -> None:
    found = copied(env, type_, *values, None)
    assert found == [*values, None]
    assert [type(v) for v in found[:-1]] == [type(v) for v in values]


def test_rows_inside_values_have_names(env: TableEnvironment) -> None:
    ((row,),) = [copied(env, "ARRAY<ROW<a INT, b STRING>>", [{"a": 1, "b": "x"}])[0]]
    assert (row.a, row.b, row.as_dict()) == (1, "x", {"a": 1, "b": "x"})


@pytest.mark.parametrize(
    ("type_", "given", "found"),
    [
        ("INT", np.int64(3), 3),
        ("BOOLEAN", np.bool_(True), True),
        ("DOUBLE", 3, 3.0),
        ("DOUBLE", Decimal("0.5"), 0.5),
        ("DECIMAL(10, 2)", 3, Decimal("3.00")),
        ("DECIMAL(10, 2)", "1.500", Decimal("1.50")),
        ("DECIMAL(10, 2)", 0.1, Decimal("0.10")),
        ("DECIMAL(3, 0)", Decimal("1E+2"), Decimal(100)),
        ("BYTES", bytearray(b"ab"), b"ab"),
        ("DATE", "2024-05-01", dt.date(2024, 5, 1)),
        ("TIME", "10:00", dt.time(10)),
        ("TIMESTAMP(3)", "2024-05-01 12:00:00.250", NOON),
        ("TIMESTAMP_LTZ(3)", NOON, UTC_NOON),
        ("TIMESTAMP_LTZ(3)", "2024-05-01T12:00:00.250Z", UTC_NOON),
        ("TIMESTAMP_LTZ(3)", UTC_NOON.astimezone(ROME), UTC_NOON),
        ("ARRAY<INT>", (1, 2), [1, 2]),
        ("ARRAY<INT>", np.array([1, 2]), [1, 2]),
        ("MAP<STRING, INT>", [("a", 1)], {"a": 1}),
        ("MULTISET<STRING>", ["a", "a"], {"a": 2}),
        ("ROW<a INT, b STRING>", (1, "x"), (1, "x")),
        ("ROW<a INT, b STRING>", {"b": "x", "a": 1}, (1, "x")),
    ],
)
def test_values_are_taken_in_several_forms(env: TableEnvironment, type_: str, given: Any, found: Any) -> None:
    assert copied(env, type_, given) == [found]


def test_not_a_number_is_a_double(env: TableEnvironment) -> None:
    nan, infinite = copied(env, "DOUBLE", math.nan, math.inf)
    assert math.isnan(nan)
    assert infinite == math.inf


def test_an_instant_without_a_zone_is_in_the_zone_of_the_session(env: TableEnvironment) -> None:
    env.execute_sql("SET 'table.local-time-zone' = 'Asia/Tokyo'")
    assert copied(env, "TIMESTAMP_LTZ(3)", NOON) == [UTC_NOON - dt.timedelta(hours=9)]


def test_maps_with_collections_as_keys_are_pairs(env: TableEnvironment) -> None:
    assert copied(env, "MAP<ARRAY<INT>, INT>", [([1], 2)]) == [[([1], 2)]]


@pytest.mark.parametrize(
    ("type_", "value", "message"),
    [
        ("INT", "x", "expected INT, found 'x' (str)"),
        ("INT", 1.0, "expected INT, found 1.0 (float)"),
        ("INT", True, "expected INT, found True (bool)"),
        ("INT", 2**31, "outside -2147483648 to 2147483647"),
        ("INT NOT NULL", None, "expected INT NOT NULL, found None"),
        ("DOUBLE", "1.5", "expected DOUBLE, found '1.5' (str)"),
        ("DECIMAL(4, 2)", Decimal("1.234"), "more digits than the type has"),
        ("DECIMAL(4, 2)", Decimal(123), "more digits than the type has"),
        ("DECIMAL(4, 2)", "x", "expected DECIMAL(4, 2), found 'x' (str)"),
        ("DECIMAL(4, 2)", math.nan, "expected DECIMAL(4, 2), found nan (float)"),
        ("STRING", 1, "expected STRING, found 1 (int)"),
        ("STRING", b"a", "expected STRING, found b'a' (bytes)"),
        ("BOOLEAN", 1, "expected BOOLEAN, found 1 (int)"),
        ("BYTES", "a", "expected BYTES, found 'a' (str)"),
        ("DATE", NOON, "expected DATE, found datetime.datetime"),
        ("TIME", "25:00", "expected TIME(0), found '25:00' (str)"),
        ("TIMESTAMP(3)", "soon", "expected TIMESTAMP(3), found 'soon' (str)"),
        ("TIMESTAMP(3)", UTC_NOON, "a TIMESTAMP has no zone"),
        ("TIMESTAMP(0)", NOON, "a finer time than the type holds"),
        ("TIMESTAMP(3)", 1000, "expected TIMESTAMP(3), found 1000 (int)"),
        ("ARRAY<INT>", "12", "expected ARRAY<INT>, found '12' (str)"),
        ("ARRAY<INT>", [1, "x"], "column 'v'[1]: expected INT, found 'x' (str)"),
        ("MAP<STRING, INT>", {"a": "b"}, "column 'v'['a']: expected INT, found 'b' (str)"),
        ("MAP<STRING, INT>", {None: 1}, "a key is NULL"),
        ("MAP<STRING, INT>", 3, "expected MAP<STRING, INT>, found 3 (int)"),
        ("ROW<a INT>", {"b": 1}, "field 'b' is unknown"),
        ("ROW<a INT, b INT>", {"b": 1}, "field 'a' is missing"),
        ("ROW<a INT>", (1, 2), "2 values for 1 fields"),
        ("ROW<a INT>", ("x",), "column 'v'.a: expected INT, found 'x' (str)"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    env: TableEnvironment, type_: str, value: Any, message: str
) -> None:
    good = {"INT NOT NULL": 1}.get(type_)
    with pytest.raises(ValidationError) as error:
        source_table(env, f"CREATE TABLE t (k INT, v {type_})", [("+I", 1, good), ("+I", 2, value)])
    assert message in error.value.message
    assert "table default_catalog.default_database.t, row 2 (rows[1]), column 'v'" in error.value.message
