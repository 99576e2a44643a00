"""GROUPING SETS, ROLLUP and CUBE over inserts, changelogs, nothing at all, and beside window columns."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pyarrow as pa
import pytest

from .data import CHANGES, EMPTY, EVENTS, UPSERTS
from .run import run_every_way, stream
from .tables import RETRACT, Input, table

TUMBLE = "TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))"
HOP = "TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND))"
PLAIN_TUMBLE = "(SELECT *, time_bucket(INTERVAL 10 SECOND, ts) AS ws FROM t)"

CASES = {
    "sets": (
        "SELECT k, b, COUNT(*) AS n, SUM(v) AS s FROM t GROUP BY GROUPING SETS ((k, b), (k), (b), ())",
        "SELECT k, b, count(*), sum(v) FROM t GROUP BY GROUPING SETS ((k, b), (k), (b), ())",
    ),
    "a key without parentheses": (
        "SELECT k, b, COUNT(*) AS n FROM t GROUP BY GROUPING SETS (k, (k, b))",
        "SELECT k, b, count(*) FROM t GROUP BY GROUPING SETS (k, (k, b))",
    ),
    "rollup": (
        "SELECT k, b, MIN(x) AS m, AVG(d) AS a FROM t GROUP BY ROLLUP (k, b)",
        "SELECT k, b, min(x), round(sum(d)::DECIMAL(38, 12) / count(d), 6) FROM t GROUP BY ROLLUP (k, b)",
    ),
    "cube": (
        "SELECT k, b, s, COUNT(DISTINCT v) AS n FROM t GROUP BY CUBE (k, b, s)",
        "SELECT k, b, s, count(DISTINCT v) FROM t GROUP BY CUBE (k, b, s)",
    ),
    "beside a key": (
        "SELECT k, b, s, COUNT(*) AS n FROM t GROUP BY k, ROLLUP (b, s)",
        "SELECT k, b, s, count(*) FROM t GROUP BY k, ROLLUP (b, s)",
    ),
    "two at once": (
        "SELECT k, b, COUNT(*) AS n FROM t GROUP BY ROLLUP (k), CUBE (b)",
        "SELECT k, b, count(*) FROM t GROUP BY ROLLUP (k), CUBE (b)",
    ),
    "pairs": (
        "SELECT k, b, s, COUNT(*) AS n FROM t GROUP BY ROLLUP ((k, b), s)",
        "SELECT k, b, s, count(*) FROM t GROUP BY ROLLUP ((k, b), s)",
    ),
    "nested": (
        "SELECT k, b, s, COUNT(*) AS n FROM t GROUP BY GROUPING SETS (k, ROLLUP (b, s))",
        "SELECT k, b, s, count(*) FROM t GROUP BY GROUPING SETS (k, (b, s), b, ())",
    ),
    "which set": (
        "SELECT k, b, GROUPING(k) AS a, GROUPING(b) AS c, GROUPING_ID(k, b) AS d, GROUPING_ID(b, k) AS e, COUNT(*) AS n FROM t GROUP BY CUBE (k, b)",
        "SELECT k, b, grouping(k), grouping(b), grouping(k, b), grouping(b, k), count(*) FROM t GROUP BY CUBE (k, b)",
    ),
    "a set twice": (
        "SELECT k, GROUP_ID() AS g, COUNT(*) AS n FROM t GROUP BY GROUPING SETS (k, k, ())",
        "SELECT k, 0, count(*) FROM t GROUP BY k UNION ALL SELECT k, 1, count(*) FROM t GROUP BY k UNION ALL SELECT NULL, 0, count(*) FROM t",
    ),
    "of a key that is aggregated": (
        "SELECT k, SUM(v) AS s, v, COUNT(v) AS n FROM t GROUP BY GROUPING SETS (k, v)",
        "SELECT k, sum(v), v, count(v) FROM t GROUP BY GROUPING SETS (k, v)",
    ),
    "of expressions": (
        "SELECT UPPER(k) AS u, v + 1 AS w, UPPER(k) || 'x' AS y, COUNT(*) AS n FROM t GROUP BY ROLLUP (UPPER(k), v + 1)",
        "SELECT upper(k), v + 1, upper(k) || 'x', count(*) FROM t GROUP BY ROLLUP (upper(k), v + 1)",
    ),
    "having": (
        "SELECT k, b, COUNT(*) AS n FROM t GROUP BY ROLLUP (k, b) HAVING GROUPING(b) = 1 AND COUNT(*) > 2",
        "SELECT k, NULL, count(*) FROM t GROUP BY ROLLUP (k) HAVING count(*) > 2",
    ),
    "without aggregates": (
        "SELECT k, b FROM t GROUP BY ROLLUP (k, b)",
        "SELECT k, b FROM t GROUP BY ROLLUP (k, b)",
    ),
    "one set is a plain group": (
        "SELECT k, GROUPING(k) AS g, COUNT(*) AS n FROM t GROUP BY GROUPING SETS ((k))",
        "SELECT k, 0, count(*) FROM t GROUP BY k",
    ),
    "nothing but the empty set": (
        "SELECT COUNT(*) AS n FROM t GROUP BY GROUPING SETS (())",
        "SELECT count(*) FROM t",
    ),
    "in order of arrival": (
        "SELECT k, FIRST_VALUE(v) AS f, LISTAGG(s) AS l FROM t GROUP BY GROUPING SETS ((k), ())",
        "SELECT k, arg_min(v, o), string_agg(s, ',' ORDER BY o) FROM t_o GROUP BY GROUPING SETS ((k), ())",
    ),
    "beside a window": (
        f"SELECT window_start, k, b, COUNT(*) AS n, SUM(v) AS s FROM {TUMBLE} GROUP BY window_start, window_end, GROUPING SETS ((k, b), (k), ())",
        f"SELECT ws, k, b, count(*), sum(v) FROM {PLAIN_TUMBLE} GROUP BY ws, GROUPING SETS ((k, b), (k), ())",
    ),
    "beside a hop": (
        f"SELECT window_end, k, GROUPING(k) AS g, MAX(x) AS n FROM {HOP} GROUP BY window_start, window_end, ROLLUP (k)",
        None,
    ),
    "some sets without the window": (
        f"SELECT window_start, k, COUNT(*) AS n FROM {TUMBLE} GROUP BY GROUPING SETS ((window_start, window_end), (k))",
        f"SELECT ws, k, count(*) FROM {PLAIN_TUMBLE} GROUP BY GROUPING SETS ((ws), (k))",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_over_insertions(name: str) -> None:
    sql, plain = CASES[name]
    run_every_way(sql, EVENTS, plain, shuffles=() if "arrival" in name else (1,))


@pytest.mark.parametrize("name", [n for n in CASES if "arrival" not in n])
def test_over_nothing(name: str) -> None:
    sql, plain = CASES[name]
    run_every_way(sql, EMPTY, plain, steps=(7,), shuffles=())


CHANGELOGS = {
    "rollup": ("SELECT k, g, COUNT(*) AS n, SUM(v) AS s FROM c GROUP BY ROLLUP (k, g)", CHANGES),
    "cube with minima": (
        "SELECT k, g, MIN(v) AS m, GROUPING_ID(k, g) AS i FROM c GROUP BY CUBE (k, g)",
        CHANGES,
    ),
    "of a result": (
        "SELECT k, n, COUNT(*) AS m FROM (SELECT k, g, COUNT(*) AS n FROM c GROUP BY k, g) GROUP BY CUBE (k, n)",
        CHANGES,
    ),
    "upserts": ("SELECT k, SUM(v) AS s FROM p GROUP BY GROUPING SETS ((k), ())", UPSERTS),
    "of sets": (
        "SELECT g, SUM(n) AS s FROM (SELECT k, g, COUNT(*) AS n FROM c GROUP BY CUBE (k, g)) GROUP BY ROLLUP (g)",
        CHANGES,
    ),
}


@pytest.mark.parametrize("name", CHANGELOGS)
def test_over_changelogs(name: str) -> None:
    sql, source = CHANGELOGS[name]
    run_every_way(sql, source, sql if source is CHANGES else None)


def test_the_empty_set_keeps_its_row_when_all_rows_are_gone() -> None:
    rows = table({"k": pa.int32(), "v": pa.int32()}, (1, 2), (1, 2))
    source = Input("c", rows, weights=(1, -1), mode=RETRACT)
    sql = "SELECT k, COUNT(*) AS n, SUM(v) AS s FROM c GROUP BY ROLLUP (k)"
    assert stream(sql, [source], step=1) == [(None, 0, None)]
    run_every_way(sql, source, sql, shuffles=())
