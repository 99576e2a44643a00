"""What reads the columns of the table before it: UNNEST of arrays, maps and multisets, LATERAL sub-queries; WITH and VALUES."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pytest

from .data import CHANGES, EVENTS, OTHER, UPSERTS
from .run import run_every_way

COLLECTED = "(SELECT k, COLLECT(v) AS c FROM t GROUP BY k)"

CASES: dict[str, tuple[str, str | None]] = {
    "array": (
        "SELECT k, e FROM t CROSS JOIN UNNEST(ARRAY[v, v + 1]) AS m (e)",
        "SELECT k, unnest([v, v + 1]) FROM t",
    ),
    "array in order": (
        "SELECT k, e, o FROM t CROSS JOIN UNNEST(ARRAY[v, v + 1]) WITH ORDINALITY AS m (e, o)",
        "SELECT k, unnest([v, v + 1]), unnest([1, 2]) FROM t",
    ),
    "rows": (
        "SELECT k, p, q, o FROM t CROSS JOIN UNNEST(ARRAY[ROW(v, k), ROW(v + 1, 'z')]) WITH ORDINALITY AS m (p, q, o)",
        "SELECT k, v, k, 1 FROM t UNION ALL SELECT k, v + 1, 'z', 2 FROM t",
    ),
    "map": (
        "SELECT k, a, e FROM t CROSS JOIN UNNEST(MAP['x', v, 'y', v + 1]) AS m (a, e)",
        "SELECT k, 'x', v FROM t UNION ALL SELECT k, 'y', v + 1 FROM t",
    ),
    "map in order": (
        "SELECT k, a, e, o FROM t CROSS JOIN UNNEST(MAP['x', v, 'y', v + 1]) WITH ORDINALITY AS m (a, e, o)",
        "SELECT k, 'x', v, 1 FROM t UNION ALL SELECT k, 'y', v + 1, 2 FROM t",
    ),
    "multiset": (
        f"SELECT k, e FROM {COLLECTED} AS a CROSS JOIN UNNEST(c) AS m (e)",
        "SELECT k, v FROM t WHERE v IS NOT NULL",
    ),
    "multiset in order": (
        f"SELECT k, COUNT(e) AS n, SUM(o) AS s FROM {COLLECTED} AS a CROSS JOIN UNNEST(c) WITH ORDINALITY AS m (e, o) GROUP BY k",
        "SELECT k, count(v), (count(v) * (count(v) + 1)) // 2 FROM t GROUP BY k HAVING count(v) > 0",
    ),
    "of no elements": (
        f"SELECT k, e FROM {COLLECTED} AS a LEFT JOIN UNNEST(c) AS m (e) ON TRUE",
        "SELECT k, v FROM t WHERE v IS NOT NULL UNION ALL SELECT k, NULL FROM t GROUP BY k HAVING count(v) = 0",
    ),
    "of constants": ("SELECT e FROM UNNEST(ARRAY[1, 2, 3]) AS m (e)", "SELECT unnest([1, 2, 3])"),
    "lateral": (
        "SELECT t.k, t.v, l.w FROM t, LATERAL (SELECT u.v AS w FROM u WHERE u.k = t.k) AS l",
        "SELECT t.k, t.v, u.v FROM t JOIN u ON u.k = t.k",
    ),
    "left lateral": (
        "SELECT t.k, t.v, l.w FROM t LEFT JOIN LATERAL (SELECT u.v FROM u WHERE u.k = t.k AND u.v > t.v) AS l (w) ON TRUE",
        "SELECT t.k, t.v, u.v FROM t LEFT JOIN u ON u.k = t.k AND u.v > t.v",
    ),
    "lateral aggregate": (
        "SELECT t.k, l.n, l.m FROM t, LATERAL (SELECT COUNT(*) AS n, MAX(u.v) AS m FROM u WHERE u.k = t.k) AS l",
        None,
    ),
    "lateral without correlation": (
        "SELECT t.v, l.n FROM t CROSS JOIN LATERAL (SELECT v AS n FROM u WHERE v > 15) AS l",
        "SELECT t.v, u.v FROM t, u WHERE u.v > 15",
    ),
    "lateral on in": (
        "SELECT t.k, t.v, l.w FROM t JOIN LATERAL (SELECT u.v AS w FROM u WHERE u.k = t.k) AS l ON l.w IN (SELECT v + 5 FROM t)",
        "SELECT t.k, t.v, u.v FROM t JOIN u ON u.k = t.k WHERE u.v IN (SELECT v + 5 FROM t)",
    ),
    "left lateral on a value": (
        "SELECT t.k, t.v, l.w FROM t LEFT JOIN LATERAL (SELECT v FROM u WHERE u.k = t.k) AS l (w) ON w > (SELECT MAX(x.v) FROM t AS x WHERE x.v < t.v)",
        "SELECT t.k, t.v, u.v FROM t LEFT JOIN u ON u.k = t.k AND u.v > (SELECT MAX(x.v) FROM t AS x WHERE x.v < t.v)",
    ),
    "left lateral count on in": (
        "SELECT t.k, t.v, l.n FROM t LEFT JOIN LATERAL (SELECT COUNT(*) AS n FROM u WHERE u.k = t.k) AS l ON l.n IN (SELECT v FROM t)",
        "SELECT t.k, t.v, CASE WHEN n IN (SELECT v FROM t) THEN n END FROM (SELECT *, (SELECT count(*) FROM u WHERE u.k = t.k) AS n FROM t) AS t",
    ),
    "with": (
        "WITH x (a) AS (SELECT v FROM t), y AS (SELECT a FROM x WHERE a > 2) SELECT a, COUNT(*) AS n FROM y GROUP BY a",
        "SELECT v, count(*) FROM t WHERE v > 2 GROUP BY v",
    ),
    "with twice": (
        "WITH x AS (SELECT k, SUM(v) AS s FROM t GROUP BY k) SELECT a.k, a.s FROM x AS a WHERE a.s > (SELECT AVG(s) FROM x)",
        None,
    ),
    "values": (
        "SELECT t.k, q.s FROM t JOIN (VALUES (1, 'one'), (2, 'two')) AS q (i, s) ON t.v = q.i",
        "SELECT k, CASE v WHEN 1 THEN 'one' ELSE 'two' END FROM t WHERE v IN (1, 2)",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_over_insertions(name: str) -> None:
    sql, plain = CASES[name]
    run_every_way(sql, [EVENTS, OTHER], plain or sql)


CHANGELOGS = {
    "lateral": "SELECT c.k, c.v, l.id FROM c, LATERAL (SELECT id FROM p WHERE p.k = c.k) AS l",
    "left lateral": "SELECT p.id, l.v FROM p LEFT JOIN LATERAL (SELECT v FROM c WHERE c.k = p.k AND c.v > p.v - 8) AS l ON TRUE",
    "lateral count": "SELECT c.k, l.n FROM c, LATERAL (SELECT COUNT(*) AS n FROM p WHERE p.k = c.k) AS l",
}


@pytest.mark.parametrize("sql", CHANGELOGS.values(), ids=CHANGELOGS)
def test_over_changelogs(sql: str) -> None:
    run_every_way(sql, [CHANGES, UPSERTS], sql, shuffles=())
