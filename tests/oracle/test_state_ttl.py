"""A time to live that is longer than the run changes no answer: generated queries, streamed and restarted."""

from __future__ import annotations

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from streamsql.errors import UnsupportedError
from streamsql.planner.convert import PhysicalOptions
from streamsql.runtime.build import BuildOptions
from streamsql.testing.compare import difference
from tests.harness import Harness, Table

from .queries import Query, queries
from .random_tables import inputs
from .run import batch, restarted
from .tables import Input
from .test_generated import check, profile

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

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


@profile(25)
@given(queries(), inputs(), st.sampled_from([1, 3]), st.sampled_from([1, 2, 5]))
def test_whatever_is_forgotten_a_job_goes_on(query: Query, tables: list[Input], step: int, ttl: int) -> None:
    """Deletions of rows that have expired, updates of keys that have: nothing fails, and all expires."""
    views = dict(view.removeprefix("CREATE TEMPORARY VIEW ").split(" AS ", 1) for view in query.views)
    declared = {t.name: Table({f.name: f.type for f in t.rows.schema}, t.time, t.mode, t.key) for t in tables}
    build = BuildOptions(threads=1, state_ttl_ms=ttl)
    try:
        job = Harness(query.sql, declared, PhysicalOptions(), build, views=views)
    except UnsupportedError as e:
        note(f"refused: {e.message}")
        return
    with job as h:
        for start in range(0, max((t.rows.num_rows for t in tables), default=0), step):
            h.step({t.name: t.slice(start, step) for t in tables}, {})
            h.now_ms += 1
        h.advance_time(1000)
        left = {(v.name, n): s.next_expiry_ms() for v in h._vertices() for n, s in v.context.states.items()}
        assert not any(left.values()), left
