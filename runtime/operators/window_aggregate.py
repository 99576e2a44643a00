"""WindowAggregate: GROUP BY window_start, window_end over TUMBLE, HOP, CUMULATE or columns of an earlier window.

In: any changelog (retractions cancel inside the window). Out: insert-only rows, once per window and key,
when the watermark reaches window end − 1 ms.

A row lands in one slice; a HOP window is the merge of its slices::

    slices   |--a--|--b--|--c--|--d--|          slide
    windows  [a b c) [b c d) …                  size

State: slice → partial aggregates (or, where an aggregate has no partial form, the slice's rows). Freed when
the last window over the slice has fired. A row is late when every window it belongs to has fired; such rows
are counted and dropped. Rows with a NULL time are counted and dropped (Flink fails the job; one bad row
must not).

Source: Flink's slicing window operators (2.x).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.changelog import ChangelogBatch

from ..accumulators import numpy
from ..engine import WEIGHT, with_weights
from ..state.scalars import Scalars
from ..state.slice_store import SliceStore
from ..windows import SlicedWindow, to_utc
from .base import MAX_WATERMARK, MIN_WATERMARK, Operator, OperatorContext, StepTime
from .group_aggregate import ORDINAL
from .slot_merge import SlotMerge

FIRE_ROWS_MAX = 2_000_000
"""Partial rows merged by one query at most, so that catching up on old topics does not hold everything at once."""


@dataclass(frozen=True)
class WindowAggregateConfig:
    """SQL and schemas of the stages, all over partial rows ``p0 …`` of ``partial`` schema.

    ``partial_sql``: from ``{input}``: slice end (wall-clock ms, NULL for a NULL time), row count, then the
    partial columns. ``merge_sql``: from ``{input}`` with a leading ``win`` column: the same partial columns
    merged per (win, key). ``final_sql``: from ``{input}`` with ``win``: ``win`` and the output columns
    without window columns. ``slot_sql``: the same from rows that are merged already; None where a merge is
    more than a sum of BIGINT or DOUBLE. ``keys``: how many of the partial columns are keys; the first
    after them is the row count. ``bounds``: per output column ``start``, ``end`` or ``time`` of the window,
    or None for the next final column. Windows that come as columns of an earlier window are slices of
    their own: ``window`` is then a TUMBLE of that size. ``proctime``: processing-time windows, which fire by
    the job's clock.
    """

    partial_sql: str
    merge_sql: str
    final_sql: str
    slot_sql: str | None
    input: pa.Schema
    partial: pa.Schema
    output: pa.Schema
    bounds: tuple[str | None, ...]
    weighted: bool
    window: SlicedWindow
    what: str
    keys: int
    proctime: bool = False


class WindowAggregate(Operator):
    """See the module's text."""

    def __init__(self, config: WindowAggregateConfig) -> None:
        self.config = config

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        schema = c.input
        if c.weighted:
            schema = schema.append(pa.field(WEIGHT, pa.int64()))
        schema = schema.append(pa.field(ORDINAL, pa.int64()))
        window = pa.field("win", pa.int64())
        head = [pa.field("slice", pa.int64()), pa.field("n", pa.int64())]
        self._partial = ctx.engine.fragment(
            c.partial_sql, {"input": schema}, pa.schema([*head, *c.partial]), c.what
        )
        windowed = pa.schema([window, *c.partial])
        self._merge = ctx.engine.fragment(c.merge_sql, {"input": windowed}, windowed, c.what)
        values = [f for f, bound in zip(c.output, c.bounds, strict=True) if bound is None]
        self._final = ctx.engine.fragment(
            c.final_sql, {"input": windowed}, pa.schema([window, *values]), c.what
        )
        self._slices = ctx.state("slices", SliceStore(c.partial))
        self._by_slot: SlotMerge | None = None
        if c.slot_sql is not None and c.window.size_ms != c.window.slice_ms:
            self._by_slot = SlotMerge(c.partial, c.keys, self._slices)
            self._final_by_slot = ctx.engine.fragment(
                c.slot_sql, {"input": windowed}, pa.schema([window, *values]), c.what
            )
        self._flags = ctx.state("flags", Scalars())

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        before, after = time.watermark_before, time.watermark
        if self.config.proctime:
            before = int(self._flags.get("fired", MIN_WATERMARK))  # type: ignore[arg-type]
            after = MAX_WATERMARK if time.watermark == MAX_WATERMARK else time.now_ms - 1
        if inputs[0] is not None and inputs[0].num_rows:
            self._accumulate(inputs[0], before)
        if after <= before:
            return None
        self._flags.set("fired", after)
        return self._fire(before, after)

    # -- rows in ---------------------------------------------------------------------------------------------------
    def _accumulate(self, batch: ChangelogBatch, watermark: int) -> None:
        c = self.config
        rows = with_weights(batch) if c.weighted else batch.rows
        first = self._flags.get_int("ordinal")
        ordinals = np.arange(first, first + rows.num_rows)
        rows = rows.append_column(pa.field(ORDINAL, pa.int64()), pa.array(ordinals))
        self._flags.set("ordinal", first + rows.num_rows)
        partial = self._partial.run(input=rows)
        keep = self._kept(partial, watermark)
        if not keep.all():
            partial = partial.filter(pa.array(keep))
        if partial.num_rows == 0:
            return
        ends = numpy(partial.column(0), np.int64)
        self._slices.append(ends, pa.RecordBatch.from_arrays(partial.columns[2:], schema=c.partial))
        crowded = [int(s) for s in np.unique(ends) if self._slices.needs_merge(int(s))]
        if crowded:
            self._compact(crowded)

    def _kept(self, partial: pa.RecordBatch, watermark: int) -> npt.NDArray[np.bool_]:
        """Which partial rows still belong to a window that has not fired; counts the others."""
        slices, counts = partial.column(0), numpy(partial.column(1), np.int64)
        null: npt.NDArray[np.bool_] = numpy(slices.is_null(), np.bool_)
        if null.any():
            self.ctx.metrics.num_null_time_dropped += int(counts[null].sum())
        if watermark == MIN_WATERMARK:
            return ~null
        ends = numpy(slices, np.int64)
        window = self.config.window
        unique, inverse = np.unique(ends, return_inverse=True)
        fired = np.array(
            [to_utc(window.last_window_end(int(e)), window.zone) - 1 <= watermark for e in unique], np.bool_
        )
        late = fired[inverse] & ~null
        if late.any():
            self.ctx.metrics.num_late_records_dropped += int(counts[late].sum())
        return ~late & ~null

    def _compact(self, slices: Sequence[int]) -> None:
        merged = self._merge.run(input=self._gather((s, [s]) for s in slices))
        ends = numpy(merged.column(0), np.int64)
        order = np.argsort(ends, kind="stable")
        rows = pa.RecordBatch.from_arrays(merged.columns[1:], schema=self.config.partial).take(
            pa.array(order)
        )
        ends = ends[order]
        for s in slices:
            low, high = np.searchsorted(ends, [s, s + 1])
            self._slices.replace(s, rows.slice(low, high - low))

    def _gather(self, windows: Iterable[tuple[int, Iterable[int]]]) -> pa.RecordBatch:
        """The partial rows of each (window, slices) with the window's end in front."""
        batches: list[pa.RecordBatch] = []
        marks: list[npt.NDArray[np.int64]] = []
        for end, slices in windows:
            for s in slices:
                for batch in self._slices.batches(s):
                    batches.append(batch)
                    marks.append(np.full(batch.num_rows, end, np.int64))
        schema = pa.schema([pa.field("win", pa.int64()), *self.config.partial])
        if not batches:
            return pa.RecordBatch.from_pylist([], schema=schema)
        rows = pa.concat_batches(batches)
        return pa.RecordBatch.from_arrays([pa.array(np.concatenate(marks)), *rows.columns], schema=schema)

    # -- windows out -----------------------------------------------------------------------------------------------
    def _fire(self, before: int, watermark: int) -> ChangelogBatch | None:
        window = self.config.window
        present = self._slices.slices()
        due = window.due(present, before, watermark)
        if not due:
            return None
        known = set(present)
        out: list[ChangelogBatch] = []
        group: list[tuple[int, list[int]]] = []
        size = 0
        for end in due:
            slices = (
                [s for s in window.slices(end) if s in known] if window.size_ms != window.slice_ms else [end]
            )
            group.append((end, slices))
            size += sum(b.num_rows for s in slices for b in self._slices.batches(s))
            if size >= FIRE_ROWS_MAX:
                out.append(self._finish(group))
                group, size = [], 0
        if group:
            out.append(self._finish(group))
        done = [s for s in present if to_utc(window.last_window_end(s), window.zone) - 1 <= watermark]
        if done:
            self._slices.drop_until(max(done))
        if self._by_slot is not None:
            self._by_slot.forget()
        return ChangelogBatch.concat(out)

    def _finish(self, windows: Sequence[tuple[int, Sequence[int]]]) -> ChangelogBatch:
        if self._by_slot is not None:
            final = self._final_by_slot.run(input=self._by_slot.merge(windows))
        else:
            final = self._final.run(input=self._gather(windows))
        return ChangelogBatch(self._with_bounds(final))

    def _with_bounds(self, final: pa.RecordBatch) -> pa.RecordBatch:
        """Replace ``win`` by the window columns the output asks for."""
        window, output = self.config.window, self.config.output
        ends = numpy(final.column(0), np.int64)
        unique, inverse = np.unique(ends, return_inverse=True)
        starts = np.array([window.window_start(int(e)) for e in unique], np.int64)
        times = np.array([to_utc(int(e), window.zone) - 1 for e in unique], np.int64)
        values = iter(final.columns[1:])
        columns: list[pa.Array] = []
        for f, bound in zip(output, self.config.bounds, strict=True):
            if bound is None:
                columns.append(next(values))
            elif bound == "start":
                columns.append(_timestamps(starts[inverse], f.type))
            else:
                instant = times[inverse] if f.type.tz else ends - 1
                columns.append(_timestamps(ends if bound == "end" else instant, f.type))
        return pa.RecordBatch.from_arrays(columns, schema=output)

    def next_timer_ms(self) -> int | None:
        if not self.config.proctime or not self._slices.slices():
            return None
        return to_utc(self._slices.slices()[0], self.config.window.zone)

    def content(self) -> pa.Table:
        """The open windows as they stand: what each would yield if it fired now."""
        present = self._slices.slices()
        window = self.config.window
        fired = int(self._flags.get("fired", MIN_WATERMARK))  # type: ignore[arg-type]
        ends = sorted(
            {e for s in present for e in window.window_ends(s) if to_utc(e, window.zone) - 1 > fired}
        )
        known = set(present)
        rows = self._finish([(e, [s for s in window.slices(e) if s in known]) for e in ends])
        return pa.Table.from_batches([rows.rows])


def _timestamps(ms: npt.NDArray[np.int64], type_: pa.DataType) -> pa.Array:
    return pc.multiply(pa.array(ms), 1000).cast(type_)
