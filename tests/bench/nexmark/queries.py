"""The queries by name, and a session with their tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from streamsql import TableEnvironment, udf

from .generator import Streams

DELAY = "INTERVAL '4' SECOND"
"""How far the streams may be out of order, as the published data definitions say."""


def queries() -> dict[str, str]:
    """Query text by its number (``q0``)."""
    text = Path(__file__).with_name("queries.sql").read_text()
    parts = re.split(r"(?m)^-- (q\d+) .*$", text)[1:]
    return {n: sql.strip().rstrip(";") for n, sql in zip(parts[::2], parts[1::2], strict=True)}


@udf
def count_char(text: str, wanted: str) -> int:
    """How often a character is in a text (q14)."""
    return text.count(wanted)


def register(
    env: TableEnvironment, found: Streams, *, names: Sequence[str] = ("person", "auction", "bid")
) -> None:
    """Puts the streams, the side input of q13 and the function of q14 into a session."""
    for name in names:
        env.from_arrow(getattr(found, name), name, watermark=f"dateTime AS dateTime - {DELAY}")
    side = pa.table({"id": pa.array(range(10_000), pa.int64()), "label": [f"side{i}" for i in range(10_000)]})
    env.from_arrow(side, "side_input")
    env.create_temporary_function("count_char", count_char)
