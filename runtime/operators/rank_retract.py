"""RetractTopN: the best rows of each partition of an input whose rows are taken back.

::

    all rows of a partition, in order      | 1 2 3 … end … | … |  outside …
                                           └──── head ─────────┘
    +row before the end of the head        into the head, else outside
    −row                                   out of the head, where it is there
    the head is shorter than ``end``       read again from all rows: rare, as a head holds some more

A step looks at the heads of the partitions it touches, and hardly ever at all their rows. Out: insertions and
deletions; with the rank column every row whose rank shifts.

State: all rows by partition; the heads; per partition how many rows are outside its head. Freed as rows are taken
back, or by time to live, all rows of a partition that no step touched for that long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..accumulators import numpy
from ..state.consolidate import cancel, group_ids
from ..state.hashing import hash_columns
from ..state.run_store import RunStore
from ..state.scalars import Scalars
from ..state.slot_column import SlotColumn
from ..state.ttl import drop_keys
from .base import Operator, OperatorContext, StepTime
from .changes import first_of_each, net
from .keys import key_index
from .rank_config import RankConfig

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass
class _Ranked:
    """Rows (with ``i``) of partitions: ``before`` and ``after`` are ranks, 0 for a row that is not in the head."""

    rows: pa.RecordBatch
    groups: I64
    before: I64
    after: I64


class RetractTopN(Operator):
    """``config.sql`` has the rows of ``ranked("g")``, their partition, and yields ``p`` by ``g`` and then in order.

    ``head``: how many rows a head has when it is read; it may grow to twice as many.
    """

    def __init__(self, config: RankConfig, head: int) -> None:
        self.config = config
        self.head = head

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        self._sorted, self._held = c.ranked("g"), c.numbered()
        found = pa.schema([pa.field("p", pa.int64())])
        self._sort = ctx.engine.fragment(c.sql, {"input": self._sorted}, found, c.what)
        self._rows = ctx.state("rows", RunStore(c.rows, c.keys))
        self._heads = ctx.state("heads", RunStore(self._held, c.keys))
        self._index = key_index(ctx, c.rows, c.keys)
        self._outside = ctx.state("outside", SlotColumn(pa.int64()))
        self._count = ctx.state("count", Scalars())

    def expire(self, now_ms: int) -> int:
        slots = self._index.expired(now_ms)
        if not len(slots):
            return 0
        hashes, keys = self._index.hashes(slots), self._index.keys(slots)
        drop_keys(self._heads, hashes, keys)
        self._outside.clear(slots)
        self._index.remove(slots)
        return drop_keys(self._rows, hashes, keys)

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        batch = inputs[0]
        if batch is None or batch.num_rows == 0:
            return None
        rows, inserted = self._netted(batch)
        if not rows.num_rows:
            return None
        keys = [rows.column(k) for k in self.config.keys]
        hashes = hash_columns(keys, rows.num_rows)
        first, groups = first_of_each(keys, rows.num_rows)
        keys, touched = [k.take(pa.array(first)) for k in keys], hashes[first]
        slots, fresh = self._index.lookup_or_insert(touched, keys, time.now_ms)
        lost = ~inserted & fresh[groups]
        if lost.any() and self.ctx.ttl_ms() is not None:  # what is taken back has expired
            rows, hashes = rows.filter(pa.array(~lost)), hashes[~lost]
            inserted, groups = inserted[~lost], groups[~lost]
        numbers = numpy(rows.column(rows.num_columns - 1), np.int64)
        plain = pa.RecordBatch.from_arrays(rows.columns[:-1], schema=self.config.rows)
        self._rows.append(hashes, plain, np.where(inserted, 1, -1).astype(np.int64), seq=numbers)
        outside = self._outside.values(slots)
        held = self._heads.probe(touched, keys, consolidate=True)
        head = _Ranked(held.rows, held.probe_index, *(np.ones(len(held.weights), np.int64) for _ in range(2)))
        ranked, outside = self._merged(head, rows, inserted, groups, outside)
        length = np.bincount(ranked.groups[ranked.after > 0], minlength=len(first))
        short = (length < self.config.end) & (outside > 0)
        parts = [ranked]
        if short.any():
            parts = [*self._refilled(ranked, short, touched, keys, outside)]
        for part in parts:
            self._keep(part, touched)
        self._outside.put(slots, outside)
        self._free(slots, outside, length)
        return self._changes(parts)

    def _netted(self, batch: ChangelogBatch) -> tuple[pa.RecordBatch, Bools]:
        """What the batch amounts to, a row a copy, numbered; and which rows are inserted, not taken back."""
        ids = group_ids(list(batch.rows.columns), batch.num_rows)
        weights = cancel(ids, batch.weight_array(), np.arange(batch.num_rows))
        copies = np.repeat(np.arange(len(weights)), np.abs(weights))
        first = self._count.get_int("rows")
        self._count.set("rows", first + len(copies))
        rows = batch.rows.take(pa.array(copies))
        numbers = pa.array(np.arange(first, first + len(copies)))
        return pa.RecordBatch.from_arrays([*rows.columns, numbers], schema=self._held), weights[copies] > 0

    def _merged(
        self, head: _Ranked, rows: pa.RecordBatch, inserted: Bools, groups: I64, outside: I64
    ) -> tuple[_Ranked, I64]:
        """The heads with the changes applied, and how many rows are outside of them then."""
        gone = np.flatnonzero(~inserted)
        removed, missed = _matched(head.rows, rows.take(pa.array(gone)))
        come = np.flatnonzero(inserted)
        n, count = head.rows.num_rows, len(outside)
        every = pa.concat_batches([head.rows, rows.take(pa.array(come))])
        at = np.concatenate([head.groups, groups[come]])
        order = self._in_order(every, at)
        old = order < n
        sorted_groups = at[order]
        border = np.full(count, -1, np.int64)
        np.maximum.at(border, sorted_groups[old], np.flatnonzero(old))
        inside = old | (outside == 0)[sorted_groups] | (np.arange(len(order)) < border[sorted_groups])
        live = inside.copy()
        live[old] &= ~removed[order[old]]
        after = np.where(live, _counted(live, sorted_groups), 0)
        length = np.bincount(sorted_groups[live], minlength=count)
        crowded = length > 2 * self.head
        trimmed = crowded[sorted_groups] & (after > self.head)
        after[trimmed] = 0
        outside = outside + np.bincount(sorted_groups[~inside | trimmed], minlength=count)
        outside = np.maximum(outside - np.bincount(groups[gone][missed], minlength=count), 0)
        before = np.where(old, _counted(old, sorted_groups), 0)
        return _Ranked(every.take(pa.array(order)), sorted_groups, before, after), outside

    def _refilled(
        self,
        ranked: _Ranked,
        short: Bools,
        hashes: npt.NDArray[np.uint64],
        keys: Sequence[pa.Array],
        outside: I64,
    ) -> list[_Ranked]:
        """Heads that are too short, read again from all rows of their partitions; updates ``outside``."""
        which = np.flatnonzero(short)
        found = self._rows.probe(hashes[which], [k.take(pa.array(which)) for k in keys], consolidate=True)
        copies = np.repeat(np.arange(len(found.weights)), np.maximum(found.weights, 0))
        rows = found.rows.take(pa.array(copies))
        every = pa.RecordBatch.from_arrays([*rows.columns, pa.array(found.seq[copies])], schema=self._held)
        groups = which[found.probe_index[copies]]
        order = self._in_order(every, groups)
        groups = groups[order]
        ranks = _counted(np.ones(len(order), np.bool_), groups)
        outside[which] = np.bincount(groups[ranks > self.head], minlength=len(outside))[which]
        kept = ranks <= self.head
        fresh = every.take(pa.array(order[kept]))
        affected = short[ranked.groups]
        ranked.after[affected] = 0
        return [ranked, _Ranked(fresh, groups[kept], np.zeros(kept.sum(), np.int64), ranks[kept])]

    def _in_order(self, rows: pa.RecordBatch, groups: I64) -> I64:
        columns = [pa.array(groups), *(rows.column(k) for k in self.config.order)]
        columns += [rows.column(rows.num_columns - 1), pa.array(np.arange(rows.num_rows))]
        found = self._sort.run(input=pa.RecordBatch.from_arrays(columns, schema=self._sorted))
        places: I64 = numpy(found.column(0), np.int64)
        return places

    def _keep(self, part: _Ranked, hashes: npt.NDArray[np.uint64]) -> None:
        changed = np.flatnonzero((part.before > 0) != (part.after > 0))
        weights = np.where(part.after[changed] > 0, 1, -1).astype(np.int64)
        self._heads.append(hashes[part.groups[changed]], part.rows.take(pa.array(changed)), weights)

    def _free(self, slots: I64, outside: I64, length: I64) -> None:
        empty = slots[(outside == 0) & (length == 0)]
        if len(empty):
            self._outside.clear(empty)
            self._index.remove(empty)

    def _changes(self, parts: Sequence[_Ranked]) -> ChangelogBatch | None:
        c = self.config
        batches: list[pa.RecordBatch] = []
        found: list[tuple[I64, I64, I64]] = []
        for part in parts:
            old, new = (np.where((r >= c.start) & (r <= c.end), r, 0) for r in (part.before, part.after))
            changed = old != new if c.with_rank else (old > 0) != (new > 0)
            gone, come = np.flatnonzero(changed & (old > 0)), np.flatnonzero(changed & (new > 0))
            places = np.concatenate([gone, come])
            batches.append(part.rows.take(pa.array(places)))
            weights = np.append(np.full(len(gone), -1), np.ones(len(come), np.int64))
            found.append((np.append(old[gone], new[come]), weights, part.groups[places]))
        ranks, weights, groups = (np.concatenate(x) for x in zip(*found, strict=True))
        if not len(ranks):
            return None
        order = np.lexsort((ranks, groups))
        rows = pa.concat_batches(batches).take(pa.array(order))
        return net(self._output(rows, ranks[order]), weights[order].astype(np.int64), c.emit)

    def _output(self, rows: pa.RecordBatch, ranks: I64) -> pa.RecordBatch:
        columns = [*rows.columns[:-1], *([pa.array(ranks)] if self.config.with_rank else [])]
        return pa.RecordBatch.from_arrays(columns, schema=self.config.output)

    def content(self) -> pa.Table:
        """The rows that are in the range by now."""
        table = self._heads.read().combine_chunks()
        if not table.num_rows:
            return pa.Table.from_batches([], self.config.output)
        rows = table.to_batches()[0]
        _, groups = first_of_each([rows.column(k) for k in self.config.keys], rows.num_rows)
        order = self._in_order(rows, groups)
        ranks = _counted(np.ones(len(order), np.bool_), groups[order])
        shown = (ranks >= self.config.start) & (ranks <= self.config.end)
        return pa.Table.from_batches([self._output(rows.take(pa.array(order[shown])), ranks[shown])])


def _counted(chosen: Bools, groups: I64) -> I64:
    """How many of the rows ``chosen`` there are up to each row of its group; groups are contiguous."""
    total: I64 = np.cumsum(chosen, dtype=np.int64)
    if not len(groups):
        return total
    starts = np.flatnonzero(np.append(True, groups[1:] != groups[:-1]))
    sizes = np.diff(np.append(starts, len(groups)))
    counted: I64 = total - np.repeat(total[starts] - chosen[starts], sizes)
    return counted


def _matched(held: pa.RecordBatch, gone: pa.RecordBatch) -> tuple[Bools, Bools]:
    """Which held rows are taken back, of equal ones the earliest; and which of ``gone`` are not held."""
    n, m = held.num_rows, gone.num_rows
    removed, missed = np.zeros(n, np.bool_), np.zeros(m, np.bool_)
    if not m:
        return removed, missed
    both = pa.concat_batches([held, gone])
    ids = group_ids(both.columns[:-1], n + m)
    numbers = numpy(both.column(both.num_columns - 1), np.int64)
    count = int(ids.max()) + 1
    held_order, gone_order = np.lexsort((numbers[:n], ids[:n])), np.lexsort((numbers[n:], ids[n:]))
    everything = np.ones(max(n, m), np.bool_)
    place = _counted(everything[:n], ids[:n][held_order])
    removed[held_order] = place <= np.bincount(ids[n:], minlength=count)[ids[:n][held_order]]
    place = _counted(everything[:m], ids[n:][gone_order])
    missed[gone_order] = place > np.bincount(ids[:n], minlength=count)[ids[n:][gone_order]]
    return removed, missed
