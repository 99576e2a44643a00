"""Equality of result tables: multisets of rows, doubles to a relative tolerance, numbers regardless of their type."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from streamsql.changelog import python_values

RELATIVE = 1e-9
ABSOLUTE = 1e-9
"""Sums of doubles that cancel out leave rests of this size at most, for the magnitudes the tests use."""

Row = tuple[Any, ...]


def plain(value: Any) -> Any:
    """A hashable value; equal numbers, instants and collections become equal values of one type.

    Entries of maps and structs keep no order; NaN becomes a text, so that it equals itself.
    """
    match value:
        case bool() | None:
            return value
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case float() if math.isnan(value):
            return "NaN"
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case dt.datetime() if value.tzinfo is not None:
            return value.astimezone(dt.UTC).replace(tzinfo=None)
        case list() | tuple():
            return tuple(map(plain, value))
        case dict():
            return ("map", *sorted(((plain(k), plain(v)) for k, v in value.items()), key=repr))
        case _:
            return value


def rows_of(table: pa.Table) -> list[Row]:
    """The rows of a table as plain values."""
    columns = [[plain(v) for v in python_values(column)] for column in table.columns]
    return list(zip(*columns, strict=True)) if columns else []


def difference(found: Iterable[Row], expected: Iterable[Row]) -> str | None:
    """What is in one multiset and not in the other, as text; None where they are equal."""
    a, b = Counter(found), Counter(expected)
    extra, missing = list((a - b).elements()), list((b - a).elements())
    for row in list(extra):  # equal but for the last digits of doubles
        twin = next((m for m in missing if close(row, m)), None)
        if twin is not None:
            extra.remove(row)
            missing.remove(twin)
    if not extra and not missing:
        return None
    return f"too much ({len(extra)}):\n{_lines(extra)}\nmissing ({len(missing)}):\n{_lines(missing)}"


def close(a: Any, b: Any) -> bool:
    """Equality with a tolerance for floats, at any depth."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) or isinstance(b, float):
        if not (isinstance(a, int | float) and isinstance(b, int | float)):
            return False
        return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _lines(rows: Sequence[Row]) -> str:
    shown = "\n".join(f"  {row}" for row in rows[:10])
    return shown + ("\n  …" if len(rows) > 10 else "")
