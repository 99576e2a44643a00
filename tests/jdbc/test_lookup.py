"""Lookup joins with tables of a database: one query a step, caches, retries, a server that is away."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pytest

from streamsql import StreamSqlError, TableEnvironment
from streamsql.runtime.connectors.jdbc_lookup import JdbcLookup
from streamsql.testing import sink_table, source_table
from streamsql.testing.clock import VirtualClock
from streamsql.testing.sink import SinkTable
from tests.conftest import ServerFactory

from .server import Server
from .sessions import declare, rows

ITEMS = ("(1, 'apple', 10)", "(2, 'pear', 20)", "(2, 'quince', 25)", "(4, NULL, 40)", "(NULL, 'void', 0)")
ORDERS = [("+I", n, k) for n, k in enumerate([1, 2, 3, None, 1, 4, 2])]
JOIN = "SELECT o.n, i.name, i.price FROM o {} items FOR SYSTEM_TIME AS OF {} AS i ON {}"


class Asked:
    """The keys of each query."""

    def __init__(self) -> None:
        self.queries: list[list[Any]] = []

    def take(self) -> list[list[Any]]:
        taken, self.queries = self.queries, []
        return taken


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    found = Asked()
    ask = JdbcLookup._ask

    def noting(self: JdbcLookup, keys: Sequence[pa.Array]) -> pa.Table:
        found.queries.append(sorted(keys[0].to_pylist()))
        return ask(self, keys)

    monkeypatch.setattr(JdbcLookup, "_ask", noting)
    yield found


def _items(env: TableEnvironment, server: Server, table: str | None = None, **options: str) -> str:
    table = table or server.table("id int, name text, price int", *ITEMS)
    declare(env, server, "items", "id INT, name STRING, price INT, up AS UPPER(name)", table, **options)
    return table


@pytest.mark.parametrize("kind", ["JOIN", "LEFT JOIN"])
@pytest.mark.parametrize("on", ["o.k = i.id", "o.k = i.id AND i.price + o.n > 21", "o.k = i.id AND i.up LIKE 'P%'",
                                "o.k = i.id AND o.n <> 1", "i.id = o.k AND i.price = o.n * 5 + 15"])  # fmt: skip
@pytest.mark.parametrize("cache", ["NONE", "PARTIAL", "FULL"])
def test_against_batch_mode(postgres: Server, kind: str, on: str, cache: str) -> None:
    sql = JOIN.format(kind, "PROCTIME()", on)
    found = []
    for step in (1, 3, 100):
        with TableEnvironment() as env:
            source_table(env, "CREATE TABLE o (n INT, k INT)", ORDERS, step_rows=step)
            _items(env, postgres, lookup_cache=cache)
            found.append(sorted(rows(env, sql), key=repr))
    with TableEnvironment() as env:
        env.execute_sql("SET 'execution.runtime-mode' = 'BATCH'")
        source_table(env, "CREATE TABLE o (n INT, k INT)", ORDERS)
        _items(env, postgres)
        wanted = sorted(rows(env, sql), key=repr)
    assert found == [wanted] * 3
    assert wanted


def test_keys_of_several_columns_and_types(postgres: Server) -> None:
    table = postgres.table(
        "a text, b numeric(10, 2), c date, u uuid, v int",
        "('x', 1.50, '2024-01-01', '6ecd8c99-4036-403d-bf84-cf8400f67836', 1)",
        "('x', 1.5, '2024-01-02', '6ecd8c99-4036-403d-bf84-cf8400f67836', 2)",
        """('"\\,{}', 1.5, '2024-01-02', '00000000-4036-403d-bf84-cf8400f67836', 3)""",
    )
    for on, wanted in (
        ("o.a = d.a AND o.b = d.b AND o.c = d.c", [("x", 2), ('"\\,{}', 3)]),
        ("o.a = d.a", [("x", 1), ("x", 2), ('"\\,{}', 3)]),
        ("o.b = d.b AND d.v > 2", [("x", 3), ('"\\,{}', 3)]),
        ("o.c = d.c AND d.a = o.a", [("x", 2), ('"\\,{}', 3)]),
        ("o.u = d.u", [("x", 1), ("x", 2)]),
    ):
        with TableEnvironment() as env:
            declare(env, postgres, "d", "a STRING, b DECIMAL(10, 2), c DATE, u STRING, v INT", table)
            source_table(
                env,
                "CREATE TABLE o (a STRING, b DECIMAL(10, 2), c DATE, u STRING)",
                [("+I", "x", "1.5", "2024-01-02", "6ecd8c99-4036-403d-bf84-cf8400f67836"),
                 ("+I", '"\\,{}', "1.5", "2024-01-02", "11111111-4036-403d-bf84-cf8400f67836"),
                 ("+I", None, "0", None, None)],
                step_rows=3,
            )  # fmt: skip
            sql = f"SELECT o.a, d.v FROM o JOIN d FOR SYSTEM_TIME AS OF PROCTIME() ON {on}"
            assert sorted(rows(env, sql)) == sorted(wanted), on


@pytest.mark.parametrize(
    ("kind", "declared", "values"),
    [
        ("boolean", "BOOLEAN", ["true", "false"]),
        ("smallint", "TINYINT", ["-128", "127"]),
        ("bigint", "BIGINT", ["9223372036854775807", "0"]),
        ("real", "FLOAT", ["0.1", "-1e30"]),
        ("double precision", "DOUBLE", ["0.1", "1e300"]),
        ("numeric", "DECIMAL(20, 4)", ["12.5", "-0.0001"]),
        ("date", "DATE", ["'2024-02-29'", "'0001-01-01'"]),
        ("time", "TIME(6)", ["'23:59:59.000001'", "'00:00:00'"]),
        ("timestamp", "TIMESTAMP(6)", ["'2024-02-29 10:00:00.000001'", "'1969-12-31 23:59:59'"]),
        ("timestamptz", "TIMESTAMP_LTZ(3)", ["'2024-02-29 10:00:00.123+00'", "'1969-12-31 23:59:59+00'"]),
        ("bytea", "BYTES", [r"'\x00ff'", r"'\x'"]),
        ("char(4)", "CHAR(4)", ["'ab'", "'abcd'"]),
        ("text", "STRING", ["''", "'NULL'"]),
        (
            "uuid",
            "STRING",
            ["'6ecd8c99-4036-403d-bf84-cf8400f67836'", "'00000000-0000-0000-0000-000000000000'"],
        ),
    ],
)
def test_keys_of_every_type(postgres: Server, kind: str, declared: str, values: list[str]) -> None:
    table = postgres.table(f"k {kind}, n int", f"({values[0]}, 1)", f"({values[1]}, 2)", "(NULL, 3)")
    left = postgres.table(f"k {kind}, m int", f"({values[1]}, 20)", f"({values[0]}, 10)", "(NULL, 30)")
    with TableEnvironment() as env:
        declare(env, postgres, "o", f"k {declared}, m INT", left)
        declare(env, postgres, "d", f"k {declared}, n INT", table)
        sql = "SELECT o.m, d.n FROM o LEFT JOIN d FOR SYSTEM_TIME AS OF PROCTIME() ON o.k = d.k"
        assert sorted(rows(env, sql), key=str) == [(10, 1), (20, 2), (30, None)]


def test_views_and_time_attributes(postgres: Server) -> None:
    with TableEnvironment() as env:
        source_table(env, "CREATE TABLE o (n INT, k INT, pt AS PROCTIME())", ORDERS, step_rows=2)
        _items(env, postgres)
        env.execute_sql(
            "CREATE VIEW dear AS SELECT id AS code, price * 2 AS twice FROM items WHERE price > 15"
        )
        sql = "SELECT o.n, d.twice FROM o JOIN dear FOR SYSTEM_TIME AS OF o.pt AS d ON d.code = o.k"
        assert "LookupJoin" in env.explain_sql(sql)
        assert sorted(rows(env, sql)) == [(1, 40), (1, 50), (5, 80), (6, 40), (6, 50)]


def test_a_step_asks_once_for_its_distinct_keys(postgres: Server, asked: Asked) -> None:
    with TableEnvironment() as env:
        source_table(env, "CREATE TABLE o (n INT, k INT)", ORDERS, step_rows=5)
        _items(env, postgres)
        found = rows(env, JOIN.format("LEFT JOIN", "PROCTIME()", "o.k = i.id"))
        assert [row[0] for row in found] == [0, 1, 1, 2, 4, 3, 5, 6, 6]
    assert asked.take() == [[1, 2, 3], [2, 4]]


def test_a_large_step(postgres: Server, asked: Asked) -> None:
    table = postgres.table("id int PRIMARY KEY, name text, price int")
    postgres.sql(f"INSERT INTO {table} SELECT i, 'n' || i, i % 7 FROM generate_series(0, 99998, 2) AS i")
    with TableEnvironment() as env:
        env.create_temporary_view(
            "o", env.from_arrow(pa.table({"n": range(60_000), "k": pa.array(range(60_000), pa.int32())}))
        )
        _items(env, postgres, table, lookup_cache="PARTIAL")
        joined = "o LEFT JOIN items FOR SYSTEM_TIME AS OF PROCTIME() AS i ON o.k = i.id"
        sql = f"SELECT COUNT(*), COUNT(i.id), SUM(i.price) FROM {joined}"
        assert rows(env, sql)[-1] == (60_000, 30_000, sum(i % 7 for i in range(0, 60_000, 2)))
    assert [len(q) for q in asked.take()] == [20_000] * 3


class Running:
    """A job that joins rows as they are sent."""

    def __init__(self, server: Server, kind: str = "LEFT JOIN", hint: str = "", **options: str) -> None:
        self.server = server
        self.clock = VirtualClock()
        self.env = self.clock.environment()
        self.source = source_table(self.env, "CREATE TABLE o (n INT, k INT)", bounded=False, rows=[])
        self.table = _items(self.env, server, **options)
        self.sink: SinkTable = sink_table(self.env, "CREATE TABLE s (n INT, name STRING, price INT)")
        sql = JOIN.format(kind, "PROCTIME()", "o.k = i.id").replace("SELECT", f"SELECT {hint}", 1)
        self.job = self.env.execute_sql(f"INSERT INTO s {sql}")

    def send(self, *keys: int) -> list[tuple[Any, ...]]:
        """What comes out for rows with these keys, and whatever else has come since."""
        self.sink.clear()
        self.source.add(*(("+I", 0, k) for k in keys))
        return self.found()

    def after(self, ms: int) -> list[tuple[Any, ...]]:
        self.sink.clear()
        self.clock.advance_time(ms)
        return self.found()

    def found(self) -> list[tuple[Any, ...]]:
        return [tuple(row)[1:] for row in self.sink.changelog()]

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.env.close()


def test_without_a_cache_rows_are_as_they_are(postgres: Server, asked: Asked) -> None:
    with Running(postgres) as job:
        assert job.send(1) == [("apple", 10)]
        postgres.sql(f"UPDATE {job.table} SET price = 11 WHERE id = 1")
        assert job.send(1) == [("apple", 11)]
        assert job.send(9) == job.send(9) == [(None, None)]
    assert asked.take() == [[1], [1], [9], [9]]


def test_the_partial_cache(postgres: Server, asked: Asked) -> None:
    with Running(postgres, lookup_cache="PARTIAL") as job:
        assert sorted(job.send(1, 2)) == [("apple", 10), ("pear", 20), ("quince", 25)]
        postgres.sql(f"UPDATE {job.table} SET price = 0")
        assert job.send(2) == [("pear", 20), ("quince", 25)]
        assert job.send(9) == job.send(9) == [(None, None)]
        assert job.send(2, 4, 9) == [("pear", 20), ("quince", 25), (None, 0), (None, None)]
    assert [key for query in asked.take() for key in query] == [1, 2, 9, 4]


def test_missing_keys_need_not_be_remembered(postgres: Server, asked: Asked) -> None:
    options = {"lookup_cache": "PARTIAL", "lookup_partial__cache_cache__missing__key": "false"}
    with Running(postgres, **options) as job:
        job.send(1)
        job.send(9)
        asked.take()
        assert job.send(9) == [(None, None)]
        assert asked.take() == [[9]]
        postgres.sql(f"INSERT INTO {job.table} VALUES (9, 'new', 9)")
        assert job.send(9) == [("new", 9)]
        job.send(9, 1)
        assert asked.take() == [[9]]


def test_the_cache_forgets_after_writing(postgres: Server, asked: Asked) -> None:
    with Running(postgres, lookup_cache="PARTIAL", lookup_partial__cache_expire__after__write="10 s") as job:
        job.send(1)
        job.after(9_999)
        job.send(1)
        assert asked.take() == [[1]]
        job.after(1)
        postgres.sql(f"UPDATE {job.table} SET price = 11 WHERE id = 1")
        assert job.send(1) == [("apple", 11)]
        assert asked.take() == [[1]]


def test_the_cache_forgets_what_is_not_used(postgres: Server, asked: Asked) -> None:
    with Running(postgres, lookup_cache="PARTIAL", lookup_partial__cache_expire__after__access="10 s") as job:
        for _ in range(4):
            job.send(1)
            job.after(9_000)
        assert asked.take() == [[1]]
        job.after(1_000)
        job.send(1)
        assert asked.take() == [[1]]


def test_the_cache_is_bounded(postgres: Server, asked: Asked) -> None:
    with Running(postgres, lookup_cache="PARTIAL", lookup_partial__cache_max__rows="3") as job:
        job.send(1)
        job.send(2)  # two rows
        job.send(1)
        assert asked.take() == [[1], [2]]
        job.send(4)  # 2 was not used for longest
        job.send(1)
        job.send(4)
        assert asked.take() == [[4]]
        assert job.send(2) == [("pear", 20), ("quince", 25)]
        assert asked.take() == [[2]]


# -- the whole table --------------------------------------------------------------------------------------------------


def _until(job: Running, keys: Sequence[int], wanted: list[tuple[Any, ...]]) -> None:
    """Rows are sent until they meet what was read again: a thread reads."""
    deadline = time.monotonic() + 30
    while (found := job.send(*keys)) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_the_whole_table_is_read_once(postgres: Server, asked: Asked) -> None:
    with Running(postgres, lookup_cache="FULL") as job:
        postgres.sql(f"UPDATE {job.table} SET price = 0")
        assert job.send(2, 9) == [("pear", 20), ("quince", 25), (None, None)]
        job.after(86_400_000)
        assert job.send(1) == [("apple", 10)]
    assert asked.take() == []


@pytest.mark.parametrize("mode", ["FIXED_DELAY", "FIXED_RATE"])
def test_the_whole_table_is_read_again(postgres: Server, mode: str) -> None:
    options = {"lookup_cache": "FULL", "lookup_full__cache_periodic__reload_interval": "1 min",
               "lookup_full__cache_periodic__reload_schedule__mode": mode}  # fmt: skip
    with Running(postgres, **options) as job:
        postgres.sql(f"DELETE FROM {job.table} WHERE name = 'pear'", f"UPDATE {job.table} SET price = 0")
        job.after(59_999)
        assert job.send(2) == [("pear", 20), ("quince", 25)]
        job.after(1)
        _until(job, [2, 1], [("quince", 0), ("apple", 0)])
        postgres.sql(f"UPDATE {job.table} SET price = 1")
        job.after(59_999)
        assert job.send(1) == [("apple", 0)]
        job.after(1)
        _until(job, [1], [("apple", 1)])


def test_the_whole_table_is_read_at_a_time_of_day(postgres: Server) -> None:
    options = {"lookup_cache": "FULL", "lookup_full__cache_reload__strategy": "TIMED",
               "lookup_full__cache_timed__reload_iso__time": "04:30+02:00"}  # fmt: skip
    with Running(postgres, **options) as job:
        postgres.sql(f"UPDATE {job.table} SET price = 0")
        job.after(9_000_000 - 1)  # the clock starts at midnight UTC
        assert job.send(1) == [("apple", 10)]
        job.after(1)
        _until(job, [1], [("apple", 0)])


def test_where_reading_again_fails_the_old_rows_stay(postgres: Server) -> None:
    options = {"lookup_cache": "FULL", "lookup_full__cache_periodic__reload_interval": "1 h",
               "lookup_max__retries": "0"}  # fmt: skip
    with Running(postgres, **options) as job:
        postgres.sql(f"ALTER TABLE {job.table} RENAME TO {job.table}_away")
        job.after(3_600_000)
        (running,) = job.env.jobs()
        deadline = time.monotonic() + 30
        while not (lines := running.metrics().status_lines):
            assert job.send(1) == [("apple", 10)]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "reading it again failed, the rows read before are used" in lines[0]
        postgres.sql(
            f"ALTER TABLE {job.table}_away RENAME TO {job.table}", f"UPDATE {job.table} SET price = 1"
        )
        job.after(60_000)
        _until(job, [1], [("apple", 1)])


# -- looking again, and a server that is away -------------------------------------------------------------------------

RETRY = ("/*+ LOOKUP('table'='i', 'retry-predicate'='lookup_miss', 'retry-strategy'='fixed_delay', "
         "'fixed-delay'='10 s', 'max-attempts'='2', 'async'='false') */")  # fmt: skip


@pytest.mark.parametrize("cache", ["NONE", "PARTIAL"])
def test_a_row_that_misses_is_looked_up_again(postgres: Server, asked: Asked, cache: str) -> None:
    with Running(postgres, hint=RETRY, lookup_cache=cache) as job:
        assert job.send(9) == []
        assert job.send(1) == [("apple", 10)]
        assert job.after(9_999) == []
        postgres.sql(f"INSERT INTO {job.table} VALUES (9, 'new', 90)")
        assert job.after(1) == [("new", 90)]
        assert job.send(9) == [("new", 90)]
        assert asked.take() == ([[9], [1], [9], [9]] if cache == "NONE" else [[9], [1], [9]])
        assert job.send(8) == []
        assert job.after(10_000) == []
        assert job.after(10_000) == [(None, None)]
        assert asked.take() == [[8], [8], [8]]


def test_at_the_end_rows_that_wait_are_waited_for(postgres: Server) -> None:
    hint = RETRY.replace("10 s", "100 ms")
    for kind, wanted in (("LEFT JOIN", [("apple", 10), (None, None)]), ("JOIN", [("apple", 10)])):
        with TableEnvironment() as env:
            source_table(env, "CREATE TABLE o (n INT, k INT)", [("+I", 0, 9), ("+I", 0, 1)], step_rows=2)
            _items(env, postgres)
            sql = JOIN.format(kind, "PROCTIME()", "o.k = i.id").replace("SELECT", f"SELECT {hint}", 1)
            assert [row[1:] for row in rows(env, sql)] == wanted


def test_a_drained_job_looks_a_last_time(postgres: Server) -> None:
    with Running(postgres, hint=RETRY) as job:
        assert job.send(9, 8) == []
        postgres.sql(f"INSERT INTO {job.table} VALUES (9, 'new', 90)")
        (running,) = job.env.jobs()
        running.stop(drain=True)
        assert running.status == "FINISHED"
        assert job.found() == [("new", 90), (None, None)]


def test_rows_that_wait_hold_the_watermark(postgres: Server) -> None:
    clock = VirtualClock()
    with clock.environment() as env:
        source = source_table(
            env, "CREATE TABLE o (k INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)", bounded=False, rows=[]
        )
        table = _items(env, postgres)
        sink = sink_table(env, "CREATE TABLE s (at TIMESTAMP(3), n BIGINT, price INT)")
        env.execute_sql(
            "INSERT INTO s SELECT window_start, COUNT(*), SUM(price) FROM TABLE(TUMBLE(TABLE (SELECT "
            f"{RETRY} o.ts, i.price FROM o LEFT JOIN items FOR SYSTEM_TIME AS OF PROCTIME() AS i ON o.k = i.id), "
            "DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end"
        )
        source.add(
            ("+I", 9, "2024-01-01 00:00:01"),
            ("+I", 1, "2024-01-01 00:00:02"),
            ("+I", 1, "2024-01-01 00:00:30"),
        )
        assert sink.rows() == []
        postgres.sql(f"INSERT INTO {table} VALUES (9, 'new', 90)")
        clock.advance_time(10_000)
        assert [tuple(row)[1:] for row in sink.rows()] == [(2, 100)]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_server_that_is_away_holds_its_rows_only(postgres_factory: ServerFactory, how: str) -> None:
    server = postgres_factory()
    with Running(server, lookup_max__retries="4", lookup_cache="PARTIAL") as job:
        assert job.send(1) == [("apple", 10)]
        getattr(server, how)()
        assert job.send(1) == [("apple", 10)]  # the cache
        assert job.send(2) == []
        assert job.send(1) == []  # in order
        time.sleep(0.7)
        (running,) = job.env.jobs()
        (line,) = running.metrics().status_lines
        assert "is away since 0 s" in line
        assert "retry 1 of 4 follows" in line
        assert job.after(1_000) == []
        server.start()
        assert job.after(2_000) == [("pear", 20), ("quince", 25), ("apple", 10)]
        time.sleep(0.7)
        assert running.metrics().status_lines == []
        assert job.send(4) == [(None, 40)]


def test_a_server_that_stays_away_ends_the_job(postgres_factory: ServerFactory) -> None:
    server = postgres_factory()
    with Running(server, lookup_max__retries="1") as job:
        server.stop()
        assert job.send(1) == []
        with pytest.raises(StreamSqlError) as e:
            job.after(1_000)
            job.job.wait()
        assert "is away: " in str(e.value)
        assert "raise 'lookup.max-retries' to wait longer" in str(e.value)


def test_an_answer_that_is_an_error(postgres: Server) -> None:
    with Running(postgres) as job:
        postgres.sql(f"ALTER TABLE {job.table} DROP COLUMN price")
        with pytest.raises(StreamSqlError, match=r"column t\.price does not exist"):
            job.send(1)
            job.job.wait()
