"""Keys of lookup joins that need care: as rows are read, not as they are in the database; and keys no row can have."""

from __future__ import annotations

import uuid

import pytest

from streamsql import TableEnvironment, ValidationError
from streamsql.catalog.connectors import table_options
from streamsql.catalog.table import ObjectPath, TableDefinition
from streamsql.datatypes import DECIMAL, TIMESTAMP, DataType
from streamsql.runtime.connectors.jdbc_connection import Database
from streamsql.runtime.connectors.jdbc_types import compared_sql
from streamsql.runtime.connectors.waiting import Waiting
from streamsql.testing import source_table

from .server import Server
from .sessions import declare, rows

ON = "SELECT d.v FROM o LEFT JOIN d FOR SYSTEM_TIME AS OF PROCTIME() AS d ON o.k = d.k"


@pytest.mark.parametrize("cache", ["NONE", "PARTIAL", "FULL"])
@pytest.mark.parametrize(
    ("kind", "declared", "values", "key"),
    [
        ("numeric", "DECIMAL(10, 2)", ["1.004", "1.0"], "1.00"),
        ("numeric(10, 3)", "DECIMAL(10, 2)", ["1.004", "1.0"], "1.00"),
        ("timestamp", "TIMESTAMP(3)", ["'2024-01-01 00:00:00.1234'", "'2024-01-01 00:00:00.123'"],
         "2024-01-01 00:00:00.123"),
        ("time", "TIME(0)", ["'10:00:00.2'", "'10:00:00'"], "10:00:00"),
        ("timestamptz(6)", "TIMESTAMP_LTZ(3)", ["'2024-01-01 00:00:00.1234+00'", "'2024-01-01 00:00:00.123+00'"],
         "2024-01-01 00:00:00.123Z"),
        ("oid", "BIGINT", ["4000000000", "4000000000"], "4000000000"),
    ],
)  # fmt: skip
def test_a_key_meets_what_is_read_as_it(
    postgres: Server, cache: str, kind: str, declared: str, values: list[str], key: str
) -> None:
    table = postgres.table(f"k {kind}, v int", *(f"({value}, {n})" for n, value in enumerate(values)))
    left = postgres.table(f"k {kind}", f"('{key}')")
    with TableEnvironment() as env:
        declare(env, postgres, "d", f"k {declared}, v INT", table, lookup_cache=cache)
        declare(env, postgres, "o", f"k {declared}", left)
        assert sorted(rows(env, ON)) == [(0,), (1,)]


@pytest.mark.parametrize(
    ("kind", "declared", "compared"),
    [
        ("numeric(10, 2)", DECIMAL(10, 2), 't."k"'),
        ("numeric(10, 2)", DECIMAL(12, 4), 't."k"'),
        ("numeric(10, -2)", DECIMAL(10, 0), 't."k"'),
        ("numeric", DECIMAL(10, 2), 't."k"::numeric(10,2)'),
        ("int", DECIMAL(10, 0), 't."k"'),
        ("timestamp", TIMESTAMP(6), 't."k"'),
        ("timestamp(3)", TIMESTAMP(3), 't."k"'),
        ("timestamp", TIMESTAMP(3), 't."k"::timestamp(3)'),
        ("two_digits", DECIMAL(10, 2), 't."k"'),
        ("two_digits", DECIMAL(10, 1), 't."k"::numeric(10,1)'),
    ],
)
def test_the_column_itself_is_compared_where_nothing_is_rounded(
    postgres: Server, kind: str, declared: DataType, compared: str
) -> None:
    if kind == "two_digits":  # a domain of a domain
        names = [f"{kind}_{uuid.uuid4().hex[:8]}" for _ in range(2)]
        postgres.sql(f"CREATE DOMAIN {names[0]} AS numeric(10, 2)", f"CREATE DOMAIN {names[1]} AS {names[0]}")
        kind = names[1]
    with TableEnvironment() as env:
        declare(env, postgres, "d", "k STRING", postgres.table(f"k {kind}"))
        definition = env.catalog.require(ObjectPath("default_catalog", "default_database", "d"))
        assert isinstance(definition, TableDefinition)
        database = Database(table_options(definition), 0, "lookup.max-retries", Waiting(lambda: 0))
        assert compared_sql(database.columns()["k"], declared) == compared
        database.close()


@pytest.mark.parametrize("cache", ["NONE", "FULL"])
def test_a_text_the_database_cannot_have_meets_nothing(postgres: Server, cache: str) -> None:
    table = postgres.table("k text, n int, v int", "('a', 1, 1)")
    with TableEnvironment() as env:
        declare(env, postgres, "d", "k STRING, n INT, v INT", table, lookup_cache=cache)
        keys = [("+I", "a", 1), ("+I", "a\0", 1), ("+I", "a", 2)]
        source_table(env, "CREATE TABLE o (k STRING, n INT)", keys, step_rows=3)
        assert sorted(rows(env, ON), key=str) == [(1,), (1,), (None,)]
        assert sorted(rows(env, f"{ON} AND o.n = d.n"), key=str) == [(1,), (None,), (None,)]


def test_a_table_is_not_asked_by_an_array(postgres: Server) -> None:
    table = postgres.table("k int[], n int, v int", "('{1,2}', 1, 5)", "('{1,3}', 1, 6)")
    with TableEnvironment() as env:
        source_table(env, "CREATE TABLE o (k ARRAY<INT>, n INT)", [("+I", [1, 2], 1)])
        declare(env, postgres, "d", "k ARRAY<INT>, n INT, v INT", table)
        with pytest.raises(ValidationError, match="d cannot be asked by k, which is ARRAY<INT>"):
            env.execute_sql(ON)
        assert rows(env, f"{ON} AND o.n = d.n") == [(5,)]
        declare(env, postgres, "whole", "k ARRAY<INT>, n INT, v INT", table, lookup_cache="FULL")
        assert rows(env, ON.replace("JOIN d", "JOIN whole")) == [(5,)]
