"""push_filters: conditions of a WHERE, and of ON, go into joins and below them, as far down as they mean the same.

::

    Filter(a.k = b.k AND a.v > 1)                    Join(inner, a.k = b.k)
      Join(cross)                        becomes       Filter(a.v > 1)
        a                                                a
        b                                              b

A condition on a side that an outer join fills with NULLs stays above; where it rejects NULL, the join is no outer join
any more. What gives another value each time it is evaluated stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..expressions import (
    Call,
    Cast,
    Expr,
    InputRef,
    conjuncts,
    input_refs,
    is_deterministic,
    shift,
    substitute,
)
from ..functions import conjunction
from ..join_conditions import side_of
from ..join_kinds import settled
from ..logical import Filter, Join, LogicalNode, Project
from ..logical_joins import TemporalJoin

Roots = tuple[LogicalNode, ...]

_ABOVE_LEFT = ("INNER", "CROSS", "LEFT", "SEMI", "ANTI")
_ABOVE_RIGHT = ("INNER", "CROSS", "RIGHT")
_OWN_LEFT = ("INNER", "CROSS", "RIGHT", "SEMI")
_OWN_RIGHT = ("INNER", "CROSS", "LEFT", "SEMI", "ANTI")
"""Kinds of joins below which a condition on that side goes: one from above the join, one of the join itself."""


def push_filters(roots: Roots) -> Roots:
    """The same plans with conditions nearer to the rows they are about."""
    return tuple(push(root) for root in roots)


def push(node: LogicalNode) -> LogicalNode:
    """The tree with its filters pushed; joins carry the time attributes that they keep."""
    if isinstance(node, Filter):
        return _sink(node.input, conjuncts(node.condition))
    if isinstance(node, Join):
        return _sink(node, [])
    inputs = [push(i) for i in node.inputs]
    changed = any(a is not b for a, b in zip(inputs, node.inputs, strict=True))
    return node.with_inputs(inputs) if changed else node


def _sink(node: LogicalNode, parts: Sequence[Expr]) -> LogicalNode:
    """``node`` filtered by all of ``parts``."""
    if isinstance(node, Filter) and all(map(is_deterministic, parts)):
        return _sink(node.input, [*conjuncts(node.condition), *parts])
    if isinstance(node, Join):
        return _into_join(node, parts)
    if isinstance(node, Project) and parts and _joins_below(node.input):
        return _below_projection(node, parts)
    return _filtered(push(node), parts)


def _joins_below(node: LogicalNode) -> bool:
    while isinstance(node, Filter | Project):
        node = node.input
    return isinstance(node, Join)


def _below_projection(node: Project, parts: Sequence[Expr]) -> LogicalNode:
    moving: list[Expr] = []
    staying: list[Expr] = []
    for part in parts:
        moves = is_deterministic(part) and all(is_deterministic(node.exprs[i]) for i in input_refs(part))
        (moving if moves else staying).append(part)
    below = _sink(node.input, [substitute(part, node.exprs) for part in moving])
    return _filtered(replace(node, input=below), staying)


def _into_join(node: Join, parts: Sequence[Expr]) -> LogicalNode:
    width = len(node.left.schema)
    kind = _without_padding(node.kind, parts, width)
    left: list[Expr] = []
    right: list[Expr] = []
    own: list[Expr] = []
    staying: list[Expr] = []
    fixed = isinstance(
        node, TemporalJoin
    )  # what its right side holds is a history: a row left out uncovers another
    for part in parts:
        side = side_of(part, width)
        if not is_deterministic(part) or side == "none":
            staying.append(part)
        elif side == "left" and kind in _ABOVE_LEFT:
            left.append(part)
        elif fixed:
            staying.append(part)
        elif side == "right" and kind in _ABOVE_RIGHT:
            right.append(shift(part, -width))
        elif kind in ("INNER", "CROSS"):
            own.append(part)
        else:
            staying.append(part)
    for part in conjuncts(node.condition) if node.condition is not None else []:
        side = side_of(part, width)
        if not is_deterministic(part) or node.null_aware or fixed:
            own.append(part)
        elif side == "left" and kind in _OWN_LEFT:
            left.append(part)
        elif side == "right" and kind in _OWN_RIGHT:
            right.append(shift(part, -width))
        else:
            own.append(part)
    if kind == "CROSS" and own:
        kind = "INNER"
    condition = conjunction(own) if own else None
    made = replace(
        node, kind=kind, left=_sink(node.left, left), right=_sink(node.right, right), condition=condition
    )
    return _filtered(settled(made), staying)


def _filtered(node: LogicalNode, parts: Sequence[Expr]) -> LogicalNode:
    return Filter(node.schema, node, conjunction(parts)) if parts else node


# -- outer joins that are none ---------------------------------------------------------------------------------------

_STRICT = ("=", "<>", "<", "<=", ">", ">=", "BETWEEN", "LIKE", "IS NOT NULL")
_STRICT_VALUES = ("+", "-", "*", "/", "UPPER", "LOWER", "ABS")


def _without_padding(kind: str, parts: Sequence[Expr], width: int) -> str:
    """The kind of the join where rows filled with NULLs fail one of ``parts`` anyway."""
    left = any(_rejects_null(p, width, left=True) for p in parts)
    right = any(_rejects_null(p, width, left=False) for p in parts)
    if kind == "FULL":
        kind = {(True, True): "INNER", (True, False): "LEFT", (False, True): "RIGHT"}.get((left, right), kind)
    if (kind == "LEFT" and right) or (kind == "RIGHT" and left):
        return "INNER"
    return kind


def _rejects_null(part: Expr, width: int, *, left: bool) -> bool:
    """Whether ``part`` is not TRUE where all columns of that side are NULL."""
    if isinstance(part, Call) and part.function.name == "IS TRUE":
        return _rejects_null(part.args[0], width, left=left)
    if not isinstance(part, Call) or part.function.name not in _STRICT:
        return False
    return any(_null_with(a, width, left=left) for a in part.args)


def _null_with(e: Expr, width: int, *, left: bool) -> bool:
    """Whether ``e`` is NULL where all columns of that side are."""
    match e:
        case InputRef():
            return (e.index < width) == left
        case Cast():
            return _null_with(e.arg, width, left=left)
        case Call() if e.function.name in _STRICT_VALUES:
            return any(_null_with(a, width, left=left) for a in e.args)
        case _:
            return False


def timed(node: LogicalNode) -> LogicalNode:
    """The rows of FROM and WHERE with the time attributes that outlive their joins."""
    return replace(node, schema=push(node).schema) if _joins_below(node) else node
