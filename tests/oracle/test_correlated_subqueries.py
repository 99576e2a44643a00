"""Sub-queries that read the queries around them by any comparison, several levels up, in every clause."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pytest

from .data import CHANGES, EMPTY, EVENTS, OTHER, UPSERTS
from .run import restarted, run_every_way, stream
from .tables import Input

NON_EQUI = {
    "an average of smaller keys": "SELECT k, v FROM t WHERE v > (SELECT AVG(u.v) FROM u WHERE u.k < t.k)",
    "a count": "SELECT k, v, (SELECT COUNT(*) FROM u WHERE u.v < t.v) AS n FROM t",
    "an equality too": "SELECT k, v, (SELECT COUNT(u.v) FROM u WHERE u.k = t.k AND u.v > t.v) AS n FROM t",
    "computed": "SELECT k, (SELECT COUNT(*) * 10 + 1 FROM u WHERE u.v + 1 > t.v * 2) AS n FROM t",
    "by either": "SELECT k, v, (SELECT SUM(u.v) FROM u WHERE u.k = t.k OR u.v < t.v) AS s FROM t",
    "null-safe": "SELECT k, v, (SELECT COUNT(*) FROM u WHERE u.k IS NOT DISTINCT FROM t.k) AS n FROM t",
    "having": "SELECT k, (SELECT MAX(u.v) FROM u WHERE u.k = t.k HAVING COUNT(*) > 1) AS m FROM t",
    "having outer": "SELECT k, v, (SELECT MAX(u.v) FROM u WHERE u.k = t.k HAVING COUNT(*) < t.v) AS m FROM t",
    "an aggregate of an aggregate": "SELECT k, v, (SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM u WHERE u.v < t.v) AS d) AS m FROM t",
    "an aggregate of groups": "SELECT k, v, (SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM u WHERE u.v < t.v GROUP BY u.k) AS d) AS m FROM t",
    "inside the aggregate": "SELECT k, v, (SELECT SUM(u.v + t.v) FROM u WHERE u.k = t.k) AS s FROM t",
    "a row": "SELECT k, v, (SELECT u.v - t.v FROM u WHERE u.k = t.k AND u.v = 2) AS d FROM t",
    "the outer row alone": "SELECT k, v, (SELECT t.v * 2 FROM u WHERE u.v = 21) AS d FROM t",
    "a row by a comparison": "SELECT k, v, (SELECT u.k FROM u WHERE u.v > t.v + 14 AND u.v > 20) AS d FROM t",
    "first": "SELECT k, v, (SELECT u.v FROM u WHERE u.k = t.k ORDER BY u.v DESC LIMIT 1) AS m FROM t",
    "first by a comparison": "SELECT k, v, (SELECT u.v FROM u WHERE u.v > t.v ORDER BY u.v LIMIT 1) AS m FROM t",
    "second": "SELECT k, v, (SELECT u.v FROM u WHERE u.v > t.v ORDER BY u.v LIMIT 1 OFFSET 1) AS m FROM t",
    "exists as a column": "SELECT k, v, EXISTS (SELECT 1 FROM u WHERE u.v > t.v) AS e FROM t",
    "exists of groups": "SELECT k, v FROM t WHERE EXISTS (SELECT u.k FROM u WHERE u.v > t.v GROUP BY u.k HAVING COUNT(*) > 1)",
    "in groups": "SELECT k, v FROM t WHERE v IN (SELECT MAX(u.v) FROM u WHERE u.v <= t.v GROUP BY u.k)",
    "not in groups": "SELECT k, v FROM t WHERE v NOT IN (SELECT MAX(u.v) FROM u WHERE u.v <= t.v GROUP BY u.k)",
    "in an aggregate of everything": "SELECT k, v FROM t WHERE v IN (SELECT MAX(u.v) FROM u WHERE u.v <= t.v)",
    "in distinct": "SELECT k, v FROM t WHERE v IN (SELECT DISTINCT u.v FROM u WHERE u.k >= t.k)",
    "in top": "SELECT k, v FROM t WHERE v IN (SELECT u.v FROM u WHERE u.v < t.v + 3 ORDER BY u.v DESC LIMIT 2)",
    "in as a column": "SELECT k, v, v IN (SELECT u.v FROM u WHERE u.k <> t.k) AS i FROM t",
    "in of a computed column": "SELECT k, v FROM t WHERE v IN (SELECT u.v - t.v FROM u WHERE u.k = t.k)",
    "not in of a computed column": "SELECT k, v FROM t WHERE v NOT IN (SELECT u.v - t.v FROM u WHERE u.k = t.k)",
    "rows in as a column": "SELECT k, v, (k, v) IN (SELECT u.k, u.v FROM u) AS i FROM t",
    "rows not in as a column": "SELECT k, v, (k, v) NOT IN (SELECT u.k, u.v FROM u WHERE u.v > 5) AS i FROM t",
    "more than any as a column": "SELECT k, v, v > ANY (SELECT u.v FROM u) AS i FROM t",
    "less than all as a column": "SELECT k, v, v < ALL (SELECT u.v FROM u WHERE u.v IS NOT NULL) AS i FROM t",
    "at least some, correlated": "SELECT k, v FROM t WHERE v >= ANY (SELECT u.v FROM u WHERE u.k = t.k) OR v IS NULL",
    "other than all of nothing": "SELECT k, v, v <> ALL (SELECT u.v FROM u WHERE u.v > 1000) AS i FROM t",
    "of a union": "SELECT k, v FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.k UNION ALL SELECT 2 FROM u AS w WHERE w.v < t.v - 5)",
    "of an intersection": "SELECT k, v, (SELECT COUNT(*) FROM (SELECT u.k FROM u WHERE u.v > t.v INTERSECT SELECT w.k FROM u AS w WHERE w.v > 9) AS d) AS n FROM t",
    "of a left join": "SELECT k, v, (SELECT COUNT(w.v) FROM u LEFT JOIN u AS w ON u.k = w.k AND w.v > t.v) AS n FROM t",
    "of a full join": "SELECT k, v, (SELECT COUNT(*) FROM (SELECT v FROM u WHERE u.v > t.v) AS a FULL JOIN (SELECT v FROM u WHERE u.v < t.v * 5) AS b ON a.v = b.v) AS n FROM t",
    "of OVER": "SELECT k, v, (SELECT MAX(r) FROM (SELECT SUM(u.v) OVER (PARTITION BY u.k) AS r FROM u WHERE u.v > t.v) AS d) AS m FROM t",
    "of grouping sets": "SELECT k, v, (SELECT MAX(n) FROM (SELECT u.k, COUNT(*) AS n FROM u WHERE u.v > t.v GROUP BY ROLLUP (u.k)) AS d) AS m FROM t",
    "of an aggregate": "SELECT k, SUM(v) AS s FROM t GROUP BY k HAVING SUM(v) > (SELECT AVG(u.v) FROM u WHERE u.k <> t.k)",
}

LEVELS = {
    "a query of WITH": "SELECT k, v, (WITH c (x) AS (SELECT u.v FROM u WHERE u.k = t.k) SELECT MAX(x) FROM c) AS m FROM t",
    "a query of WITH, further in": "SELECT k, v FROM t WHERE EXISTS (WITH c AS (SELECT w.v FROM u AS w WHERE w.k = t.k), d AS (SELECT v + 1 AS v FROM c) SELECT 1 FROM u WHERE u.v IN (SELECT v FROM c WHERE c.v > u.v - 9) AND u.v < (SELECT MAX(v) FROM d))",
    "two, equal": "SELECT k, v FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.k AND EXISTS (SELECT 1 FROM u AS w WHERE w.v = u.v AND w.k = t.k))",
    "two, skipping one": "SELECT k, v FROM t WHERE EXISTS (SELECT 1 FROM u WHERE EXISTS (SELECT 1 FROM u AS w WHERE w.v > t.v AND w.k = u.k))",
    "two, compared": "SELECT k, v FROM t WHERE v > (SELECT MIN(u.v) FROM u WHERE u.v < (SELECT AVG(w.v) FROM u AS w WHERE w.k <> t.k))",
    "two, not in": "SELECT k, v FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.v NOT IN (SELECT w.v FROM u AS w WHERE w.k = t.k AND w.v IS NOT NULL))",
    "a value of a value": "SELECT k, v, (SELECT MAX(u.v + (SELECT COUNT(*) FROM u AS w WHERE w.v < t.v)) FROM u WHERE u.k = t.k) AS m FROM t",
    "a side of an outer join whose ON reads both": "SELECT k, v, (SELECT COUNT(b.v) FROM u AS a LEFT JOIN (SELECT * FROM u WHERE u.k = t.k) AS b ON a.v + b.v IN (SELECT x.v * 2 FROM u AS x)) AS n FROM t",
    "both sides of one whose ON reads both": "SELECT k, v, (SELECT COUNT(b.v) FROM (SELECT * FROM u WHERE u.k = t.k) AS b RIGHT JOIN (SELECT * FROM u WHERE u.v > t.v) AS a ON a.v + b.v IN (SELECT x.v * 2 FROM u AS x)) AS n FROM t",
    "three": "SELECT k, v FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.k AND u.v IN (SELECT w.v FROM u AS w WHERE EXISTS (SELECT 1 FROM u AS x WHERE x.k = t.k AND x.v >= w.v)))",
}

CLAUSES = {
    "group by a value": "SELECT (SELECT MAX(u.v) FROM u WHERE u.k = t.k) AS m, COUNT(*) AS n FROM t GROUP BY (SELECT MAX(u.v) FROM u WHERE u.k = t.k)",
    "group by a case": "SELECT CASE WHEN k IN (SELECT u.k FROM u WHERE u.k IS NOT NULL) THEN 'y' ELSE 'n' END AS c, SUM(v) AS s FROM t GROUP BY CASE WHEN k IN (SELECT u.k FROM u WHERE u.k IS NOT NULL) THEN 'y' ELSE 'n' END",
    "inside OVER": "SELECT k, v, SUM(v + (SELECT COUNT(*) FROM u)) OVER (PARTITION BY k) AS s FROM t",
    "partition by": "SELECT k, v, COUNT(*) OVER (PARTITION BY (SELECT MAX(u.v) FROM u WHERE u.k = t.k)) AS n FROM t",
    "order of OVER": "SELECT k, v, RANK() OVER (PARTITION BY k ORDER BY v - (SELECT MIN(u.v) FROM u)) AS r FROM t",
    "order by": "SELECT k, v FROM t ORDER BY (SELECT COUNT(*) FROM u WHERE u.v < t.v) DESC, v, k, x LIMIT 5",
    "on, reading the preserved side": "SELECT t.k, t.v, u.v AS w FROM t LEFT JOIN u ON t.k = u.k AND t.v IN (SELECT x.v FROM u AS x)",
    "on, reading the preserved side, right": "SELECT t.k, t.v, u.v AS w FROM t RIGHT JOIN u ON t.k = u.k AND u.v > (SELECT AVG(x.v) FROM u AS x)",
    "on of a full join": "SELECT t.k, t.v, u.v AS w FROM t FULL JOIN u ON t.k = u.k AND t.v IN (SELECT x.v FROM u AS x) AND EXISTS (SELECT 1 FROM u AS y WHERE y.v > u.v)",
    "on of a full join, nothing read": "SELECT t.k, t.v, u.v AS w FROM t FULL JOIN u ON t.k = u.k AND EXISTS (SELECT 1 FROM u AS x WHERE x.v > 100)",
    "a row of OVER": "SELECT k, v FROM t WHERE v >= (SELECT x FROM (SELECT u.v AS x, ROW_NUMBER() OVER (PARTITION BY u.k ORDER BY u.v) AS r FROM u WHERE u.k = t.k) AS d WHERE r = 1)",
}

LATERAL = {
    "top": "SELECT t.k, t.v, l.w FROM t, LATERAL (SELECT u.v AS w FROM u WHERE u.k = t.k ORDER BY u.v DESC LIMIT 1) AS l",
    "top, left": "SELECT t.k, t.v, l.w FROM t LEFT JOIN LATERAL (SELECT u.v AS w FROM u WHERE u.k = t.k ORDER BY u.v LIMIT 1) AS l ON TRUE",
    "top by a comparison": "SELECT t.k, t.v, l.w FROM t LEFT JOIN LATERAL (SELECT u.v AS w FROM u WHERE u.v > t.v ORDER BY u.v LIMIT 2) AS l ON TRUE",
    "aggregate by a comparison": "SELECT t.k, t.v, l.n, l.s FROM t LEFT JOIN LATERAL (SELECT COUNT(*) AS n, SUM(u.v) AS s FROM u WHERE u.v > t.v) AS l ON TRUE",
    "groups": "SELECT t.k, t.v, l.c, l.n FROM t LEFT JOIN LATERAL (SELECT u.k AS c, COUNT(*) AS n FROM u WHERE u.v > t.v GROUP BY u.k) AS l ON TRUE",
    "computed": "SELECT t.k, l.d FROM t, LATERAL (SELECT u.v - t.v AS d FROM u WHERE u.k = t.k) AS l",
    "computed, left": "SELECT t.k, l.d, l.one FROM t LEFT JOIN LATERAL (SELECT u.v - t.v AS d, COALESCE(u.v, 0) AS one FROM u WHERE u.k = t.k) AS l ON TRUE",
    "nothing but the row": "SELECT t.k, l.d FROM t, LATERAL (SELECT t.v * 2 AS d) AS l",
    "values": "SELECT t.k, l.d FROM t, LATERAL (VALUES (t.v), (t.v + 1), (7)) AS l (d)",
    "on": "SELECT t.k, t.v, l.w FROM t LEFT JOIN LATERAL (SELECT u.v AS w FROM u WHERE u.k = t.k) AS l ON l.w > t.v",
    "on of an aggregate": "SELECT t.k, t.v, l.n FROM t LEFT JOIN LATERAL (SELECT COUNT(*) AS n FROM u WHERE u.k = t.k) AS l ON l.n > 1",
    "on, inner": "SELECT t.k, t.v, l.n FROM t JOIN LATERAL (SELECT COUNT(*) AS n FROM u WHERE u.k = t.k) AS l ON l.n < t.v",
    "of two": "SELECT t.k, a.w, b.n FROM t, LATERAL (SELECT u.v AS w FROM u WHERE u.k = t.k) AS a, LATERAL (SELECT COUNT(*) AS n FROM u WHERE u.v < a.w + t.v) AS b",
    "in a sub-query": "SELECT k, v, (SELECT SUM(l.w) FROM u, LATERAL (SELECT x.v AS w FROM u AS x WHERE x.k = u.k AND x.v > t.v) AS l) AS s FROM t",
}

CASES = NON_EQUI | LEVELS | CLAUSES | LATERAL


@pytest.mark.parametrize("name", CASES)
def test_over_insertions(name: str) -> None:
    run_every_way(CASES[name], [EVENTS, OTHER], CASES[name], steps=(7, 131_072))


ROW_BY_ROW = (
    "a count",
    "having outer",
    "first by a comparison",
    "rows in as a column",
    "two, compared",
    "group by a value",
    "on of a full join",
    "top by a comparison",
)


@pytest.mark.parametrize("name", ROW_BY_ROW)
def test_row_by_row(name: str) -> None:
    run_every_way(CASES[name], [EVENTS, OTHER], CASES[name], steps=(1,), shuffles=(2, 3))


@pytest.mark.parametrize("name", ROW_BY_ROW)
def test_over_nothing(name: str) -> None:
    nothing = Input("u", OTHER.rows.slice(0, 0), "ts", 4)
    run_every_way(CASES[name], [EVENTS, nothing], CASES[name], steps=(7,), shuffles=())
    run_every_way(CASES[name], [EMPTY, OTHER], CASES[name], steps=(7,), shuffles=())


CHANGELOGS = {
    "average": "SELECT k, v FROM c WHERE v > (SELECT AVG(p.v) FROM p WHERE p.v < c.v * 5)",
    "count": "SELECT id, v, (SELECT COUNT(*) FROM c WHERE c.v < p.v) AS n FROM p",
    "top": "SELECT p.id, l.w FROM p LEFT JOIN LATERAL (SELECT c.v AS w FROM c WHERE c.k = p.k ORDER BY c.v DESC LIMIT 2) AS l ON TRUE",
    "first by a comparison": "SELECT k, v, (SELECT p.id FROM p WHERE p.v > c.v ORDER BY p.id LIMIT 1) AS m FROM c",
    "two levels": "SELECT k, v FROM c WHERE EXISTS (SELECT 1 FROM p WHERE p.k = c.k AND p.v > (SELECT MIN(d.v) FROM c AS d WHERE d.v > c.v - 3))",
    "group by": "SELECT (SELECT MAX(p.v) FROM p WHERE p.k = c.k) AS m, COUNT(*) AS n FROM c GROUP BY (SELECT MAX(p.v) FROM p WHERE p.k = c.k)",
    "any": "SELECT k, v, v > ANY (SELECT p.id FROM p) AS i FROM c",
    "rows": "SELECT k, v, (k, v) IN (SELECT p.k, p.id FROM p) AS i FROM c",
    "on": "SELECT c.k, c.v, p.id FROM c LEFT JOIN p ON c.k = p.k AND c.v IN (SELECT q.id FROM p AS q)",
    "on of both sides": "SELECT c.k, c.v, p.id FROM c LEFT JOIN p ON c.k = p.k AND c.v + p.id IN (SELECT d.v FROM c AS d WHERE d.v IS NOT NULL)",
    "on of both sides, right": "SELECT c.k, c.v, p.id FROM c RIGHT JOIN p ON c.k = p.k AND EXISTS (SELECT 1 FROM c AS d WHERE d.v > c.v AND d.v < p.v)",
    "full": "SELECT c.k, c.v, p.id FROM c FULL JOIN p ON c.k = p.k AND c.v IN (SELECT q.id FROM p AS q) AND p.v < (SELECT MAX(v) FROM p)",
    "of a union": "SELECT k, v, (SELECT SUM(x) FROM (SELECT p.v AS x FROM p WHERE p.k = c.k UNION ALL SELECT d.v FROM c AS d WHERE d.v < c.v) AS d) AS s FROM c",
}


@pytest.mark.parametrize("name", CHANGELOGS)
def test_over_changelogs(name: str) -> None:
    run_every_way(CHANGELOGS[name], [CHANGES, UPSERTS], CHANGELOGS[name], shuffles=())


@pytest.mark.parametrize(
    "name", ("average", "first by a comparison", "two levels", "on of both sides", "full")
)
def test_restarted(name: str) -> None:
    sql = CHANGELOGS[name]
    expected = stream(sql, [CHANGES, UPSERTS])
    assert sorted(map(repr, restarted(sql, [CHANGES, UPSERTS], step=3))) == sorted(map(repr, expected))


def test_of_a_computed_group() -> None:
    run_every_way(
        "SELECT UPPER(k) AS c, COUNT(*) AS n, (SELECT COUNT(*) FROM u WHERE u.k < LOWER(UPPER(t.k))) AS m FROM t GROUP BY UPPER(k)",
        [EVENTS, OTHER],
        "SELECT c, n, (SELECT count(*) FROM u WHERE u.k < lower(c)) FROM (SELECT upper(k) AS c, count(*) AS n FROM t GROUP BY upper(k))",
    )


def test_values_and_unnest() -> None:
    run_every_way(
        "SELECT a, b FROM (VALUES (1, (SELECT MAX(v) FROM t)), (2, 5), (3, (SELECT COUNT(*) FROM u))) AS q (a, b)",
        [EVENTS, OTHER],
        "SELECT 1, (SELECT max(v) FROM t) UNION ALL SELECT 2, 5 UNION ALL SELECT 3, (SELECT count(*) FROM u)",
    )
    run_every_way(
        "SELECT t.k, e FROM t CROSS JOIN UNNEST(ARRAY[v, (SELECT MAX(u.v) FROM u WHERE u.k = t.k)]) AS x (e)",
        [EVENTS, OTHER],
        "SELECT k, unnest([v, (SELECT max(u.v) FROM u WHERE u.k = t.k)]) FROM t",
    )
    run_every_way(
        "SELECT k, v, (SELECT SUM(e) FROM UNNEST(ARRAY[t.v, 1]) AS x (e)) AS s FROM t",
        EVENTS,
        "SELECT k, v, coalesce(v, 0) + 1 FROM t",
    )
