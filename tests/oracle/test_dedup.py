"""Deduplication: the first or last row of a key by event time or processing time, and within windows."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pyarrow as pa
import pytest

from streamsql.testing.compare import rows_of

from .data import EVENTS
from .run import in_duckdb, restarted, run_every_way, session, stream
from .tables import MILLIS, Input, at, table
from .test_ranks import HOP, TUMBLE, WINDOW, ranked
from .test_windows import windows

CASES = {
    "first": ("k, v, ts", "PARTITION BY k ORDER BY ts", "*"),
    "first, by two keys": ("k, b, v, s, ts", "PARTITION BY k, b ORDER BY ts ASC", "k, b, v, s"),
    "first, by an expression": ("k, v, ts", "PARTITION BY v > 2 ORDER BY ts", "k, v"),
    "last": ("k, v, d, s, ts", "PARTITION BY k ORDER BY ts DESC", "*"),
    "last, by two keys": ("k, b, v, s, ts", "PARTITION BY k, b ORDER BY ts DESC", "k, b, v, s"),
    "last, only the key": ("k, v, ts", "PARTITION BY k ORDER BY ts DESC", "k"),
}


@pytest.mark.parametrize(("columns", "over", "shown"), CASES.values(), ids=CASES)
def test_by_event_time(columns: str, over: str, shown: str) -> None:
    sql = ranked(columns, "ROW_NUMBER", over, "t", "rn = 1", shown=shown)
    run_every_way(sql, EVENTS, sql, shuffles=(1, 2, 3))


@pytest.mark.parametrize("step", [1, 4])
@pytest.mark.parametrize("name", ["first", "last, by two keys"])
def test_by_event_time_restarted(name: str, step: int) -> None:
    columns, over, shown = CASES[name]
    sql = ranked(columns, "ROW_NUMBER", over, "t", "rn = 1", shown=shown)
    assert sorted(restarted(sql, [EVENTS], step=step), key=repr) == sorted(stream(sql, [EVENTS]), key=repr)


TIED = Input(
    "t",
    table({"k": pa.string(), "v": pa.int32(), "ts": MILLIS}, ("a", 1, 5), ("a", 2, 5), ("a", 3, 4), ("b", 4, 1), ("b", 5, 1)),
    "ts",
    5,
)  # fmt: skip


@pytest.mark.parametrize(
    ("order", "expected"), [("ts", {("a", 3), ("b", 4)}), ("ts DESC", {("a", 2), ("b", 5)})]
)
def test_of_equal_times_the_later_arrival_is_later(order: str, expected: set[tuple[str, int]]) -> None:
    sql = ranked("k, v", "ROW_NUMBER", f"PARTITION BY k ORDER BY {order}", "t", "rn = 1", shown="k, v")
    assert set(run_every_way(sql, TIED, shuffles=())) == expected


@pytest.mark.parametrize("step", [1, 7, 100])
def test_by_processing_time(step: int) -> None:
    view = "CREATE VIEW tp AS SELECT *, PROCTIME() AS pt FROM t"
    for order, pick in (("pt", "min"), ("pt DESC", "max")):
        sql = ranked(
            "k, v, s", "ROW_NUMBER", f"PARTITION BY k ORDER BY {order}", "tp", "rn = 1", shown="k, v, s"
        )
        plain = f"SELECT k, v, s FROM t_o WHERE o IN (SELECT {pick}(o) FROM t_o GROUP BY k)"
        found = stream(sql, [EVENTS], step=step, setup=[view])
        assert sorted(found, key=repr) == sorted(in_duckdb(plain, [EVENTS]), key=repr)


@pytest.mark.parametrize("order", ["ts", "pt"])
def test_the_first_is_only_inserted(order: str) -> None:
    view = "CREATE VIEW tp AS SELECT *, PROCTIME() AS pt FROM t"
    sql = ranked("k, v", "ROW_NUMBER", f"PARTITION BY k ORDER BY {order}", "tp", "rn = 1", shown="k, v")
    with session([EVENTS], step=1, setup=[view]) as env:
        result = env.execute_sql(sql)
        assert result.insert_only
        assert {row.kind.short for row in result.collect()} == {"+I"}


def test_late_rows_cannot_be_first() -> None:
    rows = table(
        {"k": pa.string(), "v": pa.int32(), "ts": MILLIS},
        ("a", 1, 10),
        ("b", 2, 11),
        ("a", 3, 2),
        ("c", 4, 3),
        ("c", 5, None),
        ("c", 6, 30),
    )
    sql = ranked("k, v", "ROW_NUMBER", "PARTITION BY k ORDER BY ts", "t", "rn = 1", shown="k, v")
    with session([Input("t", rows, "ts")], step=1) as env:
        result = env.execute_sql(sql)
        assert sorted(rows_of(result.to_arrow())) == [("a", 1), ("b", 2), ("c", 6)]
        assert result.job is not None
        counts = result.job.metrics().operators["Deduplicate"]
    assert (counts["numLateRecordsDropped"], counts["numNullTimeDropped"]) == (2, 1)


def test_a_timeless_row_is_the_earliest_of_the_last() -> None:
    rows = table(
        {"k": pa.string(), "v": pa.int32(), "ts": MILLIS},
        ("a", 1, None),
        ("b", 2, 5),
        ("b", 3, None),
        ("a", 4, -5),
    )
    sql = ranked("k, v, ts", "ROW_NUMBER", "PARTITION BY k ORDER BY ts DESC", "t", "rn = 1", shown="k, v, ts")
    assert set(run_every_way(sql, Input("t", rows, "ts"), sql, shuffles=())) == {
        ("a", 4, at(-5)),
        ("b", 2, at(5)),
    }


WINDOWS = {
    "first": (TUMBLE, "ts", windows("HOP", 10, 10)),
    "last": (TUMBLE, "ts DESC", windows("HOP", 10, 10)),
    "last of a hop": (HOP, "ts DESC", windows("HOP", 5, 15)),
}


@pytest.mark.parametrize(("source", "order", "plain"), WINDOWS.values(), ids=WINDOWS)
def test_within_windows(source: str, order: str, plain: str) -> None:
    sql = ranked(
        f"{WINDOW}, k, v, ts", "ROW_NUMBER", f"PARTITION BY {WINDOW}, k ORDER BY {order}", source, "rn = 1"
    )
    simple = ranked(
        "ws, we, k, v, ts", "ROW_NUMBER", f"PARTITION BY ws, we, k ORDER BY {order}", plain, "rn = 1"
    )
    run_every_way(sql, EVENTS, simple, shuffles=(1, 2))
