"""OVER aggregates: by a time attribute rows are emitted once; by anything else, or over updates, they change."""

from __future__ import annotations

from collections.abc import Sequence

from streamsql.changelog import ChangelogMode
from streamsql.schema import PROCTIME, Field, Schema

from .. import logical as l
from .. import physical as p
from ..expressions import InputRef
from ..physical.over import history, is_running
from ..physical.ranks import Order
from .calc import refs
from .converter import Converter
from .ranks import order_columns, with_columns

FORWARD = frozenset({"LEAD", "NTILE", "CUME_DIST", "PERCENT_RANK"})
"""Functions that read rows after the current one."""


def over_aggregate(node: l.Over, c: Converter) -> p.PhysicalNode:
    """One OverAggregate for each partition and order, on top of each other."""
    source = c.convert(node.input)
    width = len(node.input.schema)
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, call in enumerate(node.calls):
        groups.setdefault(_group(call, source), []).append(i)
    place: dict[int, int] = {}
    # those by time first: they need rows that only come, and yield such rows
    for indexes in sorted(groups.values(), key=lambda g: not is_by_time(node.calls[g[0]], source)):
        fields = [node.schema[width + i] for i in indexes]
        source = _aggregate(source, [node.calls[i] for i in indexes], fields)
        first = len(source.schema) - len(indexes)
        place |= {i: first + n for n, i in enumerate(indexes)}
    if len(source.schema) == len(node.schema) and all(place[i] == width + i for i in place):
        return source
    columns = refs(source.schema)
    exprs = (*columns[:width], *(columns[place[i]] for i in range(len(node.calls))))
    return p.Calc(
        schema=node.schema, inputs=(source,), mode=source.mode, upsert_key=source.upsert_key, exprs=exprs
    )


def _group(call: l.OverCall, source: p.PhysicalNode) -> tuple[object, ...]:
    """Calls of one group are computed together: they share the partition and what completes a row."""
    if is_by_time(call, source):
        return (call.partition, call.order, is_running(call))
    return (call.partition,)


def is_by_time(call: l.OverCall, source: p.PhysicalNode) -> bool:
    """Whether no later row changes the call's value once the time attribute of its order has passed."""
    if source.updating or len(call.order) != 1 or call.call.function.name in FORWARD:
        return False
    (key,) = call.order
    if key.descending or not isinstance(key.expr, InputRef) or source.schema[key.expr.index].time is None:
        return False
    if call.call.function.name == "LAG" and (history(call)[0] or 0) < 1:
        return False
    return "FOLLOWING" not in call.frame


def _aggregate(
    source: p.PhysicalNode, calls: Sequence[l.OverCall], fields: Sequence[Field]
) -> p.PhysicalNode:
    timed = is_by_time(calls[0], source)
    source, partition = with_columns(source, calls[0].partition)
    order: Order = ()
    time: int | None = None
    if timed:
        source, order = order_columns(source, calls[0].order)
        time = order[0].column
    return p.OverAggregate(
        schema=Schema((*source.schema, *fields)),
        inputs=(source,),
        mode=ChangelogMode.INSERT_ONLY if timed else ChangelogMode.RETRACT,
        upsert_key=source.upsert_key,
        calls=tuple(calls),
        partition=tuple(dict.fromkeys(partition)),
        order=order,
        time=time,
        proctime=time is not None and source.schema[time].time == PROCTIME,
    )
