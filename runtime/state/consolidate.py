"""Cancelling insertions and retractions of equal rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from .buffers import I64
from .hashing import hash_columns
from .key_index import KeyIndex


def group_ids(columns: Sequence[pa.Array], num_rows: int) -> I64:
    """A number per row, equal exactly for rows that fall into one SQL group; in order of appearance."""
    index = KeyIndex([column.type for column in columns])
    return index.lookup_or_insert(hash_columns(columns, num_rows), columns)[0]


def cancel(groups: I64, weights: I64, seq: I64) -> I64:
    """What is left of each row's weight when retractions cancel insertions of the same group.

    k retractions cancel the k earliest insertions, the lowest ``seq`` (among equal ones the first).
    Retractions that find no insertion stay, on the last retraction of the group.
    """
    if not len(weights):
        return weights
    order = np.lexsort((seq, groups))
    ordered, weight = groups[order], weights[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    sizes = np.diff(np.append(starts, len(ordered)))
    inserted = np.maximum(weight, 0)
    retracted = np.add.reduceat(inserted - weight, starts)
    until_here = np.cumsum(inserted)
    until_here -= np.repeat(until_here[starts] - inserted[starts], sizes)
    left = np.clip(until_here - np.repeat(retracted, sizes), 0, inserted)
    owed = retracted - np.add.reduceat(inserted, starts)
    if (owed > 0).any():
        last = np.maximum.reduceat(np.where(weight < 0, np.arange(len(weight)), -1), starts)
        left[last[owed > 0]] = -owed[owed > 0]
    result = np.empty(len(weights), np.int64)
    result[order] = left
    return result
