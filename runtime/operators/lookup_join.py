"""LookupJoin: each left row with what a table outside holds for its key when the row comes.

In: insertions. Out: insertions, in the order of the left rows, a step's rows with a NULL in their key last; LEFT: with
NULLs where nothing matches. A step asks for its distinct keys at once, or looks into the table that is held whole.

Rows wait while the table is away, and, with a retry, where it has no row for their key; these are looked up again past
the cache, and others do not wait for them. A row that waits holds the watermark where that stood when it came, so that
it is not late afterwards. At the end of the input what still waits is waited for, unless the job is drained: then it is
looked up a last time.

State: the rows that wait. What was found before is a cache, and no state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from streamsql.catalog.lookup import LookupOptions, LookupRetry
from streamsql.changelog import ChangelogBatch

from ..accumulators import numpy
from ..connectors.lookup import LookupTable
from ..connectors.waiting import AwayError, StoppedError, Waiting
from ..connectors.whole_table import WholeTable
from ..engine import Fragment
from ..state.buffers import I64, U64, Bools, as_array
from ..state.run_store import RunStore
from .base import Operator, OperatorContext, OperatorMetrics, StepTime
from .join_pairs import (
    Changes,
    KeyRule,
    Pairs,
    Residual,
    ResidualConfig,
    candidates,
    padded,
    side_by_side,
    taken,
)
from .lookup_cache import LookupCache
from .lookup_waiting import WaitingRows

WAITING_MAX = 262_144
"""Rows that wait for a table that is away; with more the step itself waits, and so do those who send them."""


@dataclass(frozen=True)
class LookupJoinConfig:
    """``right``: the columns that come out of ``calc``, a query over ``{input}``, the table's columns ``scan`` and a
    weight ``w``. ``asked``: which of the keys the table is asked for, by number; the others are compared here."""

    kind: str
    left: KeyRule
    right: KeyRule
    output: pa.Schema
    residual: ResidualConfig | None
    calc: str
    scan: pa.Schema
    asked: tuple[int, ...]
    options: LookupOptions
    retry: LookupRetry | None
    what: str


class Holder(ABC):
    """Finds the table's rows for the keys of a step."""

    @abstractmethod
    def open(self, config: LookupJoinConfig, calc: Fragment, metrics: OperatorMetrics) -> None: ...

    @abstractmethod
    def store(self, left: Changes, now_ms: int, *, again: bool) -> RunStore:
        """A store with (at least) the rows of the keys of ``left``; ``again``: past the cache."""

    def next_ms(self) -> int | None:
        """When it wants a step without rows."""
        return None


class Whole(Holder):
    """The table is held whole, by its keys."""

    def __init__(self, table: WholeTable) -> None:
        self._table = table
        self._reading = 0

    def open(self, config: LookupJoinConfig, calc: Fragment, metrics: OperatorMetrics) -> None:
        self._config, self._calc = config, calc
        self._store = RunStore(config.right.schema, config.right.columns)

    def store(self, left: Changes, now_ms: int, *, again: bool) -> RunStore:
        self.refresh(now_ms)
        return self._store

    def refresh(self, now_ms: int) -> None:
        """Take over a new reading, and begin one that is due."""
        self._table.refresh(now_ms)
        if self._reading == self._table.reading:
            return
        self._reading = self._table.reading
        store = RunStore(self._config.right.schema, self._config.right.columns)
        rows, self._table.rows = self._table.rows, None
        if rows is not None:
            made = calculated(self._calc, self._config.scan, rows)
            changes, _ = self._config.right.changes(made)
            if changes is not None:
                store.append(changes.hashes, changes.rows, changes.weights)
        self._store = store

    def next_ms(self) -> int | None:
        return self._table.next_ms


class ByKey(Holder):
    """The table is asked for the keys of each step; a cache remembers."""

    def __init__(self, table: LookupTable) -> None:
        self._table = table
        self.cache: LookupCache | None = None

    def open(self, config: LookupJoinConfig, calc: Fragment, metrics: OperatorMetrics) -> None:
        self._config, self._calc, self._metrics = config, calc, metrics
        self._columns = [config.right.columns[k] for k in config.asked]
        if config.options.cache == "PARTIAL":
            self.cache = LookupCache(config.right.schema, self._columns, config.options)

    def store(self, left: Changes, now_ms: int, *, again: bool) -> RunStore:
        keys = [left.rows.column(self._config.left.columns[k]) for k in self._config.asked]
        asked = Changes.of(pa.RecordBatch.from_arrays(keys, names=[f"k{i}" for i in range(len(keys))]),
                           np.ones(len(left), np.int64), range(len(keys)))  # fmt: skip
        hashes, distinct = asked.group_hashes(), asked.group_keys()
        found: list[pa.RecordBatch] = []
        if self.cache is not None and not again:
            rows, held = self.cache.find(hashes, distinct, now_ms)
            found.append(rows)
            missing = np.flatnonzero(~held)
            self._metrics.num_cache_hits += len(held) - len(missing)
            self._metrics.num_cache_misses += len(missing)
            hashes, distinct = hashes[missing], [k.take(pa.array(missing)) for k in distinct]
        if len(hashes):
            rows = self._asked(distinct)
            found.append(rows)
            if self.cache is not None:
                self._remember(hashes, distinct, rows, now_ms, again=again)
        store = RunStore(self._config.right.schema, self._config.right.columns)
        for rows in found:
            changes, _ = self._config.right.changes(ChangelogBatch(rows))
            if changes is not None:
                store.append(changes.hashes, changes.rows)
        return store

    def _asked(self, keys: Sequence[pa.Array]) -> pa.RecordBatch:
        found = self._table.rows(keys)
        return calculated(self._calc, self._config.scan, ChangelogBatch(found)).rows

    def _remember(
        self, hashes: U64, keys: Sequence[pa.Array], rows: pa.RecordBatch,
        now_ms: int, *, again: bool,
    ) -> None:  # fmt: skip
        assert self.cache is not None
        schema = self._config.right.schema
        at = RunStore(pa.schema([*(pa.field(f"k{i}", k.type) for i, k in enumerate(keys)), pa.field("n", pa.int64())]),
                      range(len(keys)))  # fmt: skip
        numbered = pa.RecordBatch.from_arrays([*keys, pa.array(np.arange(len(hashes)))], schema=at.schema)
        at.append(hashes, numbered)
        rows = pa.RecordBatch.from_arrays(
            [as_array(c, f.type) for c, f in zip(rows.columns, schema, strict=True)], schema=schema
        )
        if not rows.num_rows:
            self.cache.put(hashes, keys, rows, np.zeros(0, np.uint64), np.zeros(0, np.int64), now_ms)
            return
        changes = Changes.of(rows, np.ones(rows.num_rows, np.int64), self._columns)
        pairs = candidates(changes, at, consolidate=True)
        of_key = numpy(pairs.found.rows.column(len(keys)), np.int64)[pairs.at]
        self.cache.put(hashes, keys, taken(rows, pairs.delta), changes.hashes[pairs.delta], of_key, now_ms)


def calculated(calc: Fragment, scan: pa.Schema, rows: ChangelogBatch) -> ChangelogBatch:
    """The table's rows as the query reads them: computed columns, filters of views."""
    weighted = pa.RecordBatch.from_arrays(
        [
            *(as_array(c, f.type) for c, f in zip(rows.rows.columns, scan, strict=False)),
            pa.array(rows.weight_array()),
        ],
        schema=scan,
    )
    found = calc.run(input=weighted)
    weights = numpy(found.column(found.num_columns - 1), np.int64)
    names = found.schema.names[:-1]
    return ChangelogBatch(pa.RecordBatch.from_arrays(found.columns[:-1], names=names), weights)


class LookupJoin(Operator):
    """See the module's text."""

    def __init__(self, config: LookupJoinConfig, holder: Holder, waiting: Waiting) -> None:
        self.config = config
        self.holder = holder
        self._wait = waiting
        self._away_until: int | None = None

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        made = pa.schema([*c.right.schema, pa.field("w", pa.int64())])
        calc = ctx.engine.fragment(c.calc, {"input": c.scan}, made, c.what)
        self.holder.open(c, calc, ctx.metrics)
        self._residual = None
        if c.residual is not None:
            self._residual = Residual(c.residual, c.left.schema, c.right.schema, ctx)
        self._parked = WaitingRows(c.left.schema)
        ctx.state("waiting", self._parked.state)

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        now = time.now_ms
        if isinstance(self.holder, Whole):
            self.holder.refresh(now)
        out = self._looked_again(now)
        new, alone = self.config.left.changes(inputs[0])
        if new is not None:
            nothing = np.zeros(len(new), np.int64)
            out += self._looked_up(new, nothing, np.full(len(new), time.watermark_before, np.int64), now)
        if alone is not None and self.config.kind == "LEFT":
            out.append(padded(alone.rows, self.config.output, left=True))
        elif alone is not None:
            self.ctx.metrics.num_null_key_dropped += alone.num_rows
        if time.last:
            out += self._looked_again(now, last=True)
        while self._full:  # nothing more fits: those who send rows wait, too
            due = self._parked.first_due or now
            try:
                self._wait.wait_ms(max(0, due - now))
            except StoppedError:
                break
            now = max(now, due)
            out += self._looked_again(now)
        return ChangelogBatch.concat([ChangelogBatch(rows) for rows in out if rows.num_rows])

    @property
    def _full(self) -> bool:
        return self._away_until is not None and len(self._parked) > WAITING_MAX

    def _looked_up(
        self, left: Changes, tries: I64, held: I64, now_ms: int, *, last: bool = False
    ) -> list[pa.RecordBatch]:
        """The joined rows of those that need not wait; with ``last`` none does.

        ``tries``: how often each was looked up before.
        """
        if self._away_until is not None and now_ms < self._away_until and not last:
            self._park(left, np.arange(len(left)), tries, held, self._away_until)
            return []
        try:
            store = self.holder.store(left, now_ms, again=bool(tries[0]))
        except AwayError as e:
            if last:
                raise
            self._away_until = now_ms + e.wait_ms
            self._park(left, np.arange(len(left)), tries, held, self._away_until)
            return []
        self._away_until = None
        pairs = candidates(left, store, consolidate=True)
        retry = self.config.retry
        parked = np.zeros(len(left), np.bool_)
        if retry is not None and not last:
            parked = tries < retry.attempts
            parked[pairs.delta] = False
            self._park(left, np.flatnonzero(parked), tries + 1, held, now_ms + retry.delay_ms)
        return self._joined(left, pairs, parked)

    def _joined(self, left: Changes, pairs: Pairs, parked: Bools) -> list[pa.RecordBatch]:
        c = self.config
        if self._residual is not None:
            pairs = pairs.where(self._residual.passing(left.rows, pairs.delta, pairs.found.rows, pairs.at))
        pairs = pairs.where(np.repeat(np.arange(len(pairs)), np.maximum(pairs.found.weights[pairs.at], 0)))
        out = side_by_side(left.rows, pairs.delta, pairs.found.rows, pairs.at, c.output)
        unmatched = ~parked
        unmatched[pairs.delta] = False
        lonely = np.flatnonzero(unmatched)
        if c.kind != "LEFT" or not len(lonely):
            return [out]
        both = pa.Table.from_batches([out, padded(taken(left.rows, lonely), c.output, left=True)])
        order = np.argsort(np.concatenate([pairs.delta, lonely]), kind="stable")
        return list(both.take(pa.array(order)).combine_chunks().to_batches())

    # -- rows that wait ------------------------------------------------------------------------------------------------
    def _park(self, left: Changes, at: I64, tries: I64, held: I64, due_ms: int) -> None:
        if len(at):
            self._parked.add(taken(left.rows, at), tries[at], held[at], due_ms)

    def _looked_again(self, now_ms: int, *, last: bool = False) -> list[pa.RecordBatch]:
        """The joined rows of those that were to wait until now, in order of arrival; with ``last`` of all that wait."""
        until = self._parked.last_due if last else now_ms
        due = self._parked.first_due
        if due is None or until is None or due > until:
            return []
        rows, tries, held = self._parked.take(until)
        out: list[pa.RecordBatch] = []
        for again in (False, True):
            at = np.flatnonzero((tries > 0) == again)
            left, _ = self.config.left.changes(ChangelogBatch(taken(rows, at)))
            if left is not None:
                out += self._looked_up(left, tries[at], held[at], now_ms, last=last)
        return out

    def next_timer_ms(self) -> int | None:
        times = [super().next_timer_ms(), self.holder.next_ms(), self._parked.first_due]
        return min((t for t in times if t is not None), default=None)

    @property
    def holds(self) -> bool:
        return self._parked.first_due is not None

    def output_watermark(self, input_watermark: int) -> int:
        held = self._parked.held
        return input_watermark if held is None else min(input_watermark, held)
