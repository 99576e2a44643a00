"""The datagen connector: values of every type within their bounds, sequences, pace, and repeatable rows."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from streamsql.datatypes import (
    ARRAY,
    BIGINT,
    BINARY,
    BOOLEAN,
    BYTES,
    CHAR,
    DATE,
    DECIMAL,
    DOUBLE,
    FLOAT,
    INT,
    INTERVAL_MONTH,
    INTERVAL_SECOND,
    MAP,
    MULTISET,
    ROW,
    SMALLINT,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_LTZ,
    TINYINT,
    VARCHAR,
    DataType,
)
from streamsql.errors import ConfigError, UnsupportedError
from streamsql.runtime.connectors.datagen import DatagenSource

from .contexts import poll_one, read_all, rows_of, source_context, table

NOW = 1_700_000_000_000
MOMENT = datetime.fromtimestamp(NOW / 1000, UTC)


def source(columns: dict[str, DataType], /, **more: Any) -> DatagenSource:
    options = {"connector": "datagen", **more.pop("options", {})}
    kept = {k: more.pop(k) for k in ("positions", "columns", "batch_rows_max") if k in more}
    return DatagenSource(source_context(table(columns, options), now_ms=lambda: NOW, **kept), **more)


def values(kind: DataType, count: int = 500, **options: str) -> list[Any]:
    given = {f"fields.v.{k.replace('_', '-')}": v for k, v in options.items()}
    made = source({"v": kind}, options=given).make(0, count)
    assert made.schema.field("v").type == kind.arrow
    found: list[Any] = made.column(0).to_pylist()
    return found


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        (TINYINT(), -5, 5),
        (SMALLINT(), 0, 300),
        (INT(), -70_000, -1),
        (BIGINT(), 2**62, 2**63 - 1),
        (INT(), 3, 3),
    ],
)
def test_whole_numbers_lie_in_their_range(kind: DataType, low: int, high: int) -> None:
    found = values(kind, min=str(low), max=str(high))
    assert all(low <= v <= high for v in found)
    assert len(set(found)) > min(5, high - low)
    assert min(values(kind)) < -(2 ** (kind.arrow.bit_width - 3)) and max(values(kind)) > 2 ** (
        kind.arrow.bit_width - 3
    )


def test_other_numbers_lie_in_their_range() -> None:
    assert all(1 <= v <= 2 for v in values(DOUBLE(), min="1", max="2"))
    assert all(-0.5 <= v <= 0.5 for v in values(FLOAT(), min="-0.5", max="0.5"))
    money = values(DECIMAL(6, 2), min="9.99", max="10.01")
    assert set(money) == {Decimal("9.99"), Decimal("10.00"), Decimal("10.01")}
    wide = values(DECIMAL(38, 4))
    assert all(abs(v) < Decimal(10) ** 34 for v in wide) and len(set(wide)) == len(wide)


def test_texts_and_bytes() -> None:
    assert all(len(v) == 100 and set(v) <= set("0123456789abcdef") for v in values(STRING(), 20))
    assert {len(v) for v in values(STRING(), length="7")} == {7}
    assert {len(v) for v in values(STRING(), length="3", var_len="true")} == {1, 2, 3}
    assert {len(v) for v in values(VARCHAR(5))} == {5}
    assert {len(v) for v in values(CHAR(4))} == {4}
    assert {len(v) for v in values(BINARY(4))} == {4}
    assert {len(v) for v in values(BYTES(), length="0")} == {0}


def test_times_are_of_the_moment() -> None:
    assert set(values(DATE(), 3)) == {date(2023, 11, 14)}
    assert set(values(TIME(3), 3)) == {time(22, 13, 20)}
    assert set(values(TIMESTAMP(3), 3)) == {MOMENT.replace(tzinfo=None)}
    past = values(TIMESTAMP_LTZ(3), max_past="1 h")
    assert all(0 <= (MOMENT - v).total_seconds() <= 3600 for v in past)
    assert len(set(past)) > 100
    assert all(v.microsecond == 0 for v in values(TIMESTAMP(0), max_past="1 h"))


def test_nested_values() -> None:
    columns: dict[str, DataType] = {
        "a": ARRAY(INT()),
        "m": MAP(STRING(), ROW([("x", DOUBLE()), ("y", BOOLEAN())])),
        "s": MULTISET(STRING()),
        "r": ROW([("i", BIGINT()), ("t", ARRAY(STRING()))]),
    }
    options = {
        "fields.a.length": "2",
        "fields.a.element.min": "1",
        "fields.a.element.max": "3",
        "fields.m.key.length": "8",
        "fields.m.value.x.min": "0",
        "fields.m.value.x.max": "1",
        "fields.r.t.element.length": "1",
        "fields.r.t.var-len": "true",
    }
    rows = source(columns, options=options).make(0, 200).to_pylist()
    assert all(len(r["a"]) == 2 and set(r["a"]) <= {1, 2, 3} for r in rows)
    assert all(len(r["m"]) == 3 and all(len(k) == 8 and 0 <= v["x"] <= 1 for k, v in r["m"]) for r in rows)
    assert all(1 <= len(r["s"]) <= 3 and all(n == 1 for _, n in r["s"]) for r in rows)
    assert {len(r["r"]["t"]) for r in rows} == {0, 1, 2, 3}


def test_intervals() -> None:
    assert all(v.months <= 5 and v.days == 0 for v in values(INTERVAL_MONTH(), min="1", max="5"))
    assert all(v.days <= 1 for v in values(INTERVAL_SECOND(), min="0", max="100000000"))


def test_null_rate() -> None:
    share = values(INT(), 4000, null_rate="0.25").count(None) / 4000
    assert 0.2 < share < 0.3
    assert set(values(ARRAY(INT()), 10, null_rate="1.0")) == {None}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (INT(), [5, 6, 7]),
        (TINYINT(), [5, 6, 7]),
        (DOUBLE(), [5.0, 6.0, 7.0]),
        (STRING(), ["5", "6", "7"]),
        (BYTES(), [b"5", b"6", b"7"]),
        (DECIMAL(4, 2), [Decimal("5.00"), Decimal("6.00"), Decimal("7.00")]),
    ],
)
def test_a_sequence_ends_the_table(kind: DataType, expected: list[Any]) -> None:
    options = {"fields.v.kind": "sequence", "fields.v.start": "5", "fields.v.end": "7"}
    made = source({"v": kind, "r": INT()}, options=options)
    assert made.bounded
    batches = read_all(made)
    assert [r["v"] for r in rows_of(batches)] == expected
    assert batches[-1].positions == {"rows": "3"}


def test_number_of_rows_and_positions() -> None:
    options = {
        "number-of-rows": "5000",
        "fields.v.kind": "sequence",
        "fields.v.start": "0",
        "fields.v.end": "9999",
    }
    batches = read_all(source({"v": BIGINT()}, options=options), max_rows=300)
    assert [r["v"] for r in rows_of(batches)] == list(range(5000))
    assert all(b.batch is None or b.batch.num_rows <= 300 for b in batches)
    rest = read_all(source({"v": BIGINT()}, options=options, positions={"rows": "4990"}))
    assert [r["v"] for r in rows_of(rest)] == list(range(4990, 5000))
    ended = read_all(source({"v": BIGINT()}, options=options, positions={"rows": "5000"}))
    assert rows_of(ended) == []


def test_a_seed_makes_the_same_rows() -> None:
    columns: dict[str, DataType] = {"a": BIGINT(), "b": STRING(), "c": ARRAY(DOUBLE()), "d": BIGINT()}
    whole = source(columns, options={"seed": "7"}).make(0, 3000)
    again = source(columns, options={"seed": "7"})
    parts = [again.make(start, count) for start, count in ((0, 1), (1, 1500), (1501, 1499))]
    assert pa.Table.from_batches(parts).combine_chunks().to_batches()[0].equals(whole)
    assert source(columns, options={"seed": "7"}).make(2500, 5).equals(whole.slice(2500, 5))
    assert not source(columns, options={"seed": "8"}).make(0, 3000).equals(whole)
    assert whole.column(0).to_pylist() != whole.column(3).to_pylist()
    only = source(columns, options={"seed": "7"}, columns=["d"]).make(0, 10)
    assert only.column(0).to_pylist() == whole.column(3).to_pylist()[:10]


def test_the_pace_follows_the_clock() -> None:
    """A clock run by hand: in each tenth of a second a tenth of the rows."""
    clock = [0.0]
    waits: list[float] = []

    def sleep(seconds: float) -> bool:
        waits.append(seconds)
        clock[0] += seconds
        return False

    made = source(
        {"v": INT()},
        options={"rows-per-second": "1000", "number-of-rows": "1000"},
        sleep=sleep,
        clock=lambda: clock[0],
    )
    batches = read_all(made)
    sizes = [b.batch.num_rows for b in batches if b.batch is not None]
    assert sum(sizes) == 1000
    assert clock[0] == pytest.approx(0.9, abs=0.11)
    assert max(waits) <= 0.11


def test_it_waits_for_the_job() -> None:
    made = source({"v": INT()}, options={"rows-per-second": "100000000"})
    made.start()
    try:
        poll_one(made, 1000)
        for _ in range(200):
            if (made.lag() or 0) > 262_144:
                break
            made._closed.wait(0.005)
        assert (made.lag() or 0) <= 262_144 + 131_072 * 2
    finally:
        made.close()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"fields.w.min": "1"}, ConfigError, "found no such column"),
        ({"fields.v.min": "x"}, ConfigError, "found 'x', expected a number"),
        ({"fields.v.min": "128"}, ConfigError, "out of the column's range"),
        ({"fields.v.min": "5", "fields.v.max": "4"}, ConfigError, r"min' \(5\) is above max \(4\)"),
        ({"fields.v.kind": "sequence"}, ConfigError, "needs 'fields.v.start'"),
        ({"fields.v.kind": "sequence", "fields.v.start": "1", "fields.v.end": "0"}, ConfigError, "is before"),
        (
            {"fields.v.kind": "sequence", "fields.v.start": "a", "fields.v.end": "b"},
            ConfigError,
            "whole number",
        ),
        (
            {"fields.v.kind": "sequence", "fields.v.start": "1", "fields.v.end": "2", "fields.v.min": "1"},
            ConfigError,
            "'random'",
        ),
        ({"fields.v.start": "1"}, ConfigError, "belongs to kind 'sequence'"),
        ({"fields.v.length": "1"}, ConfigError, "no meaning for TINYINT"),
        ({"fields.v.null-rate": "2"}, ConfigError, "expected 0 to 1"),
        ({"rows-per-second": "0"}, ConfigError, "above 0"),
        ({"fields.s.length": "6"}, ConfigError, "the column holds 5"),
        (
            {"fields.t.kind": "sequence", "fields.t.start": "1", "fields.t.end": "2"},
            UnsupportedError,
            "cannot be of type TIMESTAMP",
        ),
        ({"fields.v.kind": "uniform"}, ConfigError, "random, sequence"),
        ({"scan.parallelism": "2"}, UnsupportedError, "one process"),
    ],
)
def test_options_that_are_refused(options: dict[str, str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        source({"v": TINYINT(), "s": VARCHAR(5), "t": TIMESTAMP(3)}, options=options)
