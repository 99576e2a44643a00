"""Deduplication: one row a key, the first or the last by a time attribute, over insert-only rows.

``KeepFirst`` (processing time): a key's first row leaves at once, all others are dropped.
``KeepFirstByTime``: rows wait until the watermark reaches their time; the earliest of a key then leaves, once.
Late rows and rows with a NULL time are counted and dropped. ``KeepLast``: a row replaces the one held unless
its time is earlier; of equal times the later arrival is the last; NULL is the earliest time.

State: the keys seen; of ``KeepLast`` with their row; of ``KeepFirstByTime`` beside them, per key that is not
out yet, the rows that wait. Keys are freed by time to live: of ``KeepLast`` since the last row, of the others
since the first, as the rows after it leave no trace; a key that comes later is a new one. With a time to live
``KeepLast`` sends an equal row again, so that state further on lives as long.

Source: Flink's StreamExecDeduplicate (2.x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..state.hashing import hash_columns
from ..state.run_store import RunStore
from ..state.slot_column import SlotColumn
from .base import MAX_WATERMARK, MIN_WATERMARK, Operator, OperatorContext, StepTime
from .changes import Emit, first_of_each, net, spread
from .keys import key_index
from .on_time import on_time, times_ms

I64 = npt.NDArray[np.int64]


class KeepFirst(Operator):
    """By processing time. ``key``: column numbers of the rows."""

    def __init__(self, schema: pa.Schema, key: tuple[int, ...]) -> None:
        self.schema = schema
        self.key = key

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        self._seen = key_index(ctx, self.schema, self.key)

    def expire(self, now_ms: int) -> int:
        return len(self._seen.expire(now_ms))

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        batch = inputs[0]
        return None if batch is None or not batch.num_rows else self._unseen(spread(batch), time.now_ms)

    def _unseen(self, rows: pa.RecordBatch, now_ms: int) -> ChangelogBatch | None:
        """The first row of each key that has not been out, in order of arrival."""
        keys = [rows.column(k) for k in self.key]
        first, _ = first_of_each(keys, rows.num_rows)
        keys = [k.take(pa.array(first)) for k in keys]
        hashes = hash_columns(keys, len(first))
        _, inserted = self._seen.lookup_or_insert(hashes, keys, now_ms, touch=False)
        fresh = first[inserted]
        return ChangelogBatch(rows.take(pa.array(fresh))) if len(fresh) else None


class KeepFirstByTime(KeepFirst):
    """By event time, column ``time``."""

    def __init__(self, schema: pa.Schema, key: tuple[int, ...], time: int) -> None:
        super().__init__(schema, key)
        self.time = time

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        self._waiting = ctx.state("waiting", RunStore(self.schema, self.key, timed=True))

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        batch = inputs[0]
        if batch is not None and batch.num_rows:
            self._wait(spread(batch), time.watermark_before)
        due = self._waiting.take_until(min(time.watermark, MAX_WATERMARK - 1))
        if not len(due.weights):
            return None
        rows = due.rows
        order = np.argsort(times_ms(rows.column(self.time)), kind="stable")
        return self._unseen(rows.take(pa.array(order)), time.now_ms)

    def _wait(self, rows: pa.RecordBatch, watermark: int) -> None:
        """Keep, of the rows that may still be first, the earliest of each key."""
        rows, times = on_time(rows, self.time, watermark, self.ctx.metrics)
        keys = [rows.column(k) for k in self.key]
        hashes = hash_columns(keys, rows.num_rows)
        places = np.flatnonzero(self._seen.lookup(hashes, keys) < 0)
        places = places[np.argsort(times[places], kind="stable")]
        rows, times, hashes = rows.take(pa.array(places)), times[places], hashes[places]
        first, _ = first_of_each([rows.column(k) for k in self.key], rows.num_rows)
        self._waiting.append(hashes[first], rows.take(pa.array(first)), times=times[first])


class KeepLast(Operator):
    """``time``: the column of event time; None for processing time, by which the last to arrive is the last."""

    def __init__(self, schema: pa.Schema, key: tuple[int, ...], time: int | None, emit: Emit) -> None:
        self.schema = schema
        self.key = key
        self.time = time
        self.emit = emit

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        self._index = key_index(ctx, self.schema, self.key)
        self._columns = [
            None if i in self.key else ctx.state(f"c{i}", SlotColumn(f.type))
            for i, f in enumerate(self.schema)
        ]
        self.emit = replace(self.emit, refresh=ctx.ttl_ms() is not None)

    def expire(self, now_ms: int) -> int:
        slots = self._index.expire(now_ms)
        for column in self._columns if len(slots) else []:
            if column is not None:
                column.clear(slots)
        return len(slots)

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        batch = inputs[0]
        if batch is None or not batch.num_rows:
            return None
        rows = self._last(spread(batch))
        keys = [rows.column(k) for k in self.key]
        hashes = hash_columns(keys, rows.num_rows)
        slots, inserted = self._index.lookup_or_insert(hashes, keys, time.now_ms)
        old = self._rows(slots)
        newer = inserted | (self._times(rows) >= self._times(old))
        known = newer & ~inserted
        places = np.flatnonzero(newer)
        for i, column in enumerate(self._columns):
            if column is not None:
                column.set(slots[places], rows.column(i).take(pa.array(places)))
        gone = old.take(pa.array(np.flatnonzero(known)))
        come = rows.take(pa.array(places))
        weights = np.concatenate([np.full(gone.num_rows, -1), np.ones(come.num_rows, np.int64)])
        return net(pa.concat_batches([gone, come]), weights, self.emit)

    def _last(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The last row of each key."""
        latest_first = np.lexsort((-np.arange(rows.num_rows), -self._times(rows)))
        ordered = rows.take(pa.array(latest_first))
        first, _ = first_of_each([ordered.column(k) for k in self.key], rows.num_rows)
        places = np.sort(latest_first[first])  # in order of arrival
        return pa.RecordBatch.from_arrays(rows.take(pa.array(places)).columns, schema=self.schema)

    def _times(self, rows: pa.RecordBatch) -> I64:
        if self.time is None:
            return np.zeros(rows.num_rows, np.int64)
        column = rows.column(self.time)
        null = column.is_null().to_numpy(zero_copy_only=False)
        return np.where(null, MIN_WATERMARK + 1, times_ms(column))

    def _rows(self, slots: I64) -> pa.RecordBatch:
        by_key = dict(zip(self.key, self._index.keys(slots), strict=True))
        columns = [by_key[i] if c is None else c.get(slots) for i, c in enumerate(self._columns)]
        cast = [c.cast(f.type) for c, f in zip(columns, self.schema, strict=True)]
        return pa.RecordBatch.from_arrays(cast, schema=self.schema)

    def content(self) -> pa.Table:
        return pa.Table.from_batches([self._rows(self._index.live_slots())])
