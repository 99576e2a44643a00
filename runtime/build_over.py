"""OverAggregate nodes to operators."""

from __future__ import annotations

from dataclasses import replace

from streamsql.planner import physical as p
from streamsql.planner.compile import compile_aggregate, compile_sort_key
from streamsql.planner.expressions import Cast, InputRef
from streamsql.planner.logical import OverCall
from streamsql.planner.physical.over import history, is_running

from .build_calc import Fusion, what
from .build_ranks import emit
from .engine import internal_names, internal_schema
from .operators.base import Operator
from .operators.over import OverByTime, OverConfig, OverRunning
from .operators.partition_recompute import PartitionRecompute, PartitionRecomputeConfig


def over_aggregate(node: p.OverAggregate, fusion: Fusion) -> Operator:
    """Window functions."""
    if node.time is None:
        return _recompute(node, fusion)
    return _running(node, fusion) if keeps_values(node) else _by_time(node, fusion)


def keeps_values(node: p.OverAggregate) -> bool:
    """Whether a value a partition is enough: then its rows need not be kept."""
    return all(is_running(c) for c in node.calls)


def _running(node: p.OverAggregate, fusion: Fusion) -> Operator:
    """The value so far is one more row in front; it is added up with the values of the rows that are due."""
    source = node.inputs[0].schema
    width = len(source)
    columns = internal_names(width)
    lifted = [
        f"CASE WHEN due = 1 THEN {_lifted(c, node, fusion)} ELSE h{n} END AS l{n}"
        for n, c in enumerate(node.calls)
    ]
    values: list[str] = []
    for n, call in enumerate(node.calls):
        clause = _clause(call, node, "g")
        if call.call.function.name in ("COUNT", "ROW_NUMBER"):
            values.append(f"(sum(l{n}) OVER ({clause}))::BIGINT AS v{n}")
            continue
        carried = replace(call.call, args=(InputRef(width + n, f"l{n}", call.call.type),), filter=None)
        names = [*columns, *(f"l{m}" for m in range(len(node.calls)))]
        sql = compile_aggregate(carried, names, fusion.sql.context, order=None, window=clause)
        values.append(f"{sql} AS v{n}")
    inner = f"SELECT *, {', '.join(lifted)} FROM {{input}}"
    return OverRunning(_config(node, f"SELECT *, {', '.join(values)} FROM ({inner})", None, None))


def _lifted(call: OverCall, node: p.OverAggregate, fusion: Fusion) -> str:
    """What one row alone adds to the running value."""
    compile_ = fusion.compiler(node.inputs[0].schema)
    c = call.call
    condition = [] if c.filter is None else [f"({compile_(c.filter)})"]
    if c.function.name in ("COUNT", "ROW_NUMBER"):
        condition += [f"({compile_(a)}) IS NOT NULL" for a in c.args]
        return f"(CASE WHEN {' AND '.join(condition) or 'true'} THEN 1 ELSE 0 END)::BIGINT"
    (arg,) = c.args
    value = compile_(arg if arg.type.with_nullable(True) == c.type.with_nullable(True) else Cast(arg, c.type))
    return f"CASE WHEN {condition[0]} THEN {value} END" if condition else value


def _by_time(node: p.OverAggregate, fusion: Fusion) -> Operator:
    values = [f"{_value(c, node, fusion, _clause(c, node, 'g'))} AS v{n}" for n, c in enumerate(node.calls)]
    rows, ms = _history(node)
    return OverByTime(_config(node, f"SELECT *, {', '.join(values)} FROM {{input}}", rows, ms))


def _config(node: p.OverAggregate, inner: str, rows: int | None, ms: int | None) -> OverConfig:
    """``inner``: the rows with the values ``v0 …``. ``rows``, ``ms``: how much of the past these need."""
    source = node.inputs[0].schema
    shown = [*internal_names(len(source)), *(f"v{n}" for n in range(len(node.calls)))]
    return OverConfig(
        sql=f"SELECT {', '.join(shown)} FROM ({inner}) WHERE due = 1 ORDER BY i",
        rows=internal_schema(source),
        keys=node.partition,
        time=None if node.proctime else node.time,
        history_rows=rows,
        history_ms=ms,
        output=internal_schema(node.schema),
        what=what(node),
    )


def _history(node: p.OverAggregate) -> tuple[int | None, int | None]:
    """The most that the calls read of the rows before, in rows and in milliseconds; None, None: all."""
    bounds = [history(c) for c in node.calls]
    if (None, None) in bounds:
        return None, None
    rows, times = [r for r, _ in bounds if r is not None], [ms for _, ms in bounds if ms is not None]
    if node.proctime and times and rows:
        return None, None
    return max(rows, default=None), max(times, default=None)


def _clause(call: OverCall, node: p.OverAggregate, partition: str) -> str:
    """What stands in OVER's parentheses. By processing time, rows of one step follow each other as they arrive."""
    source = node.inputs[0].schema
    if node.proctime and "INTERVAL" not in call.frame:
        frame = call.frame.replace("RANGE", "ROWS") or "ROWS UNBOUNDED PRECEDING"
        return f"PARTITION BY {partition} ORDER BY i {frame}"
    by = [f"c{k.column}" for k in node.order]
    arrival = call.arrival(source, "i")
    return (
        f"PARTITION BY {partition} ORDER BY {', '.join([*by, *([arrival] if arrival else [])])} {call.frame}"
    )


def _recompute(node: p.OverAggregate, fusion: Fusion) -> Operator:
    """Any order over any input: keep the rows of each partition, compute those that a step touches."""
    source = node.inputs[0].schema
    columns = internal_names(len(source))
    values: list[str] = []
    for call in node.calls:
        by = [compile_sort_key(k, columns, fusion.sql.context) for k in call.order]
        arrival = call.arrival(source, "i")
        by += [arrival] if arrival else []
        order = f" ORDER BY {', '.join(by)}" if by else ""
        values.append(_value(call, node, fusion, f"PARTITION BY side, g{order} {call.frame}"))
    config = PartitionRecomputeConfig(
        sql=f"SELECT {', '.join(['g', 'side', *columns, *values])} FROM {{input}} ORDER BY g, side, i",
        rows=internal_schema(source),
        keys=node.partition,
        output=internal_schema(node.schema),
        what=what(node),
        emit=emit(node),
    )
    return PartitionRecompute(config)


def _value(call: OverCall, node: p.OverAggregate, fusion: Fusion, clause: str) -> str:
    columns = internal_names(len(node.inputs[0].schema))
    return compile_aggregate(call.call, columns, fusion.sql.context, order=None, window=clause)
