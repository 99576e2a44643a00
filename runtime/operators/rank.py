"""TopN: the best rows of each partition of an insert-only input.

::

    step's rows ─┐                                       ┌─ rank lies in the range: emitted, −old +new
                 ├─ touched partitions, ranked in one query
    held rows  ──┘                                       └─ rank beyond it: dropped for good

In: insert-only. Out: insertions and deletions; with the rank column every row whose rank shifts.

State: partition → the rows up to the highest rank asked for (for RANK and DENSE_RANK with the rows that rank
equal), numbered by arrival, which decides between rows that the order leaves equal. Freed by time to live, all rows
of a partition to which none came for that long.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..accumulators import numpy
from ..state.hashing import hash_columns
from ..state.run_store import RunStore
from ..state.scalars import Scalars
from .base import Operator, OperatorContext, StepTime
from .changes import first_of_each, net, spread
from .keys import keyed_ttl
from .rank_config import RankConfig

I64 = npt.NDArray[np.int64]


class TopN(Operator):
    """``config.sql`` has the rows of ``ranked("g", "old")``: their partition, and 0 or 1.

    It yields ``p`` of each row of rank ≤ ``end`` among all rows or among the old ones, its rank, and its old rank or
    NULL.
    """

    def __init__(self, config: RankConfig) -> None:
        self.config = config

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        self._ranked, self._held = c.ranked("g", "old"), c.numbered()
        found = pa.schema([(n, pa.int64()) for n in ("p", "new", "old")])
        self._rank = ctx.engine.fragment(c.sql, {"input": self._ranked}, found, c.what)
        self._rows = ctx.state("rows", RunStore(self._held, c.keys))
        self._count = ctx.state("count", Scalars())
        self._ttl = keyed_ttl(ctx, self._rows, c.rows, c.keys)

    def expire(self, now_ms: int) -> int:
        return self._ttl.expire(now_ms)

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        batch = inputs[0]
        if batch is None or batch.num_rows == 0:
            return None
        new = self._numbered(spread(batch))
        keys = [new.column(k) for k in self.config.keys]
        hashes = hash_columns(keys, new.num_rows)
        touched, groups = first_of_each(keys, new.num_rows)
        probed = hashes[touched], [k.take(pa.array(touched)) for k in keys]
        self._ttl.touch(*probed, time.now_ms)
        held = self._rows.probe(*probed, consolidate=True)
        rows = pa.concat_batches([held.rows, new])
        groups = np.concatenate([held.probe_index, groups])
        old_rank, new_rank = self._ranks(rows, groups, held.rows.num_rows)
        self._keep(rows, hashes[touched][groups], old_rank, new_rank)
        return self._changes(rows, groups, old_rank, new_rank)

    def _numbered(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        first = self._count.get_int("rows")
        self._count.set("rows", first + rows.num_rows)
        numbers = pa.array(np.arange(first, first + rows.num_rows))
        return pa.RecordBatch.from_arrays([*rows.columns, numbers], schema=self._held)

    def _ranks(self, rows: pa.RecordBatch, groups: I64, old: int) -> tuple[I64, I64]:
        """Rank among the old rows and among all, 0 for none or one that is too high. The first ``old`` rows are old."""
        n = rows.num_rows
        is_old = np.zeros(n, np.int64)
        is_old[:old] = 1
        columns = [pa.array(groups), pa.array(is_old), *(rows.column(k) for k in self.config.order)]
        columns += [rows.column(rows.num_columns - 1), pa.array(np.arange(n))]
        found = self._rank.run(input=pa.RecordBatch.from_arrays(columns, schema=self._ranked))
        places, new, before = (numpy(c, np.int64) for c in found.columns)
        old_rank, new_rank = np.zeros(n, np.int64), np.zeros(n, np.int64)
        old_rank[places] = before
        new_rank[places] = np.where(new <= self.config.end, new, 0)
        return old_rank, new_rank

    def _keep(self, rows: pa.RecordBatch, hashes: npt.NDArray[np.uint64], old: I64, new: I64) -> None:
        changed = np.flatnonzero((old > 0) != (new > 0))
        weights = np.where(new[changed] > 0, 1, -1).astype(np.int64)
        self._rows.append(hashes[changed], rows.take(pa.array(changed)), weights)

    def _changes(self, rows: pa.RecordBatch, groups: I64, old: I64, new: I64) -> ChangelogBatch | None:
        c = self.config
        old, new = (np.where(rank >= c.start, rank, 0) for rank in (old, new))
        if not c.with_rank:
            gone, come = np.flatnonzero((old > 0) & (new == 0)), np.flatnonzero((new > 0) & (old == 0))
        else:
            gone, come = np.flatnonzero((old > 0) & (old != new)), np.flatnonzero((new > 0) & (old != new))
        places = np.concatenate([gone, come])
        if not len(places):
            return None
        ranks = np.concatenate([old[gone], new[come]])
        weights = np.concatenate([np.full(len(gone), -1), np.ones(len(come), np.int64)])
        order = np.lexsort((ranks, groups[places]))
        return net(self._output(rows.take(pa.array(places[order])), ranks[order]), weights[order], c.emit)

    def _output(self, rows: pa.RecordBatch, ranks: I64) -> pa.RecordBatch:
        columns = rows.columns[:-1]
        if self.config.with_rank:
            columns.append(pa.array(ranks))
        return pa.RecordBatch.from_arrays(columns, schema=self.config.output)

    def content(self) -> pa.Table:
        """The rows that are in the range by now."""
        table = self._rows.read().combine_chunks()
        if not table.num_rows:
            return pa.Table.from_batches([], self.config.output)
        rows = table.to_batches()[0]
        _, groups = first_of_each([rows.column(k) for k in self.config.keys], rows.num_rows)
        _, ranks = self._ranks(rows, groups, 0)
        places = np.flatnonzero(ranks >= self.config.start)
        places = places[np.lexsort((ranks[places], groups[places]))]
        return pa.Table.from_batches([self._output(rows.take(pa.array(places)), ranks[places])])
