"""Interval joins and window joins: every kind, over event time, against batch mode."""

from __future__ import annotations

import pyarrow as pa
import pytest

from streamsql.testing.compare import difference

from .data import EVENTS, OTHER
from .random_tables import DELAY_S
from .run import batch, restarted, run_every_way
from .tables import MILLIS, Input, table

KINDS = ("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")

A = Input("t", EVENTS.rows.filter(pa.array([t is not None for t in EVENTS.rows["ts"].to_pylist()])), "ts", 5)
B = Input(
    "u",
    table(
        {"k": pa.string(), "v": pa.int32(), "ts": MILLIS},
        ("a", 10, 2),
        ("z", 20, 1),
        (None, None, 4),
        ("a", 5, 5),
        ("b", 2, 12),
        ("a", 11, 9.5),
        ("c", 7, 10),
        ("a", 10, 30),
        (None, 3, 29),
        ("d", 9, 34),
        ("b", -5, 33),
        ("d", 9, 34),
        ("z", 21, 66),
        ("b", 6, 63),
    ),
    "ts",
    DELAY_S,
)

BOUNDS = {
    "around": "t.ts BETWEEN u.ts - INTERVAL '3' SECOND AND u.ts + INTERVAL '2' SECOND",
    "comparisons": "t.ts >= u.ts - INTERVAL '3' SECOND AND u.ts > t.ts - INTERVAL '2' SECOND",
    "left later": "t.ts BETWEEN u.ts + INTERVAL '1' SECOND AND u.ts + INTERVAL '9' SECOND",
    "left earlier": "u.ts - INTERVAL '9' SECOND < t.ts AND t.ts < u.ts - INTERVAL '0.5' SECOND",
    "equal": "t.ts = u.ts",
    "empty": "t.ts > u.ts + INTERVAL '5' SECOND AND t.ts < u.ts",
    "three": "t.ts >= u.ts AND t.ts <= u.ts + INTERVAL '9' SECOND AND t.ts < u.ts + INTERVAL '2' SECOND",
}


@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=list(BOUNDS))
@pytest.mark.parametrize("kind", KINDS)
def test_interval_joins(kind: str, bounds: str) -> None:
    run_every_way(f"SELECT t.k, t.v, t.ts, u.k, u.v, u.ts FROM t {kind} u ON t.k = u.k AND {bounds}", [A, B])


@pytest.mark.parametrize(
    "on",
    ["t.v < u.v", "t.k = u.k AND t.v < u.v", "t.k IS NOT DISTINCT FROM u.k", "t.k = u.k AND t.v > 1"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_interval_joins_with_other_conditions(kind: str, on: str) -> None:
    run_every_way(
        f"SELECT t.k, t.v, u.k, u.v FROM t {kind} u ON {on} AND {BOUNDS['around']}", [A, B], steps=(1, 4)
    )


@pytest.mark.parametrize("negation", ["", "NOT "])
@pytest.mark.parametrize("on", ["t.k = u.k", "t.k = u.k AND t.v < u.v", "t.k = u.k AND t.v > 1"])
def test_semi_and_anti_interval_joins(negation: str, on: str) -> None:
    sql = f"SELECT k, v, ts FROM t WHERE {negation}EXISTS (SELECT 1 FROM u WHERE {on} AND {BOUNDS['around']})"
    run_every_way(sql, [A, B])


@pytest.mark.parametrize(
    ("kind", "time"),
    [("JOIN", "t.ts"), ("JOIN", "u.ts"), ("LEFT JOIN", "t.ts"), ("RIGHT JOIN", "u.ts")],
)
@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=list(BOUNDS))
def test_no_row_of_an_interval_join_is_late(kind: str, time: str, bounds: str) -> None:
    """A window over the joined rows drops none: the watermark is held back."""
    joined = f"SELECT t.v, {time} AS at FROM t {kind} u ON t.k = u.k AND {bounds}"
    run_every_way(
        "SELECT window_start, COUNT(*) AS n, SUM(v) AS s FROM "
        f"TABLE(TUMBLE(TABLE ({joined}), DESCRIPTOR(at), INTERVAL '2' SECOND)) GROUP BY window_start, window_end",
        [A, B],
        steps=(1, 7),
    )


@pytest.mark.parametrize("kind", ["LEFT JOIN", "FULL JOIN"])
def test_a_restarted_interval_join_goes_on(kind: str) -> None:
    sql = f"SELECT t.k, t.v, t.ts, u.k, u.v, u.ts FROM t {kind} u ON t.k = u.k AND {BOUNDS['around']}"
    assert difference(restarted(sql, [A, B], step=3), batch(sql, [A, B])) is None


TUMBLES = "TABLE(TUMBLE(TABLE {0}, DESCRIPTOR(ts), INTERVAL '10' SECOND)) AS {0}"
HOPS = "TABLE(HOP(TABLE {0}, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) AS {0}"
SAME = "t.window_start = u.window_start AND t.window_end = u.window_end"


@pytest.mark.parametrize("window", [TUMBLES, HOPS], ids=["tumble", "hop"])
@pytest.mark.parametrize("on", ["t.k = u.k", "t.v < u.v", "t.k = u.k AND t.v > u.v", "TRUE"])
@pytest.mark.parametrize("kind", KINDS)
def test_window_joins(kind: str, on: str, window: str) -> None:
    run_every_way(
        f"SELECT t.k, t.v, u.k, u.v, COALESCE(t.window_start, u.window_start) AS ws "
        f"FROM {window.format('t')} {kind} {window.format('u')} ON {on} AND {SAME}",
        [A, B],
        steps=(1, 7),
    )


def test_a_restarted_window_join_goes_on() -> None:
    sql = f"SELECT t.k, t.v, u.v FROM {TUMBLES.format('t')} FULL JOIN {TUMBLES.format('u')} ON t.k = u.k AND {SAME}"
    assert difference(restarted(sql, [A, B], step=3), batch(sql, [A, B])) is None


@pytest.mark.parametrize("negation", ["", "NOT "])
def test_semi_and_anti_window_joins(negation: str) -> None:
    run_every_way(
        f"SELECT k, v, window_end FROM {TUMBLES.format('t')} WHERE {negation}EXISTS "
        f"(SELECT 1 FROM {TUMBLES.format('u')} WHERE t.k = u.k AND {SAME})",
        [A, B],
    )


def test_a_window_join_of_aggregates_and_an_aggregate_over_it() -> None:
    def counted(name: str) -> str:
        return (
            f"(SELECT window_start, window_end, k, COUNT(*) AS n FROM {TUMBLES.format(name)} "
            f"GROUP BY window_start, window_end, k) AS {name}"
        )

    run_every_way(
        f"SELECT t.window_start, t.window_end, SUM(t.n * u.n) AS n FROM {counted('t')} JOIN {counted('u')} "
        f"ON t.k = u.k AND {SAME} GROUP BY t.window_start, t.window_end",
        [A, B],
    )


def test_the_time_of_a_window_join_is_the_window_s() -> None:
    joined = (
        f"SELECT t.window_time AS at, t.v AS a, u.v AS b FROM {TUMBLES.format('t')} "
        f"JOIN {TUMBLES.format('u')} ON t.k = u.k AND {SAME}"
    )
    run_every_way(
        "SELECT window_start, COUNT(*) AS n, SUM(a + b) AS s FROM "
        f"TABLE(TUMBLE(TABLE ({joined}), DESCRIPTOR(at), INTERVAL '30' SECOND)) GROUP BY window_start, window_end",
        [A, OTHER],
    )
