"""Lookup joins in steps of several sizes, as jobs that die and go on, and in batch mode: all the same."""

from __future__ import annotations

import pytest

from tests.oracle.data import EVENTS
from tests.oracle.run import run_every_way
from tests.oracle.tables import Input

from .server import Server

T = Input("t", EVENTS.rows, "ts", 5)
ROWS = ("('a', 1, 10)", "('b', 2, 20)", "('b', 3, 25)", "(NULL, 4, 40)", "('zz', 5, 50)")
RETRY = (
    "/*+ LOOKUP('table'='d', 'retry-predicate'='lookup_miss', 'retry-strategy'='fixed_delay', "
    "'fixed-delay'='10 ms', 'max-attempts'='2') */"
)


@pytest.mark.parametrize("cache", ["NONE", "PARTIAL", "FULL"])
@pytest.mark.parametrize("kind", ["JOIN", "LEFT JOIN"])
def test_joined_rows(postgres: Server, cache: str, kind: str) -> None:
    table = postgres.table("k text, n int, v int", *ROWS)
    setup = [f"CREATE TABLE d (k STRING, n INT, v INT) {postgres.with_options(table, lookup_cache=cache)}"]
    sql = f"SELECT t.k, t.v, d.n FROM t {kind} d FOR SYSTEM_TIME AS OF PROCTIME() ON t.k = d.k AND d.v > t.v"
    assert run_every_way(sql, T, setup=setup, steps=(7,))


@pytest.mark.parametrize("hint", ["", RETRY], ids=["plain", "retry"])
def test_windows_over_joined_rows(postgres: Server, hint: str) -> None:
    table = postgres.table("k text PRIMARY KEY, n int", "('a', 1)", "('c', 3)")
    setup = [f"CREATE TABLE d (k STRING, n INT, PRIMARY KEY (k) NOT ENFORCED) {postgres.with_options(table)}"]
    joined = f"SELECT {hint} t.ts, t.k, d.n FROM t LEFT JOIN d FOR SYSTEM_TIME AS OF PROCTIME() ON t.k = d.k"
    sql = (
        "SELECT window_start, n, COUNT(*) AS c, COUNT(k) AS k FROM "
        f"TABLE(TUMBLE(TABLE ({joined}), DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, n"
    )
    assert run_every_way(sql, T, setup=setup, steps=(7,))


def test_a_table_read_by_key_and_in_parts(postgres: Server) -> None:
    table = postgres.table("k text, n int PRIMARY KEY, v int")
    postgres.sql(f"INSERT INTO {table} SELECT chr(97 + i % 5), i, i % 11 FROM generate_series(1, 60) AS i")
    key = "n INT, k STRING, v INT, PRIMARY KEY (n) NOT ENFORCED"
    parts = {
        "scan_partition_column": "n",
        "scan_partition_num": "3",
        "scan_partition_lower__bound": "1",
        "scan_partition_upper__bound": "60",
    }
    setup = [
        f"CREATE TABLE d ({key}) {postgres.with_options(table)}",
        f"CREATE TABLE p ({key}) {postgres.with_options(table, **parts)}",
    ]
    sql = "SELECT d.k, COUNT(*) AS c, SUM(p.v) AS s FROM d JOIN p ON d.n = p.n + 1 GROUP BY d.k"
    assert run_every_way(sql, T, setup=setup, steps=(7,))
