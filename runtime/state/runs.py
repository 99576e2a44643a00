"""Sorted immutable runs of weighted rows: what a :class:`RunStore` is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from .buffers import I64, U64, Bools
from .consolidate import cancel, group_ids
from .memory import StateMemory

HASH, WEIGHT, SEQ, TIME = "hash", "weight", "seq", "time"


@dataclass(frozen=True, eq=False)
class Run:
    """Rows sorted by hash, within a hash by age. ``times`` is None in a store without time."""

    name: str
    hashes: U64
    rows: pa.RecordBatch
    weights: I64
    seq: I64
    times: I64 | None
    mapped: bool = False

    def __len__(self) -> int:
        return len(self.hashes)

    @cached_property
    def retracts(self) -> bool:
        """Whether some weight is negative."""
        return bool((self.weights < 0).any())

    @cached_property
    def by_time(self) -> I64:
        """Row numbers in order of time."""
        assert self.times is not None
        return np.argsort(self.times, kind="stable")

    @cached_property
    def sorted_times(self) -> I64:
        assert self.times is not None
        return np.asarray(self.times[self.by_time])

    def expired_count(self, horizon: int) -> int:
        """Rows with time ≤ ``horizon``."""
        if self.times is None:
            return 0
        return int(np.searchsorted(self.sorted_times, horizon, side="right"))

    @cached_property
    def nbytes(self) -> int:
        """Bytes of the arrays, and of the order of time."""
        arrays = self.hashes.nbytes + self.weights.nbytes + self.seq.nbytes
        return int(self.rows.nbytes) + arrays + (0 if self.times is None else 3 * self.times.nbytes)

    def take(self, name: str, rows: I64) -> Run:
        """A run of these rows, in the given order."""
        times = None if self.times is None else self.times.take(rows)
        batch = self.rows.take(pa.array(rows))
        return Run(name, self.hashes.take(rows), batch, self.weights.take(rows), self.seq.take(rows), times)

    def slice(self, start: int, stop: int) -> Run:
        """The rows ``[start, stop)``, by reference."""
        times = None if self.times is None else self.times[start:stop]
        rows = self.rows.slice(start, stop - start)
        return Run("", self.hashes[start:stop], rows, self.weights[start:stop], self.seq[start:stop], times)

    def holds(self, hashes: U64) -> Bools:
        """Which of the sorted ``hashes`` occur."""
        at = np.searchsorted(self.hashes, hashes)
        return np.asarray(self.hashes[np.minimum(at, len(self) - 1)] == hashes)

    def ranges(self, hashes: U64) -> tuple[I64, I64]:
        """For sorted ``hashes``: row numbers of their rows, and which of the hashes each belongs to."""
        first = np.searchsorted(self.hashes, hashes)
        found = np.flatnonzero(self.hashes[np.minimum(first, len(self) - 1)] == hashes)
        first = first[found]
        counts = np.searchsorted(self.hashes, hashes[found], side="right") - first
        ends = np.cumsum(counts)
        rows = np.arange(ends[-1] if len(ends) else 0) + np.repeat(first - (ends - counts), counts)
        return rows, np.repeat(found, counts)

    def table(self) -> pa.Table:
        """The run as one table, by reference."""
        own = {HASH: pa.array(self.hashes), WEIGHT: pa.array(self.weights), SEQ: pa.array(self.seq)}
        if self.times is not None:
            own[TIME] = pa.array(self.times)
        return pa.table(own | {f"c{i}": column for i, column in enumerate(self.rows.columns)})

    def in_file(self, memory: StateMemory, schema: pa.Schema) -> Run:
        """The same run, mapped into memory."""
        batch = memory.mapped(self.table().combine_chunks().to_batches()[0])
        run = replace(Run.of_table(self.name, pa.Table.from_batches([batch]), schema), mapped=True)
        if run.times is not None:  # else they would be made in memory
            run.__dict__["by_time"] = memory.moved(run.by_time)
            run.__dict__["sorted_times"] = memory.moved(run.sorted_times)
        return run

    @staticmethod
    def of_table(name: str, table: pa.Table, schema: pa.Schema) -> Run:
        """The run that gave ``table``."""
        batches = table.to_batches()
        batch = batches[0] if len(batches) == 1 else pa.concat_batches(batches)
        columns = [batch.column(f"c{i}").cast(f.type) for i, f in enumerate(schema)]
        times = batch.column(TIME).to_numpy() if TIME in batch.schema.names else None
        own = (batch.column(n).to_numpy() for n in (HASH, WEIGHT, SEQ))
        hashes, weights, seq = own
        return Run(name, hashes, pa.RecordBatch.from_arrays(columns, schema=schema), weights, seq, times)


def concat(name: str, runs: Sequence[Run]) -> Run:
    """The rows of ``runs`` one after another, not sorted."""
    times = None
    if runs[0].times is not None:
        times = np.concatenate([r.times for r in runs if r.times is not None])
    return Run(
        name,
        np.concatenate([r.hashes for r in runs]),
        pa.concat_batches([r.rows for r in runs]),
        np.concatenate([r.weights for r in runs]),
        np.concatenate([r.seq for r in runs]),
        times,
    )


def merge(name: str, runs: Sequence[Run], older: Sequence[Run], horizon: int | None) -> Run:
    """One run in place of ``runs`` (oldest first): expired rows dropped, retractions cancelled where that is
    final.

    A retraction cancels the earliest insertion of its row, which may lie in a run of ``older``; so rows of a
    hash that occurs there keep their weights until a merge takes those runs in.
    """
    joined = concat(name, runs)
    order = np.argsort(joined.hashes, kind="stable")  # merges sorted stretches, does not sort anew
    if horizon is not None and joined.times is not None:
        order = order[joined.times[order] > horizon]  # first: what has expired cancels nothing
    weights = None
    if len(order) and any(run.retracts for run in runs):
        weights = _cancelled(joined, order, older)
        order = order[weights[order] != 0]
    if weights is not None:
        joined = Run(name, joined.hashes, joined.rows, weights, joined.seq, joined.times)
    return joined.take(name, order)


def _cancelled(joined: Run, order: I64, older: Sequence[Run]) -> I64:
    """The weights of ``joined`` after cancelling; only rows of hashes that have retractions are compared."""
    hashes = joined.hashes[order]
    starts = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1]))
    touched = np.logical_or.reduceat(joined.weights[order] < 0, starts)
    for run in older:
        touched &= ~run.holds(hashes[starts])
    sizes = np.diff(np.append(starts, len(hashes)))
    rows = order[np.repeat(touched, sizes)]
    weights = joined.weights.copy()
    if len(rows) == len(joined):  # no need to gather them
        return cancel(group_ids(joined.rows.columns, len(rows)), weights, joined.seq)
    if len(rows):
        groups = group_ids(joined.rows.take(pa.array(rows)).columns, len(rows))
        weights[rows] = cancel(groups, weights[rows], joined.seq[rows])
    return weights
