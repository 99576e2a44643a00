"""Regular joins: every kind, over insert-only and updating tables, with NULL keys and further conditions."""

from __future__ import annotations

import pyarrow as pa
import pytest

from streamsql.testing.compare import difference

from .data import CHANGES, EVENTS, OTHER, UPSERTS
from .run import batch, restarted, run_every_way, session
from .tables import RETRACT, Input, table

KINDS = ("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")

CONDITIONS = {
    "equal": "a.k = b.k",
    "two keys": "a.k = b.k AND a.v = b.v",
    "numbers of two types": "a.v = b.big",
    "expression": "a.v + 1 = b.v",
    "null safe": "a.k IS NOT DISTINCT FROM b.k",
    "null safe and equal": "a.k IS NOT DISTINCT FROM b.k AND a.v = b.v",
    "residual": "a.k = b.k AND a.v < b.v",
    "residual over three columns": "a.k = b.k AND (a.v < b.v OR a.v IS NULL)",
    "one side": "a.k = b.k AND a.v > 2",
    "other side": "a.k = b.k AND b.v > 2",
    "no equality": "a.v < b.v",
    "always": "TRUE",
    "never": "FALSE",
}

B = Input(
    "b",
    table(
        {"k": pa.string(), "v": pa.int32(), "big": pa.int64()},
        ("a", 3, 1),
        (None, 5, 2),
        ("b", None, 6),
        ("a", 3, 1),
        ("a", 8, -5),
        ("z", 6, 9),
        (None, None, None),
        ("c", 9, 9),
        ("d", 2, 4),
    ),
)

_LOG = (
    (+1, "a", 3, 1),
    (+1, None, 5, 2),
    (+1, "b", None, 6),
    (-1, "a", 3, 1),
    (+1, "a", 4, 2),
    (+1, "a", 4, 2),
    (+1, "c", 9, 9),
    (-1, None, 5, 2),
    (-1, "a", 4, 2),
    (+1, "z", 1, 1),
    (-1, "c", 9, 9),
    (+1, None, None, None),
    (+1, "c", 10, 9),
    (-1, "z", 1, 1),
    (+1, "d", 7, 8),
    (-1, "d", 7, 8),
    (+1, "d", 8, 8),
)
CHANGING = Input(
    "b",
    table({"k": pa.string(), "v": pa.int32(), "big": pa.int64()}, *(r[1:] for r in _LOG)),
    weights=tuple(r[0] for r in _LOG),
    mode=RETRACT,
)


@pytest.mark.parametrize("on", CONDITIONS.values(), ids=list(CONDITIONS))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("right", [B, CHANGING], ids=["insert-only", "updating"])
def test_kinds_and_conditions(kind: str, on: str, right: Input) -> None:
    run_every_way(
        f"SELECT a.k, a.v, b.k, b.v, b.big FROM c AS a {kind} b ON {on}",
        [CHANGES, right],
        steps=(1, 6),
        shuffles=(),
    )


@pytest.mark.parametrize("on", CONDITIONS.values(), ids=list(CONDITIONS))
def test_insert_only_sides(on: str) -> None:
    run_every_way(f"SELECT a.k, a.v, b.v FROM t AS a JOIN b ON {on}", [EVENTS, B], steps=(3,))
    run_every_way(
        f"SELECT a.k, a.v, b.v FROM t AS a FULL JOIN b ON {on}", [EVENTS, B], steps=(2,), shuffles=()
    )


def test_against_plain_duckdb() -> None:
    rows = run_every_way(
        "SELECT c.k, c.v, p.id, p.v FROM c LEFT JOIN p ON c.k = p.k AND c.v < p.v",
        [CHANGES, UPSERTS],
        "SELECT c.k, c.v, p.id, p.v FROM c LEFT JOIN p ON c.k = p.k AND c.v < p.v",
    )
    assert any(row[2] is None for row in rows)
    assert any(row[2] is not None for row in rows)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM c CROSS JOIN b",
        "SELECT c.k, b.v FROM c, b WHERE c.k = b.k",
        "SELECT x.k, x.v, y.v FROM c AS x JOIN c AS y ON x.k = y.k",
        "SELECT x.k, x.v, y.v FROM c AS x LEFT JOIN c AS y ON x.k = y.k AND x.v > y.v",
        "SELECT * FROM c JOIN b USING (k)",
        "SELECT * FROM c NATURAL JOIN b",
        "SELECT * FROM c LEFT JOIN b USING (v, k)",
        "SELECT k, p.id FROM c RIGHT JOIN p USING (k)",
        "SELECT k, c.v, b.v FROM c FULL JOIN b USING (k) WHERE k IS NOT NULL",
        "SELECT k, COUNT(*) AS n FROM c FULL JOIN b USING (k) FULL JOIN p USING (k) GROUP BY k",
        "SELECT c.k, b.v, p.id FROM c JOIN b ON c.k = b.k LEFT JOIN p ON p.k = b.k AND p.v > c.v",
        "SELECT c.k, b.v, p.id FROM c FULL JOIN b ON c.k = b.k FULL JOIN p ON p.k = c.k",
        "SELECT c.v, n FROM c JOIN (SELECT k, COUNT(*) AS n FROM b GROUP BY k) AS g ON c.k = g.k",
        "SELECT n, m FROM (SELECT k, COUNT(*) AS n FROM b GROUP BY k) AS g "
        "FULL JOIN (SELECT k, MAX(v) AS m FROM c GROUP BY k) AS h ON g.k = h.k",
        "SELECT b.k, total FROM b CROSS JOIN (SELECT COUNT(*) AS total FROM c) AS n",
        "SELECT b.k, COUNT(*) AS n, SUM(c.v) AS s FROM b LEFT JOIN c ON b.k = c.k GROUP BY b.k",
        "SELECT DISTINCT b.k FROM b JOIN c ON b.v < c.v",
    ],
)
def test_forms(sql: str) -> None:
    run_every_way(sql, [CHANGES, CHANGING, UPSERTS], steps=(1, 4, 100), shuffles=())


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_of_using_is_that_of_the_side_that_is_there(kind: str) -> None:
    sql = f"SELECT k, c.v, b.v AS w FROM c {kind} b USING (k)"
    plain = sql.replace("SELECT k", "SELECT COALESCE(c.k, b.k) AS k").replace("USING (k)", "ON c.k = b.k")
    run_every_way(sql, [CHANGES, CHANGING], plain, steps=(1, 100), shuffles=())


def test_using_puts_its_columns_first() -> None:
    with session([CHANGES, CHANGING]) as env:
        assert env.sql_query("SELECT * FROM c JOIN b USING (v, k)").schema.names[:2] == ["v", "k"]


def test_a_changelog_with_a_key_updates_by_it() -> None:
    """A join that keeps the key of one side shows updates of that key, not deletions and insertions."""
    sql = "SELECT p.id, p.v, n FROM p LEFT JOIN (SELECT k, COUNT(*) AS n FROM c GROUP BY k) AS g ON p.k = g.k"
    run_every_way(sql, [UPSERTS, CHANGES], steps=(1, 3, 100))


def test_window_aggregates_joined() -> None:
    run_every_way(
        "SELECT t.k, u.v, n FROM u JOIN "
        "(SELECT k, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) "
        "GROUP BY k, window_start, window_end) AS t ON t.k = u.k",
        [EVENTS, OTHER],
    )


@pytest.mark.parametrize("on", ["a.k = b.k", "a.k = b.k AND a.v < b.v", "a.v < b.v"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_restarted_join_goes_on(kind: str, on: str) -> None:
    sql = f"SELECT a.k, a.v, b.k, b.v FROM c AS a {kind} b ON {on}"
    found = restarted(sql, [CHANGES, CHANGING], step=3)
    assert difference(found, batch(sql, [CHANGES, CHANGING])) is None


@pytest.mark.parametrize("right", [B, CHANGING], ids=["insert-only", "updating"])
@pytest.mark.parametrize(
    "condition",
    [
        "v NOT IN (SELECT v FROM b)",
        "v NOT IN (SELECT v FROM b WHERE v IS NOT NULL)",
        "v NOT IN (SELECT v FROM b WHERE v > 100)",
        "v NOT IN (SELECT v FROM b WHERE b.k = c.k)",
        "(k, v) NOT IN (SELECT k, v FROM b WHERE b.big > 1)",
        "v IN (SELECT v FROM b WHERE b.k = c.k)",
    ],
)
def test_not_in_knows_null(condition: str, right: Input) -> None:
    """A NULL on the left, among the values, or no value at all: each has a say, and each may come and go."""
    sql = f"SELECT k, v FROM c WHERE {condition}"
    run_every_way(sql, [CHANGES, right], sql, steps=(1, 5), shuffles=())
