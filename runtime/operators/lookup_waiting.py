"""Rows of a lookup join that wait to be looked up, by when they are due."""

from __future__ import annotations

import heapq

import numpy as np
import pyarrow as pa

from ..accumulators import numpy
from ..state.buffers import I64
from ..state.run_store import RunStore


class WaitingRows:
    """With each row: how often it was looked up before, and the watermark that it holds.

    ``state`` has it all; the rest is derived from it, once it is put back. What a step costs depends on the rows that
    it adds and takes, not on those that wait.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        more = [pa.field("tries", pa.int64()), pa.field("held", pa.int64())]
        self.state = RunStore(pa.schema([*schema, *more]), timed=True)
        # A heap of (held, due); those past the horizon are gone.
        self._marks: list[tuple[int, int]] | None = None
        self._count = 0

    def __len__(self) -> int:
        self._known()
        return self._count

    def add(self, rows: pa.RecordBatch, tries: I64, held: I64, due_ms: int) -> None:
        """Have rows wait until ``due_ms``."""
        if not rows.num_rows:
            return
        marks, horizon = self._known(), self.state.horizon
        if horizon is not None:  # a clock that was set back: what is due no later than that would not be kept
            due_ms = max(due_ms, horizon + 1)
        columns = [*rows.columns, pa.array(tries), pa.array(held)]
        batch = pa.RecordBatch.from_arrays(columns, schema=self.state.schema)
        times = np.full(rows.num_rows, due_ms, np.int64)
        self.state.append(np.zeros(rows.num_rows, np.uint64), batch, times=times)
        heapq.heappush(marks, (int(held.min()), due_ms))
        self._count += rows.num_rows

    def take(self, until_ms: int) -> tuple[pa.RecordBatch, I64, I64]:
        """The rows that are due, in order of arrival, with their tries and the watermarks they hold."""
        marks = self._known()
        found = self.state.take_until(until_ms).rows
        self._count -= found.num_rows
        if len(marks) > 2 * self._count + 64:  # of those that wait each has at least one row
            self._marks = [mark for mark in marks if mark[1] > until_ms]
            heapq.heapify(self._marks)
        width = len(self._schema)
        rows = pa.RecordBatch.from_arrays(found.columns[:width], schema=self._schema)
        return rows, numpy(found.column(width), np.int64), numpy(found.column(width + 1), np.int64)

    @property
    def first_due(self) -> int | None:
        """When the first is due; None where none waits."""
        return self.state.first_time()

    @property
    def last_due(self) -> int | None:
        """When the last is due; None where none waits."""
        return max((due for _, due in self._known()), default=None) if len(self) else None

    @property
    def held(self) -> int | None:
        """The lowest watermark that is held; None where none waits."""
        marks, horizon = self._known(), self.state.horizon
        while horizon is not None and marks and marks[0][1] <= horizon:
            heapq.heappop(marks)
        return marks[0][0] if marks else None

    def _known(self) -> list[tuple[int, int]]:
        if self._marks is None:
            found = self.state.probe(np.zeros(1, np.uint64))
            assert found.times is not None
            held = numpy(found.rows.column(len(self._schema) + 1), np.int64)
            self._marks = sorted(set(zip(held.tolist(), found.times.tolist(), strict=True)))
            self._count = found.rows.num_rows
        return self._marks
