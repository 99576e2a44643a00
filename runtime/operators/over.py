"""OverByTime, OverRunning: window functions over the rows before each row, in the order of a time attribute.

::

    rows ──▶ waiting ──(watermark)──▶ due ─┬─ with the history of their partitions, one query ──▶ due rows, once
                                           └──▶ history, as far back as a frame reads

In: insert-only rows. Out: insert-only, each row once, with its values; by processing time at once, in order
of arrival. Late rows and rows with a NULL time are counted and dropped.

State: the rows that wait; per partition the rows that later frames read: of the last ``history_ms``, or the
last ``history_rows`` of them, or all where a frame has no bound and its function no running value. Where it
has one, only that value. What no length of time bounds is freed by time to live, since the partition's last row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..state.hashing import hash_columns
from ..state.key_index import KeyIndex
from ..state.run_store import RunStore
from ..state.scalars import Scalars
from ..state.slot_column import SlotColumn
from ..state.ttl import KeyedTtl
from .base import MAX_WATERMARK, Operator, OperatorContext, StepTime
from .changes import first_of_each, spread
from .expiry import earlier
from .on_time import on_time, times_ms

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class OverConfig:
    """``sql``: over ``{input}`` with ``g`` (partition), ``due`` (0 or 1), ``c0 …``, ``i`` (place in the order); yields
    the due rows in order, with the values as last columns.

    ``time``: the column of event time, None for processing time. ``history_rows`` and ``history_ms``: what
    frames read of the rows before; both None: everything; a row is kept that one of them asks for.
    """

    sql: str
    rows: pa.Schema
    keys: tuple[int, ...]
    time: int | None
    history_rows: int | None
    history_ms: int | None
    output: pa.Schema
    what: str


class _Over(Operator):
    """Rows that wait for their time; what is made of them then is for the subclass to say."""

    def __init__(self, config: OverConfig) -> None:
        self.config = config

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        self._held = pa.schema([*c.rows, pa.field("i", pa.int64())])
        self._count = ctx.state("count", Scalars())
        if c.time is not None:
            self._waiting = ctx.state("waiting", RunStore(c.rows, (), timed=True))

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        batch = inputs[0]
        rows: pa.RecordBatch | None = spread(batch) if batch is not None and batch.num_rows else None
        if self.config.time is None:
            until = time.now_ms
            times = np.full(rows.num_rows if rows is not None else 0, until)
        else:
            until = min(time.watermark, MAX_WATERMARK - 1)
            rows, times = self._due(rows, self.config.time, time.watermark_before, until)
        out = None
        if rows is not None and rows.num_rows:
            out = ChangelogBatch(self._evaluate(self._numbered(rows), times, until, time.now_ms))
        self._expire(until)
        return out

    def _evaluate(self, due: pa.RecordBatch, times: I64, until: int, now_ms: int) -> pa.RecordBatch:
        raise NotImplementedError

    def _expire(self, until: int) -> None:
        """Free what no later row reads."""

    def _due(
        self, rows: pa.RecordBatch | None, column: int, before: int, until: int
    ) -> tuple[pa.RecordBatch, I64]:
        """The rows that the watermark has reached, in the order of their times."""
        if rows is not None:
            kept, times = on_time(rows, column, before, self.ctx.metrics)
            self._waiting.append(hash_columns([], kept.num_rows), kept, times=times)
        due = self._waiting.take_until(until).rows
        times = times_ms(due.column(column))
        order = np.argsort(times, kind="stable")
        return due.take(pa.array(order)), times[order]

    def _numbered(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        first = self._count.get_int("rows")
        self._count.set("rows", first + rows.num_rows)
        numbers = pa.array(np.arange(first, first + rows.num_rows))
        return pa.RecordBatch.from_arrays([*rows.columns, numbers], schema=self._held)


class OverByTime(_Over):
    """Frames over the rows before, which are kept as far back as any frame reads."""

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        head = [pa.field("g", pa.int64()), pa.field("due", pa.int64())]
        self._input = pa.schema([*head, *self._held])
        self._values = ctx.engine.fragment(c.sql, {"input": self._input}, c.output, c.what)
        self._by_time = c.history_ms is not None and c.history_rows is None
        self._history = ctx.state("history", RunStore(self._held, c.keys, timed=self._by_time))
        types, ttl = [c.rows.field(k).type for k in c.keys], None if self._by_time else ctx.ttl_ms()
        self._ttl = KeyedTtl(self._history, None if ttl is None else ctx.state("keys", KeyIndex(types, ttl)))

    def expire(self, now_ms: int) -> int:
        return self._ttl.expire(now_ms)

    def _expire(self, until: int) -> None:
        if self._by_time:
            self._history.drop_until(earlier(until, self.config.history_ms or 0))

    def _evaluate(self, due: pa.RecordBatch, times: I64, until: int, now_ms: int) -> pa.RecordBatch:
        keys = [due.column(k) for k in self.config.keys]
        hashes = hash_columns(keys, due.num_rows)
        first, groups = first_of_each(keys, due.num_rows)
        probed = hashes[first], [k.take(pa.array(first)) for k in keys]
        self._ttl.touch(*probed, now_ms)
        held = self._history.probe(*probed, consolidate=True)
        rows = pa.concat_batches([held.rows, due])
        groups = np.concatenate([held.probe_index, groups])
        is_due = np.zeros(rows.num_rows, np.int64)
        is_due[held.rows.num_rows :] = 1
        columns = [pa.array(groups), pa.array(is_due), *rows.columns]
        made = self._values.run(input=pa.RecordBatch.from_arrays(columns, schema=self._input))
        if self._by_time:
            self._history.append(hashes, due, times=times)
        else:
            self._remember(rows, hashes[first][groups], groups, is_due, until)
        return made

    def _remember(
        self, rows: pa.RecordBatch, hashes: npt.NDArray[np.uint64], groups: I64, is_due: I64, until: int
    ) -> None:
        """Keep what later frames read of these partitions."""
        c = self.config
        keep = np.ones(len(groups), np.bool_)
        if c.history_rows is not None:
            numbers = rows.column(rows.num_columns - 1).to_numpy(zero_copy_only=False)
            order = np.lexsort((-numbers, groups))  # the last of each partition first
            ordered = groups[order]
            starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
            place = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
            keep[order] = place < c.history_rows
            if c.history_ms is not None and c.time is not None:
                keep |= times_ms(rows.column(c.time)) > until - c.history_ms
        changed = np.flatnonzero(keep == (is_due == 1))  # due rows to keep, old rows to forget
        weights = np.where(keep[changed], 1, -1).astype(np.int64)
        self._history.append(hashes[changed], rows.take(pa.array(changed)), weights)


class OverRunning(_Over):
    """Running aggregates: the value of a partition's last row stands for all its rows.

    The values so far enter the query as one row before those that are due (``due`` 0), in the columns ``h0 …``.
    State: partition → its values.
    """

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        head = [pa.field("g", pa.int64()), pa.field("due", pa.int64())]
        carried = [pa.field(f"h{n}", f.type) for n, f in enumerate(list(c.output)[len(c.rows) :])]
        self._input = pa.schema([*head, *self._held, *carried])
        self._values = ctx.engine.fragment(c.sql, {"input": self._input}, c.output, c.what)
        self._index = ctx.state("keys", KeyIndex([c.rows.field(k).type for k in c.keys], ctx.ttl_ms()))
        self._carried = [ctx.state(f.name, SlotColumn(f.type)) for f in carried]

    def expire(self, now_ms: int) -> int:
        slots = self._index.expire(now_ms)
        for column in self._carried if len(slots) else []:
            column.clear(slots)
        return len(slots)

    def _evaluate(self, due: pa.RecordBatch, times: I64, until: int, now_ms: int) -> pa.RecordBatch:
        keys = [due.column(k) for k in self.config.keys]
        first, groups = first_of_each(keys, due.num_rows)
        keys = [k.take(pa.array(first)) for k in keys]
        slots, new = self._index.lookup_or_insert(hash_columns(keys, len(first)), keys, now_ms)
        known = np.flatnonzero(~new)
        before = [pa.array(known), pa.array(np.zeros(len(known), np.int64))]
        before += [pa.nulls(len(known), f.type) for f in self._held]
        before += [
            c.get(slots[known]).cast(f.type)
            for c, f in zip(self._carried, self._carried_fields(), strict=True)
        ]
        now = [pa.array(groups), pa.array(np.ones(due.num_rows, np.int64)), *due.columns]
        now += [pa.nulls(due.num_rows, f.type) for f in self._carried_fields()]
        columns = [pa.concat_arrays([a, b]) for a, b in zip(before, now, strict=True)]
        made = self._values.run(input=pa.RecordBatch.from_arrays(columns, schema=self._input))
        last = np.zeros(len(first), np.int64)
        np.maximum.at(last, groups, np.arange(due.num_rows))
        for column, values in zip(self._carried, made.columns[len(self.config.rows) :], strict=True):
            column.set(slots, values.take(pa.array(last)))
        return made

    def _carried_fields(self) -> list[pa.Field]:
        return list(self._input)[2 + len(self._held) :]
