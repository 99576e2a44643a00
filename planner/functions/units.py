"""Time units: parts of a point in time, rounding to them, counting them."""

from __future__ import annotations

from streamsql.datatypes import INTERVAL_MONTH, INTERVAL_SECOND, DataType, Root
from streamsql.errors import UnsupportedError

from ..sql_parts import let

MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12, "DECADE": 120, "CENTURY": 1200, "MILLENNIUM": 12000}
MILLISECONDS = {
    "MILLISECOND": 1, "SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000, "WEEK": 604_800_000,
}  # fmt: skip
_CLOCK = ("HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND", "NANOSECOND")
_PARTS = {
    "YEAR": "year({0})", "QUARTER": "quarter({0})", "MONTH": "month({0})", "WEEK": "week({0})", "DAY": "day({0})",
    "DOY": "dayofyear({0})", "DOW": "dayofweek({0}) + 1", "ISODOW": "isodow({0})", "ISOYEAR": "isoyear({0})",
    "DECADE": "year({0}) // 10", "CENTURY": "(year({0}) + 99) // 100", "MILLENNIUM": "(year({0}) + 999) // 1000",
    "HOUR": "hour({0})", "MINUTE": "minute({0})", "SECOND": "second({0})",
    "MILLISECOND": "epoch_us({0}) // 1000 % 1000", "MICROSECOND": "epoch_us({0}) % 1000000",
    "NANOSECOND": "epoch_us({0}) % 1000000 * 1000", "EPOCH": "epoch_us({0}) // 1000000",
}  # fmt: skip
EXTRACT_UNITS = tuple(_PARTS)
ROUND_UNITS = tuple(u for u in (*MONTHS, *MILLISECONDS))


def extract(unit: str, sql: str, type_: DataType) -> str:
    """EXTRACT of wall-clock time. Raises UnsupportedError for a part that the type does not have."""
    clock = unit in _CLOCK
    if (type_.root is Root.TIME and not clock) or (type_.root is Root.DATE and clock):
        raise UnsupportedError(f"{unit} cannot be extracted from {type_.sql(nullability=False)}")
    if type_.root is Root.TIME and unit in ("MILLISECOND", "MICROSECOND", "NANOSECOND"):
        sql = f"(DATE '1970-01-01' + {sql})"
    return f"CAST({_PARTS[unit].format(sql)} AS BIGINT)"


def floor_to(unit: str, sql: str, type_: DataType) -> str:
    """Rounded down to the unit; Flink's weeks begin on Sunday, its centuries with the year 1."""
    if type_.root is Root.TIME:
        if unit not in _CLOCK:
            raise UnsupportedError(f"a TIME cannot be rounded to {unit}")
        return f"date_trunc('{unit.lower()}', DATE '1970-01-01' + {sql})"
    if type_.root is Root.DATE and unit in _CLOCK:
        return sql
    if unit == "WEEK":
        return f"(date_trunc('week', {sql} + INTERVAL 1 DAY) - INTERVAL 1 DAY)"
    if unit in ("CENTURY", "MILLENNIUM"):
        years = MONTHS[unit] // 12
        return f"CAST(make_date((year({sql}) + {years - 1}) // {years} * {years} - {years - 1}, 1, 1) AS TIMESTAMP)"
    return f"date_trunc('{unit.lower()}', {sql})"


def ceil_to(unit: str, sql: str, type_: DataType, volatile: bool) -> str:
    """Rounded up to the unit; a value on the boundary stays.

    Differs: Flink moves such a value on by one unit for DAY (dates), QUARTER and larger units than YEAR.
    """
    if type_.root is Root.DATE and unit in _CLOCK:
        return sql
    step = f"INTERVAL {MONTHS[unit]} MONTH" if unit in MONTHS else f"to_milliseconds({MILLISECONDS[unit]})"

    def by(x: str) -> str:
        low = floor_to(unit, x, type_)
        same = f"(DATE '1970-01-01' + {x})" if type_.root is Root.TIME else x
        return f"CASE WHEN {low} = {same} THEN {low} ELSE {low} + {step} END"

    return let(sql, by, volatile=volatile)


def unit_interval(unit: str, count: str) -> tuple[str, DataType]:
    """``count`` units as an interval, and its type."""
    if unit in MONTHS:
        return f"to_months(CAST({count} * {MONTHS[unit]} AS INTEGER))", INTERVAL_MONTH()
    if unit == "MICROSECOND":
        return f"to_microseconds(CAST({count} AS BIGINT))", INTERVAL_SECOND()
    return f"to_milliseconds(CAST({count} AS BIGINT) * {MILLISECONDS[unit]})", INTERVAL_SECOND()


def difference(unit: str, start: str, end: str, volatile: bool) -> str:
    """Whole units from ``start`` to ``end``; of months: until the same day (or the month's last) and clock time."""
    if unit in MILLISECONDS:
        return (
            f"CAST((epoch_us({end}) // 1000 - epoch_us({start}) // 1000) // {MILLISECONDS[unit]} AS INTEGER)"
        )
    if unit == "MICROSECOND":
        return f"CAST(epoch_us({end}) - epoch_us({start}) AS INTEGER)"

    def months(a: str, b: str) -> str:
        count = f"(year({b}) - year({a})) * 12 + month({b}) - month({a})"
        day = f"least(day({a}), day(last_day({b})))"
        clock = f"(day({b}), CAST(CAST({b} AS TIMESTAMP) AS TIME)) < ({day}, CAST(CAST({a} AS TIMESTAMP) AS TIME))"
        return f"({count} - CASE WHEN {clock} THEN 1 ELSE 0 END)"

    def by(a: str) -> str:
        def both(b: str) -> str:
            return f"CASE WHEN {a} <= {b} THEN {months(a, b)} ELSE -{months(b, a)} END"

        return let(end, both, volatile=volatile)

    return f"CAST({let(start, by, volatile=volatile)} // {MONTHS[unit]} AS INTEGER)"
