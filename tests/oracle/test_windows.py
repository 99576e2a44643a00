"""TUMBLE, HOP, CUMULATE and SESSION: alone and aggregated, filtered, in views, cascaded, over changelogs."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pyarrow as pa
import pytest

from streamsql.errors import ValidationError

from .data import CHANGES, EMPTY, EVENTS, OTHER
from .run import run_every_way, session
from .tables import MILLIS, RETRACT, Input, at, table

BUCKET = "time_bucket(INTERVAL '10 seconds', ts, TIMESTAMP '2024-01-01')"
"""DuckDB's own window arithmetic."""

TUMBLE = "TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))"
HOP = "TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND))"
CUMULATE = "TABLE(CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '20' SECOND))"
SESSION = "TABLE(SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '4' SECOND))"
GLOBAL_SESSION = "TABLE(SESSION(TABLE t, DESCRIPTOR(ts), INTERVAL '4' SECOND))"


def windows(kind: str, seconds: int, size: int, offset: float = 0) -> str:
    """FROM of a plain query: rows of ``t`` joined with the windows (ws, we) they are in."""
    start = f"TIMESTAMP '2024-01-01' + to_milliseconds({int(offset * 1000)})"
    grid = f"SELECT {start} + to_seconds(n * {seconds}) AS g FROM range(-100, 100) AS r(n)"
    if kind == "HOP":
        made = f"SELECT g AS ws, g + to_seconds({size}) AS we FROM ({grid})"
    else:
        aligned = f"SELECT {start} + to_seconds(n * {size}) AS g FROM range(-50, 50) AS r(n)"
        made = f"SELECT g AS ws, g + to_seconds(m * {seconds}) AS we FROM ({aligned}), range(1, {size // seconds + 1}) AS q(m)"
    return f"t_o JOIN ({made}) ON ts >= ws AND ts < we"


def sessions(partition: str, gap_s: int, source: str = "t_o") -> str:
    """A plain sub-query: rows with the session (ws, we) they are in, by a recursive merge of gaps."""
    by = f"PARTITION BY {partition}" if partition else ""
    marked = f"SELECT *, ts - lag(ts) OVER ({by} ORDER BY ts, o) > to_seconds({gap_s}) AS fresh FROM {source} WHERE ts IS NOT NULL"
    numbered = f"SELECT *, sum(coalesce(fresh, TRUE)::INT) OVER ({by} ORDER BY ts, o) AS n FROM ({marked})"
    inside = ", ".join(x for x in (partition, "n") if x)
    return (
        f"(SELECT *, min(ts) OVER (PARTITION BY {inside}) AS ws, "
        f"max(ts) OVER (PARTITION BY {inside}) + to_seconds({gap_s}) AS we FROM ({numbered}))"
    )


MS = "INTERVAL '1 millisecond'"

CASES = {
    "tumble alone": (
        f"SELECT * FROM {TUMBLE}",
        f"SELECT k, v, big, x, d, s, b, ts, {BUCKET}, {BUCKET} + INTERVAL '10 seconds', {BUCKET} + INTERVAL '9.999 seconds' FROM t",
    ),
    "hop alone": (
        f"SELECT k, v, window_start, window_end, window_time FROM {HOP}",
        f"SELECT k, v, ws, we, we - {MS} FROM {windows('HOP', 5, 15)}",
    ),
    "cumulate alone": (
        f"SELECT k, v, window_start, window_end FROM {CUMULATE}",
        f"SELECT k, v, ws, we FROM {windows('CUMULATE', 5, 20)}",
    ),
    "session alone": (
        f"SELECT k, v, ts, window_start, window_end, window_time FROM {SESSION}",
        f"SELECT k, v, ts, ws, we, we - {MS} FROM {sessions('k', 4)}",
    ),
    "session of everything": (
        f"SELECT v, window_start, window_end FROM {GLOBAL_SESSION}",
        f"SELECT v, ws, we FROM {sessions('', 4)}",
    ),
    "tumble": (
        f"SELECT window_start, window_end, k, COUNT(*) AS c, SUM(v) AS s FROM {TUMBLE} GROUP BY window_start, window_end, k",
        f"SELECT {BUCKET}, {BUCKET} + INTERVAL '10 seconds', k, count(*), sum(v) FROM t GROUP BY ALL",
    ),
    "tumble without keys": (
        f"SELECT window_end, AVG(x) AS a, MIN(s) AS m, MAX(ts) AS l FROM {TUMBLE} GROUP BY window_end, window_start",
        f"SELECT {BUCKET} + INTERVAL '10 seconds' AS e, avg(x), min(s), max(ts) FROM t GROUP BY ALL",
    ),
    "tumble with window_time": (
        f"SELECT window_time, k, COUNT(v) AS c FROM {TUMBLE} GROUP BY k, window_start, window_end, window_time",
        f"SELECT {BUCKET} + INTERVAL '9.999 seconds' AS e, k, count(v) FROM t GROUP BY ALL",
    ),
    "tumble with offset": (
        "SELECT window_start, k, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '3' SECOND)) GROUP BY window_start, window_end, k",
        f"SELECT ws, k, count(*) FROM {windows('HOP', 10, 10, 3)} GROUP BY ALL",
    ),
    "tumble with negative offset": (
        "SELECT window_start, k, COUNT(*) AS c FROM TABLE(TUMBLE(DATA => TABLE t, TIMECOL => DESCRIPTOR(ts), SIZE => INTERVAL '10' SECOND, `OFFSET` => INTERVAL '-2.5' SECOND)) GROUP BY window_start, window_end, k",
        f"SELECT ws, k, count(*) FROM {windows('HOP', 10, 10, -2.5)} GROUP BY ALL",
    ),
    "hop": (
        f"SELECT window_start, window_end, k, COUNT(*) AS c, SUM(d) AS s, MAX(v) AS m FROM {HOP} GROUP BY window_start, window_end, k",
        f"SELECT ws, we, k, count(*), sum(d), max(v) FROM {windows('HOP', 5, 15)} GROUP BY ALL",
    ),
    "hop with offset": (
        "SELECT window_start, window_end, COUNT(*) AS c, SUM(v) AS s FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '6' SECOND, INTERVAL '1' SECOND)) GROUP BY window_start, window_end",
        f"SELECT ws, we, count(*), sum(v) FROM {windows('HOP', 2, 6, 1)} GROUP BY ALL",
    ),
    "hop distinct": (
        f"SELECT window_end, COUNT(DISTINCT k) AS c, SUM(DISTINCT v) AS s, LISTAGG(s) AS l FROM {HOP} GROUP BY window_start, window_end",
        f"SELECT we, count(DISTINCT k), sum(DISTINCT v), string_agg(s, ',' ORDER BY o) FROM {windows('HOP', 5, 15)} GROUP BY ws, we",
    ),
    "cumulate": (
        f"SELECT window_start, window_end, k, COUNT(*) AS c, MIN(x) AS m FROM {CUMULATE} GROUP BY window_start, window_end, k",
        f"SELECT ws, we, k, count(*), min(x) FROM {windows('CUMULATE', 5, 20)} GROUP BY ALL",
    ),
    "cumulate with offset": (
        "SELECT window_start, window_end, SUM(v) AS s, COUNT(*) AS c FROM TABLE(CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '20' SECOND, INTERVAL '7' SECOND)) GROUP BY window_start, window_end",
        f"SELECT ws, we, sum(v), count(*) FROM {windows('CUMULATE', 5, 20, 7)} GROUP BY ALL",
    ),
    "session": (
        f"SELECT window_start, window_end, k, COUNT(*) AS c, SUM(v) AS s FROM {SESSION} GROUP BY window_start, window_end, k",
        f"SELECT ws, we, k, count(*), sum(v) FROM {sessions('k', 4)} GROUP BY ALL",
    ),
    "session of everything aggregated": (
        f"SELECT window_start, window_end, window_time, COUNT(*) AS c, LAST_VALUE(v) AS l FROM {GLOBAL_SESSION} GROUP BY window_start, window_end, window_time",
        f"SELECT ws, we, we - {MS}, count(*), arg_max(v, o) FROM {sessions('', 4)} GROUP BY ALL",
    ),
    "session grouped within": (
        f"SELECT window_start, b, COUNT(*) AS c FROM {GLOBAL_SESSION} GROUP BY window_start, window_end, b",
        f"SELECT ws, b, count(*) FROM {sessions('', 4)} GROUP BY ws, we, b",
    ),
    "first and last": (
        f"SELECT window_start, k, FIRST_VALUE(v) AS f, LAST_VALUE(s) AS l, FIRST_VALUE(d) AS g FROM {HOP} GROUP BY window_start, window_end, k",
        f"SELECT ws, k, arg_min(v, o), arg_max(s, o), arg_min(d, o) FROM {windows('HOP', 5, 15)} GROUP BY ws, we, k",
    ),
    "filter below": (
        f"SELECT window_start, COUNT(*) AS c FROM {TUMBLE} WHERE v > 1 GROUP BY window_start, window_end",
        f"SELECT {BUCKET}, count(*) FROM t WHERE v > 1 GROUP BY ALL",
    ),
    "filter in the window's input": (
        "SELECT window_start, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE (SELECT * FROM t WHERE v > 1), DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end",
        f"SELECT {BUCKET}, count(*) FROM t WHERE v > 1 GROUP BY ALL",
    ),
    "filter above": (
        f"SELECT * FROM (SELECT window_start, k, SUM(v) AS s FROM {TUMBLE} GROUP BY window_start, window_end, k) WHERE s > 3",
        f"SELECT * FROM (SELECT {BUCKET} AS e, k, sum(v) AS s FROM t GROUP BY ALL) WHERE s > 3",
    ),
    "having": (
        f"SELECT window_start, k FROM {TUMBLE} GROUP BY window_start, window_end, k HAVING COUNT(*) > 1 AND MAX(v) < 50",
        f"SELECT {BUCKET} AS e, k FROM t GROUP BY ALL HAVING count(*) > 1 AND max(v) < 50",
    ),
    "filter on the window": (
        f"SELECT window_start, COUNT(*) AS c FROM {HOP} WHERE window_start >= TIMESTAMP '2024-01-01 00:00:05' AND ts < window_end - INTERVAL '1' SECOND GROUP BY window_start, window_end",
        f"SELECT ws, count(*) FROM {windows('HOP', 5, 15)} WHERE ws >= TIMESTAMP '2024-01-01 00:00:05' AND ts < we - INTERVAL 1 SECOND GROUP BY ws, we",
    ),
    "expression of the window": (
        f"SELECT window_start, SUM(v) FILTER (WHERE ts < window_start + INTERVAL '5' SECOND) AS early FROM {TUMBLE} GROUP BY window_start, window_end",
        f"SELECT {BUCKET} AS e, sum(CASE WHEN ts < {BUCKET} + INTERVAL 5 SECOND THEN v END) FROM t GROUP BY e",
    ),
    "group by a computed key": (
        f"SELECT window_start, v > 3 AS high, COUNT(*) AS c FROM {TUMBLE} GROUP BY window_start, window_end, v > 3",
        f"SELECT {BUCKET} AS e, v > 3 AS h, count(*) FROM t GROUP BY ALL",
    ),
    "only the window's start in GROUP BY": (
        f"SELECT window_start, COUNT(*) AS c FROM {TUMBLE} GROUP BY window_start",
        f"SELECT {BUCKET}, count(*) FROM t GROUP BY ALL",
    ),
    "aggregate over sessions that were not grouped": (
        f"SELECT k, COUNT(*) AS c, MAX(window_end) AS e FROM {SESSION} GROUP BY k",
        f"SELECT k, count(*), max(we) FROM {sessions('k', 4)} GROUP BY k",
    ),
    "session rows grouped again by their window": (
        f"SELECT window_start, window_end, k, c FROM (SELECT window_start, window_end, k, COUNT(*) AS c FROM (SELECT * FROM {SESSION} WHERE v > 1) GROUP BY window_start, window_end, k)",
        f"SELECT ws, we, k, count(*) FROM {sessions('k', 4)} WHERE v > 1 GROUP BY ALL",
    ),
    "session filtered by its key": (
        f"SELECT window_start, k, COUNT(*) AS c FROM {SESSION} WHERE k <> 'a' GROUP BY window_start, window_end, k",
        f"SELECT ws, k, count(*) FROM {sessions('k', 4)} WHERE k <> 'a' GROUP BY ALL",
    ),
    "window over a window's rows": (
        f"SELECT window_start, window_end, COUNT(*) AS c, SUM(s) AS s FROM (SELECT window_start, window_end, k, SUM(v) AS s FROM {TUMBLE} GROUP BY window_start, window_end, k) GROUP BY window_start, window_end",
        f"SELECT e, e + INTERVAL 10 SECOND, count(*), sum(s) FROM (SELECT {BUCKET} AS e, k, sum(v) AS s FROM t GROUP BY ALL) GROUP BY e",
    ),
    "window over a hop's rows": (
        f"SELECT window_end, MAX(c) AS m, COUNT(*) AS n FROM (SELECT window_start, window_end, k, COUNT(*) AS c FROM {HOP} GROUP BY window_start, window_end, k) GROUP BY window_start, window_end",
        f"SELECT we, max(c), count(*) FROM (SELECT ws, we, k, count(*) AS c FROM {windows('HOP', 5, 15)} GROUP BY ALL) GROUP BY ws, we",
    ),
    "cascade by window_time": (
        f"SELECT window_start, window_end, SUM(c) AS c, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE (SELECT window_time AS wt, k, COUNT(*) AS c FROM {TUMBLE} GROUP BY window_start, window_end, window_time, k), DESCRIPTOR(wt), INTERVAL '30' SECOND)) GROUP BY window_start, window_end",
        "SELECT time_bucket(INTERVAL '30 seconds', ts, TIMESTAMP '2024-01-01') AS g, g + INTERVAL 30 SECOND, count(*), count(DISTINCT (coalesce(k, '?'), date_trunc('second', ts) - to_seconds(date_part('second', ts)::INT % 10))) FROM t WHERE ts IS NOT NULL GROUP BY g",
    ),
    "group by over windows": (
        f"SELECT k, MAX(c) AS m, COUNT(*) AS n FROM (SELECT window_start, window_end, k, COUNT(*) AS c FROM {TUMBLE} GROUP BY window_start, window_end, k) GROUP BY k",
        f"SELECT k, max(c), count(*) FROM (SELECT {BUCKET} AS e, k, count(*) AS c FROM t GROUP BY ALL) GROUP BY k",
    ),
    "union of windows": (
        f"SELECT window_start, k FROM {TUMBLE} UNION ALL SELECT window_end, 'h' FROM {HOP} WHERE v = 2",
        f"SELECT {BUCKET}, k FROM t UNION ALL SELECT we, 'h' FROM {windows('HOP', 5, 15)} WHERE v = 2",
    ),
    "select distinct": (
        f"SELECT DISTINCT window_start, window_end, b FROM {HOP}",
        f"SELECT DISTINCT ws, we, b FROM {windows('HOP', 5, 15)}",
    ),
    "no aggregate": (
        f"SELECT k, window_start FROM {TUMBLE} GROUP BY window_start, window_end, k",
        f"SELECT DISTINCT k, {BUCKET} FROM t",
    ),
    "every row filtered": (
        f"SELECT window_start, COUNT(*) AS c FROM {TUMBLE} WHERE v > 1000 GROUP BY window_start, window_end",
        "SELECT ts, 1 FROM t WHERE FALSE",
    ),
}


@pytest.mark.parametrize(("sql", "plain"), CASES.values(), ids=CASES)
def test_window(sql: str, plain: str) -> None:
    run_every_way(sql, EVENTS, plain)


@pytest.mark.parametrize("window", [TUMBLE, HOP, CUMULATE, SESSION])
def test_no_rows(window: str) -> None:
    sql = f"SELECT window_start, COUNT(*) AS c FROM {window} GROUP BY window_start, window_end"
    assert run_every_way(sql, EMPTY, "SELECT ts, 1 FROM t WHERE FALSE", steps=(7,)) == []


def test_windows_of_a_union_wait_for_both() -> None:
    both = "SELECT k, v, ts FROM t UNION ALL SELECT k, v, ts FROM u"
    setup = [f"CREATE VIEW tu AS {both}"]
    run_every_way(
        "SELECT window_start, k, COUNT(*) AS c, SUM(v) AS s FROM TABLE(TUMBLE(TABLE tu, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k",
        [EVENTS, OTHER],
        f"SELECT {BUCKET} AS e, k, count(*), sum(v) FROM ({both}) GROUP BY ALL",
        setup=setup,
    )


def test_windows_of_one_table_twice() -> None:
    sides = [f"SELECT k, window_start, window_end FROM {w}" for w in (TUMBLE, TUMBLE.replace("10", "20"))]
    run_every_way(
        f"SELECT window_end, COUNT(*) AS c FROM ({sides[0]} UNION ALL {sides[1]}) GROUP BY window_start, window_end",
        EVENTS,
        f"SELECT we, count(*) FROM (SELECT ws, we FROM {windows('HOP', 10, 10)} UNION ALL SELECT ws, we FROM {windows('HOP', 20, 20)}) GROUP BY ws, we",
    )


VIEWS = [
    "CREATE VIEW recent AS SELECT k, v * 2 AS w, ts FROM t WHERE v IS NOT NULL",
    "CREATE VIEW per AS SELECT window_start, window_end, window_time, k, SUM(w) AS s FROM TABLE(TUMBLE(TABLE recent, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, window_time, k",
]


def test_windows_over_views() -> None:
    run_every_way(
        "SELECT window_start, SUM(s) AS s, COUNT(*) AS c FROM TABLE(HOP(TABLE (SELECT window_time AS wt, s FROM per), DESCRIPTOR(wt), INTERVAL '10' SECOND, INTERVAL '20' SECOND)) GROUP BY window_start, window_end",
        EVENTS,
        f"SELECT ws, sum(s), count(*) FROM (SELECT ws, date_trunc('second', ts) - to_seconds(date_part('second', ts)::INT % 5) AS five, k, sum(v * 2) AS s FROM {windows('HOP', 10, 20)} WHERE v IS NOT NULL GROUP BY ALL) GROUP BY ws",
        setup=VIEWS,
    )


def test_a_window_over_windows_has_names_twice() -> None:
    with (
        session([EVENTS], setup=VIEWS) as env,
        pytest.raises(ValidationError, match="'window_start' is ambiguous"),
    ):
        env.execute_sql(
            "SELECT window_start FROM TABLE(TUMBLE(TABLE per, DESCRIPTOR(window_time), INTERVAL '1' MINUTE))"
        )


CHANGING = Input(
    "t",
    table(
        {"k": CHANGES.rows.schema.field("k").type, "v": CHANGES.rows.schema.field("v").type, "ts": MILLIS},
        ("a", 1, 1), ("b", 2, 2), ("a", 1, 1), ("a", 5, 3), ("c", 3, 9), ("c", 3, 9), ("b", 7, 11), ("b", 7, 11),
        ("a", 9, 12), ("c", 3, 9), ("d", None, 24),
    ),
    "ts",
    5,
    weights=(1, 1, -1, 1, 1, 1, 1, -1, 1, -1, 1),
    mode=RETRACT,
)  # fmt: skip

UPDATED = {
    "sum": (
        f"SELECT window_start, window_end, k, COUNT(*) AS c, SUM(v) AS s, AVG(v) AS a FROM {TUMBLE} GROUP BY window_start, window_end, k",
        f"SELECT {BUCKET}, {BUCKET} + INTERVAL 10 SECOND, k, count(*), sum(v), sum(v) // count(v) FROM t GROUP BY ALL",
    ),
    "extremes": (
        f"SELECT window_start, MIN(v) AS a, MAX(k) AS b, COUNT(DISTINCT k) AS c FROM {HOP} GROUP BY window_start, window_end",
        f"SELECT ws, min(v), max(k), count(DISTINCT k) FROM {windows('HOP', 5, 15)} GROUP BY ws, we",
    ),
    "alone": (
        f"SELECT k, v, window_end FROM {CUMULATE}",
        f"SELECT k, v, we FROM {windows('CUMULATE', 5, 20)}",
    ),
    "sessions": (
        f"SELECT window_start, window_end, k, COUNT(*) AS c, SUM(v) AS s FROM {SESSION} GROUP BY window_start, window_end, k",
        None,
    ),
    "sessions of everything": (f"SELECT window_start, MAX(v) AS m, LISTAGG(DISTINCT k) AS l FROM {GLOBAL_SESSION} GROUP BY window_start, window_end", None),
    "sessions alone": (f"SELECT k, v, ts, window_start, window_end FROM {GLOBAL_SESSION}", None),
    "group": (
        f"SELECT k, COUNT(*) AS c FROM {TUMBLE} GROUP BY k",
        "SELECT k, count(*) FROM t GROUP BY k",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "plain"), UPDATED.values(), ids=UPDATED)
def test_window_over_a_changelog(sql: str, plain: str | None) -> None:
    run_every_way(sql, CHANGING, plain)


def test_null_times_are_in_no_window() -> None:
    rows = table(
        {"k": CHANGES.rows.schema.field("k").type, "ts": MILLIS},
        ("a", 1),
        ("b", None),
        ("a", 12),
        (None, None),
    )
    for window in (TUMBLE, HOP, CUMULATE, SESSION):
        sql = f"SELECT k, COUNT(*) AS c FROM {window} GROUP BY window_start, window_end, k"
        found = run_every_way(sql, Input("t", rows, "ts", 3), steps=(1, 7))
        assert {row[0] for row in found} == {"a"}


def test_times_before_1970() -> None:
    rows = table(
        {"v": CHANGES.rows.schema.field("v").type, "ts": MILLIS},
        *((i, i * 7.3 - 2_000_000_000) for i in range(9)),
    )
    run_every_way(
        f"SELECT window_start, window_end, COUNT(*) AS c FROM {HOP} GROUP BY window_start, window_end",
        Input("t", rows, "ts", 3),
        "SELECT ws, ws + INTERVAL 15 SECOND, count(*) FROM (SELECT unnest([b, b - INTERVAL 5 SECOND, b - INTERVAL 10 SECOND]) AS ws FROM (SELECT time_bucket(INTERVAL '5 seconds', ts, TIMESTAMP '2024-01-01') AS b FROM t)) GROUP BY ws",
    )
    assert at(-2_000_000_000).year < 1970  # type: ignore[union-attr]


EARLY = ["SET 'table.exec.emit.early-fire.enabled' = 'true'"]


@pytest.mark.parametrize(
    "name", ["tumble", "hop", "hop distinct", "cumulate", "session", "having", "window over a window's rows"]
)
def test_windows_that_fire_early_end_alike(name: str) -> None:
    sql, plain = CASES[name]
    run_every_way(sql, EVENTS, plain, setup=EARLY)


def test_windows_that_fire_early_show_themselves_growing() -> None:
    sql = "SELECT window_start, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' HOUR)) GROUP BY window_start, window_end"
    with session([EVENTS], setup=EARLY, step=1) as env:
        shown = [(row.kind.short, row[1]) for row in env.execute_sql(sql).collect()]
    last = EVENTS.rows.num_rows
    assert [c for kind, c in shown if kind in ("+I", "+U")] == list(range(1, last + 1))


ZONED = Input(
    "t",
    table(
        {
            "k": CHANGES.rows.schema.field("k").type,
            "v": CHANGES.rows.schema.field("v").type,
            "ts": pa.timestamp("ms", "UTC"),
        },
        *(
            (k, v, s * 3600)
            for k, v, s in zip("abcabcab", range(8), (0, 3, 1, 9, 22, 23.5, 30, 29), strict=True)
        ),
    ),
    "ts",
    7200,
)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
@pytest.mark.parametrize(
    ("window", "days"),
    [
        ("TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' DAY)", 1),
        ("HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '12' HOUR, INTERVAL '1' DAY)", 2),
    ],
)
def test_days_are_those_of_the_session(zone: str, window: str, days: int) -> None:
    local = f"timezone('{zone}', ts)"
    starts = f"date_trunc('day', {local})" if days == 1 else "unnest([b, b - INTERVAL 12 HOUR])"
    source = (
        "t"
        if days == 1
        else f"(SELECT *, time_bucket(INTERVAL 12 HOUR, {local}, TIMESTAMP '2000-01-01') AS b FROM t)"
    )
    plain = f"SELECT s, s + INTERVAL 1 DAY, timezone('{zone}', s + INTERVAL 1 DAY) - INTERVAL 1 MILLISECOND, count(*) FROM (SELECT {starts} AS s FROM {source}) GROUP BY s"
    sql = f"SELECT window_start, window_end, window_time, COUNT(*) AS c FROM TABLE({window}) GROUP BY window_start, window_end, window_time"
    run_every_way(sql, ZONED, plain, setup=[f"SET 'table.local-time-zone' = '{zone}'"])
    over = f"SELECT window_end, SUM(c) AS c, COUNT(*) AS n FROM (SELECT window_start, window_end, k, COUNT(*) AS c FROM TABLE({window}) GROUP BY window_start, window_end, k) GROUP BY window_start, window_end"
    run_every_way(over, ZONED, setup=[f"SET 'table.local-time-zone' = '{zone}'"], steps=(1,))
