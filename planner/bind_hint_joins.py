"""The joins of FROM that a hint may be about, also where ON, UNNEST or LATERAL put other nodes over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .bind_nodes import refs
from .expressions import Expr, InputRef, shift, substitute
from .logical import Filter, Join, LogicalNode, Project, Unnest
from .scope import Relation

Change = Callable[[Join, Sequence[Relation], Sequence[Relation]], Join]
"""A join as it is to be; the relations of FROM on its left and on its right."""


def change_joins(node: LogicalNode, relations: Sequence[Relation], change: Change) -> LogicalNode:
    """The rows of FROM with each join of its relations changed; joins with sub-queries stay as they are."""
    columns = refs(node.schema)
    return _changed(node, [(r, columns[r.offset]) for r in relations], change)


def _changed(node: LogicalNode, relations: Sequence[tuple[Relation, Expr]], change: Change) -> LogicalNode:
    """``relations``: those below the node, each with its first column."""
    if len(relations) < 2:
        return node
    match node:
        case Filter():
            return node.with_inputs([_changed(node.input, relations, change)])
        case Project():
            below = [(r, substitute(e, node.exprs)) for r, e in relations]
            return node.with_inputs([_changed(node.input, below, change)])
        case Unnest():
            below = [(r, e) for r, e in relations if _is_among(e, node.input)]
            return node.with_inputs([_changed(node.input, below, change)])
        case Join():
            # LATERAL may compute its columns from those of the left side
            left = [(r, e) for r, e in relations if _is_among(e, node.left)]
            right = [(r, shift(e, -len(node.left.schema))) for r, e in relations if (r, e) not in left]
            made = node.with_inputs([_changed(node.left, left, change), _changed(node.right, right, change)])
            assert isinstance(made, Join)
            return change(made, [r for r, _ in left], [r for r, _ in right])
        case _:
            return node


def _is_among(e: Expr, node: LogicalNode) -> bool:
    """Whether an expression is one of the first columns, which are those of ``node``."""
    return isinstance(e, InputRef) and e.index < len(node.schema)
