"""The PARTIAL cache of a lookup join: the rows of the keys that were asked for, bounded, forgotten in time.

It is no state: a job that starts again begins with an empty one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from streamsql.catalog.lookup import LookupOptions

from ..state.buffers import I64, U64, Bools, grown
from ..state.key_index import KeyIndex
from ..state.run_store import RunStore

MAX_ROWS = 1_000_000
"""Rows kept where ``lookup.partial-cache.max-rows`` does not say it: a cache is bounded."""


class LookupCache:
    """Rows by key; a key that is known to have none counts as one row. Times are the job's clock."""

    def __init__(self, schema: pa.Schema, key_columns: Sequence[int], options: LookupOptions) -> None:
        """``key_columns`` of ``schema``, the rows."""
        self._options = options
        self._rows_max = options.max_rows or MAX_ROWS
        self._rows = RunStore(schema, key_columns)
        self._index = KeyIndex([schema.field(k).type for k in key_columns])
        self._written: I64 = np.zeros(0, np.int64)
        self._used: I64 = np.zeros(0, np.int64)
        self._turn: I64 = np.zeros(0, np.int64)
        self._count: I64 = np.zeros(0, np.int64)
        self._turns = 0
        self.size = 0
        """Rows held, a key without a row counting as one."""

    def find(self, hashes: U64, keys: Sequence[pa.Array], now_ms: int) -> tuple[pa.RecordBatch, Bools]:
        """The rows of the keys that are held, and which of the keys are. Keys are distinct."""
        slots = self._index.lookup(hashes, keys)
        held = slots >= 0
        old = np.zeros(len(slots), np.bool_)
        old[held] = self._expired(slots[held], now_ms)
        if old.any():
            self._forget(slots[old])
            held &= ~old
        self._use(slots[held], now_ms)
        at = pa.array(np.flatnonzero(held))
        found = self._rows.probe(hashes[held], [k.take(at) for k in keys], consolidate=True)
        return found.rows.take(pa.array(np.repeat(np.arange(len(found.weights)), found.weights))), held

    def put(
        self,
        hashes: U64,
        keys: Sequence[pa.Array],
        rows: pa.RecordBatch,
        row_hashes: U64,
        of_key: I64,
        now_ms: int,
    ) -> None:
        """Keep what was found for these keys, in place of what is held; ``of_key``: which key each row belongs to."""
        before = self._index.lookup(hashes, keys)
        self._forget(before[before >= 0])
        counts = np.bincount(of_key, minlength=len(hashes))
        wanted = np.ones(len(hashes), np.bool_) if self._options.missing_keys else counts > 0
        kept = np.flatnonzero(wanted)
        if not len(kept):
            return
        at = pa.array(kept)
        slots, _ = self._index.lookup_or_insert(hashes[kept], [k.take(at) for k in keys])
        size = self._index.capacity
        self._written, self._used = grown(self._written, size), grown(self._used, size)
        self._turn, self._count = grown(self._turn, size), grown(self._count, size)
        self._written[slots] = now_ms
        self._count[slots] = np.maximum(counts[kept], 1)
        self.size += int(self._count[slots].sum())
        self._rows.append(row_hashes, rows)
        self._use(slots, now_ms)
        if self.size > self._rows_max:
            self._make_room(now_ms)

    def _use(self, slots: I64, now_ms: int) -> None:
        self._used[slots] = now_ms
        self._turns += 1
        self._turn[slots] = self._turns

    def _expired(self, slots: I64, now_ms: int) -> Bools:
        old = np.zeros(len(slots), np.bool_)
        if self._options.after_write_ms is not None:
            old |= now_ms - self._written[slots] >= self._options.after_write_ms
        if self._options.after_access_ms is not None:
            old |= now_ms - self._used[slots] >= self._options.after_access_ms
        return old

    def _make_room(self, now_ms: int) -> None:
        """Forget what has expired, and then what was not used for longest."""
        slots = self._index.live_slots()
        old = self._expired(slots, now_ms)
        self._forget(slots[old])
        slots = slots[~old]
        over = self.size - self._rows_max
        if over > 0:
            slots = slots[np.argsort(self._turn[slots], kind="stable")]
            freed = np.cumsum(self._count[slots])
            self._forget(slots[: int(np.searchsorted(freed, over)) + 1])

    def _forget(self, slots: I64) -> None:
        if not len(slots):
            return
        hashes = self._index.hashes(slots)
        found = self._rows.probe(hashes, self._index.keys(slots), consolidate=True)
        self._rows.append(hashes[found.probe_index], found.rows, -found.weights)
        self.size -= int(self._count[slots].sum())
        self._index.remove(slots)
