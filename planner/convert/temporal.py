"""Temporal joins: which of the right side's changes are versions, and what its key is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from streamsql.changelog import ChangelogMode
from streamsql.errors import UnsupportedError, ValidationError
from streamsql.schema import ROWTIME, Field, Schema

from .. import physical as p
from ..expressions import Expr, InputRef
from ..join_conditions import JoinCondition, call, split_condition
from ..logical_joins import TemporalJoin
from .converter import Converter, refuse_ttl
from .emit import lateness_below
from .joins import forwarding, join_of, kept_columns, with_keys
from .lookup import lookup_join


def temporal_join(node: TemporalJoin, c: Converter) -> p.PhysicalNode:
    condition = split_condition(node.condition, len(node.left.schema))
    keyed = with_keys(node, condition)
    if keyed is not node:
        return forwarding(temporal_join(keyed, c), node.schema, kept_columns(node, keyed))  # type: ignore[arg-type]
    refuse_ttl(node.ttls, "a temporal join keeps what its table holds")
    make = _event_time if node.event_time else _processing_time
    return make(node, c, condition)


def _processing_time(node: TemporalJoin, c: Converter, condition: JoinCondition) -> p.PhysicalNode:
    left = c.convert(node.left)
    if left.updating:
        raise UnsupportedError(
            f"a join with {node.table} FOR SYSTEM_TIME AS OF processing time of rows that are updated is not "
            "supported: what was joined cannot be found again to take it back",
            hint="use a regular join, or join before the rows are updated",
        )
    asked = lookup_join(node, left, condition)
    return _made(node, left, c.convert(node.right), condition, None) if asked is None else asked


def _event_time(node: TemporalJoin, c: Converter, condition: JoinCondition) -> p.PhysicalNode:
    if node.time is None or node.left.schema[node.time].time != ROWTIME:
        raise ValidationError(
            f"FOR SYSTEM_TIME AS OF for {node.table}: the time is no time attribute any more, because it comes out of "
            "a join whose rows come in any order",
            hint="join with the versioned table first",
        )
    version = node.versioned_by()
    if version is None:
        raise ValidationError(
            f"{node.table} is no versioned table: it has no event time (or several)",
            hint="declare a WATERMARK in it, or use a processing-time attribute for its present rows",
        )
    right, marked = history(c.convert(node.right), node.table, c)
    left = c.convert(node.left)
    lateness = lateness_below((left, right))
    made = replace(_made(node, left, right, condition, version), marked=marked, lateness_ms=lateness)
    if right.upsert_key is None:
        if declared := _declared_key(right):
            raise _incomplete(node.table, declared)
        raise ValidationError(
            f"{node.table} is no versioned table: it has no key",
            hint="declare a PRIMARY KEY, or make a view of it that keeps the last row a key (ROW_NUMBER() … = 1)",
        )
    equal = {k for k, safe in zip(made.right_keys, made.null_safe, strict=True) if not safe}
    if not set(right.upsert_key) <= equal:
        raise _incomplete(node.table, [right.schema[k].name for k in right.upsert_key])
    return made


def _declared_key(node: p.PhysicalNode) -> tuple[str, ...]:
    """The primary key of the one table below, some of whose columns are not read."""
    while len(node.inputs) == 1:
        node = node.inputs[0]
    return node.table.primary_key if isinstance(node, p.TableSourceScan) else ()


def _incomplete(table: str, key: Sequence[str]) -> ValidationError:
    names = ", ".join(key)
    return ValidationError(
        f"the join with the versions of {table} must make its whole key ({names}) equal",
        hint=f"add {names} to the ON condition",
    )


def _made(
    node: TemporalJoin,
    left: p.PhysicalNode,
    right: p.PhysicalNode,
    condition: JoinCondition,
    version: int | None,
) -> p.TemporalJoin:
    joined = join_of(
        p.TemporalJoin, node, (left, right), condition, mode=left.mode, time=node.time, version=version
    )
    one = right.upsert_key is not None and set(right.upsert_key) <= set(joined.right_keys)
    return replace(joined, upsert_key=left.upsert_key) if version is not None or one else joined


def history(node: p.PhysicalNode, table: str, c: Converter) -> tuple[p.PhysicalNode, bool]:
    """The versions of the right side: a view that keeps the last row a key is read below the keeping.

    There every row is a version; the view's changelog shows only what is left of a step. For the same reason upserts
    are read by a scan of their own, which no other reader wants normalised. A version that a filter leaves out still
    ends the one before: where there is a filter, a last column is added that is TRUE for such versions.
    """
    if isinstance(node, p.Deduplicate) and node.keep_last and not node.proctime:
        below = node.inputs[0]
        if len(below.schema) != len(node.schema):
            raise UnsupportedError(
                f"{table} shows its row number, and so is no versioned view", hint="leave the row number out"
            )
        columns = tuple(range(len(node.schema)))
        made = forwarding(below, node.schema, columns)
        return replace(made, upsert_key=node.key), False
    if isinstance(node, p.Calc):
        return _marked(node, *history(node.inputs[0], table, c))
    if isinstance(node, p.WatermarkAssigner):
        below, marked = history(node.inputs[0], table, c)
        schema = Schema((*node.schema, below.schema.fields[-1])) if marked else node.schema
        return replace(node, schema=schema, inputs=(below,)), marked
    if isinstance(node, p.TableSourceScan) and node.mode is ChangelogMode.UPSERT:
        return c.once(f"history of scan {id(node)}", lambda: replace(node)), False
    return node, False


def _marked(node: p.Calc, below: p.PhysicalNode, marked: bool) -> tuple[p.PhysicalNode, bool]:
    """The projection of a history, in which a filter only marks what it leaves out."""
    made = replace(node, inputs=(below,), mode=below.mode, views=(), condition=None)
    last = len(below.schema) - 1
    parts: list[Expr] = [InputRef(last, below.schema[last].name, below.schema[last].type)] if marked else []
    if node.condition is not None:
        parts.append(call("NOT", call("IS TRUE", node.condition)))
    if not parts:
        return made, False
    mark = parts[0] if len(parts) == 1 else call("OR", *parts)
    schema = Schema((*node.schema, Field("$ends", mark.type)))
    return replace(made, schema=schema, exprs=(*node.exprs, mark)), True
