"""Partial aggregates per time slice: what a window operator merges when a window fires."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from .base import IMMUTABLE_PREFIX, State
from .buffers import I64

# A slice with fewer new rows than this is not worth a merge.
_MERGE_AT_LEAST = 4096


@dataclass
class _Slice:
    batches: list[pa.RecordBatch] = field(default_factory=list)
    rows: int = 0
    merged_rows: int = 0  # rows that the last merge left
    version: int = 0


class SliceStore(State):
    """Arrow batches per slice, a slice named by its end in epoch milliseconds.

    Appending costs the batch plus the slices it touches. The owner merges a slice (aggregates its partial
    rows) when :meth:`needs_merge` says so: after the rows since the last merge outnumber what that merge
    left, so that merging costs a constant number of passes per row and a slice holds at most about twice its
    merged rows. What one call appends to a slice is merged in itself.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._slices: dict[int, _Slice] = {}
        self._ends: list[int] = []
        self._next_version = 0

    def append(self, slice_ends: I64, rows: pa.RecordBatch) -> None:
        """Adds each row to its slice; the order of rows within a slice is kept."""
        assert len(slice_ends) == rows.num_rows, f"{len(slice_ends)} slice ends, {rows.num_rows} rows"
        if not len(slice_ends):
            return
        change = slice_ends[1:] != slice_ends[:-1]
        if (slice_ends[1:] < slice_ends[:-1]).any():
            order = np.argsort(slice_ends, kind="stable")
            slice_ends, rows = slice_ends[order], rows.take(pa.array(order))
            change = slice_ends[1:] != slice_ends[:-1]
        starts = np.append(0, np.flatnonzero(change) + 1)
        lengths = np.diff(np.append(starts, len(slice_ends)))
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
            self._add(int(slice_ends[start]), rows.slice(start, length))

    def _add(self, slice_end: int, rows: pa.RecordBatch) -> None:
        held = self._slices.get(slice_end)
        if held is None:
            held = self._slices[slice_end] = _Slice(merged_rows=rows.num_rows)
            insort(self._ends, slice_end)
        held.batches.append(rows)
        held.rows += rows.num_rows
        self._touch(held)

    def _touch(self, held: _Slice) -> None:
        held.version = self._next_version
        self._next_version += 1

    def batches(self, slice_end: int) -> list[pa.RecordBatch]:
        """The batches of a slice in order of arrival; empty for a slice that is not held."""
        held = self._slices.get(slice_end)
        return [] if held is None else list(held.batches)

    def slices(self) -> list[int]:
        """The ends of all slices held, ascending."""
        return list(self._ends)

    def slices_between(self, after: int, until: int) -> list[int]:
        """The slices with ``after < slice_end ≤ until``, ascending: those of a window ``[after, until)``."""
        return self._ends[bisect_right(self._ends, after) : bisect_right(self._ends, until)]

    @property
    def min_slice(self) -> int | None:
        """The end of the oldest slice, or None."""
        return self._ends[0] if self._ends else None

    def needs_merge(self, slice_end: int) -> bool:
        held = self._slices.get(slice_end)
        return held is not None and held.rows - held.merged_rows > max(held.merged_rows, _MERGE_AT_LEAST)

    def replace(self, slice_end: int, rows: pa.RecordBatch) -> None:
        """Puts merged rows in the place of a slice's batches."""
        held = self._slices[slice_end]
        held.batches = [rows]
        held.rows = held.merged_rows = rows.num_rows
        self._touch(held)

    def drop_until(self, slice_end: int) -> list[int]:
        """Frees the slices with end ≤ ``slice_end`` and returns their ends."""
        count = bisect_right(self._ends, slice_end)
        dropped, self._ends = self._ends[:count], self._ends[count:]
        for end in dropped:
            del self._slices[end]
        return dropped

    def snapshot(self) -> dict[str, pa.Table]:
        """``slices`` lists the slices; each has a table, named anew whenever the slice changes."""
        names = [f"{IMMUTABLE_PREFIX}{self._slices[end].version:012d}" for end in self._ends]
        slices = [self._slices[end] for end in self._ends]
        index = pa.table(
            {
                "slice_end": pa.array(self._ends, pa.int64()),
                "merged_rows": pa.array([s.merged_rows for s in slices], pa.int64()),
                "version": pa.array([s.version for s in slices], pa.int64()),
            }
        )
        tables = {
            n: pa.Table.from_batches(s.batches, self.schema) for n, s in zip(names, slices, strict=True)
        }
        return {"slices": index, **tables}

    def restore(self, tables: Mapping[str, pa.Table]) -> None:
        self._slices, self._ends = {}, []
        for entry in tables["slices"].to_pylist():
            end, version = entry["slice_end"], entry["version"]
            table = tables[f"{IMMUTABLE_PREFIX}{version:012d}"]
            self._slices[end] = _Slice(table.to_batches(), table.num_rows, entry["merged_rows"], version)
            self._ends.append(end)
            self._next_version = max(self._next_version, version + 1)

    @property
    def nbytes(self) -> int:
        return int(sum(batch.nbytes for held in self._slices.values() for batch in held.batches))

    @property
    def row_count(self) -> int:
        return sum(held.rows for held in self._slices.values())

    def read(self) -> pa.Table:
        """``slice_end`` (UTC timestamp) and the partial rows."""
        batches = [batch for end in self._ends for batch in self._slices[end].batches]
        ends = np.repeat(np.array(self._ends, np.int64), [self._slices[end].rows for end in self._ends])
        column = pa.array(ends).cast(pa.timestamp("ms", "UTC"))
        return pa.Table.from_batches(batches, self.schema).add_column(0, "slice_end", column)
