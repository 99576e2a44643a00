"""Temporal joins: a row with what another table holds at the row's time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from streamsql.catalog.lookup import LookupRetry
from streamsql.schema import ROWTIME, Schema

from .expressions import remap
from .logical import Join, LogicalNode


@dataclass(frozen=True)
class LookupHint:
    """The hint LOOKUP for one table."""

    retry: LookupRetry | None = None


@dataclass(frozen=True, eq=False)
class TemporalJoin(Join):
    """``left [LEFT] JOIN right FOR SYSTEM_TIME AS OF time``: each left row with the right side as it was at its time.

    ``time``: a left column, None for PROCTIME(); event time reads the version of that moment, processing time what is
    there now. ``table``: the right side as it was written, for messages. ``lookup``: what a hint says about it.
    """

    time: int | None = None
    event_time: bool = False
    table: str = ""
    lookup: LookupHint | None = None

    def versioned_by(self) -> int | None:
        """The right column that says since when a version holds."""
        times = [i for i, f in enumerate(self.right.schema) if f.time == ROWTIME]
        return times[0] if len(times) == 1 else None

    def columns_read(self) -> set[int]:
        version = self.versioned_by() if self.event_time else None
        read = super().columns_read() | (set() if self.time is None else {self.time})
        return read if version is None else read | {len(self.left.schema) + version}

    def over(
        self, schema: Schema, left: LogicalNode, right: LogicalNode, moved: Mapping[int, int]
    ) -> LogicalNode:
        condition = None if self.condition is None else remap(self.condition, moved)
        time = None if self.time is None else moved[self.time]
        return replace(self, schema=schema, left=left, right=right, condition=condition, time=time)

    def describe(self) -> str:
        time = "PROCTIME()" if self.time is None else self.left.schema[self.time].name
        hint = "" if self.lookup is None or self.lookup.retry is None else f", retry=[{self.lookup.retry}]"
        return f"Temporal{super().describe()[:-1]}, time=[{time}]{hint})"
