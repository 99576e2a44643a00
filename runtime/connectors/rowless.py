"""Something that lives as one of a job's sources, for its start, status and close, and gives the job no rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .base import Source, SourceBatch

_SPLIT = "table"


class RowlessSource(Source):
    """Its one split has ended before it began, so that nobody waits for it."""

    bounded = True
    _told = False

    def poll(self, max_rows: int) -> SourceBatch | None:
        if self._told:
            return None
        self._told = True
        return SourceBatch(None, [_SPLIT], finished=frozenset({_SPLIT}))

    def splits(self) -> Sequence[str]:
        return [_SPLIT]

    def lag(self) -> int | None:
        return 0

    def commit(self, positions: Mapping[str, str]) -> None:
        """Nothing is read in order."""
