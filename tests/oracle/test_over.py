"""OVER aggregates: by event time, by other orders, over changelogs, with every kind of frame, against plain DuckDB."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pyarrow as pa
import pytest

from streamsql.testing.compare import rows_of

from .data import CHANGES, EMPTY, EVENTS, OTHER, UPSERTS
from .run import in_duckdb, restarted, run_every_way, session, stream
from .tables import MILLIS, Input, at, table

K = "PARTITION BY k ORDER BY ts"
RANGE = "RANGE BETWEEN INTERVAL '5' SECOND PRECEDING AND CURRENT ROW"
ROWS = "ROWS BETWEEN 2 PRECEDING AND CURRENT ROW"

# DuckDB reads these too; in ORDER BY ts it takes NULLs and equal times as the planner does.
BY_TIME = {
    "running": f"SUM(v) OVER ({K}) AS a, COUNT(*) OVER ({K}) AS b, COUNT(v) OVER ({K}) AS c, MIN(x) OVER ({K}) AS d, MAX(s) OVER ({K}) AS e",
    "running over everything": "SUM(big) OVER (ORDER BY ts) AS a, COUNT(*) OVER (ORDER BY ts) AS b",
    "range": f"SUM(v) OVER ({K} {RANGE}) AS a, COUNT(*) OVER ({K} {RANGE}) AS b, MAX(d) OVER ({K} {RANGE}) AS c",
    "range over everything": f"COUNT(*) OVER (ORDER BY ts {RANGE}) AS a, MIN(v) OVER (ORDER BY ts {RANGE}) AS b",
    "the whole past by rows": f"SUM(v) OVER ({K}, v, big RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS a",
    "range of equal times": f"COUNT(*) OVER ({K} RANGE BETWEEN CURRENT ROW AND CURRENT ROW) AS a",
    "two ranges": f"COUNT(*) OVER ({K} {RANGE}) AS a, COUNT(*) OVER ({K} {RANGE.replace('5', '30')}) AS b, SUM(v) OVER ({K}) AS c",
    "two partitions": f"COUNT(*) OVER ({K}) AS a, COUNT(*) OVER (PARTITION BY b ORDER BY ts) AS c, SUM(v) OVER (PARTITION BY k, b ORDER BY ts {RANGE}) AS d",
    "filters": f"SUM(v) FILTER (WHERE b) OVER ({K}) AS a, COUNT(*) FILTER (WHERE v > 1) OVER ({K} {RANGE}) AS c",
    "distinct": f"COUNT(DISTINCT v) OVER ({K}) AS a",
    "ranks": f"RANK() OVER ({K}) AS a, DENSE_RANK() OVER ({K}) AS b",
    "expressions": f"SUM(v + 1) OVER (PARTITION BY COALESCE(k, 'none') ORDER BY ts) * 2 AS a, COUNT(*) OVER (PARTITION BY v > 1 ORDER BY ts {RANGE}) AS b",
}  # fmt: skip


@pytest.mark.parametrize("calls", BY_TIME.values(), ids=BY_TIME)
def test_by_event_time(calls: str) -> None:
    sql = f"SELECT k, v, ts, {calls} FROM t"
    run_every_way(sql, EVENTS, sql.replace("ORDER BY ts, v", "ORDER BY ts, v NULLS FIRST"), shuffles=(1, 2))


# Where rows with one time are told apart, the order of arrival decides.
BY_PLACE = {
    "rows": (f"SUM(v) OVER ({K} {ROWS}) AS a, COUNT(*) OVER ({K} {ROWS}) AS b", f"sum(v) OVER ({K}, o {ROWS}), count(*) OVER ({K}, o {ROWS})"),
    "rows from the start": (f"SUM(v) OVER ({K} ROWS UNBOUNDED PRECEDING) AS a, ROW_NUMBER() OVER ({K}) AS b", f"sum(v) OVER ({K}, o ROWS UNBOUNDED PRECEDING), row_number() OVER ({K}, o)"),
    "this row": (f"MAX(v) OVER ({K} ROWS BETWEEN CURRENT ROW AND CURRENT ROW) AS a", "v"),
    "lag": (f"LAG(v) OVER ({K}) AS a, LAG(s, 3, 'none') OVER ({K}) AS b", f"lag(v) OVER ({K}, o), lag(s, 3, 'none') OVER ({K}, o)"),
    "first and last": (f"FIRST_VALUE(v) OVER ({K} {ROWS}) AS a, LAST_VALUE(s) OVER ({K} {ROWS}) AS b", f"first_value(v IGNORE NULLS) OVER ({K}, o {ROWS}), last_value(s IGNORE NULLS) OVER ({K}, o {ROWS})"),
    "rows and a range": (f"SUM(v) OVER ({K} {ROWS}) AS a, COUNT(*) OVER ({K} {RANGE}) AS b, LAG(v) OVER ({K}) AS c", f"sum(v) OVER ({K}, o {ROWS}), count(*) OVER ({K} {RANGE}), lag(v) OVER ({K}, o)"),
    "average": (f"AVG(x) OVER ({K} {ROWS}) AS a, AVG(v) OVER ({K}) AS b", f"avg(x) OVER ({K}, o {ROWS}), (sum(v) OVER ({K}) / count(v) OVER ({K}))::INT"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("calls", "plain"),
    [v for k, v in BY_PLACE.items() if k != "average"],
    ids=[k for k in BY_PLACE if k != "average"],
)
def test_by_place(calls: str, plain: str) -> None:
    run_every_way(f"SELECT k, v, {calls} FROM t", EVENTS, f"SELECT k, v, {plain} FROM t_o", shuffles=(1, 2))


def test_averages() -> None:
    run_every_way(f"SELECT k, {BY_PLACE['average'][0]} FROM t", EVENTS, shuffles=(1,))


@pytest.mark.parametrize("step", [1, 4])
@pytest.mark.parametrize(
    "calls", [BY_TIME["running"], BY_TIME["two ranges"], BY_PLACE["rows and a range"][0], BY_PLACE["lag"][0]]
)
def test_by_time_restarted(calls: str, step: int) -> None:
    sql = f"SELECT k, v, {calls} FROM t"
    assert sorted(restarted(sql, [EVENTS], step=step), key=repr) == sorted(stream(sql, [EVENTS]), key=repr)


def test_rows_come_once_and_in_order() -> None:
    sql = f"SELECT ts, COUNT(*) OVER (ORDER BY ts {RANGE}) AS n FROM t"
    for step in (1, 7):
        with session([EVENTS.shuffled(4)], step=step) as env:
            result = env.execute_sql(sql)
            assert result.insert_only
            rows = list(result.collect())
        assert {r.kind.short for r in rows} == {"+I"}
        assert [r[0] for r in rows] == sorted(r[0] for r in rows)


OTHERS = {
    "another order": ("SUM(v) OVER (PARTITION BY k ORDER BY v, big, ts) AS a, RANK() OVER (PARTITION BY k ORDER BY v) AS b", "sum(v) OVER (PARTITION BY k ORDER BY v NULLS FIRST, big NULLS FIRST, ts), rank() OVER (PARTITION BY k ORDER BY v NULLS FIRST)"),
    "descending": ("COUNT(*) OVER (PARTITION BY k ORDER BY ts DESC) AS a, MAX(v) OVER (ORDER BY v DESC) AS b", None),
    "no order": ("SUM(v) OVER (PARTITION BY k) AS a, COUNT(*) OVER () AS b", None),
    "rows after": ("SUM(v) OVER (PARTITION BY k ORDER BY ts, v, big ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS a, LEAD(v) OVER (PARTITION BY k ORDER BY ts, v, big) AS b", None),
    "range after": ("COUNT(*) OVER (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL '3' SECOND PRECEDING AND INTERVAL '3' SECOND FOLLOWING) AS a", None),
    "shares": ("NTILE(3) OVER (ORDER BY v, big, ts) AS a, PERCENT_RANK() OVER (ORDER BY v) AS b, CUME_DIST() OVER (PARTITION BY k ORDER BY v) AS c", None),
    "by time and otherwise": (f"COUNT(*) OVER ({K}) AS a, COUNT(*) OVER (PARTITION BY k) AS b, RANK() OVER (ORDER BY big) AS c", None),
}  # fmt: skip


@pytest.mark.parametrize(("calls", "plain"), OTHERS.values(), ids=OTHERS)
def test_other_orders(calls: str, plain: str | None) -> None:
    run_every_way(
        f"SELECT k, v, {calls} FROM t",
        EVENTS,
        None if plain is None else f"SELECT k, v, {plain} FROM t_o",
        shuffles=(1,),
    )


UPDATED = {
    "aggregates": (CHANGES, "SELECT k, v, SUM(v) OVER (PARTITION BY k) AS a, COUNT(*) OVER (PARTITION BY g) AS b FROM c"),
    "order": (CHANGES, "SELECT k, v, g, SUM(v) OVER (PARTITION BY k ORDER BY v, x, g) AS a, RANK() OVER (ORDER BY v) AS b FROM c"),
    "lag": (CHANGES, "SELECT k, v, g, LAG(v) OVER (PARTITION BY g ORDER BY v, k, x) AS a, LEAD(k) OVER (ORDER BY v, k, x) AS b FROM c"),
    "upserts": (UPSERTS, "SELECT id, k, v, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v, id) AS a, SUM(v) OVER (PARTITION BY k) AS b FROM p"),
    "only a value": (UPSERTS, "SELECT id, MAX(v) OVER (PARTITION BY k) AS a FROM p"),
    "groups": (CHANGES, "SELECT k, n, SUM(n) OVER (ORDER BY n, k) AS a FROM (SELECT k, COUNT(*) AS n FROM c GROUP BY k)"),
    "of aggregates": (CHANGES, "SELECT k, COUNT(*) AS n, RANK() OVER (ORDER BY COUNT(*) DESC, k) AS a, SUM(SUM(v)) OVER () AS b FROM c GROUP BY k"),
    "grouped again": (CHANGES, "SELECT a, COUNT(*) AS n FROM (SELECT RANK() OVER (PARTITION BY k ORDER BY v) AS a FROM c) GROUP BY a"),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "sql"), UPDATED.values(), ids=UPDATED)
def test_over_a_changelog(rows: Input, sql: str) -> None:
    run_every_way(sql, rows, sql)


@pytest.mark.parametrize("name", ["order", "upserts"])
def test_over_a_changelog_restarted(name: str) -> None:
    rows, sql = UPDATED[name]
    assert sorted(restarted(sql, [rows], step=2), key=repr) == sorted(in_duckdb(sql, [rows]), key=repr)


PROCESSING = {
    "running": ("SUM(v) OVER (PARTITION BY k ORDER BY pt) AS a, COUNT(*) OVER (ORDER BY pt) AS b", "sum(v) OVER (PARTITION BY k ORDER BY o), count(*) OVER (ORDER BY o)"),
    "rows": (f"SUM(v) OVER (PARTITION BY k ORDER BY pt {ROWS}) AS a", f"sum(v) OVER (PARTITION BY k ORDER BY o {ROWS})"),
    "lag": ("LAG(v) OVER (PARTITION BY k ORDER BY pt) AS a, ROW_NUMBER() OVER (PARTITION BY k ORDER BY pt) AS b", "lag(v) OVER (PARTITION BY k ORDER BY o), row_number() OVER (PARTITION BY k ORDER BY o)"),
    "a range longer than the test": ("COUNT(*) OVER (PARTITION BY k ORDER BY pt RANGE BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW) AS a", "count(*) OVER (PARTITION BY k ORDER BY o)"),
}  # fmt: skip


@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize(("calls", "plain"), PROCESSING.values(), ids=PROCESSING)
def test_by_processing_time(calls: str, plain: str, step: int) -> None:
    if step > 1 and "INTERVAL" in calls:
        pytest.skip("rows of one step have one time")
    view = "CREATE VIEW tp AS SELECT *, PROCTIME() AS pt FROM t"
    found = stream(f"SELECT k, v, {calls} FROM tp", [EVENTS], step=step, setup=[view])
    assert sorted(found, key=repr) == sorted(in_duckdb(f"SELECT k, v, {plain} FROM t_o", [EVENTS]), key=repr)


def test_late_and_timeless_rows_are_left_out() -> None:
    rows = table({"v": pa.int32(), "ts": MILLIS}, (1, 10), (2, 5), (3, None), (4, 11), (5, 10))
    with session([Input("t", rows, "ts")], step=1) as env:
        result = env.execute_sql("SELECT v, ts, SUM(v) OVER (ORDER BY ts) AS s FROM t")
        assert rows_of(result.to_arrow()) == [(1, at(10), 1), (4, at(11), 5)]
        assert result.job is not None
        counts = result.job.metrics().operators["OverAggregate"]
    assert (counts["numLateRecordsDropped"], counts["numNullTimeDropped"]) == (2, 1)


def test_over_nothing_and_over_a_union() -> None:
    assert run_every_way(f"SELECT k, SUM(v) OVER ({K}) AS a FROM t", EMPTY, steps=(7,)) == []
    both = "SELECT k, v, ts FROM t UNION ALL SELECT k, v, ts FROM u"
    run_every_way(
        f"SELECT k, v, SUM(v) OVER ({K}) AS a FROM (SELECT k, v, ts FROM ({both}))",
        [EVENTS, OTHER],
        f"SELECT k, v, sum(v) OVER ({K}) FROM ({both})",
    )
