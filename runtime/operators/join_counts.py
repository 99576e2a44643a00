"""How many rows of the other side match: what decides over the unmatched rows of outer, semi and anti joins.

Both kinds of counts answer :meth:`step` with the rows of the preserved side whose standing changed::

    matches  0 → n     the row with NULLs goes (LEFT, ANTI), the row comes (SEMI)
    matches  n → 0     the other way round
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..state.buffers import I64, Bools, distinct_values
from ..state.hashing import hash_columns
from ..state.key_index import KeyIndex
from ..state.run_store import RunProbe, RunStore
from ..state.slot_column import SlotColumn
from .base import OperatorContext
from .join_pairs import Changes, taken


class KeyCounts:
    """Matches by join key, where equality is the whole condition: the other side's rows of that key.

    ``matched``: whether rows with matches are wanted (SEMI), or those without (LEFT, ANTI).
    """

    def __init__(
        self, name: str, types: Sequence[pa.DataType], ctx: OperatorContext, *, matched: bool
    ) -> None:
        self.matched = matched
        self._index = ctx.state(f"{name}-keys", KeyIndex(types))
        self._counts = ctx.state(f"{name}-counts", SlotColumn(pa.int64()))

    def wanted(self, changes: Changes) -> Bools:
        """Per row, whether it is wanted as things stand."""
        return self._wanted(self._of(self._index.lookup(changes.hashes, changes.keys)))

    def turned(self, other: Changes) -> tuple[Bools, Bools]:
        """Counts the other side's changes; per group of them, whether its key was wanted before, and is now."""
        slots, inserted = self._index.lookup_or_insert(other.group_hashes(), other.group_keys())
        new = slots[inserted]
        self._counts.put(new, np.zeros(len(new), np.int64))
        before = self._of(slots)
        change = np.zeros(len(slots), np.int64)
        np.add.at(change, other.groups, other.weights)
        after = before + change
        self._counts.put(slots, after)
        gone = slots[after == 0]
        if len(gone):
            self._counts.clear(gone)
            self._index.remove(gone)
        return self._wanted(before), self._wanted(after)

    def _of(self, slots: I64) -> I64:
        counts = np.zeros(len(slots), np.int64)
        known = slots >= 0
        counts[known] = self._counts.values(slots[known])
        return counts

    def _wanted(self, counts: I64) -> Bools:
        return np.asarray((counts > 0) == self.matched)


class RowCounts:
    """Matches row by row, where there is a further condition or rows expire. Equal rows share a count.

    A match that expires has been one: the count stays.
    """

    def __init__(self, name: str, schema: pa.Schema, ctx: OperatorContext, *, matched: bool) -> None:
        self.matched = matched
        self._expires = any(ctx.ttls)
        self._schema = schema
        self._index = ctx.state(f"{name}-rows", KeyIndex([f.type for f in schema]))
        self._copies = ctx.state(f"{name}-copies", SlotColumn(pa.int64()))
        self._matches = ctx.state(f"{name}-matches", SlotColumn(pa.int64()))

    def step(
        self, changes: Changes | None, first_matches: I64, held: RunProbe | None, more_matches: I64
    ) -> ChangelogBatch | None:
        """The rows whose standing changed.

        ``first_matches``: per changed row its matches, if it is new. ``held``: rows of the state that the other side's
        changes met, and by how much the matches of each changed.
        """
        touched: list[I64] = []
        new = added = np.zeros(0, np.int64)
        if changes is not None and len(changes):
            columns = changes.rows.columns
            slots, inserted = self._index.lookup_or_insert(hash_columns(columns, len(changes)), columns)
            fresh = np.zeros(len(slots), np.bool_)
            fresh[inserted] = True
            new = slots[fresh]
            self._copies.put(new, np.zeros(len(new), np.int64))
            self._matches.put(new, first_matches[fresh])
            added = slots
            touched.append(slots)
        met = np.zeros(0, np.int64)
        if held is not None and held.rows.num_rows:
            columns = held.rows.columns
            met, once = np.unique(
                self._index.lookup(hash_columns(columns, held.rows.num_rows), columns), return_index=True
            )
            more_matches = more_matches[once]
            touched.append(met)
        if not touched:
            return None
        slots = distinct_values(np.concatenate(touched))
        copies, matches = self._copies.values(slots).copy(), self._matches.values(slots).copy()
        before = np.where((matches > 0) == self.matched, copies, 0)
        if changes is not None and len(added):
            self._copies.add(added, changes.weights)
        if len(met):
            self._matches.add(met, more_matches, unique=True)
            if self._expires:  # what is taken back may have come before the row did, and gone
                self._matches.maximum(met, np.zeros(len(met), np.int64))
        copies, matches = self._copies.values(slots), self._matches.values(slots)
        change = np.where((matches > 0) == self.matched, copies, 0) - before
        out = slots[change != 0]
        rows = pa.RecordBatch.from_arrays(self._index.keys(out), schema=self._schema) if len(out) else None
        self._forget(slots[copies <= 0 if self._expires else copies == 0])
        return None if rows is None else ChangelogBatch(rows, change[change != 0])

    def expire(self, found: RunProbe) -> None:
        """These rows have expired."""
        columns = found.rows.columns
        slots = self._index.lookup(hash_columns(columns, found.rows.num_rows), columns)
        known = slots >= 0  # those without a key are not counted
        slots = slots[known]
        self._copies.add(slots, -found.weights[known])
        slots = distinct_values(slots)
        self._forget(slots[self._copies.values(slots) <= 0])

    def _forget(self, slots: I64) -> None:
        if len(slots):
            self._copies.clear(slots)
            self._matches.clear(slots)
            self._index.remove(slots)


def by_key(
    counts: KeyCounts, changes: Changes | None, other: Changes | None, store: RunStore
) -> list[ChangelogBatch]:
    """The preserved side's changes in standing; ``store`` holds its rows, those of this step included."""
    out: list[ChangelogBatch] = []
    if changes is not None:
        stood = np.flatnonzero(counts.wanted(changes))
        out.append(ChangelogBatch(taken(changes.rows, stood), changes.weights[stood]))
    if other is not None:
        before, after = counts.turned(other)
        flipped = np.flatnonzero(before != after)
        if len(flipped):
            # what the step changed of a key that goes is in `out` and in the store, and so cancels out
            keys = [k.take(pa.array(flipped)) for k in other.group_keys()]
            found = store.probe(other.group_hashes()[flipped], keys, consolidate=True)
            sign = np.where(after[flipped], 1, -1)[found.probe_index]
            out.append(ChangelogBatch(found.rows, found.weights * sign))
    return [b for b in out if b.num_rows]
