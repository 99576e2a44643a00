"""Constant rows as a bounded source: VALUES and SELECT without FROM."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..engine import conform
from .base import Source, SourceBatch

_SPLIT = "values"


class ValuesSource(Source):
    """Hands ``rows()`` over once, then is finished."""

    bounded = True

    def __init__(self, rows: Callable[[], pa.Table], schema: pa.Schema) -> None:
        self._rows = rows
        self._schema = schema
        self._done = False

    def start(self) -> None:
        """Nothing to open."""

    def poll(self, max_rows: int) -> SourceBatch | None:
        if self._done:
            return None
        self._done = True
        return SourceBatch(
            ChangelogBatch(conform(self._rows(), self._schema)), [_SPLIT], finished=frozenset({_SPLIT})
        )

    def splits(self) -> Sequence[str]:
        return [_SPLIT]

    def close(self) -> None:
        """Nothing to free."""
