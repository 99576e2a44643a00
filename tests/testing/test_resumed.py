"""Test tables of jobs with checkpoints: sinks show changes at the commit, sources go on where they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from streamsql.catalog.connectors import table_options
from streamsql.changelog import ChangelogBatch, ChangelogMode
from streamsql.runtime.connectors.base import Sink, SinkContext
from streamsql.session import TableEnvironment
from streamsql.testing import SinkTable, VirtualClock, sink_table, source_table

from ..unit.runtime.connectors.contexts import batch_of


@pytest.fixture
def env() -> Iterator[TableEnvironment]:
    with TableEnvironment() as env:
        yield env


def opened(table: SinkTable, *, checkpointed: bool) -> Sink:
    definition = replace(table.definition, data=table._data)
    context = SinkContext(
        table=definition,
        options=table_options(definition),
        schema=table.schema,
        metadata=(),
        upsert_key=None,
        query_key=(0,),
        upsert=ChangelogMode(definition.options["changelog-mode"]) is ChangelogMode.UPSERT,
        now_ms=lambda: 0,
        checkpointed=checkpointed,
        writer="job/s",
    )
    sink = table._data.open_sink(context)
    sink.start()
    return sink


@pytest.mark.parametrize("key", ["", ", PRIMARY KEY (k) NOT ENFORCED"])
def test_a_sink_keeps_steps_apart_until_they_are_shown(env: TableEnvironment, key: str) -> None:
    shown = []
    for checkpointed in (False, True):
        table = sink_table(env, f"CREATE TABLE s{checkpointed} (k STRING NOT NULL, v INT{key})")
        sink = opened(table, checkpointed=checkpointed)
        for rows, weights in (
            ([("a", 1), ("b", 1)], [1, 1]),
            ([("a", 1), ("a", 2)], [1, 1] if key else [-1, 1]),
            ([("b", 1)], [-1]),
        ):
            sink.write(ChangelogBatch(batch_of(table.definition, *rows).rows, np.array(weights)))
        if checkpointed:
            assert table.changelog() == []
            sink.commit(1, sink.prepare(1))
        shown.append([(r.kind.short, *r) for r in table.changelog()])
        assert len(table.rows()) == 1
    assert shown[0] == shown[1] and len(shown[0]) >= 4


def test_a_job_with_checkpoints_shows_changes_after_its_interval() -> None:
    clock = VirtualClock()
    with clock.environment() as env:
        env.config.set("execution.checkpointing.interval", "10 s")
        rows = source_table(env, "CREATE TABLE t (n INT)", bounded=False)
        shown = sink_table(env, "CREATE TABLE s (n INT)")
        env.execute_sql("INSERT INTO s SELECT n FROM t")
        clock.advance_time(0)  # the first checkpoint comes with the first step
        rows.add(("+I", 1), ("+I", 2))
        assert shown.changelog() == []
        clock.advance_time(10_000)
        assert [tuple(r) for r in shown.changelog()] == [(1,), (2,)]
        rows.add(("+I", 3))
        rows.finish()
        assert [tuple(r) for r in shown.changelog()] == [(1,), (2,), (3,)]
