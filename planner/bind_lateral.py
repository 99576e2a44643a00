"""LATERAL (SELECT …): a sub-query in FROM that reads the columns of what stands before it, as a join.

::

    FROM t, LATERAL (SELECT u.v FROM u WHERE u.k = t.k)               t JOIN u ON u.k = t.k
    FROM t, LATERAL (SELECT COUNT(*) AS n FROM u WHERE u.k = t.k)     t LEFT JOIN (…), n is 0 where none match
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from sqlglot import exp

from streamsql.errors import UnsupportedError
from streamsql.schema import Field, Schema

from .bind_nodes import project, refs, untimed
from .decorrelate import Lifted, lift
from .expressions import TRUE, Expr, InputRef, Literal, OuterRef
from .functions import conjunction
from .logical import Join, LogicalNode, Project
from .scope import Relation, Scope

if TYPE_CHECKING:
    from .binder import QueryBinder


def bind_lateral(
    binder: QueryBinder, lateral: exp.Lateral, node: LogicalNode, scope: Scope, *, outer: bool
) -> tuple[LogicalNode, Scope]:
    """The rows of ``node`` with those of the sub-query that belong to them; ``outer``: also where none do."""
    query = lateral.this
    plan = binder.nested(scope).bind(query.this if isinstance(query, exp.Subquery) else query)
    alias = lateral.args.get("alias")
    names = [c.name for c in alias.columns] if alias is not None else []
    if names and len(names) != len(plan.schema):
        raise binder.error(
            lateral, f"the alias names {len(names)} columns, but the sub-query yields {len(plan.schema)}"
        )

    def refuse(what: str) -> NoReturn:
        hint = "write it as a join, or compare columns of what stands before it in its WHERE by ="
        if what.startswith("ORDER BY"):
            hint = (
                "join with the first rows of each key: SELECT * FROM (SELECT *, ROW_NUMBER() OVER "
                "(PARTITION BY k ORDER BY v) AS rn FROM t) WHERE rn <= 3"
            )
        raise UnsupportedError(
            f"{what} is not supported in a LATERAL sub-query",
            hint=hint,
            position=binder.position(lateral),
        )

    joined, values = _joined(binder, lateral, node, lift(plan, refuse), len(plan.schema), outer=outer)
    shown = names or plan.schema.names
    made = project(joined, [*refs(joined.schema)[: len(node.schema)], *values], [*node.schema.names, *shown])
    fields = Schema(made.schema.fields[len(node.schema) :])
    name = alias.name if alias is not None and alias.this is not None else ""
    return made, replace(scope, relations=(*scope.relations, Relation(name, fields, len(node.schema))))


def _joined(
    binder: QueryBinder, lateral: exp.Lateral, node: LogicalNode, query: Lifted, columns: int, *, outer: bool
) -> tuple[LogicalNode, list[Expr]]:
    """The join, and the sub-query's columns over it."""
    width, right = len(node.schema), query.node
    if query.empty is not None:
        fields = (*right.schema, Field("$m", TRUE.type))
        right = Project(Schema(fields), right, (*refs(right.schema), TRUE))
    kind = "LEFT" if outer or query.empty is not None else "INNER" if query.conditions else "CROSS"
    optional = kind == "LEFT"
    shown = [replace(f, type=f.type.with_nullable(f.type.nullable or optional)) for f in right.schema]
    conditions = [_over(c, width) for c in query.conditions]
    schema = untimed(Schema((*node.schema, *shown)))
    joined = Join(schema, kind, node, right, conjunction(conditions) if conditions else None)
    out = refs(joined.schema)
    values = list(out[width : width + columns])
    if query.empty is None:
        return joined, values
    expressions = binder.expressions(scope=Scope(()))
    found = expressions.named("IS TRUE", [out[-1]], lateral)
    return joined, [
        value
        if isinstance(default, Literal) and default.value is None
        else expressions.named("CASE", [found, value, default], lateral)
        for value, default in zip(values, query.empty, strict=False)
    ]


def _over(e: Expr, width: int) -> Expr:
    """A condition over the rows before, then the sub-query's."""
    if isinstance(e, OuterRef):
        return InputRef(e.index, e.name, e.type)
    if isinstance(e, InputRef):
        return replace(e, index=e.index + width)
    return e.with_children(tuple(_over(c, width) for c in e.children)) if e.children else e
