"""The statements that streamsql and Flink are both asked, and values as text that both can be brought into.

Needs the standard library alone: it is read in Flink's environment as well.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """A query with its name."""

    name: str
    sql: str


def tables() -> list[str]:
    """The statements of ``tables.sql``, with paths to the data."""
    text = (HERE / "tables.sql").read_text().replace("${data}", str(HERE / "data"))
    return [part.strip() for part in text.split(";") if part.strip()]


def queries() -> list[Case]:
    """The queries of ``queries.sql``: a comment names each."""
    parts = re.split(r"(?m)^-- (.+)$", (HERE / "queries.sql").read_text())[1:]
    return [Case(n.strip(), s.strip().rstrip(";")) for n, s in zip(parts[::2], parts[1::2], strict=True)]


def scalars() -> list[str]:
    """The expressions of ``scalars.sql``, one a line."""
    lines = (HERE / "scalars.sql").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("--")]


def canonical(value: object) -> str:
    """A value as text; floats by 12 digits, maps by key."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).upper()
        case float():
            return f"{value:.12g}"
        case Decimal():
            return f"{value:f}"
        case bytes() | bytearray():
            return value.hex()
        case dt.datetime():
            return value.replace(tzinfo=None).isoformat(" ", "microseconds")
        case dict():
            return "{" + ", ".join(sorted(f"{canonical(k)}={canonical(v)}" for k, v in value.items())) + "}"
        case list():
            return "[" + ", ".join(canonical(v) for v in value) + "]"
        case str():
            return value.replace("\n", "\\n")
        case tuple():
            return "(" + ", ".join(canonical(v) for v in value) + ")"
        case _ if (parts := getattr(value, "_values", None)) is not None:  # a Row of PyFlink
            return "(" + ", ".join(canonical(v) for v in parts) + ")"
        case _:
            return str(value)
