"""Reading tables of a database: types, parts, resuming, and what is refused."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping
from decimal import Decimal

import pytest

from streamsql import ConfigError, StreamSqlError, TableEnvironment
from streamsql.catalog.connectors import table_options
from streamsql.catalog.table import ObjectPath, TableDefinition
from streamsql.datatypes import INT, STRING
from streamsql.runtime.connectors import create_source
from streamsql.runtime.connectors.base import SourceContext
from streamsql.schema import Field, Schema
from tests.conftest import ServerFactory

from .server import Server
from .sessions import declare, rows

EVERY = [
    # type in the database, declared, value in SQL, value read
    ("boolean", "BOOLEAN", "true", True),
    ("smallint", "TINYINT", "-128", -128),
    ("smallint", "SMALLINT", "7", 7),
    ("integer", "INT", "-2147483648", -2147483648),
    ("serial", "INT", "3", 3),
    ("integer", "BIGINT", "8", 8),
    ("bigint", "BIGINT", "9223372036854775807", 9223372036854775807),
    ("real", "FLOAT", "1.5", 1.5),
    ("real", "DOUBLE", "0.25", 0.25),
    ("double precision", "DOUBLE", "1e300", 1e300),
    ("numeric(10, 2)", "DECIMAL(10, 2)", "-12345678.90", Decimal("-12345678.90")),
    ("numeric", "DECIMAL(38, 10)", "1234567890123456789012345678.0123456789",
     Decimal("1234567890123456789012345678.0123456789")),
    ("numeric", "DECIMAL(5, 1)", "2.25", Decimal("2.3")),
    ("integer", "DECIMAL(12, 2)", "5", Decimal("5.00")),
    ("date", "DATE", "'0099-12-31'", dt.date(99, 12, 31)),
    ("time", "TIME(6)", "'23:59:59.123456'", dt.time(23, 59, 59, 123456)),
    ("time", "TIME(0)", "'10:00:00.4'", dt.time(10)),
    ("timestamp", "TIMESTAMP(3)", "'2024-02-29 10:11:12.3456'", dt.datetime(2024, 2, 29, 10, 11, 12, 346000)),
    ("timestamptz", "TIMESTAMP_LTZ(6)", "'2024-02-29 12:00:00.000001+02'",
     dt.datetime(2024, 2, 29, 10, 0, 0, 1, tzinfo=dt.UTC)),
    ("text", "STRING", r"E'a\\b''c\n'", "a\\b'c\n"),
    ("varchar(9)", "VARCHAR(9)", "'ä€😀'", "ä€😀"),
    ("char(5)", "CHAR(5)", "'ab'", "ab"),
    ("bytea", "BYTES", r"'\x00ff27'", b"\x00\xff'"),
    ("uuid", "STRING", "'6ecd8c99-4036-403d-bf84-cf8400f67836'", "6ecd8c99-4036-403d-bf84-cf8400f67836"),
    ("jsonb", "STRING", """'{"a": [1, null]}'""", '{"a": [1, null]}'),
    ("inet", "STRING", "'10.0.0.1/8'", "10.0.0.1/8"),
    ("numeric", "STRING", "'NaN'", "NaN"),
    ("timestamptz", "STRING", "'infinity'", "infinity"),
    ("integer[]", "ARRAY<INT>", "'{1,NULL,3}'", [1, None, 3]),
    ("text[]", "ARRAY<STRING>", """'{"x,y","\\"",NULL}'""", ["x,y", '"', None]),
    ("numeric[]", "ARRAY<DECIMAL(6, 2)>", "'{1.234,-5}'", [Decimal("1.23"), Decimal("-5.00")]),
    ("timestamp[]", "ARRAY<TIMESTAMP(0)>", "'{2024-01-01 00:00:00.6}'", [dt.datetime(2024, 1, 1, 0, 0, 1)]),
]  # fmt: skip


def test_every_type(postgres: Server) -> None:
    kinds = ", ".join(f"c{i} {kind}" for i, (kind, *_) in enumerate(EVERY))
    nulls = ", ".join("0" if kind == "serial" else "NULL" for kind, *_ in EVERY)
    table = postgres.table(kinds, f"({', '.join(value for _, _, value, _ in EVERY)})", f"({nulls})")
    with TableEnvironment() as env:
        columns = ", ".join(f"c{i} {declared}" for i, (_, declared, *_) in enumerate(EVERY))
        declare(env, postgres, "t", columns, table)
        first, second = rows(env, "SELECT * FROM t")
        assert list(first) == [wanted for *_, wanted in EVERY]
        assert [v for v in second if v is not None] == [0]
        in_batch = TableEnvironment()
        in_batch.execute_sql("SET 'execution.runtime-mode' = 'BATCH'")
        declare(in_batch, postgres, "t", columns, table)
        assert rows(in_batch, "SELECT * FROM t") == [first, second]
        in_batch.close()


def test_only_the_columns_that_are_used_are_read(postgres: Server) -> None:
    table = postgres.table("a int, b numeric", "(1, 'NaN')", "(2, 0)")
    with TableEnvironment() as env:
        declare(env, postgres, "t", "a INT, b DECIMAL(5, 2), twice AS a * 2", table)
        assert rows(env, "SELECT twice FROM t") == [(2,), (4,)]
        assert rows(env, "SELECT COUNT(*) FROM t") == [(2,)]
        assert rows(env, "SELECT SUM(a) FROM t WHERE a > 5") == [(None,)]


def test_names_fold_to_lower_case_as_in_the_database(postgres: Server) -> None:
    table = postgres.table('userid int, "Exact" int, "from" int', "(1, 2, 3)")
    with TableEnvironment() as env:
        declare(env, postgres, "t", "userId INT, `Exact` INT, `from` INT", table)
        assert rows(env, "SELECT * FROM t") == [(1, 2, 3)]


def test_a_schema_a_view_and_parameters_of_the_url(postgres: Server) -> None:
    table = postgres.table("a int", "(1)")
    postgres.sql(
        "CREATE SCHEMA IF NOT EXISTS shop",
        "DROP VIEW IF EXISTS shop.v",
        f"CREATE VIEW shop.v AS SELECT a + 1 AS a FROM {table}",
    )
    with TableEnvironment() as env:
        declare(
            env, postgres, "v", "a INT", "shop.v", url=postgres.url + "?sslmode=disable&ApplicationName=x%20y"
        )
        declare(env, postgres, "w", "a INT", "v", url=postgres.url + "?currentSchema=shop")
        assert rows(env, "SELECT * FROM v") == rows(env, "SELECT * FROM w") == [(2,)]


@pytest.mark.parametrize(
    ("kind", "declared", "value", "low", "high"),
    [
        ("int", "INT", "i", "10", "59"),
        ("numeric(9, 1)", "DECIMAL(9, 1)", "i + 0.5", "10", "60"),
        ("date", "DATE", "DATE '2024-01-01' + i", "19733", "19782"),
        ("timestamp", "TIMESTAMP(3)", "TIMESTAMP '2024-01-01' + make_interval(days => i)",
         "1704931200000", "1709164800000"),
        ("timestamptz", "TIMESTAMP_LTZ(3)", "TIMESTAMPTZ '2024-01-01 00:00+00' + make_interval(days => i)",
         "1704931200000", "1709164800000"),
    ],
)  # fmt: skip
def test_parts(postgres: Server, kind: str, declared: str, value: str, low: str, high: str) -> None:
    table = postgres.table(f"i int, p {kind}")
    postgres.sql(f"INSERT INTO {table} SELECT i, {value} FROM generate_series(0, 99) AS i")
    options = {"scan_partition_column": "p", "scan_partition_num": "7", "scan_partition_lower__bound": low,
               "scan_partition_upper__bound": high}  # fmt: skip
    with TableEnvironment() as env:
        declare(env, postgres, "t", f"i INT, p {declared}", table, **options)
        assert sorted(rows(env, "SELECT i FROM t")) == [(i,) for i in range(10, 60)]


def test_many_rows_a_few_at_a_time(postgres: Server) -> None:
    table = postgres.table("i int PRIMARY KEY, s text")
    postgres.sql(f"INSERT INTO {table} SELECT i, repeat('x', i % 50) FROM generate_series(1, 30000) AS i")
    with TableEnvironment() as env:
        declare(
            env, postgres, "t", "i INT, s STRING", table, scan_fetch__size="1000", scan_auto__commit="false"
        )
        assert rows(env, "SELECT COUNT(*), SUM(i), SUM(CHAR_LENGTH(s)) FROM t")[-1] == (
            30000,
            450015000,
            735000,
        )


# -- resuming ---------------------------------------------------------------------------------------------------------


def _read(
    definition: TableDefinition, positions: Mapping[str, str], most: int, size: int
) -> tuple[list[int], dict[str, str]]:
    """Up to ``most`` rows from these positions, ``size`` at a time; and the positions then."""
    ready = threading.Event()
    columns = [c for c in definition.physical_columns if c.type is not None]
    physical = Schema(tuple(Field(c.name, c.type) for c in columns if c.type is not None)[:1])
    source = create_source(
        SourceContext(
            table=definition, options=table_options(definition), physical=physical, metadata=(),
            metadata_schema=Schema(()), positions=positions, wake=ready.set, now_ms=lambda: 0,
        )
    )  # fmt: skip
    found: list[int] = []
    reached = dict(positions)
    finished: set[str] = set()
    source.start()
    try:
        while len(found) < most and finished != set(source.splits()):
            ready.clear()
            batch = source.poll(min(size, most - len(found)))
            if batch is None:
                assert ready.wait(20)
                continue
            reached |= batch.positions
            finished |= batch.finished
            if batch.batch is not None:
                found += batch.batch.rows.column(0).to_pylist()
    finally:
        source.close()
    return found, reached


@pytest.mark.parametrize("key", ["", ", PRIMARY KEY (i) NOT ENFORCED", ", PRIMARY KEY (s, i) NOT ENFORCED"])
def test_reading_goes_on_where_it_stopped(postgres: Server, key: str) -> None:
    table = postgres.table("i int, s text", *(f"({i}, 'it''s \\{i % 3}')" for i in range(100)))
    with TableEnvironment() as env:
        declare(env, postgres, "t", f"i INT, s STRING{key}", table)
        definition = _definition(env, "t")
        whole, _ = _read(definition, {}, 1000, 17)
        assert sorted(whole) == list(range(100))
        taken: list[int] = []
        positions: dict[str, str] = {}
        for _ in range(9):
            more, positions = _read(definition, positions, 13, 5)
            taken += more
        assert taken == whole


def test_rows_that_come_in_between_are_not_read_twice(postgres: Server) -> None:
    table = postgres.table("i int PRIMARY KEY", *(f"({i})" for i in range(10, 20)))
    with TableEnvironment() as env:
        declare(env, postgres, "t", "i INT, PRIMARY KEY (i) NOT ENFORCED", table)
        first, positions = _read(_definition(env, "t"), {}, 4, 4)
        postgres.sql(f"INSERT INTO {table} VALUES (1), (15000)", f"DELETE FROM {table} WHERE i < 13")
        rest, _ = _read(_definition(env, "t"), positions, 100, 4)
        assert first + rest == [*range(10, 20), 15000]


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ("a INT", {"table__name": "nowhere"}, "has no table nowhere"),
        ("missing INT", {}, "column 'missing' is not in table"),
        ("b INT", {}, "is text in the database, and declared INT\nHint: declare it STRING"),
        ("a STRING, t TIMESTAMP(3)", {}, "is timestamp with time zone in the database, and declared TIMESTAMP(3)\n"
         "Hint: declare it TIMESTAMP_LTZ(6) or STRING"),
        ("l ARRAY<STRING>, a SMALLINT", {}, "is integer in the database, and declared SMALLINT\n"
         "Hint: declare it INT or STRING"),
        ("n DECIMAL(3, 1)", {}, "numeric field overflow"),
        ("a INT", {"username": "nobody_here"}, 'role "nobody_here" does not exist'),
        ("a INT", {"url": "jdbc:postgresql://127.0.0.1:1/x", "lookup_max__retries": "0"}, "is away: "),
        ("a INT", {"url": "jdbc:postgresql://127.0.0.1:99999/x"}, "says: Failed to connect: invalid port number"),
        ("a INT", {"url": "jdbc:postgresql://127.0.0.1:1/x?sslmode=foo"}, 'says: Failed to connect: invalid sslmode'),
        ("a INT", {"url": "jdbc:postgresql://127.0.0.1:1/a%00b"}, "says: Failed to connect: forbidden value %00"),
    ],
)  # fmt: skip
def test_wrong_tables(postgres: Server, columns: str, options: dict[str, str], message: str) -> None:
    table = postgres.table("a int, b text, t timestamptz, l int[], n numeric", "(1, 'x', now(), '{1}', 100)")
    with TableEnvironment() as env:
        options = {"table": table} | {k.replace("table__name", "table"): v for k, v in options.items()}
        declare(env, postgres, "t", columns, **options)
        with pytest.raises(StreamSqlError) as e:
            rows(env, "SELECT * FROM t")
        assert message in str(e.value) or message in str(e.value.__cause__)


def test_a_time_that_we_do_not_have(postgres: Server) -> None:
    table = postgres.table("t timestamp", "('infinity')")
    with TableEnvironment() as env:
        declare(env, postgres, "t", "t TIMESTAMP(3)", table)
        with pytest.raises(StreamSqlError, match="outside of the years 1 to 9999"):
            rows(env, "SELECT * FROM t")


def test_without_the_driver_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "adbc_driver_postgresql.dbapi", None)
    with TableEnvironment() as env:
        env.execute_sql(
            "CREATE TABLE t (a INT) WITH ('connector' = 'jdbc', 'url' = 'jdbc:postgresql://h/d', 'table-name' = 't')"
        )
        with pytest.raises(ConfigError) as e:
            env.execute_sql("SELECT * FROM t")
        assert "pip install 'streamsql[postgres]'" in str(e.value)


def test_a_server_that_goes_away_while_it_is_read(postgres_factory: ServerFactory) -> None:
    server = postgres_factory()
    server.sql("CREATE TABLE big (i int PRIMARY KEY, s text)",
               "INSERT INTO big SELECT i, repeat('x', 200) FROM generate_series(1, 600000) AS i")  # fmt: skip
    with TableEnvironment() as env:
        declare(env, server, "t", "i INT, s STRING, PRIMARY KEY (i) NOT ENFORCED", "big", lookup_max__retries="30",
                connection_max__retry__timeout="1 s")  # fmt: skip
        definition = _definition(env, "t")
        columns = Schema((Field("i", INT()), Field("s", STRING())))
        ready = threading.Event()
        source = create_source(
            SourceContext(
                table=definition, options=table_options(definition), physical=columns, metadata=(),
                metadata_schema=Schema(()), positions={}, wake=ready.set, now_ms=lambda: 0,
            )
        )  # fmt: skip
        source.start()
        found: list[int] = []
        restarted = False
        try:
            while True:
                ready.clear()
                batch = source.poll(100_000)
                if batch is None:
                    assert ready.wait(60)
                    continue
                if batch.finished:
                    break
                assert batch.batch is not None
                found += batch.batch.rows.column(0).to_pylist()
                if not restarted:
                    server.kill()
                    server.start()
                    restarted = True
        finally:
            source.close()
        assert found == list(range(1, 600_001))


def _definition(env: TableEnvironment, name: str) -> TableDefinition:
    found = env.catalog.require(ObjectPath("default_catalog", "default_database", name))
    assert isinstance(found, TableDefinition)
    return found
