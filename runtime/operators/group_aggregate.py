"""GroupAggregate: GROUP BY without windows, incremental.

In: a changelog (updates need −U). Out: one change per touched group and step:

    group        before step   after step   out
    new          –             row          +new
    changed      row           other row    −old +new     (upsert mode: +new)
    unchanged    row           same row     –
    emptied      row           –            −old

The step's rows are first aggregated per key in DuckDB (fused with the filter and projection before), so the
cost here is per touched group, never per group known. A global aggregate emits nothing before its first
row, as Flink; at the end of bounded input it emits the row of the empty set, as batch does (Flink does
not).

State: key → row count and accumulators; DISTINCT adds (key, value) → count. Freed when the group's row
count is 0, and, where ``expiry`` names a window end among the keys, when that window is complete.

Source: Flink's GroupAggFunction (2.x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.changelog import ChangelogBatch

from ..accumulators import Accumulator, Count, RowCount, Slots, is_distinct, numpy
from ..engine import WEIGHT, with_weights
from ..state.key_index import KeyIndex
from ..state.scalars import Scalars
from ..state.slot_column import SlotColumn
from .base import MAX_WATERMARK, Operator, OperatorContext, StepTime
from .expiry import ExpiringSlots, WindowExpiry

ORDINAL = "i"
"""Name of the arrival-order column offered to FIRST_VALUE and LAST_VALUE."""


@dataclass(frozen=True)
class DistinctArgs:
    """The distinct values of one argument list (with its filter) and the calls over them.

    ``sql``: (hash, key columns, hash with values, value columns, weight) per distinct value of the step,
    from ``{input}``. ``calls``: positions of the accumulators fed, with the index of the value column each
    sums (None: counts).
    """

    sql: str
    value_types: tuple[pa.DataType, ...]
    calls: tuple[tuple[int, int | None], ...]


@dataclass(frozen=True)
class GroupAggregateConfig:
    """``sql`` yields from ``{input}``: hash, keys, row count, first row, then partials (those of DISTINCT excepted).

    ``upsert``: leave −U out. ``weighted``: the input has a weight column.
    """

    sql: str
    input: pa.Schema
    key_types: tuple[pa.DataType, ...]
    output: pa.Schema
    weighted: bool
    upsert: bool
    what: str
    distinct: tuple[DistinctArgs, ...] = ()
    expiry: WindowExpiry | None = None


class GroupAggregate(Operator):
    """See the module's text. ``accumulators``: one a call, in output order."""

    def __init__(self, config: GroupAggregateConfig, accumulators: Sequence[Accumulator]) -> None:
        self.config = config
        self._accumulators = list(accumulators)
        self._fed_by_distinct = {i for d in config.distinct for i, _ in d.calls}

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        schema = c.input
        if c.weighted:
            schema = schema.append(pa.field(WEIGHT, pa.int64()))
        schema = schema.append(pa.field(ORDINAL, pa.int64()))
        keys = [pa.field(f"k{i}", t) for i, t in enumerate(c.key_types)]
        partials = [
            pa.field(f"p{i}_{j}", t)
            for i, a in enumerate(self._accumulators)
            if i not in self._fed_by_distinct
            for j, (_, t) in enumerate(a.partials)
        ]
        head = [pa.field("h", pa.uint64()), *keys]
        output = pa.schema([*head, pa.field("n", pa.int64()), pa.field("o", pa.int64()), *partials])
        self._partial = ctx.engine.fragment(c.sql, {"input": schema}, output, c.what)
        self._distinct = [
            _DistinctValues(ctx, i, d, schema, head, c.what, c.expiry) for i, d in enumerate(c.distinct)
        ]
        self._index = ctx.state("keys", KeyIndex(list(c.key_types)))
        self._rows = ctx.state("rows", SlotColumn(pa.int64()))
        self._flags = ctx.state("flags", Scalars())
        self._expiring = ExpiringSlots(self._index, c.expiry) if c.expiry is not None else None
        for i, accumulator in enumerate(self._accumulators):
            if isinstance(accumulator, RowCount):
                accumulator.share(self._rows)
            accumulator.open(ctx, f"a{i}")
        # with COUNT(*) of inserted rows a touched group never stays as it was
        counts_rows = any(isinstance(a, RowCount) for a in self._accumulators)
        self._always_changes = counts_rows and not self.config.weighted

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        out: list[ChangelogBatch] = []
        if inputs[0] is not None and inputs[0].num_rows:
            changes = self._apply(inputs[0], time)
            if changes is not None:
                out.append(changes)
        if not self.config.key_types and time.watermark == MAX_WATERMARK and not self._flags.get("emitted"):
            out.append(self._empty_row())
        if self._expiring is not None:
            self._expire(self._expiring, time)
        return ChangelogBatch.concat(out)

    def _apply(self, batch: ChangelogBatch, time: StepTime) -> ChangelogBatch | None:
        c = self.config
        rows = with_weights(batch) if c.weighted else batch.rows
        rows = rows.append_column(pa.field(ORDINAL, pa.int64()), pa.array(np.arange(rows.num_rows)))
        partial = self._partial.run(input=rows)
        if partial.num_rows == 0:
            return None
        partial = self._drop_late(partial, time)
        n_keys = len(c.key_types)
        keys = partial.columns[1 : 1 + n_keys]
        slots, inserted = self._index.lookup_or_insert(numpy(partial.column(0), np.uint64), keys)
        if self._expiring is not None:
            self._expiring.add(slots[inserted])
        before = self._rows.values(slots).astype(np.int64)
        known = before > 0
        old = [a.result(slots) for a in self._accumulators]
        self._rows.add(slots, numpy(partial.column(1 + n_keys), np.int64), unique=True)
        arrival = arrival_order(numpy(partial.column(2 + n_keys), np.int64), rows.num_rows)
        column = 3 + n_keys
        for i, accumulator in enumerate(self._accumulators):
            if i not in self._fed_by_distinct:
                width = len(accumulator.partials)
                accumulator.update(slots, partial.columns[column : column + width])
                column += width
        for distinct in self._distinct:
            distinct.apply(rows, self._index, self._accumulators)
        after = self._rows.values(slots).astype(np.int64)
        return self._emit(slots, keys, known, after > 0, old, arrival)

    def _emit(
        self,
        slots: Slots,
        keys: Sequence[pa.Array],
        known: npt.NDArray[np.bool_],
        alive: npt.NDArray[np.bool_],
        old: Sequence[pa.Array],
        arrival: Slots,
    ) -> ChangelogBatch | None:
        if not self.config.key_types:
            known = np.array([bool(self._flags.get("emitted"))])
            alive = np.ones_like(alive)  # the empty set still has its row
            self._flags.set("emitted", 1)
        new = [a.result(slots) for a in self._accumulators]
        changed = np.full(len(slots), self._always_changes)
        if not self._always_changes:
            for a, b in zip(old, new, strict=True):
                changed |= is_distinct(a, b)
        retract = known & (~alive | (changed & (not self.config.upsert)))
        insert = alive & (~known | changed)
        n = len(slots)
        # groups in the order of their first row in the step, −old before +new of the same group
        order = np.flatnonzero(np.stack([retract[arrival], insert[arrival]], axis=1).ravel())
        if self.config.key_types and not alive.all():
            self._free(slots[~alive])
        if not len(order):
            return None
        source, side = arrival[order // 2], order % 2
        taken = pa.array(source)
        columns = [k.take(taken) for k in keys]
        pick = pa.array(source + side * n)
        columns += [pa.concat_arrays([a, b]).take(pick) for a, b in zip(old, new, strict=True)]
        columns = [col.cast(f.type) for col, f in zip(columns, self.config.output, strict=True)]
        weights = np.where(side == 1, 1, -1).astype(np.int64)
        return ChangelogBatch(pa.RecordBatch.from_arrays(columns, schema=self.config.output), weights)

    def _free(self, slots: Slots) -> None:
        self._rows.clear(slots)
        for accumulator in self._accumulators:
            accumulator.clear(slots)
        self._index.remove(slots)

    def _empty_row(self) -> ChangelogBatch:
        """The global aggregate of no rows: slot 0 of an empty index has never been written."""
        self._flags.set("emitted", 1)
        slots, _ = self._index.lookup_or_insert(np.zeros(1, np.uint64), [])
        columns = [
            a.result(slots).cast(f.type) for a, f in zip(self._accumulators, self.config.output, strict=True)
        ]
        return ChangelogBatch(
            pa.RecordBatch.from_arrays(columns, schema=self.config.output), np.ones(1, np.int64)
        )

    # -- windows that emit before they are complete --------------------------------------------------------------
    def _drop_late(self, partial: pa.RecordBatch, time: StepTime) -> pa.RecordBatch:
        expiry = self.config.expiry
        if expiry is None:
            return partial
        late = expiry.last_ms(partial.column(1 + expiry.column)) <= expiry.completed(time)[0]
        if late.any():
            dropped = numpy(partial.column(1 + len(self.config.key_types)), np.int64)[late]
            self.ctx.metrics.num_late_records_dropped += int(np.abs(dropped).sum())
            partial = partial.filter(pa.array(~late))
        return partial

    def _expire(self, expiring: ExpiringSlots, time: StepTime) -> None:
        assert self.config.expiry is not None
        _, until = self.config.expiry.completed(time)
        self._free(expiring.pop(until))
        for distinct in self._distinct:
            distinct.expire(until)

    def content(self) -> pa.Table:
        slots = self._index.live_slots()
        slots = slots[self._rows.values(slots) > 0]
        if not self.config.key_types and not self._flags.get("emitted"):
            slots = slots[:0]
        columns = [*self._index.keys(slots), *(a.result(slots) for a in self._accumulators)]
        columns = [col.cast(f.type) for col, f in zip(columns, self.config.output, strict=True)]
        return pa.Table.from_arrays(columns, schema=self.config.output)


def arrival_order(first_rows: Slots, num_rows: int) -> Slots:
    """Group numbers sorted by their first row in the step, which is unique per group: a scatter, no sort."""
    at = np.full(num_rows, -1, np.int64)
    at[first_rows] = np.arange(len(first_rows))
    return at[at >= 0]


class _DistinctValues:
    """(key, value) → count; turns a step's values into +1 when a value appears and −1 when its last copy goes."""

    def __init__(
        self,
        ctx: OperatorContext,
        number: int,
        args: DistinctArgs,
        schema: pa.Schema,
        head: list[pa.Field],
        what: str,
        expiry: WindowExpiry | None,
    ) -> None:
        self.args = args
        values = [pa.field(f"v{i}", t) for i, t in enumerate(args.value_types)]
        output = pa.schema([*head, pa.field("hv", pa.uint64()), *values, pa.field("n", pa.int64())])
        self._n_keys = len(head) - 1
        self._fragment = ctx.engine.fragment(args.sql, {"input": schema}, output, what)
        types = [f.type for f in head[1:]] + list(args.value_types)
        self._index = ctx.state(f"d{number}.values", KeyIndex(types))
        self._count = ctx.state(f"d{number}.count", SlotColumn(pa.int64()))
        self._expiring = ExpiringSlots(self._index, expiry) if expiry is not None else None

    def expire(self, until: int) -> None:
        """Forget the values of windows that are complete."""
        assert self._expiring is not None
        self._forget(self._expiring.pop(until))

    def _forget(self, slots: Slots) -> None:
        self._count.clear(slots)
        self._index.remove(slots)

    def apply(self, rows: pa.RecordBatch, groups: KeyIndex, accumulators: Sequence[Accumulator]) -> None:
        found = self._fragment.run(input=rows)
        if found.num_rows == 0:
            return
        k = self._n_keys
        group_slots = groups.lookup(numpy(found.column(0), np.uint64), found.columns[1 : 1 + k])
        known = group_slots >= 0  # a late row has no group
        if not known.all():
            found, group_slots = found.filter(pa.array(known)), group_slots[known]
        keys, values = found.columns[1 : 1 + k], found.columns[2 + k : -1]
        slots, inserted = self._index.lookup_or_insert(
            numpy(found.column(1 + k), np.uint64), [*keys, *values]
        )
        if self._expiring is not None:
            self._expiring.add(slots[inserted])
        before = self._count.values(slots).astype(np.int64)
        self._count.add(slots, numpy(found.column(found.num_columns - 1), np.int64), unique=True)
        after = self._count.values(slots).astype(np.int64)
        sign = (after > 0).astype(np.int64) - (before > 0).astype(np.int64)
        gone = after == 0
        if gone.any():
            self._forget(slots[gone])
        moved = np.flatnonzero(sign)
        if not len(moved):
            return
        for position, value in self.args.calls:
            self._feed(
                accumulators[position], group_slots, sign, moved, None if value is None else values[value]
            )

    @staticmethod
    def _feed(
        accumulator: Accumulator, groups: Slots, sign: Slots, moved: Slots, values: pa.Array | None
    ) -> None:
        """Sum the signed values per group and fold them in like any other partial."""
        columns: dict[str, object] = {"g": groups[moved], "n": sign[moved]}
        if values is not None:
            taken = values.take(pa.array(moved)).cast(accumulator.partials[0][1])
            columns["v"] = pc.if_else(pa.array(sign[moved] < 0), pc.negate(taken), taken)
        table = pa.table(columns)
        aggregates = [("n", "sum")] if isinstance(accumulator, Count) else [("v", "sum"), ("n", "sum")]
        grouped = table.group_by("g").aggregate(aggregates).combine_chunks()
        slots = grouped["g"].to_numpy().astype(np.int64)
        partials = [
            grouped[f"{name}_sum"].cast(t).combine_chunks()
            for (name, _), (_, t) in zip(aggregates, accumulator.partials, strict=True)
        ]
        accumulator.update(slots, [p.chunk(0) if isinstance(p, pa.ChunkedArray) else p for p in partials])
