"""VALUES: rows of expressions. Those with a sub-query, or that read the query around, are computed from one row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.datatypes import DataType, common_type
from streamsql.schema import Field, Schema

from .bind_nodes import cast, one_row, project
from .bind_subqueries import Subqueries, SubqueryExpressions, has_subquery
from .expressions import Expr
from .logical import LogicalNode, Union, Values
from .outer_refs import reads_outer
from .scope import Scope

if TYPE_CHECKING:
    from .binder import QueryBinder


def bind_values(binder: QueryBinder, query: exp.Values) -> LogicalNode:
    """The rows of VALUES, each column in the type that all its values fit into."""
    subqueries = Subqueries(binder)
    expressions = SubqueryExpressions(binder, binder.visible(Scope(())), subqueries)
    rows = [[expressions.bind(e) for e in row.expressions] for row in query.expressions]
    types = _types(binder, query, rows)
    alias = query.args.get("alias")
    names = [c.name for c in alias.columns] if alias is not None else []
    names = names or [f"EXPR${i}" for i in range(len(types))]
    schema = Schema(tuple(Field(n, t) for n, t in zip(names, types, strict=True)))
    typed = [tuple(cast(e, t) for e, t in zip(row, types, strict=True)) for row in rows]
    constant = tuple(row for row in typed if not _is_computed(row))
    parts: list[LogicalNode] = [Values(schema, constant)] if constant else []
    for row in typed:
        if _is_computed(row):
            source, exprs = subqueries.place(one_row(), row, lambda e: e)
            parts.append(project(source, exprs, names))
    return parts[0] if len(parts) == 1 else Union(schema, tuple(parts))


def _is_computed(row: tuple[Expr, ...]) -> bool:
    return has_subquery(row) or any(map(reads_outer, row))


def _types(binder: QueryBinder, query: exp.Values, rows: list[list[Expr]]) -> list[DataType]:
    types: list[DataType] = []
    width = len(rows[0])
    for i in range(width):
        shared = rows[0][i].type
        for row, node in zip(rows, query.expressions, strict=True):
            if len(row) != width:
                raise binder.error(node, f"this row has {len(row)} values, the first has {width}")
            found = common_type(shared, row[i].type)
            if found is None:
                raise binder.error(
                    node.expressions[i], f"column {i + 1} has values of types {shared} and {row[i].type}"
                )
            shared = found
        types.append(shared)
    return types
