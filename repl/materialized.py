"""The result table that a changelog describes, kept row by row for showing.

In: rows with kinds. Kept: the rows as of now, in the order they came; an update stays in its place. With an
upsert key a row replaces the one of its key; without one a deletion takes away one equal row.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from types import NoneType
from typing import Any

from streamsql.changelog import Row, RowKind

_PLAIN = frozenset({int, str, bool, NoneType})  # types whose values are their own key
HOLES_MAX = 1024  # holes are squeezed out when there are more, and more than a quarter of the places


class MaterializedResult:
    """At most ``rows_max`` rows; beyond that the oldest are dropped and :attr:`dropped` counts them."""

    def __init__(self, upsert_key: Sequence[int] | None, rows_max: int) -> None:
        self.dropped = 0
        self._key = None if upsert_key is None else tuple(upsert_key)
        self._rows_max = rows_max
        self._places: list[Row | None] = []  # None is a hole
        self._holes = 0
        self._first = 0  # places before it are holes
        self._by_key: dict[Hashable, int] = {}
        self._by_row: dict[Hashable, list[int]] = {}
        self._reusable: int | None = None  # where a -U stood whose +U is still to come

    def __len__(self) -> int:
        return len(self._places) - self._holes

    def apply(self, rows: Iterable[Row]) -> None:
        if self._key is not None:
            for row in rows:
                self._apply_keyed(row, self._key_of(row))
        else:
            for row in rows:
                self._apply_multiset(row)
        while len(self) > self._rows_max:
            self._drop_oldest()
        if self._holes > HOLES_MAX and self._holes * 4 > len(self._places):
            self._squeeze()

    def rows(self, start: int = 0, stop: int | None = None) -> list[Row]:
        """The rows ``start`` to ``stop`` in order."""
        if self._holes:
            self._squeeze()
        return [r for r in self._places[start:stop] if r is not None]

    def _key_of(self, row: Row) -> Hashable:
        assert self._key is not None
        if len(self._key) == 1:
            value = row[self._key[0]]
            return value if type(value) in _PLAIN else freeze(value)
        return freeze(tuple([row[i] for i in self._key]))

    def _apply_keyed(self, row: Row, key: Hashable) -> None:
        place = self._by_key.get(key)
        if row.kind is RowKind.UPDATE_BEFORE:
            return  # the +U of the same key follows and takes its place
        if row.kind is RowKind.DELETE:
            if place is not None:
                del self._by_key[key]
                self._clear(place)
        elif place is None:
            self._by_key[key] = self._append(row)
        else:
            self._places[place] = row

    def _apply_multiset(self, row: Row) -> None:
        key = freeze(tuple(row))
        reusable, self._reusable = self._reusable, None
        if row.kind in (RowKind.UPDATE_BEFORE, RowKind.DELETE):
            places = self._by_row.get(key)
            if places:
                place = places.pop()
                if not places:
                    del self._by_row[key]
                self._clear(place)
                self._reusable = place if row.kind is RowKind.UPDATE_BEFORE else None
            return
        if row.kind is RowKind.UPDATE_AFTER and reusable is not None:
            self._places[reusable] = row
            self._holes -= 1
            self._first = min(self._first, reusable)
            place = reusable
        else:
            place = self._append(row)
        self._by_row.setdefault(key, []).append(place)

    def _append(self, row: Row) -> int:
        self._places.append(row)
        return len(self._places) - 1

    def _clear(self, place: int) -> None:
        self._places[place] = None
        self._holes += 1

    def _drop_oldest(self) -> None:
        while self._places[self._first] is None:
            self._first += 1
        row = self._places[self._first]
        assert row is not None
        if self._key is not None:
            del self._by_key[self._key_of(row)]
        else:
            key = freeze(tuple(row))
            self._by_row[key].remove(self._first)
            if not self._by_row[key]:
                del self._by_row[key]
        self._clear(self._first)
        self.dropped += 1

    def _squeeze(self) -> None:
        """Takes the holes out, except the one that a +U is still to fill."""
        moved: dict[int, int] = {}
        kept: list[Row | None] = []
        for place, row in enumerate(self._places):
            if row is not None or place == self._reusable:
                moved[place] = len(kept)
                kept.append(row)
        self._places = kept
        self._holes = 0 if self._reusable is None else 1
        self._reusable = None if self._reusable is None else moved[self._reusable]
        self._first = 0
        self._by_key = {k: moved[p] for k, p in self._by_key.items()}
        self._by_row = {k: [moved[p] for p in places] for k, places in self._by_row.items()}


def freeze(value: Any) -> Hashable:
    """A value that can be a dictionary key and is equal exactly when the value is (NaN equals NaN)."""
    if isinstance(value, (list, tuple)):
        return tuple([v if type(v) in _PLAIN else freeze(v) for v in value])
    if isinstance(value, dict):
        return frozenset((freeze(k), freeze(v)) for k, v in value.items())
    if isinstance(value, float) and value != value:
        return "NaN"
    found: Hashable = value
    return found
