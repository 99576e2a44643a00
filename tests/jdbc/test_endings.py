"""A job ends in time although its database is away, or busy with a query of it; and reading survives many breaks."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from streamsql import DataError, TableEnvironment
from streamsql.catalog.connectors import table_options
from streamsql.catalog.table import ObjectPath, TableDefinition
from streamsql.runtime.connectors import create_source, jdbc_lookup, jdbc_sink, jdbc_source
from streamsql.runtime.connectors.base import Source, SourceContext
from streamsql.runtime.connectors.jdbc_connection import driver
from streamsql.runtime.connectors.waiting import StoppedError
from streamsql.schema import Field, Schema
from tests.conftest import ServerFactory

from .server import USER, Server
from .sessions import declare

SOON_S = 20  # on a busy machine; without what is tested here it would be for ever
AWAY = {"url": "jdbc:postgresql://127.0.0.1:1/x", "lookup_max__retries": "100000"}


def _source(env: TableEnvironment, name: str, stopping: Callable[[], bool] = lambda: False) -> Source:
    definition = env.catalog.require(ObjectPath("default_catalog", "default_database", name))
    assert isinstance(definition, TableDefinition)
    physical = Schema(tuple(Field(c.name, c.type) for c in definition.physical_columns if c.type is not None))
    return create_source(
        SourceContext(
            table=definition, options=table_options(definition), physical=physical, metadata=(),
            metadata_schema=Schema(()), positions={}, wake=lambda: None, stopping=stopping,
            now_ms=lambda: time.time_ns() // 1_000_000,
        )
    )  # fmt: skip


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# -- reading ----------------------------------------------------------------------------------------------------------


def test_reading_survives_any_number_of_breaks_with_rows_between(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jdbc_source, "_QUEUED_ROWS_MAX", 1)
    view = f"v_{uuid.uuid4().hex[:8]}"
    postgres.sql(
        f"CREATE VIEW {view} AS SELECT i, repeat('x', 2000) AS s FROM generate_series(1, 60000) AS i"
    )
    end = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '{view}'"
    with TableEnvironment() as env:
        declare(env, postgres, "t", "i INT, s STRING", view, lookup_max__retries="1",
                url=f"{postgres.url}?ApplicationName={view}")  # fmt: skip
        source = _source(env, "t")
        source.start()
        found: list[int] = []
        breaks = 0
        deadline = time.monotonic() + 120
        try:
            while len(found) < 60_000:
                assert time.monotonic() < deadline
                batch = source.poll(5_000)
                if batch is None or batch.batch is None:
                    time.sleep(0.01)
                    continue
                found += batch.batch.rows.column(0).to_pylist()
                breaks += postgres.sql(end) == ["1"]
        finally:
            source.close()
    assert found == list(range(1, 60_001))
    assert breaks > 2


def test_a_scan_that_hangs_is_cancelled(postgres: Server) -> None:
    view = f"v_{uuid.uuid4().hex[:8]}"
    postgres.sql(f"CREATE VIEW {view} AS SELECT pg_sleep(600)::text AS s")
    with TableEnvironment() as env:
        declare(env, postgres, "t", "s STRING", view)
        source = _source(env, "t")
        source.start()
        _until(lambda: _active(postgres, view) == 1)
        begun = time.monotonic()
        source.close()
        assert time.monotonic() - begun < SOON_S
        _until(lambda: _active(postgres, view) == 0)


def test_a_scan_that_cannot_begin_ends_with_its_job(postgres: Server) -> None:
    with TableEnvironment() as env:
        declare(env, postgres, "t", "s STRING", "t", **AWAY)
        with pytest.raises(StoppedError):
            _source(env, "t", stopping=lambda: True).start()


def test_a_null_in_the_key_that_was_declared(postgres: Server) -> None:
    table = postgres.table("a int, b int", "(1, 1)", "(2, NULL)")
    with TableEnvironment() as env:
        declare(env, postgres, "t", "a INT, b INT, PRIMARY KEY (a, b) NOT ENFORCED", table)
        with pytest.raises(DataError, match=r"column 'b' of table .* is NULL in a row") as e:
            source = _source(env, "t")
            source.start()
            try:
                _until(lambda: source.poll(10) is not None)
            finally:
                source.close()
        assert e.value.hint == "declare the key that the rows have, or none"


# -- asking and writing -----------------------------------------------------------------------------------------------


@pytest.fixture
def locked(postgres: Server) -> Iterator[str]:
    """A table that another transaction has locked."""
    table = postgres.table("k int PRIMARY KEY, v int", "(1, 10)")
    connection = driver("the test").connect(f"postgresql://127.0.0.1:{postgres.port}/postgres?user={USER}")
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table}")
        yield table
    finally:
        connection.close()


def _active(server: Server, what: str) -> int:
    """How many queries about it are under way."""
    others = "state = 'active' AND pid <> pg_backend_pid()"
    return int(
        server.sql(f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{what}%' AND {others}")[0]
    )


def _some_rows(env: TableEnvironment) -> None:
    env.execute_sql(
        "CREATE TABLE o (k INT, v INT) WITH ('connector' = 'datagen', 'rows-per-second' = '100', "
        "'fields.k.min' = '2', 'fields.k.max' = '99')"
    )


def test_a_lookup_that_hangs_is_cancelled(
    postgres: Server, locked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jdbc_lookup, "STOP_S", 0.1)
    with TableEnvironment() as env:
        _some_rows(env)
        declare(env, postgres, "d", "k INT, v INT", locked)
        env.execute_sql("CREATE TABLE s (v INT) WITH ('connector' = 'blackhole')")
        env.execute_sql(
            "INSERT INTO s SELECT d.v FROM o JOIN d FOR SYSTEM_TIME AS OF PROCTIME() AS d ON o.k = d.k"
        )
        _until(lambda: _active(postgres, locked) == 1)
        (job,) = env.jobs()
        begun = time.monotonic()
        job.stop()
        assert time.monotonic() - begun < SOON_S
        assert job.status == "CANCELED"


def _write(env: TableEnvironment, server: Server, table: str) -> None:
    _some_rows(env)
    declare(env, server, "t", "k INT, v INT, PRIMARY KEY (k) NOT ENFORCED", table, sink_max__retries="100000",
            sink_buffer__flush_max__rows="1")  # fmt: skip
    env.execute_sql("INSERT INTO t SELECT k, v FROM o")


def test_a_write_that_hangs_is_cancelled(
    postgres: Server, locked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jdbc_sink, "STOP_S", 0.1)
    monkeypatch.setattr(jdbc_sink, "CLOSE_S", 0.1)
    with TableEnvironment() as env:
        _write(env, postgres, locked)
        _until(lambda: _active(postgres, locked) == 1)
        (job,) = env.jobs()
        begun = time.monotonic()
        job.stop()
        assert time.monotonic() - begun < SOON_S
        assert f"changes of table {locked}" in str(job.error)
        assert "were not written before the end of the job: the database did not answer in time" in str(
            job.error
        )


@pytest.mark.parametrize("most", [2, 100])
def test_what_cannot_be_written_does_not_hold_the_end_up(
    postgres_factory: ServerFactory, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(jdbc_sink, "CLOSE_S", 0.1)
    monkeypatch.setattr(jdbc_sink, "_BUFFER_ROWS_MAX", most)
    server = postgres_factory()
    server.sql("CREATE TABLE kept (k int PRIMARY KEY, v int)")
    with TableEnvironment() as env:
        _write(env, server, "kept")
        _until(lambda: server.sql("SELECT count(*) > 0 FROM kept") == ["t"])
        server.stop()
        (job,) = env.jobs()
        time.sleep(1)  # in the middle of its tries
        begun = time.monotonic()
        job.stop()
        assert time.monotonic() - begun < SOON_S
        assert job.status == "FAILED"
        assert "changes of table kept" in str(job.error)
        assert "were not written before the end of the job: table" in str(job.error)
        assert "is away since" in str(job.error)
