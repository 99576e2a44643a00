"""From key to slot: the small dense integer that every other column of an operator's state is addressed by.

    hashes ──▶ ProbeTable ──▶ candidate slots ──▶ compared with the real keys ──▶ slots

A candidate is first taken on the word of its 32-bit tag and all candidates of a batch are compared with their
keys at once; rows where that fails (equal hashes of different keys) are looked up again, comparing at every
step. So equal hashes cost time, never a wrong answer.

Growth does not stop the step: the new table fills while the old one still answers. Every insertion moves a
few times its own number of entries, so the move is done long before the new table is half full; the longest
pause is the doubling of the per-slot arrays, a plain copy (about 3 ms per million 8-byte slots). Removed
entries leave a mark behind; when marks and keys fill half of the table, the same move starts with a table of
the right size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from .base import State
from .buffers import I64, U64, Bools, distinct_values, grown
from .dirty import DirtySlots
from .engine_hash import EngineHash
from .expiry import ExpiryQueue, Times
from .key_columns import BatchKeys, key_column
from .keyed import LIVE, SLOT, keyed_table
from .memory import StateMemory
from .probe_table import MAX_SLOTS, ProbeTable, Same, mixed

KEYS = "slots-keys"
HASHING = "hashing"

_SMALLEST_TABLE = 1024
# Entries moved per lookup_or_insert while growing: this many, or so many per row of the batch.
_MOVED_AT_LEAST = 16_384
_MOVED_PER_ROW = 4


class KeyIndex(State):
    """Keys → slots. NULL equals NULL, NaN equals NaN, −0.0 equals 0.0 (and comes back as 0.0).

    Slots count from 0, new keys get them in order of first appearance; slots of removed keys are given out
    again, last removed first. With no key columns all rows have one key.

    Hashes are kept and are part of a snapshot. Whoever probes with others than those of :func:`hash_columns`, which
    stay the same for ever, says so by ``hashed_by``.
    """

    def __init__(
        self,
        key_types: Sequence[pa.DataType],
        ttl_ms: int | None = None,
        *,
        hashed_by: EngineHash | None = None,
    ) -> None:
        self.key_types = tuple(key_types)
        self._ttl_ms = ttl_ms
        self._hashed_by = hashed_by if key_types else None
        self._dirty: DirtySlots | None = None
        self._memory: StateMemory | None = None
        self._reset()

    def _reset(self) -> None:
        self._columns = [key_column(t, self._memory) for t in self.key_types]
        self._table = ProbeTable(_SMALLEST_TABLE)
        self._old: ProbeTable | None = None
        self._moved = 0  # places of the old table moved so far
        self._hashes: U64 = np.zeros(0, np.uint64)
        self._live: Bools = np.zeros(0, np.bool_)
        self._free: I64 = np.zeros(0, np.int64)  # a stack
        self._num_free = 0
        self._capacity = 0
        self._last_update: I64 = np.zeros(0, np.int64)
        self._expiry = None if self._ttl_ms is None else ExpiryQueue(self._ttl_ms)

    def limit_memory(self, memory: StateMemory) -> None:
        self._memory = memory
        memory.watch(self)
        self._reset()

    def __len__(self) -> int:
        return self._capacity - self._num_free

    @property
    def capacity(self) -> int:
        """All slots given out so far are below this."""
        return self._capacity

    def lookup(self, hashes: U64, keys: Sequence[pa.Array]) -> I64:
        """The slot per row, −1 where the key is absent. Changes nothing."""
        slots = self._find(self._mixed(hashes), self._prepare(keys))
        if self._memory is not None:
            self._memory.ease()
        return slots

    def lookup_or_insert(
        self, hashes: U64, keys: Sequence[pa.Array], now_ms: int | None = None, *, touch: bool = True
    ) -> tuple[I64, Bools]:
        """The slot per row, and True at the first row of each key that was absent.

        With a ttl, ``now_ms`` becomes the last update of every key of the batch; without ``touch`` only of new ones.
        """
        spread, batch = self._mixed(hashes), self._prepare(keys)
        self._move(max(_MOVED_AT_LEAST, _MOVED_PER_ROW * len(spread)))
        slots = self._find(spread, batch)
        if self._memory is not None:
            self._memory.ease()
        inserted = np.zeros(len(slots), np.bool_)
        missing = np.flatnonzero(slots < 0)
        if len(missing):
            self._make_room(len(missing))
            wrong = self._insert(missing, hashes, spread, batch, slots, inserted, exact=False)
            if len(wrong):
                self._insert_exactly(wrong, hashes, spread, batch, slots, inserted)
        if self._expiry is not None:
            assert now_ms is not None, "an index with a ttl needs now_ms"
            new = slots[inserted]
            self._last_update[slots if touch else new] = now_ms
            self._mark(slots if touch else new)
            self._expiry.register(new, self._last_update[new])
        return slots, inserted

    def touch(self, slots: I64, now_ms: int) -> None:
        """Makes ``now_ms`` the last update of these slots."""
        self._last_update[slots] = now_ms
        self._mark(slots)

    def _mark(self, slots: I64) -> None:
        """After each change."""
        if self._dirty is not None:
            self._dirty.mark(slots)
        if self._memory is not None:
            self._memory.ease()

    def expired(self, now_ms: int, times: Times | None = None) -> I64:
        """The slots whose last update is ``ttl_ms`` ago or longer. Named once: the caller removes them.

        ``times``: where an update of something else is the last one of a slot, no earlier than its own.
        """
        if self._expiry is None:
            return np.zeros(0, np.int64)
        return self._expiry.pop(now_ms, self._last_update if times is None else times, self._live)

    def expire(self, now_ms: int) -> I64:
        """Removes the keys whose last update is ``ttl_ms`` ago or longer and returns their former slots."""
        slots = self.expired(now_ms)
        if len(slots):
            self.remove(slots)
        return slots

    def next_expiry_ms(self) -> int | None:
        return None if self._expiry is None else self._expiry.next_ms()

    def remove(self, slots: I64) -> None:
        """Forgets these live slots; they are given out again."""
        if not len(slots):
            return
        slots = distinct_values(slots)
        assert slots[0] >= 0 and slots[-1] < self._capacity and self._live[slots].all(), (
            "removed slot is not live"
        )
        spread = self._mixed(self._hashes[slots])
        for table in (self._table, self._old):
            if table is not None:
                table.erase(spread, slots)
        for column in self._columns:
            column.clear(slots)
        self._live[slots] = False
        self._mark(slots)
        self._free = grown(self._free, self._num_free + len(slots), self._memory)
        self._free[self._num_free : self._num_free + len(slots)] = slots[::-1]
        self._num_free += len(slots)

    def keys(self, slots: I64) -> list[pa.Array]:
        """The key columns of these slots."""
        return [column.get(slots) for column in self._columns]

    def hashes(self, slots: I64) -> U64:
        """The hashes these slots were inserted with."""
        return np.asarray(self._hashes[slots])

    def last_update_ms(self, slots: I64) -> I64:
        """When these slots were updated last; only with a ttl."""
        return np.asarray(self._last_update[slots])

    def live_slots(self) -> I64:
        """All slots that hold a key, ascending."""
        return np.flatnonzero(self._live[: self._capacity])

    def is_live(self, slots: I64) -> Bools:
        """True where a slot holds a key."""
        return np.asarray(self._live[slots])

    def _mixed(self, hashes: U64) -> U64:
        return mixed(hashes) if self._columns else np.zeros(len(hashes), np.uint64)

    def _prepare(self, keys: Sequence[pa.Array]) -> list[BatchKeys]:
        assert len(keys) == len(self._columns), f"{len(keys)} key columns, {len(self._columns)} expected"
        return [column.prepare(key) for column, key in zip(self._columns, keys, strict=True)]

    def _find(self, spread: U64, batch: list[BatchKeys]) -> I64:
        slots = self._table.find(spread)
        if self._old is not None:
            absent = np.flatnonzero(slots < 0)
            slots[absent] = self._old.find(spread[absent])
        hits = np.flatnonzero(slots >= 0)
        wrong = hits[~_slot_check(batch)(hits, slots[hits])]
        if len(wrong):
            slots[wrong] = self._find_exactly(wrong, spread, batch)
        return slots

    def _find_exactly(self, rows: I64, spread: U64, batch: list[BatchKeys]) -> I64:
        slots = self._table.find(spread[rows], _slot_check(batch, rows))
        if self._old is not None:
            absent = np.flatnonzero(slots < 0)
            slots[absent] = self._old.find(spread[rows[absent]], _slot_check(batch, rows[absent]))
        return slots

    def _insert(
        self,
        rows: I64,
        hashes: U64,
        spread: U64,
        batch: list[BatchKeys],
        slots: I64,
        inserted: Bools,
        *,
        exact: bool,
    ) -> I64:
        """Inserts the absent keys of ``rows``; returns the rows that a tag put with another key."""
        leaders, homes = self._table.claim(spread.take(rows), _row_check(batch, rows) if exact else None)
        is_leader = leaders == np.arange(len(rows))
        first = np.flatnonzero(is_leader)
        new = self._allocate(len(first))
        self._table.settle(homes[first], new)
        firsts = rows.take(first)
        self._hashes[new] = hashes.take(firsts)
        for column in batch:
            column.store(firsts, new)
        inserted[firsts] = True
        slot_of = np.empty(len(rows), np.int64)
        slot_of[first] = new
        slots[rows] = slot_of.take(leaders)
        if exact:
            return rows[:0]
        repeated = np.flatnonzero(~is_leader)
        same = _row_check(batch, rows)(repeated, leaders[repeated])
        return rows[repeated[~same]]

    def _insert_exactly(
        self, rows: I64, hashes: U64, spread: U64, batch: list[BatchKeys], slots: I64, inserted: Bools
    ) -> None:
        slots[rows] = self._find_exactly(rows, spread, batch)
        missing = rows[slots[rows] < 0]
        if len(missing):
            self._insert(missing, hashes, spread, batch, slots, inserted, exact=True)

    def _allocate(self, count: int) -> I64:
        """Slots for new keys: free ones first, then unused ones."""
        reused = min(count, self._num_free)
        self._num_free -= reused
        free = self._free[self._num_free : self._num_free + reused][::-1]
        fresh = np.arange(self._capacity, self._capacity + count - reused)
        self._capacity += len(fresh)
        if self._capacity > MAX_SLOTS:
            raise MemoryError(f"more than {MAX_SLOTS} keys in one index")
        self._grow_slots()
        slots = np.concatenate([free, fresh])
        self._live[slots] = True
        self._mark(slots)
        return slots

    def _grow_slots(self) -> None:
        self._hashes = grown(self._hashes, self._capacity, self._memory)
        self._live = grown(self._live, self._capacity, self._memory)
        if self._expiry is not None:
            self._last_update = grown(self._last_update, self._capacity, self._memory)

    def _make_room(self, extra: int) -> None:
        """Starts to move to another table before this one is half full."""
        if 2 * (len(self) + self._table.tombs + extra) <= self._table.size:
            return
        self._move(self._old.size if self._old is not None else 0)
        self._old, self._moved = self._table, 0
        self._table = ProbeTable(max(_SMALLEST_TABLE, 5 * (len(self) + extra) // 2), self._memory)
        self._move(max(_MOVED_AT_LEAST, _MOVED_PER_ROW * extra))

    def _move(self, places: int) -> None:
        """Moves the entries of so many places of the old table, if there is one."""
        if self._old is None:
            return
        slots = self._old.slots_between(self._moved, self._moved + places)
        self._table.place(self._mixed(self._hashes[slots]), slots)
        self._moved += places
        if self._moved >= self._old.size:
            self._old = None

    def snapshot(self) -> dict[str, pa.Table]:
        """``slots-keys``: slot, hash, last update and key columns of live slots; ``hashing``: by which function."""
        return {KEYS: self._snapshot_of(self.live_slots()), **self._hashing()}

    def _hashing(self) -> dict[str, pa.Table]:
        if self._hashed_by is None:
            return {}
        return {HASHING: pa.table({"probe": pa.array([self._hashed_by.probe], pa.int64())})}

    def track_changes(self) -> None:
        self._dirty = DirtySlots()

    def changes(self) -> dict[str, pa.Table]:
        if self._dirty is None:
            return self.snapshot()
        return {KEYS: self._snapshot_of(self._dirty.take()), **self._hashing()}

    def _snapshot_of(self, slots: I64) -> pa.Table:
        fields: list[tuple[str, pa.DataType]] = [
            (SLOT, pa.int64()),
            (LIVE, pa.bool_()),
            ("hash", pa.uint64()),
        ]
        if self._expiry is not None:
            fields.append(("last_update_ms", pa.int64()))
        fields += [(f"key{i}", t) for i, t in enumerate(self.key_types)]

        def piece(slots: I64) -> list[pa.Array]:
            updates = [] if self._expiry is None else [self._last_update]
            own = [pa.array(column[slots]) for column in (self._live, self._hashes, *updates)]
            return [pa.array(slots), *own, *self.keys(slots)]

        return keyed_table(slots, piece, pa.schema(fields), self._memory)

    def restore(self, tables: Mapping[str, pa.Table]) -> None:
        self._reset()
        batches = [b for b in tables[KEYS].to_batches() if b.num_rows]
        self._capacity = max((int(b.column(SLOT).to_numpy().max()) + 1 for b in batches), default=0)
        self._grow_slots()
        hashed_by = self._hashed_by
        if hashed_by is not None and tables[HASHING]["probe"][0].as_py() == hashed_by.probe:
            hashed_by = None
        total = sum(b.num_rows for b in batches)
        self._table = ProbeTable(max(_SMALLEST_TABLE, 5 * total // 2), self._memory)
        for batch in batches:
            self._restore(batch, hashed_by)
        self._free = np.flatnonzero(~self._live[: self._capacity])[::-1].copy()
        self._num_free = len(self._free)
        if self._dirty is not None:
            self._dirty = DirtySlots()
            if hashed_by is not None:
                self._mark(self.live_slots())

    def _restore(self, batch: pa.RecordBatch, hashed_by: EngineHash | None) -> None:
        slots, rows = batch.column(SLOT).to_numpy(), np.arange(batch.num_rows)
        keys = [batch.column(f"key{i}") for i in range(len(self.key_types))]
        hashes = batch.column("hash").to_numpy() if hashed_by is None else hashed_by(keys)
        self._hashes[slots] = hashes
        self._live[slots] = True
        for column, key in zip(self._columns, keys, strict=True):
            column.prepare(key).store(rows, slots)
        self._table.place(self._mixed(hashes), slots)
        if self._expiry is not None:
            self._last_update[slots] = batch.column("last_update_ms").to_numpy()
            self._expiry.register(slots, self._last_update[slots])
        if self._memory is not None:
            self._memory.ease()

    @property
    def nbytes(self) -> int:
        tables = self._table.entries.nbytes + (self._old.entries.nbytes if self._old is not None else 0)
        arrays = self._hashes.nbytes + self._live.nbytes + self._free.nbytes + self._last_update.nbytes
        expiry = self._expiry.nbytes if self._expiry is not None else 0
        dirty = self._dirty.nbytes if self._dirty is not None else 0
        return tables + arrays + expiry + dirty + sum(column.nbytes for column in self._columns)

    @property
    def row_count(self) -> int:
        return len(self)

    def read(self) -> pa.Table:
        """``key0``, ``key1`` … of all live keys, in order of slot."""
        slots = self.live_slots()
        names = [f"key{i}" for i in range(len(self._columns))]
        return pa.table(self.keys(slots), names=names)


def _slot_check(batch: list[BatchKeys], rows: I64 | None = None) -> Same:
    """Whether a row of the batch has the key of a slot; given ``rows``, the probe's row i is ``rows[i]``."""

    def same(at: I64, slots: I64) -> Bools:
        at = at if rows is None else rows.take(at)
        result = np.ones(len(at), np.bool_)
        for column in batch:
            result &= column.matches_slots(at, slots)
        return result

    return same


def _row_check(batch: list[BatchKeys], rows: I64) -> Same:
    """Whether two rows of the batch have the same key; the probe's row i is ``rows[i]``."""

    def same(at: I64, others: I64) -> Bools:
        result = np.ones(len(at), np.bool_)
        for column in batch:
            result &= column.matches_rows(rows.take(at), rows.take(others))
        return result

    return same
