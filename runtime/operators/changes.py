"""The difference of two tables as changes: what operators emit that compute a part of their answer anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..state.consolidate import cancel, group_ids

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Emit:
    """``key``: columns that identify a row among those alive, where known. ``upsert``: deletions that an insertion
    of the same key replaces are left out. ``refresh``: an update to an equal row is sent too, for the state
    further on."""

    key: tuple[int, ...] | None = None
    upsert: bool = False
    refresh: bool = False


def difference(old: pa.RecordBatch, new: pa.RecordBatch, emit: Emit) -> ChangelogBatch | None:
    """What turns the rows of ``old`` into those of ``new``; equal rows cancel."""
    weights = np.ones(old.num_rows + new.num_rows, np.int64)
    weights[: old.num_rows] = -1
    return net(pa.concat_batches([old, new]), weights, emit)


def net(rows: pa.RecordBatch, weights: I64, emit: Emit) -> ChangelogBatch | None:
    """The changes without those that cancel: deletions first, but the two halves of an update side by side."""
    both = bool((weights < 0).any() and (weights > 0).any())
    if both and not emit.refresh:
        weights = cancel(group_ids(list(rows.columns), rows.num_rows), weights, np.arange(len(weights)))
    left = np.flatnonzero(weights)
    if not len(left):
        return None
    made = ChangelogBatch(rows.take(pa.array(left)), weights[left])
    return _paired(made, emit) if both else made


def _paired(changes: ChangelogBatch, emit: Emit) -> ChangelogBatch:
    weights = changes.weight_array()
    if emit.key is None:
        return changes.take(np.argsort(weights > 0, kind="stable"))
    columns = [changes.rows.column(i) for i in emit.key]
    ids = group_ids(columns, len(weights)) if columns else np.zeros(len(weights), np.int64)
    gone, come = weights < 0, weights > 0
    inserted = np.isin(ids, ids[come])
    first = np.full(int(ids.max()) + 1, len(ids), np.int64)
    np.minimum.at(first, ids, np.arange(len(ids)))
    # deletions without a successor, then each key's deletion and insertion together
    order = np.lexsort((come, first[ids], ~gone | inserted))
    if emit.upsert:
        order = order[(come | ~inserted)[order]]
    return changes.take(order)


def spread(batch: ChangelogBatch) -> pa.RecordBatch:
    """Insertions, a row of weight n as n rows."""
    if batch.weights is None or (batch.weights == 1).all():
        return batch.rows
    return batch.rows.take(pa.array(np.repeat(np.arange(batch.num_rows), np.maximum(batch.weights, 0))))


def first_of_each(columns: Sequence[pa.Array], num_rows: int) -> tuple[I64, I64]:
    """One row number per distinct key, in order of first appearance, and which of them each row has."""
    if not columns:
        return np.zeros(min(1, num_rows), np.int64), np.zeros(num_rows, np.int64)
    ids = group_ids(list(columns), num_rows)
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return first[order], place[inverse]
