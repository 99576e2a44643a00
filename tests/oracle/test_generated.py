"""Generated queries over generated tables: streamed in random steps, the final table is batch mode's.

STREAMSQL_FUZZ_EXAMPLES sets how many are tried (then new ones each time); by default a fixed few.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from streamsql.errors import UnsupportedError
from streamsql.testing.compare import difference, rows_of
from streamsql.testing.rules import replay

from .queries import Query, queries, sessions
from .random_tables import inputs
from .run import batch, in_duckdb, restarted, session
from .tables import Input

EXAMPLES = int(os.environ.get("STREAMSQL_FUZZ_EXAMPLES", "0"))

pytestmark = [pytest.mark.long, pytest.mark.timeout(0 if EXAMPLES else 600)]

UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large]


def profile(examples: int) -> settings:
    """So many examples, always the same, unless the environment says otherwise."""
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        deadline=None,
        suppress_health_check=UNHURRIED,
    )


def check(query: Query, tables: Sequence[Input], step: int, setup: Sequence[str] = ()) -> None:
    """Stream, replay, compare with batch mode."""
    with session(tables, step=step, setup=[*setup, *query.views]) as env:
        try:
            result = env.execute_sql(query.sql)
        except UnsupportedError as e:
            note(f"refused: {e.message}")
            return
        found = replay(result.collect(), result.upsert_key)
        env.execute_sql("SET 'execution.runtime-mode' = 'batch'")
        expected = rows_of(env.execute_sql(query.sql).to_arrow())
    text = difference(found, expected)
    assert text is None, f"steps of {step}: {query}\n{text}"


@profile(15)
@given(queries(), inputs(), st.sampled_from([2, 5]))
def test_a_restarted_job_goes_on_as_if_nothing_had_been(query: Query, tables: list[Input], step: int) -> None:
    if "SYSTEM_TIME AS OF PROCTIME" in str(query):
        return  # there tables do not end, and what is there when a row comes is not all of it
    views = dict(view.removeprefix("CREATE TEMPORARY VIEW ").split(" AS ", 1) for view in query.views)
    try:
        found = restarted(query.sql, tables, step=step, views=views)
    except UnsupportedError as e:
        note(f"refused: {e.message}")
        return
    text = difference(found, batch(query.sql, tables, setup=query.views))
    assert text is None, f"steps of {step}: {query}\n{text}"


@profile(60)
@given(queries(plain=True), inputs())
def test_batch_mode_equals_duckdb(query: Query, tables: list[Input]) -> None:
    found = batch(query.sql, tables, setup=query.views)
    text = difference(found, in_duckdb(query.sql, tables, setup=query.views))
    assert text is None, f"{query}\n{text}"


@profile(40)
@given(queries(), inputs(), st.sampled_from([1, 2, 3, 7, 100]), sessions())
def test_streaming_equals_batch(query: Query, tables: list[Input], step: int, setup: list[str]) -> None:
    check(query, tables, step, setup)
