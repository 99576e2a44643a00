"""Generated queries over generated tables: streamed in random steps, the final table is batch mode's.

STREAMSQL_FUZZ_EXAMPLES sets how many are tried (then new ones each time); by default a fixed few.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from streamsql.errors import UnsupportedError

from .compare import difference, rows_of
from .queries import Query, inputs, queries, sessions
from .replay import replay
from .run import session
from .tables import Input

EXAMPLES = int(os.environ.get("STREAMSQL_FUZZ_EXAMPLES", "0"))

profile = settings(
    max_examples=EXAMPLES or 60,
    derandomize=not EXAMPLES,
    deadline=None,
    suppress_health_check=[*HealthCheck.__members__.values()],
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


@profile
@given(queries(), inputs(), st.sampled_from([1, 2, 3, 7, 100]), sessions())
def test_streaming_equals_batch(query: Query, tables: list[Input], step: int, setup: list[str]) -> None:
    check(query, tables, step, setup)
