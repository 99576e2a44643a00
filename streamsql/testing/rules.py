"""The rules a changelog must keep, checked while it is applied to a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from streamsql.changelog import Row, RowKind

from .compare import Row as Values
from .compare import plain


class ChangelogError(AssertionError):
    """A change that cannot be applied to the rows before it."""


def replay(changes: Iterable[Row], key: Sequence[int] | None) -> list[Values]:
    """The final rows. ``key``: columns that identify a row among those alive, where known.

    Raises ChangelogError for −U or −D of a row that is not there, +I of a second row with a key, a −U that no +U of the
    same key follows at once, a +U that no −U precedes, and an update that changes nothing.
    """
    log = list(changes)
    _check_pairs(log, key)
    alive: Counter[Values] = Counter()
    keys: Counter[Values] = Counter()
    for n, change in enumerate(log):
        row = plain(tuple(change))
        identity = None if key is None else tuple(row[i] for i in key)
        if change.kind in (RowKind.INSERT, RowKind.UPDATE_AFTER):
            alive[row] += 1
            if identity is not None:
                keys[identity] += 1
                if keys[identity] > 1:
                    raise ChangelogError(f"change {n}, {change}: key {identity} is there already")
        else:
            if alive[row] == 0:
                raise ChangelogError(f"change {n}, {change}: no such row")
            alive[row] -= 1
            if identity is not None:
                keys[identity] -= 1
    return list(alive.elements())


def _check_pairs(log: Sequence[Row], key: Sequence[int] | None) -> None:
    def identity(row: Row) -> object:
        return None if key is None else tuple(plain(row[i]) for i in key)

    for n, (before, after) in enumerate(pairwise([None, *log, None])):
        updated = before is not None and before.kind is RowKind.UPDATE_BEFORE
        updates = after is not None and after.kind is RowKind.UPDATE_AFTER
        if updated != updates:
            raise ChangelogError(f"change {n}: {before} is followed by {after}")
        if before is not None and after is not None and updated:
            if identity(before) != identity(after):
                raise ChangelogError(f"change {n}: {before} and {after} have different keys")
            if plain(tuple(before)) == plain(tuple(after)):
                raise ChangelogError(f"change {n}: {after} changes nothing")
