"""Updates that are none: an edge of the job shows what changed, not what was touched."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..accumulators import is_distinct


def without_equal_updates(batch: ChangelogBatch) -> ChangelogBatch | None:
    """The batch without each deletion that the insertion of an equal row follows, and without that insertion.

    A projection leaves such pairs where only columns changed that it does not keep. Deletions must be whole rows: not
    for upserts, whose deletions say no more than the key.
    """
    if batch.weights is None:
        return batch
    weights = batch.weights
    first = np.flatnonzero((weights[:-1] < 0) & (weights[1:] == -weights[:-1]))
    for column in reversed(batch.rows.columns):  # the values, which mostly differ, come after the keys
        if not len(first):
            return batch
        before, after = column.take(pa.array(first)), column.take(pa.array(first + 1))
        first = first[~is_distinct(before, after)]
    if not len(first):
        return batch
    keep = np.ones(len(weights), np.bool_)
    keep[first] = keep[first + 1] = False
    return batch.take(np.flatnonzero(keep)) if keep.any() else None
