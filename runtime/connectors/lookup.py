"""Tables that a lookup join asks: by key, or held whole and read again now and then.

To the job such a table is a source without rows: it starts and closes with the job, and its status says what is wrong.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from .base import SourceContext
from .rowless import RowlessSource
from .waiting import Waiting


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


class LookupTable(RowlessSource):
    """A table that is asked by key."""

    @abstractmethod
    def rows(self, keys: Sequence[pa.Array]) -> pa.RecordBatch:
        """All rows that have one of the keys: distinct ones without NULLs, a column an array.

        Others may be among them, where the table takes more for equal (a CHAR(n) with blanks at its end).
        May give rows with other keys too, where the table outside takes keys for equal that are not (blanks at the end
        of a ``char(n)``); who asks compares them again.

        Raises AwayError where it is to be asked again later, ConnectorError for what waiting does not mend.
        """
