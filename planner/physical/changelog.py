"""A changing table as rows that name their operation, and back."""

from __future__ import annotations

from dataclasses import dataclass

from streamsql.changelog import ChangelogMode

from ..logical_changelog import FromChangelog as LogicalFrom
from ..logical_changelog import ToChangelog as LogicalTo
from .base import PhysicalNode
from .calc import Calc
from .sources import ChangelogNormalize, TableSourceScan, WatermarkAssigner


@dataclass(frozen=True, eq=False, kw_only=True)
class ToChangelog(PhysicalNode):
    """Each change as a row; to tell an insertion from an update it wants to see both sides of an update."""

    logical: LogicalTo

    name = "ToChangelog"

    def fields(self) -> list[tuple[str, str]]:
        return self.logical.fields()

    def needs_before(self, child: PhysicalNode, wanted: bool) -> bool:
        return self.logical.full_deletes or not _reads_upserts(child)


@dataclass(frozen=True, eq=False, kw_only=True)
class FromChangelog(PhysicalNode):
    """The table that rows with a code amount to."""

    logical: LogicalFrom

    name = "FromChangelog"

    def fields(self) -> list[tuple[str, str]]:
        return [("op", self.inputs[0].schema[self.logical.op].name), *self.logical.fields()]

    def settled(self, before: bool) -> PhysicalNode:
        """With a ChangelogNormalize above where upserts must become retractions."""
        if self.mode is not ChangelogMode.UPSERT or not before or self.upsert_key is None:
            return self
        return ChangelogNormalize(
            schema=self.schema,
            inputs=(self,),
            mode=ChangelogMode.RETRACT,
            upsert_key=self.upsert_key,
            key=self.upsert_key,
        )


def _reads_upserts(node: PhysicalNode) -> bool:
    """Whether the rows are those of an upsert source, at most projected and filtered."""
    while isinstance(node, Calc | WatermarkAssigner):
        node = node.inputs[0]
    return isinstance(node, TableSourceScan) and node.mode is ChangelogMode.UPSERT
