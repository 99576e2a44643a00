"""ORDER BY, LIMIT, and Top-N: a filter on the rank of a row becomes an operator that keeps the best rows only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamsql.changelog import ChangelogMode
from streamsql.datatypes import BIGINT
from streamsql.errors import UnsupportedError
from streamsql.schema import PROCTIME, ROWTIME, Field, Schema

from .. import logical as l
from .. import physical as p
from ..expressions import (
    Call,
    Cast,
    Expr,
    InputRef,
    Literal,
    SortKey,
    conjuncts,
    input_refs,
    substitute,
    transform,
)
from ..functions import conjunction
from ..functions.base import literal_value
from ..physical.ranks import Order, OrderKey, RankRange
from ..windows import WindowColumns, window_columns
from .calc import Merged, calc, is_identity, merge, project_key, refs
from .converter import Converter

RANKS = ("ROW_NUMBER", "RANK", "DENSE_RANK")


# -- ORDER BY and LIMIT --------------------------------------------------------------------------------------------
def sort(node: l.Sort, c: Converter) -> p.PhysicalNode:
    """LIMIT alone, ORDER BY with LIMIT, ORDER BY time, or ORDER BY of what ends."""
    source = c.convert(node.input)
    mode = source.mode
    if not node.keys:
        return p.Limit(
            schema=node.schema, inputs=(source,), mode=mode, upsert_key=source.upsert_key,
            offset=node.offset, fetch=node.limit,
        )  # fmt: skip
    order = order_keys(node.keys)
    if node.limit is not None or node.offset:
        return p.SortLimit(
            schema=node.schema, inputs=(source,), mode=ChangelogMode.RETRACT, upsert_key=source.upsert_key,
            order=order, offset=node.offset, fetch=node.limit,
        )  # fmt: skip
    first = node.schema[order[0].column]
    if first.time is not None and not order[0].descending and not source.updating:
        return p.TemporalSort(
            schema=node.schema, inputs=(source,), upsert_key=source.upsert_key,
            order=order, proctime=first.time == PROCTIME,
        )  # fmt: skip
    if not c.options.is_bounded(node):
        keys = ", ".join(f"{k.expr.text()} {'DESC' if k.descending else 'ASC'}" for k in _written(node))
        raise UnsupportedError(
            f"ORDER BY {keys} never has its last row: the input does not end",
            hint="add LIMIT n for the first rows as they are by now, order by a time attribute ascending, "
            "or bound the tables that are read",
        )
    return p.Sort(schema=node.schema, inputs=(source,), upsert_key=source.upsert_key, order=order)


def _written(node: l.Sort) -> list[SortKey]:
    """The sort keys as they were written: over what the projection below reads."""
    if not isinstance(node.input, l.Project):
        return list(node.keys)
    return [replace(k, expr=substitute(k.expr, node.input.exprs)) for k in node.keys]


def order_keys(keys: Sequence[SortKey]) -> Order:
    """Sort keys over columns. A column that comes again decides nothing."""
    found: dict[int, OrderKey] = {}
    for key in keys:
        assert isinstance(key.expr, InputRef), key.expr.text()
        found.setdefault(key.expr.index, OrderKey(key.expr.index, key.descending, key.effective_nulls_first))
    return tuple(found.values())


# -- rows with further columns -------------------------------------------------------------------------------------
def with_columns(source: p.PhysicalNode, exprs: Sequence[Expr]) -> tuple[p.PhysicalNode, list[int]]:
    """``source`` with a column for each of ``exprs``, and where they are; columns that are there stay."""
    fields, added = list(source.schema), list[Expr](refs(source.schema))
    at: list[int] = []
    for e in exprs:
        if isinstance(e, InputRef):
            at.append(e.index)
            continue
        if e not in added:
            fields.append(Field(f"${len(fields)}", e.type))
            added.append(e)
        at.append(added.index(e))
    if len(added) == len(source.schema):
        return source, at
    made = p.Calc(
        schema=Schema(tuple(fields)), inputs=(source,), mode=source.mode, upsert_key=source.upsert_key,
        exprs=tuple(added),
    )  # fmt: skip
    return made, at


def order_columns(source: p.PhysicalNode, keys: Sequence[SortKey]) -> tuple[p.PhysicalNode, Order]:
    """The rows with the columns they are ordered by, and the order; constants order nothing."""
    varying = [k for k in keys if input_refs(k.expr)]
    source, at = with_columns(source, [k.expr for k in varying])
    found: dict[int, OrderKey] = {}
    for key, i in zip(varying, at, strict=True):
        found.setdefault(i, OrderKey(i, key.descending, key.effective_nulls_first))
    return source, tuple(found.values())


# -- Top-N ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _TopN:
    """A filter on a rank: ``exprs`` and ``rest`` read the Over's columns."""

    over: l.Over
    range: RankRange
    exprs: tuple[Expr, ...]
    rest: Expr | None


def calc_or_top_n(node: l.LogicalNode, c: Converter) -> p.PhysicalNode:
    """The physical plan of a projection and filter: over ranked rows a Top-N."""
    found = _recognise(*_through_views(*merge(node)))
    if found is None:
        return calc(node, c)
    over, call = found.over, found.over.calls[0]
    source = c.convert(over.input)
    width = len(over.input.schema)
    source, partition = with_columns(source, call.partition)
    source, order = order_columns(source, call.order)
    exprs, rest = found.exprs, found.rest
    rank: Expr
    single = found.range.start == found.range.end
    if single and found.range.end is not None:
        rank = Literal(found.range.start, BIGINT().not_null())
    else:
        rank = InputRef(len(source.schema), over.schema[width].name, over.schema[width].type)
    columns = (*refs(over.input.schema), rank)
    computed = {
        e: InputRef(i, source.schema[i].name, e.type)
        for e, i in zip(call.partition, partition, strict=True)
        if not isinstance(e, InputRef)
    }
    reads = any(width in input_refs(e) for e in (*exprs, *([rest] if rest is not None else [])))
    exprs = tuple(transform(substitute(e, columns), lambda e: computed.get(e, e)) for e in exprs)
    rest = None if rest is None else substitute(rest, columns)
    ranked = _ranked(over, source, tuple(dict.fromkeys(partition)), order, found.range, reads and not single)
    if rest is None and is_identity(exprs, ranked.schema, node.schema):
        return ranked
    return p.Calc(
        schema=node.schema, inputs=(ranked,), mode=ranked.mode,
        upsert_key=project_key(ranked.upsert_key, exprs), exprs=exprs, condition=rest,
    )  # fmt: skip


def _ranked(
    over: l.Over,
    source: p.PhysicalNode,
    partition: tuple[int, ...],
    order: Order,
    range_: RankRange,
    with_rank: bool,
) -> p.PhysicalNode:
    function = over.calls[0].call.function.name
    unique = function == "ROW_NUMBER"
    first = unique and range_ == RankRange(1, 1)
    time = source.schema[order[0].column].time if len(order) == 1 else None
    fields = list(source.schema)
    if with_rank:
        width = len(over.input.schema)
        fields.append(Field(over.schema[width].name, over.schema[width].type))
    schema = Schema(tuple(fields))
    window = _window(over, partition)
    if window is not None and not source.updating:
        start, end = window
        kind = p.WindowDeduplicate if first and time == ROWTIME else p.WindowRank
        return kind(
            schema=schema, inputs=(source,), upsert_key=partition if first else source.upsert_key,
            function=function, range=range_, partition=partition, order=order, with_rank=with_rank,
            start=start, end=end, clock=window_columns(over.input)[end].clock,
        )  # fmt: skip
    if first and time in (ROWTIME, PROCTIME) and partition and not source.updating:
        keep_last = order[0].descending
        return p.Deduplicate(
            schema=schema, inputs=(source,), upsert_key=partition,
            mode=ChangelogMode.RETRACT if keep_last else ChangelogMode.INSERT_ONLY,
            key=partition, time=order[0].column, proctime=time == PROCTIME, keep_last=keep_last,
        )  # fmt: skip
    if unique and range_.start == range_.end:
        key: p.Key = partition
    elif unique and with_rank:
        key = (*partition, len(fields) - 1)
    else:
        key = source.upsert_key
    return p.Rank(
        schema=schema, inputs=(source,), mode=ChangelogMode.RETRACT, upsert_key=key, function=function,
        range=range_, partition=partition, order=order, with_rank=with_rank,
    )  # fmt: skip


def _window(over: l.Over, partition: Sequence[int]) -> tuple[int, int] | None:
    """The columns of the partition that are the start and the end of one window."""
    columns = window_columns(over.input)
    parts: dict[str, tuple[int, WindowColumns]] = {
        columns[i].role: (i, columns[i]) for i in partition if i in columns
    }
    if "start" not in parts or "end" not in parts or parts["start"][1].origin is not parts["end"][1].origin:
        return None
    return parts["start"][0], parts["end"][0]


def _through_views(base: l.LogicalNode, exprs: tuple[Expr, ...], condition: Expr | None) -> Merged:
    """The same over what a view of ranked rows is made of: all of them are then never made.

    A view that holds the best rows only stays, so that it can be asked for by name.
    """
    while isinstance(base, l.View) and condition is not None:
        inner, below, more = merge(base.input)
        if _recognise(inner, below, more) is not None:
            break
        conditions = [*([] if more is None else [more]), substitute(condition, below)]
        exprs = tuple(substitute(e, below) for e in exprs)
        base, condition = inner, conjunction(conditions)
    return base, exprs, condition


def keeps_last(node: l.LogicalNode) -> tuple[l.Over, tuple[Expr, ...], Expr | None] | None:
    """The ROW_NUMBER of a view that keeps the last row by event time of each key of rows that are only inserted, its
    projection and what else it asks; None for anything else.
    """
    found = _recognise(*_through_views(*merge(node)))
    if found is None or found.range != RankRange(1, 1):
        return None
    call = found.over.calls[0]
    if call.call.function.name != "ROW_NUMBER" or not call.partition or len(call.order) != 1:
        return None
    key, schema = call.order[0], found.over.input.schema
    by_time = isinstance(key.expr, InputRef) and schema[key.expr.index].time == ROWTIME and key.descending
    plain = all(isinstance(e, InputRef) for e in call.partition)
    return (found.over, found.exprs, found.rest) if by_time and plain else None


def _recognise(base: l.LogicalNode, exprs: tuple[Expr, ...], condition: Expr | None) -> _TopN | None:
    if not isinstance(base, l.Over) or len(base.calls) != 1 or condition is None:
        return None
    call = base.calls[0]
    if call.call.function.name not in RANKS or call.frame:
        return None
    rank = len(base.input.schema)
    start, end = 1, None
    rest: list[Expr] = []
    for conjunct in conjuncts(condition):
        bounds = _bounds(conjunct, rank)
        if bounds is None:
            rest.append(conjunct)
            continue
        low, high = bounds
        start = max(start, low)
        end = high if end is None else end if high is None else min(end, high)
    if end is None:
        return None
    return _TopN(base, RankRange(start, end), exprs, conjunction(rest) if rest else None)


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}


def _bounds(e: Expr, rank: int) -> tuple[int, int | None] | None:
    """The lowest and highest rank that a condition on the rank alone leaves; None for any other condition."""
    if not isinstance(e, Call):
        return None
    name, args = e.function.name, e.args
    if name == "BETWEEN" and _is_rank(args[0], rank):
        low, high = _whole(args[1]), _whole(args[2])
        return None if low is None or high is None else (low, high)
    if name not in _MIRRORED:
        return None
    left, right = args
    if _is_rank(right, rank):
        left, right, name = right, left, _MIRRORED[name]
    n = _whole(right)
    if not _is_rank(left, rank) or n is None:
        return None
    return {"<": (1, n - 1), "<=": (1, n), "=": (n, n), ">": (n + 1, None), ">=": (n, None)}[name]


def _is_rank(e: Expr, rank: int) -> bool:
    while isinstance(e, Cast) and e.type.is_numeric:
        e = e.arg
    return isinstance(e, InputRef) and e.index == rank


def _whole(e: Expr) -> int | None:
    value = literal_value(e)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
