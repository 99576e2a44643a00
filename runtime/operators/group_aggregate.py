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
count is 0, and, where ``expiry`` names a window end among the keys, when that window is complete; otherwise
by time to live, since the last step that touched the group. With a time to live an unchanged result is sent
again, so that state further on lives as long.

Source: Flink's GroupAggFunction (2.x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.changelog import ChangelogBatch

from ..accumulators import Accumulator, Count, Int64, RowCount, Slots, is_distinct, numpy
from ..engine import WEIGHT, with_weights
from ..state.engine_hash import EngineHash
from ..state.key_index import KeyIndex
from ..state.scalars import Scalars
from ..state.slot_column import SlotColumn
from .base import MAX_WATERMARK, Operator, OperatorContext, StepTime
from .expiry import ExpiringSlots, WindowExpiry
from .step_groups import Pairs, SlotGroups, StepGroups, summed

ORDINAL = "i"
"""Name of the arrival-order column offered to FIRST_VALUE and LAST_VALUE."""

GROUPS_PER_ROW_MIN = 0.2
"""With more groups a row than this, the next step's rows are added up by slot."""


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

    ``row_sql``: the same of every row on its own, in order and without the first row; None where some partial is
    more than a sum of BIGINT or DOUBLE. ``upsert``: leave −U out. ``weighted``: the input has a weight column.
    """

    sql: str
    row_sql: str | None
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
        counted = [*head, pa.field("n", pa.int64())]
        output = pa.schema([*counted, pa.field("o", pa.int64()), *partials])
        self._partial = ctx.engine.fragment(c.sql, {"input": schema}, output, c.what)
        self._by_row = None
        if c.row_sql is not None:
            self._by_row = ctx.engine.fragment(
                c.row_sql, {"input": schema}, pa.schema([*counted, *partials]), c.what
            )
        hashed_by = EngineHash(ctx.engine.query)
        self._slot_groups = SlotGroups()
        self._ttl_ms = ctx.ttl_ms() if c.expiry is None else None
        self._distinct = [
            _DistinctValues(ctx, i, d, schema, head, c.what, c.expiry, self._ttl_ms)
            for i, d in enumerate(c.distinct)
        ]
        self._index = ctx.state("keys", KeyIndex(list(c.key_types), self._ttl_ms, hashed_by=hashed_by))
        self._rows = ctx.state("rows", SlotColumn(pa.int64()))
        self._flags = ctx.state("flags", Scalars())
        self._expiring = ExpiringSlots(self._index, c.expiry) if c.expiry is not None else None
        for i, accumulator in enumerate(self._accumulators):
            if isinstance(accumulator, RowCount):
                accumulator.share(self._rows)
            accumulator.open(ctx, f"a{i}")
        # with COUNT(*) of inserted rows a touched group never stays as it was
        counts_rows = any(isinstance(a, RowCount) for a in self._accumulators)
        self._always_changes = (counts_rows and not c.weighted) or self._ttl_ms is not None

    def expire(self, now_ms: int) -> int:
        if self._ttl_ms is None:
            return 0
        values = sum(d.outlived(now_ms, self._index) for d in self._distinct)
        slots = self._index.expired(now_ms)
        if len(slots):
            self._free(slots)
            if not self.config.key_types:
                self._flags.set("emitted", 0)
                self._flags.set("forgotten", 1)
        return values + len(slots)

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        out: list[ChangelogBatch] = []
        if inputs[0] is not None and inputs[0].num_rows:
            changes = self._apply(inputs[0], time)
            if changes is not None:
                out.append(changes)
        if time.watermark == MAX_WATERMARK and not self.config.key_types and not self._has_emitted():
            out.append(self._empty_row(time))
        if self._expiring is not None:
            self._expire(self._expiring, time)
        return ChangelogBatch.concat(out)

    def _has_emitted(self) -> bool:
        return bool(self._flags.get("emitted") or self._flags.get("forgotten"))

    def _apply(self, batch: ChangelogBatch, time: StepTime) -> ChangelogBatch | None:
        c = self.config
        rows = with_weights(batch) if c.weighted else batch.rows
        rows = rows.append_column(pa.field(ORDINAL, pa.int64()), pa.array(np.arange(rows.num_rows)))
        if self._by_row is not None and self._flags.get("by_row"):
            groups = self._grouped_by_slot(self._by_row.run(input=rows), time)
        else:
            groups = self._grouped_by_query(self._partial.run(input=rows), rows.num_rows, time)
        if groups is None:
            return None
        slots = groups.slots
        before = self._rows.values(slots).astype(np.int64, copy=False)
        after = before + groups.rows
        self._rows.put(slots, after)
        old = {i: self._accumulators[i].result(slots) for i in self._fed_by_distinct}
        for distinct in self._distinct:
            distinct.apply(rows, self._index, self._accumulators, time)
        results: list[tuple[pa.Array, pa.Array]] = []
        column = 0
        for i, accumulator in enumerate(self._accumulators):
            if isinstance(accumulator, RowCount):
                results.append((pa.array(before), pa.array(after)))
            elif i in old:
                results.append((old[i], accumulator.result(slots)))
            else:
                width = len(accumulator.partials)
                results.append(accumulator.fold(slots, groups.partials[column : column + width]))
                column += width
        return self._emit(groups, before, after, results)

    def _grouped_by_query(self, partial: pa.RecordBatch, num_rows: int, time: StepTime) -> StepGroups | None:
        n_keys = len(self.config.key_types)
        if self._by_row is not None and partial.num_rows:
            self._choose(partial.num_rows, num_rows)
        partial = self._drop_late(partial, time)
        if partial.num_rows == 0:
            return None
        arrival = arrival_order(numpy(partial.column(2 + n_keys), np.int64), num_rows)
        partial = partial.take(pa.array(arrival))
        keys = partial.columns[1 : 1 + n_keys]
        counts = numpy(partial.column(1 + n_keys), np.int64)
        return StepGroups(self._slots(partial, keys, time), keys, counts, partial.columns[3 + n_keys :])

    def _grouped_by_slot(self, rows: pa.RecordBatch, time: StepTime) -> StepGroups | None:
        n_keys = len(self.config.key_types)
        rows = self._drop_late(rows, time)
        if rows.num_rows == 0:
            return None
        keys = rows.columns[1 : 1 + n_keys]
        slots = self._slots(rows, keys, time)
        first, numbers = self._slot_groups.number(slots, self._index.capacity)
        self._choose(len(first), rows.num_rows)
        summands = rows.columns[1 + n_keys :]
        if numbers is not None:
            slots, taken = slots.take(first), pa.array(first)
            keys = [k.take(taken) for k in keys]
        count, *partials = (summed(s, numbers, len(first)) for s in summands)
        return StepGroups(slots, keys, numpy(count, np.int64), partials)

    def _choose(self, groups: int, rows: int) -> None:
        """How the next step is grouped. Kept with the state, so that a restored job adds in the same order."""
        self._flags.set("by_row", int(groups > rows * GROUPS_PER_ROW_MIN))

    def _slots(self, rows: pa.RecordBatch, keys: Sequence[pa.Array], time: StepTime) -> Slots:
        hashes = numpy(rows.column(0), np.uint64)
        slots, inserted = self._index.lookup_or_insert(hashes, keys, time.now_ms)
        if self._expiring is not None:
            self._expiring.add(slots[inserted])
        return slots

    def _emit(
        self, groups: StepGroups, before: Int64, after: Int64, results: Sequence[tuple[pa.Array, pa.Array]]
    ) -> ChangelogBatch | None:
        """Groups in the order of their first row in the step, −old before +new of the same group."""
        slots = groups.slots
        known, alive = before > 0, after > 0
        if not self.config.key_types:
            known = np.array([bool(self._flags.get("emitted"))])
            alive = np.ones_like(alive)  # the empty set still has its row
            self._flags.set("emitted", 1)
        changed = np.full(len(slots), self._always_changes)
        if not self._always_changes:
            for a, b in results:
                changed |= is_distinct(a, b)
        kept = np.empty(2 * len(slots), np.bool_)
        kept[0::2] = known & (~alive | (changed & (not self.config.upsert)))
        kept[1::2] = alive & (~known | changed)
        if self.config.key_types and not alive.all():
            self._free(slots[~alive])
        if not kept.any():
            return None
        pairs = Pairs(np.flatnonzero(kept), len(slots))
        columns = [pairs.of(a, b) for a, b in [*((k, k) for k in groups.keys), *results]]
        columns = [col.cast(f.type) for col, f in zip(columns, self.config.output, strict=True)]
        return ChangelogBatch(pa.RecordBatch.from_arrays(columns, schema=self.config.output), pairs.weights())

    def _free(self, slots: Slots) -> None:
        slots = np.sort(slots)  # once, and not in each column
        self._rows.clear(slots)
        for accumulator in self._accumulators:
            accumulator.clear(slots)
        self._index.remove(slots)
        if not len(self._index):
            self._flags.remove("by_row")

    def _empty_row(self, time: StepTime) -> ChangelogBatch:
        """The global aggregate of no rows: slot 0 of an empty index has never been written."""
        self._flags.set("emitted", 1)
        slots, _ = self._index.lookup_or_insert(np.zeros(1, np.uint64), [], time.now_ms)
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
        ttl_ms: int | None,
    ) -> None:
        self.args = args
        values = [pa.field(f"v{i}", t) for i, t in enumerate(args.value_types)]
        output = pa.schema([*head, pa.field("hv", pa.uint64()), *values, pa.field("n", pa.int64())])
        self._n_keys = len(head) - 1
        self._fragment = ctx.engine.fragment(args.sql, {"input": schema}, output, what)
        types = [f.type for f in head[1:]] + list(args.value_types)
        hashed_by = EngineHash(ctx.engine.query)
        self._index = ctx.state(f"d{number}.values", KeyIndex(types, ttl_ms, hashed_by=hashed_by))
        self._count = ctx.state(f"d{number}.count", SlotColumn(pa.int64()))
        self._group = ctx.state(f"d{number}.group", SlotColumn(pa.int64())) if ttl_ms is not None else None
        self._expiring = ExpiringSlots(self._index, expiry) if expiry is not None else None

    def expire(self, until: int) -> None:
        """Forget the values of windows that are complete."""
        assert self._expiring is not None
        self._forget(self._expiring.pop(until))

    def outlived(self, now_ms: int, groups: KeyIndex) -> int:
        """Forget the values of groups that are about to expire: a value lives as long as its group."""
        if self._group is None:
            return 0
        slots = self._index.expired(now_ms, _GroupTimes(self._group, groups))
        self._forget(slots)
        return len(slots)

    def _forget(self, slots: Slots) -> None:
        self._count.clear(slots)
        if self._group is not None:
            self._group.clear(slots)
        self._index.remove(slots)

    def apply(
        self, rows: pa.RecordBatch, groups: KeyIndex, accumulators: Sequence[Accumulator], time: StepTime
    ) -> None:
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
            numpy(found.column(1 + k), np.uint64), [*keys, *values], time.now_ms
        )
        if self._group is not None:
            self._group.put(slots, group_slots)
        if self._expiring is not None:
            self._expiring.add(slots[inserted])
        before = self._count.values(slots).astype(np.int64)
        self._count.add(slots, numpy(found.column(found.num_columns - 1), np.int64), unique=True)
        after = self._count.values(slots).astype(np.int64)
        sign = (after > 0).astype(np.int64) - (before > 0).astype(np.int64)
        gone = after == 0 if self._group is None else after <= 0  # below 0: it was counted before it expired
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


@dataclass(frozen=True)
class _GroupTimes:
    """The last update of the group that a value belongs to, by the slot of the value."""

    group: SlotColumn
    groups: KeyIndex

    def __getitem__(self, slots: Slots) -> Slots:
        return self.groups.last_update_ms(self.group.values(slots).astype(np.int64, copy=False))
