"""The lookup join by itself: rows that wait, over a table that is a dictionary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pytest

from streamsql.catalog.lookup import LookupOptions, LookupRetry
from streamsql.changelog import ChangelogBatch
from streamsql.runtime.connectors.lookup import LookupTable
from streamsql.runtime.connectors.waiting import AwayError, Waiting
from streamsql.runtime.engine import Engine
from streamsql.runtime.graph import Graph, SourceEdge
from streamsql.runtime.operators.base import MIN_WATERMARK, Operator, OperatorContext, StepTime
from streamsql.runtime.operators.join_pairs import KeyRule
from streamsql.runtime.operators.lookup_join import ByKey, LookupJoin, LookupJoinConfig

ROWS = pa.schema([("c0", pa.int64()), ("c1", pa.int64())])
OUTPUT = pa.schema([*ROWS, ("c2", pa.int64()), ("c3", pa.int64())])
DELAY_MS = 1000


class Table(LookupTable):
    """``held``: a value by key. ``away``: it does not answer, and is to be asked again after a second."""

    def __init__(self) -> None:
        self.held: dict[int, int] = {}
        self.away = False
        self.asked: list[list[int]] = []

    def rows(self, keys: Sequence[pa.Array]) -> pa.RecordBatch:
        if self.away:
            raise AwayError("the table is away", DELAY_MS)
        self.asked.append(sorted(keys[0].to_pylist()))
        found = [k for k in self.asked[-1] if k in self.held]
        values = [self.held[k] for k in found]
        return pa.RecordBatch.from_arrays(
            [pa.array(found, pa.int64()), pa.array(values, pa.int64())], schema=ROWS
        )

    def start(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to free."""


class Below(Operator):
    """Takes two inputs and gives nothing: what the join tells those below it."""

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> None:
        return None


class Job:
    """Rows ``(n, key)`` of a source, joined by ``key``; below, a second source beside the joined rows."""

    def __init__(self, engine: Engine, attempts: int = 3, kind: str = "LEFT") -> None:
        self.table = Table()
        self.now_ms = 0
        self.mark = MIN_WATERMARK
        self._engine = engine
        self._config = LookupJoinConfig(
            kind=kind,
            left=KeyRule(ROWS, (1,), (False,)),
            right=KeyRule(ROWS, (0,), (False,)),
            output=OUTPUT,
            residual=None,
            calc="SELECT c0, c1, w FROM {input}",
            scan=pa.schema([*ROWS, ("w", pa.int64())]),
            asked=(0,),
            options=LookupOptions("NONE"),
            retry=LookupRetry(DELAY_MS, attempts),
            what="test",
        )
        self._build()

    def _build(self) -> None:
        self.join = LookupJoin(self._config, ByKey(self.table), Waiting(lambda: self.now_ms))
        self.graph = Graph()
        self.graph.add("join", self.join, [-1], OperatorContext(self._engine))
        self.graph.add("below", Below(), [0, -2], OperatorContext(self._engine))
        self.graph.open()
        self.out: list[tuple[Any, ...]] = []
        process = self.join.process

        def noting(inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
            found = process(inputs, time)
            if found is not None:
                self.out += [tuple(row.values()) for row in found.rows.to_pylist()]
            return found

        self.join.process = noting  # type: ignore[method-assign]

    def restart(self) -> None:
        """Go on from a snapshot."""
        before = self.graph
        self._build()
        for old, new in zip(before.vertices, self.graph.vertices, strict=True):
            new.set_clocks(old.clocks)
            for name, state in old.context.states.items():
                new.context.states[name].restore(state.snapshot())

    def step(
        self, *rows: tuple[int, int], at: int | None = None, mark: int | None = None, idle: bool = False,
        other: int = MIN_WATERMARK,
    ) -> list[tuple[Any, ...]]:  # fmt: skip
        """What comes out in a step at ``at`` in which the watermark becomes ``mark``, and ``other`` below."""
        self.now_ms = self.now_ms if at is None else at
        self.mark = self.mark if mark is None else mark
        columns = [pa.array([row[i] for row in rows], pa.int64()) for i in range(2)]
        batch = ChangelogBatch(pa.RecordBatch.from_arrays(columns, schema=ROWS)) if rows else None
        self.out = []
        self.graph.step([SourceEdge(batch, self.mark, idle), SourceEdge(None, other)], self.now_ms)
        return self.out

    @property
    def mark_below(self) -> int:
        return self.graph.vertices[1].watermark


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine(threads=1)
    yield made
    made.close()


@pytest.fixture
def job(engine: Engine) -> Job:
    return Job(engine)


def test_rows_that_wait_hold_the_watermark_where_their_source_is_idle(job: Job) -> None:
    job.step((1, 9), at=0, mark=10, other=10)
    job.step(mark=20, other=20)
    assert job.mark_below == MIN_WATERMARK  # the row came before the watermark was known
    job.step(at=500, idle=True, other=50)
    assert job.mark_below == MIN_WATERMARK
    job.table.held[9] = 90
    assert job.step(at=1000, idle=True, other=60) == [(1, 9, 9, 90)]
    job.step(at=1001, idle=True, other=70)
    assert job.mark_below == 70
