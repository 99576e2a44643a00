"""LatestJoin: each left row with what the right side holds when the row comes.

In: left insertions; right any changelog, whole rows. In a step the right side's changes come first, then the left rows.
Out: insertions; later changes of the right side change nothing. LEFT: with NULLs where nothing matches.

A right side that is read once and ends (a file, a finished table: a lookup table) is loaded first: left rows wait until
then. Only the left input's watermark counts.

State: the right side's rows by join key; left rows that wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..state.buffers import as_array
from ..state.run_store import RunStore
from .base import MAX_WATERMARK, MIN_WATERMARK, Operator, OperatorContext, StepTime
from .join_pairs import PairsConfig, Residual, candidates, padded, side_by_side, taken


@dataclass(frozen=True)
class LatestJoinConfig(PairsConfig):
    """``loads_first``: left rows wait until the right input has ended."""

    loads_first: bool
    updating: bool


class LatestJoin(Operator):
    """See the module's text."""

    timed_inputs = 1

    def __init__(self, config: LatestJoinConfig) -> None:
        self.config = config
        self._loaded = False

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        self._right = ctx.state("right", RunStore(c.right.schema, c.right.columns))
        self._waiting = ctx.state("left", RunStore(c.left.schema))
        self._residual = None
        if c.residual is not None:
            self._residual = Residual(c.residual, c.left.schema, c.right.schema, ctx)

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        c = self.config
        right, _ = c.right.changes(inputs[1])
        if right is not None:
            self._right.append(right.hashes, right.rows, right.weights)
        left = inputs[0]
        self._loaded = not c.loads_first or time.inputs[1] == MAX_WATERMARK
        if not self._loaded:
            if left is not None and left.num_rows:
                columns = [as_array(a, f.type) for a, f in zip(left.rows.columns, c.left.schema, strict=True)]
                rows = pa.RecordBatch.from_arrays(columns, schema=c.left.schema)
                self._waiting.append(np.zeros(left.num_rows, np.uint64), rows)
            return None
        return self._joined(self._with_waiting(left))

    def _with_waiting(self, left: ChangelogBatch | None) -> ChangelogBatch | None:
        if not self._waiting.row_count:
            return left
        table = self._waiting.read().combine_chunks()
        batches = [ChangelogBatch(b) for b in table.to_batches()]
        self._waiting.restore(RunStore(self.config.left.schema).snapshot())
        if left is not None and left.num_rows:
            batches.append(ChangelogBatch(left.rows.rename_columns(self.config.left.schema.names)))
        return ChangelogBatch.concat(batches)

    def _joined(self, batch: ChangelogBatch | None) -> ChangelogBatch | None:
        c = self.config
        left, alone = c.left.changes(batch)
        out: list[pa.RecordBatch] = []
        if left is not None:
            pairs = candidates(left, self._right, consolidate=c.updating)
            if self._residual is not None:
                found = pairs.found.rows
                pairs = pairs.where(self._residual.passing(left.rows, pairs.delta, found, pairs.at))
            copies = np.repeat(np.arange(len(pairs)), np.maximum(pairs.found.weights[pairs.at], 0))
            pairs = pairs.where(copies)
            out.append(side_by_side(left.rows, pairs.delta, pairs.found.rows, pairs.at, c.output))
            if c.kind == "LEFT":
                unmatched = np.ones(len(left), np.bool_)
                unmatched[pairs.delta] = False
                out.append(padded(taken(left.rows, np.flatnonzero(unmatched)), c.output, left=True))
        if alone is not None and c.kind == "LEFT":
            out.append(padded(alone.rows, c.output, left=True))
        elif alone is not None:
            self.ctx.metrics.num_null_key_dropped += alone.num_rows
        return ChangelogBatch.concat([ChangelogBatch(rows) for rows in out if rows.num_rows])

    def output_watermark(self, input_watermark: int) -> int:
        return input_watermark if self._loaded else MIN_WATERMARK
