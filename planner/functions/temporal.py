"""Date and time functions. TIMESTAMP_LTZ values are read and written in the session's time zone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from streamsql.datatypes import (
    BIGINT,
    BOOLEAN,
    DATE,
    INT,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_LTZ,
    DataType,
    Root,
)
from streamsql.errors import UnsupportedError

from ..cast_texts import parse_date, parse_timestamp
from ..sql_parts import cast, let, local
from . import moments
from .base import Compile, FunctionDef, Invocation, TypeMismatch, scalar
from .java_dates import parse_pattern
from .units import ceil_to, difference, extract, floor_to, unit_interval

if TYPE_CHECKING:
    from ..expressions import Call, Expr

CATEGORY = "temporal"
_DEFAULT = "yyyy-MM-dd HH:mm:ss"


def unit_of(call: Call) -> str:
    """The time unit of EXTRACT, FLOOR, CEIL, TIMESTAMPADD or TIMESTAMPDIFF."""
    return str(call.option("unit"))


# -- the clock -------------------------------------------------------------------------------------------------


def _clock(
    name: str, type_: DataType, description: str, call: bool, aliases: tuple[str, ...] = ()
) -> FunctionDef:
    def compile_(inv: Invocation) -> str:
        wall = cast(inv.ctx.now_sql, "TIMESTAMP")
        match type_.root:
            case Root.TIMESTAMP_LTZ:
                return cast(inv.ctx.now_sql, "TIMESTAMPTZ")
            case Root.TIME:
                return cast(f"date_trunc('second', {wall})", "TIME")
            case Root.DATE:
                return cast(wall, "DATE")
            case _:
                return wall

    return scalar(
        name, CATEGORY, "()", type_, compile_, description, nullable="never", deterministic=False, exact=True,
        aliases=aliases, render=lambda c: f"{name}()", syntax=(f"{name}()" if call else name,),
    )  # fmt: skip


def _watermark_type(args: Sequence[Expr]) -> DataType:
    root = args[0].type.root
    return TIMESTAMP_LTZ(3) if root is Root.TIMESTAMP_LTZ else TIMESTAMP(3)


def _watermark(inv: Invocation) -> str:
    if inv.ctx.watermark_sql is None:
        raise UnsupportedError(
            "CURRENT_WATERMARK is supported in SELECT and WHERE only",
            hint="give it a name in a sub-query: SELECT *, CURRENT_WATERMARK(ts) AS w FROM t",
        )
    made = "make_timestamptz" if inv.type.root is Root.TIMESTAMP_LTZ else "make_timestamp"
    return f"{made}({inv.ctx.watermark_sql} * 1000)"


# -- parts -----------------------------------------------------------------------------------------------------


def _extract(inv: Invocation) -> str:
    return extract(unit_of(inv.call), local(inv.args[0], inv.types[0]), inv.types[0])


def _part(name: str, unit: str, description: str) -> FunctionDef:
    def compile_(inv: Invocation) -> str:
        return extract(unit, local(inv.args[0], inv.types[0]), inv.types[0])

    kind = "(POINT)" if unit in ("HOUR", "MINUTE", "SECOND") else "(DATETIME)"
    return scalar(name, CATEGORY, kind, BIGINT(), compile_, description)


def _round(to: str) -> Compile:
    def compile_(inv: Invocation) -> str:
        unit, type_ = unit_of(inv.call), inv.types[0]
        wall = local(inv.args[0], type_)
        found = floor_to(unit, wall, type_) if to == "FLOOR" else ceil_to(unit, wall, type_, inv.volatile)
        return cast(found, type_.duckdb)

    return compile_


def _same(args: Sequence[Expr]) -> DataType:
    return args[0].type


def _unit_text(call: Call) -> str:
    unit, args = unit_of(call), [a.text() for a in call.args]
    name = call.function.name
    if name == "EXTRACT":
        return f"EXTRACT({unit} FROM {args[0]})"
    if name.endswith(" TO"):
        return f"{name.removesuffix(' TO')}({args[0]} TO {unit})"
    return f"{name}({unit}, {', '.join(args)})"


# -- arithmetic ------------------------------------------------------------------------------------------------

_SUB_DAY = ("HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND")


def add_type(unit: str, point: DataType) -> DataType:
    """Type of TIMESTAMPADD: a DATE moved by hours is a TIMESTAMP."""
    if point.root is Root.DATE and unit in _SUB_DAY:
        return TIMESTAMP(0 if unit in ("HOUR", "MINUTE", "SECOND") else 3).with_nullable(point.nullable)
    return point


def _timestamp_add(inv: Invocation) -> str:
    unit, (count, point) = unit_of(inv.call), inv.args
    interval, kind = unit_interval(unit, count)
    return moments.add(point, interval, inv.types[1], kind, inv.type)


def _timestamp_diff(inv: Invocation) -> str:
    start, end = (local(a, t) for a, t in zip(inv.args, inv.types, strict=True))
    return difference(unit_of(inv.call), start, end, inv.volatile)


def _overlaps(inv: Invocation) -> str:
    def end(start: str, other: str, type_: DataType) -> str:
        return f"({start} + {other})" if type_.is_interval else other

    a, b, c, d = inv.args
    b, d = end(a, b, inv.types[1]), end(c, d, inv.types[3])
    low1, high1, low2, high2 = (
        f"least({a}, {b})",
        f"greatest({a}, {b})",
        f"least({c}, {d})",
        f"greatest({c}, {d})",
    )
    known = " AND ".join(f"{x} IS NOT NULL" for x in inv.args)
    return f"CASE WHEN {known} THEN {high1} >= {low2} AND {high2} >= {low1} END"


def _overlaps_args(args: Sequence[Expr]) -> Sequence[Expr]:
    for point, other in ((args[0], args[1]), (args[2], args[3])):
        if not other.type.is_interval and other.type.root is not point.type.root:
            raise TypeMismatch(
                "each pair of OVERLAPS is a start with an end of the same type, or with an interval"
            )
    if args[0].type.root is not args[2].type.root:
        raise TypeMismatch("both pairs of OVERLAPS start with the same type")
    return args


# -- texts -----------------------------------------------------------------------------------------------------


def _date_format(inv: Invocation) -> str:
    pattern = parse_pattern(inv.text(1, "date pattern"))
    type_ = inv.types[0]
    if type_.is_string:
        return let(parse_timestamp(inv.args[0]), pattern.print, volatile=inv.volatile)
    point = local(inv.args[0], type_)
    point = f"(DATE '1970-01-01' + {point})" if type_.root is Root.TIME else point
    return pattern.print(point)


def _parsed(inv: Invocation, index: int, sql: str) -> str:
    """The text read with the pattern argument ``index`` as a TIMESTAMP in milliseconds, or TIMESTAMPTZ with a zone."""
    if len(inv.args) <= index or inv.constant(index) == _DEFAULT:
        return parse_timestamp(sql, 3)
    pattern = parse_pattern(inv.text(index, "date pattern"))
    found = pattern.parse(sql)
    fine = any(isinstance(p, int) and p > 3 for p in pattern.parts)
    return f"date_trunc('millisecond', {found})" if fine and not pattern.has_zone else found


def _has_zone(inv: Invocation, index: int) -> bool:
    return len(inv.args) > index and parse_pattern(inv.text(index, "date pattern")).has_zone


def _to_timestamp(inv: Invocation) -> str:
    found = let(inv.args[0], lambda x: _parsed(inv, 1, x), volatile=inv.volatile)
    return f"timezone('UTC', {found})" if _has_zone(inv, 1) else found


def _to_date(inv: Invocation) -> str:
    if len(inv.args) == 1:
        return let(inv.args[0], parse_date, volatile=inv.volatile)
    return cast(parse_pattern(inv.text(1, "date pattern")).parse(inv.args[0]), "DATE")


_MIN_SECOND, _MAX_SECOND = -62135596800, 253402300799  # the years 1 to 9999


def _to_timestamp_ltz(inv: Invocation) -> str:
    if inv.types[0].is_string:
        return _text_to_ltz(inv)
    precision = inv.constant(1) if len(inv.args) > 1 else 3
    if precision not in (0, 3, 6):
        raise UnsupportedError(
            f"TO_TIMESTAMP_LTZ with precision {precision} is not supported",
            hint="0 is seconds, 3 milliseconds, 6 microseconds",
        )
    assert isinstance(precision, int)
    factor, limit = 10 ** (6 - precision), 10**precision
    number = inv.args[0] if inv.types[0].is_integer else f"trunc({inv.args[0]})"
    within = f"BETWEEN {_MIN_SECOND * limit} AND {_MAX_SECOND * limit}"
    return let(
        number,
        lambda x: f"CASE WHEN {x} {within} THEN make_timestamptz(CAST({x} AS BIGINT) * {factor}) END",
        volatile=inv.volatile,
    )


def _text_to_ltz(inv: Invocation) -> str:
    found = let(inv.args[0], lambda x: _parsed(inv, 1, x), volatile=inv.volatile)
    if _has_zone(inv, 1):
        return found
    zone = inv.args[2] if len(inv.args) > 2 else "'UTC'"
    return f"timezone({zone}, {found})"


def _ltz_args(args: Sequence[Expr]) -> Sequence[Expr]:
    first, rest = args[0].type, args[1:]
    if first.is_numeric and len(rest) <= 1 and all(r.type.is_integer for r in rest):
        return args
    if (first.is_string or first.root is Root.NULL) and all(
        r.type.is_string or r.type.root is Root.NULL for r in rest
    ):
        return args
    raise TypeMismatch("a number with a precision, or a text with a pattern and a zone")


def _from_unixtime(inv: Invocation) -> str:
    moment = cast(f"make_timestamptz(CAST({inv.args[0]} AS BIGINT) * 1000000)", "TIMESTAMP")
    return parse_pattern(inv.text(1, "date pattern") if len(inv.args) > 1 else _DEFAULT).print(moment)


def _unix_timestamp(inv: Invocation) -> str:
    if not inv.args:
        return f"epoch_us({cast(inv.ctx.now_sql, 'TIMESTAMPTZ')}) // 1000000"
    found = cast(let(inv.args[0], lambda x: _parsed(inv, 1, x), volatile=inv.volatile), "TIMESTAMPTZ")
    seconds = f"coalesce(epoch_us({found}) // 1000000, CAST(-9223372036854775808 AS BIGINT))"
    return f"CASE WHEN {inv.args[0]} IS NOT NULL THEN {seconds} END"


def _convert_tz(inv: Invocation) -> str:
    text, source, target = inv.args
    moment = f"timezone({target}, timezone({source}, {parse_timestamp(text, 0)}))"
    return f"strftime({moment}, '%Y-%m-%d %H:%M:%S')"


def _format_args(args: Sequence[Expr]) -> Sequence[Expr]:
    if args[0].type.is_string or args[0].type.root in (Root.DATE, Root.TIME) or args[0].type.is_timestamp:
        return args
    if args[0].type.root is Root.NULL:
        return args
    raise TypeMismatch("DATE_FORMAT takes a point in time")


_UNIT = "unit: YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, MINUTE, SECOND"
_NOW = "The clock of the step: every row of a step sees the same reading."

FUNCTIONS: tuple[FunctionDef, ...] = (
    _clock("CURRENT_DATE", DATE(), "The date in the session's zone. " + _NOW, False),
    _clock("CURRENT_TIME", TIME(0), "The time of day in the session's zone. " + _NOW, False, ("LOCALTIME",)),
    _clock("CURRENT_TIMESTAMP", TIMESTAMP_LTZ(3), "The point in time. " + _NOW, False),
    _clock("NOW", TIMESTAMP_LTZ(3), "The same as CURRENT_TIMESTAMP.", True),
    _clock("CURRENT_ROW_TIMESTAMP", TIMESTAMP_LTZ(3), "The same as CURRENT_TIMESTAMP.", True),
    _clock("LOCALTIMESTAMP", TIMESTAMP(3), "The wall-clock time in the session's zone. " + _NOW, False),
    _clock("PROCTIME", TIMESTAMP_LTZ(3), "The processing time; as a computed column a time attribute.", True),
    scalar("CURRENT_WATERMARK", CATEGORY, "(TIMESTAMP)", _watermark_type, _watermark,
           "The watermark of the rows that are read, before the step; NULL before the first one, and in batch mode.",
           nullable="always", deterministic=False, result_text="TIMESTAMP(3) or TIMESTAMP_LTZ(3), as the column"),
    scalar("EXTRACT", CATEGORY, "(POINT)", BIGINT(), _extract, "A part of a point in time, also EPOCH, DOW (Sunday "
           "is 1), ISODOW, DOY, ISOYEAR, DECADE, CENTURY, MILLENNIUM, MILLISECOND, MICROSECOND, NANOSECOND.",
           render=_unit_text, syntax=("EXTRACT(unit FROM temporal)",)),
    _part("YEAR", "YEAR", "The year."),
    _part("QUARTER", "QUARTER", "The quarter, 1 to 4."),
    _part("MONTH", "MONTH", "The month, 1 to 12."),
    _part("WEEK", "WEEK", "The week of the ISO year, 1 to 53."),
    _part("DAYOFYEAR", "DOY", "The day of the year, 1 to 366."),
    _part("DAYOFMONTH", "DAY", "The day of the month, 1 to 31."),
    _part("DAYOFWEEK", "DOW", "The day of the week; Sunday is 1."),
    _part("HOUR", "HOUR", "The hour, 0 to 23."),
    _part("MINUTE", "MINUTE", "The minute, 0 to 59."),
    _part("SECOND", "SECOND", "The second, 0 to 59."),
    scalar("FLOOR TO", CATEGORY, "(POINT)", _same, _round("FLOOR"),
           "Rounded down to a unit; a week begins on Sunday.", render=_unit_text, exact=True,
           syntax=("FLOOR(timepoint TO unit)",), result_text="type of the point in time"),
    scalar("CEIL TO", CATEGORY, "(POINT)", _same, _round("CEIL"),
           "Rounded up to a unit.", render=_unit_text, exact=True,
           syntax=("CEIL(timepoint TO unit)",), result_text="type of the point in time"),
    scalar("TIMESTAMPADD", CATEGORY, "(INT, POINT)", lambda args: args[1].type, _timestamp_add,
           "A point in time moved by a number of units.", render=_unit_text,
           syntax=("TIMESTAMPADD(unit, integer, timepoint)",), result_text="type of the point in time"),
    scalar("TIMESTAMPDIFF", CATEGORY, "(DATETIME, DATETIME)", INT(), _timestamp_diff,
           f"The number of whole units from the first to the second; {_UNIT}.", render=_unit_text,
           syntax=("TIMESTAMPDIFF(unit, timepoint1, timepoint2)",)),
    scalar("OVERLAPS", CATEGORY, "(POINT, ANY, POINT, ANY)", BOOLEAN(), _overlaps,
           "TRUE if two ranges of time, each with an end or a length, have a moment in common.",
           coerce=_overlaps_args, syntax=("(timepoint1, temporal1) OVERLAPS (timepoint2, temporal2)",)),
    scalar("DATE_FORMAT", CATEGORY, "(ANY, STRING)", STRING(), _date_format,
           "A point in time, or a text 'yyyy-MM-dd HH:mm:ss', printed with a constant Java pattern.",
           coerce=_format_args, syntax=("DATE_FORMAT(timestamp, string)",), nullable="always"),
    scalar("TO_DATE", CATEGORY, "(STRING[, STRING])", DATE(), _to_date,
           "The date read with a Java pattern ('yyyy-MM-dd'); NULL if the text does not fit.", nullable="always"),
    scalar("TO_TIMESTAMP", CATEGORY, "(STRING[, STRING])", TIMESTAMP(3), _to_timestamp,
           "The timestamp read with a Java pattern ('yyyy-MM-dd HH:mm:ss'); NULL if the text does not fit.",
           nullable="always"),
    scalar("TO_TIMESTAMP_LTZ", CATEGORY, "(ANY[, ANY, STRING])", TIMESTAMP_LTZ(3), _to_timestamp_ltz,
           "From seconds (precision 0), milliseconds (3, the default) or microseconds (6) since 1970, or from a text "
           "with a pattern ('yyyy-MM-dd HH:mm:ss.SSS') in a zone ('UTC'); NULL if it does not fit.",
           nullable="always", coerce=_ltz_args,
           syntax=("TO_TIMESTAMP_LTZ(numeric[, precision])", "TO_TIMESTAMP_LTZ(string1[, string2[, string3]])")),
    scalar("FROM_UNIXTIME", CATEGORY, "(INT[, STRING])", STRING(), _from_unixtime,
           "Seconds since 1970 printed in the session's zone with a Java pattern ('yyyy-MM-dd HH:mm:ss').",
           nullable="always"),
    scalar("UNIX_TIMESTAMP", CATEGORY, "([STRING, STRING])", BIGINT(), _unix_timestamp,
           "Seconds since 1970: of now, or of a text in the session's zone; -9223372036854775808 if it does not fit.",
           deterministic=False, syntax=("UNIX_TIMESTAMP()", "UNIX_TIMESTAMP(string1[, string2])")),
    scalar("CONVERT_TZ", CATEGORY, "(STRING, STRING, STRING)", STRING(), _convert_tz,
           "A text 'yyyy-MM-dd HH:mm:ss' of zone string2 as one of zone string3.", nullable="always"),
)  # fmt: skip
