"""GROUP BY without windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from streamsql.changelog import ChangelogMode
from streamsql.schema import Schema

from ..expressions import AggregateCall
from ..state_ttl import ttl_text
from ..windows import WindowClock
from .base import PhysicalNode


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupAggregate(PhysicalNode):
    """GROUP BY without windows. ``window_end``: which of the keys is the end of a window of ``clock``, and so
    frees the state. ``emit``: in words, when it shows a window that is not complete.
    """

    keys: tuple[int, ...]
    calls: tuple[AggregateCall, ...]
    window_end: int | None = None
    clock: WindowClock = field(default_factory=WindowClock)
    emit: str = ""

    name = "GroupAggregate"

    def fields(self) -> list[tuple[str, str]]:
        pairs = (
            [("groupBy", ", ".join(self.inputs[0].schema[k].name for k in self.keys))] if self.keys else []
        )
        pairs.append(("select", _agg_text(self.schema, self.inputs[0].schema, self.keys, self.calls)))
        if self.emit:
            pairs.append(("emit", self.emit))
        return [*pairs, ("stateTtlHints", ttl_text(self.ttls))] if self.ttls else pairs

    def settled(self, before: bool) -> PhysicalNode:
        retract = before or not self.keys
        return replace(self, mode=ChangelogMode.RETRACT if retract else ChangelogMode.UPSERT)

    def short_kinds(self) -> str:
        if self.inputs[0].updating:
            return str(self.mode)
        return "I,UA" if self.mode is ChangelogMode.UPSERT else "I,UB,UA"


def _agg_text(output: Schema, source: Schema, keys: Sequence[int], calls: Sequence[AggregateCall]) -> str:
    items = [source[k].name for k in keys]
    items += [f"{c.text()} AS {f.name}" for c, f in zip(calls, output.fields[len(keys) :], strict=True)]
    return ", ".join(items)
