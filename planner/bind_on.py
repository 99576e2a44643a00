"""Sub-queries in ON: those of an inner join are those of WHERE, those of an outer one are columns of a side.

::

    a JOIN b ON a.k = b.k AND a.x IN (SELECT …)       a JOIN b ON a.k = b.k WHERE a.x IN (SELECT …)
    a LEFT JOIN b ON a.k = b.k AND b.x IN (SELECT …)  a LEFT JOIN (SELECT * FROM b WHERE x IN (SELECT …)) b ON …
    a LEFT JOIN b ON a.k = b.k AND a.x IN (SELECT …)  (SELECT *, x IN (SELECT …) AS m FROM a) a LEFT JOIN b ON … AND m
    a LEFT JOIN b ON … AND a.x + b.y IN (SELECT …)    a LEFT JOIN LATERAL (SELECT * FROM b WHERE …) ON TRUE
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from sqlglot import exp

from streamsql.errors import UnsupportedError

from .bind_lateral import join_lateral
from .bind_nodes import project, refs
from .bind_subqueries import (
    Subqueries,
    SubqueryExpressions,
    SubqueryRef,
    bind_where,
    conjuncts,
    has_subquery,
    with_subqueries,
)
from .expressions import Expr, InputRef, remap, shift, walk
from .functions import conjunction
from .lifted import Outer
from .logical import LogicalNode
from .outer_refs import raised
from .scope import Scope

if TYPE_CHECKING:
    from .binder import QueryBinder

Bound = tuple[LogicalNode, Scope]
Joined = Callable[[LogicalNode, LogicalNode, Expr | None], LogicalNode]
"""Joins two inputs by a condition over the columns of both."""


def has_subqueries(on: exp.Expr | None) -> bool:
    """Whether ON holds a sub-query."""
    return on is not None and on.find(exp.Query, exp.Subquery) is not None


def bind_on(
    binder: QueryBinder,
    left: Bound,
    right: Bound,
    kind: str,
    on: exp.Expr,
    joined: Joined,
    *,
    versioned: bool,
) -> LogicalNode:
    """The join of two inputs by a condition with sub-queries."""
    scope = binder.visible(left[1].joined(right[1]))
    subqueries = Subqueries(binder)
    expressions = SubqueryExpressions(binder, scope, subqueries)
    parts = conjuncts(on)
    bound = [binder.boolean(expressions.bind(part), part, "ON") for part in parts]
    if kind == "INNER":
        plain = [e for e in bound if not has_subquery([e])]
        node = joined(left[0], right[0], conjunction(plain) if plain else None)
        for part, e in zip(parts, bound, strict=True):
            if has_subquery([e]):
                node = bind_where(binder, node, scope, part)
        return node
    if versioned:
        raise _unsupported(binder, on, f"a sub-query in ON of a {kind} JOIN with FOR SYSTEM_TIME AS OF")
    sides = _Sides(binder, subqueries, left, right, kind)
    if all(sides.of(ref) != "both" for e in bound for ref in walk(e)):
        return sides.join(parts, bound, joined)
    if kind == "FULL":
        raise _unsupported(binder, on, "a sub-query that reads both sides in ON of a FULL JOIN")
    return _lateral(binder, left, right, kind, on)


def _unsupported(binder: QueryBinder, on: exp.Expr, what: str) -> UnsupportedError:
    return UnsupportedError(
        f"{what} is not supported",
        hint="compute it as a column of the table before the join: "
        "FROM (SELECT *, x IN (SELECT …) AS found FROM t) AS t",
        position=binder.position(on),
    )


class _Sides:
    """An outer join whose sub-queries read one side each."""

    def __init__(
        self, binder: QueryBinder, subqueries: Subqueries, left: Bound, right: Bound, kind: str
    ) -> None:
        self._binder = binder
        self._subqueries = subqueries
        self._bound = {"left": left, "right": right}
        self._width = len(left[0].schema)
        self._optional = {"LEFT": "right", "RIGHT": "left"}.get(kind)

    def of(self, e: Expr) -> str:
        """The side whose columns the sub-queries in an expression read; the optional one where they read none."""
        read = {
            "left" if i < self._width else "right"
            for ref in walk(e)
            if isinstance(ref, SubqueryRef)
            for i in self._subqueries.columns_read(ref)
        }
        return "both" if len(read) > 1 else next(iter(read), self._optional or "right")

    def _only_optional(self, e: Expr) -> bool:
        """Whether an expression reads the optional side alone."""
        sides = {"left" if i < self._width else "right" for i in self._subqueries.columns_read(e)}
        return self._optional is not None and sides <= {self._optional}

    def join(self, parts: list[exp.Expr], bound: list[Expr], joined: Joined) -> LogicalNode:
        """The join, its sub-queries filters of the optional side or columns of theirs."""
        nodes = {side: node for side, (node, _) in self._bound.items()}
        kept: list[Expr] = []
        for part, e in zip(parts, bound, strict=True):
            if has_subquery([e]) and self._optional is not None and self._only_optional(e):
                scope = self._binder.visible(self._bound[self._optional][1])
                nodes[self._optional] = bind_where(self._binder, nodes[self._optional], scope, part)
            else:
                kept.append(e)
        widths = {side: len(node.schema) for side, node in nodes.items()}
        values: dict[int, tuple[str, Expr]] = {}
        for ref in (x for e in kept for x in walk(e)):
            if isinstance(ref, SubqueryRef) and ref.index not in values:
                side = self.of(ref)
                first = 0 if side == "left" else self._width
                nodes[side], (value,) = self._subqueries.place(
                    nodes[side],
                    [ref],
                    lambda x, first=first: shift(x, -first),  # type: ignore[misc]
                )
                values[ref.index] = side, value
        wide = len(nodes["left"].schema)
        moved = {
            i: i if i < self._width else i - self._width + wide for i in range(self._width + widths["right"])
        }
        found = {i: v if side == "left" else shift(v, wide) for i, (side, v) in values.items()}
        conditions = [with_subqueries(remap(e, moved), found) for e in kept]
        made = joined(nodes["left"], nodes["right"], conjunction(conditions) if conditions else None)
        columns = refs(made.schema)
        own = [*columns[: widths["left"]], *columns[wide : wide + widths["right"]]]
        if len(own) == len(columns):
            return made
        return project(made, own, [e.name for e in own if isinstance(e, InputRef)])


def _lateral(binder: QueryBinder, left: Bound, right: Bound, kind: str, on: exp.Expr) -> LogicalNode:
    """The preserved side with the rows of the other that pass ON for it."""
    (rows, names), (node, scope) = (left, right) if kind == "LEFT" else (right, left)
    inner = binder.nested(binder.visible(names))
    plan = bind_where(inner, raised(node), inner.visible(scope), on)

    def refuse(what: str) -> NoReturn:
        raise _unsupported(binder, on, f"{what} in ON of a {kind} JOIN")

    made = join_lateral(rows, plan, Outer(rows, rows, refuse), outer=True)
    columns = refs(made.schema)
    if kind == "RIGHT":
        columns = (*columns[len(rows.schema) :], *columns[: len(rows.schema)])
    return project(made, columns, [e.name for e in columns if isinstance(e, InputRef)])
