"""The page of all functions, written from their records: ``python -m streamsql.planner.functions.docs [FILE]``.

Without a file the page goes to standard output. A test keeps ``docs/functions.md`` equal to it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import conversion
from .aggregates import AGGREGATES
from .base import AggregateDef, FunctionDef
from .registry import SCALARS, UNSUPPORTED

TITLES = {
    "comparison": "Comparison",
    "logical": "Logic",
    "arithmetic": "Arithmetic",
    "string": "Strings",
    "regexp": "Regular expressions",
    "temporal": "Date and time",
    "conditional": "Conditions",
    "conversion": "Conversion",
    "collection": "Arrays, maps and rows",
    "json": "JSON",
    "hash": "Hashes",
    "aggregate": "Aggregates",
    "window": "Window functions (with OVER)",
}
INTRODUCTION = """\
# Functions

Written from the function table; run `python -m streamsql.planner.functions.docs docs/functions.md` after a change.

Names and result types are Flink's. A NULL argument gives NULL unless the description says otherwise. In
signatures `INT` is any integer type, `DOUBLE` and `NUMERIC` any number, `POINT` a DATE, TIME, TIMESTAMP or
TIMESTAMP_LTZ, `DATETIME` the same without TIME, `TEXT` a string or bytes, and `…...` repeats.

## Where results differ from Flink's

- `TINYINT`, `SMALLINT`, `INT` and `BIGINT` wrap around on overflow as in Flink, but the smallest integer divided by -1
  is an error.
- A `DECIMAL` result that needs more than 38 digits is NULL, as in Flink; intermediate products are exact to 38 digits.
- `CEIL(t TO unit)` leaves a value on the boundary where it is; Flink moves some of them on by one unit.
- Regular expressions run in linear time (RE2): lookaround, back-references, possessive quantifiers and atomic groups
  are refused by name.
- Date patterns and JSON paths must be constants. Week-based and zone letters are not printed.
- JSON text may hold NaN and a trailing comma. `JSON_QUERY` keeps the order of keys where Flink sorts them.
- NaN equals NaN and is the greatest number.
- `RAND` and `RAND_INTEGER` take no seed. Time functions read the clock once per step.
- Timestamps are held in microseconds; a precision above 6 is refused.
"""


def page() -> str:
    """The whole page in Markdown."""
    sections = [INTRODUCTION]
    records: list[FunctionDef | AggregateDef] = [*SCALARS, *AGGREGATES]
    for category, title in TITLES.items():
        rows = [_row(r) for r in records if r.category == category and r.description]
        if category == "conversion":
            rows = [*(_cells(syntax, result, text) for syntax, result, text in conversion.DOCUMENTED), *rows]
        sections.append(_section(title, rows))
    sections.append(_unsupported())
    return "\n".join(sections)


def _section(title: str, rows: Iterable[str]) -> str:
    head = f"## {title}\n\n| Function | Result | Description |\n| --- | --- | --- |\n"
    return head + "\n".join(rows) + "\n"


def _row(record: FunctionDef | AggregateDef) -> str:
    text = record.description
    if record.aliases and not _operator(record.name):
        text += f" Also {', '.join(f'`{a}`' for a in record.aliases)}."
    return _cells("\n".join(record.usage()), record.result, text)


def _operator(name: str) -> bool:
    return not name.replace("_", "").isalnum()


def _cells(syntax: str, result: str, description: str) -> str:
    forms = "<br>".join(f"`{form}`" for form in syntax.split("\n"))
    return f"| {_escape(forms)} | {_escape(result)} | {_escape(description)} |"


def _escape(text: str) -> str:
    return (
        text.replace("|", "\\|").replace("<key", "&lt;key") if "`" not in text else text.replace("|", "\\|")
    )


def _unsupported() -> str:
    lines = [f"- `{name}`" + (f": {hint}" if hint else "") for name, hint in sorted(UNSUPPORTED.items())]
    return "## Functions of Flink that are not supported yet\n\n" + "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> None:
    if arguments:
        Path(arguments[0]).write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())


if __name__ == "__main__":
    main(sys.argv[1:])
