"""GROUP BY TUMBLE, HOP and SESSION: the older form of window aggregates equals that of the table functions."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pytest

from .data import EMPTY, EVENTS
from .run import batch, run_every_way

CASES = {
    "tumble": (
        "SELECT TUMBLE_START(ts, INTERVAL '10' SECOND) AS a, TUMBLE_END(ts, INTERVAL '10' SECOND) AS e, COUNT(*) AS n FROM t GROUP BY TUMBLE(ts, INTERVAL '10' SECOND)",
        "SELECT window_start, window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end",
    ),
    "with keys": (
        "SELECT k, SUM(v) AS s, TUMBLE_END(ts, INTERVAL '10' SECOND) AS e FROM t WHERE v > 0 GROUP BY k, TUMBLE(ts, INTERVAL '10' SECOND) HAVING COUNT(*) > 0",
        "SELECT k, SUM(v), window_end FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) WHERE v > 0 GROUP BY k, window_start, window_end",
    ),
    "hop": (
        "SELECT HOP_START(ts, INTERVAL '5' SECOND, INTERVAL '10' SECOND) AS a, COUNT(DISTINCT v) AS n FROM t GROUP BY HOP(ts, INTERVAL '5' SECOND, INTERVAL '10' SECOND)",
        "SELECT window_start, COUNT(DISTINCT v) FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end",
    ),
    "session of everything": (
        "SELECT SESSION_START(ts, INTERVAL '4' SECOND) AS a, SESSION_END(ts, INTERVAL '4' SECOND) AS e, COUNT(*) AS n FROM t GROUP BY SESSION(ts, INTERVAL '4' SECOND)",
        "SELECT window_start, window_end, COUNT(*) FROM TABLE(SESSION(TABLE t, DESCRIPTOR(ts), INTERVAL '4' SECOND)) GROUP BY window_start, window_end",
    ),
    "sessions of keys": (
        "SELECT k, SESSION_START(ts, INTERVAL '4' SECOND) AS a, MAX(x) AS m FROM t GROUP BY SESSION(ts, INTERVAL '4' SECOND), k",
        "SELECT k, window_start, MAX(x) FROM TABLE(SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '4' SECOND)) GROUP BY k, window_start, window_end",
    ),
    "sessions of a computed key": (
        "SELECT UPPER(k) AS u, SESSION_END(ts, INTERVAL '4' SECOND) AS e, COUNT(*) AS n FROM t GROUP BY UPPER(k), SESSION(ts, INTERVAL '4' SECOND)",
        "SELECT u, window_end, COUNT(*) FROM TABLE(SESSION(TABLE (SELECT UPPER(k) AS u, ts FROM t) PARTITION BY u, DESCRIPTOR(ts), INTERVAL '4' SECOND)) GROUP BY u, window_start, window_end",
    ),
    "rows left out can split a session": (
        "SELECT k, SESSION_START(ts, INTERVAL '4' SECOND) AS a, COUNT(*) AS n FROM t WHERE v <> 1 GROUP BY k, SESSION(ts, INTERVAL '4' SECOND)",
        "SELECT k, window_start, COUNT(*) FROM TABLE(SESSION(TABLE (SELECT * FROM t WHERE v <> 1) PARTITION BY k, DESCRIPTOR(ts), INTERVAL '4' SECOND)) GROUP BY k, window_start, window_end",
    ),
    "a window over a window's time": (
        "SELECT TUMBLE_START(rt, INTERVAL '20' SECOND) AS a, SUM(n) AS n FROM (SELECT TUMBLE_ROWTIME(ts, INTERVAL '10' SECOND) AS rt, COUNT(*) AS n FROM t GROUP BY TUMBLE(ts, INTERVAL '10' SECOND)) GROUP BY TUMBLE(rt, INTERVAL '20' SECOND)",
        "SELECT window_start, SUM(n) FROM TABLE(TUMBLE(TABLE (SELECT window_time AS rt, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, window_time), DESCRIPTOR(rt), INTERVAL '20' SECOND)) GROUP BY window_start, window_end",
    ),
    "beside sets": (
        "SELECT k, TUMBLE_ROWTIME(ts, INTERVAL '10' SECOND) AS a, COUNT(*) AS n FROM t GROUP BY TUMBLE(ts, INTERVAL '10' SECOND), ROLLUP (k)",
        "SELECT k, window_time, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, window_time, ROLLUP (k)",
    ),
    "twice in one query": (
        "SELECT TIMESTAMPDIFF(SECOND, TUMBLE_START(ts, INTERVAL '10' SECOND), TUMBLE_END(ts, INTERVAL '10' SECOND)) + COUNT(*) AS n FROM t GROUP BY TUMBLE(ts, INTERVAL '10' SECOND)",
        "SELECT 10 + COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_group_window(name: str) -> None:
    sql, function = CASES[name]
    found = run_every_way(sql, EVENTS)
    assert sorted(found, key=repr) == sorted(batch(function, [EVENTS]), key=repr)
    assert run_every_way(sql, EMPTY, steps=(7,), shuffles=()) == []


def test_early_results_end_alike() -> None:
    early = ["SET 'table.exec.emit.early-fire.enabled' = 'true'"]
    for name in ("tumble", "hop", "with keys"):
        run_every_way(CASES[name][0], EVENTS, setup=early)
