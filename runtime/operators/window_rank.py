"""WindowRank: the best rows of each partition of a window, once, when the window is complete.

In: insert-only rows that carry the end of their window, one of the columns of the partition. Out:
insert-only. Rows of windows that have passed are counted and dropped.

State: the rows of open windows; when they have grown by as much again, those that rank too high are dropped.
Freed when the window is emitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..accumulators import numpy
from ..state.hashing import hash_columns
from ..state.run_store import RunStore
from ..state.scalars import Scalars
from .base import MAX_WATERMARK, Operator, OperatorContext, StepTime
from .changes import first_of_each, spread
from .expiry import WindowExpiry

I64 = npt.NDArray[np.int64]

COMPACT_ROWS_MIN = 4096
"""Fewer new rows than this are not worth ranking before the window is complete."""

NEVER = MAX_WATERMARK


@dataclass(frozen=True)
class WindowRankConfig:
    """``sql``: over ``{input}`` with ``g`` (partition), the columns ``order``, ``i``, ``p``; yields ``p`` and the rank
    of each row of rank ≤ ``end``. ``keys``: the partition, the window included; ``expiry`` says what completes it.
    """

    sql: str
    rows: pa.Schema
    keys: tuple[int, ...]
    order: tuple[int, ...]
    start: int
    with_rank: bool
    output: pa.Schema
    expiry: WindowExpiry
    what: str


class WindowRank(Operator):
    """See the module's text."""

    def __init__(self, config: WindowRankConfig) -> None:
        self.config = config

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        number = pa.int64()
        ordered = [c.rows.field(k) for k in c.order]
        self._ranked = pa.schema(
            [pa.field("g", number), *ordered, pa.field("i", number), pa.field("p", number)]
        )
        found = pa.schema([("p", number), ("r", number)])
        self._rank = ctx.engine.fragment(c.sql, {"input": self._ranked}, found, c.what)
        self._rows = ctx.state("rows", RunStore(c.rows, (), timed=True))
        self._sizes = ctx.state("sizes", Scalars())

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        before, until = self.config.expiry.completed(time)
        batch = inputs[0]
        if batch is not None and batch.num_rows:
            self._add(spread(batch), before)
        due = self._rows.take_until(min(until, MAX_WATERMARK - 1))
        if self._sizes.get_int("next", NEVER) <= until:
            held = self._rows.read().combine_chunks()
            ends = self._last_ms(held.column(self.config.expiry.column).combine_chunks())
            self._sizes.set("next", int(ends.min(initial=NEVER)))
            # Which have left is not known: the older ones.
            new = min(self._sizes.get_int("new"), held.num_rows)
            self._sizes.set("new", new)
            self._sizes.set("held", held.num_rows - new)
        if not len(due.weights):
            return None
        places, ranks = self._ranks(due.rows)
        chosen = np.flatnonzero(ranks >= self.config.start)
        return ChangelogBatch(self._output(due.rows.take(pa.array(places[chosen])), ranks[chosen]))

    def _add(self, rows: pa.RecordBatch, before: int) -> None:
        times = self._last_ms(rows.column(self.config.expiry.column))
        late = times <= before
        if late.any():
            self.ctx.metrics.num_late_records_dropped += int(late.sum())
            rows, times = rows.filter(pa.array(~late)), times[~late]
        if not rows.num_rows:
            return
        self._append(rows, times)
        kept = self._sizes.get_int("held")
        new = self._sizes.add("new", rows.num_rows)
        if new > max(kept, COMPACT_ROWS_MIN):
            self._compact()

    def _append(self, rows: pa.RecordBatch, times: I64) -> None:
        rows = pa.RecordBatch.from_arrays(rows.columns, schema=self.config.rows)
        self._rows.append(hash_columns([], rows.num_rows), rows, times=times)
        self._sizes.set("next", min(self._sizes.get_int("next", NEVER), int(times.min(initial=NEVER))))

    def _compact(self) -> None:
        """Drop the rows of open windows that rank too high already."""
        rows = self._rows.read().combine_chunks().to_batches()[0]
        places, _ = self._ranks(rows)
        places = np.sort(places)  # in order of arrival
        rows = rows.take(pa.array(places))
        self._rows.restore(RunStore(self.config.rows, (), timed=True).snapshot())
        self._append(rows, self._last_ms(rows.column(self.config.expiry.column)))
        self._sizes.set("held", rows.num_rows)
        self._sizes.set("new", 0)

    def _last_ms(self, ends: pa.Array) -> I64:
        return self.config.expiry.last_ms(ends)

    def _ranks(self, rows: pa.RecordBatch) -> tuple[I64, I64]:
        """The rows, in order of arrival, that rank low enough, and their ranks; by partition and rank."""
        n = rows.num_rows
        _, groups = first_of_each([rows.column(k) for k in self.config.keys], n)
        numbers = pa.array(np.arange(n))
        columns = [pa.array(groups), *(rows.column(k) for k in self.config.order), numbers, numbers]
        found = self._rank.run(input=pa.RecordBatch.from_arrays(columns, schema=self._ranked))
        places, ranks = (numpy(c, np.int64) for c in found.columns)
        order = np.lexsort((ranks, groups[places]))
        return places[order], ranks[order]

    def _output(self, rows: pa.RecordBatch, ranks: I64) -> pa.RecordBatch:
        columns = [*rows.columns, *([pa.array(ranks)] if self.config.with_rank else [])]
        return pa.RecordBatch.from_arrays(columns, schema=self.config.output)

    def next_timer_ms(self) -> int | None:
        due = self._sizes.get_int("next", NEVER)
        return due + 1 if self.config.expiry.proctime and due != NEVER else None
