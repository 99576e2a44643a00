"""Sink tables: kinds, upserts, materialised rows, the final table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from streamsql.changelog import ChangelogBatch, Row, RowKind
from streamsql.datatypes import INT, STRING
from streamsql.errors import JobError
from streamsql.schema import Schema
from streamsql.session import TableEnvironment
from streamsql.testing import SinkTable, assert_changelog, assert_rows, sink_table, source_table
from streamsql.testing.sink import CollectingTable, final_rows

RETRACT, UPSERT = "I,UB,UA,D", "I,UA,D"
CHANGES = [("+I", "a", 1), ("+I", "b", 1), ("+I", "a", 2), ("-D", "b", 1), ("+I", "b", 5)]


@pytest.fixture
def env() -> Iterator[TableEnvironment]:
    with TableEnvironment() as env:
        source_table(env, "CREATE TABLE t (k STRING, v INT)", CHANGES, changelog_mode=RETRACT)
        yield env


def insert(env: TableEnvironment, query: str, ddl: str) -> SinkTable:
    """A sink after the query has been written to it."""
    sink = sink_table(env, ddl)
    env.execute_sql(f"INSERT INTO {sink.name} {query}").wait()
    return sink


def test_a_group_without_a_key_at_the_sink(env: TableEnvironment) -> None:
    sink = insert(
        env, "SELECT k, COUNT(*), SUM(v) FROM t GROUP BY k", "CREATE TABLE s (k STRING, n BIGINT, v INT)"
    )
    assert_changelog(
        sink,
        """
        +I a 1 1
        +I b 1 1
        -U a 1 1
        +U a 2 3
        -D b 1 1
        +I b 1 5
        """,
    )
    assert sink.rows() == [("a", 2, 3), ("b", 1, 5)]
    assert {row.kind for row in sink.rows()} == {RowKind.INSERT}
    assert sink.changelog()[0].names == ("k", "n", "v")
    assert sink.changelog()[3].kind.short == "+U"


def test_a_group_whose_key_is_that_of_the_sink(env: TableEnvironment) -> None:
    sink = insert(
        env,
        "SELECT k, COUNT(*) FROM t GROUP BY k",
        "CREATE TABLE s (k STRING, n BIGINT, PRIMARY KEY (k) NOT ENFORCED)",
    )
    assert_changelog(sink, "+I a 1\n+I b 1\n+U a 2\n-D b 1\n+I b 1")
    assert_rows(sink, "a 2\nb 1")


def test_an_aggregate_of_all_rows_has_one_row_that_changes(env: TableEnvironment) -> None:
    sink = insert(env, "SELECT SUM(v) FROM t WHERE k = 'a'", "CREATE TABLE s (v INT)")
    assert_changelog(sink, "+I 1\n-U 1\n+U 3")


def test_updates_of_rows_that_nothing_identifies(env: TableEnvironment) -> None:
    sink = insert(env, "SELECT COUNT(*) FROM t GROUP BY k", "CREATE TABLE s (n BIGINT)")
    assert_changelog(sink, "+I 1\n+I 1\n-D 1\n+I 2\n-D 1\n+I 1")
    assert_rows(sink, "1\n2")


def test_a_query_whose_key_is_another_one(env: TableEnvironment) -> None:
    sink = insert(
        env,
        "SELECT COUNT(*), k FROM t GROUP BY k",
        "CREATE TABLE s (n BIGINT, k STRING, PRIMARY KEY (n) NOT ENFORCED)",
    )
    assert_changelog(sink, "+I 1 a\n+U 1 b\n+I 2 a\n-D 1 b\n+I 1 b")
    assert_rows(sink, "1 b\n2 a")


def test_rows_pass_in_their_order(env: TableEnvironment) -> None:
    sink = insert(env, "SELECT v, k FROM t", "CREATE TABLE s (v INT, k STRING)")
    assert_changelog(sink, "+I 1 a\n+I 1 b\n+I 2 a\n-D 1 b\n+I 5 b")
    assert sink.rows() == [(1, "a"), (2, "a"), (5, "b")]


def test_inserts_into_a_key_are_upserts(env: TableEnvironment) -> None:
    source_table(env, "CREATE TABLE i (k STRING, v INT)", [("+I", "a", 1), ("+I", "b", 1), ("+I", "a", 2)])
    sink = insert(env, "SELECT * FROM i", "CREATE TABLE s (k STRING, v INT, PRIMARY KEY (k) NOT ENFORCED)")
    assert_changelog(sink, "+I a 1\n+I b 1\n+U a 2")
    assert sink.rows() == [("a", 2), ("b", 1)]


def test_upserts_go_through_as_upserts(env: TableEnvironment) -> None:
    ddl = "CREATE TABLE {} (k STRING, v INT NOT NULL, PRIMARY KEY (k) NOT ENFORCED)"
    rows = [("+I", "a", 1), ("+U", "a", 2), ("-D", "c", None), ("+U", "b", 3), ("-D", "a", None)]
    source_table(env, ddl.format("u"), rows, changelog_mode=UPSERT)
    sink = insert(env, "SELECT * FROM u", ddl.format("s"))
    assert_changelog(sink, "+I a 1\n+U a 2\n+I b 3\n-D a null")
    assert sink.rows() == [("b", 3)]


def test_defaults_and_column_lists(env: TableEnvironment) -> None:
    sink = sink_table(env, "CREATE TABLE s (a INT, b STRING, c AS a + 1, d DOUBLE)")
    env.execute_sql("INSERT INTO s (b, a) VALUES ('x', 1)").wait()
    assert sink.schema.names == ["a", "b", "d"]
    assert sink.rows() == [(1, "x", None)]


def test_several_inserts_and_clear(env: TableEnvironment) -> None:
    sink = sink_table(env, "CREATE TABLE s (a INT)")
    env.execute_sql("INSERT INTO s VALUES (1), (1)")
    assert sink.rows() == [(1,), (1,)], "looking waits for the job"
    sink.clear()
    assert sink.changelog() == []
    env.execute_sql("INSERT INTO s VALUES (2)").wait()
    assert_changelog(sink, "+I 2")


def test_a_sink_can_be_read(env: TableEnvironment) -> None:
    sink = insert(env, "SELECT k, COUNT(*) FROM t GROUP BY k", "CREATE TABLE s (k STRING, n BIGINT)")
    totals = sink_table(env, "CREATE TABLE totals (n BIGINT)")
    job = env.execute_sql(f"INSERT INTO totals SELECT SUM(n) FROM {sink.name}").job
    assert totals.rows() == [(3,)]
    assert job is not None
    job.stop()


def test_null_in_a_column_that_takes_none_fails_the_job(env: TableEnvironment) -> None:
    source_table(env, "CREATE TABLE n (v INT)", [("+I", 1), ("+I", None)])
    sink = sink_table(env, "CREATE TABLE s (v INT NOT NULL)")
    with pytest.raises(JobError, match=r"'v' of .* is NOT NULL"):
        env.execute_sql("INSERT INTO s SELECT v FROM n").wait()
    assert sink.rows() == [(1,)]


def test_keys_that_differ_are_materialised() -> None:
    """Rows of two query keys with one key of the sink: what is there last, and what was there before it."""
    table = CollectingTable(Schema.of([("k", STRING()), ("v", INT())]), (0,))

    def step(*changes: tuple[int, str, int]) -> list[str]:
        before = len(table.changes())
        columns = list(zip(*changes, strict=True))
        arrays = [pa.array(columns[1], pa.string()), pa.array(columns[2], pa.int32())]
        rows = pa.RecordBatch.from_arrays(arrays, names=["k", "v"])
        table.write(ChangelogBatch(rows, np.array(columns[0], np.int64)), None, upsert=False)
        return [f"{r.kind.short} {r.k} {r.v}" for r in table.changes()[before:]]

    assert step((1, "a", 1), (1, "a", 2), (1, "b", 7)) == ["+I a 1", "+U a 2", "+I b 7"]
    assert step((-1, "a", 1)) == [], "it was not the last"
    assert step((1, "a", 3), (-1, "a", 3)) == ["+U a 3", "+U a 2"]
    assert step((-1, "a", 2), (1, "a", 4)) == ["+U a 4"]
    assert step((-1, "a", 4), (-1, "b", 7), (1, "a", 5)) == ["-D a 4", "-D b 7", "+I a 5"]
    assert step((-1, "c", 1)) == [], "it was never there"
    assert final_rows(table.changes(), (0,)) == [("a", 5)]


def test_final_rows_are_a_multiset() -> None:
    def row(kind: RowKind, *values: object) -> Row:
        return Row(values, ("a",), kind)

    nan = float("nan")
    changes = [
        row(RowKind.INSERT, [1, {"x": nan}]),
        row(RowKind.INSERT, [1, {"x": nan}]),
        row(RowKind.DELETE, [1, {"x": nan}]),
        row(RowKind.DELETE, "early"),
        row(RowKind.INSERT, "early"),
        row(RowKind.UPDATE_BEFORE, "gone"),
    ]
    assert [str(r[0]) for r in final_rows(changes, None)] == ["[1, {'x': nan}]"]
