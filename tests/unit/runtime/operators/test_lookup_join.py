"""The lookup join by itself: rows that wait, over a table that is a dictionary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from streamsql.catalog.lookup import LookupOptions, LookupRetry
from streamsql.changelog import ChangelogBatch
from streamsql.runtime.connectors.lookup import LookupTable
from streamsql.runtime.connectors.waiting import AwayError, Waiting
from streamsql.runtime.engine import Engine
from streamsql.runtime.graph import Graph, SourceEdge
from streamsql.runtime.metrics import read_metrics
from streamsql.runtime.operators import lookup_join
from streamsql.runtime.operators.base import MAX_WATERMARK, MIN_WATERMARK, Operator, OperatorContext, StepTime
from streamsql.runtime.operators.join_pairs import KeyRule
from streamsql.runtime.operators.lookup_join import ByKey, LookupJoin, LookupJoinConfig
from streamsql.runtime.operators.lookup_waiting import WaitingRows
from streamsql.runtime.state.buffers import U64
from streamsql.runtime.state.run_store import RunStore

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

    def __init__(self, engine: Engine, cache: str = "NONE") -> None:
        self.table = Table()
        self.now_ms = 0
        self.stopping = False
        self.mark = MIN_WATERMARK
        self._engine = engine
        self._config = LookupJoinConfig(
            kind="LEFT",
            left=KeyRule(ROWS, (1,), (False,)),
            right=KeyRule(ROWS, (0,), (False,)),
            output=OUTPUT,
            residual=None,
            calc="SELECT c0, c1, w FROM {input}",
            scan=pa.schema([*ROWS, ("w", pa.int64())]),
            asked=(0,),
            options=LookupOptions(cache),
            retry=LookupRetry(DELAY_MS, 3),
            what="test",
        )
        self._build()

    def _build(self) -> None:
        self.join = LookupJoin(
            self._config, ByKey(self.table), Waiting(lambda: self.now_ms, lambda: self.stopping)
        )
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
        other: int = MIN_WATERMARK, last: bool = False,
    ) -> list[tuple[Any, ...]]:  # fmt: skip
        """What comes out in a step at ``at`` in which the watermark becomes ``mark``, and ``other`` below."""
        self.now_ms = self.now_ms if at is None else at
        self.mark = self.mark if mark is None else mark
        columns = [pa.array([row[i] for row in rows], pa.int64()) for i in range(2)]
        batch = ChangelogBatch(pa.RecordBatch.from_arrays(columns, schema=ROWS)) if rows else None
        self.out = []
        self.graph.step([SourceEdge(batch, self.mark, idle), SourceEdge(None, other)], self.now_ms, last=last)
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


def test_at_the_end_of_its_input_a_row_still_waits(job: Job) -> None:
    assert job.step((1, 9), at=0, mark=MAX_WATERMARK, other=MAX_WATERMARK) == []
    assert job.graph.holds
    assert job.mark_below == MIN_WATERMARK
    job.restart()
    assert job.step(at=999, other=MAX_WATERMARK) == []
    assert job.graph.holds
    job.table.held[9] = 90
    assert job.step(at=1000, other=MAX_WATERMARK) == [(1, 9, 9, 90)]
    assert not job.graph.holds
    assert job.mark_below == MAX_WATERMARK


@pytest.mark.parametrize("mark", [10, MAX_WATERMARK])
def test_a_drained_job_looks_a_last_time(job: Job, mark: int) -> None:
    job.step((1, 9), (2, 8), at=0, mark=mark)
    job.table.held[9] = 90
    found = job.step((3, 7), (4, 9), at=1, mark=MAX_WATERMARK, other=MAX_WATERMARK, last=True)
    assert sorted(found, key=str) == [(1, 9, 9, 90), (2, 8, None, None), (3, 7, None, None), (4, 9, 9, 90)]
    assert not job.graph.holds
    assert job.mark_below == MAX_WATERMARK
    job.restart()  # from the savepoint of the end
    assert job.step((5, 6), at=2) == []
    assert job.step(at=1002) == job.step(at=2002) == []
    assert job.step(at=3002) == [(5, 6, None, None)]


def test_a_table_that_is_away_when_a_job_is_drained(job: Job) -> None:
    job.step((1, 9), at=0)
    job.table.away = True
    with pytest.raises(AwayError):
        job.step(at=1, mark=MAX_WATERMARK, last=True)


def test_with_too_many_rows_the_step_waits_until_the_job_is_to_end(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_join, "WAITING_MAX", 1)
    job.table.away = True
    assert job.step((1, 1), at=0) == []
    job.stopping = True
    assert job.step((2, 2), (3, 3), at=1) == []
    job.stopping = job.table.away = False
    job.table.held = {1: 10, 2: 20, 3: 30}
    assert job.step(at=1000) == [(1, 1, 1, 10), (2, 2, 2, 20), (3, 3, 3, 30)]


def test_a_step_touches_only_the_rows_that_come_or_are_due(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    touched: list[int] = []
    append = RunStore.append

    def noting(self: RunStore, hashes: U64, rows: pa.RecordBatch, **more: Any) -> None:
        touched.append(rows.num_rows)
        append(self, hashes, rows, **more)

    monkeypatch.setattr(RunStore, "append", noting)
    job.step((1, 1), at=0)
    job.step(*((n, n % 7) for n in range(1000)), at=10)
    touched.clear()
    monkeypatch.setattr(RunStore, "read", None)
    monkeypatch.setattr(RunStore, "probe", None)
    assert job.join.next_timer_ms() == 1000
    assert job.join.output_watermark(50) == MIN_WATERMARK
    monkeypatch.undo()
    monkeypatch.setattr(RunStore, "append", noting)
    job.step((2, 2), at=1000)  # one comes, one is due
    assert sum(touched) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_waiting_rows_against_a_list(seed: int) -> None:
    random = Random(seed)
    rows, model = WaitingRows(ROWS), list[tuple[int, int, int]]()  # (due, number, held)
    now = number = 0
    for _ in range(200):
        now += random.randrange(-20, 40)
        if random.random() < 0.6:
            count = random.randrange(0, 4)
            held = [random.randrange(100) for _ in range(count)]
            due = now + random.randrange(1, 60)
            numbers = [*range(number, number + count)]
            number += count
            columns = [pa.array(numbers, pa.int64()), pa.array(numbers, pa.int64())]
            batch = pa.RecordBatch.from_arrays(columns, schema=ROWS)
            horizon = rows.state.horizon
            rows.add(batch, np.zeros(count, np.int64), np.array(held, np.int64), due)
            due = due if horizon is None else max(due, horizon + 1)
            model += zip([due] * count, numbers, held, strict=True)
        else:
            found, _, marks = rows.take(now)
            wanted = [row for row in model if row[0] <= now]
            model = [row for row in model if row[0] > now]
            assert found.column(0).to_pylist() == [n for _, n, _ in wanted]
            assert marks.tolist() == [held for _, _, held in wanted]
        if random.random() < 0.1:
            restored = WaitingRows(ROWS)
            restored.state.restore(rows.state.snapshot())
            rows = restored
        assert len(rows) == len(model)
        assert rows.first_due == min((due for due, _, _ in model), default=None)
        assert rows.last_due == max((due for due, _, _ in model), default=None)
        assert rows.held == min((held for _, _, held in model), default=None)
    assert number > 100


def test_the_cache_is_counted(engine: Engine) -> None:
    job = Job(engine, "PARTIAL")
    job.table.held = {1: 10}
    job.step((1, 1), (2, 1), (3, 2), at=0)
    job.step((4, 1), (5, 2), (6, 3), at=1)
    assert job.table.asked == [[1, 2], [3]]
    counters = read_metrics(job.graph, [], steps=2).operators["join"]
    assert (counters["hitCount"], counters["missCount"]) == (2, 3)
