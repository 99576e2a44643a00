"""Bound scalar expressions: the binder makes them, rules rewrite them, the compiler turns them into DuckDB SQL.

Every node is a frozen dataclass with a ``type`` (Flink's result type); equal trees compare equal and hash
alike. Columns are positions in the input row (``InputRef``), so that a rule moves an expression with ``remap``.
"""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from streamsql.datatypes import BOOLEAN, DataType, Root

if TYPE_CHECKING:
    from .functions.base import AggregateDef, FunctionDef

Options = tuple[tuple[str, object], ...]


class Expr(ABC):
    """One bound expression; ``type`` is Flink's result type with its nullability.

    Other planner parts may add node kinds: subclass as a frozen dataclass with a ``type`` field.
    """

    type: DataType

    @property
    def children(self) -> tuple[Expr, ...]:
        """The direct sub-expressions."""
        return ()

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        """The same node over other sub-expressions of the same types."""
        return self

    @abstractmethod
    def text(self) -> str:
        """Flink-like text for EXPLAIN and default column names."""


@dataclass(frozen=True)
class InputRef(Expr):
    """Column ``index`` of the input row; ``name`` is for people only."""

    index: int
    name: str
    type: DataType

    def text(self) -> str:
        return self.name


@dataclass(frozen=True)
class OuterRef(Expr):
    """Column ``index`` of a query around a sub-query: at level 1 the one directly around it."""

    index: int
    name: str
    type: DataType
    level: int = 1

    def text(self) -> str:
        return self.name


@dataclass(frozen=True)
class Literal(Expr):
    """A constant. ``value`` is None, bool, int, float, Decimal, str, bytes, date, time or datetime.

    INTERVAL_MONTH holds a number of months, INTERVAL_SECOND a number of milliseconds (both int);
    TIMESTAMP a naive and TIMESTAMP_LTZ an aware datetime.
    """

    value: object
    type: DataType

    def text(self) -> str:
        return literal_text(self.value, self.type)


@dataclass(frozen=True)
class Call(Expr):
    """A scalar function or operator. ``options`` are the parts that are no values (a time unit, ON ERROR)."""

    function: FunctionDef
    args: tuple[Expr, ...]
    type: DataType
    options: Options = ()

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.args

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return replace(self, args=children)

    def option(self, key: str) -> object:
        """The value of an option, or None."""
        return dict(self.options).get(key)

    def text(self) -> str:
        return self.function.text(self)


@dataclass(frozen=True)
class Cast(Expr):
    """``CAST(arg AS type)``; ``safe`` is TRY_CAST: NULL where CAST would fail."""

    arg: Expr
    type: DataType
    safe: bool = False

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.arg,)

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return replace(self, arg=children[0])

    def text(self) -> str:
        name = "TRY_CAST" if self.safe else "CAST"
        return f"{name}({self.arg.text()} AS {self.type.sql(nullability=False)})"


@dataclass(frozen=True)
class FieldAccess(Expr):
    """A field of a ROW value: ``arg.name``."""

    arg: Expr
    name: str
    type: DataType

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.arg,)

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return replace(self, arg=children[0])

    def text(self) -> str:
        return f"{self.arg.text()}.{self.name}"


@dataclass(frozen=True)
class SortKey:
    """One ORDER BY item. NULL is the lowest value: first ascending, last descending, unless stated."""

    expr: Expr
    descending: bool = False
    nulls_first: bool | None = None

    @property
    def effective_nulls_first(self) -> bool:
        return (not self.descending) if self.nulls_first is None else self.nulls_first

    def text(self) -> str:
        direction = "DESC" if self.descending else "ASC"
        nulls = "" if self.nulls_first is None else f" NULLS {'FIRST' if self.nulls_first else 'LAST'}"
        return f"{self.expr.text()} {direction}{nulls}"


@dataclass(frozen=True)
class AggregateCall:
    """An aggregate over the rows of a group: not a scalar expression, the relational binder places it.

    ``filter`` is BOOLEAN and FALSE or NULL leaves the row out; ``options`` are those of the function
    (a separator, ABSENT ON NULL, IGNORE NULLS).
    """

    function: AggregateDef
    args: tuple[Expr, ...]
    type: DataType
    distinct: bool = False
    filter: Expr | None = None
    order_by: tuple[SortKey, ...] = ()
    options: Options = ()
    name: str = ""

    def option(self, key: str) -> object:
        """The value of an option, or None."""
        return dict(self.options).get(key)

    @property
    def inputs(self) -> tuple[Expr, ...]:
        """Every scalar expression below: arguments, sort keys, filter."""
        tail = () if self.filter is None else (self.filter,)
        return (*self.args, *(k.expr for k in self.order_by), *tail)

    def map_inputs(self, fn: Callable[[Expr], Expr]) -> AggregateCall:
        """The same aggregate with ``fn`` applied to each scalar expression below."""
        return replace(
            self,
            args=tuple(fn(a) for a in self.args),
            filter=None if self.filter is None else fn(self.filter),
            order_by=tuple(replace(k, expr=fn(k.expr)) for k in self.order_by),
        )

    def text(self) -> str:
        """Flink's text: ``COUNT(DISTINCT x) FILTER c``."""
        inner = ", ".join(a.text() for a in self.args) or ("*" if self.function.name == "COUNT" else "")
        distinct = "DISTINCT " if self.distinct else ""
        condition = "" if self.filter is None else f" FILTER {self.filter.text()}"
        return f"{self.function.name}({distinct}{inner}){condition}"


# -- walking and rewriting ---------------------------------------------------------------------------------


def walk(expr: Expr) -> Iterator[Expr]:
    """The node and everything below it, parents first."""
    yield expr
    for child in expr.children:
        yield from walk(child)


def transform(expr: Expr, fn: Callable[[Expr], Expr]) -> Expr:
    """The tree with ``fn`` applied to every node, children first."""
    children = expr.children
    if children:
        new = tuple(transform(c, fn) for c in children)
        if any(a is not b for a, b in zip(children, new, strict=True)):
            expr = expr.with_children(new)
    return fn(expr)


def input_refs(expr: Expr) -> set[int]:
    """The positions of the input columns that the expression reads."""
    return {e.index for e in walk(expr) if isinstance(e, InputRef)}


def remap(expr: Expr, mapping: Mapping[int, int]) -> Expr:
    """The expression over an input whose column ``i`` is now at ``mapping[i]``. KeyError if one is gone."""

    def move(e: Expr) -> Expr:
        return replace(e, index=mapping[e.index]) if isinstance(e, InputRef) else e

    return transform(expr, move)


def shift(expr: Expr, offset: int) -> Expr:
    """The expression with every column position moved by ``offset``."""

    def move(e: Expr) -> Expr:
        return replace(e, index=e.index + offset) if isinstance(e, InputRef) else e

    return transform(expr, move) if offset else expr


def substitute(expr: Expr, columns: Sequence[Expr]) -> Expr:
    """The expression with column ``i`` replaced by ``columns[i]``: merges a projection into what reads it."""
    return transform(expr, lambda e: columns[e.index] if isinstance(e, InputRef) else e)


def is_deterministic(expr: Expr) -> bool:
    """Whether two evaluations over the same row give the same value (the clock counts as not)."""
    return all(e.function.deterministic for e in walk(expr) if isinstance(e, Call))


def is_constant(expr: Expr) -> bool:
    """Whether the expression reads no column and is deterministic."""
    return not input_refs(expr) and is_deterministic(expr)


def sql_text(expr: Expr | AggregateCall) -> str:
    """Flink-like text: ``(price * 2)``, ``UPPER(name)``, ``CAST(x AS BIGINT)``."""
    return expr.text()


def conjuncts(expr: Expr) -> list[Expr]:
    """The operands of a top-level AND chain."""
    if isinstance(expr, Call) and expr.function.name == "AND":
        return [c for a in expr.args for c in conjuncts(a)]
    return [expr]


TRUE = Literal(True, BOOLEAN().not_null())
FALSE = Literal(False, BOOLEAN().not_null())


# -- text of literals --------------------------------------------------------------------------------------


def literal_text(value: object, type_: DataType) -> str:
    """A constant as EXPLAIN prints it."""
    if value is None:
        return f"null:{type_.sql(nullability=False)}"
    match type_.root:
        case Root.CHAR | Root.VARCHAR:
            return "'" + str(value).replace("'", "''") + "'"
        case Root.BINARY | Root.VARBINARY:
            return f"X'{value.hex().upper()}'" if isinstance(value, bytes) else str(value)
        case Root.INTERVAL_MONTH:
            return f"{value}:INTERVAL YEAR TO MONTH"
        case Root.INTERVAL_SECOND:
            return f"{value}:INTERVAL SECOND"
        case Root.DATE | Root.TIME | Root.TIMESTAMP | Root.TIMESTAMP_LTZ:
            return temporal_text(value, type_)
        case _:
            return str(value).upper() if isinstance(value, bool) else _number_text(value)


def _number_text(value: object) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def temporal_text(value: object, type_: DataType) -> str:
    """``2024-01-31``, ``12:30:00``, ``2024-01-31 12:30:00.123`` with the digits of the type's precision."""
    if isinstance(value, dt.datetime):
        naive = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
        return naive.isoformat(" ", timespec="seconds") + _fraction(naive.microsecond, type_.precision)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.time):
        return value.isoformat(timespec="seconds") + _fraction(value.microsecond, type_.precision)
    return str(value)


def _fraction(microsecond: int, precision: int) -> str:
    return "." + f"{microsecond:06d}"[:precision] if precision else ""
