"""A source that says what it is told, under a clock that stands still: jobs whose time a test moves by hand."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pytest

from streamsql.changelog import ChangelogBatch
from streamsql.runtime.connectors.base import Source, SourceBatch, SourceContext
from streamsql.runtime.connectors.in_process import schema_of
from streamsql.runtime.job import Job
from streamsql.session import TableEnvironment
from tests.pretty import changes

COLUMNS = {"k": pa.string(), "v": pa.int32(), "ts": pa.timestamp("ms")}
PATIENCE_S = 20
"""How long a job may take to do what it is due to do; only failures wait so long."""


class Scripted(Source):
    """Splits named ``0``, ``1``, …; ``give`` hands rows over, ``end`` finishes a split."""

    def __init__(self, splits: int) -> None:
        self.bounded = True
        self.context: SourceContext | None = None
        self.paused: frozenset[str] = frozenset()
        self._names = [str(i) for i in range(splits)]
        self._waiting: deque[SourceBatch] = deque()
        self._lock = threading.Lock()

    # -- for the test ----------------------------------------------------------------------------------------------
    def give(self, **rows: str) -> None:
        """Rows by split (``p0="+I a 1 1000"``), handed over together."""
        batches, ids = [], []
        for name, text in rows.items():
            batch = changes(text, schema_of(pa.schema(list(COLUMNS.items()))).arrow)
            batches.append(batch.rows)
            ids += [int(name[1:])] * batch.num_rows
        whole = pa.concat_batches(batches)
        self._put(SourceBatch(ChangelogBatch(whole), self._names, np.array(ids, np.int32)))

    def end(self, *splits: int) -> None:
        self._put(SourceBatch(None, self._names, finished=frozenset(map(str, splits))))

    def _put(self, batch: SourceBatch) -> None:
        with self._lock:
            self._waiting.append(batch)
        if self.context is not None:
            self.context.wake()

    # -- for the job -----------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Nothing to open."""

    def poll(self, max_rows: int) -> SourceBatch | None:
        with self._lock:
            found = self._waiting.popleft() if self._waiting else None
        if found is not None and found.batch is not None:
            assert self.context is not None
            names = [f.name for f in self.context.physical]
            rows = found.batch.rows.select(names)
            return SourceBatch(ChangelogBatch(rows), found.splits, found.split_ids, finished=found.finished)
        return found

    def splits(self) -> Sequence[str]:
        return self._names

    def pause(self, splits: frozenset[str]) -> None:
        self.paused = splits

    def close(self) -> None:
        """Nothing to free."""


class Clock:
    """Epoch milliseconds that only the test moves; moving it wakes the jobs."""

    def __init__(self, now_ms: int = 0) -> None:
        self.now_ms = now_ms
        self.sources: list[Scripted] = []

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, ms: int) -> None:
        self.now_ms += ms
        for source in self.sources:
            if source.context is not None:
                source.context.wake()


@contextmanager
def scripted_session(
    monkeypatch: pytest.MonkeyPatch,
    tables: Mapping[str, Scripted],
    *,
    setup: Sequence[str] = (),
    delay_s: float = 0,
) -> Generator[tuple[TableEnvironment, Clock], None, None]:
    """A session in which each table ``(k STRING, v INT, ts TIMESTAMP(3))`` reads its scripted source."""
    clock = Clock()
    clock.sources = list(tables.values())

    def create_source(context: SourceContext) -> Source:
        source = tables[context.table.path.name]
        source.context = context
        return source

    monkeypatch.setattr("streamsql.runtime.build.create_source", create_source)
    with TableEnvironment(now_ms=clock) as env:
        env.execute_sql("SET 'streamsql.step.min-interval' = '0 ms'")
        for statement in setup:
            env.execute_sql(statement)
        for name in tables:
            watermark = f"ts AS ts - INTERVAL '{delay_s}' SECOND"
            env.create_in_process_table(name, pa.schema(list(COLUMNS.items())), watermark=watermark)
        yield env, clock


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a job to get somewhere. Raises AssertionError when it takes too long."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"still waiting: {what}"
        time.sleep(0.005)


def settled(job: Job) -> None:
    """Return when the job has taken all the steps that were due."""
    for _ in range(3):
        job.between_steps(lambda _: None)
