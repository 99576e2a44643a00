"""Something that lives as one of a job's sources, for its start, status and close, and gives the job no rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .base import BadRecord, Source, SourceBatch

_SPLIT = "table"


class RowlessSource(Source):
    """Its one split has ended before it began, so that nobody waits for it."""

    bounded = True
    unreadable: Sequence[BadRecord] = ()
    """Records that could not be read and were not handed over yet."""
    _told = False

    def poll(self, max_rows: int) -> SourceBatch | None:
        if self._told and not self.unreadable:
            return None
        self._told = True
        unreadable, self.unreadable = self.unreadable, ()
        return SourceBatch(None, [_SPLIT], finished=frozenset({_SPLIT}), bad_records=unreadable)

    def splits(self) -> Sequence[str]:
        return [_SPLIT]

    def lag(self) -> int | None:
        return 0

    def commit(self, positions: Mapping[str, str]) -> None:
        """Nothing is read in order."""
