"""CAST: which types convert to which, and the DuckDB SQL whose value is Flink's.

DuckDB's own CAST differs from Flink's in many places: it rounds where Java truncates, raises where Java wraps,
prints ``true`` and ``1e+20`` where Java prints ``TRUE`` and ``1.0E20``, and parses more texts.

Source: Flink 2.x, "Data Types > CAST", CastRulesTest and CastFunctionITCase.
"""

from __future__ import annotations

from streamsql.datatypes import MAX_LENGTH, DataType, Root, common_type

from . import cast_texts as texts
from .sql_parts import cast, fresh_name, identifier, let, wrap

_POINTS = (Root.DATE, Root.TIME, Root.TIMESTAMP, Root.TIMESTAMP_LTZ)
_FLOAT_LIMIT = {Root.INT: (2147483647, "INTEGER"), Root.BIGINT: (9223372036854775807, "BIGINT")}


def can_cast(source: DataType, target: DataType) -> bool:
    """Whether an explicit CAST is allowed, Flink's matrix."""
    if source.root is Root.NULL or (source.root is target.root and not source.is_nested):
        return True
    if target.is_string:
        return True
    if source.is_string:
        return not target.is_interval and not target.is_nested
    if source.is_binary or target.is_binary:
        return source.is_binary and target.is_binary
    if source.is_numeric or source.root is Root.BOOLEAN:
        if target.is_interval:
            months = target.root is Root.INTERVAL_MONTH
            return source.root is (Root.INT if months else Root.BIGINT)
        return target.is_numeric or target.root is Root.BOOLEAN
    if source.is_interval:
        return target.root is (Root.INT if source.root is Root.INTERVAL_MONTH else Root.BIGINT)
    if source.root in _POINTS and target.root in _POINTS:
        return Root.TIME not in (source.root, target.root) or Root.DATE not in (source.root, target.root)
    if source.root is target.root and len(source.children) == len(target.children):
        return all(can_cast(s, t) for s, t in zip(source.children, target.children, strict=True))
    return False


def can_cast_implicitly(source: DataType, target: DataType) -> bool:
    """Whether a value is stored in a column of the type without CAST (INSERT, UNION, function arguments).

    Strings of any length go into each other; the length is checked where the sink asks for it.
    """
    if source.root is Root.NULL or (source.is_string and target.is_string):
        return True
    if source.is_binary and target.is_binary:
        return True
    if source.is_numeric and target.is_numeric:
        return _widens(source, target)
    if source.root in _POINTS and target.root in _POINTS:
        either_time = Root.TIME in (source.root, target.root)
        return source.root is target.root or not either_time
    if source.root is target.root and source.is_nested and len(source.children) == len(target.children):
        return all(can_cast_implicitly(s, t) for s, t in zip(source.children, target.children, strict=True))
    return source.root is target.root


def _widens(source: DataType, target: DataType) -> bool:
    if target.is_approximate:
        return source.root is not Root.DOUBLE or target.root is Root.DOUBLE
    if source.is_approximate:
        return False
    if target.root is Root.DECIMAL:
        return True
    found = common_type(source, target)
    return found is not None and found.root is target.root


def same_representation(source: DataType, target: DataType) -> bool:
    """Whether a cast changes no value: the SQL of the operand may be used as it is."""
    if source.root is not target.root and not (source.is_string and target.is_string):
        return False
    if source.is_string or source.is_binary:
        if source.root is target.root and source.length == target.length:
            return True
        return target.length >= source.length and target.root in (Root.VARCHAR, Root.VARBINARY)
    if source.root in (Root.TIME, Root.TIMESTAMP, Root.TIMESTAMP_LTZ):
        return target.precision >= source.precision
    if source.root is Root.DECIMAL:
        return (source.precision, source.scale) == (target.precision, target.scale)
    if source.is_nested:
        if source.root is Root.ROW and source.names != target.names:
            return False
        return all(same_representation(s, t) for s, t in zip(source.children, target.children, strict=True))
    return True


def cast_sql(
    sql: str, source: DataType, target: DataType, *, safe: bool = False, volatile: bool = False
) -> str:
    """DuckDB SQL of ``CAST(sql AS target)``; with ``safe`` a value that does not convert becomes NULL."""
    if source.root is Root.NULL:
        return cast("NULL", target.duckdb)
    if same_representation(source, target):
        return sql
    if target.is_string:
        return _to_string(sql, source, target, volatile)
    if target.is_binary:
        return _to_binary(sql, source, target)
    if source.is_string:
        return texts.parse(sql, target, safe, volatile)
    if target.root is Root.BOOLEAN:
        return f"({sql} <> 0)"
    if target.is_numeric:
        return _to_numeric(sql, source, target, volatile)
    if target.is_interval:
        return f"{'to_months' if target.root is Root.INTERVAL_MONTH else 'to_milliseconds'}({sql})"
    if target.is_nested:
        return _to_nested(sql, source, target, safe)
    return truncate(_to_point(sql, source, target), target, source)


# -- to text and bytes -------------------------------------------------------------------------------------


def _to_string(sql: str, source: DataType, target: DataType, volatile: bool) -> str:
    text = _text_of(sql, source, volatile)
    if target.root is Root.CHAR:
        return f"rpad({text}, {target.length}, ' ')"
    known = source.length if source.is_string else MAX_LENGTH
    return text if target.length >= known or target.length == MAX_LENGTH else f"left({text}, {target.length})"


def _text_of(sql: str, source: DataType, volatile: bool = False) -> str:
    match source.root:
        case Root.CHAR | Root.VARCHAR:
            return sql
        case Root.BOOLEAN:
            return f"upper({cast(sql, 'VARCHAR')})"
        case Root.BINARY | Root.VARBINARY:
            return f"decode({sql})"
        case Root.FLOAT | Root.DOUBLE:
            return let(sql, texts.java_double, volatile=volatile)
        case Root.TIME:
            return texts.format_time(sql, source.precision, volatile)
        case Root.TIMESTAMP | Root.TIMESTAMP_LTZ:
            wall = cast(sql, "TIMESTAMP") if source.root is Root.TIMESTAMP_LTZ else sql
            return texts.format_timestamp(wall, source.precision)
        case Root.INTERVAL_MONTH:
            return let(sql, texts.format_months, volatile=volatile)
        case Root.INTERVAL_SECOND:
            return let(sql, texts.format_milliseconds, volatile=volatile)
        case Root.ARRAY | Root.MAP | Root.MULTISET | Root.ROW:
            return _nested_text(sql, source, volatile)
        case _:
            return cast(sql, "VARCHAR")


def _nested_text(sql: str, source: DataType, volatile: bool) -> str:
    def element(name: str, type_: DataType) -> str:
        return f"coalesce({_text_of(name, type_)}, 'NULL')"

    if source.root is Root.ROW:

        def row(x: str) -> str:
            fields = [
                element(f"{x}.{identifier(n)}", t) for n, t in zip(source.names, source.children, strict=True)
            ]
            inner = " || ', ' || ".join(fields) or "''"
            return f"CASE WHEN {x} IS NOT NULL THEN '(' || {inner} || ')' END"

        return let(sql, row, volatile=volatile)
    name = fresh_name(sql)
    if source.root is Root.ARRAY:
        items, brackets = f"list_transform({sql}, lambda {name}: {element(name, source.children[0])})", "[]"
    else:
        value = "INTEGER" if source.root is Root.MULTISET else None
        value_type = DataType(Root.INT) if value else source.children[1]
        entry = (
            f"{element(f'{name}.key', source.children[0])} || '=' || {element(f'{name}.value', value_type)}"
        )
        items, brackets = f"list_transform(map_entries({sql}), lambda {name}: {entry})", "{}"
    return f"('{brackets[0]}' || array_to_string({items}, ', ') || '{brackets[1]}')"


def _to_binary(sql: str, source: DataType, target: DataType) -> str:
    value = f"encode({sql})" if source.is_string else sql
    if target.length == MAX_LENGTH:
        return value
    if target.root is Root.BINARY:
        value = f"({value} || unhex('{'00' * target.length}'))"
    return f"{value}[1:{target.length}]" if value.startswith("(") else f"({value})[1:{target.length}]"


# -- to numbers --------------------------------------------------------------------------------------------


def _to_numeric(sql: str, source: DataType, target: DataType, volatile: bool) -> str:
    if source.is_interval:
        months = "datepart('year', {0}) * 12 + datepart('month', {0})"
        count = months if target.root is Root.INT else "epoch_ms({0})"
        return let(sql, lambda x: cast(count.format(x), target.duckdb), volatile=volatile)
    if target.root is Root.DECIMAL:
        value = cast(sql, "INTEGER") if source.root is Root.BOOLEAN else sql
        wide = source.is_exact and common_type(source, target) == target.with_nullable(source.nullable)
        return cast(value, target.duckdb) if wide else f"TRY_CAST({value} AS {target.duckdb})"
    if target.root is Root.FLOAT and source.root is Root.DOUBLE:
        return let(sql, _double_to_float, volatile=volatile)
    if target.is_approximate or source.root is Root.BOOLEAN:
        return cast(sql, target.duckdb)
    if source.root is Root.DECIMAL:
        return _narrow(f"trunc({cast(sql, source.duckdb)})", DataType(Root.DECIMAL, precision=38), target)
    if source.is_approximate:
        wide_root = Root.BIGINT if target.root is Root.BIGINT else Root.INT
        saturated = let(sql, lambda x: _saturate(x, wide_root), volatile=volatile)
        return _narrow(saturated, DataType(wide_root), target)
    return _narrow(sql, source, target)


def _narrow(sql: str, source: DataType, target: DataType) -> str:
    if source.root is Root.DECIMAL:
        return wrap(cast(sql, "HUGEINT"), target.root)
    if common_type(source, target) == target.with_nullable(source.nullable):
        return cast(sql, target.duckdb)
    return wrap(sql, target.root)


def _saturate(x: str, root: Root) -> str:
    limit, name = _FLOAT_LIMIT[root]
    low = f"CAST({-limit - 1} AS {name})"
    return (
        f"CASE WHEN isnan({x}) THEN 0 WHEN {x} >= {limit} THEN CAST({limit} AS {name}) "
        f"WHEN {x} <= {-limit - 1} THEN {low} ELSE CAST(trunc({x}) AS {name}) END"
    )


def _double_to_float(x: str) -> str:
    infinite = f"CAST(CASE WHEN {x} > 0 THEN 'Infinity' ELSE '-Infinity' END AS FLOAT)"
    return f"CASE WHEN abs({x}) > 3.4028235677973366e38 THEN {infinite} ELSE CAST({x} AS FLOAT) END"


# -- to points in time -------------------------------------------------------------------------------------


def _to_point(sql: str, source: DataType, target: DataType) -> str:
    if source.root is Root.TIME is not target.root:
        sql = f"(DATE '1970-01-01' + {sql})"
    if source.root is Root.TIMESTAMP_LTZ and target.root is Root.TIME:
        sql = cast(sql, "TIMESTAMP")
    return sql if source.root is target.root else cast(sql, target.duckdb)


def truncate(sql: str, target: DataType, source: DataType | None = None) -> str:
    """A TIME or TIMESTAMP cut to the precision of its type."""
    held = 6 if source is None else 0 if source.root is Root.DATE else source.precision
    if target.root not in (Root.TIME, Root.TIMESTAMP, Root.TIMESTAMP_LTZ) or target.precision >= held:
        return sql
    if target.root is Root.TIME:
        return cast(_cut(f"(DATE '1970-01-01' + {sql})", target.precision), "TIME")
    if target.root is Root.TIMESTAMP_LTZ:
        return _cut_micros(sql, target.precision)
    return _cut(sql, target.precision)


def _cut(sql: str, precision: int) -> str:
    unit = {0: "second", 3: "millisecond"}.get(precision)
    if unit:
        return f"date_trunc('{unit}', {sql})"
    step = 10 ** (6 - precision)
    return f"make_timestamp(CAST(floor(epoch_us({sql}) / {step}) AS BIGINT) * {step})"


def _cut_micros(sql: str, precision: int) -> str:
    step = 10 ** (6 - precision)
    return f"make_timestamptz(CAST(floor(epoch_us({sql}) / {step}) AS BIGINT) * {step})"


# -- element by element ------------------------------------------------------------------------------------


def _to_nested(sql: str, source: DataType, target: DataType, safe: bool) -> str:
    if source.root is Root.ROW:

        def row(x: str) -> str:
            parts = [
                f"{identifier(new)} := {cast_sql(f'{x}.{identifier(old)}', s, t, safe=safe)}"
                for old, new, s, t in zip(
                    source.names, target.names, source.children, target.children, strict=True
                )
            ]
            return f"CASE WHEN {x} IS NOT NULL THEN struct_pack({', '.join(parts)}) END"

        return let(sql, row)
    name = fresh_name(sql)
    if source.root is Root.ARRAY:
        element = cast_sql(name, source.children[0], target.children[0], safe=safe)
        return f"list_transform({sql}, lambda {name}: {element})"
    key = cast_sql(f"{name}.key", source.children[0], target.children[0], safe=safe)
    value = f"{name}.value"
    if source.root is Root.MAP:
        value = cast_sql(value, source.children[1], target.children[1], safe=safe)
    entry = f"struct_pack(k := {key}, v := {value})"
    return f"map_from_entries(list_transform(map_entries({sql}), lambda {name}: {entry}))"
