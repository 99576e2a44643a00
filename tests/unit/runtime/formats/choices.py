"""Formats as a table would use them, for tests."""

from __future__ import annotations

import pyarrow as pa

from streamsql.catalog.connectors import FORMATS, FormatChoice
from streamsql.catalog.options import Options
from streamsql.datatypes import DataType
from streamsql.schema import Schema


def choice(name: str, options: dict[str, str] | None = None) -> FormatChoice:
    """A format with the given options (without the format's prefix)."""
    descriptor = FORMATS[name]
    return FormatChoice(descriptor, Options(descriptor.options, options or {}, f"format '{name}' of table t"))


def schema(**columns: DataType) -> Schema:
    return Schema.of(list(columns.items()))


def binary(*messages: bytes | str | None) -> pa.BinaryArray:
    return pa.array([m.encode() if isinstance(m, str) else m for m in messages], pa.binary())
