"""Tables of files, a clock to set, and listings, for the tests of the filesystem connector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streamsql.catalog.table import TableDefinition
from streamsql.datatypes import BIGINT, STRING, DataType

from .contexts import table

TWO: dict[str, DataType] = {"id": BIGINT(), "name": STRING()}


def files(
    path: Path, kind: str = "json", columns: dict[str, DataType] | None = None, **more: Any
) -> TableDefinition:
    options = {"connector": "filesystem", "path": str(path), "format": kind, **more.pop("options", {})}
    return table(columns or TWO, options, **more)


def names(path: Path) -> list[str]:
    """All files below a directory, hidden ones too."""
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


def visible(path: Path) -> list[str]:
    return [n for n in names(path) if not Path(n).name.startswith((".", "_"))]


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now
