"""Types and intervals as they are written: syntax trees to ``DataType`` and to lengths of time."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from streamsql.datatypes import (
    ARRAY,
    BIGINT,
    BINARY,
    BOOLEAN,
    BYTES,
    CHAR,
    DATE,
    DECIMAL,
    DOUBLE,
    FLOAT,
    INT,
    INTERVAL_MONTH,
    INTERVAL_SECOND,
    MAP,
    MAX_LENGTH,
    MULTISET,
    NULL,
    ROW,
    SMALLINT,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_LTZ,
    TINYINT,
    VARBINARY,
    VARCHAR,
    DataType,
    Root,
)
from streamsql.errors import Position, StreamSqlError, UnsupportedError, ValidationError

from .expressions import Expr, Literal

_SIMPLE: dict[exp.DType, Callable[[], DataType]] = {
    exp.DType.TEXT: STRING,
    exp.DType.BLOB: BYTES,
    exp.DType.BOOLEAN: BOOLEAN,
    exp.DType.TINYINT: TINYINT,
    exp.DType.SMALLINT: SMALLINT,
    exp.DType.INT: INT,
    exp.DType.BIGINT: BIGINT,
    exp.DType.FLOAT: FLOAT,
    exp.DType.DOUBLE: DOUBLE,
    exp.DType.DATE: DATE,
    exp.DType.NULL: NULL,
}
_SIZED: dict[exp.DType, tuple[Callable[..., DataType], Callable[[], DataType]]] = {
    # type: with parameters, without; VARCHAR without a length is STRING in SQL texts
    exp.DType.VARCHAR: (VARCHAR, STRING),
    exp.DType.CHAR: (CHAR, CHAR),
    exp.DType.VARBINARY: (VARBINARY, BYTES),
    exp.DType.BINARY: (BINARY, BINARY),
    exp.DType.DECIMAL: (DECIMAL, DECIMAL),
    exp.DType.TIME: (TIME, TIME),
    exp.DType.TIMESTAMP: (TIMESTAMP, TIMESTAMP),
    exp.DType.TIMESTAMPLTZ: (TIMESTAMP_LTZ, TIMESTAMP_LTZ),
}
_LENGTHS = (exp.DType.VARCHAR, exp.DType.CHAR, exp.DType.VARBINARY, exp.DType.BINARY)


def data_type(node: exp.Expr, sql: str | None = None) -> DataType:
    """The type written at ``node``; with ``sql``, errors point into that text.

    Raises UnsupportedError naming a type that Flink has and this version refuses.
    """
    try:
        found = _data_type(node)
    except StreamSqlError as e:
        if e.position is None and sql is not None:
            e.position = position_in(node, sql)
        raise
    return found.not_null() if node.args.get("nullable") is False else found


def _data_type(node: exp.Expr) -> DataType:
    kind = node.this
    if isinstance(kind, exp.Interval):
        return interval_type(unit_of(kind)[0])
    assert isinstance(node, exp.DataType)
    inner = node.expressions
    if kind in _SIMPLE:
        return _SIMPLE[kind]()
    if kind in _SIZED:
        return _sized(kind, [int(p.this.name) for p in inner])
    if kind is exp.DType.ARRAY:
        return ARRAY(data_type(inner[0]))
    if kind is exp.DType.MAP:
        return MAP(data_type(inner[0]), data_type(inner[1]))
    if kind is exp.DType.STRUCT:
        return _row(inner)
    own = str(node.args.get("kind") or "")
    if own == "MULTISET":
        return MULTISET(data_type(inner[0]))
    if kind is exp.DType.TIMESTAMPTZ:
        raise UnsupportedError(
            "TIMESTAMP WITH TIME ZONE is not supported (nor in Flink)",
            hint="use TIMESTAMP_LTZ, a point in time",
        )
    name = own or str(kind.value if isinstance(kind, exp.DType) else kind)
    raise UnsupportedError(f"the type {name} is not supported", hint=_TYPE_HINTS.get(name))


_TYPE_HINTS = {
    "VARIANT": "use STRING and the JSON functions",
    "RAW": "use BYTES",
    "STRUCTURED": "use ROW",
    "BITMAP": "use BYTES",
}


def _sized(kind: exp.DType, parameters: list[int]) -> DataType:
    with_parameters, without = _SIZED[kind]
    if not parameters:
        return without()
    if kind in _LENGTHS and not 1 <= parameters[0] <= MAX_LENGTH:
        raise ValidationError(f"a length must be between 1 and {MAX_LENGTH}, found {parameters[0]}")
    return with_parameters(*parameters)


def _row(fields: list[exp.Expr]) -> DataType:
    names = [f.this.name for f in fields]
    repeated = next((n for n in names if names.count(n) > 1), None)
    if repeated is not None:
        raise ValidationError(f"the field '{repeated}' occurs twice in ROW")
    return ROW([(f.this.name, data_type(f.args["kind"])) for f in fields])


# -- intervals ---------------------------------------------------------------------------------------------

_MONTHS = {"YEAR": 12, "QUARTER": 3, "MONTH": 1}
_MILLIS = {
    "WEEK": 604_800_000, "DAY": 86_400_000, "HOUR": 3_600_000, "MINUTE": 60_000, "SECOND": 1_000, "MILLISECOND": 1,
}  # fmt: skip
_ORDER = ("DAY", "HOUR", "MINUTE", "SECOND")


def unit_of(node: exp.Interval) -> tuple[str, str | None]:
    """First and last unit: ``DAY TO SECOND`` is ("DAY", "SECOND"), ``DAY`` is ("DAY", None)."""
    unit = node.args["unit"]
    if isinstance(unit, exp.IntervalSpan):
        return _bare(unit.this), _bare(unit.expression)
    return _bare(unit), None


def _bare(unit: exp.Expr) -> str:
    return str(unit.name).upper().partition("(")[0]


def interval_type(unit: str) -> DataType:
    """INTERVAL YEAR TO MONTH for months and longer, else INTERVAL DAY TO SECOND."""
    return INTERVAL_MONTH() if unit in _MONTHS else INTERVAL_SECOND()


def interval_literal(node: exp.Interval) -> Literal:
    """The value of ``INTERVAL '1' DAY`` and its kin. Raises ValidationError for a text that does not fit."""
    first, last = unit_of(node)
    this = node.this
    if not isinstance(this, exp.Literal):
        raise ValidationError("an interval takes a string, as in INTERVAL '5' SECOND")
    text = str(this.name).strip()
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").strip()
    value = _single(digits, first) if last is None else _span(digits, first, last)
    if value is None:
        shown = first if last is None else f"{first} TO {last}"
        raise ValidationError(
            f"'{text}' is not an interval of {shown}", hint=_EXAMPLES.get(shown, "as in '5'")
        )
    return Literal(sign * value, interval_type(first).not_null())


_EXAMPLES = {
    "YEAR TO MONTH": "as in '2-10'",
    "DAY TO HOUR": "as in '1 12'",
    "DAY TO MINUTE": "as in '1 12:30'",
    "DAY TO SECOND": "as in '1 12:30:15.5'",
    "HOUR TO MINUTE": "as in '12:30'",
    "HOUR TO SECOND": "as in '12:30:15'",
    "MINUTE TO SECOND": "as in '30:15'",
}


def _single(digits: str, unit: str) -> int | None:
    if unit in ("MICROSECOND", "NANOSECOND"):
        raise UnsupportedError(
            f"an interval in {unit} is not supported", hint="the finest unit is MILLISECOND"
        )
    pattern = r"\d+(\.\d{1,9})?" if unit == "SECOND" else r"\d+"
    if not re.fullmatch(pattern, digits):
        return None
    if unit in _MONTHS:
        return int(digits) * _MONTHS[unit]
    return _seconds(digits) if unit == "SECOND" else int(digits) * _MILLIS[unit]


def _seconds(digits: str) -> int:
    whole, _, fraction = digits.partition(".")
    return int(whole) * 1000 + int((fraction + "000")[:3])


def _span(digits: str, first: str, last: str) -> int | None:
    if first in _MONTHS:
        found = re.fullmatch(r"(\d+)-(\d+)", digits)
        return int(found[1]) * 12 + int(found[2]) if found and (first, last) == ("YEAR", "MONTH") else None
    if first not in _ORDER or last not in _ORDER or _ORDER.index(first) >= _ORDER.index(last):
        return None
    units = _ORDER[_ORDER.index(first) : _ORDER.index(last) + 1]
    pattern = r"(\d+(?:\.\d{1,9})?)" if last == "SECOND" else r"(\d+)"
    separators = {"DAY": r"(\d+)\s+", "HOUR": r"(\d+):", "MINUTE": r"(\d+):"}
    found = re.fullmatch("".join(separators[u] for u in units[:-1]) + pattern, digits)
    if not found:
        return None
    *heads, tail = found.groups()
    total = sum(int(n) * _MILLIS[u] for n, u in zip(heads, units[:-1], strict=True))
    return total + (_seconds(tail) if last == "SECOND" else int(tail) * _MILLIS[last])


def interval_ms(node: exp.Expr | Expr) -> int | None:
    """Milliseconds of a constant interval (syntax or bound), None if it is none or counts months."""
    if isinstance(node, exp.Paren):
        return interval_ms(node.this)
    if isinstance(node, exp.Neg):
        value = interval_ms(node.this)
        return None if value is None else -value
    literal = interval_literal(node) if isinstance(node, exp.Interval) else node
    if isinstance(literal, Literal) and literal.type.root is Root.INTERVAL_SECOND:
        return literal.value if isinstance(literal.value, int) else None
    return None


def position_in(node: exp.Expr, sql: str) -> Position | None:
    """Where a node stands in the text it was parsed from."""
    from .parsing import position_of

    return position_of(node, sql)
