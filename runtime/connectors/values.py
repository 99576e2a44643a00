"""Constant rows as a bounded source: VALUES and SELECT without FROM."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..engine import conform
from .base import Position, Source, SourceBatch

_SPLIT = "values"


class ValuesSource(Source):
    """Hands ``rows()`` over, then is finished. Its position is the number of rows handed over."""

    bounded = True

    def __init__(
        self,
        rows: Callable[[], pa.Table],
        schema: pa.Schema,
        positions: Mapping[str, Position] | None = None,
    ) -> None:
        self._rows = rows
        self._schema = schema
        self._position = int((positions or {}).get(_SPLIT, "0"))
        self._batch: pa.RecordBatch | None = None
        self._done = False

    def start(self) -> None:
        """Nothing to open."""

    def poll(self, max_rows: int) -> SourceBatch | None:
        if self._done:
            return None
        batch = self._batch
        if batch is None:
            batch = self._batch = conform(self._rows(), self._schema)
        taken = batch.slice(self._position, max_rows)
        self._position += taken.num_rows
        self._done = self._position >= batch.num_rows
        return SourceBatch(
            ChangelogBatch(taken) if taken.num_rows else None,
            [_SPLIT],
            positions={_SPLIT: str(self._position)},
            finished=frozenset({_SPLIT}) if self._done else frozenset[str](),
        )

    def splits(self) -> Sequence[str]:
        return [_SPLIT]

    def close(self) -> None:
        """Nothing to free."""
