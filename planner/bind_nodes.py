"""Small pieces of logical plans that several binders build: columns as they are, casts, projections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from streamsql.datatypes import INT, DataType
from streamsql.schema import PROCTIME, Field, Schema

from .bind_table import is_proctime
from .expressions import Cast, Expr, InputRef, Literal
from .logical import LogicalNode, Project, Values


def refs(schema: Schema) -> tuple[Expr, ...]:
    """Each column as it is."""
    return tuple(InputRef(i, f.name, f.type) for i, f in enumerate(schema))


def one_row() -> Values:
    """One row to compute from; a row without columns cannot be in a batch."""
    zero = Literal(0, INT().not_null())
    return Values(Schema((Field("ZERO", zero.type),)), ((zero,),))


def cast(expr: Expr, target: DataType) -> Expr:
    """``expr`` in a type, without a cast where it has it already."""
    same = expr.type.with_nullable(True) == target.with_nullable(True)
    return expr if same else Cast(expr, target.with_nullable(target.nullable or expr.type.nullable))


def project(node: LogicalNode, exprs: Sequence[Expr], names: Sequence[str]) -> LogicalNode:
    """A projection; a column that is merely forwarded keeps its time attribute."""
    fields: list[Field] = []
    for e, n in zip(exprs, names, strict=True):
        time = node.schema[e.index].time if isinstance(e, InputRef) else None
        if time is None and is_proctime(e):
            time = PROCTIME
        fields.append(Field(n, e.type, time))
    return Project(Schema(tuple(fields)), node, tuple(exprs))


def cast_to(node: LogicalNode, schema: Schema) -> LogicalNode:
    """``node`` under the names and types of ``schema``."""
    if all(
        a.type.with_nullable(True) == b.type.with_nullable(True)
        for a, b in zip(node.schema, schema, strict=True)
    ):
        if node.schema.names == schema.names:
            return node
        fields = (replace(a, name=b.name) for a, b in zip(node.schema, schema, strict=True))
        return Project(Schema(tuple(fields)), node, refs(node.schema))
    exprs = [cast(e, f.type) for e, f in zip(refs(node.schema), schema, strict=True)]
    return project(node, exprs, schema.names)


def untimed(schema: Schema) -> Schema:
    """The schema without time attributes."""
    return Schema(tuple(replace(f, time=None) for f in schema))
