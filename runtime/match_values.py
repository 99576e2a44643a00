"""What a condition of DEFINE knows about the rows matched so far, kept up to date row by row.

A :class:`Tracker` follows one value (``LAST(B.x, 1)``, ``SUM(A.x)``) along a partial match. The values of all trackers
after some rows are one tuple; it is all that any later condition can depend on, so partial matches at the same place of
the pattern with equal tuples have the same future.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import numpy as np

from streamsql.datatypes import DataType, Root

Value = Any
Values = tuple[Value, ...]
"""One entry a tracker."""
Row = Sequence[Value]
"""The values that trackers and conditions read of one row, by column number."""

EXACT = Context(prec=76, rounding=ROUND_HALF_UP)
"""Sums of DECIMAL(38) need 38 digits and those of their count."""

WIDTHS = {Root.TINYINT: 8, Root.SMALLINT: 16, Root.INT: 32, Root.BIGINT: 64}


@dataclass(frozen=True)
class Tracker:
    """``variable``: index of the variable whose rows count, None for all rows.

    ``column``: what is read of a row (−1: nothing). ``add(value so far, column's value)`` gives the value after a row.
    """

    variable: int | None
    column: int
    initial: Value
    add: Callable[[Value, Value], Value]


class Unsure:
    """A computed value whose expression failed for some row of the step, not known yet to be this one.

    A condition that is really asked for it computes it then, and fails or not.
    """

    __slots__ = ("_compute",)

    def __init__(self, compute: Callable[[], Value]) -> None:
        self._compute = compute

    def get(self) -> Value:
        """The value. Raises DataError where the expression fails for this row."""
        return self._compute()


def resolved(value: Value) -> Value:
    """The value itself, also of an :class:`Unsure` one."""
    return value.get() if value.__class__ is Unsure else value


class Trackers:
    """The trackers of one pattern; ``variables``: how many it has."""

    def __init__(self, trackers: Sequence[Tracker], variables: int) -> None:
        self.initial: Values = tuple(t.initial for t in trackers)
        self._by_variable = [
            [(i, t.column, t.add) for i, t in enumerate(trackers) if t.variable in (None, v)]
            for v in range(variables)
        ]

    def after(self, values: Values, variable: int, row: Row) -> Values:
        """The values once ``row`` is mapped to ``variable``."""
        touched = self._by_variable[variable]
        if not touched:
            return values
        new = list(values)
        for i, column, add in touched:
            new[i] = add(new[i], row[column] if column >= 0 else None)
        return tuple(new)


def last_values(count: int) -> Callable[[Value, Value], Value]:
    """Keeps the last ``count`` values, oldest first."""

    def add(kept: Value, value: Value) -> Value:
        return (*kept, value)[-count:]

    return add


def first_values(count: int) -> Callable[[Value, Value], Value]:
    """Keeps the first ``count`` values."""

    def add(kept: Value, value: Value) -> Value:
        return kept if len(kept) == count else (*kept, value)

    return add


def greatest_first(a: Value, b: Value) -> bool:
    """``a > b`` where NaN is the greatest number, as in DuckDB."""
    if a != a or b != b:
        return bool(a != a and b == b)
    return bool(a > b)


@dataclass(frozen=True)
class Running:
    """A running aggregate: a tracker's start and step, and how its value is read."""

    initial: Value
    add: Callable[[Value, Value], Value]
    read: Callable[[Value], Value]


def running(function: str, argument: DataType | None, result: DataType) -> Running:
    """COUNT, SUM, MIN, MAX or AVG; ``argument`` None: COUNT of rows."""
    if function == "COUNT":
        counted = argument is not None
        return Running(0, lambda n, v: n if counted and v is None else n + 1, lambda n: n)
    assert argument is not None
    if function == "SUM":
        return Running(None, _sum, lambda s: None if s is None else _as(s, result))
    if function == "AVG":
        return Running((None, 0), _sum_and_count, lambda s: _average(s, argument, result))
    greater = greatest_first if argument.is_approximate else lambda a, b: a > b
    if function == "MAX":
        return Running(
            None, lambda m, v: v if v is not None and (m is None or greater(v, m)) else m, lambda m: m
        )
    assert function == "MIN", function
    return Running(None, lambda m, v: v if v is not None and (m is None or greater(m, v)) else m, lambda m: m)


def _sum(total: Value, value: Value) -> Value:
    if value is None:
        return total
    if total is None:
        return value
    return EXACT.add(total, value) if isinstance(value, Decimal) else total + value


def _sum_and_count(kept: Value, value: Value) -> Value:
    return kept if value is None else (_sum(kept[0], value), kept[1] + 1)


def _average(kept: Value, argument: DataType, result: DataType) -> Value:
    total, count = kept
    if not count:
        return None
    if argument.is_integer:
        whole = wrapped(total, 64)
        return _as(abs(whole) // count * (1 if whole >= 0 else -1), result)
    if isinstance(total, Decimal):
        return EXACT.divide(total, Decimal(count)).quantize(Decimal(1).scaleb(-result.scale), context=EXACT)
    return _as(total / count, result)


def _as(value: Value, type_: DataType) -> Value:
    """A number in the width of its type."""
    if type_.is_integer:
        return wrapped(value, WIDTHS[type_.root])
    return float(np.float32(value)) if type_.root is Root.FLOAT else value


def wrapped(value: int, bits: int) -> int:
    """``value`` as a two's complement integer of so many bits overflows: Java's."""
    half = 1 << (bits - 1)
    return value if -half <= value < half else ((value + half) & ((1 << bits) - 1)) - half
