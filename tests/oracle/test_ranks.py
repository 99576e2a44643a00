"""Top-N: every rank, range and order, over rows that come and rows that change, against plain DuckDB."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pytest

from .data import CHANGES, EMPTY, EVENTS, UPSERTS
from .run import in_duckdb, restarted, run_every_way, session, stream
from .tables import Input
from .test_windows import windows

LAST = "DESC NULLS LAST"


def ranked(columns: str, rank: str, over: str, source: str, condition: str, *, shown: str = "*") -> str:
    """The rows of ``source`` whose rank fulfils ``condition``."""
    return f"SELECT {shown} FROM (SELECT {columns}, {rank}() OVER ({over}) AS rn FROM {source}) WHERE {condition}"


TOP = {
    "row number": ("k, v, big, s", "ROW_NUMBER", "PARTITION BY k ORDER BY v DESC, big, s", "rn <= 2", "*"),
    "less than": ("k, v, big", "ROW_NUMBER", "PARTITION BY k ORDER BY v, big", "rn < 3", "*"),
    "turned around": ("k, v, big", "ROW_NUMBER", "PARTITION BY k ORDER BY v, big", "2 >= rn", "k, v, big, rn"),
    "the best": ("k, v, x", "ROW_NUMBER", "PARTITION BY k ORDER BY x DESC", "rn = 1", "k, v, x, rn"),
    "the second": ("k, v, x", "ROW_NUMBER", "PARTITION BY k ORDER BY x DESC", "rn = 2", "k, x"),
    "a range": ("k, v, big", "ROW_NUMBER", "PARTITION BY k ORDER BY v, big", "rn BETWEEN 2 AND 4", "*"),
    "a range without the rank": ("k, v, big", "ROW_NUMBER", "PARTITION BY k ORDER BY v, big", "rn > 1 AND rn <= 4", "k, v"),
    "an empty range": ("k, v", "ROW_NUMBER", "PARTITION BY k ORDER BY v", "rn <= 0", "k, v"),
    "everybody": ("k, v", "ROW_NUMBER", "ORDER BY v DESC, k, big", "rn <= 5", "*"),
    "another condition": ("k, v, big, b", "ROW_NUMBER", "PARTITION BY k ORDER BY v, big", "rn <= 3 AND b IS TRUE", "*"),
    "a condition on rank and row": ("k, v, big", "ROW_NUMBER", "PARTITION BY k ORDER BY v, big", "rn <= 3 AND rn + v > 4", "k, v"),
    "rank": ("k, v", "RANK", "PARTITION BY k ORDER BY v DESC", "rn <= 2", "*"),
    "rank without it": ("k, v", "RANK", "PARTITION BY b ORDER BY v", "rn <= 3", "k, v"),
    "rank of a place": ("k, v, s", "RANK", "PARTITION BY k ORDER BY v", "rn = 2", "*"),
    "dense rank": ("k, v", "DENSE_RANK", "PARTITION BY k ORDER BY v DESC", "rn <= 2", "*"),
    "dense rank range": ("k, v", "DENSE_RANK", "PARTITION BY b ORDER BY v", "rn BETWEEN 2 AND 3", "k, v"),
    "expressions": ("k, v, big", "ROW_NUMBER", "PARTITION BY COALESCE(k, 'none'), v > 1 ORDER BY v + big DESC, big", "rn <= 2", "*"),
    "NULLs first": ("k, v, big", "ROW_NUMBER", "PARTITION BY k ORDER BY v DESC NULLS FIRST, big NULLS LAST, ts", "rn <= 2", "*"),
    "texts and decimals": ("k, s, d", "ROW_NUMBER", "PARTITION BY b ORDER BY s DESC, d, ts", "rn <= 2", "*"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOP)
def test_top_n(name: str) -> None:
    columns, rank, over, condition, shown = TOP[name]
    plain = over.replace("NULLS FIRST", "nulls first").replace("NULLS LAST", "nulls last")
    plain = ranked(columns, rank, plain, "t", condition, shown=shown)
    run_every_way(ranked(columns, rank, over, "t", condition, shown=shown), EVENTS, plain)


ALIASED = {
    "by an alias": "SELECT k, v, big, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v, big, s) AS rn FROM t QUALIFY rn <= 2",
    "by two": "SELECT k, SUM(v) AS total, RANK() OVER (ORDER BY SUM(v)) AS rn FROM t GROUP BY k QUALIFY rn <= 3 AND total > 1",
    "a column comes first": "SELECT k, -v AS v, big, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v, big, s) AS rn FROM t QUALIFY rn <= 2 AND v > 0",
}


@pytest.mark.parametrize("name", ALIASED)
def test_qualify_names_columns_of_the_select_list(name: str) -> None:
    run_every_way(ALIASED[name], EVENTS, steps=(3,), shuffles=())


@pytest.mark.parametrize("step", [1, 4])
@pytest.mark.parametrize("name", ["row number", "a range without the rank", "rank", "dense rank range"])
def test_top_n_restarted(name: str, step: int) -> None:
    columns, rank, over, condition, shown = TOP[name]
    sql = ranked(columns, rank, over, "t", condition, shown=shown)
    assert sorted(restarted(sql, [EVENTS], step=step), key=repr) == sorted(stream(sql, [EVENTS]), key=repr)


def test_equal_rows_rank_by_arrival() -> None:
    plain = "SELECT k, v, x, rn FROM (SELECT *, row_number() OVER (PARTITION BY b ORDER BY v, o) AS rn FROM t_o) WHERE rn <= 3"
    sql = ranked("k, v, x, b", "ROW_NUMBER", "PARTITION BY b ORDER BY v", "t", "rn <= 3", shown="k, v, x, rn")
    run_every_way(sql, EVENTS, plain, shuffles=(1, 2))


QUALIFIED = {
    "row number": "SELECT k, v FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, ts) <= 2",
    "of groups": "SELECT k, COUNT(*) AS n FROM t GROUP BY k QUALIFY ROW_NUMBER() OVER (ORDER BY COUNT(*) DESC, k) <= 2",
}


@pytest.mark.parametrize("sql", QUALIFIED.values(), ids=QUALIFIED)
def test_qualify(sql: str) -> None:
    run_every_way(sql, EVENTS, sql.replace("k)", "k NULLS FIRST)") if "GROUP BY" in sql else sql)


UPDATED = {
    "row number": (CHANGES, ranked("k, v, x, g", "ROW_NUMBER", "PARTITION BY k ORDER BY v DESC, x, g", "c", "rn <= 2")),
    "the best": (CHANGES, ranked("k, v, g", "ROW_NUMBER", "PARTITION BY g ORDER BY v DESC, k", "c", "rn = 1", shown="k, v, g")),
    "everybody": (CHANGES, ranked("k, v", "ROW_NUMBER", "ORDER BY v, k", "c", "rn <= 4")),
    "rank": (CHANGES, ranked("k, v", "RANK", "PARTITION BY g ORDER BY v", "c", "rn <= 2")),
    "dense rank": (CHANGES, ranked("k, v", "DENSE_RANK", "ORDER BY v", "c", "rn BETWEEN 2 AND 3")),
    "upserts": (UPSERTS, ranked("id, k, v", "ROW_NUMBER", "PARTITION BY k ORDER BY v, id", "p", "rn <= 2")),
    "upserts without the rank": (UPSERTS, ranked("id, k, v", "ROW_NUMBER", "PARTITION BY k ORDER BY v, id", "p", "rn <= 2", shown="k, v")),
    "groups": (CHANGES, ranked("k, n, s", "ROW_NUMBER", "ORDER BY n DESC, k", "(SELECT k, COUNT(*) AS n, SUM(v) AS s FROM c GROUP BY k)", "rn <= 3")),
    "the best of the best": (CHANGES, ranked("*", "ROW_NUMBER", "PARTITION BY g ORDER BY v, k", "(" + ranked("k, v, g", "ROW_NUMBER", "PARTITION BY k ORDER BY v DESC, g", "c", "rn <= 2", shown="k, v, g") + ")", "rn <= 1")),
    "grouped again": (CHANGES, "SELECT rn, COUNT(*) AS n, SUM(v) AS s FROM (" + ranked("k, v", "ROW_NUMBER", "PARTITION BY k ORDER BY v DESC, x, g", "c", "rn <= 2") + ") GROUP BY rn"),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "sql"), UPDATED.values(), ids=UPDATED)
def test_top_n_of_a_changelog(rows: Input, sql: str) -> None:
    run_every_way(sql, rows, sql)


@pytest.mark.parametrize("name", ["row number", "rank", "upserts", "groups"])
def test_top_n_of_a_changelog_restarted(name: str) -> None:
    rows, sql = UPDATED[name]
    assert sorted(restarted(sql, [rows], step=2), key=repr) == sorted(in_duckdb(sql, [rows]), key=repr)


def test_ranks_of_nothing() -> None:
    sql = ranked("k, v", "ROW_NUMBER", "PARTITION BY k ORDER BY v", "t", "rn <= 2")
    assert run_every_way(sql, EMPTY, steps=(7,)) == []


# -- windows -------------------------------------------------------------------------------------------------------
TUMBLE = "TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))"
HOP = "TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND))"
GROUPED = f"(SELECT window_start, window_end, k, COUNT(*) AS n, SUM(v) AS s FROM {TUMBLE} GROUP BY window_start, window_end, k)"
PLAIN_GROUPED = f"(SELECT ws AS window_start, we AS window_end, k, count(*) AS n, sum(v) AS s FROM {windows('HOP', 10, 10)} GROUP BY ALL)"
WINDOW = "window_start, window_end"

WINDOWS = {
    "rows": (ranked(f"{WINDOW}, k, v", "ROW_NUMBER", f"PARTITION BY {WINDOW}, k ORDER BY v DESC, big, ts", TUMBLE, "rn <= 2"), ranked("ws, we, k, v", "ROW_NUMBER", "PARTITION BY ws, we, k ORDER BY v DESC, big, ts", windows("HOP", 10, 10), "rn <= 2")),
    "hop": (ranked(f"{WINDOW}, k, v", "RANK", f"PARTITION BY {WINDOW} ORDER BY v", HOP, "rn BETWEEN 2 AND 4"), ranked("ws, we, k, v", "RANK", "PARTITION BY ws, we ORDER BY v", windows("HOP", 5, 15), "rn BETWEEN 2 AND 4")),
    "groups": (ranked("*", "ROW_NUMBER", f"PARTITION BY {WINDOW} ORDER BY n DESC, k", GROUPED, "rn <= 2"), ranked("*", "ROW_NUMBER", f"PARTITION BY {WINDOW} ORDER BY n DESC, k", PLAIN_GROUPED, "rn <= 2")),
    "the best group": (ranked("*", "ROW_NUMBER", f"PARTITION BY {WINDOW} ORDER BY n DESC, k", GROUPED, "rn = 1", shown="window_end, k, n"), ranked("*", "ROW_NUMBER", f"PARTITION BY {WINDOW} ORDER BY n DESC, k", PLAIN_GROUPED, "rn = 1", shown="window_end, k, n")),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "plain"), WINDOWS.values(), ids=WINDOWS)
def test_window_top_n(sql: str, plain: str) -> None:
    run_every_way(sql, EVENTS, plain)


@pytest.mark.parametrize("name", ["rows", "groups"])
def test_window_top_n_restarted(name: str) -> None:
    sql, plain = WINDOWS[name]
    assert sorted(restarted(sql, [EVENTS], step=3), key=repr) == sorted(in_duckdb(plain, [EVENTS]), key=repr)


def test_a_window_alone_is_an_ordinary_partition() -> None:
    sql = ranked(
        "window_start, k, v",
        "ROW_NUMBER",
        "PARTITION BY window_start ORDER BY v DESC, big, ts",
        TUMBLE,
        "rn <= 2",
    )
    run_every_way(sql, EVENTS)


BEST = WINDOWS["rows"]

AGAIN = {
    "the best grouped by their window": (f"SELECT window_start, window_end, COUNT(*) AS n, SUM(v) AS s FROM ({BEST[0]}) GROUP BY window_start, window_end", f"SELECT ws, we, count(*), sum(v) FROM ({BEST[1]}) GROUP BY ws, we"),
    "the best groups grouped again": (f"SELECT window_end, SUM(n) AS n FROM ({WINDOWS['groups'][0]}) GROUP BY window_start, window_end", f"SELECT window_end, sum(n) FROM ({WINDOWS['groups'][1]}) GROUP BY window_end"),
    "window functions grouped by their window": (f"SELECT window_start, window_end, MAX(c) AS m FROM (SELECT {WINDOW}, COUNT(*) OVER (PARTITION BY {WINDOW}, k) AS c FROM {HOP}) GROUP BY window_start, window_end", f"SELECT ws, we, max(c) FROM (SELECT ws, we, count(*) OVER (PARTITION BY ws, we, k) AS c FROM {windows('HOP', 5, 15)}) GROUP BY ws, we"),
    "the best of the best": (ranked("*", "ROW_NUMBER", f"PARTITION BY {WINDOW} ORDER BY v, k", f"(SELECT {WINDOW}, k, v FROM ({BEST[0]}))", "rn = 1"), ranked("*", "ROW_NUMBER", "PARTITION BY ws, we ORDER BY v, k", f"(SELECT ws, we, k, v FROM ({BEST[1]}))", "rn = 1")),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "plain"), AGAIN.values(), ids=AGAIN)
def test_windows_of_ranked_rows(sql: str, plain: str) -> None:
    run_every_way(sql, EVENTS, plain)
    with session([EVENTS]) as env:
        result = env.execute_sql(sql)
        assert result.insert_only, "emitted once, when the window is complete"
        result.close()
