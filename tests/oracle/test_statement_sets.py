"""Several INSERTs as one job: shared sources and sub-plans, each sink with the rows of its own query."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsql.changelog import to_rows
from streamsql.errors import UnsupportedError
from streamsql.runtime.connectors.in_process import InProcessTable
from streamsql.session import TableEnvironment
from streamsql.testing.compare import Row, difference, rows_of
from streamsql.testing.rules import replay

from .data import CHANGES, EVENTS, OTHER, UPSERTS
from .queries import Query, queries
from .random_tables import inputs
from .run import batch, run_every_way, session
from .tables import Input
from .test_generated import profile

TUMBLE = "TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))"
QUERIES = {
    "copy": "SELECT * FROM t",
    "counts": "SELECT k, COUNT(*) AS c, SUM(v) AS s FROM t GROUP BY k",
    "counts_again": "SELECT c, k FROM (SELECT k, COUNT(*) AS c, SUM(v) AS s FROM t GROUP BY k) WHERE c > 2",
    "of_counts": "SELECT c, COUNT(*) AS n FROM (SELECT k, COUNT(*) AS c, SUM(v) AS s FROM t GROUP BY k) GROUP BY c",
    "windows": f"SELECT window_start, k, COUNT(*) AS c FROM {TUMBLE} GROUP BY window_start, window_end, k",
    "of_windows": f"SELECT window_end, MAX(c) AS m FROM (SELECT window_start, window_end, k, COUNT(*) AS c FROM {TUMBLE} GROUP BY window_start, window_end, k) GROUP BY window_start, window_end",
    "both": "SELECT k, v FROM t WHERE v > 3 UNION ALL SELECT k, v FROM u",
    "changed": "SELECT g, SUM(v) AS s FROM c GROUP BY g",
    "normalized": "SELECT k, COUNT(*) AS n FROM p GROUP BY k",
}


def sink(env: TableEnvironment, name: str, sql: str) -> InProcessTable:
    """A table of the query's columns that takes updates."""
    return env.create_in_process_table(name, env.sql_query(sql).schema)


def written(table: InProcessTable) -> list[Row]:
    """The rows that a sink's changelog amounts to."""
    found, _, _ = table.read(0, 1_000_000)
    return [] if found is None else replay(to_rows(found, None), None)


def run_together(
    texts: Mapping[str, str], tables: Sequence[Input], step: int, setup: Sequence[str] = ()
) -> dict[str, list[Row]]:
    """Every query's rows, written by one job."""
    with session(tables, step=step, setup=setup) as env:
        sinks = {name: sink(env, name, sql) for name, sql in texts.items()}
        inserts = "; ".join(f"INSERT INTO {name} {sql}" for name, sql in texts.items())
        job = env.execute_sql(f"EXECUTE STATEMENT SET BEGIN {inserts}; END").job
        assert job is not None
        assert job.wait(60)
        return {name: written(table) for name, table in sinks.items()}


ALIKE = [
    ("JSON_ARRAYAGG(v NULL ON NULL)", "JSON_ARRAYAGG(v ABSENT ON NULL)"),
    (
        "JSON_OBJECTAGG(KEY CAST(ts AS STRING) VALUE v NULL ON NULL)",
        "JSON_OBJECTAGG(KEY CAST(ts AS STRING) VALUE v ABSENT ON NULL)",
    ),
    ("ARRAY_AGG(v)", "ARRAY_AGG(v) IGNORE NULLS"),
    ("ARRAY_AGG(v ORDER BY v)", "ARRAY_AGG(v ORDER BY v DESC)"),
    ("ARRAY_AGG(v ORDER BY v NULLS FIRST)", "ARRAY_AGG(v ORDER BY v NULLS LAST)"),
    ("LISTAGG(s) WITHIN GROUP (ORDER BY s)", "LISTAGG(s) WITHIN GROUP (ORDER BY s DESC)"),
]
"""Aggregates whose names and arguments are equal, and their values are not."""


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_every_sink_has_the_rows_of_its_query(step: int) -> None:
    inputs = [EVENTS, OTHER, CHANGES, UPSERTS]
    found = run_together(QUERIES, inputs, step)
    for name, sql in QUERIES.items():
        text = difference(found[name], batch(sql, inputs))
        assert text is None, f"{name}: {text}"


def test_equal_parts_are_computed_once() -> None:
    """The counts that three sinks need come of one aggregate over one reading of the table."""
    names = ["counts", "counts_again", "of_counts"]
    with session([EVENTS]) as env:
        for name in names:
            sink(env, name, QUERIES[name])
        statements = env.create_statement_set()
        for name in names:
            statements.add_insert_sql(f"INSERT INTO {name} {QUERIES[name]}")
        job = statements.execute().job
        assert job is not None
        assert job.wait(60)
        metrics = job.metrics()
    assert metrics.records_in == EVENTS.rows.num_rows
    assert sum(name.startswith("GroupAggregate") for name in metrics.operators) == 2


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_aggregates_that_differ_in_their_options_are_two(one: str, other: str) -> None:
    sql = "SELECT k, {} AS x FROM t WHERE s IS NOT NULL GROUP BY k"
    named = {"one": sql.format(one), "other": sql.format(other)}
    found = run_together(named, [EVENTS], 7)
    expected = {name: batch(q, [EVENTS]) for name, q in named.items()}
    assert difference(expected["one"], expected["other"]) is not None
    for name in named:
        assert difference(found[name], expected[name]) is None


def test_values_over_rows_that_differ_in_their_options_are_two() -> None:
    sql = "SELECT k, v, LAST_VALUE(v) {} NULLS OVER (PARTITION BY k ORDER BY ts) AS x FROM t"
    named = {nulls: sql.format(nulls) for nulls in ("RESPECT", "IGNORE")}
    found = run_together(named, [EVENTS], 7)
    assert difference(found["RESPECT"], found["IGNORE"]) is not None
    for name, q in named.items():
        assert difference(found[name], batch(q, [EVENTS])) is None


def test_one_sink_twice() -> None:
    with session([EVENTS, OTHER]) as env:
        table = sink(env, "s", "SELECT k, v FROM t")
        inserts = "INSERT INTO s SELECT k, v FROM t WHERE v > 3; INSERT INTO s SELECT k, v FROM u"
        job = env.execute_sql(f"EXECUTE STATEMENT SET BEGIN {inserts}; END").job
        assert job is not None
        assert job.wait(60)
        assert difference(written(table), batch(QUERIES["both"], [EVENTS, OTHER])) is None


def test_a_sink_is_written_when_the_statement_returns() -> None:
    """With table.dml-sync; and its changes keep the rules of the query's key."""
    with session([EVENTS]) as env:
        table = sink(env, "s", QUERIES["counts"])
        env.execute_sql("SET 'table.dml-sync' = 'true'")
        env.execute_sql(f"INSERT INTO s {QUERIES['counts']}")
        found, _, _ = table.read(0, 1000)
        assert found is not None
        assert len(replay(to_rows(found, (0,)), (0,))) == len(set(EVENTS.rows["k"].to_pylist()))


def test_an_insert_of_a_batch_session() -> None:
    with session([EVENTS], batch=True) as env:
        table = sink(env, "s", QUERIES["windows"])
        job = env.execute_sql(f"INSERT INTO s {QUERIES['windows']}").job
        assert job is not None
        assert job.wait(60)
        rows = written(table)
    expected = run_every_way(QUERIES["windows"], EVENTS, steps=(7,), shuffles=())
    assert difference(rows, expected) is None


@profile(15)
@given(queries(2, "a"), queries(2, "b"), inputs(), st.sampled_from([1, 3, 100]))
def test_generated_queries_together(one: Query, two: Query, tables: list[Input], step: int) -> None:
    setup = [*one.views, *two.views]
    named = {"s1": one.sql, "s2": two.sql, "s3": one.sql}
    try:
        found = run_together(named, tables, step, setup)
    except UnsupportedError:
        return
    with session(tables, batch=True, setup=setup) as env:
        for name, sql in named.items():
            text = difference(found[name], rows_of(env.execute_sql(sql).to_arrow()))
            assert text is None, f"steps of {step}: {sql}\n{text}"
