"""What a job's state consists of, as the store sees it: for every table the parts written and the rows not yet written.

A table of slots is a chain: its base, then what changed in each cut. Chains are merged like the digits of a binary
counter, so that they stay short and a row is copied O(log n) times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ..state.base import IMMUTABLE_PREFIX, KEYED_PREFIX
from ..state.keyed import merge_keyed
from .manifest import Part, Place, tables_of
from .snapshot import JobSnapshot

# Merging fewer segments than this would cost a file each time and save little.
_MERGE_MIN = 4


@dataclass(frozen=True, eq=False)
class Waiting:
    """Rows that are not yet written."""

    table: pa.Table


Item = Part | Waiting


def is_keyed(place: Place) -> bool:
    """Whether the table is a chain: one of a state, with one row a slot."""
    return place[0] == "operator" and place[-1].startswith(KEYED_PREFIX)


def is_immutable(place: Place) -> bool:
    """Whether a table of this name keeps its content."""
    return place[0] == "operator" and place[-1].startswith(IMMUTABLE_PREFIX)


class Segments:
    """The newest content handed over, with all that older snapshots said and no later one replaced."""

    def __init__(self, chains: Mapping[Place, Sequence[Item]] | None = None) -> None:
        self._chains: dict[Place, list[Item]] = {place: [*items] for place, items in (chains or {}).items()}

    def fold(self, snapshot: JobSnapshot) -> None:
        """Becomes the content of a later cut: what it does not mention is gone."""
        chains: dict[Place, list[Item]] = {}
        for place, table in tables_of(snapshot):
            known = self._chains.get(place)
            if known and is_immutable(place):
                chains[place] = known
            elif known and snapshot.changes and is_keyed(place):
                chains[place] = _appended(known, table)
            else:
                chains[place] = [Waiting(table)]
        self._chains = chains

    def forget(self, fingerprint: str, occurrence: int) -> None:
        """What is known of an operator does not count any more."""
        owner = ("operator", fingerprint, str(occurrence))
        self._chains = {place: items for place, items in self._chains.items() if place[:3] != owner}

    def pending(self) -> Iterator[tuple[Place, int, pa.Table]]:
        """What is not written yet: whose, its index in the chain, the rows."""
        for place, items in self._chains.items():
            for i, item in enumerate(items):
                if isinstance(item, Waiting):
                    yield place, i, item.table

    def written(self, parts: Mapping[tuple[Place, int], Part]) -> None:
        """These items of :meth:`pending` are on disk now."""
        for (place, i), part in parts.items():
            self._chains[place][i] = part

    def replace(self, place: Place, old: Sequence[Part], new: Part | None) -> None:
        """Part of a chain is now kept elsewhere, or merged into one (None: nothing of it is left)."""
        items = self._chains[place]
        start = items.index(old[0])
        assert items[start : start + len(old)] == [*old]
        items[start : start + len(old)] = [] if new is None else [new]

    def parts(self) -> Mapping[Place, Sequence[Part]]:
        """The chains, all of which must be written."""
        parts = {p: [item for item in items if isinstance(item, Part)] for p, items in self._chains.items()}
        assert all(len(parts[place]) == len(items) for place, items in self._chains.items())
        return parts

    def live_bytes(self) -> dict[str, int]:
        """For each pack in use, the bytes that are."""
        live: dict[str, int] = {}
        for items in self._chains.values():
            for item in items:
                if isinstance(item, Part):
                    live[item.pack] = live.get(item.pack, 0) + item.length
        return live

    def of_packs(self, packs: frozenset[str]) -> list[tuple[Place, Part]]:
        """The parts in these packs."""
        return [
            (place, item)
            for place, items in self._chains.items()
            for item in items
            if isinstance(item, Part) and item.pack in packs
        ]

    def mergeable(self) -> Iterator[tuple[Place, list[Part], bool]]:
        """For each chain that is written, the segments at its end to be merged; whether that is the whole chain."""
        for place, items in self._chains.items():
            parts = [item for item in items if isinstance(item, Part)]
            if is_keyed(place) and len(parts) == len(items):
                first = _merge_start([part.rows for part in parts])
                if len(parts) - first >= _MERGE_MIN:
                    yield place, parts[first:], first == 0


def _merge_start(rows: Sequence[int]) -> int:
    """The first of the items at the end that are to be merged, by the rows that each has."""
    first, size = len(rows) - 1, rows[-1]
    while first and rows[first - 1] < 2 * size:
        first -= 1
        size += rows[first]
    return first


def _appended(items: Sequence[Item], table: pa.Table) -> list[Item]:
    """The chain with one more cut. What waits for being written is merged, so that it stays in proportion."""
    if not table.num_rows:
        return [*items]
    done = [item for item in items if isinstance(item, Part)]  # they come first
    waiting = [*(item.table for item in items if isinstance(item, Waiting)), table]
    first = _merge_start([waits.num_rows for waits in waiting])
    if first < len(waiting) - 1:
        waiting[first:] = [merge_keyed(waiting[first:], keep_dead=bool(done or first))]
    return [*done, *map(Waiting, waiting)]
