"""``run_every_way``: one query streamed in several ways against batch mode and plain DuckDB."""

from __future__ import annotations

import os
import zlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from streamsql.changelog import to_rows
from streamsql.planner.convert import PhysicalOptions
from streamsql.planner.emit import EmitStrategy
from streamsql.runtime.build import BuildOptions
from streamsql.runtime.checkpoint.points import POINTS
from streamsql.session import EnvironmentSettings, TableEnvironment
from streamsql.testing.compare import Row, difference, rows_of
from streamsql.testing.crashes import CrashSchedule, rows_despite_crashes
from streamsql.testing.rules import replay
from tests.harness import Harness, Table

from .tables import Input

STEPS = (1, 131_072)
"""Rows a step takes: each row alone, and everything at once. Steps between are those of shuffled rows and of jobs that
die, which cut groups and windows as well."""

ALL_WAYS = os.environ.get("STREAMSQL_ORACLE") == "all"
"""Else a query takes one of the ways by its text, each row alone in every second one: a thousand queries take them all
often enough, and each would take a second."""

CRASHES = int(os.environ.get("STREAMSQL_CRASHES", "1"))
"""A job of ``crashed`` dies so often, at points of a checkpoint that depend on the query: each start of a job costs as
much as a whole way, and over some queries of an operator every point has its turn."""


@contextmanager
def session(
    inputs: Sequence[Input], *, setup: Sequence[str] = (), batch: bool = False, step: int = STEPS[-1]
) -> Generator[TableEnvironment, None, None]:
    """A session with the inputs as tables, after the statements of ``setup``."""
    settings = EnvironmentSettings.in_batch_mode() if batch else EnvironmentSettings.in_streaming_mode()
    with TableEnvironment(settings) as env:
        env.execute_sql("SET 'streamsql.step.min-interval' = '0 ms'")
        env.execute_sql("SET 'streamsql.duckdb.threads' = '1'")
        env.execute_sql(f"SET 'streamsql.step.max-rows' = '{step}'")
        for table in inputs:
            table.register(env)
        for statement in setup:
            env.execute_sql(statement)
        yield env


def stream(
    sql: str, inputs: Sequence[Input], *, step: int = STEPS[-1], setup: Sequence[str] = ()
) -> list[Row]:
    """The final rows of the streamed query; its changelog is checked on the way."""
    with session(inputs, setup=setup, step=step) as env:
        result = env.execute_sql(sql)
        return replay(result.collect(), result.upsert_key)


def final(
    sql: str, inputs: Sequence[Input], *, step: int = STEPS[-1], setup: Sequence[str] = ()
) -> list[Row]:
    """The final rows as ``to_arrow`` gives them."""
    with session(inputs, setup=setup, step=step) as env:
        return rows_of(env.execute_sql(sql).to_arrow())


def restarted(
    sql: str,
    inputs: Sequence[Input],
    *,
    step: int,
    views: Mapping[str, str] | None = None,
    zone: str = "UTC",
    ttl_ms: int = 0,
    emit: EmitStrategy | None = None,
) -> list[Row]:
    """The final rows where the state is snapshot and restored into a new job before each step."""
    tables = {t.name: Table({f.name: f.type for f in t.rows.schema}, t.time, t.mode, t.key) for t in inputs}
    options = PhysicalOptions(time_zone=zone, emit=emit or EmitStrategy())
    build = BuildOptions(time_zone=zone, threads=1, state_ttl_ms=ttl_ms)
    with Harness(sql, tables, options, build, restored=True, views=views or {}) as h:
        longest = max((t.rows.num_rows for t in inputs), default=0)
        for start in range(0, longest, step):
            taken = {t.name: t.slice(start, step) for t in inputs}
            h.step(taken, {t.name: t.watermark_ms(start + step) for t in inputs})
        h.finish()
        changes = [row for made in h.take_batches() for row in to_rows(made, h.key)]
        return replay(changes, h.key)


def batch(sql: str, inputs: Sequence[Input], *, setup: Sequence[str] = ()) -> list[Row]:
    """Batch mode's answer."""
    with session(inputs, setup=setup, batch=True) as env:
        return rows_of(env.execute_sql(sql).to_arrow())


def in_duckdb(sql: str, inputs: Sequence[Input], *, setup: Sequence[str] = ()) -> list[Row]:
    """Plain DuckDB's answer over the inputs' final tables, each with its order of arrival in ``{name}_o.o``."""
    # A database of its own for what is created there; without a place it is one that is used again (databases.py).
    own = duckdb.connect(":memory:", config={"threads": "1"}) if setup else None
    with own or duckdb.connect(config={"threads": "1"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET default_null_order = 'nulls_first_on_asc_last_on_desc'")
        for table in inputs:
            rows = table.final()
            numbers = pa.array(range(rows.num_rows), pa.int64())
            connection.register(table.name, rows)
            connection.register(f"{table.name}_o", rows.append_column("o", numbers))
        for statement in setup:
            connection.execute(statement)
        return rows_of(connection.sql(sql).to_arrow_table())


def run_every_way(
    sql: str,
    inputs: Input | Sequence[Input],
    plain: str | None = None,
    *,
    setup: Sequence[str] = (),
    steps: Sequence[int] | None = None,
    shuffles: Sequence[int] | None = None,
    in_batch: bool = True,
    crashes: bool = True,
) -> list[Row]:
    """Stream ``sql`` in every way and compare; returns the rows.

    ``plain``: the same question to DuckDB, written independently. ``setup``: statements before (views, SET).
    ``steps``: rows a step takes; ``shuffles``: seeds of other orders of arrival within the watermark's bound; where
    they are not given it is one of these, by the query (see :data:`ALL_WAYS`). Without ``in_batch`` batch mode is left
    out, for queries whose answer depends on time. ``crashes``: also as a job that dies and goes on.
    """
    inputs = [inputs] if isinstance(inputs, Input) else list(inputs)
    expected = _expected(sql, inputs, plain, setup, in_batch)
    steps, shuffles = _ways(sql, steps, shuffles)
    for step in steps:
        _same(f"steps of {step}", stream(sql, inputs, step=step, setup=setup), expected)
    for seed in shuffles:
        other = [table.shuffled(seed) for table in inputs]
        wanted = (
            _expected(sql, other, plain, setup, in_batch and plain is None) if other != inputs else expected
        )
        _same(f"shuffled by {seed}", final(sql, other, step=5, setup=setup), wanted)
    if crashes and in_batch:
        _same("an INSERT whose job dies in checkpoints", crashed(sql, inputs, setup=setup), expected)
    return expected


def _ways(
    sql: str, steps: Sequence[int] | None, shuffles: Sequence[int] | None
) -> tuple[Sequence[int], Sequence[int]]:
    """The step sizes and shuffles of a query; what is given stays."""
    some_steps: Sequence[int] = STEPS
    some_shuffles: Sequence[int] = (1,)
    if not ALL_WAYS:
        way = zlib.crc32(sql.encode()) % 4
        some_shuffles = (1,) if way == 1 else ()
        some_steps = () if way == 1 and shuffles is None else STEPS[1:] if way == 3 else STEPS[:1]
    return some_steps if steps is None else steps, some_shuffles if shuffles is None else shuffles


def crashed(sql: str, inputs: Sequence[Input], *, setup: Sequence[str] = ()) -> list[Row]:
    """The final rows of an INSERT whose job dies in checkpoints and goes on from the one that holds."""
    longest = max((t.rows.num_rows for t in inputs), default=0)
    first = zlib.crc32(sql.encode())
    schedule = CrashSchedule(points=[POINTS[(first + 3 * i) % len(POINTS)] for i in range(CRASHES)])
    with session(inputs, setup=setup, step=max(1, longest // (2 * CRASHES + 2))) as env:
        return rows_despite_crashes(env, sql, schedule)


def _expected(
    sql: str, inputs: Sequence[Input], plain: str | None, setup: Sequence[str], in_batch: bool
) -> list[Row]:
    answers = []
    if plain is not None:
        answers.append(in_duckdb(plain, inputs))
    if in_batch:
        answers.append(batch(sql, inputs, setup=setup))
    assert answers, "nothing to compare with"
    if len(answers) == 2:
        _same("batch mode against DuckDB", answers[1], answers[0])
    return answers[0]


def _same(way: str, found: Sequence[Row], expected: Sequence[Row]) -> None:
    text = difference(found, expected)
    assert text is None, f"{way}: {text}"
