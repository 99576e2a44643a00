"""GroupRecompute: any function of a group's rows, right under any changelog.

Keeps the input rows per key. In each step the groups it touches are computed twice, over their old rows and
over their new ones, by the same DuckDB query over just those rows, and the difference is emitted. It is the
generic form: whatever is hot has a specialised operator, which is tested against this one.

    step's rows ─┬─ touched keys ─ old rows ─ f ─┐
                 └─ append ─────── new rows ─ f ─┴─ difference ─▶ −old +new

State: key → its rows; freed as rows are retracted, or, where the keys hold a window's end, when the
watermark passes it; otherwise by time to live, all rows of a key that no step touched for that long. With a
time to live an unchanged result is sent again, so that state further on lives as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..accumulators import is_distinct, numpy
from ..engine import WEIGHT, Fragment, split_weights, with_weights
from ..state.hashing import hash_columns
from ..state.key_index import KeyIndex
from ..state.run_store import RunProbe, RunStore
from ..state.scalars import Scalars
from ..state.ttl import KeyedTtl
from .base import MAX_WATERMARK, Operator, OperatorContext, StepTime
from .expiry import WindowExpiry


@dataclass(frozen=True)
class GroupRecomputeConfig:
    """``prepare_sql`` makes the kept rows from ``{input}`` (None: they are the input).

    ``group_sql``: over ``{input}`` with ``g`` (group number), ``c0 …``, ``i`` (arrival order), one row a
    live copy; yields ``g`` and the output columns. ``keys``: key columns of the kept rows, also the first
    output columns. ``expiry``: the kept rows' column that holds the end of a window; its groups are freed
    when that is complete.
    """

    prepare_sql: str | None
    input: pa.Schema
    rows: pa.Schema
    keys: tuple[int, ...]
    group_sql: str
    output: pa.Schema
    weighted: bool
    upsert: bool
    what: str
    expiry: WindowExpiry | None = None


class GroupRecompute(Operator):
    """See the module's text."""

    def __init__(self, config: GroupRecomputeConfig) -> None:
        self.config = config

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        extra = [pa.field(WEIGHT, pa.int64())] if c.weighted else []
        self._prepare = None
        if c.prepare_sql is not None:
            self._prepare = ctx.engine.fragment(
                c.prepare_sql, {"input": pa.schema([*c.input, *extra])}, pa.schema([*c.rows, *extra]), c.what
            )
        grouped = pa.schema([pa.field("g", pa.int64()), *c.rows, pa.field("i", pa.int64())])
        self._group = ctx.engine.fragment(
            c.group_sql, {"input": grouped}, pa.schema([pa.field("g", pa.int64()), *c.output]), c.what
        )
        self._group_of_none: Fragment | None = None
        self._rows = ctx.state("rows", RunStore(c.rows, c.keys, timed=c.expiry is not None))
        self._flags = ctx.state("flags", Scalars())
        ttl = ctx.ttl_ms() if c.expiry is None else None
        types = [c.rows.field(k).type for k in c.keys]
        self._ttl = KeyedTtl(self._rows, None if ttl is None else ctx.state("keys", KeyIndex(types, ttl)))

    def expire(self, now_ms: int) -> int:
        count = self._ttl.expire(now_ms)
        if count and not self.config.keys:
            self._flags.set("emitted", 0)
            self._flags.set("forgotten", 1)
        return count

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        out: list[ChangelogBatch] = []
        batch = self._prepared(inputs[0])
        if batch is not None:
            batch = self._on_time(batch, time)
        if batch is not None and batch.num_rows:
            changes = self._apply(batch, time)
            if changes is not None:
                out.append(changes)
        silent = not (self._flags.get("emitted") or self._flags.get("forgotten"))
        if not self.config.keys and time.watermark == MAX_WATERMARK and silent:
            self._flags.set("emitted", 1)
            out.append(ChangelogBatch(self._empty(), np.ones(1, np.int64)))
        if self.config.expiry is not None:
            _, until = self.config.expiry.completed(time)
            self._rows.drop_until(min(until, MAX_WATERMARK - 1))
        return ChangelogBatch.concat(out)

    def _prepared(self, batch: ChangelogBatch | None) -> ChangelogBatch | None:
        if batch is None or self._prepare is None or batch.num_rows == 0:
            return batch
        if not self.config.weighted:
            return ChangelogBatch(self._prepare.run(input=batch.rows))
        return split_weights(self._prepare.run(input=with_weights(batch)), self.config.rows)

    def _on_time(self, batch: ChangelogBatch, time: StepTime) -> ChangelogBatch:
        """Drop and count rows of windows that have passed."""
        expiry = self.config.expiry
        if expiry is None:
            return batch
        late = expiry.last_ms(batch.rows.column(expiry.column)) <= expiry.completed(time)[0]
        if not late.any():
            return batch
        self.ctx.metrics.num_late_records_dropped += int(late.sum())
        return batch.take(np.flatnonzero(~late))

    def _apply(self, batch: ChangelogBatch, time: StepTime) -> ChangelogBatch | None:
        keys = [batch.rows.column(k) for k in self.config.keys]
        hashes = hash_columns(keys, batch.num_rows)
        touched = self._distinct(hashes, keys)
        probe_hashes = hashes[touched]
        probe_keys = [k.take(pa.array(touched)) for k in keys]
        before = self._rows.probe(probe_hashes, probe_keys, consolidate=True)
        expiry = self.config.expiry
        times = None if expiry is None else expiry.last_ms(batch.rows.column(expiry.column))
        rows = pa.RecordBatch.from_arrays(batch.rows.columns, schema=self.config.rows)
        self._rows.append(hashes, rows, batch.weight_array(), times=times)
        self._ttl.touch(probe_hashes, probe_keys, time.now_ms)
        after = self._rows.probe(probe_hashes, probe_keys, consolidate=True)
        self._ttl.settle(after, probe_hashes)
        return self._difference(self._compute(before), self._compute(after), len(touched))

    @staticmethod
    def _distinct(hashes: npt.NDArray[np.uint64], keys: Sequence[pa.Array]) -> npt.NDArray[np.int64]:
        """One row number per distinct key, in order of first appearance."""
        from ..state.consolidate import group_ids

        ids = group_ids(list(keys), len(hashes)) if keys else np.zeros(len(hashes), np.int64)
        _, first = np.unique(ids, return_index=True)
        return np.sort(first)

    def _compute(self, probe: RunProbe) -> pa.RecordBatch:
        """f over the probed rows, sorted by group number."""
        live = probe.weights > 0
        index = np.repeat(np.flatnonzero(live), probe.weights[live])
        rows = probe.rows.take(pa.array(index))
        arrays = [pa.array(probe.probe_index[index]), *rows.columns, pa.array(probe.seq[index])]
        schema = pa.schema([pa.field("g", pa.int64()), *self.config.rows, pa.field("i", pa.int64())])
        found = self._group.run(input=pa.RecordBatch.from_arrays(arrays, schema=schema))
        return found.take(pa.array(np.argsort(numpy(found.column(0), np.int64), kind="stable")))

    def _empty(self) -> pa.RecordBatch:
        """The global aggregate of no rows: COUNT 0, NULL otherwise."""
        if self._group_of_none is None:
            sql = self.config.group_sql.replace("GROUP BY g", "").replace(
                "SELECT g,", "SELECT 0::BIGINT AS g,"
            )
            schema = pa.schema([pa.field("g", pa.int64()), *self.config.rows, pa.field("i", pa.int64())])
            self._group_of_none = self.ctx.engine.fragment(
                sql, {"input": schema}, self._group.output, self.config.what
            )
        found = self._group_of_none.run(input=None)
        return pa.RecordBatch.from_arrays(found.columns[1:], schema=self.config.output)

    def _difference(self, old: pa.RecordBatch, new: pa.RecordBatch, groups: int) -> ChangelogBatch | None:
        if not self.config.keys:
            if not self._flags.get("emitted"):
                old = old.slice(0, 0)
            elif old.num_rows == 0:
                old = self._as_group(self._empty())
            if new.num_rows == 0:
                new = self._as_group(self._empty())
            self._flags.set("emitted", 1)
        at_old = _positions(old, groups)
        at_new = _positions(new, groups)
        known, alive = at_old >= 0, at_new >= 0
        both = np.flatnonzero(known & alive)
        changed = np.full(groups, self._ttl.active)
        for i in range(1, old.num_columns):
            a, b = old.column(i).take(pa.array(at_old[both])), new.column(i).take(pa.array(at_new[both]))
            changed[both] |= is_distinct(a, b)
        retract = known & (~alive | (changed & (not self.config.upsert)))
        insert = alive & (~known | changed)
        order = np.sort(np.concatenate([np.flatnonzero(retract) * 2, np.flatnonzero(insert) * 2 + 1]))
        if not len(order):
            return None
        group, side = order // 2, order % 2
        pick = pa.array(np.where(side == 1, at_new[group] + old.num_rows, at_old[group]))
        columns = [
            pa.concat_arrays([old.column(i), new.column(i)]).take(pick) for i in range(1, old.num_columns)
        ]
        weights = np.where(side == 1, 1, -1).astype(np.int64)
        return ChangelogBatch(pa.RecordBatch.from_arrays(columns, schema=self.config.output), weights)

    def _as_group(self, row: pa.RecordBatch) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays(
            [pa.array([0], pa.int64()), *row.columns], schema=self._group.output
        )

    def content(self) -> pa.Table:
        """All groups, recomputed: cost is that of the whole state."""
        table = self._rows.read()
        hashes_of = [table.column(k).combine_chunks() for k in self.config.keys]
        keys = [c.chunk(0) if isinstance(c, pa.ChunkedArray) and c.num_chunks else c for c in hashes_of]
        if table.num_rows == 0:
            return pa.Table.from_batches([], self.config.output)
        hashes = hash_columns(keys, table.num_rows)
        touched = self._distinct(hashes, keys)
        probe = self._rows.probe(hashes[touched], [k.take(pa.array(touched)) for k in keys], consolidate=True)
        found = self._compute(probe)
        return pa.Table.from_arrays(found.columns[1:], schema=self.config.output)


def _positions(rows: pa.RecordBatch, groups: int) -> npt.NDArray[np.int64]:
    """Row number per group, −1 where it has none."""
    at = np.full(groups, -1, np.int64)
    at[numpy(rows.column(0), np.int64)] = np.arange(rows.num_rows)
    return at
