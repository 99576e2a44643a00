"""An open-addressing table from mixed hashes to slots, probed in vectorised rounds.

One uint64 entry per place: the upper half is a 32-bit tag of the hash (never 0), the lower half ``slot + 1``.
The place comes from the hash's upper bits, the tag from its lower bits; a round looks at one place for every
row not yet decided, and the steps grow by one each round, which visits every place of a table whose size is a
power of two. The table is kept at most half full, so that rounds end soon. It knows hashes only: what a tag
says is checked against real keys by the caller.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .buffers import I64, U64, Bools, zeros
from .memory import StateMemory

Same = Callable[[I64, I64], Bools]
"""``same(rows, others)``: where the key of a probing row really equals that of a slot (or of another row)."""

_TOMB = np.uint64(0xFFFF_FFFF)  # tag 0: matches no hash, yet is not empty
_FRESH = np.uint64(1 << 31)  # lower halves from here on name a row of the batch being inserted
_TAG_STEP = np.uint64(1 << 32)
_LOW = np.uint64(0xFFFF_FFFF)
_32 = np.uint64(32)
_ONE = np.uint64(1)
_MIX = np.uint64(0x9E37_79B9_7F4A_7C15)

MAX_SLOTS = (1 << 31) - 2


def mixed(hashes: U64) -> U64:
    """Spreads weak hashes (a bijection); what all methods of :class:`ProbeTable` take."""
    result = hashes >> _32
    result ^= hashes
    result *= _MIX
    return result


class ProbeTable:
    """Entries for at most ``size // 2`` hashes; growing means filling a larger table."""

    def __init__(self, size: int, memory: StateMemory | None = None) -> None:
        bits = max(6, (size - 1).bit_length())
        self.entries: U64 = zeros(1 << bits, np.uint64, memory)  # pages are touched as entries land in them
        self.tombs = 0
        self._shift = np.uint64(64 - bits)
        self._mask = (1 << bits) - 1

    @property
    def size(self) -> int:
        return len(self.entries)

    def find(self, mixed: U64, same: Same | None = None) -> I64:
        """The slot per hash, −1 where absent; without ``same`` the first entry of the same tag is taken."""
        tags, places = self._start(mixed)
        found, rows, step = np.full(len(mixed), -1, np.int64), None, 0
        while True:
            entries = self.entries.take(places)  # twice as fast as indexing
            difference = entries ^ tags
            hit = difference < _TAG_STEP
            slots = difference.view(np.int64) - 1
            if same is not None:
                at = np.flatnonzero(hit)
                hit[at] = same(at if rows is None else rows[at], slots[at])
            if rows is None:
                found = np.where(hit, slots, -1)
            else:
                found[rows[hit]] = slots[hit]
            undecided = np.flatnonzero(~hit & (entries != 0))
            if not len(undecided):
                return found
            step += 1
            rows = undecided if rows is None else rows.take(undecided)
            tags, places = tags.take(undecided), (places.take(undecided) + step) & self._mask

    def claim(self, mixed: U64, same: Same | None = None) -> tuple[I64, I64]:
        """Gives each hash, none of which the table holds, an entry; rows that match share one.

        Returns per row its leader, the first row with the same tag and place (and key, given ``same``), and
        the place of the entry. Leaders' entries are provisional until :meth:`settle`.
        """
        tags, places = self._start(mixed)
        rows = np.arange(len(mixed))
        leaders, homes = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
        step = 0
        while len(rows):
            entries = self.entries.take(places)
            empty = np.flatnonzero(entries == 0)
            if len(empty):
                at = places[empty]
                provisional = tags[empty] | _FRESH | rows[empty].view(np.uint64)
                self.entries[at[::-1]] = provisional[::-1]  # the last write stays: the first row wins
                entries[empty] = self.entries.take(at)
            others = (entries ^ tags ^ _FRESH).view(np.int64)
            match = (others >= 0) & (others < int(_FRESH))
            if same is not None:
                foreign = np.flatnonzero(match & (others != rows))
                match[foreign] = same(rows[foreign], others[foreign])
            decided = rows[match]
            leaders[decided], homes[decided] = others[match], places[match]
            rest = np.flatnonzero(~match)
            step += 1
            rows, tags, places = rows.take(rest), tags.take(rest), (places.take(rest) + step) & self._mask
        return leaders, homes

    def settle(self, homes: I64, slots: I64) -> None:
        """Names the slots of the leaders whose entries stand at ``homes``."""
        tags = self.entries.take(homes) & ~_LOW
        self.entries[homes] = tags | (slots + 1).view(np.uint64)

    def place(self, mixed: U64, slots: I64) -> None:
        """Adds entries for slots that the table does not hold."""
        tags, places = self._start(mixed)
        entries = tags | (slots + 1).view(np.uint64)
        step = 0
        while len(entries):
            empty = np.flatnonzero(self.entries.take(places) == 0)
            self.entries[places[empty]] = entries[empty]
            rest = np.flatnonzero(self.entries.take(places) != entries)
            step += 1
            entries, places = entries[rest], (places[rest] + step) & self._mask

    def erase(self, mixed: U64, slots: I64) -> None:
        """Removes the entries of these slots; a slot that has none is passed over."""
        tags, places = self._start(mixed)
        wanted = tags | (slots + 1).view(np.uint64)
        step = 0
        while len(wanted):
            entries = self.entries.take(places)
            hit = entries == wanted
            self.entries[places[hit]] = _TOMB
            self.tombs += int(np.count_nonzero(hit))
            rest = np.flatnonzero(~hit & (entries != 0))
            step += 1
            wanted, places = wanted[rest], (places[rest] + step) & self._mask

    def slots_between(self, first: int, last: int) -> I64:
        """Slots of the settled entries at places ``[first, last)``."""
        entries = self.entries[first:last]
        settled = entries[entries > _LOW]
        return (settled & _LOW).view(np.int64) - 1

    def _start(self, mixed: U64) -> tuple[U64, I64]:
        tags = (mixed | _ONE) << _32
        return tags, (mixed >> self._shift).view(np.int64)
