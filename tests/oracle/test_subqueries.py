"""IN, EXISTS, ANY, ALL and values, correlated or not, in every clause, over inserts and changelogs."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

from collections.abc import Sequence

import pytest

from streamsql.errors import StreamSqlError

from .data import CHANGES, EMPTY, EVENTS, OTHER, UPSERTS
from .run import run_every_way
from .tables import Input

IN_WHERE = {
    "in": "SELECT k, v FROM t WHERE k IN (SELECT k FROM u)",
    "not in": "SELECT k, v FROM t WHERE v NOT IN (SELECT v FROM u)",
    "not in without nulls": "SELECT k, v FROM t WHERE v NOT IN (SELECT v FROM u WHERE v IS NOT NULL)",
    "not in nothing": "SELECT k, v FROM t WHERE v NOT IN (SELECT v FROM u WHERE v > 1000)",
    "in of expressions": "SELECT k, v FROM t WHERE v * 2 IN (SELECT v + 2 FROM u)",
    "in of rows": "SELECT k, v FROM t WHERE (k, v) IN (SELECT k, v FROM u)",
    "not in of rows": "SELECT k, v FROM t WHERE (k, v) NOT IN (SELECT k, v FROM u WHERE k IS NOT NULL)",
    "exists": "SELECT k, v FROM t WHERE EXISTS (SELECT * FROM u WHERE v > 15)",
    "exists in nothing": "SELECT k, v FROM t WHERE EXISTS (SELECT 1 FROM u WHERE v > 1000)",
    "not exists": "SELECT k, v FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE v > 1000)",
    "correlated exists": "SELECT k, v FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.k AND u.v > 5)",
    "correlated not exists": "SELECT k, v FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.k = t.k)",
    "exists by another comparison": "SELECT k, v FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.k AND u.v > t.v)",
    "exists by no equality": "SELECT k, v FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.v < t.v)",
    "correlated in": "SELECT k, v FROM t WHERE v IN (SELECT v FROM u WHERE u.k = t.k)",
    "correlated not in": "SELECT k, v FROM t WHERE v NOT IN (SELECT v FROM u WHERE u.k = t.k)",
    "twice negated": "SELECT k, v FROM t WHERE NOT (k NOT IN (SELECT k FROM u))",
    "two at once": "SELECT k, v FROM t WHERE k IN (SELECT k FROM u) AND v NOT IN (SELECT v FROM u WHERE v > 2) AND v > 0",
    "in a group": "SELECT k, v FROM t WHERE v IN (SELECT MAX(v) FROM u GROUP BY k)",
    "in a correlated group": "SELECT k, v FROM t WHERE v IN (SELECT MAX(v) FROM u WHERE u.k = t.k)",
    "not in a correlated count": "SELECT k, v FROM t WHERE v NOT IN (SELECT COUNT(*) FROM u WHERE u.k = t.k)",
    "of a sub-query": "SELECT k, v FROM t WHERE k IN (SELECT k FROM u WHERE v IN (SELECT v FROM t))",
    "the outer columns alone": "SELECT k, v FROM t WHERE EXISTS (SELECT 1 FROM u WHERE t.v > 2 AND u.k = t.k)",
    "more than any": "SELECT k, v FROM t WHERE v > ANY (SELECT v FROM u)",
    "some": "SELECT k, v FROM t WHERE v = SOME (SELECT v FROM u)",
    "less than all": "SELECT k, v FROM t WHERE v < ALL (SELECT v FROM u WHERE v IS NOT NULL)",
    "less than all with nulls": "SELECT k, v FROM t WHERE v < ALL (SELECT v FROM u)",
    "other than all": "SELECT k, v FROM t WHERE v <> ALL (SELECT v FROM u WHERE v < 15)",
    "of a join": "SELECT k, v FROM t WHERE EXISTS (SELECT 1 FROM u JOIN t AS s ON u.k = s.k WHERE s.v = t.v)",
    "of a derived table": "SELECT k, v FROM t WHERE v IN (SELECT m FROM (SELECT k AS q, v AS m FROM u) AS d WHERE d.q = t.k)",
}

VALUES = {
    "where": "SELECT k, v FROM t WHERE v > (SELECT MIN(v) FROM u)",
    "select": "SELECT k, (SELECT MAX(v) FROM u) AS m, (SELECT COUNT(*) FROM u) AS n FROM t",
    "without from": "SELECT (SELECT MAX(v) FROM u) AS m, 1 AS one",
    "of nothing": "SELECT k, (SELECT v FROM u WHERE v > 1000) AS m FROM t",
    "of a row": "SELECT k, (SELECT v FROM u WHERE v = 20) AS m FROM t",
    "correlated": "SELECT k, (SELECT MAX(u.v) FROM u WHERE u.k = t.k) AS m FROM t",
    "correlated count": "SELECT k, (SELECT COUNT(*) FROM u WHERE u.k = t.k) AS n, v FROM t",
    "computed from a correlated count": "SELECT k, (SELECT COUNT(*) * 10 + 1 FROM u WHERE u.k = t.k AND u.v > 5) AS n FROM t",
    "correlated row": "SELECT k, (SELECT v FROM u WHERE u.k = t.k AND u.v = 2) AS m FROM t",
    "correlated in where": "SELECT k, v FROM t WHERE v < (SELECT SUM(u.v) FROM u WHERE u.k = t.k)",
    "in a case": "SELECT k, CASE WHEN v > (SELECT MIN(v) FROM u) THEN 'more' ELSE 'less' END AS c FROM t",
    "having": "SELECT k, SUM(v) AS s FROM t GROUP BY k HAVING SUM(v) > (SELECT MIN(v) FROM u)",
    "of a group": "SELECT k, SUM(v) AS s, (SELECT MAX(u.v) FROM u WHERE u.k = t.k) AS m FROM t GROUP BY k",
    "inside an aggregate": "SELECT k, SUM(v + (SELECT MIN(v) FROM u)) AS s FROM t GROUP BY k",
    "two correlations": "SELECT k, v, (SELECT COUNT(*) FROM u WHERE u.k = t.k AND u.v = t.v) AS n FROM t",
}

MARKS = {
    "in or": "SELECT k, v FROM t WHERE k IN (SELECT k FROM u) OR v > 5",
    "in as a column": "SELECT k, v, v IN (SELECT v FROM u) AS i FROM t",
    "not in as a column": "SELECT k, v, v NOT IN (SELECT v FROM u) AS i FROM t",
    "in without nulls as a column": "SELECT k, v, v IN (SELECT v FROM u WHERE v IS NOT NULL) AS i FROM t",
    "in nothing as a column": "SELECT k, v, v IN (SELECT v FROM u WHERE v > 1000) AS i FROM t",
    "correlated in as a column": "SELECT k, v, v IN (SELECT v FROM u WHERE u.k = t.k) AS i FROM t",
    "correlated not in or": "SELECT k, v FROM t WHERE v NOT IN (SELECT v FROM u WHERE u.k = t.k) OR v IS NULL",
    "exists as a column": "SELECT k, EXISTS (SELECT 1 FROM u WHERE v > 15) AS e FROM t",
    "correlated exists as a column": "SELECT k, v, EXISTS (SELECT 1 FROM u WHERE u.k = t.k AND u.v > 2) AS e FROM t",
    "exists in a case": "SELECT CASE WHEN EXISTS (SELECT 1 FROM u WHERE u.k = t.k) THEN k ELSE 'none' END AS c FROM t",
    "having in": "SELECT k, COUNT(*) AS n FROM t GROUP BY k HAVING k IN (SELECT k FROM u) OR COUNT(*) > 6",
    "having exists": "SELECT k, COUNT(*) AS n FROM t GROUP BY k HAVING NOT EXISTS (SELECT 1 FROM u WHERE u.k = t.k)",
    "an aggregate in": "SELECT k, COUNT(*) IN (SELECT v FROM u) AS i FROM t GROUP BY k",
    "equal any as a column": "SELECT k, v = ANY (SELECT v FROM u) AS i FROM t",
    "other than all as a column": "SELECT k, v <> ALL (SELECT v FROM u) AS i FROM t",
    "a count in a column": "SELECT k, 0 IN (SELECT COUNT(*) FROM u WHERE u.k = t.k) AS i FROM t",
}

CASES = IN_WHERE | VALUES | MARKS


@pytest.mark.parametrize("name", CASES)
def test_over_insertions(name: str) -> None:
    run_every_way(CASES[name], [EVENTS, OTHER], CASES[name])


@pytest.mark.parametrize(
    "name",
    ["not in", "not exists", "exists", "select", "correlated count", "in as a column", "less than all"],
)
def test_over_nothing(name: str) -> None:
    nothing = Input("u", OTHER.rows.slice(0, 0), "ts", 4)
    run_every_way(CASES[name], [EVENTS, nothing], CASES[name], steps=(7,), shuffles=())
    run_every_way(CASES[name], [EMPTY, OTHER], CASES[name], steps=(7,), shuffles=())


CHANGELOGS = {
    "in": "SELECT k, v FROM c WHERE k IN (SELECT k FROM p WHERE v > 10)",
    "not in": "SELECT k, v FROM c WHERE k NOT IN (SELECT k FROM p WHERE v > 10)",
    "exists": "SELECT id, k, v FROM p WHERE EXISTS (SELECT 1 FROM c WHERE c.k = p.k AND c.v > 2)",
    "not exists": "SELECT id, k, v FROM p WHERE NOT EXISTS (SELECT 1 FROM c WHERE c.k = p.k)",
    "value": "SELECT id, v - (SELECT MAX(v) FROM c) AS d FROM p",
    "correlated value": "SELECT id, (SELECT SUM(c.v) FROM c WHERE c.k = p.k) AS s FROM p",
    "correlated count": "SELECT k, v, (SELECT COUNT(*) FROM p WHERE p.k = c.k) AS n FROM c",
    "in as a column": "SELECT id, v IN (SELECT v FROM c) AS i FROM p",
    "exists as a column": "SELECT k, EXISTS (SELECT 1 FROM p WHERE p.k = c.k) AS e FROM c",
    "having": "SELECT g, COUNT(*) AS n FROM c GROUP BY g HAVING COUNT(*) < (SELECT COUNT(*) FROM p)",
    "of a group": "SELECT k, v FROM c WHERE v IN (SELECT MAX(v) FROM c GROUP BY k)",
}


@pytest.mark.parametrize("name", CHANGELOGS)
def test_over_changelogs(name: str) -> None:
    run_every_way(CHANGELOGS[name], [CHANGES, UPSERTS], CHANGELOGS[name], shuffles=())


COMPOSED = {
    "of a query with WITH": "SELECT k, v FROM t WHERE k IN (WITH x AS (SELECT k FROM u) SELECT k FROM x)",
    "of a WITH query": "WITH x AS (SELECT k FROM u) SELECT k, v FROM t WHERE k IN (SELECT k FROM x)",
    "of distinct rows": "SELECT k, v FROM t WHERE k IN (SELECT DISTINCT k FROM u WHERE u.v = t.v)",
    "of groups that pass HAVING": "SELECT k, v FROM t WHERE EXISTS (SELECT u.v FROM u WHERE u.k = t.k GROUP BY u.v HAVING COUNT(*) > 1)",
    "of groups": "SELECT k, v FROM t WHERE v IN (SELECT MAX(v) FROM u WHERE u.k = t.k GROUP BY ts)",
    "of a computed key": "SELECT UPPER(k) AS u, COUNT(*) AS n, (SELECT MAX(u.v) FROM u WHERE UPPER(u.k) = UPPER(t.k)) AS m FROM t GROUP BY UPPER(k)",
    "having correlated": "SELECT k, SUM(v) AS s FROM t GROUP BY k HAVING EXISTS (SELECT 1 FROM u WHERE u.k = t.k AND u.v > 5)",
    "beside another": "SELECT k, COUNT(*) AS n FROM t WHERE v > (SELECT AVG(v) FROM u) AND k NOT IN (SELECT k FROM u WHERE k IS NOT NULL AND v > 15) GROUP BY k",
    "by one of two conditions": "SELECT k, v FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.k = t.k OR u.v = t.v)",
    "no match counted": "SELECT k, v FROM t WHERE (SELECT COUNT(*) FROM u WHERE u.k = t.k) = 0",
    "inside FROM": "SELECT a.k, b.n FROM t AS a JOIN (SELECT k, COUNT(*) AS n FROM u WHERE v IN (SELECT v FROM t) GROUP BY k) AS b ON a.k = b.k",
    "in CASE": "SELECT k, v, CASE WHEN v IN (SELECT v FROM u WHERE v IS NOT NULL) THEN 'y' ELSE 'n' END AS c FROM t WHERE v IS NOT NULL",
    "in CASE in an aggregate": "SELECT k, SUM(CASE WHEN k IN (SELECT k FROM u WHERE k IS NOT NULL) THEN 1 ELSE 0 END) AS s FROM t GROUP BY k",
    "between two values": "SELECT k, v FROM t WHERE v BETWEEN (SELECT MIN(v) FROM u) AND (SELECT MAX(v) FROM u)",
    "of a union": "SELECT k, v FROM t WHERE k IN (SELECT k FROM u UNION SELECT 'c')",
    "of constants": "SELECT k, v FROM t WHERE v IN (VALUES (1), (2))",
    "ordered by a value": "SELECT k, v FROM t ORDER BY v - (SELECT MIN(v) FROM u), k, x LIMIT 3",
    "two kinds": "SELECT COUNT(*) AS n FROM t WHERE k IN (SELECT k FROM u) AND EXISTS (SELECT 1 FROM u WHERE v > 20)",
    "having over sets": "SELECT k FROM t GROUP BY ROLLUP (k) HAVING k IN (SELECT k FROM u) OR GROUPING(k) = 1",
    "beside a window": "SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) WHERE k IN (SELECT k FROM u) GROUP BY window_start, window_end",
}


@pytest.mark.parametrize("name", COMPOSED)
def test_composed(name: str) -> None:
    """Against batch mode; DuckDB refuses some of them."""
    run_every_way(COMPOSED[name], [EVENTS, OTHER], steps=(3,), shuffles=())


ON = {
    "in": "SELECT c.k, p.v FROM c JOIN p ON c.k = p.k AND c.v IN (SELECT v FROM p)",
    "of both sides": "SELECT c.k, p.v FROM c JOIN p ON c.k = p.k AND EXISTS (SELECT 1 FROM c AS d WHERE d.v = p.v AND d.k = c.k)",
    "alone": "SELECT c.k, p.v FROM c JOIN p ON c.k IN (SELECT k FROM p)",
    "before another join": "SELECT c.k, p.v, q.id FROM c JOIN p ON c.k = p.k AND c.v > (SELECT MIN(v) FROM p) LEFT JOIN p AS q ON q.k = c.k",
    "of the optional side": "SELECT c.k, c.v, p.v AS w FROM c LEFT JOIN p ON c.k = p.k AND p.v NOT IN (SELECT v FROM c WHERE v > 3)",
    "of the optional side, right": "SELECT c.k, c.v, p.v AS w FROM c RIGHT JOIN p ON c.k = p.k AND c.v < (SELECT MAX(v) FROM p)",
}


@pytest.mark.parametrize("name", ON)
def test_in_on(name: str) -> None:
    run_every_way(ON[name], [CHANGES, UPSERTS], ON[name], shuffles=())


@pytest.mark.parametrize(
    "sql", ["SELECT k, (SELECT v FROM u) AS m FROM t", "SELECT (SELECT v FROM u WHERE u.k = t.k) AS m FROM t"]
)
def test_a_value_of_two_rows_is_an_error(sql: str) -> None:
    tables: Sequence[Input] = [EVENTS, OTHER]
    from .run import batch, stream

    for run in (batch, stream):
        with pytest.raises(StreamSqlError, match="more than one row"):
            run(sql, tables)
