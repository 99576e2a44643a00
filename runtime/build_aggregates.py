"""Aggregate calls to SQL: step partials for the incremental GroupAggregate, slice partials for windows, whole groups.

Every function here gets calls whose arguments are compiled SQL over ``c0 …``; ``w`` is the weight column of updating
inputs and ``i`` the arrival order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from streamsql.datatypes import DataType, Root
from streamsql.planner.expressions import AggregateCall, Expr
from streamsql.planner.functions.aggregates import divide_sum
from streamsql.planner.functions.base import BatchAggregate
from streamsql.planner.sql_parts import wrap

from .accumulators import Accumulator, Count, Extremum, Picked, RowCount, Sum

Compile = Callable[[Expr], str]

LINEAR = ("COUNT", "SUM", "AVG")
INSERT_ONLY = ("MIN", "MAX", "FIRST_VALUE", "LAST_VALUE")


def is_incremental(call: AggregateCall, *, weighted: bool) -> bool:
    """Whether the call has an accumulator for this kind of input; else its groups are recomputed."""
    name = call.function.name
    if call.function.user_defined or call.order_by:
        return False
    if name in LINEAR:
        return not any(t.type.is_interval for t in call.args)
    comparable = not (call.type.is_nested or call.type.is_interval or call.type.root is Root.BOOLEAN)
    return name in INSERT_ONLY and not weighted and (comparable or name.endswith("VALUE"))


def needs_order(calls: Sequence[AggregateCall]) -> bool:
    """Whether some call depends on arrival order."""
    return any(c.function.name not in ("COUNT", "SUM", "AVG", "MIN", "MAX") for c in calls)


def is_distinct(call: AggregateCall) -> bool:
    """Whether DISTINCT makes a difference."""
    return call.distinct and call.function.name not in ("MIN", "MAX", "FIRST_VALUE", "LAST_VALUE")


def where(*conditions: str | None) -> str:
    """A FILTER clause of the conditions that are there."""
    present = [f"({c})" for c in conditions if c]
    return f" FILTER (WHERE {' AND '.join(present)})" if present else ""


def argument_type(call: AggregateCall) -> DataType:
    return call.args[0].type


def sum_type(call: AggregateCall) -> pa.DataType:
    """The Arrow type of partial sums of the call's argument."""
    t = argument_type(call)
    if t.root is Root.DECIMAL:
        return pa.decimal128(38, t.scale)
    return pa.float64() if t.is_approximate else pa.int64()


def _count_sql(condition: str, *, weighted: bool) -> str:
    counted = f"sum(w){condition}" if weighted else f"count(*){condition}"
    return f"coalesce({counted}, 0)::BIGINT"


def _sum_sql(call: AggregateCall, x: str, condition: str, *, weighted: bool) -> str:
    t = argument_type(call)
    if t.root is Root.DECIMAL:
        target = f"DECIMAL(38,{t.scale})"
        if weighted:
            x = f"(CASE WHEN w = 1 THEN {x} WHEN w = -1 THEN -{x} ELSE ({x} * w)::{target} END)"
        return f"sum({x}){condition}::{target}"
    if t.is_approximate:
        return f"sum({x}{' * w' if weighted else ''}){condition}::DOUBLE"
    if weighted:
        x = f"({x}::HUGEINT * w)" if t.root is Root.BIGINT else f"({x}::BIGINT * w)"
    return _as_bigint(f"sum({x}){condition}", t)


def _as_bigint(total: str, argument: DataType) -> str:
    """A HUGEINT sum as BIGINT: it wraps around as Flink's does. Only sums of BIGINT can be so large."""
    return wrap(total, Root.BIGINT) if argument.root is Root.BIGINT else f"{total}::BIGINT"


def _row_sum_sql(call: AggregateCall, x: str, condition: str | None, *, weighted: bool) -> str:
    """What one row adds to the sum of :func:`_sum_sql`; NULL is nothing."""
    t = argument_type(call)
    if t.is_approximate:
        value = f"({x}{' * w' if weighted else ''})::DOUBLE"
    elif weighted and t.root is Root.BIGINT:
        value = wrap(f"{x}::HUGEINT * w", Root.BIGINT)
    else:
        value = f"({x}::BIGINT{' * w' if weighted else ''})"
    return f"CASE WHEN {condition} THEN {value} END" if condition is not None else value


def _row_count_sql(*conditions: str | None, weighted: bool) -> str:
    present = [f"({c})" for c in conditions if c]
    counted = "w" if weighted else "1::BIGINT"
    return f"CASE WHEN {' AND '.join(present)} THEN {counted} ELSE 0 END" if present else counted


def accumulator(call: AggregateCall, compile_: Compile, *, weighted: bool) -> Accumulator:
    """The accumulator of an incremental call, with its partial columns as SQL."""
    args = [compile_(a) for a in call.args]
    condition = compile_(call.filter) if call.filter is not None else None
    name = call.function.name
    if name == "COUNT":
        present = [f"{a} IS NOT NULL" for a, e in zip(args, call.args, strict=True) if e.type.nullable]
        if not present and condition is None and not call.distinct:
            return RowCount()
        return Count(
            _count_sql(where(condition, *present), weighted=weighted),
            _row_count_sql(condition, *present, weighted=weighted),
        )
    x = args[0]
    valid = where(condition, f"{x} IS NOT NULL")
    if name in ("SUM", "AVG"):
        total = _sum_sql(call, x, where(condition), weighted=weighted)
        count = _count_sql(valid, weighted=weighted)
        average = name == "AVG"
        t = argument_type(call)
        if t.root is Root.DECIMAL:
            return Sum.decimal(total, count, call.type, t.scale, average=average)
        summands = (
            _row_sum_sql(call, x, condition, weighted=weighted),
            _row_count_sql(condition, f"{x} IS NOT NULL", weighted=weighted),
        )
        return Sum(total, count, call.type, average=average, summands=summands)
    if name in ("MIN", "MAX"):
        return Extremum(f"{name.lower()}({x}){where(condition)}", call.type, smallest=name == "MIN")
    pick = "arg_min" if name == "FIRST_VALUE" else "arg_max"
    return Picked(f"{pick}({x}, i){valid}", call.type, first=name == "FIRST_VALUE")


@dataclass(frozen=True)
class DistinctGroup:
    """Calls that share one argument list and filter: their values are deduplicated once."""

    args: tuple[Expr, ...]
    filter: Expr | None
    positions: tuple[int, ...]


def distinct_groups(calls: Sequence[AggregateCall]) -> list[DistinctGroup]:
    groups: dict[tuple[tuple[Expr, ...], Expr | None], list[int]] = {}
    for i, call in enumerate(calls):
        if is_distinct(call):
            groups.setdefault((call.args, call.filter), []).append(i)
    return [DistinctGroup(args, f, tuple(positions)) for (args, f), positions in groups.items()]


# -- windows: partials that merge ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Partial:
    """One partial column: its SQL over rows, its type, and its merge over partials (``{p}`` is the column).

    ``sums``: the merge is a sum of BIGINT that wraps around, or of DOUBLE, with NULL as 0.
    """

    sql: str
    type: pa.DataType
    merge: str
    sums: bool = False


def slice_partials(call: AggregateCall, compile_: Compile, *, weighted: bool) -> list[Partial] | None:
    """The partial columns of a call, or None where it has no partial form and the rows are kept."""
    if is_distinct(call) or not is_incremental(call, weighted=weighted):
        return None
    args = [compile_(a) for a in call.args]
    condition = compile_(call.filter) if call.filter is not None else None
    name = call.function.name
    if name == "COUNT":
        present = [f"{a} IS NOT NULL" for a, e in zip(args, call.args, strict=True) if e.type.nullable]
        return [
            Partial(
                _count_sql(where(condition, *present), weighted=weighted),
                pa.int64(),
                "sum({p})::BIGINT",
                sums=True,
            )
        ]
    x = args[0]
    valid = where(condition, f"{x} IS NOT NULL")
    if name in ("SUM", "AVG"):
        total = sum_type(call)
        if pa.types.is_decimal(total):
            merge = f"sum({{p}})::DECIMAL(38,{total.scale})"
        elif pa.types.is_floating(total):
            merge = "sum({p})::DOUBLE"
        else:
            merge = _as_bigint("sum({p})", argument_type(call))
        return [
            Partial(
                _sum_sql(call, x, where(condition), weighted=weighted),
                total,
                merge,
                sums=not pa.types.is_decimal(total),
            ),
            Partial(_count_sql(valid, weighted=weighted), pa.int64(), "sum({p})::BIGINT", sums=True),
        ]
    if name in ("MIN", "MAX"):
        f = name.lower()
        return [Partial(f"{f}({x}){where(condition)}", call.type.arrow, f"{f}({{p}})")]
    pick, order = ("arg_min", "min") if name == "FIRST_VALUE" else ("arg_max", "max")
    return [
        Partial(f"{pick}({x}, i){valid}", call.type.arrow, f"{pick}({{p}}, {{next}})"),
        Partial(f"{order}(i){valid}", pa.int64(), f"{order}({{p}})"),
    ]


def final_sql(call: AggregateCall, columns: Sequence[str]) -> str:
    """The call's value from its merged partial columns."""
    name, target = call.function.name, call.type.duckdb
    if name == "COUNT":
        return f"coalesce({columns[0]}, 0)::BIGINT"
    if name == "SUM":
        total = wrap(columns[0], call.type.root) if call.type.is_integer else f"{columns[0]}::{target}"
        return f"CASE WHEN {columns[1]} > 0 THEN {total} END"
    if name == "AVG":
        return f"CASE WHEN {columns[1]} > 0 THEN {_average(call, columns[0], columns[1])}::{target} END"
    return columns[0]


def _average(call: AggregateCall, total: str, count: str) -> str:
    t = argument_type(call)
    if t.is_approximate:
        return f"({total} / {count})"
    if t.root is Root.DECIMAL:
        return divide_sum(total, count, t.scale, call.type)
    return f"(sign({total}) * (abs({total}::HUGEINT) // {count}))"


# -- whole groups --------------------------------------------------------------------------------------------------


def batch_sql(call: AggregateCall, compile_: Compile, order: str | None) -> str:
    """The call over all rows of a group, as DuckDB SQL of Flink's answer in its exact type."""
    keys = [
        f"{compile_(k.expr)} {'DESC' if k.descending else 'ASC'} NULLS {'FIRST' if k.effective_nulls_first else 'LAST'}"
        for k in call.order_by
    ]
    value = call.function.compile_batch(
        BatchAggregate(
            args=tuple(compile_(a) for a in call.args),
            arg_types=tuple(a.type for a in call.args),
            type=call.type,
            distinct=call.distinct,
            filter=compile_(call.filter) if call.filter is not None else None,
            order=", ".join([*keys, *([order] if order else [])]) or None,
            options=dict(call.options),
        )
    )
    return f"CAST({value} AS {call.type.duckdb})"
