"""ChangelogNormalize: upserts by key in, full retractions out.

    key state   in               out
    –           +1 new           +new
    old         +1 new           −old +new     (nothing when they are equal)
    old         −1 (key only)    −old
    –           −1               –

State: key → the row's columns; freed when the key is deleted, or by time to live since the last upsert. With a
time to live an equal row is sent again, so that state further on lives as long. Several changes of a key in one
step count as the last.

Source: Flink's StreamExecChangelogNormalize (2.x).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..accumulators import is_distinct
from ..state.buffers import distinct_values
from ..state.hashing import hash_columns
from ..state.slot_column import SlotColumn
from .base import Operator, OperatorContext, StepTime
from .keys import key_index


class ChangelogNormalize(Operator):
    """``schema``: the rows' columns; ``key``: indexes of the primary key."""

    def __init__(self, schema: pa.Schema, key: tuple[int, ...]) -> None:
        self.schema = schema
        self.key = key

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        self._index = key_index(ctx, self.schema, self.key)
        self._columns = [
            None if i in self.key else ctx.state(f"c{i}", SlotColumn(f.type))
            for i, f in enumerate(self.schema)
        ]

    def expire(self, now_ms: int) -> int:
        slots = self._index.expire(now_ms)
        self._clear(slots)
        return len(slots)

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        batch = inputs[0]
        if batch is None or batch.num_rows == 0:
            return None
        keys = [batch.rows.column(i) for i in self.key]
        slots, inserted = self._index.lookup_or_insert(hash_columns(keys), keys, time.now_ms)
        fresh = distinct_values(slots[inserted])
        # the last change of each key counts
        _, from_end = np.unique(slots[::-1], return_index=True)
        last = np.sort(len(slots) - 1 - from_end)
        slots = slots[last]
        rows = batch.rows.take(pa.array(last))
        upsert = batch.weight_array()[last] > 0
        known = ~np.isin(slots, fresh)
        old = self._rows(slots)
        changed = np.full(len(slots), self.ctx.ttl_ms() is not None)
        for i, column in enumerate(old):
            if i not in self.key:
                changed |= is_distinct(column, rows.column(i))
        retract = known & (~upsert | changed)
        insert = upsert & (~known | changed)
        self._store(slots, rows, insert)
        gone = slots[~upsert]
        self._clear(gone)
        self._index.remove(gone)
        return self._changes(old, rows, retract, insert)

    def _clear(self, slots: np.ndarray) -> None:
        for state in self._columns:
            if state is not None and len(slots):
                state.clear(slots)

    def _rows(self, slots: np.ndarray) -> list[pa.Array]:
        keys = iter(self._index.keys(slots))
        by_key = dict(zip(self.key, keys, strict=True))
        return [by_key[i] if c is None else c.get(slots) for i, c in enumerate(self._columns)]

    def _store(self, slots: np.ndarray, rows: pa.RecordBatch, insert: np.ndarray) -> None:
        mask = pa.array(insert)
        for i, state in enumerate(self._columns):
            if state is not None and insert.any():
                state.set(slots[insert], rows.column(i).filter(mask))

    def _changes(
        self,
        old: list[pa.Array],
        rows: pa.RecordBatch,
        retract: np.ndarray,
        insert: np.ndarray,
    ) -> ChangelogBatch | None:
        n = len(retract)
        order = np.sort(np.concatenate([np.flatnonzero(retract) * 2, np.flatnonzero(insert) * 2 + 1]))
        if not len(order):
            return None
        side = order % 2
        pick = pa.array(order // 2 + side * n)
        columns = [
            pa.concat_arrays([a.cast(f.type), b.cast(f.type)]).take(pick)
            for a, b, f in zip(old, rows.columns, self.schema, strict=True)
        ]
        weights = np.where(side == 1, 1, -1).astype(np.int64)
        return ChangelogBatch(pa.RecordBatch.from_arrays(columns, schema=self.schema), weights)

    def content(self) -> pa.Table:
        return pa.Table.from_arrays(self._rows(self._index.live_slots()), schema=self.schema)
