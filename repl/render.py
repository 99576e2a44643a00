"""Values as text and rows as tables, in the layout of Flink's SQL client.

Widths count terminal columns, so wide characters line up. Control characters are shown, never sent to the
terminal.

Source: Flink's TableauStyle and its CAST(… AS STRING) rules.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from streamsql.datatypes import DataType, Root
from streamsql.schema import Schema

if TYPE_CHECKING:
    from .engine import Result

NULL_TEXT = "<NULL>"
ELLIPSIS = "..."
OP = "op"
Formatter = Callable[[Any], str]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


# -- one value -----------------------------------------------------------------------------------------------
def formatter(t: DataType, zone: dt.tzinfo) -> Formatter:
    """The function that writes non-null values of a type; TIMESTAMP_LTZ is shown in ``zone``."""
    match t.root:
        case Root.CHAR | Root.VARCHAR:
            return visible
        case Root.BOOLEAN:
            return lambda v: "TRUE" if v else "FALSE"
        case Root.BINARY | Root.VARBINARY:
            return lambda v: f"x'{bytes(v).hex()}'"
        case Root.DECIMAL:
            return lambda v: f"{Decimal(v):f}"
        case Root.FLOAT:
            return lambda v: floating(_shortest_float32(v))
        case Root.DOUBLE:
            return lambda v: floating(repr(float(v)))
        case Root.TIME:
            return lambda v: v.strftime("%H:%M:%S") + _fraction(v.microsecond, t.precision)
        case Root.TIMESTAMP:
            return lambda v: timestamp(v, t.precision)
        case Root.TIMESTAMP_LTZ:
            return lambda v: timestamp(v.astimezone(zone), t.precision)
        case Root.INTERVAL_MONTH:
            return months
        case Root.INTERVAL_SECOND:
            return seconds
        case Root.ARRAY:
            element = _nested(t.children[0], zone)
            return lambda v: "[" + ", ".join(element(x) for x in v) + "]"
        case Root.MAP | Root.MULTISET:
            key = _nested(t.children[0], zone)
            value = str if t.root is Root.MULTISET else _nested(t.children[1], zone)
            return lambda v: "{" + ", ".join(f"{key(k)}={value(x)}" for k, x in pairs(v)) + "}"
        case Root.ROW:
            fields = [_nested(child, zone) for child in t.children]
            return lambda v: "(" + ", ".join(f(x) for f, x in zip(fields, members(v), strict=True)) + ")"
        case _:
            return str


def _nested(t: DataType, zone: dt.tzinfo) -> Formatter:
    inner = formatter(t, zone)
    return lambda v: "NULL" if v is None else inner(v)


def pairs(v: Any) -> Iterable[tuple[Any, Any]]:
    """The entries of a map, which is a dict or a list of pairs."""
    return v.items() if isinstance(v, dict) else v


def members(v: Any) -> Iterable[Any]:
    """The field values of a row, which is a dict or a tuple."""
    return v.values() if isinstance(v, dict) else v


def visible(v: Any) -> str:
    """Text without control characters: they would break the table or drive the terminal.

    >>> visible("a\\tb")
    'a\\\\tb'
    """
    text = str(v)
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda m: _NAMED.get(m[0]) or f"\\x{ord(m[0]):02x}", text)


def timestamp(v: dt.datetime, precision: int) -> str:
    return v.strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0") + _fraction(v.microsecond, precision)


MAX_WATERMARK_MS = 2**62  # at or above it the sources have ended


def watermark_text(watermark_ms: int | None, zone: dt.tzinfo, today: dt.date | None = None) -> str:
    """A watermark in the zone; on the day ``today`` without the date.

    >>> watermark_text(0, dt.UTC), watermark_text(None, dt.UTC), watermark_text(2**63 - 1, dt.UTC)
    ('1970-01-01 00:00:00.000', '-', 'end')
    """
    if watermark_ms is None or watermark_ms < -MAX_WATERMARK_MS:
        return "-"
    if watermark_ms >= MAX_WATERMARK_MS:
        return "end"
    at = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=watermark_ms)
    text = timestamp(at.astimezone(zone), 3)
    return text[11:] if at.astimezone(zone).date() == today else text


def _fraction(microseconds: int, precision: int) -> str:
    return f".{microseconds:06d}"[: precision + 1] if precision else ""


def floating(shortest: str) -> str:
    """A Python float text as Java writes it: plain from 0.001 up to ten million, else with an exponent.

    >>> floating("0.1"), floating("12345678.9"), floating("1e-05"), floating("inf"), floating("5.0")
    ('0.1', '1.23456789E7', '1.0E-5', 'Infinity', '5.0')
    """
    number = float(shortest)
    if number != number:
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        text = f"{Decimal(shortest):f}"
        return text if "." in text else text + ".0"
    sign, digits, exponent = Decimal(shortest).as_tuple()
    written = "".join(map(str, digits)).rstrip("0") or "0"
    power = int(exponent) + len(digits) - 1
    return f"{'-' if sign else ''}{written[0]}.{written[1:] or '0'}E{power}"


def _shortest_float32(v: float) -> str:
    import numpy as np

    return str(np.float32(v))


def months(v: Any) -> str:
    """An INTERVAL YEAR TO MONTH, e.g. ``+1-02``."""
    total = int(v.months)
    return f"{'-' if total < 0 else '+'}{abs(total) // 12}-{abs(total) % 12:02d}"


def seconds(v: Any) -> str:
    """An INTERVAL DAY TO SECOND, e.g. ``+0 00:01:00.000``."""
    if isinstance(v, dt.timedelta):
        millis = v // dt.timedelta(milliseconds=1)
    else:
        millis = v.days * 86_400_000 + int(v.nanoseconds) // 1_000_000
    rest, ms = divmod(abs(millis), 1000)
    days, rest = divmod(rest, 86_400)
    sign = "-" if millis < 0 else "+"
    return f"{sign}{days} {rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}.{ms:03d}"


class RowFormatter:
    """Rows of a schema as lists of texts."""

    def __init__(self, schema: Schema, zone: dt.tzinfo | None = None, null_text: str = NULL_TEXT) -> None:
        self.names = [visible(n) for n in schema.names]
        self._formatters = [formatter(t, zone or ZoneInfo("UTC")) for t in schema.types]
        self._null = null_text

    def texts(self, row: Sequence[Any]) -> list[str]:
        return [self._null if v is None else f(v) for f, v in zip(self._formatters, row, strict=True)]


# -- tables --------------------------------------------------------------------------------------------------
def width(text: str) -> int:
    """Terminal columns of a text.

    >>> width("abc"), width("日本")
    (3, 4)
    """
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth

    return max(wcswidth(text), 0)


def fit(text: str, columns: int) -> str:
    """The text, cut to so many terminal columns; a cut ends in ``...``.

    >>> fit("abcdefgh", 6)
    'abc...'
    """
    if width(text) <= columns:
        return text
    kept, used = [], 0
    for character in text:
        used += width(character)
        if used > columns - len(ELLIPSIS):
            break
        kept.append(character)
    return "".join(kept) + ELLIPSIS[:columns]


def right(text: str, columns: int) -> str:
    """The text in a cell of so many columns, aligned right."""
    shown = fit(text, columns)
    return " " * (columns - width(shown)) + shown


class TableLayout:
    """Lines of a table whose column widths are known."""

    def __init__(self, names: Sequence[str], widths: Sequence[int], *, with_op: bool = False) -> None:
        self.names = list(names)
        self.widths = list(widths)
        self.with_op = with_op

    @property
    def rule(self) -> str:
        op = ["-" * (len(OP) + 2)] if self.with_op else []
        return "+" + "+".join([*op, *("-" * (w + 2) for w in self.widths)]) + "+"

    @property
    def header(self) -> list[str]:
        return [self.rule, self.line(self.names, OP), self.rule]

    def line(self, texts: Sequence[str], op: str = "") -> str:
        cells = [right(t, w) for t, w in zip(texts, self.widths, strict=True)]
        return "| " + " | ".join([op.rjust(len(OP)), *cells] if self.with_op else cells) + " |"


def content_widths(
    names: Sequence[str], rows: Iterable[Sequence[str]], width_max: int | None = None
) -> list[int]:
    """Widths that hold every cell, cut at ``width_max``; a column name is always whole."""
    name_widths = [width(n) for n in names]
    widths = list(name_widths)
    for row in rows:
        widths = [max(w, width(text)) for w, text in zip(widths, row, strict=True)]
    if width_max is None:
        return widths
    return [max(n, min(w, width_max)) for n, w in zip(name_widths, widths, strict=True)]


def plain_table(
    names: Sequence[str], rows: Sequence[Sequence[str]], width_max: int | None = None
) -> list[str]:
    """The lines of a finite result.

    >>> print("\\n".join(plain_table(["id", "name"], [["1", "a"], ["20", "b"]])))
    +----+------+
    | id | name |
    +----+------+
    |  1 |    a |
    | 20 |    b |
    +----+------+
    """
    layout = TableLayout(names, content_widths(names, rows, width_max))
    return [*layout.header, *(layout.line(r) for r in rows), layout.rule]


def upright(names: Sequence[str], row: Sequence[str]) -> list[str]:
    """The lines of one row, a column each.

    >>> print("\\n".join(upright(["id", "name"], ["1", "a"])))
      id | 1
    name | a
    """
    most = max(map(width, names), default=0)
    return [f"{' ' * (most - width(n))}{n} | {text}".rstrip() for n, text in zip(names, row, strict=True)]


_FIXED_WIDTHS = {
    Root.BOOLEAN: 7,
    Root.TINYINT: 4,
    Root.SMALLINT: 6,
    Root.INT: 11,
    Root.BIGINT: 20,
    Root.DATE: 10,
}


def type_widths(schema: Schema, width_max: int) -> list[int]:
    """Widths for rows that are not known yet: by type; ``width_max`` holds for types of any length."""
    return [max(width(visible(f.name)), _type_width(f.type, width_max)) for f in schema]


def _type_width(t: DataType, width_max: int) -> int:
    match t.root:
        case Root.CHAR | Root.VARCHAR:
            return min(max(t.length, len(NULL_TEXT)), width_max)
        case Root.DECIMAL:
            return t.precision + 3  # sign, point, and a zero before it
        case Root.TIME:
            return 8 + (t.precision + 1 if t.precision else 0)
        case Root.TIMESTAMP | Root.TIMESTAMP_LTZ:
            return 19 + (t.precision + 1 if t.precision else 0)
        case _:
            return _FIXED_WIDTHS.get(t.root, width_max)


def count_rows(n: int) -> str:
    """``1 row``, ``2 rows``."""
    return f"{n} row" if n == 1 else f"{n} rows"


def print_result(result: Result, time_zone: str = "UTC") -> None:
    """Prints a result to stdout, see ``output.print_result``."""
    from .output import print_result as show

    show(result, time_zone)
