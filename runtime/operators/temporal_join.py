"""TemporalJoin: each left row with the version of the right side that held at its event time.

    versions of a key    |—— v1 ——|—— v2 ————|—— v3 …        each holds from its time on
    left rows                 a          b                   a with v1, b with v2

In: left any changelog; right the history of a table with a key: every row is a version from its time on, a deletion
ends the one before. Out: the left rows, once the watermark of both inputs has passed their time, in LEFT with NULLs
where nothing held. Later versions change nothing.

State: left rows that wait; versions newer than the watermark, and per key the newest before it. Late left rows and rows
with a NULL time are counted and dropped. A late version replaces an older one for the rows that still come.

Where windows below fire late, all of this is by the watermark so much earlier: a row joins once it changes no more.

Of a changelog that retracts, the deletion that an insertion of its key follows is half of an update, not an end.

Source: Flink's TemporalRowTimeJoinOperator (2.x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..accumulators import numpy
from ..state.buffers import I64, Bools, as_array, distinct_values
from ..state.consolidate import group_ids
from ..state.hashing import hash_columns
from ..state.key_index import KeyIndex
from ..state.run_store import RunStore
from ..state.slot_column import SlotColumn
from .base import MAX_WATERMARK, MIN_WATERMARK, Operator, OperatorContext, StepTime
from .expiry import earlier
from .interval_join import millis
from .join_pairs import Residual, ResidualConfig, padded, side_by_side, taken

HOLDS, DELETED, ENDS = 0, 1, 2
"""What a row of a history is: a version, a deletion, a version that holds nothing but ends the one before."""

_END = pa.field("end", pa.int8())
_MARK = pa.field("mark", pa.bool_())


@dataclass(frozen=True)
class TemporalJoinConfig:
    """``left_keys``: the columns equal to ``right_keys``, which are the right side's key.

    ``tombstones``: deletions of the right side hold from their own time on; else they name the version they delete.
    ``marked``: right rows have one more column than ``right``, TRUE for versions that only end the one before.
    ``lateness_ms``: how long after their time rows of both sides may still change.
    """

    kind: str
    left: pa.Schema
    right: pa.Schema
    left_keys: tuple[int, ...]
    right_keys: tuple[int, ...]
    left_time: int
    right_time: int
    output: pa.Schema
    residual: ResidualConfig | None
    tombstones: bool
    weighted: bool
    marked: bool = False
    lateness_ms: int = 0


class TemporalJoin(Operator):
    """See the module's text."""

    def __init__(self, config: TemporalJoinConfig) -> None:
        self.config = config

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        self._waiting = ctx.state("left", RunStore(c.left, timed=True))
        self._versions = Versions(ctx, c.right, c.right_keys, c.right_time)
        self._residual = None
        if c.residual is not None:
            self._residual = Residual(c.residual, c.left, c.right, ctx)

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        c = self.config
        before, after = self.output_watermark(time.watermark_before), self.output_watermark(time.watermark)
        arriving = c.right.append(_MARK) if c.marked else c.right
        right = self._timed(inputs[1], arriving, c.right_time)
        if right is not None:
            self._versions.add(right, before, tombstones=c.tombstones)
        left = self._timed(inputs[0], c.left, c.left_time)
        if left is not None:
            self._wait(left, before)
        if after in (before, MIN_WATERMARK):
            return None
        due = self._waiting.take_until(min(after, MAX_WATERMARK - 1))
        keys = [due.rows.column(k) for k in c.left_keys]
        at, versions = self._versions.as_of(keys, millis(due.rows.column(c.left_time)), after)
        return self._joined(due.rows, due.weights, at, versions)

    def output_watermark(self, input_watermark: int) -> int:
        return earlier(input_watermark, self.config.lateness_ms)

    def _timed(self, batch: ChangelogBatch | None, schema: pa.Schema, time: int) -> ChangelogBatch | None:
        """The rows that have a time; the others are counted."""
        if batch is None or batch.num_rows == 0:
            return None
        columns = [as_array(c, f.type) for c, f in zip(batch.rows.columns, schema, strict=True)]
        batch = ChangelogBatch(pa.RecordBatch.from_arrays(columns, schema=schema), batch.weights)
        if batch.rows.column(time).null_count:
            known = ~numpy(batch.rows.column(time).is_null(), np.bool_)
            self.ctx.metrics.num_null_time_dropped += int(np.count_nonzero(~known))
            batch = batch.take(np.flatnonzero(known))
        return batch if batch.num_rows else None

    def _wait(self, batch: ChangelogBatch, before: int) -> None:
        times = millis(batch.rows.column(self.config.left_time))
        late = times <= before
        self.ctx.metrics.num_late_records_dropped += int(np.count_nonzero(late))
        self._waiting.append(np.zeros(len(times), np.uint64), batch.rows, batch.weight_array(), times=times)

    def _joined(
        self, left: pa.RecordBatch, weights: I64, at: I64, versions: pa.RecordBatch
    ) -> ChangelogBatch | None:
        """``at``: per left row the row of ``versions`` that held, −1 for none."""
        rows = np.flatnonzero(at >= 0)
        if self._residual is not None and len(rows):
            rows = rows[self._residual.passing(left, rows, versions, at[rows])]
        schema = self.config.output
        out = [side_by_side(left, rows, versions, at[rows], schema)]
        order = [rows]
        if self.config.kind == "LEFT":
            alone = np.setdiff1d(np.arange(len(at)), rows)
            out.append(padded(taken(left, alone), schema, left=True))
            order.append(alone)
        numbers = np.concatenate(order)
        arrival = np.argsort(numbers, kind="stable")
        if not len(arrival):
            return None
        found = taken(pa.concat_batches(out), arrival)
        counts = weights[numbers[arrival]]
        if self.config.weighted:
            return ChangelogBatch(found, counts)
        return ChangelogBatch(taken(found, np.repeat(np.arange(len(counts)), np.maximum(counts, 0))))


class Versions:
    """The history of a table: versions newer than the watermark, and the newest of each key before it."""

    def __init__(self, ctx: OperatorContext, schema: pa.Schema, keys: tuple[int, ...], time: int) -> None:
        self._schema = schema
        self._keys = keys
        self._time = time
        marked = schema.append(_END)
        self._newer = ctx.state("versions", RunStore(marked, keys, timed=True))
        self._index = ctx.state("keys", KeyIndex([schema.field(k).type for k in keys]))
        self._held = [ctx.state(f"c{i}", SlotColumn(f.type)) for i, f in enumerate(schema)]

    def add(self, batch: ChangelogBatch, before: int, *, tombstones: bool) -> None:
        """Takes in rows in order of arrival; those at or before the watermark replace what held.

        A column more than the schema's marks versions that only end the one before.
        """
        deleted = batch.weight_array() < 0
        rows, ends = batch.rows, np.where(deleted, DELETED, HOLDS).astype(np.int8)
        if rows.num_columns > len(self._schema):
            mark = numpy(rows.column(rows.num_columns - 1), np.bool_)
            rows = pa.RecordBatch.from_arrays(rows.columns[:-1], schema=self._schema)
            ends[mark & ~deleted] = ENDS
        if not tombstones and (deleted.any() or self._newer.row_count):
            keep = self._without_updates(rows, deleted)
            rows, ends = taken(rows, keep), ends[keep]
        times = millis(rows.column(self._time))
        late = times <= before
        if late.any():
            at = np.flatnonzero(late)
            self._hold(taken(rows, at), ends[at] != HOLDS)
        hashes = hash_columns([rows.column(k) for k in self._keys], rows.num_rows)
        self._newer.append(hashes, rows.append_column(_END, pa.array(ends)), times=times)

    def _without_updates(self, rows: pa.RecordBatch, deleted: Bools) -> I64:
        """The rows but for deletions that an insertion of the key follows; such ones of earlier steps are undone."""
        keys = [rows.column(k) for k in self._keys]
        ids = group_ids(keys, rows.num_rows)
        last_insert = np.full(int(ids.max(initial=0)) + 1, -1, np.int64)
        np.maximum.at(last_insert, ids[~deleted], np.flatnonzero(~deleted))
        _, once = np.unique(np.where(deleted, -1, ids), return_index=True)
        once = once[~deleted[once]]
        if len(once):
            at = pa.array(once)
            hashes = hash_columns(keys, rows.num_rows)[once]
            found = self._newer.probe(hashes, [k.take(at) for k in keys], consolidate=True)
            ended = np.flatnonzero(numpy(found.rows.column(found.rows.num_columns - 1), np.int8) == DELETED)
            if len(ended):
                undone = taken(found.rows, ended)
                times = millis(undone.column(self._time))
                weights = -found.weights[ended]
                self._newer.append(hashes[found.probe_index[ended]], undone, weights, times=times)
        return np.flatnonzero(~deleted | (np.arange(len(ids)) > last_insert[ids]))

    def as_of(self, keys: list[pa.Array], times: I64, watermark: int) -> tuple[I64, pa.RecordBatch]:
        """Per key and time the version that held, as a row of the returned batch or −1; versions up to the watermark
        are then folded."""
        newer = self._newer.take_until(min(watermark, MAX_WATERMARK - 1))
        rows = pa.RecordBatch.from_arrays(newer.rows.columns[:-1], schema=self._schema)
        ended = numpy(newer.rows.column(newer.rows.num_columns - 1), np.int8) != HOLDS
        base = self._base(keys, len(times))
        both = pa.concat_batches([base, rows])
        gone = np.concatenate([np.zeros(base.num_rows, np.bool_), ended])
        count, known = both.num_rows, both.num_rows + len(times)
        columns = [
            pa.concat_arrays([both.column(k), as_array(key, both.column(k).type)])
            for k, key in zip(self._keys, keys, strict=True)
        ]
        ids = group_ids(columns, known)
        moment = np.concatenate([millis(both.column(self._time)), times])
        # in order of key, time and arrival, a left row after the versions of its moment
        order = np.lexsort((np.arange(known), moment, ids))
        place = np.where(order < count, np.arange(known), -1)
        latest = np.maximum.accumulate(place) if known else place
        at = np.full(len(times), -1, np.int64)
        mine = np.flatnonzero((order >= count) & (latest >= 0))
        version = order[latest[mine]]
        fits = (ids[version] == ids[order[mine]]) & ~gone[version]
        at[order[mine[fits]] - count] = version[fits]
        for key in keys:
            if key.null_count:
                at[numpy(key.is_null(), np.bool_)] = -1
        self._hold(rows, ended)
        return at, both

    def _base(self, keys: list[pa.Array], count: int) -> pa.RecordBatch:
        """What held at the last watermark, of these keys."""
        slots = (
            distinct_values(self._index.lookup(hash_columns(keys, count), keys))
            if count
            else np.zeros(0, np.int64)
        )
        slots = slots[slots >= 0]
        return pa.RecordBatch.from_arrays([c.get(slots) for c in self._held], schema=self._schema)

    def _hold(self, rows: pa.RecordBatch, deleted: Bools) -> None:
        """Per key the newest of these versions and the one held so far stays."""
        if not rows.num_rows:
            return
        keys = [rows.column(k) for k in self._keys]
        ids = group_ids(keys, rows.num_rows)
        times = millis(rows.column(self._time))
        order = np.lexsort((np.arange(rows.num_rows), times, ids))
        last = order[np.append(ids[order][1:] != ids[order][:-1], True)]
        chosen, ended = taken(rows, last), deleted[last]
        keys = [chosen.column(k) for k in self._keys]
        slots, new = self._index.lookup_or_insert(hash_columns(keys, len(last)), keys)
        wins = new.copy()
        known = np.flatnonzero(~new)
        held = millis(self._held[self._time].get(slots[known]))
        wins[known] = times[last][known] >= held
        kept = np.flatnonzero(wins & ~ended)
        for i, column in enumerate(self._held):
            column.set(slots[kept], chosen.column(i).take(pa.array(kept)))
        gone = slots[wins & ended]
        if len(gone):
            for column in self._held:
                column.clear(gone)
            self._index.remove(gone)
