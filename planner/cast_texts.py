"""Texts of values: how Flink prints numbers and times, and which texts it reads, as DuckDB SQL.

Source: Flink 2.x, DateTimeUtils, BinaryStringDataUtil; Java's Double.toString.
"""

from __future__ import annotations

from streamsql.datatypes import DataType, Root

from .sql_parts import cast, let, quote

# -- printing ----------------------------------------------------------------------------------------------


def java_double(x: str) -> str:
    """Double.toString: ``1.0``, ``1.0E10``, ``1.0E-5``, ``NaN``, ``Infinity``."""
    plain = f"abs({x}) >= 1e-3 AND abs({x}) < 1e7 AND NOT isnan({x})"
    special = f"WHEN isnan({x}) THEN 'NaN' WHEN isinf({x}) THEN CASE WHEN {x} > 0 THEN 'Infinity' ELSE '-Infinity' END"
    return f"CASE WHEN {plain} OR {x} = 0 THEN CAST({x} AS VARCHAR) {special} ELSE {_scientific(x)} END"


def _scientific(x: str) -> str:
    sign = f"CASE WHEN {x} < 0 THEN '-' ELSE '' END"
    text = f"CAST(abs({x}) AS VARCHAR)"
    form = f"CASE WHEN contains(_t, 'e') THEN {_from_exponent('_t')} ELSE {_from_plain('_t')} END"
    return f"{sign} || list_transform([{text}], lambda _t: {form})[1]"


def _from_exponent(t: str) -> str:
    mantissa = f"split_part({t}, 'e', 1)"
    point = f"CASE WHEN contains({mantissa}, '.') THEN '' ELSE '.0' END"
    return f"{mantissa} || {point} || 'E' || CAST(CAST(split_part({t}, 'e', 2) AS INTEGER) AS VARCHAR)"


def _from_plain(t: str) -> str:
    digits = f"rtrim(ltrim(replace({t}, '.', ''), '0'), '0')"
    fraction = f"CASE WHEN length({digits}) > 1 THEN substr({digits}, 2) ELSE '0' END"
    large = f"strpos({t}, '.') - 2"
    small = f"strpos({t}, '.') - length({t}) + length(ltrim(replace({t}, '.', ''), '0')) - 1"
    exponent = f"CASE WHEN {t} LIKE '0.%' THEN {small} ELSE {large} END"
    return f"left({digits}, 1) || '.' || {fraction} || 'E' || CAST({exponent} AS VARCHAR)"


def format_timestamp(sql: str, precision: int) -> str:
    """``yyyy-MM-dd HH:mm:ss`` with exactly ``precision`` digits of a second."""
    suffix = {0: "", 3: ".%g"}.get(precision, ".%f")
    text = f"strftime({sql}, '%Y-%m-%d %H:%M:%S{suffix}')"
    return text if precision in (0, 3, 6) else f"left({text}, {20 + precision})"


def format_time(sql: str, precision: int, volatile: bool = False) -> str:
    """``HH:mm:ss``; with a precision also the fraction without its trailing zeros, at least one digit."""
    day = f"(DATE '1970-01-01' + {sql})"
    if precision == 0:
        return f"strftime({day}, '%H:%M:%S')"
    text = f"left(strftime({day}, '%H:%M:%S.%f'), {9 + min(precision, 6)})"
    return let(text, lambda t: f"(left({t}, 10) || rtrim(substr({t}, 11), '0'))", volatile=volatile)


def format_months(x: str) -> str:
    """``+1-02`` for 14 months."""
    total = f"abs(datepart('year', {x}) * 12 + datepart('month', {x}))"
    sign = f"CASE WHEN datepart('year', {x}) * 12 + datepart('month', {x}) < 0 THEN '-' ELSE '+' END"
    return f"({sign} || ({total} // 12) || '-' || lpad(CAST({total} % 12 AS VARCHAR), 2, '0'))"


def format_milliseconds(x: str) -> str:
    """``+1 10:17:36.789`` for an interval of days to seconds."""

    def text(ms: str) -> str:
        def two(divisor: int, modulus: int) -> str:
            return f"lpad(CAST(abs({ms}) // {divisor} % {modulus} AS VARCHAR), 2, '0')"

        sign = f"CASE WHEN {ms} < 0 THEN '-' ELSE '+' END"
        clock = f"{two(3600000, 24)} || ':' || {two(60000, 60)} || ':' || {two(1000, 60)}"
        fraction = f"lpad(CAST(abs({ms}) % 1000 AS VARCHAR), 3, '0')"
        return f"({sign} || (abs({ms}) // 86400000) || ' ' || {clock} || '.' || {fraction})"

    return let(f"epoch_ms({x})", text)


# -- reading -----------------------------------------------------------------------------------------------

_INTEGER = r"\s*[+-]?\d+(\.\d*)?\s*"
_DECIMAL = r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*"
_TIMESTAMP = r"\d{4}-\d{1,2}-\d{1,2}( \d{1,2}:\d{1,2}:\d{1,2}(\.\d{0,9})?)?"
_DATES = (
    (r"\d{1,4}-\d{1,2}-\d{1,2}( .*)?", ""),
    (r"\d{1,4}-\d{1,2}( .*)?", "-01"),
    (r"\d{1,4}( .*)?", "-01-01"),
)
_TIMES = ((r"\d{1,2}:\d{1,2}:\d{1,2}(\.\d*)?", ""), (r"\d{1,2}:\d{1,2}", ":00"), (r"\d{1,2}", ":00:00"))


def parse(sql: str, target: DataType, safe: bool, volatile: bool) -> str:
    """A value of ``target`` from its text; without ``safe`` another text is an error that shows it."""
    found = let(sql, lambda x: _parse(x, target, safe), volatile=volatile)
    if target.root is Root.TIMESTAMP_LTZ:
        found = cast(found, "TIMESTAMPTZ")
    return found


def _parse(x: str, target: DataType, safe: bool) -> str:
    match target.root:
        case Root.BOOLEAN:
            return f"TRY_CAST({x} AS BOOLEAN)" if safe else cast(x, "BOOLEAN")
        case Root.TINYINT | Root.SMALLINT | Root.INT | Root.BIGINT:
            return _parse_integer(x, target.duckdb, safe)
        case Root.FLOAT | Root.DOUBLE:
            return (
                f"TRY_CAST(trim({x}) AS {target.duckdb})" if safe else f"CAST(trim({x}) AS {target.duckdb})"
            )
        case Root.DECIMAL:
            return _parse_decimal(x, target.duckdb, safe)
        case Root.DATE:
            return _or_raise(x, parse_date(x), "DATE", safe)
        case Root.TIME:
            return _or_raise(x, _parse_time(x, target.precision), "TIME", safe)
        case _:
            return _or_raise(x, parse_timestamp(x, target.precision), "TIMESTAMP", safe)


def _or_raise(x: str, found: str, type_sql: str, safe: bool) -> str:
    if safe:
        return found
    raising = f"CASE WHEN {x} IS NOT NULL THEN CAST('not a {type_sql}: ' || {x} AS {type_sql}) END"
    return f"coalesce({found}, {raising})"


def _parse_integer(x: str, type_sql: str, safe: bool) -> str:
    """Digits; a fraction is cut off. DuckDB alone would round it and read ``1e3``, ``0x1F`` and ``1_000`` too."""
    how = "TRY_CAST" if safe else "CAST"
    odd = " OR ".join(f"contains({x}, '{c}')" for c in ".eExX_bB")
    wrong = "NULL" if safe else f"'not an integer: ' || {x}"
    lenient = (
        f"CASE WHEN regexp_full_match({x}, {quote(_INTEGER)}) THEN split_part({x}, '.', 1) ELSE {wrong} END"
    )
    return f"CASE WHEN {odd} THEN {how}({lenient} AS {type_sql}) ELSE {how}({x} AS {type_sql}) END"


def _parse_decimal(x: str, type_sql: str, safe: bool) -> str:
    """NULL where the number is too large for the type, as in Flink; an error where it is no number."""
    fits = f"TRY_CAST(trim({x}) AS {type_sql})"
    if safe:
        return f"CASE WHEN regexp_full_match({x}, {quote(_DECIMAL)}) THEN {fits} END"
    wrong = f"CAST('not a number: ' || {x} AS {type_sql})"
    return f"CASE WHEN regexp_full_match({x}, {quote(_DECIMAL)}) THEN {fits} ELSE {wrong} END"


def parse_date(x: str) -> str:
    """DATE from ``yyyy-MM-dd``, ``yyyy-MM`` or ``yyyy``, perhaps with a time behind a blank; else NULL."""
    day = f"split_part({x}, ' ', 1)"
    cases = [
        f"WHEN regexp_full_match({x}, {quote(pattern)}) THEN TRY_CAST({day} || '{rest}' AS DATE)"
        for pattern, rest in _DATES
    ]
    return f"CASE {' '.join(cases)} END"


def _parse_time(x: str, precision: int) -> str:
    cases = [
        f"WHEN regexp_full_match({x}, {quote(pattern)}) THEN TRY_CAST(left({x}, {9 + precision}) || '{rest}' AS TIME)"
        for pattern, rest in _TIMES
    ]
    return f"CASE {' '.join(cases)} END"


def parse_timestamp(x: str, precision: int = 6) -> str:
    """TIMESTAMP from ``yyyy-MM-dd[ HH:mm:ss[.fraction]]``, cut to the precision; else NULL.

    The common text without a fraction goes to strptime, which is exact about the form and the fastest; strptime
    with several forms is ten times slower when the first fails.
    """
    quick = f"strlen({x}) = 19 AND NOT contains({x}, '.')"
    digits = f"regexp_replace({x}, '(\\.\\d{{0,{precision}}})\\d*$', '\\1')"
    general = (
        f"WHEN regexp_full_match({x}, {quote(_TIMESTAMP)}) THEN TRY_CAST(rtrim({digits}, '.') AS TIMESTAMP)"
    )
    return f"CASE WHEN {quick} THEN try_strptime({x}, '%Y-%m-%d %H:%M:%S') {general} END"
