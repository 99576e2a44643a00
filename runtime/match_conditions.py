"""DEFINE, taken apart: what is computed for all rows of a step at once, what is tracked, what is left a row and match.

::

    B AS B.price * 2 > A.price AND B.kind = 'x' AND COUNT(B.*) < 5
         x0: price * 2   x1: price   x2: kind = 'x'                      columns, by DuckDB
                            LAST of x1 over A     COUNT over B           trackers
         x0 > LAST(x1)   AND x2      AND COUNT < 5                       a Python function

A part that reads one row only becomes a column; where a variable has no row yet, it has the column's value over a row
of NULLs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamsql.datatypes import DataType
from streamsql.planner.expressions import Call, Expr, InputRef, Literal, transform, walk
from streamsql.planner.logical_match import CURRENT, MatchAggregate, PatternRef

from .match_python import Evaluate, compile_condition
from .match_values import (
    Row,
    Running,
    Tracker,
    Trackers,
    Value,
    Values,
    first_values,
    last_values,
    resolved,
    running,
)

Place = tuple[str | None, bool, int]


@dataclass(frozen=True)
class RowValue(Expr):
    """Column ``column`` of the computed ones, of the row at ``place``."""

    place: Place
    column: int
    type: DataType

    def text(self) -> str:
        return f"x{self.column}"


@dataclass(frozen=True)
class RunningValue(Expr):
    """The running aggregate of tracker ``tracker``."""

    tracker: int
    type: DataType

    def text(self) -> str:
        return f"t{self.tracker}"


Fallback = Callable[[Expr, Sequence[Expr]], Callable[[Row], Value]]
"""Given an expression over ``InputRef(0) …`` and those leaves, a function of the leaves' values."""


class Conditions:
    """The conditions of a pattern's variables. ``row_exprs``: the columns to compute, over the input's columns."""

    def __init__(self, variables: Sequence[str], define: Sequence[tuple[str, Expr]]) -> None:
        self.variables = tuple(variables)
        self.row_exprs: list[Expr] = []
        self._kept: dict[tuple[str | None, bool, int], int] = {}
        self._running: dict[MatchAggregate, tuple[int, int]] = {}
        self._reads: dict[int, Running] = {}
        self._count = 0
        lifted = {name: self._lift(expr) for name, expr in define}
        self._exprs = [lifted.get(v) for v in self.variables]
        self._depth: dict[int, int] = {}
        for expr in lifted.values():
            for e in walk(expr):
                if isinstance(e, RowValue) and e.place[0] != CURRENT:
                    at = self._kept[(*e.place[:2], e.column)]
                    self._depth[at] = max(self._depth.get(at, 0), e.place[2] + 1)

    # -- taking apart ----------------------------------------------------------------------------------------------
    def _lift(self, expr: Expr) -> Expr:
        if isinstance(expr, MatchAggregate):
            return self._aggregate(expr)
        places = {e.place for e in walk(expr) if isinstance(e, PatternRef)}
        if not places and not any(isinstance(e, MatchAggregate) for e in walk(expr)):
            return expr if isinstance(expr, Literal) else self._row_value((CURRENT, False, 0), expr)
        if len(places) == 1 and not any(isinstance(e, MatchAggregate) for e in walk(expr)):
            return self._row_value(places.pop(), expr)
        parts = [self._lift(c) for c in expr.children]
        if isinstance(expr, Call) and expr.function.name in ("AND", "OR"):
            parts.sort(key=_cost)  # what is computed already decides first
        return expr.with_children(tuple(parts))

    def _row_value(self, place: Place, expr: Expr) -> Expr:
        column = self._column(transform(expr, _as_input))
        if place[0] != CURRENT:
            self._slot((*place[:2], column))
        return RowValue(place, column, expr.type)

    def _column(self, expr: Expr) -> int:
        if expr not in self.row_exprs:
            self.row_exprs.append(expr)
        return self.row_exprs.index(expr)

    def _slot(self, key: tuple[str | None, bool, int]) -> int:
        if key not in self._kept:
            self._kept[key] = self._count
            self._count += 1
        return self._kept[key]

    def _aggregate(self, expr: MatchAggregate) -> Expr:
        if expr not in self._running:
            args = expr.call.args
            column = self._column(args[0]) if args else -1
            self._running[expr] = (self._count, column)
            kept = running(expr.call.function.name, args[0].type if args else None, expr.call.type)
            self._reads[self._count] = kept
            self._count += 1
        return RunningValue(self._running[expr][0], expr.type)

    # -- putting together ------------------------------------------------------------------------------------------
    def trackers(self) -> Trackers:
        """What is kept along a partial match."""
        made: dict[int, Tracker] = {}
        for (variable, first, column), at in self._kept.items():
            add = (first_values if first else last_values)(self._depth[at])
            made[at] = Tracker(self._index(variable), column, (), add)
        for expr, (at, column) in self._running.items():
            kept = self._reads[at]
            made[at] = Tracker(self._index(expr.variable), column, kept.initial, _adding(kept.add))
        return Trackers([made[i] for i in range(self._count)], len(self.variables))

    def _index(self, variable: str | None) -> int | None:
        return None if variable is None else self.variables.index(variable)

    def compile(self, missing: Row, fallback: Fallback) -> list[Evaluate | None]:
        """Per variable its condition, None for one that takes every row. ``missing``: the columns over NULLs."""

        def leaf(e: Expr) -> Evaluate | None:
            if isinstance(e, RunningValue):
                return _read(e.tracker, self._reads[e.tracker].read)
            if not isinstance(e, RowValue):
                return None
            variable, first, offset = e.place
            if variable == CURRENT:
                return _current(e.column)
            return _kept(self._kept[variable, first, e.column], offset, missing[e.column], first=first)

        def otherwise(e: Expr) -> Evaluate:
            leaves: list[Expr] = [x for x in walk(e) if isinstance(x, RowValue | RunningValue)]
            leaves = list(dict.fromkeys(leaves))
            over = transform(e, lambda x: InputRef(leaves.index(x), x.text(), x.type) if x in leaves else x)
            compute = fallback(over, leaves)
            reads = [r for x in leaves if (r := leaf(x)) is not None]
            return lambda vals, row: compute([read(vals, row) for read in reads])

        return [None if e is None else compile_condition(e, leaf, otherwise) for e in self._exprs]

    def first_columns(self, states: Sequence[int]) -> list[int] | None:
        """The columns of which one must be true where a match begins with one of these variables; None: unknown."""
        found: list[int] = []
        for variable in states:
            expr = self._exprs[variable]
            if not isinstance(expr, RowValue) or expr.place[0] != CURRENT:
                return None
            found.append(expr.column)
        return found


def _cost(expr: Expr) -> int:
    return 0 if isinstance(expr, RowValue) else 1


def _as_input(expr: Expr) -> Expr:
    return InputRef(expr.index, expr.name, expr.type) if isinstance(expr, PatternRef) else expr


def _adding(add: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    return lambda kept, value: add(kept, resolved(value))


def _current(column: int) -> Evaluate:
    return lambda vals, row: resolved(row[column])


def _read(at: int, read: Callable[[Value], Value]) -> Evaluate:
    return lambda vals, row: read(vals[at])


def _kept(at: int, offset: int, missing: Value, *, first: bool) -> Evaluate:
    place = offset if first else -1 - offset

    def evaluate(vals: Values, row: Row) -> Value:
        kept = vals[at]
        return resolved(kept[place]) if len(kept) > offset else missing

    return evaluate
