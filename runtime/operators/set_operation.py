"""SetOperation: INTERSECT and EXCEPT of two changelogs, with or without ALL.

With l and r copies of a row on the left and on the right, the output holds

    INTERSECT          1 if l > 0 and r > 0        INTERSECT ALL      min(l, r)
    EXCEPT             1 if l > 0 and r = 0        EXCEPT ALL         max(l - r, 0)

copies of it. A step emits the difference to the step before, for the rows it touches, deletions first. Rows are
compared as GROUP BY does: NULLs are equal.

State: row → its copies on either side; freed when both are 0, or by time to live since the row last came or went
on a side. A row that goes after it has expired changes nothing.

Source: Flink's plan of set operations (2.x): SEMI and ANTI joins with IS NOT DISTINCT FROM, or a union with counts that
replicate_rows multiplies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..state.buffers import distinct_values
from ..state.hashing import hash_columns
from ..state.key_index import KeyIndex
from ..state.slot_column import SlotColumn
from .base import Operator, OperatorContext, StepTime

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SetOperationConfig:
    """``kind`` is ``Intersect`` or ``Except``; ``all``: copies count."""

    kind: str
    all: bool
    output: pa.Schema


class SetOperation(Operator):
    """See the module's text."""

    def __init__(self, config: SetOperationConfig) -> None:
        self.config = config

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        self._index = ctx.state("rows", KeyIndex(self.config.output.types, ctx.ttl_ms()))
        self._copies = [ctx.state(side, SlotColumn(pa.int64())) for side in ("left", "right")]

    def expire(self, now_ms: int) -> int:
        slots = self._index.expire(now_ms)
        for copies in self._copies if len(slots) else []:
            copies.clear(slots)
        return len(slots)

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        sides = [b for b in inputs if b is not None and b.num_rows]
        if not sides:
            return None
        placed = [None if b is None or not b.num_rows else self._slots(b, time.now_ms) for b in inputs]
        touched = distinct_values(np.concatenate([s for s in placed if s is not None]))
        before = self._emitted(touched)
        for batch, slots, copies in zip(inputs, placed, self._copies, strict=True):
            if batch is not None and slots is not None:
                copies.add(slots, batch.weight_array())
                if self.ctx.ttl_ms() is not None:
                    copies.maximum(slots, np.zeros(len(slots), np.int64))
        change = self._emitted(touched) - before
        moved = np.concatenate([np.flatnonzero(change < 0), np.flatnonzero(change > 0)])
        out = self._rows(touched[moved], change[moved]) if len(moved) else None
        self._forget(touched)
        return out

    def _slots(self, batch: ChangelogBatch, now_ms: int) -> Counts:
        columns = [c.cast(f.type) for c, f in zip(batch.rows.columns, self.config.output, strict=True)]
        return self._index.lookup_or_insert(hash_columns(columns), columns, now_ms)[0]

    def _emitted(self, slots: Counts) -> Counts:
        """Copies of each row in the output, by the counts of now."""
        left, right = (np.maximum(c.values(slots).astype(np.int64), 0) for c in self._copies)
        if not self.config.all:
            left, right = np.minimum(left, 1), np.minimum(right, 1)
        copies: Counts = (
            np.minimum(left, right) if self.config.kind == "Intersect" else np.maximum(left - right, 0)
        )
        return copies

    def _rows(self, slots: Counts, weights: Counts) -> ChangelogBatch:
        rows = pa.RecordBatch.from_arrays(self._index.keys(slots), schema=self.config.output)
        return ChangelogBatch(rows, weights)

    def _forget(self, slots: Counts) -> None:
        gone = slots[(self._copies[0].values(slots) == 0) & (self._copies[1].values(slots) == 0)]
        if len(gone):
            for copies in self._copies:
                copies.clear(gone)
            self._index.remove(gone)

    def content(self) -> pa.Table:
        slots = self._index.live_slots()
        found = self._index.keys(np.repeat(slots, self._emitted(slots)))
        return pa.Table.from_arrays(found, schema=self.config.output)
