"""Changelogs as text tables: ``+I a 1`` is a row inserted, cells stand in columns parted by blanks.

A cell is ``null``, a number, ``true``, a text (quoted ``'like this'`` where it is empty, holds blanks or looks like
something else), a date, a time, a timestamp (``2024-01-01 00:00:10``, or epoch milliseconds), ``x'00ff'`` for bytes,
and JSON for arrays, maps and rows: ``[1,null]``, ``{"a":1}``. Lines that begin with ``#`` are remarks.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from streamsql.changelog import Row
from streamsql.result import TableResult

from .clock import epoch_ms
from .sink import SinkTable
from .values import rows_of

KINDS = ("+I", "-U", "+U", "-D")
RELATIVE = 1e-9
"""Doubles may differ in their last digits."""

_CELL = re.compile(
    r"""
    x?'(?:[^']|'')*'                                              # 'a text', x'00ff'
    | \d{4}-\d\d-\d\d\ \d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?(?=\s|$)   # a timestamp
    | \S+
    """,
    re.VERBOSE,
)
_ONE_CELL = re.compile(r"x?'(?:[^']|'')*'|\S+")


def assert_changelog(
    changes: SinkTable | TableResult | Iterable[Row], expected: str, *, in_any_order: bool = False
) -> None:
    """Compare a changelog with a text table; raises AssertionError that shows both.

    ``changes``: a sink table, the result of a bounded query, or rows with kinds.
    """
    rows = changes.changelog() if isinstance(changes, SinkTable) else list(changes)
    _assert_same([(r.kind.short, r) for r in rows], expected, in_any_order=in_any_order)


def assert_rows(
    rows: SinkTable | TableResult | Iterable[Sequence[Any]], expected: str, *, in_any_order: bool = True
) -> None:
    """Compare a final table with a text table whose lines have no kinds; in any order, if not said otherwise."""
    if isinstance(rows, SinkTable):
        found = [tuple(r) for r in rows.rows()]
    elif isinstance(rows, TableResult):
        found = [tuple(r) for r in rows_of(rows.to_arrow(), rows.schema)]
    else:
        found = [tuple(r) for r in rows]
    _assert_same([("", r) for r in found], expected, in_any_order=in_any_order)


def _assert_same(found: list[tuple[str, Sequence[Any]]], expected: str, *, in_any_order: bool) -> None:
    lines = [line for line in map(str.strip, expected.splitlines()) if line and not line.startswith("#")]
    with_kinds = not found or bool(found[0][0])
    for line in lines if with_kinds and found else ():
        if line.split()[0] not in KINDS:
            raise AssertionError(f"a line begins with +I, -U, +U or -D, found: {line}")
    if in_any_order:
        left = list(found)
        wanted: list[str] = []
        for line in lines:
            match = next((i for i, (k, row) in enumerate(left) if line_matches(line, k, row)), None)
            wanted.append(_normal(line) if match is None else _line(*left.pop(match)))
        shown = [_line(*f) for f in found]
        if left or len(lines) != len(found):
            raise AssertionError(_difference(sorted(wanted), sorted(shown)))
        return
    same = [i < len(found) and line_matches(line, *found[i]) for i, line in enumerate(lines)]
    if not all(same) or len(lines) != len(found):
        wanted = [_line(*found[i]) if same[i] else _normal(line) for i, line in enumerate(lines)]
        raise AssertionError(_difference(wanted, [_line(*f) for f in found]))


def _difference(expected: list[str], found: list[str]) -> str:
    lines = difflib.ndiff(expected, found)
    marked = [f"  {line}" for line in lines if not line.startswith("?")]
    return "\n".join(["the changes differ (- expected, + found):", *marked])


def _normal(line: str) -> str:
    return " ".join(_CELL.findall(line))


def _line(kind: str, row: Sequence[Any]) -> str:
    return " ".join([*([kind] if kind else []), *map(show, row)])


def line_matches(line: str, kind: str, row: Sequence[Any]) -> bool:
    """Whether a line of a text table says this row (of this kind, if it is not empty)."""
    for pattern in (_CELL, _ONE_CELL):
        cells = _cells(line, pattern)
        if kind:
            if cells[0] != kind:
                return False
            cells = cells[1:]
        if len(cells) == len(row):
            return all(cell_matches(c, v) for c, v in zip(cells, row, strict=True))
    return False


def _cells(line: str, pattern: re.Pattern[str]) -> list[str]:
    """The cells of a line; brackets that are open go on to the next."""
    cells: list[str] = []
    for found in pattern.findall(line):
        if cells and _open(cells[-1]):
            cells[-1] += f" {found}"
        else:
            cells.append(found)
    return cells


def _open(cell: str) -> bool:
    bare = re.sub(r'"(?:[^"\\]|\\.)*"?', "", cell) if cell[0] in "[{" else ""
    return sum(bare.count(c) for c in "[{") > sum(bare.count(c) for c in "]}") or (
        cell[0] in "[{" and len(re.findall(r'(?<!\\)"', cell)) % 2 == 1
    )


def cell_matches(cell: str, value: Any) -> bool:
    """Whether a cell says this value; doubles may differ in their last digits."""
    try:
        return _matches(cell, value)
    except (ValueError, InvalidOperation):
        return False


def _matches(cell: str, value: Any) -> bool:
    text = _unquoted(cell)
    match value:
        case None:
            return cell.lower() == "null"
        case bool():
            return cell.lower() == ("true" if value else "false")
        case int():
            return int(cell) == value
        case float():
            return _close(float(cell), value)
        case Decimal():
            return Decimal(cell) == value
        case str():
            return text == value and not (cell == "null" and value == "null")
        case bytes():
            return cell.lower() == f"x'{value.hex()}'"
        case dt.datetime():
            if re.fullmatch(r"-?\d+", text):
                return int(text) == epoch_ms(value)
            return epoch_us(dt.datetime.fromisoformat(text)) == epoch_us(value)
        case dt.date():
            return dt.date.fromisoformat(text) == value
        case dt.time():
            return dt.time.fromisoformat(text) == value
        case dt.timedelta():
            return text == str(value)
        case _:
            return _same_json(json.loads(cell), jsonable(value))


def _same_json(a: Any, b: Any) -> bool:
    if isinstance(a, float | int) and isinstance(b, float) and not isinstance(a, bool):
        return _close(float(a), b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same_json(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same_json(a[k], b[k]) for k in a)
    return bool(a == b)


def _close(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=RELATIVE)


def epoch_us(moment: dt.datetime) -> int:
    """Epoch microseconds; a time without a zone is UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return (aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def _unquoted(cell: str) -> str:
    return cell[1:-1].replace("''", "'") if len(cell) > 1 and cell[0] == cell[-1] == "'" else cell


def show(value: Any) -> str:
    """The cell of a value.

    >>> [show(v) for v in (None, "a b", 1.5, dt.datetime(2024, 1, 1, 9), [1, None], b"\\x00")]
    ['null', "'a b'", '1.5', '2024-01-01 09:00:00', '[1,null]', "x'00'"]
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case bytes():
            return f"x'{value.hex()}'"
        case str():
            return value if re.fullmatch(r"[^\s'\[{#]\S*", value) and value != "null" else _quoted(value)
        case float():
            return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case dt.datetime():
            return value.isoformat(" ").replace("+00:00", "Z")
        case list() | tuple() | dict():
            return json.dumps(jsonable(value), separators=(",", ":"), ensure_ascii=False)
        case _:
            return str(value)


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def jsonable(value: Any) -> Any:
    """A nested value as JSON: rows become objects by name, what JSON has not becomes the text of its cell."""
    match value:
        case Row() if value.names:
            return {n: jsonable(v) for n, v in zip(value.names, value, strict=True)}
        case list() | tuple():
            return [jsonable(v) for v in value]
        case dict():
            return {k if isinstance(k, str) else show(k): jsonable(v) for k, v in value.items()}
        case None | bool() | int() | float() | str():
            return value
        case _:
            return show(value)
