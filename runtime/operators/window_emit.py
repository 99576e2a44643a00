"""WindowEmit: the changes of windows, held back until they are to be shown.

::

    watermark         window open           end        rows may be late        end + lateness
    what is shown     early: by interval,   the value  late: by interval,      the last value
                      or nothing                       or at every change

In: the changes of groups whose key holds the end of their window, −old +new. Out: what they amount to between two
showings; nothing where a group is again what it was.

State: changes that have not been shown; with an interval, when each group shows its own. Freed as they are shown, at
the latest when the window is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..state.buffers import as_array
from ..state.hashing import hash_columns
from ..state.run_store import RunStore
from .base import MAX_WATERMARK, Operator, OperatorContext, StepTime
from .changes import Emit, net
from .expiry import WindowExpiry
from .fire_timers import FireTimers

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class WindowEmitConfig:
    """``early_ms``, ``late_ms``: the interval before and after the end; 0: at once, None: not at all.

    ``keys``: how many of the first columns are the group's. ``end``: which of them is the end of the window.
    """

    rows: pa.Schema
    keys: int
    end: WindowExpiry
    lateness_ms: int
    early_ms: int | None
    late_ms: int | None
    emit: Emit


class WindowEmit(Operator):
    """See the module's text."""

    def __init__(self, config: WindowEmitConfig) -> None:
        self.config = config

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        types = [f.type for f in c.rows][: c.keys]
        self._held = ctx.state("held", RunStore(c.rows, range(c.keys), timed=True))
        late_end = replace(c.end, lateness_ms=c.lateness_ms)
        self._early = FireTimers(ctx, "early", types, c.early_ms, c.end) if c.early_ms else None
        self._late = FireTimers(ctx, "late", types, c.late_ms, late_end) if c.late_ms else None

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        c = self.config
        before, until = c.end.completed(time)
        out: list[ChangelogBatch] = []
        batch = inputs[0]
        if batch is not None and batch.num_rows:
            ends = c.end.last_ms(batch.rows.column(c.end.column))
            late = ends <= before
            self._take(batch, ~late, ends, c.early_ms, self._early, time, out)
            self._take(batch, late, ends + c.lateness_ms, c.late_ms, self._late, time, out)
        due = self._held.take_until(min(until, MAX_WATERMARK - 1))
        self._show(due.rows, due.weights, out)
        for timers, lateness in ((self._early, 0), (self._late, c.lateness_ms)):
            if timers is not None:
                timers.forget(replace(c.end, lateness_ms=lateness).completed(time)[1])
                self._fire(timers, time.now_ms, out)
        return ChangelogBatch.concat(out)

    def _take(
        self,
        batch: ChangelogBatch,
        mine: Bools,
        until: I64,
        interval_ms: int | None,
        timers: FireTimers | None,
        time: StepTime,
        out: list[ChangelogBatch],
    ) -> None:
        """Shows the changes of one phase, or holds them back; ``until``: when they must be shown at the latest."""
        if not mine.any():
            return
        changes, until = batch.take(np.flatnonzero(mine)), until[mine]
        if interval_ms == 0:
            self._show(changes.rows, changes.weight_array(), out)
            return
        columns = [as_array(c, f.type) for c, f in zip(changes.rows.columns, self.config.rows, strict=True)]
        keys = columns[: self.config.keys]
        hashes = hash_columns(keys, changes.num_rows)
        rows = pa.RecordBatch.from_arrays(columns, schema=self.config.rows)
        self._held.append(hashes, rows, changes.weight_array(), times=until)
        if timers is not None:
            timers.changed(hashes, keys, time.now_ms)

    def _fire(self, timers: FireTimers, now_ms: int, out: list[ChangelogBatch]) -> None:
        """Shows what the groups that are due hold back."""
        hashes, keys = timers.take(now_ms)
        if not len(hashes):
            return
        found = self._held.probe(hashes, keys, consolidate=True)
        self._show(found.rows, found.weights, out)
        self._held.append(
            hashes[found.probe_index], found.rows, -found.weights, seq=found.seq, times=found.times
        )

    def _show(self, rows: pa.RecordBatch, weights: I64, out: list[ChangelogBatch]) -> None:
        if rows.num_rows:
            shown = net(rows, weights, self.config.emit)
            if shown is not None:
                out.append(shown)

    def next_timer_ms(self) -> int | None:
        timers = [t.next_ms() for t in (self._early, self._late) if t is not None]
        if self.config.end.proctime and (first := self._held.first_time()) is not None:
            timers.append(first + 1)
        return min((t for t in timers if t is not None), default=None)
