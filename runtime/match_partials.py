"""Partial matches of all partitions, advanced row by row.

::

    start row 5   threads   [A B·]  [A ·C]     places in the pattern, best first; each with the rows it took
                  best      A C                the match to emit if all better threads fail
    rows taken    5 ◀── 6 ◀── 7               each row points at the one before: threads share their beginnings

A match begins at every row that may be a first one. A row moves each thread of each start on, or ends it. A start is
decided when no thread is left that would be preferred over its best match: it has that match, or none.

Matches are emitted in the order of their starts, as the SQL standard has it: a decided one waits for the starts before
it, because the match of one of those may drop the starts up to where matching resumes. With SKIP TO NEXT ROW nothing is
dropped, so nothing waits.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from streamsql.errors import DataError

from .match_program import END, Program
from .match_python import Evaluate
from .match_values import Row, Trackers, Values

THREADS_MAX = 10_000
"""Threads of one start: beyond, the pattern is ambiguous in a way that would fill memory and take for ever."""


class Taken:
    """A row taken by a variable, and those taken before it. ``row`` counts rows in the order they are matched."""

    __slots__ = ("before", "row", "time", "values", "variable")

    def __init__(self, before: Taken | None, variable: int, row: int, time: int, values: Values) -> None:
        self.before = before
        self.variable = variable
        self.row = row
        self.time = time
        self.values = values

    def chain(self) -> list[Taken]:
        """All rows taken, first one first."""
        found: list[Taken] = []
        at: Taken | None = self
        while at is not None:
            found.append(at)
            at = at.before
        return found[::-1]


class Start:
    """The threads of the matches that begin at ``row``; no threads: decided. A start that is dropped has row −1."""

    __slots__ = ("best", "row", "threads", "time")

    def __init__(self, row: int, time: int, threads: list[tuple[int, Taken | None]]) -> None:
        self.row = row
        self.time = time
        self.threads = threads
        self.best: Taken | None = None


@dataclass(frozen=True)
class Rules:
    """What a pattern says: its program, conditions (None: every row), where matching resumes, how long a match may be.

    ``resume``: ``PAST LAST ROW``, ``TO NEXT ROW``, ``TO FIRST`` or ``TO LAST`` with ``resume_at``, a variable.
    """

    program: Program
    trackers: Trackers
    conditions: Sequence[Evaluate | None]
    resume: str
    resume_at: int = -1
    within_ms: int | None = None


class Matcher:
    """Moves the starts of partitions (``slot`` → starts, oldest first); found matches collect in ``found``."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.starts: dict[int, list[Start]] = {}
        self.found: list[Taken] = []
        self.touched: set[int] = set()
        """Partitions whose last start ended."""
        self.changed: set[int] | None = None
        """Partitions whose starts are others than at the last cut; None where nobody asks."""
        self.waiting: set[Start] = set()
        """Starts that have a match not yet emitted; others are taken out by :meth:`held_since`."""
        self._initial = rules.trackers.initial
        self._first = [(state, None) for state in rules.program.start]
        self._due: list[tuple[int, int]] = []

    # -- rows ------------------------------------------------------------------------------------------------------
    def take(self, slot: int, number: int, time: int, row: Row, begins: bool) -> bool:
        """The next row of a partition. ``begins``: a match may begin with it. Returns whether a start is open."""
        starts = self.starts.get(slot)
        if starts is None:
            if not begins:
                return False
            self.starts[slot] = starts = []
        if self.changed is not None:
            self.changed.add(slot)
        if self.rules.within_ms is not None:
            self._expire(starts, time - self.rules.within_ms)
        if begins:
            if not starts:
                heapq.heappush(self._due, (time, slot))
            starts.append(Start(number, time, list(self._first)))
        if starts:
            self._advance(starts, number, time, row)
        if not starts:
            del self.starts[slot]
            self.touched.add(slot)
            return False
        return True

    def _advance(self, starts: list[Start], number: int, time: int, row: Row) -> None:
        for start in starts:
            if start.threads:
                self._move(start, number, time, row)
        self._decide(starts)

    def _move(self, start: Start, number: int, time: int, row: Row) -> None:
        """All threads of a start one row on; a complete match ends the threads that are worse than it."""
        program, conditions, trackers = self.rules.program, self.rules.conditions, self.rules.trackers
        moved: list[tuple[int, Taken | None]] = []
        seen: set[object] | None = set() if len(start.threads) > 1 else None
        for state, before in start.threads:
            variable = program.states[state]
            values = trackers.after(self._initial if before is None else before.values, variable, row)
            condition = conditions[variable]
            if condition is not None and condition(values, row) is not True:
                continue
            taken = Taken(before, variable, number, time, values)
            for follow in program.follow[state]:
                if follow == END:
                    start.best = taken
                    start.threads = moved
                    self.waiting.add(start)
                    return
                if seen is None or not _known(seen, follow, values):
                    moved.append((follow, taken))
        if len(moved) > THREADS_MAX:
            raise DataError(
                f"Match: more than {THREADS_MAX} ways to match the rows from one first row on",
                hint="make the conditions of neighbouring variables exclude each other, or add WITHIN",
            )
        start.threads = moved

    # -- decisions -------------------------------------------------------------------------------------------------
    def _decide(self, starts: list[Start]) -> None:
        """Emit what is decided and waits for nothing; drop the starts that a match has skipped."""
        independent = self.rules.resume == "TO NEXT ROW"
        resume, waiting = -1, False
        for start in starts:
            if start.row < resume:
                start.row = -1
            elif start.threads:
                waiting = not independent
            elif start.best is None:
                start.row = -1
            elif not waiting:
                self.found.append(start.best)
                if not independent:
                    resume = self._resume(start.best, start.row)
                start.row = -1
        starts[:] = [s for s in starts if s.row >= 0]

    def _resume(self, best: Taken, row: int) -> int:
        """The number of the row where matching goes on behind a match."""
        if self.rules.resume == "PAST LAST ROW":
            return best.row + 1
        name = self.rules.program.variables[self.rules.resume_at]
        clause = f"AFTER MATCH SKIP {self.rules.resume} {name}"
        rows = [t.row for t in best.chain() if t.variable == self.rules.resume_at]
        if not rows:
            raise DataError(
                f"{clause}: a match has no row of {name}",
                hint="skip to a variable that every match has, or write SKIP PAST LAST ROW",
            )
        found = rows[0] if self.rules.resume == "TO FIRST" else rows[-1]
        if found == row:
            raise DataError(
                f"{clause}: {name} is the first row of a match, which would be found again without end",
                hint="write SKIP TO NEXT ROW or SKIP PAST LAST ROW",
            )
        return found

    # -- time ------------------------------------------------------------------------------------------------------
    def _expire(self, starts: list[Start], before: int) -> None:
        """Decide the starts older than ``before``: no further row is within the interval."""
        if not starts or starts[0].time >= before:
            return
        for start in starts:
            if start.time < before:
                start.threads = []
        self._decide(starts)

    def pass_time(self, now: int) -> None:
        """Decide what no row after ``now`` can be part of any more."""
        if self.rules.within_ms is None:
            return
        before = now + 1 - self.rules.within_ms
        while self._due and self._due[0][0] < before:
            _, slot = heapq.heappop(self._due)
            starts = self.starts.get(slot)
            if starts is None:
                continue
            self._expire(starts, before)
            if self.changed is not None:
                self.changed.add(slot)
            if starts:
                heapq.heappush(self._due, (starts[0].time, slot))
            else:
                del self.starts[slot]
                self.touched.add(slot)

    def next_due(self) -> int | None:
        """When :meth:`pass_time` has something to decide, at the earliest."""
        if self.rules.within_ms is None or not self._due:
            return None
        return self._due[0][0] + self.rules.within_ms

    def held_since(self) -> int | None:
        """The earliest time of the last row of a match that is found and not emitted."""
        self.waiting = {s for s in self.waiting if s.row >= 0}
        return min((s.best.time for s in self.waiting if s.best is not None), default=None)

    def restart(self) -> None:
        """What follows from :attr:`starts`, after a restore."""
        self.waiting = {s for starts in self.starts.values() for s in starts if s.best is not None}
        self._due = [(starts[0].time, slot) for slot, starts in self.starts.items()]
        heapq.heapify(self._due)
        if self.changed is not None:
            self.changed.clear()

    def end(self) -> None:
        """The end of the input: what is undecided has no match, and nothing waits for it any more."""
        for starts in self.starts.values():
            for start in starts:
                if start.threads:
                    start.threads, start.best = [], None
            self._decide(starts)
        self.touched |= self.starts.keys()
        if self.changed is not None:
            self.changed |= self.starts.keys()
        self.starts.clear()
        self.waiting.clear()
        self._due.clear()


def _known(seen: set[object], state: int, values: Values) -> bool:
    """Whether a better thread is at the same place with the same values; adds this one."""
    try:
        if (state, values) in seen:
            return True
        seen.add((state, values))
    except TypeError:  # a list or map among the values
        return False
    return False
