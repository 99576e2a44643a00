"""UNION, INTERSECT and EXCEPT, with and without ALL, over inserts and changelogs."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pytest

from .data import CHANGES, EMPTY, EVENTS, OTHER, UPSERTS
from .run import run_every_way

CASES = {
    "intersect": "SELECT k FROM t INTERSECT SELECT k FROM u",
    "intersect all": "SELECT k FROM t INTERSECT ALL SELECT k FROM u",
    "except": "SELECT k FROM t EXCEPT SELECT k FROM u",
    "except all": "SELECT k FROM t EXCEPT ALL SELECT k FROM u",
    "the other way round": "SELECT k FROM u EXCEPT SELECT k FROM t",
    "two columns": "SELECT k, v FROM t INTERSECT SELECT k, v FROM u",
    "union": "SELECT k, v FROM t UNION SELECT k, v FROM u",
    "of three": "SELECT k FROM t EXCEPT SELECT k FROM u UNION SELECT k FROM u WHERE v = 2",
    "intersect binds first": "SELECT k FROM t UNION ALL SELECT k FROM u INTERSECT SELECT k FROM t",
    "with itself": "SELECT k, v FROM t EXCEPT ALL SELECT k, v FROM t WHERE b",
    "of many types": "SELECT k, v, big, x, d, s, b, ts FROM t INTERSECT ALL SELECT k, v, big, x, d, s, b, ts FROM t WHERE b IS NOT FALSE",
    "aggregated": "SELECT COUNT(*) AS n, COUNT(k) AS m FROM (SELECT k FROM t EXCEPT SELECT k FROM u) AS e",
    "of aggregates": "SELECT k, COUNT(*) AS n FROM t GROUP BY k EXCEPT SELECT k, COUNT(*) AS n FROM u GROUP BY k",
    "shared by all keys": "SELECT COUNT(*) AS n FROM t WHERE v = 2 INTERSECT SELECT COUNT(*) AS n FROM u WHERE v = 10",
}


@pytest.mark.parametrize("name", CASES)
def test_over_insertions(name: str) -> None:
    run_every_way(CASES[name], [EVENTS, OTHER], CASES[name])


@pytest.mark.parametrize("name", ["intersect", "except all", "the other way round", "shared by all keys"])
def test_with_an_empty_side(name: str) -> None:
    run_every_way(CASES[name], [EMPTY, OTHER], CASES[name], steps=(1,), shuffles=())


CHANGELOGS = {
    "intersect": "SELECT k, v FROM c INTERSECT SELECT k, v FROM p",
    "intersect all": "SELECT k, g FROM c INTERSECT ALL SELECT k, 'r' FROM p",
    "except": "SELECT k FROM c EXCEPT SELECT k FROM p",
    "except all": "SELECT k FROM c EXCEPT ALL SELECT k FROM p",
    "the other way round": "SELECT k, v FROM p EXCEPT ALL SELECT k, v FROM c",
    "union": "SELECT k, v FROM c UNION SELECT k, v FROM p",
    "all of a changelog": "SELECT k, v, g FROM c EXCEPT ALL SELECT k, v, g FROM c WHERE v > 4",
    "grouped": "SELECT k, COUNT(*) AS n FROM (SELECT k, v FROM c EXCEPT ALL SELECT k, v FROM p) AS e GROUP BY k",
}


@pytest.mark.parametrize("name", CHANGELOGS)
def test_over_changelogs(name: str) -> None:
    sql = CHANGELOGS[name]
    run_every_way(sql, [CHANGES, UPSERTS], sql, shuffles=())
