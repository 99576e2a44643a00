"""Aggregates and window functions: result types, and DuckDB SQL that computes them over whole groups.

NULLs are not aggregated. Over no rows an aggregate is NULL, COUNT is 0.

Source: Flink 2.x, LogicalTypeMerging.findSumAggType and findAvgAggType.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from streamsql.datatypes import (
    ARRAY,
    BIGINT,
    DOUBLE,
    INT,
    MULTISET,
    STRING,
    DataType,
    Root,
    common_type,
)  # fmt: skip
from streamsql.errors import UnsupportedError

from ..sql_parts import cast, wrap
from .base import AggregateDef, BatchAggregate, Infer, TypeMismatch, literal_value
from .coercion import as_type, short
from .decimals import unscaled
from .json import to_json
from .signatures import Signature

if TYPE_CHECKING:
    from ..expressions import Expr

CompileBatch = Callable[[BatchAggregate], str]
CATEGORY = "aggregate"
WINDOW = "window"


# -- result types ----------------------------------------------------------------------------------------------


def sum_type(type_: DataType) -> DataType:
    """SUM keeps integers and floats; of DECIMAL(p, s) it is DECIMAL(38, s)."""
    return DataType(Root.DECIMAL, precision=38, scale=type_.scale) if type_.root is Root.DECIMAL else type_


def average_type(type_: DataType) -> DataType:
    """AVG keeps integers and floats; of DECIMAL(p, s) it is DECIMAL(38, max(6, s))."""
    if type_.root is not Root.DECIMAL:
        return type_
    return DataType(Root.DECIMAL, precision=38, scale=max(6, type_.scale))


def _of_first(rule: Callable[[DataType], DataType] = lambda t: t) -> Infer:
    def infer(args: Sequence[Expr]) -> DataType:
        return rule(args[0].type).with_nullable(args[0].type.nullable)

    return infer


def _fixed(type_: DataType, nullable: bool) -> Infer:
    return lambda args: type_.with_nullable(nullable)


# -- sums and averages -----------------------------------------------------------------------------------------


def _count(agg: BatchAggregate) -> str:
    if not agg.args:
        return f"count(*){agg.over()}"
    if len(agg.args) == 1:
        return f"count({agg.distinct_sql}{agg.args[0]}){agg.over()}"
    known = " AND ".join(f"{a} IS NOT NULL" for a in agg.args)
    value = f"row({', '.join(agg.args)})" if agg.distinct else "*"
    return f"count({agg.distinct_sql}{value}){agg.over(known)}"


def _sum(agg: BatchAggregate) -> str:
    total = f"sum({agg.distinct_sql}{agg.args[0]}){agg.over()}"
    if agg.type.is_integer:
        return wrap(f"CAST({total} AS HUGEINT)", agg.type.root)
    return cast(total, agg.type.duckdb)


def _avg(agg: BatchAggregate) -> str:
    total = f"sum({agg.distinct_sql}{agg.args[0]}){agg.over()}"
    count = f"nullif(count({agg.distinct_sql}{agg.args[0]}){agg.over()}, 0)"
    if agg.type.is_integer:
        whole = wrap(f"CAST({total} AS HUGEINT)", Root.BIGINT)
        return wrap(f"CAST({whole} AS HUGEINT) // {count}", agg.type.root)
    if agg.type.is_approximate:
        return cast(f"({total} / {count})", agg.type.duckdb)
    return divide_sum(total, count, agg.arg_types[0].scale, agg.type)


def divide_sum(total: str, count: str, scale: int, type_: DataType) -> str:
    """The exact DECIMAL quotient of a DECIMAL(38, scale) sum and a count, half up."""
    digits = f"{unscaled(total, scale)} * {10 ** (type_.scale - scale)}"
    up = f"CASE WHEN abs(({digits}) % {count}) * 2 >= {count} THEN sign({total}) ELSE 0 END"
    whole = f"CAST(({digits}) // {count} + {up} AS DECIMAL(38,0))"
    return cast(f"({whole} * CAST(1e-{type_.scale} AS DECIMAL(38,{type_.scale})))", type_.duckdb)


def _deviation(function: str) -> CompileBatch:
    """DuckDB's on doubles; of integers the result is cut to an integer, as Flink's type rule has it."""

    def compile_(agg: BatchAggregate) -> str:
        value = f"{function}({agg.distinct_sql}CAST({agg.args[0]} AS DOUBLE)){agg.over()}"
        if agg.type.is_integer:
            return cast(f"trunc({value})", agg.type.duckdb)
        return cast(value, agg.type.duckdb)

    return compile_


# -- values ------------------------------------------------------------------------------------------------------


def _extreme(function: str) -> CompileBatch:
    return lambda agg: f"{function}({agg.args[0]}){agg.over()}"


def _edge(last: bool) -> CompileBatch:
    """The first or last value by arrival; NULLs are passed over unless RESPECT NULLS."""

    def compile_(agg: BatchAggregate) -> str:
        respect = agg.options.get("nulls") == "RESPECT"
        if agg.window is not None:
            value = f"CASE WHEN {agg.filter} THEN {agg.args[0]} END" if agg.filter else agg.args[0]
            nulls = "" if respect else " IGNORE NULLS"
            return f"{'last' if last else 'first'}_value({value}{nulls}) OVER ({agg.window})"
        if agg.order is None:
            known = None if respect else f"{agg.args[0]} IS NOT NULL"
            return f"{'last' if last else 'first'}({agg.args[0]}){agg.over(known)}"
        name = f"arg_{'max' if last else 'min'}"
        if respect:
            return f"{'last' if last else 'first'}({agg.args[0]}{agg.ordered()}){agg.over()}"
        return f"{name}({agg.args[0]}, {agg.order}){agg.over()}"

    return compile_


def _list_agg(agg: BatchAggregate) -> str:
    separator = agg.args[1] if len(agg.args) > 1 else "','"
    order = f" ORDER BY {agg.args[0]}" if agg.distinct else agg.ordered()
    return f"string_agg({agg.distinct_sql}{agg.args[0]}, {separator}{order}){agg.over()}"


def _list_agg_args(args: Sequence[Expr]) -> Sequence[Expr]:
    if len(args) > 1 and not isinstance(literal_value(args[1]), str):
        raise UnsupportedError("LISTAGG needs a constant separator", hint="write it as a literal")
    return args


def _collect(agg: BatchAggregate) -> str:
    value = f"histogram({agg.distinct_sql}{agg.args[0]}){agg.over(f'{agg.args[0]} IS NOT NULL')}"
    return f"coalesce(CAST({value} AS {agg.type.duckdb}), CAST(MAP {{}} AS {agg.type.duckdb}))"


def _array_agg(agg: BatchAggregate) -> str:
    known = f"{agg.args[0]} IS NOT NULL" if agg.options.get("nulls") == "IGNORE" else None
    order = f" ORDER BY {agg.args[0]}" if agg.distinct else agg.ordered()
    return f"list({agg.distinct_sql}{agg.args[0]}{order}){agg.over(known)}"


def _array_agg_type(args: Sequence[Expr]) -> DataType:
    return ARRAY(args[0].type)


def _json_object_agg(agg: BatchAggregate) -> str:
    """Keys must be unique; values in order of arrival."""
    key, value = agg.args[0], to_json(agg.args[1], agg.arg_types[1])
    absent = agg.options.get("on_null") == "ABSENT"
    shown = value if absent else f"coalesce({value}, 'null')"
    entry = f"CAST(to_json({key}) AS VARCHAR) || ':' || {shown}"
    condition = f"{agg.args[1]} IS NOT NULL" if absent else None
    body = f"coalesce(string_agg({entry}, ','{agg.ordered()}){agg.over(condition)}, '')"
    unique = f"count(DISTINCT {key}){agg.over()} = count(*){agg.over()}"
    error = "CAST(error('JSON_OBJECTAGG: a key occurs twice') AS VARCHAR)"
    return f"CASE WHEN {unique} THEN '{{' || {body} || '}}' ELSE {error} END"


def _json_array_agg(agg: BatchAggregate) -> str:
    value = to_json(agg.args[0], agg.arg_types[0])
    if agg.options.get("on_null") == "NULL":
        value, condition = f"coalesce({value}, 'null')", None
    else:
        condition = f"{agg.args[0]} IS NOT NULL"
    return f"('[' || coalesce(string_agg({value}, ','{agg.ordered()}){agg.over(condition)}, '') || ']')"


def _single_value(agg: BatchAggregate) -> str:
    error = f"CAST(error('a sub-query that is used as a value has more than one row') AS {agg.type.duckdb})"
    return f"CASE WHEN count(*){agg.over()} > 1 THEN {error} ELSE first({agg.args[0]}){agg.over()} END"


def _percentile(agg: BatchAggregate) -> str:
    return cast(f"quantile_cont(CAST({agg.args[0]} AS DOUBLE), {agg.args[1]}){agg.over()}", agg.type.duckdb)


def _percentile_args(args: Sequence[Expr]) -> Sequence[Expr]:
    if len(args) > 2:
        raise UnsupportedError("PERCENTILE with a frequency is not supported")
    if literal_value(args[1]) is None:
        raise UnsupportedError("PERCENTILE needs a constant percentage", hint="write a number in [0, 1]")
    return args


# -- window functions --------------------------------------------------------------------------------------------


def _window(function: str) -> CompileBatch:
    return lambda agg: f"{function}({', '.join(agg.args)}){agg.over()}"


def _shifted_args(args: Sequence[Expr]) -> Sequence[Expr]:
    if len(args) < 3:
        return args
    found = common_type(args[0].type, args[2].type)
    if found is None:
        raise TypeMismatch(f"the default has type {short(args[2].type)}, the value {short(args[0].type)}")
    return (as_type(args[0], found), args[1], as_type(args[2], found))


def _shifted_type(args: Sequence[Expr]) -> DataType:
    nullable = args[0].type.nullable or len(args) < 3 or args[2].type.nullable
    return args[0].type.with_nullable(nullable)


def _aggregate(
    name: str, signature: str | Sequence[str], result: str, infer: Infer, compile_batch: CompileBatch, description: str,
    **options: Any,
) -> AggregateDef:  # fmt: skip
    signatures = (signature,) if isinstance(signature, str) else tuple(signature)
    parsed = tuple(Signature.parse(s) for s in signatures)
    category = options.pop("category", CATEGORY)
    return AggregateDef(name, category, parsed, result, description, infer, compile_batch, **options)


def _rank(
    name: str, type_: DataType, description: str, signature: str = "()", **options: object
) -> AggregateDef:
    return _aggregate(name, signature, type_.sql(), _fixed(type_, False), _window(name.lower()), description,
                      category=WINDOW, kind="window", **options)  # fmt: skip


def _spread(name: str, function: str, description: str, **options: Any) -> AggregateDef:
    return _aggregate(
        name, "(NUMERIC)", "as AVG", _of_first(average_type), _deviation(function), description, **options
    )


AGGREGATES: tuple[AggregateDef, ...] = (
    _aggregate("COUNT", "([ANY...])", "BIGINT NOT NULL", _fixed(BIGINT(), False), _count,
               "The number of rows, or of those where the expression is not NULL, or of its distinct values.",
               syntax=("COUNT(*)", "COUNT([ALL | DISTINCT] expression)", "COUNT(DISTINCT expression1[, "
                                                                         "expression2]*)")),
    _aggregate("SUM", "(NUMERIC)", "type of the expression; DECIMAL(38, s) of DECIMAL(p, s)", _of_first(sum_type), _sum,
               "The sum; integers wrap around."),
    _aggregate("AVG", "(NUMERIC)", "type of the expression; DECIMAL(38, max(6, s)) of DECIMAL(p, s)",
               _of_first(average_type), _avg, "The mean; of integers cut to an integer."),
    _aggregate("MIN", "(ANY)", "type of the expression", _of_first(), _extreme("min"), "The least value."),
    _aggregate("MAX", "(ANY)", "type of the expression", _of_first(), _extreme("max"), "The greatest value."),
    _aggregate("FIRST_VALUE", "(ANY)", "type of the expression", _of_first(), _edge(False),
               "The first value in order of arrival; NULLs are passed over."),
    _aggregate("LAST_VALUE", "(ANY)", "type of the expression", _of_first(), _edge(True),
               "The last value in order of arrival; NULLs are passed over."),
    _aggregate("LISTAGG", "(STRING[, STRING])", "STRING", _fixed(STRING(), True), _list_agg,
               "The texts joined, in order of arrival, with a separator (',').", coerce=_list_agg_args),
    _aggregate("COLLECT", "(ANY)", "MULTISET",
               lambda args: MULTISET(args[0].type.with_nullable(True)).not_null(), _collect,
               "A multiset of the values."),
    _aggregate("ARRAY_AGG", "(ANY)", "ARRAY", _array_agg_type, _array_agg,
               "An array of the values in order of arrival, NULLs included unless IGNORE NULLS.",
               syntax=("ARRAY_AGG([ALL | DISTINCT] expression) [{RESPECT | IGNORE} NULLS]",)),
    _spread("STDDEV_POP", "stddev_pop", "The standard deviation of the population."),
    _spread("STDDEV_SAMP", "stddev_samp", "The standard deviation of the sample.", aliases=("STDDEV",)),
    _spread("VAR_POP", "var_pop", "The variance of the population."),
    _spread("VAR_SAMP", "var_samp", "The variance of the sample.", aliases=("VARIANCE",)),
    _aggregate("JSON_OBJECTAGG", "(STRING, ANY)", "STRING NOT NULL", _fixed(STRING(), False), _json_object_agg,
               "A JSON object of keys and values; an error if a key occurs twice.",
               syntax=("JSON_OBJECTAGG([KEY] key VALUE value [{NULL | ABSENT} ON NULL])",)),
    _aggregate("JSON_ARRAYAGG", "(ANY)", "STRING NOT NULL", _fixed(STRING(), False), _json_array_agg,
               "A JSON array of the values in order of arrival.",
               syntax=("JSON_ARRAYAGG(item [{NULL | ABSENT} ON NULL])",)),
    _aggregate("APPROX_COUNT_DISTINCT", "(ANY)", "BIGINT NOT NULL", _fixed(BIGINT(), False),
               lambda agg: f"approx_count_distinct({agg.args[0]}){agg.over()}",
               "About how many distinct values there are (HyperLogLog)."),
    _aggregate("PERCENTILE", "(NUMERIC, NUMERIC[, INT])", "DOUBLE", _fixed(DOUBLE(), True), _percentile,
               "The exact percentile, interpolated.", coerce=_percentile_args,
               syntax=("PERCENTILE(expression, percentage)",)),
    _aggregate("SINGLE_VALUE", "(ANY)", "type of the expression", lambda args: args[0].type.with_nullable(True),
               _single_value, "The value of the only row; an error if there are more."),
    _rank("ROW_NUMBER", BIGINT(), "The number of the row in its partition, from 1."),
    _rank("RANK", BIGINT(), "One more than the number of rows before it in the order; equal rows rank equal."),
    _rank("DENSE_RANK", BIGINT(), "Like RANK without gaps."),
    _rank("CUME_DIST", DOUBLE(), "The share of rows up to this one in the order."),
    _rank("PERCENT_RANK", DOUBLE(), "(RANK - 1) / (rows - 1); 0 for a single row."),
    _rank("NTILE", INT(), "The number of the bucket, of n, that the row falls into.", "(INT)"),
    _aggregate("LAG", "(ANY[, INT, ANY])", "type of the expression", _shifted_type, _window("lag"),
               "The value some rows (1) before, or the default.", coerce=_shifted_args, category=WINDOW, kind="window"),
    _aggregate("LEAD", "(ANY[, INT, ANY])", "type of the expression", _shifted_type, _window("lead"),
               "The value some rows (1) after, or the default.", coerce=_shifted_args, category=WINDOW, kind="window"),
)  # fmt: skip
