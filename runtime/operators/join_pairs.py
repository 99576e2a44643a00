"""What the joins share: changes of one side, the pairs they make with the other side's rows, padding, netting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..accumulators import numpy
from ..engine import Fragment
from ..state.buffers import I64, U64, Bools, as_array
from ..state.consolidate import group_ids
from ..state.hashing import hash_columns
from ..state.run_store import RunProbe, RunStore
from .base import OperatorContext

PAIRS_MAX = 1 << 20
"""Candidate pairs whose further condition is evaluated at once: bounds memory where a key has many rows."""


@dataclass(frozen=True)
class Changes:
    """Changed rows of one side with their join keys. ``groups``: equal numbers for equal keys, from 0 on.

    ``first``: per group the number of one of its rows.
    """

    rows: pa.RecordBatch
    weights: I64
    hashes: U64
    keys: list[pa.Array]
    groups: I64
    first: I64

    def __len__(self) -> int:
        return len(self.weights)

    @classmethod
    def of(cls, rows: pa.RecordBatch, weights: I64, key_columns: Sequence[int]) -> Changes:
        keys = [rows.column(k) for k in key_columns]
        hashes = hash_columns(keys, rows.num_rows)
        ids = group_ids(keys, rows.num_rows)
        _, first, groups = np.unique(ids, return_index=True, return_inverse=True)
        return cls(rows, weights, hashes, keys, groups.astype(np.int64), first.astype(np.int64))

    def group_hashes(self) -> U64:
        return self.hashes[self.first]

    def group_keys(self) -> list[pa.Array]:
        return [k.take(pa.array(self.first)) for k in self.keys]


@dataclass(frozen=True)
class KeyRule:
    """``columns``: those of the join key; ``null_safe``: NULL equals NULL in that one."""

    schema: pa.Schema
    columns: tuple[int, ...]
    null_safe: tuple[bool, ...]

    def changes(self, batch: ChangelogBatch | None) -> tuple[Changes | None, ChangelogBatch | None]:
        """The rows that can match, and those with a NULL in a key that can match nothing."""
        if batch is None or batch.num_rows == 0:
            return None, None
        columns = [as_array(c, f.type) for c, f in zip(batch.rows.columns, self.schema, strict=True)]
        rows, weights = pa.RecordBatch.from_arrays(columns, schema=self.schema), batch.weight_array()
        null = np.zeros(rows.num_rows, np.bool_)
        for k, safe in zip(self.columns, self.null_safe, strict=True):
            if not safe and rows.column(k).null_count:
                null |= numpy(rows.column(k).is_null(), np.bool_)
        if not null.any():
            return Changes.of(rows, weights, self.columns), None
        alone = ChangelogBatch(taken(rows, np.flatnonzero(null)), weights[null])
        if null.all():
            return None, alone
        rest = np.flatnonzero(~null)
        return Changes.of(taken(rows, rest), weights[rest], self.columns), alone


@dataclass(frozen=True)
class Pairs:
    """Changed row ``delta[i]`` with found row ``found.rows[at[i]]``, in order of the changes."""

    found: RunProbe
    delta: I64
    at: I64

    def __len__(self) -> int:
        return len(self.delta)

    def where(self, mask: Bools | I64) -> Pairs:
        return Pairs(self.found, self.delta[mask], self.at[mask])


def candidates(changes: Changes, store: RunStore, *, consolidate: bool) -> Pairs:
    """Every changed row with every row of the store that has its key."""
    found = store.probe(changes.group_hashes(), changes.group_keys(), consolidate=consolidate)
    counts = np.bincount(changes.groups, minlength=len(changes.first))
    order = np.argsort(changes.groups, kind="stable")
    starts = np.cumsum(counts) - counts
    group = found.probe_index
    copies = counts[group]
    total = int(copies.sum())
    at = np.repeat(np.arange(len(group)), copies)
    within = np.arange(total) - np.repeat(np.cumsum(copies) - copies, copies)
    delta = order[starts[group][at] + within]
    by_change = np.argsort(delta, kind="stable")
    return Pairs(found, delta[by_change], at[by_change])


@dataclass(frozen=True)
class ResidualConfig:
    """``sql`` selects ``i``, the numbers of the pairs that pass, from ``{input}``: the columns ``columns`` of left and
    right rows together, named ``c<n>``, and ``i``."""

    sql: str
    columns: tuple[int, ...]
    what: str


@dataclass(frozen=True)
class PairsConfig:
    """What joins that pair rows by keys have in common. ``kind`` is INNER, LEFT, RIGHT, FULL, SEMI or ANTI."""

    kind: str
    left: KeyRule
    right: KeyRule
    output: pa.Schema
    residual: ResidualConfig | None


class Residual:
    """The condition of a join beyond equality, over candidate pairs."""

    def __init__(
        self, config: ResidualConfig, left: pa.Schema, right: pa.Schema, ctx: OperatorContext
    ) -> None:
        self._columns = config.columns
        self._width = len(left)
        both = [*left, *right]
        self._schema = pa.schema(
            [*(pa.field(f"c{i}", both[i].type) for i in config.columns), pa.field("i", pa.int64())]
        )
        out = pa.schema([pa.field("i", pa.int64())])
        self._fragment: Fragment = ctx.engine.fragment(config.sql, {"input": self._schema}, out, config.what)

    def passing(self, left: pa.RecordBatch, li: I64, right: pa.RecordBatch, ri: I64) -> I64:
        """The numbers of the pairs (``left[li[n]]``, ``right[ri[n]]``) for which the condition is TRUE, ascending."""
        parts = []
        for start in range(0, len(li), PAIRS_MAX):
            a, b = pa.array(li[start : start + PAIRS_MAX]), pa.array(ri[start : start + PAIRS_MAX])
            columns = [
                left.column(i).take(a) if i < self._width else right.column(i - self._width).take(b)
                for i in self._columns
            ]
            columns.append(pa.array(np.arange(start, start + len(a))))
            found = self._fragment.run(input=pa.RecordBatch.from_arrays(columns, schema=self._schema))
            parts.append(numpy(found.column(0), np.int64))
        return np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.int64)


def taken(rows: pa.RecordBatch, at: I64) -> pa.RecordBatch:
    return rows.take(pa.array(at))


def side_by_side(
    left: pa.RecordBatch, li: I64, right: pa.RecordBatch, ri: I64, schema: pa.Schema
) -> pa.RecordBatch:
    """The joined rows of pairs."""
    a, b = pa.array(li), pa.array(ri)
    columns = [c.take(a) for c in left.columns] + [c.take(b) for c in right.columns]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def padded(rows: pa.RecordBatch, schema: pa.Schema, *, left: bool) -> pa.RecordBatch:
    """Rows of one side with NULL for the other side's columns; one-sided joins have no such columns."""
    missing = len(schema) - rows.num_columns
    types = [f.type for f in schema][rows.num_columns :] if left else [f.type for f in schema][:missing]
    nulls = [pa.nulls(rows.num_rows, t) for t in types]
    columns = [*rows.columns, *nulls] if left else [*nulls, *rows.columns]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def net(batch: ChangelogBatch | None, key: Sequence[int] | None = None) -> ChangelogBatch | None:
    """What the changes amount to: equal rows merged, deletions first; with a ``key``, key by key.

    Insertions alone stay as they are.
    """
    if batch is None or batch.weights is None or not (batch.weights < 0).any():
        return batch
    ids = group_ids(batch.rows.columns, batch.num_rows)
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    sums = np.zeros(len(first), np.int64)
    np.add.at(sums, inverse, batch.weights)
    kept = np.flatnonzero(sums)
    if not len(kept):
        return None
    kept = kept[np.argsort(first[kept])]
    rows, weights = taken(batch.rows, first[kept]), sums[kept]
    if key is None:
        order = np.argsort(weights > 0, kind="stable")
    else:
        of_key = group_ids([rows.column(k) for k in key], len(kept))
        _, start, number = np.unique(of_key, return_index=True, return_inverse=True)
        order = np.lexsort((weights > 0, start[number]))
    return ChangelogBatch(taken(rows, order), weights[order])


def copies(batch: ChangelogBatch | None) -> ChangelogBatch | None:
    """An insert-only batch without weights: each row as often as its weight says."""
    if batch is None or batch.weights is None:
        return batch
    if (batch.weights == 1).all():
        return ChangelogBatch(batch.rows)
    return ChangelogBatch(taken(batch.rows, np.repeat(np.arange(batch.num_rows), batch.weights)))
