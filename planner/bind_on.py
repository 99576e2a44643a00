"""Sub-queries in ON: conditions of an inner join are those of WHERE, those of an outer one filter the optional side.

::

    a JOIN b ON a.k = b.k AND a.x IN (SELECT …)       a JOIN b ON a.k = b.k WHERE a.x IN (SELECT …)
    a LEFT JOIN b ON a.k = b.k AND b.x IN (SELECT …)  a LEFT JOIN (SELECT * FROM b WHERE x IN (SELECT …)) b ON …
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.errors import UnsupportedError, ValidationError

from .bind_subqueries import Subqueries, WhereExpressions, bind_where, conjuncts
from .expressions import Expr
from .functions import conjunction
from .logical import LogicalNode
from .scope import Scope

if TYPE_CHECKING:
    from .binder import QueryBinder

Bound = tuple[LogicalNode, Scope]

_OPTIONAL = {"LEFT": "right", "RIGHT": "left"}


def split_on(on: exp.Expr | None) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """The conditions of ON without a sub-query, and those with one."""
    parts = [] if on is None else conjuncts(on)
    nested = [p for p in parts if p.find(exp.Query, exp.Subquery) is not None]
    return [p for p in parts if p not in nested], nested


def bind_plain(binder: QueryBinder, scope: Scope, parts: Sequence[exp.Expr]) -> Expr | None:
    """The conditions without a sub-query; None for none."""
    return conjunction([binder.condition(scope, p, "ON") for p in parts]) if parts else None


def filter_joined(
    binder: QueryBinder, node: LogicalNode, scope: Scope, parts: Sequence[exp.Expr]
) -> LogicalNode:
    """The rows of an inner join that pass the conditions with sub-queries."""
    for part in parts:
        node = bind_where(binder, node, scope, part)
    return node


def filter_optional(
    binder: QueryBinder, left: Bound, right: Bound, side: str, parts: Sequence[exp.Expr], versioned: bool
) -> tuple[Bound, Bound]:
    """The two sides of an outer join, the optional one filtered by the conditions with sub-queries.

    Raises UnsupportedError for a condition that reads the other side.
    """
    joined = left[1].joined(right[1])
    for part in parts:
        WhereExpressions(binder, joined, Subqueries(binder)).bind(part)  # names are unknown or ambiguous here
        node, scope = right if side == "LEFT" else left
        try:
            if side == "FULL" or versioned:
                raise ValidationError("no side can be filtered")
            node = bind_where(binder, node, scope, part)
        except ValidationError:
            only = (
                f" that reads more than the {_OPTIONAL[side]} side"
                if side in _OPTIONAL and not versioned
                else ""
            )
            raise UnsupportedError(
                f"a sub-query{only} in ON of a {side} JOIN is not supported",
                hint="compute it as a column of the table before the join: "
                "FROM (SELECT *, x IN (SELECT …) AS found FROM t) AS t",
                position=binder.position(part),
            ) from None
        left, right = (left, (node, scope)) if side == "LEFT" else ((node, scope), right)
    return left, right
