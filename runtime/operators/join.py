"""Join: INNER, LEFT, RIGHT, FULL, SEMI and ANTI joins of two changelogs.

    Δ(A ⋈ B)  =  ΔA ⋈ B  +  A ⋈ ΔB  +  ΔA ⋈ ΔB          weights multiply

ΔA meets B as it was, then ΔB meets A as it is now, so that the third term is in the second. A row of a preserved side
stands alone (with NULLs, or in ANTI as it is) while it has no match; ``join_counts.py`` says when that turns.

In: any changelogs, whole rows. Out: what changed, netted, deletions first; insertions alone where both inputs only
insert and the kind allows it.

State: the rows of both sides by join key, for ever or for their side's time to live; counts of matches by key, or by
row where there is a further condition or a time to live. SEMI and ANTI without either keep counts of the right side
only. A row that expires takes nothing back.

Source: the kinds and their order are those of Flink's StreamingJoinOperator (2.x); it works row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..state.buffers import I64
from ..state.hashing import hash_columns
from ..state.run_store import RunStore
from ..state.ttl import TtlRunStore
from .base import MAX_WATERMARK, MIN_WATERMARK, Operator, OperatorContext, StepTime
from .join_counts import KeyCounts, RowCounts, by_key
from .join_pairs import (
    Changes,
    KeyRule,
    Pairs,
    PairsConfig,
    Residual,
    candidates,
    copies,
    net,
    padded,
    side_by_side,
)

Counts = KeyCounts | RowCounts


@dataclass(frozen=True)
class JoinConfig(PairsConfig):
    """``content_sql``: the whole result, from relations ``l`` and ``r`` that hold the rows of both sides.

    ``insert_only``: of both inputs; ``emits_inserts``: of the output. ``key``: the upsert key of the output.
    ``holds_watermark``: event time above waits for the end of the input, as rows come out however late.
    """

    insert_only: bool
    emits_inserts: bool
    content_sql: str
    key: tuple[int, ...] | None = None
    holds_watermark: bool = False


class Join(Operator):
    """See the module's text."""

    def __init__(self, config: JoinConfig) -> None:
        self.config = config
        self._keeps_left = config.kind in ("LEFT", "FULL", "SEMI", "ANTI")
        self._keeps_right = config.kind in ("RIGHT", "FULL")
        self._pairs_come_out = config.kind not in ("SEMI", "ANTI")

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        # the right rows themselves are read by nobody where only their number per key counts
        self._counts_only = not (self._pairs_come_out or c.residual or any(ctx.ttls))
        self._left = ctx.state("left", _store(c.left, ctx.ttl_ms(0)))
        self._right = ctx.state("right", _store(c.right, ctx.ttl_ms(1)))
        self._residual = None
        if c.residual is not None:
            self._residual = Residual(c.residual, c.left.schema, c.right.schema, ctx)
        semi = c.kind == "SEMI"
        self._left_counts = self._counts("left", c.left, c.right, matched=semi) if self._keeps_left else None
        self._right_counts = (
            self._counts("right", c.right, c.left, matched=False) if self._keeps_right else None
        )

    def _counts(self, name: str, side: KeyRule, other: KeyRule, *, matched: bool) -> Counts:
        if self._residual is not None or any(self.ctx.ttls):
            return RowCounts(name, side.schema, self.ctx, matched=matched)
        types = [other.schema.field(k).type for k in other.columns]
        return KeyCounts(name, types, self.ctx, matched=matched)

    def expire(self, now_ms: int) -> int:
        expired = 0
        for store, counts in ((self._left, self._left_counts), (self._right, self._right_counts)):
            found = store.expire(now_ms) if isinstance(store, TtlRunStore) else None
            if found is not None:
                expired += len(found.weights)
                if isinstance(counts, RowCounts):
                    counts.expire(found)
        return expired

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        c = self.config
        left, left_alone = c.left.changes(self._net_input(inputs[0]))
        right, right_alone = c.right.changes(self._net_input(inputs[1]))
        out: list[ChangelogBatch] = []
        for alone, kept in ((left_alone, self._keeps_left), (right_alone, self._keeps_right)):
            if alone is not None and not kept:
                self.ctx.metrics.num_null_key_dropped += alone.num_rows
        if left_alone is not None and self._keeps_left:
            self._keep(self._left, left_alone, c.left)
            if c.kind != "SEMI":
                out.append(self._alone(left_alone, left=True))
        if right_alone is not None and self._keeps_right:
            self._keep(self._right, right_alone, c.right)
            out.append(self._alone(right_alone, left=False))
        first, second = self._meet(left, right)
        out += self._joined(left, first, right, second)
        if self._left_counts is not None:
            standing = self._standing(self._left_counts, left, right, self._left, (first, second))
            out += [self._alone(b, left=True) for b in standing]
        if self._right_counts is not None:
            standing = self._standing(self._right_counts, right, left, self._right, (second, first))
            out += [self._alone(b, left=False) for b in standing]
        found = ChangelogBatch.concat(out)
        if c.insert_only and not self._keeps_left and not self._keeps_right:
            return found
        found = net(found, c.key)
        return copies(found) if c.emits_inserts else found

    def _net_input(self, batch: ChangelogBatch | None) -> ChangelogBatch | None:
        return batch if self.config.insert_only else net(batch)

    @staticmethod
    def _keep(store: RunStore, rows: ChangelogBatch, side: KeyRule) -> None:
        """Rows without a match for ever stay in the state for those who ask for its content."""
        hashes = hash_columns([rows.rows.column(k) for k in side.columns], rows.num_rows)
        store.append(hashes, rows.rows, rows.weight_array())

    def _meet(self, left: Changes | None, right: Changes | None) -> tuple[Pairs | None, Pairs | None]:
        """ΔA with B before, then ΔB with A after; both are in the state afterwards."""
        first = second = None
        retracts = not self.config.insert_only
        if left is not None:
            if not self._counts_only:
                first = candidates(left, self._right, consolidate=retracts)
                first = self._passing(first, left, delta_left=True)
            self._left.append(left.hashes, left.rows, left.weights)
        if right is not None and not self._counts_only:
            second = candidates(right, self._left, consolidate=retracts)
            second = self._passing(second, right, delta_left=False)
            self._right.append(right.hashes, right.rows, right.weights)
        return first, second

    def _passing(self, pairs: Pairs, changes: Changes, *, delta_left: bool) -> Pairs:
        if self._residual is None or not len(pairs):
            return pairs
        found, rows = pairs.found.rows, changes.rows
        if delta_left:
            return pairs.where(self._residual.passing(rows, pairs.delta, found, pairs.at))
        return pairs.where(self._residual.passing(found, pairs.at, rows, pairs.delta))

    def _joined(
        self, left: Changes | None, first: Pairs | None, right: Changes | None, second: Pairs | None
    ) -> list[ChangelogBatch]:
        if not self._pairs_come_out:
            return []
        out: list[ChangelogBatch] = []
        schema = self.config.output
        if left is not None and first is not None and len(first):
            rows = side_by_side(left.rows, first.delta, first.found.rows, first.at, schema)
            out.append(self._weighted(rows, left, first))
        if right is not None and second is not None and len(second):
            rows = side_by_side(second.found.rows, second.at, right.rows, second.delta, schema)
            out.append(self._weighted(rows, right, second))
        return out

    def _weighted(self, rows: pa.RecordBatch, changes: Changes, pairs: Pairs) -> ChangelogBatch:
        if self.config.insert_only:
            return ChangelogBatch(rows)
        return ChangelogBatch(rows, changes.weights[pairs.delta] * pairs.found.weights[pairs.at])

    def _alone(self, batch: ChangelogBatch, *, left: bool) -> ChangelogBatch:
        return ChangelogBatch(padded(batch.rows, self.config.output, left=left), batch.weight_array())

    @staticmethod
    def _standing(
        counts: Counts,
        changes: Changes | None,
        other: Changes | None,
        store: RunStore,
        pairs: tuple[Pairs | None, Pairs | None],
    ) -> list[ChangelogBatch]:
        """``pairs``: the preserved side's changes with the other's rows, and the other's changes with its rows."""
        if isinstance(counts, KeyCounts):
            return by_key(counts, changes, other, store)
        own, others = pairs
        none: I64 = np.zeros(0, np.int64)
        firsts, more, held = none, none, None
        if changes is not None and own is not None:
            firsts = np.zeros(len(changes), np.int64)
            np.add.at(firsts, own.delta, own.found.weights[own.at])
        if other is not None and others is not None and len(others):
            more = np.zeros(others.found.rows.num_rows, np.int64)
            np.add.at(more, others.at, other.weights[others.delta])
            held = others.found
        found = counts.step(changes, firsts, held, more)
        return [] if found is None else [found]

    def output_watermark(self, input_watermark: int) -> int:
        held = self.config.holds_watermark and input_watermark != MAX_WATERMARK
        return MIN_WATERMARK if held else input_watermark

    def content(self) -> pa.Table:
        """The join of all that is kept: the cost is that of the whole state."""
        if self._counts_only:
            return self._standing_content()
        tables = {"l": self._left.read(), "r": self._right.read()}
        return self.ctx.engine.query(self.config.content_sql, tables).cast(self.config.output)

    def _standing_content(self) -> pa.Table:
        assert isinstance(self._left_counts, KeyCounts)
        rows = self._left.read().combine_chunks().to_batches()
        wanted = []
        for batch in rows:
            changes, alone = self.config.left.changes(ChangelogBatch(batch))
            if changes is not None:
                wanted.append(changes.rows.filter(pa.array(self._left_counts.wanted(changes))))
            if alone is not None and self.config.kind == "ANTI":
                wanted.append(alone.rows)
        return pa.Table.from_batches(
            [pa.RecordBatch.from_arrays(b.columns, schema=self.config.output) for b in wanted],
            self.config.output,
        )


def _store(side: KeyRule, ttl_ms: int | None) -> RunStore:
    if ttl_ms is None:
        return RunStore(side.schema, side.columns)
    return TtlRunStore(side.schema, side.columns, ttl_ms)
