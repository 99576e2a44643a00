"""Windows as sums of their slices: every key of the slices has a place in an array, and a slice adds itself to it.

    slice   keys     b  a  d          places  1 0 2        partial  7 1 2
    window  places   0  1  2  …       sums    1 7 2 …

A slice's keys are looked up once, not once for each window that it is part of. What is remembered here follows from
the slices and is no state: a restored job looks them up again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..accumulators import Slots, numpy
from ..state.buffers import is_text, storage_dtype
from ..state.hashing import hash_columns
from ..state.key_index import KeyIndex
from ..state.slice_store import SliceStore

UNUSED_KEYS_MAX = 65_536
"""Places of keys that no slice holds any more are given up when there are so many more than rows in the slices."""


@dataclass(frozen=True)
class _Placed:
    """A batch of a slice: the place of each row, and its numbers."""

    batch: pa.RecordBatch
    places: Slots
    numbers: list[npt.NDArray[Any]]


class SlotMerge:
    """Merges slices whose partial columns are sums of BIGINT or DOUBLE; NULL counts as 0."""

    def __init__(self, partial: pa.Schema, keys: int, slices: SliceStore) -> None:
        """``partial``: that many key columns, then the numbers, of which the first is the row count."""
        self._schema = pa.schema([pa.field("win", pa.int64()), *partial])
        self._keys = keys
        self._types = [partial.field(i).type for i in range(keys)]
        self._numbers = [f.type.to_pandas_dtype() for f in list(partial)[keys:]]
        self._slices = slices
        self._index = KeyIndex(self._types)
        self._placed: dict[int, list[_Placed]] = {}

    @staticmethod
    def takes(keys: Sequence[pa.DataType]) -> bool:
        """Whether columns of these types can be keys here."""
        return all(storage_dtype(t) is not None or is_text(t) for t in keys)

    def merge(self, windows: Sequence[tuple[int, Sequence[int]]]) -> pa.RecordBatch:
        """The partial rows of each (window, slices), one a key, with the window's end in front; empty groups left
        out.
        """
        placed = {s: self._place(s) for _, slices in windows for s in slices}
        merged = [self._window(end, [placed[s] for s in slices]) for end, slices in windows]
        return pa.concat_batches(merged) if merged else pa.RecordBatch.from_pylist([], schema=self._schema)

    def forget(self) -> None:
        """Gives up what belongs to slices that are gone."""
        held = set(self._slices.slices())
        self._placed = {s: p for s, p in self._placed.items() if s in held}
        rows = sum(len(p.places) for batches in self._placed.values() for p in batches)
        if self._index.capacity > rows + UNUSED_KEYS_MAX:
            self._index, self._placed = KeyIndex(self._types), {}

    def _place(self, end: int) -> list[_Placed]:
        known = self._placed.get(end, [])
        batches = self._slices.batches(end)
        kept = [p for p, b in zip(known, batches, strict=False) if p.batch is b]
        for batch in batches[len(kept) :]:
            keys = batch.columns[: self._keys]
            places, _ = self._index.lookup_or_insert(hash_columns(keys, batch.num_rows), keys)
            columns = zip(batch.columns[self._keys :], self._numbers, strict=True)
            kept.append(_Placed(batch, places, [numpy(c, dtype) for c, dtype in columns]))
        self._placed[end] = kept
        return kept

    def _window(self, end: int, slices: Sequence[Sequence[_Placed]]) -> pa.RecordBatch:
        sums = [np.zeros(self._index.capacity, dtype) for dtype in self._numbers]
        with np.errstate(over="ignore", invalid="ignore"):  # infinity and NaN are values here
            for batches in slices:
                for placed in batches:
                    for total, numbers in zip(sums, placed.numbers, strict=True):
                        total[placed.places] += numbers  # a key comes once in a batch
        alive = np.flatnonzero(sums[0] > 0)
        columns = [pa.array(total.take(alive)) for total in sums]
        window = pa.array(np.full(len(alive), end, np.int64))
        return pa.RecordBatch.from_arrays([window, *self._index.keys(alive), *columns], schema=self._schema)
