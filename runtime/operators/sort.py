"""Sort operators: by time as the watermark passes, and whole inputs at their end.

``TemporalSort``: rows wait until the watermark reaches their time and then leave in order, each once. Late
rows and rows with a NULL time are counted and dropped. By processing time, a step's rows leave at once, in
the order of the other columns.

``FinalSort``: changes are kept until the input has ended; what is left then leaves in order, as insertions.

State: the waiting rows; freed when they leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..state.hashing import hash_columns
from ..state.run_store import RunProbe, RunStore
from .base import MAX_WATERMARK, Operator, OperatorContext, StepTime
from .changes import spread
from .on_time import on_time


@dataclass(frozen=True)
class SortConfig:
    """``sql``: the rows of ``{input}`` (``c0 …``, ``i`` the order of arrival) in order, as ``c0 …``."""

    sql: str
    rows: pa.Schema
    what: str


class _Sorting(Operator):
    def __init__(self, config: SortConfig) -> None:
        self.config = config

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        self._schema = pa.schema([*c.rows, pa.field("i", pa.int64())])
        self._sort = ctx.engine.fragment(c.sql, {"input": self._schema}, c.rows, c.what)

    def _sorted(self, rows: pa.RecordBatch) -> ChangelogBatch | None:
        if not rows.num_rows:
            return None
        numbered = pa.RecordBatch.from_arrays(
            [*rows.columns, pa.array(np.arange(rows.num_rows))], schema=self._schema
        )
        return ChangelogBatch(self._sort.run(input=numbered))


class TemporalSort(_Sorting):
    """``time``: the time attribute's column; None for processing time."""

    def __init__(self, config: SortConfig, time: int | None) -> None:
        super().__init__(config)
        self.time = time

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        if self.time is not None:
            self._waiting = ctx.state("waiting", RunStore(self.config.rows, timed=True))

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        batch = inputs[0]
        if self.time is None:
            return None if batch is None else self._sorted(spread(batch))
        if batch is not None and batch.num_rows:
            rows, times = on_time(spread(batch), self.time, time.watermark_before, self.ctx.metrics)
            self._waiting.append(hash_columns([], rows.num_rows), rows, times=times)
        return self._sorted(_live(self._waiting.take_until(min(time.watermark, MAX_WATERMARK - 1))))


class FinalSort(_Sorting):
    """See the module's text."""

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        self._rows = ctx.state("rows", RunStore(self.config.rows, timed=True))

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        batch = inputs[0]
        if batch is not None and batch.num_rows:
            rows = pa.RecordBatch.from_arrays(batch.rows.columns, schema=self.config.rows)
            times = np.zeros(batch.num_rows, np.int64)
            self._rows.append(hash_columns([], batch.num_rows), rows, batch.weight_array(), times=times)
        if time.watermark < MAX_WATERMARK:
            return None
        return self._sorted(_live(self._rows.take_until(0)))


def _live(probe: RunProbe) -> pa.RecordBatch:
    """A row for each copy."""
    return probe.rows.take(pa.array(np.repeat(np.arange(len(probe.weights)), np.maximum(probe.weights, 0))))
