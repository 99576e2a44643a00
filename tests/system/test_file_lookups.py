"""Lookup joins with files that are read again now and then."""

from __future__ import annotations

import time
from pathlib import Path

from streamsql import TableEnvironment
from streamsql.testing import sink_table, source_table
from streamsql.testing.clock import VirtualClock


def test_files_are_read_again(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,one\n2,two\n")
    clock = VirtualClock()
    with clock.environment() as env:
        source = source_table(env, "CREATE TABLE o (k INT)", bounded=False, rows=[])
        env.execute_sql(
            "CREATE TABLE d (k INT, name STRING, `file.name` STRING METADATA VIRTUAL) "
            f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path}', 'format' = 'csv', "
            "'lookup.full-cache.periodic-reload.interval' = '1 h')"
        )
        sink = sink_table(env, "CREATE TABLE s (k INT, name STRING, `file` STRING)")
        env.execute_sql(
            "INSERT INTO s SELECT o.k, d.name, d.`file.name` "
            "FROM o LEFT JOIN d FOR SYSTEM_TIME AS OF PROCTIME() ON o.k = d.k"
        )

        def send(key: int) -> list[tuple[object, ...]]:
            sink.clear()
            source.add(("+I", key))
            return [tuple(row)[1:] for row in sink.changelog()]

        assert send(1) == [("one", "a.csv")]
        (tmp_path / "a.csv").write_text("1,uno\n")
        (tmp_path / "b.csv").write_text("1,ein\n")
        clock.advance_time(3_599_999)
        assert send(1) == [("one", "a.csv")]
        clock.advance_time(1)
        deadline = time.monotonic() + 30
        while sorted(found := send(1)) != [("ein", "b.csv"), ("uno", "a.csv")]:
            assert time.monotonic() < deadline, found
        assert send(2) == [(None, None)]


def test_records_that_cannot_be_read_are_logged(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.csv").write_text("1,one\nx,two\n3,three\n")
    with TableEnvironment() as env:
        source_table(env, "CREATE TABLE o (k INT)", [("+I", 1), ("+I", 2), ("+I", 3)])
        log = sink_table(env, "CREATE TABLE bad (origin STRING, record BYTES)")
        env.execute_sql(
            f"CREATE TABLE d (k INT, name STRING) WITH ('connector' = 'filesystem', 'path' = '{tmp_path}/d', "
            "'format' = 'csv', 'error-handling.mode' = 'log', 'error-handling.log.target' = 'bad', "
            "'lookup.full-cache.periodic-reload.interval' = '1 h')"
        )
        sql = "SELECT o.k, d.name FROM o LEFT JOIN d FOR SYSTEM_TIME AS OF PROCTIME() ON o.k = d.k"
        found = [tuple(row) for row in env.execute_sql(sql).collect()]
        assert found == [(1, "one"), (2, None), (3, "three")]
        assert [tuple(row) for row in log.rows()] == [(f"file {tmp_path}/d/a.csv, record 2", b"x,two")]
