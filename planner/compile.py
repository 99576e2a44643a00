"""Bound expressions to DuckDB SQL whose value has exactly the DuckDB type of the expression.

The differences between Flink and DuckDB (casts, integer division, overflow, texts of numbers, NULL rules) live in
``casts.py`` and in the function records; here the pieces are put together.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from streamsql.datatypes import DataType, Root

from .casts import cast_sql
from .expressions import AggregateCall, Call, Cast, Expr, FieldAccess, InputRef, Literal, SortKey
from .functions.base import BatchAggregate, CompileContext, Invocation, is_volatile
from .sql_parts import cast, quote

__all__ = ["CompileContext", "compile_aggregate", "compile_expr", "compile_sort_key", "literal_sql"]

DEFAULT_CONTEXT = CompileContext()


def compile_expr(expr: Expr, columns: Sequence[str], ctx: CompileContext = DEFAULT_CONTEXT) -> str:
    """DuckDB SQL of ``expr`` over input columns whose SQL (quoted already) is ``columns``.

    Raises UnsupportedError for what only shows now, such as a JSON path or a date pattern that cannot be translated.
    """
    match expr:
        case InputRef():
            return columns[expr.index]
        case Literal():
            return literal_sql(expr.value, expr.type)
        case Cast():
            arg = compile_expr(expr.arg, columns, ctx)
            return cast_sql(arg, expr.arg.type, expr.type, safe=expr.safe, volatile=is_volatile(expr.arg))
        case FieldAccess():
            return f"struct_extract({compile_expr(expr.arg, columns, ctx)}, {quote(expr.name)})"
        case Call():
            args = tuple(compile_expr(a, columns, ctx) for a in expr.args)
            sql = expr.function.compile(Invocation(expr, args, ctx))
            return sql if expr.function.exact else cast(sql, expr.type.duckdb)
        case _:
            raise TypeError(f"{type(expr).__name__} is not compiled here")


def compile_sort_key(key: SortKey, columns: Sequence[str], ctx: CompileContext = DEFAULT_CONTEXT) -> str:
    """One ORDER BY item, with Flink's place of NULLs."""
    direction = "DESC" if key.descending else "ASC"
    nulls = "FIRST" if key.effective_nulls_first else "LAST"
    return f"{compile_expr(key.expr, columns, ctx)} {direction} NULLS {nulls}"


def compile_aggregate(
    call: AggregateCall,
    columns: Sequence[str],
    ctx: CompileContext = DEFAULT_CONTEXT,
    *,
    order: str | None = None,
    window: str | None = None,
) -> str:
    """DuckDB SQL of an aggregate over whole groups, or over ``window`` (what stands in OVER's parentheses).

    ``order`` is the SQL of the arrival order; an ORDER BY of the call itself goes before it.
    """
    keys = [compile_sort_key(k, columns, ctx) for k in call.order_by]
    order = ", ".join([*keys, *([order] if order else [])]) or None
    batch = BatchAggregate(
        args=tuple(compile_expr(a, columns, ctx) for a in call.args),
        arg_types=tuple(a.type for a in call.args),
        type=call.type,
        distinct=call.distinct,
        filter=None if call.filter is None else compile_expr(call.filter, columns, ctx),
        order=order,
        options=dict(call.options),
        window=window,
    )
    return cast(call.function.compile_batch(batch), call.type.duckdb)


def literal_sql(value: object, type_: DataType) -> str:
    """A constant of exactly the DuckDB type."""
    if value is None:
        return cast("NULL", type_.duckdb)
    match type_.root:
        case Root.CHAR | Root.VARCHAR:
            return quote(str(value))
        case Root.BOOLEAN:
            return "true" if value else "false"
        case Root.INT:
            return str(value) if isinstance(value, int) and value >= 0 else cast(f"{value}", "INTEGER")
        case Root.TINYINT | Root.SMALLINT | Root.BIGINT:
            return cast(str(value), type_.duckdb)
        case Root.DECIMAL | Root.FLOAT | Root.DOUBLE:
            return cast(quote(f"{value:f}" if type_.root is Root.DECIMAL else repr(value)), type_.duckdb)
        case Root.BINARY | Root.VARBINARY:
            assert isinstance(value, bytes)
            return f"unhex('{value.hex()}')"
        case Root.INTERVAL_MONTH:
            return f"to_months({value})"
        case Root.INTERVAL_SECOND:
            return f"to_milliseconds({value})"
        case Root.DATE | Root.TIME | Root.TIMESTAMP | Root.TIMESTAMP_LTZ:
            return _moment_sql(value, type_)
        case _:
            raise TypeError(f"no literal of type {type_}")


def _moment_sql(value: object, type_: DataType) -> str:
    if isinstance(value, dt.datetime) and type_.root is Root.TIMESTAMP_LTZ:
        epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        return f"make_timestamptz({(value - epoch) // dt.timedelta(microseconds=1)})"
    assert isinstance(value, dt.date | dt.time)
    text = value.isoformat(" ") if isinstance(value, dt.datetime) else value.isoformat()
    return f"{type_.root.value} '{text}'"
