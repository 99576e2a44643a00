"""Filters, projections, nested fields, UNION ALL, views, sub-queries."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pyarrow as pa
import pytest

from .data import CHANGES, EMPTY, EVENTS, OTHER, UPSERTS
from .run import run_every_way
from .tables import MILLIS, Input, table

CASES = {
    "star": ("SELECT * FROM t", "SELECT * FROM t"),
    "filter": ("SELECT k, v FROM t WHERE v > 2", "SELECT k, v FROM t WHERE v > 2"),
    "filter of unknown": (
        "SELECT k, b FROM t WHERE NOT b OR b IS UNKNOWN AND v > 4",
        "SELECT k, b FROM t WHERE NOT b OR (b IS NULL AND v > 4)",
    ),
    "nothing passes": ("SELECT k FROM t WHERE v > 1000", "SELECT k FROM t WHERE FALSE"),
    "arithmetic": (
        "SELECT v / 2 AS h, MOD(v, 3) AS m, v * 1.5 AS e, x + v AS f, d * 2 AS g FROM t",
        "SELECT v // 2 AS h, v % 3 AS m, v * 1.5 AS e, x + v AS f, d * 2 AS g FROM t",
    ),
    "strings": (
        "SELECT UPPER(s) AS u, CHAR_LENGTH(s) AS n, SUBSTRING(s FROM 2) AS t2, s || '-' || k AS j FROM t",
        "SELECT upper(s), length(s), substring(s, 2), s || '-' || k FROM t",
    ),
    "case and coalesce": (
        "SELECT CASE WHEN v > 5 THEN 'big' WHEN v > 0 THEN 'small' ELSE 'none' END AS c, COALESCE(k, '?') AS q FROM t",
        "SELECT CASE WHEN v > 5 THEN 'big' WHEN v > 0 THEN 'small' ELSE 'none' END, coalesce(k, '?') FROM t",
    ),
    "in and between": (
        "SELECT k, v FROM t WHERE k IN ('a', 'c') AND v BETWEEN 0 AND 9",
        "SELECT k, v FROM t WHERE (k = 'a' OR k = 'c') AND v >= 0 AND v <= 9",
    ),
    "not in": (
        "SELECT k, v FROM t WHERE k NOT IN ('a', 'c')",
        "SELECT k, v FROM t WHERE k <> 'a' AND k <> 'c'",
    ),
    "is distinct from": (
        "SELECT k FROM t WHERE k IS DISTINCT FROM 'a'",
        "SELECT k FROM t WHERE k IS NULL OR k <> 'a'",
    ),
    "time attribute": (
        "SELECT EXTRACT(SECOND FROM ts) AS sec, ts + INTERVAL '1' MINUTE AS later, FLOOR(ts TO MINUTE) AS f FROM t",
        "SELECT date_part('second', ts), ts + INTERVAL 1 MINUTE, date_trunc('minute', ts) FROM t",
    ),
    "constants": ("SELECT 1 AS one, 'x' AS x, k FROM t", "SELECT 1, 'x', k FROM t"),
    "only constants": ("SELECT 1 AS one FROM t WHERE v = 2", "SELECT 1 FROM t WHERE v = 2"),
    "one column twice": ("SELECT v, v AS w, v + v AS z FROM t", "SELECT v, v, v + v FROM t"),
    "sub-query": (
        "SELECT w + 1 AS w1 FROM (SELECT v * 2 AS w, k FROM t WHERE v IS NOT NULL) WHERE k = 'a'",
        "SELECT v * 2 + 1 FROM t WHERE v IS NOT NULL AND k = 'a'",
    ),
    "with": (
        "WITH a AS (SELECT k, v FROM t WHERE v > 1), b AS (SELECT k AS k2, v FROM a WHERE v < 9) SELECT * FROM b",
        "SELECT k, v FROM t WHERE v > 1 AND v < 9",
    ),
    "union all": (
        "SELECT k, v FROM t UNION ALL SELECT k, v FROM u",
        "SELECT k, v FROM t UNION ALL SELECT k, v FROM u",
    ),
    "union all of one table": (
        "SELECT k, v FROM t WHERE v > 3 UNION ALL SELECT k, -v FROM t WHERE v < 6 UNION ALL SELECT 'c', 0 FROM u",
        "SELECT k, v FROM t WHERE v > 3 UNION ALL SELECT k, -v FROM t WHERE v < 6 UNION ALL SELECT 'c', 0 FROM u",
    ),
    "union all widens": (
        "SELECT v FROM t UNION ALL SELECT big FROM t UNION ALL SELECT x FROM t",
        "SELECT v::DOUBLE FROM t UNION ALL SELECT big FROM t UNION ALL SELECT x FROM t",
    ),
    "union distinct": (
        "SELECT k FROM t UNION SELECT k FROM u",
        "SELECT DISTINCT k FROM (SELECT k FROM t UNION ALL SELECT k FROM u)",
    ),
    "filter above union": (
        "SELECT k, v + 1 AS w FROM (SELECT k, v FROM t UNION ALL SELECT k, v FROM u) WHERE k <> 'a' AND v > 2",
        "SELECT k, v + 1 FROM (SELECT k, v FROM t UNION ALL SELECT k, v FROM u) WHERE k <> 'a' AND v > 2",
    ),
}


@pytest.mark.parametrize(("sql", "plain"), CASES.values(), ids=CASES)
def test_insert_only(sql: str, plain: str) -> None:
    run_every_way(sql, [EVENTS, OTHER], plain)


UPDATING = {
    "star": ("SELECT * FROM c", "SELECT * FROM c"),
    "filter": ("SELECT k, v FROM c WHERE v > 3", "SELECT k, v FROM c WHERE v > 3"),
    "projection that merges rows": ("SELECT g FROM c", "SELECT g FROM c"),
    "union": (
        "SELECT k, v FROM c UNION ALL SELECT k, v FROM u UNION ALL SELECT k, v FROM p",
        "SELECT k, v FROM c UNION ALL SELECT k, v FROM u UNION ALL SELECT k, v FROM p",
    ),
    "union with itself": (
        "SELECT k FROM c WHERE v > 2 UNION ALL SELECT k FROM c WHERE v < 8",
        "SELECT k FROM c WHERE v > 2 UNION ALL SELECT k FROM c WHERE v < 8",
    ),
    "upserts": ("SELECT * FROM p", "SELECT * FROM p"),
    "upserts filtered": ("SELECT id, v FROM p WHERE v > 10", "SELECT id, v FROM p WHERE v > 10"),
    "upserts without their key": ("SELECT k, v + 1 AS w FROM p", "SELECT k, v + 1 FROM p"),
}


@pytest.mark.parametrize(("sql", "plain"), UPDATING.values(), ids=UPDATING)
def test_updating(sql: str, plain: str) -> None:
    run_every_way(sql, [CHANGES, OTHER, UPSERTS], plain)


def test_views() -> None:
    setup = [
        "CREATE VIEW big AS SELECT k, v AS n FROM t WHERE v > 1",
        "CREATE TEMPORARY VIEW bigger (key_of, twice) AS SELECT k, n * 2 FROM big WHERE n > 4",
    ]
    run_every_way(
        "SELECT twice, key_of FROM bigger WHERE key_of IS NOT NULL UNION ALL SELECT n, k FROM big",
        EVENTS,
        "SELECT v * 2, k FROM t WHERE v > 4 AND k IS NOT NULL UNION ALL SELECT v, k FROM t WHERE v > 1",
        setup=setup,
    )


def test_nested_fields() -> None:
    address = pa.struct([("city", pa.string()), ("zip", pa.struct([("code", pa.int32())]))])
    rows = table(
        {"id": pa.int32(), "a": address, "tags": pa.list_(pa.string()), "m": pa.map_(pa.string(), pa.int32()), "ts": MILLIS},
        (1, {"city": "Ulm", "zip": {"code": 89}}, ["x", "y"], [("p", 1)], 1),
        (2, {"city": None, "zip": None}, [], [], 2),
        (3, None, None, None, 3),
        (4, {"city": "Bonn", "zip": {"code": None}}, [None, "z"], [("p", None), ("q", 4)], 0),
    )  # fmt: skip
    nested = Input("n", rows, "ts", 3)
    run_every_way(
        "SELECT id, a.city, n.a.zip.code AS code, tags[1] AS t1, CARDINALITY(tags) AS c, m['p'] AS p FROM n",
        nested,
        "SELECT id, a.city, a.zip.code, tags[1], len(tags), m['p'] FROM n",
    )
    run_every_way("SELECT a, tags, m, id FROM n WHERE a.city IS NULL OR id > 3", nested,
                  "SELECT a, tags, m, id FROM n WHERE a.city IS NULL OR id > 3")  # fmt: skip
    run_every_way("SELECT a.zip.code AS z, COUNT(*) AS c, MAX(id) AS i FROM n GROUP BY a.zip.code", nested,
                  "SELECT a.zip.code, count(*), max(id) FROM n GROUP BY ALL")  # fmt: skip


@pytest.mark.parametrize("sql", ["SELECT * FROM t", "SELECT k FROM t WHERE v > 1 UNION ALL SELECT s FROM t"])
def test_no_rows(sql: str) -> None:
    assert run_every_way(sql, EMPTY, sql) == []


def test_values() -> None:
    run_every_way(
        "SELECT a, COUNT(*) AS n FROM (VALUES (1, 'x'), (2, 'y'), (1, NULL)) AS w (a, b) GROUP BY a",
        [],
        "SELECT * FROM (VALUES (1, 2), (2, 1))",
        shuffles=(),
    )


ARRAYS = Input(
    "n",
    table(
        {"id": pa.int32(), "a": pa.list_(pa.int32()), "m": pa.map_(pa.string(), pa.int32()), "r": pa.list_(pa.struct([("x", pa.int32()), ("y", pa.string())]))},
        (1, [1, 2], [("p", 1), ("q", None)], [{"x": 1, "y": "u"}, {"x": None, "y": None}]),
        (2, [], [], []),
        (3, None, None, None),
        (4, [None, 2, 2], [("p", 4)], [{"x": 2, "y": "v"}]),
    ),
)  # fmt: skip

UNNESTS = {
    "cross": ("SELECT id, e FROM n CROSS JOIN UNNEST(a) AS u (e)", "SELECT id, unnest(a) FROM n"),
    "comma": (
        "SELECT id, e + 1 AS f FROM n, UNNEST(a) AS u (e) WHERE e > 1",
        "SELECT id, e + 1 FROM (SELECT id, unnest(a) AS e FROM n) WHERE e > 1",
    ),
    "left": (
        "SELECT id, e FROM n LEFT JOIN UNNEST(a) AS u (e) ON TRUE",
        "SELECT id, unnest(a) FROM n UNION ALL SELECT id, NULL FROM n WHERE a IS NULL OR len(a) = 0",
    ),
    "ordinality": (
        "SELECT id, e, o FROM n CROSS JOIN UNNEST(a) WITH ORDINALITY AS u (e, o)",
        "SELECT id, unnest(a), unnest(range(1, len(a) + 1)) FROM n",
    ),
    "rows": (
        "SELECT id, x, y FROM n CROSS JOIN UNNEST(r) AS u (x, y)",
        "SELECT id, e.x, e.y FROM (SELECT id, unnest(r) AS e FROM n)",
    ),
    "map": (
        "SELECT id, k, v FROM n CROSS JOIN UNNEST(m) AS u (k, v)",
        "SELECT id, e.key, e.value FROM (SELECT id, unnest(map_entries(m)) AS e FROM n)",
    ),
    "counted": (
        "SELECT e, COUNT(*) AS c FROM n CROSS JOIN UNNEST(a) AS u (e) GROUP BY e",
        "SELECT e, count(*) FROM (SELECT unnest(a) AS e FROM n) GROUP BY e",
    ),
    "of an aggregate": (
        "SELECT k, e FROM (SELECT MOD(id, 2) AS k, ARRAY_AGG(id) AS ids FROM n GROUP BY MOD(id, 2)) CROSS JOIN UNNEST(ids) AS u (e)",
        "SELECT id % 2, id FROM n",
    ),
}


@pytest.mark.parametrize(("sql", "plain"), UNNESTS.values(), ids=UNNESTS)
def test_unnest(sql: str, plain: str) -> None:
    run_every_way(sql, ARRAYS, plain, shuffles=())
