"""WindowJoin: a join of rows of the same window, all at once when the window is complete.

In: any changelogs; retractions cancel inside the window. Out: insertions, at window end − 1 ms. Every kind of join is
one DuckDB query over the rows of the windows that are due. Where windows below fire late, it waits for the last of that
and holds the watermark back as long, so that its rows are not late above.

State: the rows of open windows, freed as they fire. A row of a window that has fired is late: counted and dropped.

Source: Flink's WindowJoinOperator (2.x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..state.buffers import as_array
from ..state.run_store import RunStore
from .base import MAX_WATERMARK, MIN_WATERMARK, Operator, OperatorContext, StepTime
from .expiry import WindowExpiry, earlier
from .join_pairs import taken


@dataclass(frozen=True)
class WindowJoinConfig:
    """``sql``: the join from ``{l}`` and ``{r}``. ``left_end``, ``right_end``: the columns with the window's end."""

    sql: str
    left: pa.Schema
    right: pa.Schema
    left_end: WindowExpiry
    right_end: WindowExpiry
    output: pa.Schema
    what: str


class WindowJoin(Operator):
    """See the module's text."""

    def __init__(self, config: WindowJoinConfig) -> None:
        self.config = config

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        self._join = ctx.engine.fragment(c.sql, {"l": c.left, "r": c.right}, c.output, c.what)
        self._left = ctx.state("left", RunStore(c.left, timed=True))
        self._right = ctx.state("right", RunStore(c.right, timed=True))

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        c = self.config
        before, after = c.left_end.completed(time)
        self._keep(self._left, c.left, c.left_end, inputs[0], before)
        self._keep(self._right, c.right, c.right_end, inputs[1], before)
        if after <= MIN_WATERMARK:
            return None
        left, right = self._due(self._left, after), self._due(self._right, after)
        if not left.num_rows and not right.num_rows:
            return None
        rows = self._join.run(l=left, r=right)
        return ChangelogBatch(rows) if rows.num_rows else None

    def _keep(
        self,
        store: RunStore,
        schema: pa.Schema,
        end: WindowExpiry,
        batch: ChangelogBatch | None,
        before: int,
    ) -> None:
        if batch is None or batch.num_rows == 0:
            return
        times = end.last_ms(batch.rows.column(end.column))
        late = times <= before
        if late.any():
            self.ctx.metrics.num_late_records_dropped += int(np.count_nonzero(late))
            batch, times = batch.take(np.flatnonzero(~late)), times[~late]
        columns = [as_array(c, f.type) for c, f in zip(batch.rows.columns, schema, strict=True)]
        rows = pa.RecordBatch.from_arrays(columns, schema=schema)
        store.append(np.zeros(len(times), np.uint64), rows, batch.weight_array(), times=times)

    @staticmethod
    def _due(store: RunStore, until: int) -> pa.RecordBatch:
        """The rows of complete windows, each as often as it is there."""
        found = store.take_until(min(until, MAX_WATERMARK - 1))
        return taken(found.rows, np.repeat(np.arange(len(found.weights)), np.maximum(found.weights, 0)))

    def output_watermark(self, input_watermark: int) -> int:
        c = self.config
        return earlier(input_watermark, max(c.left_end.lateness_ms, c.right_end.lateness_ms))

    def next_timer_ms(self) -> int | None:
        if not self.config.left_end.proctime:
            return None
        due = [t + 1 for t in (self._left.first_time(), self._right.first_time()) if t is not None]
        return min(due, default=None)
