"""Window table functions and the aggregates over them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from streamsql.changelog import ChangelogMode

from ..emit import EmitStrategy
from ..expressions import AggregateCall
from ..logical import WindowSpec
from ..windows import WindowClock
from .base import PassingMode, PhysicalNode


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowTableFunction(PassingMode):
    """Appends window columns, one row a window. A session window needs state; the others are a projection.

    ``growing``: the rows of sessions that are not complete come out too, and are taken back as their session grows;
    sessions then take rows for ``lateness_ms`` after their end.
    """

    window: WindowSpec
    growing: bool = False
    lateness_ms: int = 0

    name = "WindowTableFunction"

    def fields(self) -> list[tuple[str, str]]:
        return [("window", self.window.text(self.inputs[0].schema.names))]

    def settled(self, before: bool) -> PhysicalNode:
        return self if self.window.kind == "SESSION" else super().settled(before)


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowAggregate(PhysicalNode):
    """GROUP BY a window and ``keys``.

    Either ``window`` assigns the windows from a time column, or ``attached`` = (window_start, window_end)
    columns of the input hold them, completed by ``clock``. ``bounds``: per output column ``start``,
    ``end``, ``time``, or None for the next of keys and calls.
    """

    keys: tuple[int, ...]
    calls: tuple[AggregateCall, ...]
    bounds: tuple[str | None, ...]
    window: WindowSpec | None = None
    attached: tuple[int, int] | None = None
    clock: WindowClock = field(default_factory=WindowClock)

    name = "WindowAggregate"

    def fields(self) -> list[tuple[str, str]]:
        names = self.inputs[0].schema.names
        pairs = [("groupBy", ", ".join(names[k] for k in self.keys))] if self.keys else []
        if self.window is not None:
            pairs.append(("window", self.window.text(names)))
        elif self.attached is not None:
            pairs.append(
                ("window", f"win_start=[{names[self.attached[0]]}], win_end=[{names[self.attached[1]]}]")
            )
        values = [f.name for f, bound in zip(self.schema, self.bounds, strict=True) if bound is None]
        items = [names[k] for k in self.keys]
        items += [f"{c.text()} AS {n}" for c, n in zip(self.calls, values[len(self.keys) :], strict=True)]
        items += [f.name for f, bound in zip(self.schema, self.bounds, strict=True) if bound is not None]
        pairs.append(("select", ", ".join(items)))
        return pairs


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowEmit(PhysicalNode):
    """Holds back the changes of windows until ``emit`` shows them; the first columns, ``keys``, are the group's.

    ``end``: the column of the window's end, which ``clock`` completes.
    """

    keys: int
    end: int
    clock: WindowClock
    emit: EmitStrategy

    name = "WindowEmit"

    def fields(self) -> list[tuple[str, str]]:
        return [("window", f"win_end=[{self.schema[self.end].name}]"), ("emit", self.emit.text())]

    def settled(self, before: bool) -> PhysicalNode:
        return replace(self, mode=ChangelogMode.RETRACT if before else ChangelogMode.UPSERT)

    def short_kinds(self) -> str:
        kinds = self.inputs[0].short_kinds()
        return kinds if self.mode is ChangelogMode.RETRACT else kinds.replace("UB,", "")
