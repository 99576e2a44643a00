"""IntervalJoin: a join of two insert-only inputs whose times are at most a bounded length apart.

    left.time − right.time ∈ [lower, upper]

In: insertions. Out: insertions; a row of a preserved side without a match comes (with NULLs, or in ANTI as it is) when
the watermark says that none can come any more. A left row waits until the watermark reaches its time − lower, a right
row until its time + upper, and then it is freed.

A late row still meets what has not been freed, and is counted. Rows with a NULL time are counted and dropped. By
processing time the clock takes the watermark's place.

The output's watermark is behind the input's by the longest wait, so that no row that comes out later is late.

Source: Flink's TimeIntervalJoin (2.x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..accumulators import numpy
from ..state.buffers import I64, Bools, distinct_values
from ..state.hashing import hash_columns
from ..state.run_store import RunStore
from ..state.scalars import Scalars
from .base import MAX_WATERMARK, MIN_WATERMARK, Operator, OperatorContext, StepTime
from .join_pairs import (
    Changes,
    KeyRule,
    Pairs,
    PairsConfig,
    Residual,
    candidates,
    padded,
    side_by_side,
    taken,
)


@dataclass(frozen=True)
class IntervalJoinConfig(PairsConfig):
    """``left_time``, ``right_time``: columns of the inputs; bounds in milliseconds."""

    left_time: int
    right_time: int
    lower_ms: int
    upper_ms: int
    proctime: bool = False


class IntervalJoin(Operator):
    """See the module's text."""

    def __init__(self, config: IntervalJoinConfig) -> None:
        self.config = config
        self._pairs_come_out = config.kind not in ("SEMI", "ANTI")

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        self._left = _Side(
            ctx, "left", c.left, c.left_time, flagged=c.kind in ("LEFT", "FULL", "SEMI", "ANTI")
        )
        self._right = _Side(ctx, "right", c.right, c.right_time, flagged=c.kind in ("RIGHT", "FULL"))
        self._flags = ctx.state("flags", Scalars())
        self._residual = None
        if c.residual is not None:
            self._residual = Residual(c.residual, c.left.schema, c.right.schema, ctx)

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        before, after = self._clock(time)
        out: list[pa.RecordBatch] = []
        left, left_alone = self._left.take(inputs[0], before)
        right, right_alone = self._right.take(inputs[1], before)
        if left_alone is not None and self.config.kind in ("LEFT", "FULL", "ANTI"):
            out.append(self._alone(left_alone, left=True))
        elif left_alone is not None:
            self.ctx.metrics.num_null_key_dropped += left_alone.num_rows
        if right_alone is not None and self.config.kind in ("RIGHT", "FULL"):
            out.append(self._alone(right_alone, left=False))
        elif right_alone is not None:
            self.ctx.metrics.num_null_key_dropped += right_alone.num_rows
        if left is not None:
            out += self._meet(left, self._left, self._right, before, delta_left=True)
        if right is not None:
            out += self._meet(right, self._right, self._left, before, delta_left=False)
        out += self._expire(after)
        batches = [ChangelogBatch(rows) for rows in out if rows.num_rows]
        return ChangelogBatch.concat(batches)

    def _clock(self, time: StepTime) -> tuple[int, int]:
        if not self.config.proctime:
            return time.watermark_before, time.watermark
        before = self._flags.get_int("fired", MIN_WATERMARK)
        after = MAX_WATERMARK if time.watermark == MAX_WATERMARK else max(before, time.now_ms - 1)
        self._flags.set("fired", after)
        return before, after

    # -- rows in ---------------------------------------------------------------------------------------------------
    def _meet(
        self, changes: Changes, own: _Side, other: _Side, before: int, *, delta_left: bool
    ) -> list[pa.RecordBatch]:
        """The changes with the other side's rows; then they are kept, and marked where they matched."""
        pairs = candidates(changes, other.rows, consolidate=False)
        pairs = self._passing(pairs, changes, own, other, delta_left=delta_left)
        times = own.times(changes.rows)
        ids = own.keep(changes, times)
        out: list[pa.RecordBatch] = []
        if self._pairs_come_out and len(pairs):
            found = pairs.found.rows
            a, b = (changes.rows, pairs.delta), (found, pairs.at)
            (left, li), (right, ri) = (a, b) if delta_left else (b, a)
            out.append(side_by_side(left, li, right, ri, self.config.output))
        if own.flagged:
            matched = np.zeros(len(changes), np.bool_)
            matched[pairs.delta] = True
            own.mark(ids[matched], times[matched])
            dead = times <= self._until(own, before)
            out += self._at_once(changes.rows, matched, dead, left=delta_left)
        if other.flagged and len(pairs):
            at = distinct_values(pairs.at)
            rows = taken(pairs.found.rows, at)
            new = other.mark(pairs.found.seq[at], other.times(rows))
            if self.config.kind == "SEMI" and not delta_left:
                out.append(self._alone(taken(rows, np.flatnonzero(new)), left=True))
        return out

    def _at_once(
        self, rows: pa.RecordBatch, matched: Bools, dead: Bools, *, left: bool
    ) -> list[pa.RecordBatch]:
        """Rows whose fate is known as they come: SEMI has a match, or it is too late for any."""
        chosen = matched if self.config.kind == "SEMI" else dead & ~matched
        return [self._alone(taken(rows, np.flatnonzero(chosen)), left=left)]

    def _passing(
        self, pairs: Pairs, changes: Changes, own: _Side, other: _Side, *, delta_left: bool
    ) -> Pairs:
        if not len(pairs):
            return pairs
        difference = own.times(changes.rows)[pairs.delta] - other.times(pairs.found.rows)[pairs.at]
        if not delta_left:
            difference = -difference
        pairs = pairs.where((difference >= self.config.lower_ms) & (difference <= self.config.upper_ms))
        if self._residual is None or not len(pairs):
            return pairs
        found, rows = pairs.found.rows, changes.rows
        if delta_left:
            return pairs.where(self._residual.passing(rows, pairs.delta, found, pairs.at))
        return pairs.where(self._residual.passing(found, pairs.at, rows, pairs.delta))

    def _alone(self, rows: pa.RecordBatch, *, left: bool) -> pa.RecordBatch:
        return padded(rows, self.config.output, left=left)

    # -- rows out --------------------------------------------------------------------------------------------------
    def _until(self, side: _Side, watermark: int) -> int:
        """The latest time of rows of that side that can find no partner after ``watermark``."""
        if watermark in (MIN_WATERMARK, MAX_WATERMARK):
            return watermark
        wait = self.config.lower_ms if side is self._left else -self.config.upper_ms
        return max(MIN_WATERMARK, min(watermark + wait, MAX_WATERMARK))

    def _expire(self, watermark: int) -> list[pa.RecordBatch]:
        if watermark == MIN_WATERMARK:
            return []
        out = []
        for side, left in ((self._left, True), (self._right, False)):
            rows = side.expire(self._until(side, watermark))
            if rows is not None and self.config.kind != "SEMI":
                out.append(self._alone(rows, left=left))
        return out

    def output_watermark(self, input_watermark: int) -> int:
        if input_watermark in (MIN_WATERMARK, MAX_WATERMARK):
            return input_watermark
        return input_watermark - max(-self.config.lower_ms, self.config.upper_ms, 0)

    def next_timer_ms(self) -> int | None:
        if not self.config.proctime:
            return None
        left, right = self._left.rows.first_time(), self._right.rows.first_time()
        due = [] if left is None else [left - self.config.lower_ms + 1]
        due += [] if right is None else [right + self.config.upper_ms + 1]
        return min(due, default=None)


class _Side:
    """One input's rows by key and time. ``flagged``: it is known which of them have matched."""

    def __init__(self, ctx: OperatorContext, name: str, rule: KeyRule, time: int, *, flagged: bool) -> None:
        self.flagged = flagged
        self._rule = rule
        self._time = time
        self._metrics = ctx.metrics
        self.rows = ctx.state(name, RunStore(rule.schema, rule.columns, timed=True))
        self._numbers = ctx.state(f"{name}-numbers", Scalars())
        ids = pa.schema([pa.field("id", pa.int64())])
        self._matched = ctx.state(f"{name}-matched", RunStore(ids, (0,), timed=True)) if flagged else None

    def take(self, batch: ChangelogBatch | None, before: int) -> tuple[Changes | None, pa.RecordBatch | None]:
        """The rows that can match, and those with a NULL in a key; late rows are counted."""
        if batch is None or batch.num_rows == 0:
            return None, None
        column = batch.rows.column(self._time)
        if column.null_count:
            known = ~numpy(column.is_null(), np.bool_)
            self._metrics.num_null_time_dropped += int(np.count_nonzero(~known))
            batch = batch.take(np.flatnonzero(known))
        late = millis(batch.rows.column(self._time)) <= before
        self._metrics.num_late_records_dropped += int(np.count_nonzero(late))
        changes, alone = self._rule.changes(batch)
        return changes, None if alone is None else alone.rows

    def times(self, rows: pa.RecordBatch) -> I64:
        return millis(rows.column(self._time))

    def keep(self, changes: Changes, times: I64) -> I64:
        """Adds rows to the state; returns their numbers."""
        first = self._numbers.add("next", len(changes)) - len(changes)
        ids: I64 = np.arange(first, first + len(changes))
        self.rows.append(changes.hashes, changes.rows, seq=ids, times=times)
        return ids

    def mark(self, ids: I64, times: I64) -> Bools:
        """Notes that these rows have matched; which of them had not before."""
        assert self._matched is not None
        column = pa.array(ids)
        hashes = hash_columns([column], len(ids))
        known = self._matched.probe(hashes, [column])
        new = np.ones(len(ids), np.bool_)
        new[known.probe_index] = False
        fresh = np.flatnonzero(new)
        rows = pa.RecordBatch.from_arrays([column.take(pa.array(fresh))], names=["id"])
        self._matched.append(hashes[fresh], rows, times=times[fresh])
        return new

    def expire(self, until: int) -> pa.RecordBatch | None:
        """Frees the rows up to that time; those that never matched, where that is known."""
        until = min(until, MAX_WATERMARK - 1)
        if self._matched is None:
            self.rows.drop_until(until)
            return None
        gone, matched = self.rows.take_until(until), self._matched.take_until(until)
        alone = ~np.isin(gone.seq, numpy(matched.rows.column(0), np.int64))
        return taken(gone.rows, np.flatnonzero(alone))


def millis(column: pa.Array) -> I64:
    """Epoch milliseconds of a timestamp column, NULL as 0."""
    micros: I64 = numpy(column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()), np.int64)
    return micros // 1000
