"""Python values to the values of a table's columns and back, with errors that say where a value does not fit."""

from __future__ import annotations

import datetime as dt
import math
import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from streamsql.changelog import Row
from streamsql.datatypes import DataType, Root
from streamsql.errors import StreamSqlError
from streamsql.schema import Schema

_BITS = {Root.TINYINT: 8, Root.SMALLINT: 16, Root.INT: 32, Root.BIGINT: 64}


class MisfitError(StreamSqlError):
    """A value that its type does not take; ``path`` says where in a nested value."""

    def __init__(self, type_: DataType, value: Any, why: str = "", path: str = "") -> None:
        found = f"{value!r} ({type(value).__name__})"
        super().__init__(f"expected {type_}, found {found}{f': {why}' if why else ''}")
        self.path = path


# -- in ------------------------------------------------------------------------------------------------------------


def to_arrow(value: Any, type_: DataType, zone: ZoneInfo, path: str = "") -> Any:
    """What Arrow makes a column of ``type_`` from. Nothing is rounded, cut or guessed: else MisfitError.

    ``zone``: that of a TIMESTAMP_LTZ given without one. NULL is let through whatever the type says.
    """
    if value is None:
        return None
    try:
        return _CONVERT[type_.root](value, type_, zone, path)
    except (TypeError, ValueError, OverflowError, InvalidOperation) as e:
        raise MisfitError(type_, value, str(e) if isinstance(e, ValueError) else "", path) from None


def _integer(value: Any, type_: DataType, zone: ZoneInfo, path: str) -> int:
    if isinstance(value, bool):
        raise TypeError
    number = operator.index(value)
    half = 1 << (_BITS[type_.root] - 1)
    if not -half <= number < half:
        raise ValueError(f"outside {-half} to {half - 1}")
    return number


def _double(value: Any, type_: DataType, zone: ZoneInfo, path: str) -> float:
    if isinstance(value, bool | str | bytes):
        raise TypeError
    return float(value)


def _decimal(value: Any, type_: DataType, zone: ZoneInfo, path: str) -> Decimal:
    if isinstance(value, bool):
        raise TypeError
    number = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise ValueError("not a number of digits")
    whole = number.adjusted() + 1 if number else 0
    if _fraction_digits(number) > type_.scale or whole > type_.precision - type_.scale:
        raise ValueError("more digits than the type has")
    return number


def _fraction_digits(number: Decimal) -> int:
    """Digits after the point, zeros at the end left out."""
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return -(exponent + zeros) if number else 0


def _boolean(value: Any, type_: DataType, zone: ZoneInfo, path: str) -> bool:
    if not isinstance(value, bool) and type(value).__name__ not in ("bool_", "bool"):  # numpy's
        raise TypeError
    return bool(value)


def _text(value: Any, type_: DataType, zone: ZoneInfo, path: str) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _bytes(value: Any, type_: DataType, zone: ZoneInfo, path: str) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError
    return bytes(value)


def _date(value: Any, type_: DataType, zone: ZoneInfo, path: str) -> dt.date:
    if isinstance(value, str):
        return dt.date.fromisoformat(value)
    if isinstance(value, dt.datetime) or not isinstance(value, dt.date):
        raise TypeError
    return value


def _time(value: Any, type_: DataType, zone: ZoneInfo, path: str) -> dt.time:
    found = dt.time.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(found, dt.time) or found.tzinfo is not None:
        raise TypeError
    return found


def _timestamp(value: Any, type_: DataType, zone: ZoneInfo, path: str) -> dt.datetime:
    found = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(found, dt.datetime):
        raise TypeError
    if found.microsecond % 10 ** (6 - type_.precision):
        raise ValueError("a finer time than the type holds")
    if type_.root is Root.TIMESTAMP:
        if found.tzinfo is not None:
            raise ValueError("a TIMESTAMP has no zone; TIMESTAMP_LTZ has")
        return found
    return (found if found.tzinfo is not None else found.replace(tzinfo=zone)).astimezone(dt.UTC)


def _interval(value: Any, type_: DataType, zone: ZoneInfo, path: str) -> Any:
    if type_.root is Root.INTERVAL_MONTH:
        return pa.MonthDayNano([_integer(value, DataType(Root.INT), zone, path), 0, 0])
    if not isinstance(value, dt.timedelta):
        raise TypeError
    micros = (value.seconds * 1_000_000 + value.microseconds) * 1000
    return pa.MonthDayNano([0, value.days, micros])


def _array(value: Any, type_: DataType, zone: ZoneInfo, path: str) -> list[Any]:
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__iter__"):
        raise TypeError
    return [to_arrow(v, type_.children[0], zone, f"{path}[{i}]") for i, v in enumerate(value)]


def _map(value: Any, type_: DataType, zone: ZoneInfo, path: str) -> list[tuple[Any, Any]]:
    pairs = list(value.items() if isinstance(value, Mapping) else value)
    key, item = type_.children
    found = []
    for k, v in pairs:
        if k is None:
            raise ValueError("a key is NULL")
        found.append((to_arrow(k, key, zone, f"{path} key"), to_arrow(v, item, zone, f"{path}[{k!r}]")))
    return found


def _multiset(value: Any, type_: DataType, zone: ZoneInfo, path: str) -> list[tuple[Any, int]]:
    if isinstance(value, str | bytes):
        raise TypeError
    counts = value.items() if isinstance(value, Mapping) else Counter(value).items()
    count = DataType(Root.INT)
    return [
        (to_arrow(v, type_.children[0], zone, f"{path} element"), to_arrow(n, count, zone, path))
        for v, n in counts
    ]


def _row(value: Any, type_: DataType, zone: ZoneInfo, path: str) -> dict[str, Any]:
    if isinstance(value, Mapping):
        unknown = [k for k in value if k not in type_.names]
        missing = [n for n in type_.names if n not in value]
        if unknown or missing:
            raise ValueError(f"field {(unknown or missing)[0]!r} is {'unknown' if unknown else 'missing'}")
        values = [value[n] for n in type_.names]
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        values = list(value)
        if len(values) != len(type_.names):
            raise ValueError(f"{len(values)} values for {len(type_.names)} fields")
    else:
        raise TypeError
    fields = zip(type_.names, type_.children, values, strict=True)
    return {n: to_arrow(v, t, zone, f"{path}.{n}") for n, t, v in fields}


_CONVERT: dict[Root, Callable[[Any, DataType, ZoneInfo, str], Any]] = {
    **dict.fromkeys(_BITS, _integer),
    **dict.fromkeys((Root.FLOAT, Root.DOUBLE), _double),
    **dict.fromkeys((Root.CHAR, Root.VARCHAR), _text),
    **dict.fromkeys((Root.BINARY, Root.VARBINARY), _bytes),
    **dict.fromkeys((Root.TIMESTAMP, Root.TIMESTAMP_LTZ), _timestamp),
    **dict.fromkeys((Root.INTERVAL_MONTH, Root.INTERVAL_SECOND), _interval),
    Root.DECIMAL: _decimal,
    Root.BOOLEAN: _boolean,
    Root.DATE: _date,
    Root.TIME: _time,
    Root.ARRAY: _array,
    Root.MAP: _map,
    Root.MULTISET: _multiset,
    Root.ROW: _row,
}

# -- out -----------------------------------------------------------------------------------------------------------


def python_column(column: pa.Array, type_: DataType) -> list[Any]:
    """A column's values as plain Python: see :func:`to_python`."""
    return [to_python(v, type_) for v in column.to_pylist()]


def to_python(value: Any, type_: DataType) -> Any:
    """A value from Arrow: ROW becomes Row, MAP and MULTISET dict, an interval timedelta or a number of months.

    A map whose keys are arrays or maps stays a list of pairs.
    """
    if value is None:
        return None
    match type_.root:
        case Root.ARRAY:
            return [to_python(v, type_.children[0]) for v in value]
        case Root.ROW:
            children = zip(type_.names, type_.children, strict=True)
            return Row([to_python(value[n], t) for n, t in children], type_.names)
        case Root.MAP | Root.MULTISET:
            item = type_.children[1] if type_.root is Root.MAP else DataType(Root.INT)
            pairs = [(to_python(k, type_.children[0]), to_python(v, item)) for k, v in value]
            return pairs if type_.children[0].root in (Root.ARRAY, Root.MAP, Root.MULTISET) else dict(pairs)
        case Root.INTERVAL_MONTH:
            return value.months
        case Root.INTERVAL_SECOND:
            return dt.timedelta(days=value.days, microseconds=value.nanoseconds // 1000)
        case _:
            return value


def frozen(value: Any) -> Any:
    """A hashable stand-in, equal for equal values; NaN equals itself, entries of maps keep no order."""
    match value:
        case float() if math.isnan(value):
            return ("NaN",)
        case list():
            return ("list", *map(frozen, value))
        case tuple():
            return tuple(map(frozen, value))
        case dict():
            return ("dict", frozenset((frozen(k), frozen(v)) for k, v in value.items()))
        case _:
            return value


def rows_of(table: pa.Table, schema: Schema) -> list[Row]:
    """The rows of a table of that schema."""
    whole = table.combine_chunks()
    columns = [
        python_column(pa.concat_arrays(c.chunks) if c.num_chunks else pa.array([], c.type), t)
        for c, t in zip(whole.columns, schema.types, strict=True)
    ]
    return [Row(values, schema.names) for values in zip(*columns, strict=True)]
