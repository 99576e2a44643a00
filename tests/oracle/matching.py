"""MATCH_RECOGNIZE in slow motion: a matcher that backtracks, written from the documentation and nothing else.

It goes from row to row. At each it tries all ways to match from there in order of preference: the first one that is
complete is the match, and matching resumes where AFTER MATCH SKIP says; else it goes on at the next row. A way that
wants one more row than there is leaves it open what the match would be: there is none, unless WITHIN says that no
further row counts. Patterns are nested tuples::

    ("var", "A")   ("seq", p, q)   ("alt", p, q)   ("rep", p, minimum, maximum or None, reluctant)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Pattern = tuple[Any, ...]
Mapped = tuple[tuple[str, int], ...]
"""Variable and number of each row of a match, in order."""


class Seen:
    """What a condition or measure may ask: rows by variable, those mapped so far with the row being tried."""

    def __init__(self, rows: Sequence[Row], mapped: Mapped) -> None:
        self.rows = rows
        self.mapped = mapped

    def of(self, variable: str | None) -> list[Row]:
        return [self.rows[i] for v, i in self.mapped if variable in (None, v)]

    def first(self, variable: str | None, column: str, offset: int = 0) -> Any:
        found = self.of(variable)
        return found[offset][column] if offset < len(found) else None

    def last(self, variable: str | None, column: str, offset: int = 0) -> Any:
        found = self.of(variable)
        return found[-1 - offset][column] if offset < len(found) else None

    def known(self, variable: str | None, column: str) -> list[Any]:
        return [r[column] for r in self.of(variable) if r[column] is not None]


Condition = Callable[[Seen], bool | None]


@dataclass
class Matching:
    """The matches over the rows of one partition, in order. ``within``: longest time from first to last row."""

    rows: Sequence[Row]
    pattern: Pattern
    define: Mapping[str, Condition]
    skip: str = "TO NEXT ROW"
    skip_to: str | None = None
    within: float | None = None

    def matches(self) -> list[Mapped]:
        """Every match, in the order of their first rows."""
        found: list[Mapped] = []
        start = 0
        while start < len(self.rows):
            match = self._match(start)
            if match:
                found.append(match)
            start = self._resume(match) if match else start + 1
        return found

    def _match(self, start: int) -> Mapped:
        """The match that begins there, empty if there is none."""
        for way in self._ways(self.pattern, start, (), len(self.rows), start):
            if way is not None:
                return way
            if self.within is None:
                return ()
        return ()

    def _resume(self, match: Mapped) -> int:
        if self.skip == "TO NEXT ROW":
            return match[0][1] + 1
        if self.skip == "PAST LAST ROW":
            return match[-1][1] + 1
        rows = [i for v, i in match if v == self.skip_to]
        if not rows or (rows[0] if self.skip == "TO FIRST" else rows[-1]) == match[0][1]:
            raise ValueError("nowhere to skip to")
        return rows[0] if self.skip == "TO FIRST" else rows[-1]

    # -- ways to match, best first -----------------------------------------------------------------------------------
    def _ways(self, p: Pattern, at: int, mapped: Mapped, upto: int, start: int) -> Iterator[Mapped | None]:
        """What is mapped after ``p`` from row ``at`` on; None where a row behind ``upto`` is wanted."""
        match p:
            case ("var", name):
                if at == upto:
                    yield None
                elif self._fits(name, (*mapped, (name, at)), at, start):
                    yield (*mapped, (name, at))
            case ("seq", *parts):
                yield from self._sequence(parts, at, mapped, upto, start)
            case ("alt", *parts):
                for part in parts:
                    yield from self._ways(part, at, mapped, upto, start)
            case ("rep", part, minimum, maximum, reluctant):
                yield from self._repeat(part, minimum, maximum, reluctant, (at, mapped), upto, start)
            case _:
                raise ValueError(p)

    def _sequence(
        self, parts: Sequence[Pattern], at: int, mapped: Mapped, upto: int, start: int
    ) -> Iterator[Mapped | None]:
        if not parts:
            yield mapped
            return
        for way in self._ways(parts[0], at, mapped, upto, start):
            if way is None:
                yield None
            else:
                yield from self._sequence(parts[1:], at + len(way) - len(mapped), way, upto, start)

    def _repeat(
        self, part: Pattern, minimum: int, maximum: int | None, reluctant: bool,
        state: tuple[int, Mapped], upto: int, start: int,
    ) -> Iterator[Mapped | None]:  # fmt: skip
        at, mapped = state
        if minimum <= 0 and reluctant:
            yield mapped
        if maximum is None or maximum > 0:
            fewer = None if maximum is None else maximum - 1
            for way in self._ways(part, at, mapped, upto, start):
                if way is None:
                    yield None
                elif len(way) > len(mapped):
                    after = (at + len(way) - len(mapped), way)
                    yield from self._repeat(part, minimum - 1, fewer, reluctant, after, upto, start)
        if minimum <= 0 and not reluctant:
            yield mapped

    def _fits(self, name: str, mapped: Mapped, at: int, start: int) -> bool:
        if self.within is not None and self.rows[at]["t"] - self.rows[start]["t"] > self.within:
            return False
        condition = self.define.get(name)
        return condition is None or condition(Seen(self.rows, mapped)) is True
