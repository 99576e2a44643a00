"""A sub-query with what it reads of the query around it on top, and the ways to bring that into shape.

``decorrelate.py`` takes sub-queries apart to this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from streamsql.schema import Field, Schema

from .bind_nodes import project, refs, untimed
from .expressions import (
    TRUE,
    Call,
    Expr,
    InputRef,
    Literal,
    input_refs,
    is_deterministic,
    shift,
    substitute,
    transform,
    walk,
)
from .functions import conjunction
from .join_conditions import call
from .logical import Aggregate, Filter, Join, LogicalNode, Over, Project, Sort, Unnest, View, Watermark
from .outer_refs import beside, inward, is_outer_only, outer_values, raised, reads_outer, replaced

Refuse = Callable[[str], NoReturn]
"""Raises the error for something that cannot be lifted over."""

_EQUALITIES = ("=", "IS NOT DISTINCT FROM")


@dataclass(frozen=True)
class Outer:
    """The rows around a sub-query.

    ``base``: the same ones (or more) before other sub-queries were joined to them; its columns are their first ones.
    """

    rows: LogicalNode
    base: LogicalNode
    refuse: Refuse

    def domain(self, values: Sequence[Expr]) -> LogicalNode:
        """The distinct values of those outer expressions, as the sub-query sees them."""
        exprs = [inward(v) for v in values]
        fresh = [
            e.name
            for v in exprs
            for e in walk(v)
            if isinstance(e, InputRef) and not _is_kept(self.rows, e.index)
        ]
        if fresh:
            self.refuse(f"a comparison with {fresh[0]}, which is another value each time it is computed,")
        first = all(i < len(self.base.schema) for e in exprs for i in input_refs(e))
        fields = tuple(Field(f"$d{i}", e.type) for i, e in enumerate(exprs))
        made = Project(Schema(fields), self.base if first else self.rows, tuple(exprs))
        return raised(Aggregate(made.schema, made, tuple(range(len(exprs))), ()))


@dataclass(frozen=True)
class Lifted:
    """``node`` reads nothing of the outer query.

    ``columns``: those of the sub-query, over the columns of ``node`` and of the outer query. ``conditions``, over the
    same, say which of its rows belong to an outer row. ``empty``: for a sub-query that aggregates everything, what the
    columns of ``node`` are where no row belongs.
    """

    node: LogicalNode
    columns: tuple[Expr, ...]
    conditions: tuple[Expr, ...] = ()
    empty: tuple[Expr, ...] | None = None


def equality(condition: Expr) -> tuple[Expr, Expr] | None:
    """The sides of ``inner = outer``, that of the sub-query first; None for any other condition."""
    if not isinstance(condition, Call) or condition.function.name not in _EQUALITIES:
        return None
    for a, b in (condition.args, condition.args[::-1]):
        if not reads_outer(a) and input_refs(a) and reads_outer(b) and not input_refs(b):
            return a, b
    return None


def is_lookup(condition: Expr) -> bool:
    """Whether a condition is such an equality, or reads the outer query alone."""
    return equality(condition) is not None or is_outer_only(condition)


def _is_kept(node: LogicalNode, column: int) -> bool:
    """Whether a column has the same value wherever it is computed: RAND() and the clock have not."""
    match node:
        case Project():
            expr = node.exprs[column]
            return is_deterministic(expr) and all(_is_kept(node.input, i) for i in input_refs(expr))
        case Filter() | View() | Watermark() | Sort():
            return _is_kept(node.input, column)
        case Join():
            width = len(node.left.schema)
            return _is_kept(node.left, column) if column < width else _is_kept(node.right, column - width)
        case Aggregate():
            return column >= len(node.keys) or _is_kept(node.input, node.keys[column])
        case Over() | Unnest():
            return column >= len(node.input.schema) or _is_kept(node.input, column)
        case _:
            return True


# -- into shape ----------------------------------------------------------------------------------------------------


def over_domain(below: Lifted, outer: Outer, values: Sequence[Expr] | None = None) -> Lifted:
    """The sub-query once for each of the outer ``values``, by default those that it reads.

    Its own columns come first, then the values; the conditions say that these are the outer row's.
    """
    if values is None:
        values = outer_values([*below.conditions, *below.columns])
    domain = outer.domain(values)
    count, width = len(values), len(below.node.schema)
    if below.empty is None:
        at, moved = width, 0
        table = _at(values, domain, width)
        on = [replaced(c, table) for c in below.conditions]
        joined = _joined("INNER" if on else "CROSS", below.node, domain, on)
        columns = [replaced(c, table) for c in below.columns]
    else:
        at, moved = 0, count
        table = _at(values, domain, 0)
        inner = marked(below.node)
        on = [replaced(shift(c, moved), table) for c in below.conditions]
        joined = _joined("LEFT", domain, inner, on)
        found = call("IS TRUE", refs(joined.schema)[-1])
        columns = [
            replaced(or_empty(found, shift(c, moved), substitute(c, below.empty)), table)
            for c in below.columns
        ]
    named = [f"$c{i}" for i in range(len(columns))]
    made = project(joined, [*columns, *refs(joined.schema)[at : at + count]], [*named, *domain.schema.names])
    out = refs(made.schema)
    own = len(columns)
    return Lifted(
        made,
        out[:own],
        tuple(call("IS NOT DISTINCT FROM", out[own + i], v) for i, v in enumerate(values)),
    )


def _at(values: Sequence[Expr], domain: LogicalNode, first: int) -> dict[Expr, Expr]:
    """Where the outer values are, as columns of the domain that begin at ``first``."""
    return {
        v: InputRef(first + i, f.name, f.type)
        for i, (v, f) in enumerate(zip(values, domain.schema, strict=True))
    }


def keyed(below: Lifted, outer: Outer) -> Lifted:
    """The same with plain columns, and conditions that are equalities or read the outer query alone."""
    plain = below.empty is None and not any(map(reads_outer, below.columns))
    if plain and all(map(is_lookup, below.conditions)):
        return below
    return over_domain(below, outer)


def flat(below: Lifted, outer: Outer, *more: Expr) -> Lifted:
    """The same where the node has the sub-query's columns, then what the conditions compare with the outer query.

    ``more``: expressions over the sub-query's columns that are about to read the outer query too.
    """
    values = outer_values(more)
    if values:
        wanted = outer_values([*below.conditions, *below.columns, *values])
        below = over_domain(below, outer, wanted)
    else:
        below = keyed(below, outer)
    sides = sides_of(below)
    exprs = [*below.columns, *sides]
    width = len(below.columns)
    columns = refs(below.node.schema)
    if tuple(exprs) == columns[: len(exprs)] and len(exprs) == len(columns):
        return below
    names = [e.name if isinstance(e, InputRef) else f"$c{i}" for i, e in enumerate(exprs)]
    made = project(below.node, exprs, names)
    out = refs(made.schema)
    return Lifted(made, out[:width], on_columns(below.conditions, sides, out[width:]))


def sides_of(below: Lifted) -> list[Expr]:
    """The sub-query's sides of its equalities with the outer query."""
    pairs = [pair for c in below.conditions if (pair := equality(c)) is not None]
    return list(dict.fromkeys(a for a, _ in pairs))


def on_columns(
    conditions: Sequence[Expr], sides: Sequence[Expr], columns: Sequence[Expr]
) -> tuple[Expr, ...]:
    """The conditions where the sides of their equalities are those columns."""
    place = dict(zip(sides, columns, strict=True))
    made = []
    for condition in conditions:
        pair = equality(condition)
        if pair is not None:
            assert isinstance(condition, Call)
            condition = replace(
                condition, args=tuple(place[a] if a == pair[0] else a for a in condition.args)
            )
        made.append(condition)
    return tuple(made)


def marked(node: LogicalNode) -> LogicalNode:
    """The rows with a last column that is TRUE in each."""
    fields = (*node.schema, Field("$m", TRUE.type))
    return Project(Schema(fields), node, (*refs(node.schema), TRUE))


def seen(expr: Expr, joined: LogicalNode, width: int) -> Expr:
    """An expression of a sub-query over the rows it was joined to, where its columns may be NULL."""

    def retyped(e: Expr) -> Expr:
        return replace(e, type=joined.schema[e.index].type) if isinstance(e, InputRef) else e

    return transform(beside(expr, width), retyped)


def or_empty(found: Expr, value: Expr, default: Expr) -> Expr:
    """A value of a row that is not there where ``found`` is FALSE: its columns are NULL."""
    if isinstance(value, InputRef) and isinstance(default, Literal) and default.value is None:
        return value
    return call("CASE", found, value, default)


def _joined(kind: str, left: LogicalNode, right: LogicalNode, on: Sequence[Expr]) -> LogicalNode:
    optional = kind == "LEFT"
    shown = (replace(f, type=f.type.with_nullable(f.type.nullable or optional)) for f in right.schema)
    schema = untimed(Schema((*left.schema, *shown)))
    return Join(schema, kind, left, right, conjunction(on) if on else None)


def present(below: Lifted, outer: Outer) -> Lifted:
    """The same where rows that are not there are no rows."""
    return below if below.empty is None else over_domain(below, outer)
