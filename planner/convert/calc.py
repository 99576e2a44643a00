"""Projections and filters, merged into one Calc; UNNEST."""

from __future__ import annotations

from collections.abc import Sequence

from streamsql.errors import UnsupportedError, ValidationError
from streamsql.schema import ROWTIME, Schema

from .. import logical as l
from .. import physical as p
from ..expressions import Call, Expr, InputRef, is_deterministic, substitute, walk
from ..functions import conjunction
from .converter import Converter

WATERMARK = "CURRENT_WATERMARK"
Merged = tuple[l.LogicalNode, tuple[Expr, ...], Expr | None]


def calc(node: l.LogicalNode, c: Converter) -> p.PhysicalNode:
    base, exprs, condition = merge(node)
    source = c.convert(base)
    check_watermark([*exprs, *([] if condition is None else [condition])], base.schema, source)
    if condition is None and is_identity(exprs, base.schema, node.schema):
        return source
    return p.Calc(
        schema=node.schema,
        inputs=(source,),
        mode=source.mode,
        upsert_key=project_key(source.upsert_key, exprs),
        exprs=exprs,
        condition=condition,
    )


def check_watermark(exprs: Sequence[Expr], schema: Schema, source: p.PhysicalNode | None = None) -> None:
    """Raises ValidationError for CURRENT_WATERMARK of what is no event time, UnsupportedError for that of updates."""
    for e in (e for expr in exprs for e in walk(expr)):
        if not isinstance(e, Call) or e.function.name != WATERMARK:
            continue
        (time,) = e.args
        if not isinstance(time, InputRef) or schema[time.index].time != ROWTIME:
            raise ValidationError(
                f"CURRENT_WATERMARK needs an event-time attribute, and {time.text()} is none",
                hint="give it the column of a WATERMARK FOR, or the window_time of a window",
            )
        if source is not None and source.updating:
            raise UnsupportedError(
                "CURRENT_WATERMARK of rows that are updated is not supported: by the time one is taken back the "
                "watermark is another, and the row would not be found again",
                hint="use it before the rows are grouped or joined",
            )


def merge(node: l.LogicalNode) -> Merged:
    """Fold a chain of Project and Filter into one projection and condition over the first other node."""
    if isinstance(node, l.Project):
        base, inner, condition = merge(node.input)
        if all(is_deterministic(e) for e in inner) or is_refs(inner):
            return base, tuple(substitute(e, inner) for e in node.exprs), condition
        return node.input, node.exprs, None
    if isinstance(node, l.Filter):
        base, inner, condition = merge(node.input)
        if all(is_deterministic(e) for e in inner) or is_refs(inner):
            return base, inner, and_(condition, substitute(node.condition, inner))
        return node.input, refs(node.input.schema), node.condition
    return node, refs(node.schema), None


def unnest(node: l.Unnest, c: Converter) -> p.PhysicalNode:
    source = c.convert(node.input)
    return p.Correlate(schema=node.schema, inputs=(source,), mode=source.mode, unnest=node)


def refs(schema: Schema) -> tuple[Expr, ...]:
    return tuple(InputRef(i, f.name, f.type) for i, f in enumerate(schema))


def is_refs(exprs: tuple[Expr, ...]) -> bool:
    return all(isinstance(e, InputRef) for e in exprs)


def is_identity(exprs: tuple[Expr, ...], base: Schema, out: Schema) -> bool:
    same = all(isinstance(e, InputRef) and e.index == i for i, e in enumerate(exprs))
    return same and len(exprs) == len(base) and base.names == out.names


def and_(a: Expr | None, b: Expr) -> Expr:
    return b if a is None else conjunction([a, b])


def project_key(key: p.Key, exprs: tuple[Expr, ...]) -> p.Key:
    if key is None:
        return None
    place = {e.index: i for i, e in reversed(list(enumerate(exprs))) if isinstance(e, InputRef)}
    return tuple(place[k] for k in key) if all(k in place for k in key) else None
