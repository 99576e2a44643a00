"""The rows of a step as groups: aggregated by DuckDB before their slots are looked up, or by slot afterwards.

A hash aggregation pays where keys repeat within the step. Where most keys come once it costs several times the
lookup that follows, and the rows are looked up as they are and added up by slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..accumulators import Int64, Slots, numpy
from ..state.buffers import from_raw, grown, raw_values, storage_dtype


@dataclass(frozen=True)
class StepGroups:
    """The groups that a step touches, in the order of their first rows.

    ``slots`` are unique; ``rows`` is the change of each group's row count; ``partials`` are the columns that the
    accumulators take, in their order.
    """

    slots: Slots
    keys: Sequence[pa.Array]
    rows: Int64
    partials: Sequence[pa.Array]


class SlotGroups:
    """Numbers the rows of a step by the slots they fall in."""

    def __init__(self) -> None:
        # any content will do: only the places written in the same step are read
        self._first_row: npt.NDArray[np.int32] = np.zeros(0, np.int32)

    def number(self, slots: Slots, capacity: int) -> tuple[Slots, Slots | None]:
        """The first row of each group, ascending, and the group of each row; None where each row is a group."""
        self._first_row = grown(self._first_row, capacity)
        places = np.arange(len(slots), dtype=np.int32)
        self._first_row[slots[::-1]] = places[::-1]  # the last write stays: the first row wins
        leaders = self._first_row.take(slots)
        is_first = leaders == places
        first = np.flatnonzero(is_first)
        if len(first) == len(slots):
            return first, None
        return first, (np.cumsum(is_first) - 1).take(leaders)


def summed(values: pa.Array, groups: Slots | None, count: int) -> pa.Array:
    """Sums of BIGINT (which wrap around) or DOUBLE values by group, in the order of the rows; NULL counts as 0."""
    if groups is None:
        return values
    if pa.types.is_floating(values.type):
        return pa.array(np.bincount(groups, numpy(values, np.float64), count))
    total = np.zeros(count, np.int64)
    np.add.at(total, groups, numpy(values, np.int64))
    return pa.array(total)


@dataclass(frozen=True)
class Pairs:
    """Which of ``before[0], after[0], before[1] …`` are emitted, by their places in that sequence, ascending."""

    places: Slots
    groups: int

    def of(self, before: pa.Array, after: pa.Array) -> pa.Array:
        dtype = storage_dtype(before.type)
        all_kept = len(self.places) == 2 * self.groups and not before.null_count and not after.null_count
        if not all_kept or dtype is None or dtype == np.bool_:
            return pa.concat_arrays([before, after]).take(self._taken)
        both = np.empty(2 * self.groups, dtype)
        both[0::2], both[1::2] = raw_values(before), raw_values(after)
        return from_raw(both, None, before.type)

    @cached_property
    def _taken(self) -> pa.Array:
        """Where the values are when all of ``after`` follow all of ``before``."""
        return pa.array((self.places >> 1) + (self.places & 1) * self.groups)

    def weights(self) -> Int64:
        return ((self.places & 1) << 1) - 1
