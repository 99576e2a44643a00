"""Writing tables of a database: types, upserts and deletions by key, batches, a server that is away."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest

from streamsql import StreamSqlError, TableEnvironment
from streamsql.testing import source_table
from streamsql.testing.clock import VirtualClock
from tests.conftest import ServerFactory

from .server import Server
from .sessions import declare, rows
from .test_source import EVERY


def test_every_type_there_and_back(postgres: Server) -> None:
    kinds = ", ".join(f"c{i} {kind}" for i, (kind, *_) in enumerate(EVERY))
    source = postgres.table(kinds, f"({', '.join(value for _, _, value, _ in EVERY)})")
    target = postgres.table(kinds)
    columns = ", ".join(f"c{i} {declared}" for i, (_, declared, *_) in enumerate(EVERY))
    with TableEnvironment() as env:
        declare(env, postgres, "s", columns, source)
        declare(env, postgres, "t", columns, target)
        env.execute_sql("INSERT INTO t SELECT * FROM s").wait()
        assert rows(env, "SELECT * FROM t") == rows(env, "SELECT * FROM s")
    odd = {
        i
        for i, (_, declared, *_) in enumerate(EVERY)
        if declared.startswith(("DECIMAL", "TIME", "ARRAY<DEC"))
    }
    same = " AND ".join(f"t.c{i} IS NOT DISTINCT FROM s.c{i}" for i in range(len(EVERY)) if i not in odd and
                        "ARRAY<TIME" not in EVERY[i][1])  # fmt: skip
    assert postgres.sql(f"SELECT count(*) FROM {source} s JOIN {target} t ON {same}") == ["1"]


def test_rows_are_appended_without_a_key(postgres: Server) -> None:
    table = postgres.table("a int, b text", "(0, 'old')")
    with TableEnvironment() as env:
        declare(env, postgres, "t", "b STRING, a INT", table)
        env.execute_sql("INSERT INTO t VALUES ('x', 1), ('x', 1), (CAST(NULL AS STRING), 2)").wait()
    assert postgres.sql(f"SELECT * FROM {table}") == ["0|old", "1|x", "1|x", "2|"]


def test_updates_and_deletions_by_key(postgres: Server) -> None:
    table = postgres.table("day date, k text, n bigint, note text DEFAULT 'kept', PRIMARY KEY (k, day)",
                           "('2024-01-01', 'b', 99, 'mine')", "('2024-01-01', 'z', 7, 'mine')")  # fmt: skip
    for step in (1, 2, 100):
        with TableEnvironment() as env:
            source_table(
                env,
                "CREATE TABLE s (k STRING, v INT)",
                [("+I", "a", 1), ("+I", "b", 2), ("+I", "a", 3), ("-D", "b", 2), ("+I", "c", 4), ("-D", "c", 4),
                 ("+I", "b", 5)],
                changelog_mode="I,UB,UA,D",
                step_rows=step,
            )  # fmt: skip
            declare(
                env,
                postgres,
                "t",
                "n BIGINT, k STRING, `day` DATE, PRIMARY KEY (`day`, k) NOT ENFORCED",
                table,
            )
            env.execute_sql("INSERT INTO t SELECT SUM(v), k, DATE '2024-01-01' FROM s GROUP BY k").wait()
        assert postgres.sql(f"SELECT k, n, note FROM {table} ORDER BY k") == [
            "a|4|kept",
            "b|5|mine",
            "z|7|mine",
        ]
        postgres.sql(f"DELETE FROM {table} WHERE k = 'a'")
        postgres.sql(f"UPDATE {table} SET n = 99 WHERE k = 'b'")


def test_of_a_table_of_keys_only_rows_come_and_go(postgres: Server) -> None:
    table = postgres.table("k text UNIQUE", "('b')")
    with TableEnvironment() as env:
        source_table(env, "CREATE TABLE s (k STRING)", [("+I", "a"), ("+I", "b"), ("-D", "a"), ("+I", "c")],
                     changelog_mode="I,UB,UA,D")  # fmt: skip
        declare(env, postgres, "t", "k STRING, PRIMARY KEY (k) NOT ENFORCED", table)
        env.execute_sql("INSERT INTO t SELECT DISTINCT k FROM s").wait()
    assert postgres.sql(f"SELECT k FROM {table} ORDER BY k") == ["b", "c"]


def test_the_last_row_of_a_key_counts(postgres: Server) -> None:
    table = postgres.table("k int PRIMARY KEY, v int")
    with TableEnvironment() as env:
        declare(env, postgres, "t", "k INT, v INT, PRIMARY KEY (k) NOT ENFORCED", table)
        env.execute_sql("INSERT INTO t VALUES (1, 1), (2, 5), (1, 2), (1, 3)").wait()
    assert postgres.sql(f"SELECT * FROM {table} ORDER BY k") == ["1|3", "2|5"]


@pytest.mark.parametrize(("most", "interval"), [("3", "0"), ("0", "10 s"), ("0", "0")])
def test_changes_are_gathered(postgres: Server, most: str, interval: str) -> None:
    table = postgres.table("v int")
    clock = VirtualClock()
    with clock.environment() as env:
        source = source_table(env, "CREATE TABLE s (v INT)", bounded=False, rows=[])
        declare(env, postgres, "t", "v INT", table, sink_buffer__flush_max__rows=most,
                sink_buffer__flush_interval=interval)  # fmt: skip
        job = env.execute_sql("INSERT INTO t SELECT v FROM s")

        def written() -> int:
            clock.advance_time(0)
            return int(postgres.sql(f"SELECT count(*) FROM {table}")[0])

        source.add(("+I", 1))
        source.add(("+I", 2))
        assert written() == (2 if (most, interval) == ("0", "0") else 0)
        source.add(("+I", 3))
        assert written() == (0 if interval == "10 s" else 3)
        clock.advance_time(10_000)
        assert written() == 3
        source.add(("+I", 4))
        source.finish()
        job.wait()
    assert postgres.sql(f"SELECT v FROM {table} ORDER BY v") == ["1", "2", "3", "4"]


def test_a_server_that_is_away_holds_nothing_up(postgres_factory: ServerFactory) -> None:
    server = postgres_factory()
    server.sql("CREATE TABLE kept (k int PRIMARY KEY, v int)")
    clock = VirtualClock()
    with clock.environment() as env:
        source = source_table(env, "CREATE TABLE s (k INT, v INT)", bounded=False, rows=[])
        declare(env, server, "t", "k INT, v INT, PRIMARY KEY (k) NOT ENFORCED", "kept",
                sink_buffer__flush_max__rows="1", sink_max__retries="5")  # fmt: skip
        job = env.execute_sql("INSERT INTO t SELECT k, v FROM s")
        source.add(("+I", 1, 1))
        clock.advance_time(0)
        server.stop()
        source.add(("+I", 1, 2), ("+I", 2, 2))
        clock.advance_time(0)
        assert "is away since 0 s" in _status(env)
        assert "retry 1 of 5 follows" in _status(env)
        source.add(("+I", 2, 3))
        clock.advance_time(1000)
        assert "retry 2 of 5 follows" in _status(env)
        server.start()
        clock.advance_time(2000)
        assert server.sql("SELECT * FROM kept ORDER BY k") == ["1|2", "2|3"]
        assert _status(env) == ""
        source.finish()
        job.wait()


def test_a_server_that_stays_away_ends_the_job(postgres_factory: ServerFactory) -> None:
    server = postgres_factory()
    server.sql("CREATE TABLE kept (v int)")
    with TableEnvironment() as env:
        source = source_table(env, "CREATE TABLE s (v INT)", bounded=False, rows=[])
        declare(env, server, "t", "v INT", "kept", sink_max__retries="1", sink_buffer__flush_max__rows="1")
        job = env.execute_sql("INSERT INTO t SELECT v FROM s")
        server.stop()
        source.add(("+I", 1))
        with pytest.raises(StreamSqlError) as e:
            job.wait()
        assert "is away: " in str(e.value)
        assert "(2 attempts)" in str(e.value)
        assert "raise 'sink.max-retries' to wait longer" in str(e.value)


def _status(env: TableEnvironment) -> str:
    """What the one job says is wrong; a job takes a reading when it has nothing else to do."""
    deadline = time.monotonic() + 10
    (job,) = env.jobs()
    before = "; ".join(job.metrics().status_lines)
    while time.monotonic() < deadline:
        time.sleep(0.6)
        found = "; ".join(job.metrics().status_lines)
        if found == before:
            return found
        before = found
    return before


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "columns", "query", "message"),
    [
        ("k int, v int", "k INT, v INT, PRIMARY KEY (k) NOT ENFORCED", "VALUES (1, 1)",
         "does not keep (k) unique, and rows cannot be found there by that key"),
        ("k int, v int", "k INT, v BOOLEAN", "VALUES (1, TRUE)", "column 'v' of table"),
        ("k int, v int CHECK (v < 9)", "k INT, v INT", "VALUES (1, 99)", "violates check constraint"),
        ("k int PRIMARY KEY", "k INT", "VALUES (1), (1)", "duplicate key value violates unique constraint"),
        ("k smallint", "k INT", "VALUES (99999)", "smallint out of range"),
        ("k uuid", "k STRING", "VALUES ('x')", 'invalid input syntax for type uuid: "x"'),
        ("k varchar(3) PRIMARY KEY", "k STRING, PRIMARY KEY (k) NOT ENFORCED", "VALUES ('abcdef')",
         "value too long for type character varying(3)"),
        ("k char(2)", "k STRING", "VALUES ('abc')", "value too long for type character(2)"),
        ("k bit(3)", "k STRING", "VALUES ('10101')", "bit string length 5 does not match type bit(3)"),
        ("k varchar(2)[]", "k ARRAY<STRING>", "SELECT ARRAY['abc']", "value too long for type character varying(2)"),
        ("k short_text", "k STRING", "VALUES ('abcd')", "value too long for type character varying(3)"),
        ("k int UNIQUE DEFERRABLE", "k INT, PRIMARY KEY (k) NOT ENFORCED", "VALUES (1)",
         "does not keep (k) unique"),
        ("k int", "k INT, v INT", "VALUES (1, 1)", "column 'v' is not in table"),
        ("k int", "k INT", "SELECT COUNT(*) FROM (VALUES (1)) AS x(a) GROUP BY a",
         "needs a PRIMARY KEY to take the updates"),
    ],
)  # fmt: skip
def test_wrong_tables(postgres: Server, table: str, columns: str, query: str, message: str) -> None:
    if "short_text" in table:
        postgres.sql("DROP DOMAIN IF EXISTS short_text CASCADE", "CREATE DOMAIN short_text AS varchar(3)")
    name = postgres.table(table)
    with TableEnvironment() as env:
        declare(env, postgres, "t", columns, name)
        if "COUNT" in query:
            query = query.replace("COUNT(*)", "CAST(COUNT(*) AS INT)")
        with pytest.raises(StreamSqlError) as e:
            env.execute_sql(f"INSERT INTO t {query}").wait()
        assert message in str(e.value)


def test_an_index_may_hold_more_than_the_key(postgres: Server) -> None:
    table = postgres.table("k int, v int")
    postgres.sql(f"CREATE UNIQUE INDEX ON {table} (k) INCLUDE (v)")
    with TableEnvironment() as env:
        declare(env, postgres, "t", "k INT, v INT, PRIMARY KEY (k) NOT ENFORCED", table)
        for n in (1, 2):
            env.execute_sql(f"INSERT INTO t VALUES (1, {n})").wait()
    assert postgres.sql(f"SELECT * FROM {table}") == ["1|2"]


def test_a_large_insert(postgres: Server) -> None:
    table = postgres.table("a bigint PRIMARY KEY, b text")
    with TableEnvironment() as env:
        data = pa.table({"a": range(200_000), "b": [str(i % 7) for i in range(200_000)]})
        env.create_temporary_view("s", env.from_arrow(data))
        declare(env, postgres, "t", "a BIGINT, b STRING, PRIMARY KEY (a) NOT ENFORCED", table)
        env.execute_sql("INSERT INTO t SELECT a, b FROM s").wait()
    assert postgres.sql(f"SELECT count(*), sum(a), count(DISTINCT b) FROM {table}") == [
        "200000|19999900000|7"
    ]
