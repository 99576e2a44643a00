"""LATERAL (SELECT …): a sub-query in FROM that reads the columns of what stands before it, as a join.

::

    FROM t, LATERAL (SELECT u.v FROM u WHERE u.k = t.k)               t JOIN u ON u.k = t.k
    FROM t, LATERAL (SELECT COUNT(*) AS n FROM u WHERE u.k = t.k)     t LEFT JOIN (…), n is 0 where none match
    FROM t, LATERAL (SELECT … WHERE u.k = t.k ORDER BY v LIMIT 3)     t JOIN (the first 3 rows of each u.k) ON …
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from sqlglot import exp

from streamsql.errors import UnsupportedError
from streamsql.schema import Schema

from .bind_nodes import project, refs, untimed
from .bind_subqueries import Subqueries, SubqueryExpressions, bind_where, has_subquery
from .decorrelate import lift
from .expressions import Expr, InputRef, Literal, substitute
from .functions import conjunction
from .join_conditions import call
from .lifted import Lifted, Outer, marked, or_empty, over_domain, seen
from .logical import Filter, Join, LogicalNode
from .outer_refs import beside, lowered
from .scope import Relation, Scope

if TYPE_CHECKING:
    from .binder import QueryBinder


def bind_lateral(
    binder: QueryBinder,
    lateral: exp.Lateral,
    node: LogicalNode,
    scope: Scope,
    on: exp.Expr | None,
    *,
    outer: bool,
) -> tuple[LogicalNode, Scope]:
    """The rows of ``node`` with those of the sub-query that belong to them, and pass ``on``.

    ``outer``: also the rows where none do.
    """
    query = lateral.this
    inner = binder.nested(binder.visible(scope))
    plan = inner.bind(query.this if isinstance(query, exp.Subquery) else query)
    alias = lateral.args.get("alias")
    names = [c.name for c in alias.columns] if alias is not None else []
    if names and len(names) != len(plan.schema):
        raise binder.error(
            lateral, f"the alias names {len(names)} columns, but the sub-query yields {len(plan.schema)}"
        )

    def refuse(what: str) -> NoReturn:
        raise UnsupportedError(
            f"{what} is not supported in a LATERAL sub-query that reads what stands before it",
            hint="write it as a join, or put it into a sub-query of its own that does not",
            position=binder.position(lateral),
        )

    fields = Schema(tuple(f.renamed(n) for f, n in zip(plan.schema, names or plan.schema.names, strict=True)))
    name = alias.name if alias is not None and alias.this is not None else ""
    scope = replace(scope, relations=(*scope.relations, Relation(name, fields, len(node.schema))))
    condition = None
    if on is not None:
        bound = SubqueryExpressions(binder, binder.visible(scope), Subqueries(binder)).bind(on)
        condition = binder.boolean(bound, on, "ON")
        if has_subquery([condition]):  # as if it stood in the WHERE of the sub-query
            plan = bind_where(inner, plan, inner.visible(Scope.of(fields, name)), on)
            condition = None
    made = join_lateral(node, plan, Outer(node, node, refuse), condition, outer=outer)
    made = project(made, refs(made.schema), [*node.schema.names, *fields.names])
    shown = Schema(made.schema.fields[len(node.schema) :])
    return made, replace(scope, relations=(*scope.relations[:-1], Relation(name, shown, len(node.schema))))


def join_lateral(
    node: LogicalNode, plan: LogicalNode, around: Outer, condition: Expr | None = None, *, outer: bool
) -> LogicalNode:
    """The rows of ``node`` with those of a plan that reads their columns. ``condition`` is over both."""
    query = lift(plan, around)
    if query.empty is not None and outer and condition is not None:
        query = over_domain(query, around)
    width = len(node.schema)
    plain = all(isinstance(c, InputRef) for c in query.columns)
    marks = query.empty is not None or (outer and not plain)
    right = marked(query.node) if marks else query.node
    on = [beside(c, width) for c in query.conditions]
    if condition is not None and query.empty is None:
        on.append(substitute(condition, [*refs(node.schema), *(beside(c, width) for c in query.columns)]))
    optional = outer or query.empty is not None
    shown = (replace(f, type=f.type.with_nullable(f.type.nullable or optional)) for f in right.schema)
    schema = untimed(Schema((*node.schema, *shown)))
    kind = "LEFT" if optional else "INNER" if on else "CROSS"
    joined = Join(schema, kind, node, lowered(right), conjunction(on) if on else None)
    columns = refs(schema)
    values = [seen(c, joined, width) for c in query.columns]
    if marks:
        found = call("IS TRUE", columns[-1])
        values = [
            or_empty(found, v, _absent(c, query, width)) for v, c in zip(values, query.columns, strict=True)
        ]
    made = project(joined, [*columns[:width], *values], [*node.schema.names, *plan.schema.names])
    if condition is None or query.empty is None:
        return made
    return Filter(made.schema, made, condition)


def _absent(column: Expr, query: Lifted, width: int) -> Expr:
    """What a column of the sub-query is where no row of it belongs."""
    if query.empty is None:
        return Literal(None, column.type.with_nullable(True))
    return beside(substitute(column, query.empty), width)
