"""GROUP BY without windows: every aggregate, HAVING, DISTINCT, chains of aggregates, over inserts and over changelogs."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pytest

from .data import CHANGES, EMPTY, EVENTS, OTHER, UPSERTS
from .run import run_every_way, session, stream
from .tables import RETRACT, Input, table

IDIV = "sum({0}) // count({0}) + (CASE WHEN sum({0}) < 0 AND sum({0}) % count({0}) <> 0 THEN 1 ELSE 0 END)"
"""The mean of integers, cut toward zero: DuckDB's // rounds down."""

CASES = {
    "count": (
        "SELECT k, COUNT(*) AS c, COUNT(v) AS n, COUNT(k, v) AS m FROM t GROUP BY k",
        "SELECT k, count(*), count(v), count(*) FILTER (WHERE k IS NOT NULL AND v IS NOT NULL) FROM t GROUP BY k",
    ),
    "sum": (
        "SELECT k, SUM(v) AS a, SUM(big) AS b, SUM(x) AS c, SUM(d) AS d FROM t GROUP BY k",
        "SELECT k, sum(v), sum(big), sum(x), sum(d) FROM t GROUP BY k",
    ),
    "avg": (
        "SELECT k, AVG(v) AS a, AVG(big) AS b, AVG(x) AS c, AVG(d) AS d FROM t GROUP BY k",
        "SELECT k, CASE WHEN sum(v) < 0 THEN -(-sum(v) // count(v)) ELSE sum(v) // count(v) END, CASE WHEN sum(big) < 0 THEN -(-sum(big) // count(big)) ELSE sum(big) // count(big) END, avg(x), round(sum(d)::DECIMAL(38, 12) / count(d), 6) FROM t GROUP BY k",
    ),
    "min and max": (
        "SELECT k, MIN(v) AS a, MAX(v) AS b, MIN(x) AS c, MAX(d) AS e, MIN(s) AS f, MAX(s) AS g, MIN(ts) AS h, MAX(b) AS i, MIN(b) AS j FROM t GROUP BY k",
        "SELECT k, min(v), max(v), min(x), max(d), min(s), max(s), min(ts), max(b), min(b) FROM t GROUP BY k",
    ),
    "distinct": (
        "SELECT k, COUNT(DISTINCT v) AS a, SUM(DISTINCT v) AS b, AVG(DISTINCT big) AS c, COUNT(DISTINCT s) AS e, SUM(DISTINCT d) AS f, COUNT(DISTINCT b) AS g FROM t GROUP BY k",
        "SELECT k, count(DISTINCT v), sum(DISTINCT v), CASE WHEN sum(DISTINCT big) < 0 THEN -(-sum(DISTINCT big) // count(DISTINCT big)) ELSE sum(DISTINCT big) // count(DISTINCT big) END, count(DISTINCT s), sum(DISTINCT d), count(DISTINCT b) FROM t GROUP BY k",
    ),
    "distinct of a pair": (
        "SELECT k, COUNT(DISTINCT v, s) AS c FROM t GROUP BY k",
        "SELECT k, count(DISTINCT (v, s)) FILTER (WHERE v IS NOT NULL AND s IS NOT NULL) FROM t GROUP BY k",
    ),
    "distinct doubles": (
        "SELECT k, COUNT(DISTINCT x) AS c, SUM(DISTINCT x) AS s FROM t GROUP BY k",
        "SELECT k, count(DISTINCT x), sum(DISTINCT x) FROM t GROUP BY k",
    ),
    "filter": (
        "SELECT k, COUNT(*) FILTER (WHERE v > 1) AS a, SUM(v) FILTER (WHERE b) AS s, MAX(x) FILTER (WHERE s <> 'one') AS m, COUNT(DISTINCT v) FILTER (WHERE x > 0) AS c FROM t GROUP BY k",
        "SELECT k, count(*) FILTER (WHERE v > 1), sum(v) FILTER (WHERE b), max(x) FILTER (WHERE s <> 'one'), count(DISTINCT v) FILTER (WHERE x > 0) FROM t GROUP BY k",
    ),
    "distinct with and without filter": (
        "SELECT COUNT(DISTINCT v) AS a, COUNT(DISTINCT v) FILTER (WHERE k = 'a') AS b, SUM(DISTINCT v) FILTER (WHERE k = 'a') AS c FROM t",
        "SELECT count(DISTINCT v), count(DISTINCT v) FILTER (WHERE k = 'a'), sum(DISTINCT v) FILTER (WHERE k = 'a') FROM t",
    ),
    "first and last": (
        "SELECT k, FIRST_VALUE(v) AS a, LAST_VALUE(v) AS b, FIRST_VALUE(s) AS c, LAST_VALUE(x) AS e, LAST_VALUE(b) AS f, FIRST_VALUE(d) AS g FROM t GROUP BY k",
        "SELECT k, arg_min(v, o), arg_max(v, o), arg_min(s, o), arg_max(x, o), arg_max(b, o), arg_min(d, o) FROM t_o GROUP BY k",
    ),
    "first and last filtered": (
        "SELECT k, FIRST_VALUE(v) FILTER (WHERE b) AS a, LAST_VALUE(s) FILTER (WHERE v > 1) AS l FROM t GROUP BY k",
        "SELECT k, arg_min(v, o) FILTER (WHERE b), arg_max(s, o) FILTER (WHERE v > 1) FROM t_o GROUP BY k",
    ),
    "listagg": (
        "SELECT k, LISTAGG(s) AS a, LISTAGG(s, ' | ') AS b, LISTAGG(DISTINCT s) AS c FROM t GROUP BY k",
        "SELECT k, string_agg(s, ',' ORDER BY o), string_agg(s, ' | ' ORDER BY o), array_to_string(list_sort(list(DISTINCT s) FILTER (WHERE s IS NOT NULL)), ',') FROM t_o GROUP BY k",
    ),
    "collect": (
        "SELECT k, COLLECT(v) AS a, COLLECT(s) AS b FROM t GROUP BY k",
        "SELECT k, coalesce(histogram(v) FILTER (WHERE v IS NOT NULL), MAP {}), coalesce(histogram(s) FILTER (WHERE s IS NOT NULL), MAP {}) FROM t GROUP BY k",
    ),
    "array_agg": (
        "SELECT k, ARRAY_AGG(v) AS a, ARRAY_AGG(s) AS b FROM t GROUP BY k",
        "SELECT k, list(v ORDER BY o), list(s ORDER BY o) FROM t_o GROUP BY k",
    ),
    "spread": (
        "SELECT k, STDDEV_POP(x) AS a, STDDEV_SAMP(x) AS b, VAR_POP(x) AS c, VAR_SAMP(x) AS e FROM t GROUP BY k",
        "SELECT k, stddev_pop(x), stddev_samp(x), var_pop(x), var_samp(x) FROM t GROUP BY k",
    ),
    "json": (
        "SELECT k, JSON_ARRAYAGG(v) AS a FROM t GROUP BY k",
        "SELECT k, '[' || coalesce(string_agg(v::VARCHAR, ',' ORDER BY o), '') || ']' FROM t_o GROUP BY k",
    ),
    "incremental beside recomputed": (
        "SELECT k, COUNT(*) AS c, SUM(d) AS s, LISTAGG(s) AS l, COUNT(DISTINCT v) AS e, LAST_VALUE(x) AS x FROM t GROUP BY k",
        "SELECT k, count(*), sum(d), string_agg(s, ',' ORDER BY o), count(DISTINCT v), arg_max(x, o) FROM t_o GROUP BY k",
    ),
    "arguments that are expressions": (
        "SELECT UPPER(k) AS u, SUM(v * 2 + 1) AS s, MAX(CHAR_LENGTH(s)) AS m, SUM(CASE WHEN b THEN 1 ELSE 0 END) AS n FROM t GROUP BY UPPER(k)",
        "SELECT upper(k), sum(v * 2 + 1), max(length(s)), sum(CASE WHEN b THEN 1 ELSE 0 END) FROM t GROUP BY upper(k)",
    ),
    "expressions of aggregates": (
        "SELECT k, SUM(v) + COUNT(*) AS a, CAST(SUM(v) AS DOUBLE) / COUNT(v) AS r, MAX(v) - MIN(v) AS sp FROM t GROUP BY k",
        "SELECT k, sum(v) + count(*), sum(v)::DOUBLE / CASE WHEN count(v) = 0 THEN NULL ELSE count(v) END, max(v) - min(v) FROM t GROUP BY k HAVING count(v) > 0 UNION ALL SELECT k, NULL, NULL, NULL FROM t GROUP BY k HAVING count(v) = 0",
    ),
    "having": (
        "SELECT k, COUNT(*) AS c FROM t GROUP BY k HAVING SUM(v) > 3 AND COUNT(*) > 1",
        "SELECT k, count(*) FROM t GROUP BY k HAVING sum(v) > 3 AND count(*) > 1",
    ),
    "having that comes and goes": (
        "SELECT k, SUM(v) AS s FROM t GROUP BY k HAVING MOD(COUNT(*), 2) = 0",
        "SELECT k, sum(v) FROM t GROUP BY k HAVING count(*) % 2 = 0",
    ),
    "having without group by": (
        "SELECT COUNT(*) AS c FROM t HAVING COUNT(*) > 5",
        "SELECT count(*) FROM t HAVING count(*) > 5",
    ),
    "keys of every type": (
        "SELECT b, d, x, v, COUNT(*) AS c FROM t GROUP BY b, d, x, v",
        "SELECT b, d, x, v, count(*) FROM t GROUP BY ALL",
    ),
    "a time key": (
        "SELECT FLOOR(ts TO MINUTE) AS m, COUNT(*) AS c FROM t GROUP BY FLOOR(ts TO MINUTE)",
        "SELECT date_trunc('minute', ts), count(*) FROM t GROUP BY ALL",
    ),
    "key not selected": (
        "SELECT SUM(v) AS s FROM t GROUP BY k",
        "SELECT sum(v) FROM t GROUP BY k",
    ),
    "key selected twice": (
        "SELECT k, k AS k2, COUNT(*) AS c FROM t GROUP BY k",
        "SELECT k, k, count(*) FROM t GROUP BY k",
    ),
    "no aggregate": ("SELECT k FROM t GROUP BY k", "SELECT DISTINCT k FROM t"),
    "select distinct": ("SELECT DISTINCT k, b FROM t", "SELECT DISTINCT k, b FROM t"),
    "select distinct of an expression": (
        "SELECT DISTINCT v > 3 AS g FROM t WHERE k <> 'b'",
        "SELECT DISTINCT v > 3 FROM t WHERE k <> 'b'",
    ),
    "distinct of aggregates": (
        "SELECT DISTINCT COUNT(*) AS c FROM t GROUP BY k",
        "SELECT DISTINCT count(*) FROM t GROUP BY k",
    ),
    "global": (
        "SELECT COUNT(*) AS c, SUM(v) AS s, AVG(x) AS a, MIN(s) AS m, LAST_VALUE(k) AS l, COUNT(DISTINCT k) AS e FROM t",
        "SELECT count(*), sum(v), avg(x), min(s), arg_max(k, o), count(DISTINCT k) FROM t_o",
    ),
    "global of a constant": (
        "SELECT SUM(1) AS s, COUNT(1) AS c, MAX('x') AS m FROM t",
        "SELECT count(*), count(*), 'x' FROM t",
    ),
    "global, every row filtered": (
        "SELECT COUNT(*) AS c, SUM(v) AS s, MAX(k) AS m FROM t WHERE v > 1000",
        "SELECT count(*), sum(v), max(k) FROM t WHERE FALSE",
    ),
    "global recomputed, every row filtered": (
        "SELECT COUNT(*) AS c, LISTAGG(k) AS l, STDDEV_POP(x) AS d FROM t WHERE v > 1000",
        "SELECT count(*), string_agg(k), stddev_pop(x) FROM t WHERE FALSE",
    ),
    "groups of no rows": (
        "SELECT k, COUNT(*) AS c FROM t WHERE v > 1000 GROUP BY k",
        "SELECT k, 1 FROM t WHERE FALSE",
    ),
    "aggregate over aggregate": (
        "SELECT c, COUNT(*) AS n, SUM(s) AS s, MIN(k) AS m, MAX(s) AS x FROM (SELECT k, COUNT(*) AS c, SUM(v) AS s FROM t GROUP BY k) GROUP BY c",
        "SELECT c, count(*), sum(s), min(k), max(s) FROM (SELECT k, count(*) AS c, sum(v) AS s FROM t GROUP BY k) GROUP BY c",
    ),
    "three deep": (
        "SELECT SUM(n) AS n, COUNT(*) AS r, MAX(c) AS m FROM (SELECT c, COUNT(*) AS n FROM (SELECT k, v, COUNT(*) AS c FROM t GROUP BY k, v) GROUP BY c)",
        "SELECT sum(n), count(*), max(c) FROM (SELECT c, count(*) AS n FROM (SELECT k, v, count(*) AS c FROM t GROUP BY k, v) GROUP BY c)",
    ),
    "extremes over updates": (
        "SELECT MAX(s) AS a, MIN(s) AS b, COUNT(DISTINCT s) AS c FROM (SELECT k, SUM(v) AS s FROM t GROUP BY k)",
        "SELECT max(s), min(s), count(DISTINCT s) FROM (SELECT k, sum(v) AS s FROM t GROUP BY k)",
    ),
    "averages over updates": (
        "SELECT b, AVG(a) AS m, SUM(a) AS t FROM (SELECT k, b, AVG(x) AS a FROM t GROUP BY k, b) GROUP BY b",
        "SELECT b, avg(a), sum(a) FROM (SELECT k, b, avg(x) AS a FROM t GROUP BY k, b) GROUP BY b",
    ),
    "filter between": (
        "SELECT c, COUNT(*) AS n FROM (SELECT k, COUNT(*) AS c, SUM(v) AS s FROM t GROUP BY k) WHERE s > 2 AND c < 7 GROUP BY c",
        "SELECT c, count(*) FROM (SELECT k, count(*) AS c, sum(v) AS s FROM t GROUP BY k) WHERE s > 2 AND c < 7 GROUP BY c",
    ),
    "union of aggregates": (
        "SELECT k, SUM(n) AS n FROM (SELECT k, COUNT(*) AS n FROM t GROUP BY k UNION ALL SELECT k, SUM(v) FROM u GROUP BY k) GROUP BY k",
        "SELECT k, sum(n) FROM (SELECT k, count(*) AS n FROM t GROUP BY k UNION ALL SELECT k, sum(v) FROM u GROUP BY k) GROUP BY k",
    ),
    "aggregate beside rows": (
        "SELECT COUNT(*) AS n, SUM(v) AS s FROM (SELECT v FROM u UNION ALL SELECT COUNT(*) FROM t GROUP BY k)",
        "SELECT count(*), sum(v) FROM (SELECT v FROM u UNION ALL SELECT count(*) FROM t GROUP BY k)",
    ),
    "one aggregate read twice": (
        "SELECT c FROM (SELECT k, COUNT(*) AS c FROM t GROUP BY k) WHERE c > 2 UNION ALL SELECT c * 10 FROM (SELECT k, COUNT(*) AS c FROM t GROUP BY k)",
        "SELECT c FROM (SELECT k, count(*) AS c FROM t GROUP BY k) WHERE c > 2 UNION ALL SELECT c * 10 FROM (SELECT k, count(*) AS c FROM t GROUP BY k)",
    ),
}


@pytest.mark.parametrize(("sql", "plain"), CASES.values(), ids=CASES)
def test_insert_only(sql: str, plain: str) -> None:
    run_every_way(sql, [EVENTS, OTHER], plain)


UPDATING = {
    "linear": (
        "SELECT k, COUNT(*) AS c, COUNT(v) AS n, SUM(v) AS s, AVG(v) AS a, SUM(x) AS x FROM c GROUP BY k",
        "SELECT k, count(*), count(v), sum(v), sum(v) // count(v), sum(x) FROM c GROUP BY k",
    ),
    "extremes": (
        "SELECT g, MIN(v) AS a, MAX(v) AS b, MAX(k) AS m FROM c GROUP BY g",
        "SELECT g, min(v), max(v), max(k) FROM c GROUP BY g",
    ),
    "distinct": (
        "SELECT g, COUNT(DISTINCT v) AS a, SUM(DISTINCT v) AS b FROM c GROUP BY g",
        "SELECT g, count(DISTINCT v), sum(DISTINCT v) FROM c GROUP BY g",
    ),
    "filter": (
        "SELECT g, COUNT(*) FILTER (WHERE v > 2) AS a, SUM(v) FILTER (WHERE k = 'a') AS b FROM c GROUP BY g",
        "SELECT g, count(*) FILTER (WHERE v > 2), sum(v) FILTER (WHERE k = 'a') FROM c GROUP BY g",
    ),
    "recomputed": (
        "SELECT g, COLLECT(v) AS c, STDDEV_POP(x) AS d, LISTAGG(DISTINCT k) AS l FROM c GROUP BY g",
        "SELECT g, coalesce(histogram(v) FILTER (WHERE v IS NOT NULL), MAP {}), stddev_pop(x), array_to_string(list_sort(list(DISTINCT k) FILTER (WHERE k IS NOT NULL)), ',') FROM c GROUP BY g",
    ),
    "global": (
        "SELECT COUNT(*) AS c, SUM(v) AS s, MIN(k) AS m FROM c",
        "SELECT count(*), sum(v), min(k) FROM c",
    ),
    "global of nothing left": (
        "SELECT COUNT(*) AS c, SUM(v) AS s, MAX(v) AS m FROM c WHERE k = 'e'",
        "SELECT count(*), sum(v), max(v) FROM c WHERE FALSE",
    ),
    "global linear of nothing left": (
        "SELECT COUNT(*) AS c, SUM(v) AS s FROM c WHERE k = 'e'",
        "SELECT count(*), sum(v) FROM c WHERE FALSE",
    ),
    "groups that go": ("SELECT k, SUM(v) AS s FROM c WHERE k IN ('d', 'e') GROUP BY k", "SELECT k, sum(v) FROM c WHERE k = 'd' GROUP BY k"),
    "select distinct": ("SELECT DISTINCT g FROM c", "SELECT DISTINCT g FROM c"),
    "union distinct": ("SELECT g FROM c UNION SELECT k FROM p", "SELECT DISTINCT g FROM (SELECT g FROM c UNION ALL SELECT k FROM p)"),
    "chain": (
        "SELECT n, COUNT(*) AS c, MAX(s) AS s FROM (SELECT g, COUNT(*) AS n, SUM(v) AS s FROM c GROUP BY g) GROUP BY n",
        "SELECT n, count(*), max(s) FROM (SELECT g, count(*) AS n, sum(v) AS s FROM c GROUP BY g) GROUP BY n",
    ),
    "upserts": (
        "SELECT k, COUNT(*) AS c, SUM(v) AS s, MIN(id) AS m FROM p GROUP BY k",
        "SELECT k, count(*), sum(v), min(id) FROM p GROUP BY k",
    ),
    "upserts filtered": (
        "SELECT COUNT(*) AS c, SUM(v) AS s FROM p WHERE v > 10",
        "SELECT count(*), sum(v) FROM p WHERE v > 10",
    ),
    "upserts by their key": (
        "SELECT id, MAX(v) AS m FROM p GROUP BY id HAVING MAX(v) < 22",
        "SELECT id, max(v) FROM p GROUP BY id HAVING max(v) < 22",
    ),
    "union of updating inputs": (
        "SELECT k, SUM(v) AS s, COUNT(*) AS c, MAX(v) AS m FROM (SELECT k, v FROM c UNION ALL SELECT k, v FROM p UNION ALL SELECT k, v FROM u) GROUP BY k",
        "SELECT k, sum(v), count(*), max(v) FROM (SELECT k, v FROM c UNION ALL SELECT k, v FROM p UNION ALL SELECT k, v FROM u) GROUP BY k",
    ),
    "having": (
        "SELECT g, COUNT(*) AS n FROM c GROUP BY g HAVING MAX(v) > 5",
        "SELECT g, count(*) FROM c GROUP BY g HAVING max(v) > 5",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "plain"), UPDATING.values(), ids=UPDATING)
def test_updating(sql: str, plain: str) -> None:
    run_every_way(sql, [CHANGES, UPSERTS, OTHER], plain)


@pytest.mark.parametrize(
    ("sql", "plain"),
    [
        ("SELECT COUNT(*) AS c, SUM(v) AS s, MIN(k) AS m, LAST_VALUE(v) AS l, COUNT(DISTINCT v) AS d FROM t", "SELECT 0, NULL, NULL, NULL, 0"),
        ("SELECT COUNT(*) AS c, LISTAGG(k) AS l, COLLECT(v) AS o FROM t", "SELECT 0, NULL, MAP {}"),
        ("SELECT k, COUNT(*) AS c FROM t GROUP BY k", "SELECT k, 1 FROM t WHERE FALSE"),
        ("SELECT COUNT(*) AS n, SUM(c) AS s FROM (SELECT k, COUNT(*) AS c FROM t GROUP BY k)", "SELECT 0, NULL"),
        ("SELECT COUNT(*) AS n, SUM(c) AS s FROM (SELECT COUNT(*) AS c FROM t)", "SELECT 1, 0"),
        ("SELECT DISTINCT k FROM t", "SELECT k FROM t WHERE FALSE"),
    ],
)  # fmt: skip
def test_no_rows(sql: str, plain: str) -> None:
    run_every_way(sql, EMPTY, plain)


def test_mini_batches_off_shows_every_intermediate_value() -> None:
    """The same table at the end; on the way a change per row."""
    sql = "SELECT k, COUNT(*) AS c FROM t GROUP BY k"
    setup = ["SET 'table.exec.mini-batch.enabled' = 'false'"]
    run_every_way(sql, EVENTS, "SELECT k, count(*) FROM t GROUP BY k", setup=setup, steps=(7,))
    with session([EVENTS], setup=setup) as env:
        changes = list(env.execute_sql(sql).collect())
    assert [c[1] for c in changes if c[0] == "b" and c.kind.short in ("+I", "+U")] == [1, 2, 3, 4, 5, 6]


def test_rows_that_come_and_go_within_a_step_are_not_shown() -> None:
    rows = table({"k": EVENTS.rows.schema.field("k").type}, ("a",), ("b",), ("a",), ("b",), ("c",))
    changes = Input("t", rows, weights=(1, 1, -1, -1, 1), mode=RETRACT)
    with session([changes]) as env:
        shown = [repr(row) for row in env.execute_sql("SELECT k, COUNT(*) AS c FROM t GROUP BY k").collect()]
    assert shown == ["+I('c', 1)"]
    assert stream("SELECT k, COUNT(*) AS c FROM t GROUP BY k", [changes], step=1) == [("c", 1)]
