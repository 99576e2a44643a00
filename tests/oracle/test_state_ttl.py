"""A time to live that is longer than the run changes no answer: generated queries, streamed and restarted."""

from __future__ import annotations

from hypothesis import given, note
from hypothesis import strategies as st

from streamsql.errors import UnsupportedError
from streamsql.testing.compare import difference

from .queries import Query, queries
from .random_tables import inputs
from .run import batch, restarted
from .tables import Input
from .test_generated import check, profile

DAY = 86_400_000


@profile(40)
@given(queries(), inputs(), st.sampled_from([1, 3, 131_072]))
def test_streamed(query: Query, tables: list[Input], step: int) -> None:
    check(query, tables, step, ["SET 'table.exec.state.ttl' = '1 d'"])


@profile(15)
@given(queries(), inputs(), st.sampled_from([2, 5]))
def test_restarted(query: Query, tables: list[Input], step: int) -> None:
    views = dict(view.removeprefix("CREATE TEMPORARY VIEW ").split(" AS ", 1) for view in query.views)
    try:
        found = restarted(query.sql, tables, step=step, views=views, ttl_ms=DAY)
    except UnsupportedError as e:
        note(f"refused: {e.message}")
        return
    text = difference(found, batch(query.sql, tables, setup=query.views))
    assert text is None, f"steps of {step}: {query}\n{text}"
