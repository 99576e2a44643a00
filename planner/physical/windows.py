"""Window table functions and the aggregates over them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..expressions import AggregateCall
from ..logical import WindowSpec
from ..windows import WindowClock
from .base import PassingMode, PhysicalNode


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowTableFunction(PassingMode):
    """Appends window columns, one row a window. A session window needs state; the others are a projection."""

    window: WindowSpec

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
