"""Partial aggregates per time slice: what a window operator merges when a window fires."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from .base import State
from .buffers import I64, as_array
from .keyed import LIVE, SLOT
from .memory import StateMemory

ROWS = "slots-rows"

# A slice with fewer new rows than this is not worth a merge.
_MERGE_AT_LEAST = 4096


@dataclass(frozen=True)
class _Part:
    """A batch and the number of its first row; numbers go on through the life of a store, with a gap after a part."""

    first: int
    rows: pa.RecordBatch


@dataclass
class _Slice:
    parts: list[_Part] = field(default_factory=list)
    rows: int = 0

    @property
    def merged_rows(self) -> int:
        """Rows that the last merge left, or that came first."""
        return int(self.parts[0].rows.num_rows)


class SliceStore(State):
    """Arrow batches per slice, a slice named by its end in epoch milliseconds.

    Appending costs the batch plus the slices it touches. The owner merges a slice (aggregates its partial
    rows) when :meth:`needs_merge` says so: after the rows since the last merge outnumber what that merge
    left, so that merging costs a constant number of passes per row and a slice holds at most about twice its
    merged rows. What one call appends to a slice is merged in itself, and stays a batch of its own through
    snapshots.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._tracked = False
        self._memory: StateMemory | None = None
        self._reset()

    def _reset(self) -> None:
        self._slices: dict[int, _Slice] = {}
        self._ends: list[int] = []
        self._next_row = 0
        self._row_count = 0
        self._nbytes = 0
        self._new: dict[int, tuple[int, _Part]] = {}  # since the last cut: first row → slice, part
        self._dropped: list[tuple[int, int]] = []  # parts of earlier cuts: first row, rows

    def limit_memory(self, memory: StateMemory) -> None:
        self._memory = memory
        memory.watch(self)

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
            held = self._slices[slice_end] = _Slice()
            insort(self._ends, slice_end)
        if self._memory is not None:
            rows = self._memory.kept(rows)
            self._memory.ease()
        part = _Part(self._next_row, rows)
        self._next_row += rows.num_rows + 1
        held.parts.append(part)
        held.rows += rows.num_rows
        self._row_count += rows.num_rows
        self._nbytes += rows.nbytes
        if self._tracked:
            self._new[part.first] = slice_end, part

    def _drop(self, slice_end: int) -> None:
        for part in self._slices.pop(slice_end).parts:
            self._row_count -= part.rows.num_rows
            self._nbytes -= part.rows.nbytes
            if self._tracked and self._new.pop(part.first, None) is None:
                self._dropped.append((part.first, part.rows.num_rows))

    def batches(self, slice_end: int) -> list[pa.RecordBatch]:
        """The batches of a slice in order of arrival; empty for a slice that is not held."""
        held = self._slices.get(slice_end)
        return [] if held is None else [part.rows for part in held.parts]

    def slices(self) -> list[int]:
        """The ends of all slices held, ascending."""
        return list(self._ends)

    def needs_merge(self, slice_end: int) -> bool:
        held = self._slices.get(slice_end)
        return held is not None and held.rows - held.merged_rows > max(held.merged_rows, _MERGE_AT_LEAST)

    def replace(self, slice_end: int, rows: pa.RecordBatch) -> None:
        """Puts merged rows in the place of a slice's batches; without rows the slice is gone."""
        self._drop(slice_end)
        self._ends.remove(slice_end)
        if rows.num_rows:
            self._add(slice_end, rows)

    def drop_until(self, slice_end: int) -> list[int]:
        """Frees the slices with end ≤ ``slice_end`` and returns their ends."""
        count = bisect_right(self._ends, slice_end)
        dropped, self._ends = self._ends[:count], self._ends[count:]
        for end in dropped:
            self._drop(end)
        return dropped

    def snapshot(self) -> dict[str, pa.Table]:
        """``slots-rows``: number, slice and columns of each row. Numbers of one batch follow one another, others do
        not.
        """
        return {
            ROWS: self._table([(end, part) for end in self._ends for part in self._slices[end].parts], [])
        }

    def track_changes(self) -> None:
        self._tracked = True

    def changes(self) -> dict[str, pa.Table]:
        if not self._tracked:
            return self.snapshot()
        table = self._table(list(self._new.values()), self._dropped)
        self._new, self._dropped = {}, []
        return {ROWS: table}

    def _table(self, parts: Sequence[tuple[int, _Part]], dropped: Sequence[tuple[int, int]]) -> pa.Table:
        """Rows of parts, the values by reference, then the numbers of dropped rows."""
        own = [(SLOT, pa.int64()), (LIVE, pa.bool_()), ("slice_end", pa.int64())]
        values = [(f"c{i}", f.type) for i, f in enumerate(self.schema)]
        schema = pa.schema([*own, *values])
        batches = []
        for end, part in parts:
            n = part.rows.num_rows
            head = _numbers(part.first, n), pa.array(np.ones(n, np.bool_)), pa.array(np.full(n, end))
            batches.append(pa.RecordBatch.from_arrays([*head, *part.rows.columns], schema=schema))
        if dropped:
            numbers = np.concatenate([np.arange(first, first + n) for first, n in dropped])
            n = len(numbers)
            nulls = [pa.nulls(n, f.type) for f in list(schema)[2:]]
            columns = [pa.array(numbers), pa.array(np.zeros(n, np.bool_)), *nulls]
            batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
        return pa.Table.from_batches(batches, schema)

    def restore(self, tables: Mapping[str, pa.Table]) -> None:
        self._reset()
        table = tables[ROWS]
        numbers = table[SLOT].to_numpy()
        ends = table["slice_end"].to_numpy()
        order = np.argsort(numbers, kind="stable")
        if (order != np.arange(len(order))).any():
            table, numbers, ends = table.take(pa.array(order)), numbers[order], ends[order]
        starts = np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1] + 1)[: len(numbers)])
        rows = table.select([f"c{i}" for i in range(len(self.schema))])
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(numbers)], strict=False):
            columns = [
                as_array(c, f.type)
                for c, f in zip(rows.slice(start, stop - start).columns, self.schema, strict=True)
            ]
            self._next_row = int(numbers[start])
            self._add(int(ends[start]), pa.RecordBatch.from_arrays(columns, schema=self.schema))
        self._new = {}

    @property
    def nbytes(self) -> int:
        return self._nbytes

    @property
    def row_count(self) -> int:
        return self._row_count

    def read(self) -> pa.Table:
        """``slice_end`` (UTC timestamp) and the partial rows."""
        batches = [part.rows for end in self._ends for part in self._slices[end].parts]
        ends = np.repeat(np.array(self._ends, np.int64), [self._slices[end].rows for end in self._ends])
        column = pa.array(ends).cast(pa.timestamp("ms", "UTC"))
        return pa.Table.from_batches(batches, self.schema).add_column(0, "slice_end", column)


def _numbers(first: int, count: int) -> pa.Array:
    return pa.array(np.arange(first, first + count))
