"""Columns of the queries around a sub-query: who reads them, and what they are seen from one query further out or in.

An OuterRef of level 1 is a column of the query directly around the plan that holds it, one of level 2 of the query
around that. A plan that becomes part of the query around it is one level nearer to all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import TypeVar

from .expressions import (
    AggregateCall,
    Expr,
    InputRef,
    OuterRef,
    SortKey,
    input_refs,
    is_deterministic,
    transform,
    walk,
)
from .logical import LogicalNode, OverCall

Rewrite = Callable[[Expr], Expr]
Node = TypeVar("Node", bound=LogicalNode)


# -- expressions ---------------------------------------------------------------------------------------------------


def reads_outer(expr: Expr) -> bool:
    """Whether a column of the query directly around is read."""
    return any(isinstance(e, OuterRef) and e.level == 1 for e in walk(expr))


def is_outer_only(expr: Expr) -> bool:
    """Whether nothing of the sub-query itself is read."""
    return not input_refs(expr)


def outer_values(exprs: Iterable[Expr]) -> list[Expr]:
    """The largest parts of the expressions that read the query directly around and nothing of the sub-query."""
    found: list[Expr] = []

    def visit(e: Expr) -> None:
        if not reads_outer(e):
            return
        if is_outer_only(e) and is_deterministic(e):
            found.extend([e] if e not in found else [])
        else:
            for child in e.children:
                visit(child)

    for e in exprs:
        visit(e)
    return found


def replaced(expr: Expr, table: Mapping[Expr, Expr]) -> Expr:
    """The expression with those parts exchanged, larger ones first."""
    if expr in table:
        return table[expr]
    return expr.with_children(tuple(replaced(c, table) for c in expr.children)) if expr.children else expr


def inward(expr: Expr) -> Expr:
    """An expression that reads nothing of the sub-query as one of the query around it."""
    return transform(expr, _nearer)


def _nearer(e: Expr) -> Expr:
    if not isinstance(e, OuterRef):
        return e
    return InputRef(e.index, e.name, e.type) if e.level == 1 else replace(e, level=e.level - 1)


def outward(expr: Expr) -> Expr:
    """An expression of a query as a sub-query in it reads it."""

    def further(e: Expr) -> Expr:
        if isinstance(e, OuterRef):
            return replace(e, level=e.level + 1)
        return OuterRef(e.index, e.name, e.type) if isinstance(e, InputRef) else e

    return transform(expr, further)


def beside(expr: Expr, width: int) -> Expr:
    """An expression of a sub-query over the ``width`` columns of the query around it, then its own."""

    def moved(e: Expr) -> Expr:
        return replace(e, index=e.index + width) if isinstance(e, InputRef) else _nearer(e)

    return transform(expr, moved)


# -- plans ---------------------------------------------------------------------------------------------------------


def is_correlated(node: LogicalNode) -> bool:
    """Whether anything in the plan reads the query directly around it."""
    return any(map(reads_outer, _expressions(node))) or any(is_correlated(i) for i in node.inputs)


def outer_columns(node: LogicalNode) -> set[int]:
    """The columns of the query directly around that anything in the plan reads."""
    own = {r.index for e in _expressions(node) for r in walk(e) if isinstance(r, OuterRef) and r.level == 1}
    return own.union(*(outer_columns(i) for i in node.inputs))


def raised(node: LogicalNode) -> LogicalNode:
    """The plan one query further in."""
    return map_expressions(node, lambda e: transform(e, lambda x: _level(x, +1)))


def lowered(node: LogicalNode) -> LogicalNode:
    """The plan one query further out; nothing in it reads the query directly around."""
    return map_expressions(node, lambda e: transform(e, lambda x: _level(x, -1)))


def _level(e: Expr, by: int) -> Expr:
    return replace(e, level=e.level + by) if isinstance(e, OuterRef) else e


def map_expressions(node: Node, fn: Rewrite) -> Node:
    """The plan with ``fn`` applied to every expression in it."""
    changed: dict[str, object] = {}
    for f in fields(node):
        value = getattr(node, f.name)
        made = _mapped(value, fn)
        if made is not value:
            changed[f.name] = made
    return replace(node, **changed) if changed else node  # type: ignore[arg-type]


def _mapped(value: object, fn: Rewrite) -> object:
    match value:
        case LogicalNode():
            return map_expressions(value, fn)
        case Expr():
            return fn(value)
        case AggregateCall() | OverCall():
            mapped = value.map_inputs(fn)
            return value if mapped == value else mapped
        case SortKey():
            expr = fn(value.expr)
            return value if expr is value.expr else replace(value, expr=expr)
        case tuple():
            parts = tuple(_mapped(v, fn) for v in value)
            return value if all(a is b for a, b in zip(parts, value, strict=True)) else parts
        case _:
            return value


def _expressions(value: object) -> Iterator[Expr]:
    """The expressions of one node, or of a part of it; not those of its inputs."""
    match value:
        case LogicalNode():
            for f in fields(value):
                part = getattr(value, f.name)
                if not isinstance(part, LogicalNode):
                    yield from _expressions(part)
        case Expr():
            yield value
        case AggregateCall() | OverCall():
            yield from value.inputs
        case SortKey():
            yield value.expr
        case tuple():
            for part in value:
                if not isinstance(part, LogicalNode):
                    yield from _expressions(part)
        case _:
            pass
