"""Tables that a lookup join asks: by key, or held whole and read again now and then.

To the job such a table is a source without rows: it starts and closes with the job, and its status says what is wrong.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from .base import Source, SourceBatch, SourceContext
from .waiting import Waiting

_SPLIT = "lookup"


@dataclass(frozen=True)
class LookupContext:
    """What a table to be asked is made with. ``scan``: how it would be read whole, its columns those that are wanted.

    ``keys``: the columns (of ``scan.physical``) that keys are about. ``stopping``: whether the job is to end.
    """

    scan: SourceContext
    keys: tuple[int, ...]
    stopping: Callable[[], bool]

    @property
    def waiting(self) -> Waiting:
        return Waiting(self.scan.now_ms, self.stopping)


class LookupTable(Source):
    """A table that is asked by key."""

    bounded = True

    def __init__(self) -> None:
        self._ended = False

    @abstractmethod
    def rows(self, keys: Sequence[pa.Array]) -> pa.RecordBatch:
        """All rows that have one of the keys: distinct ones without NULLs, a column an array.

        Raises AwayError where it is to be asked again later, ConnectorError for what waiting does not mend.
        """

    def poll(self, max_rows: int) -> SourceBatch | None:
        if self._ended:
            return None
        self._ended = True
        return SourceBatch(None, [_SPLIT], finished=frozenset({_SPLIT}))

    def splits(self) -> Sequence[str]:
        return [_SPLIT]

    def lag(self) -> int | None:
        return 0

    def commit(self, positions: Mapping[str, str]) -> None:
        """Nothing is read in order."""
