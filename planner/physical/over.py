"""OVER aggregates."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from streamsql.changelog import ChangelogMode

from ..functions.base import literal_value
from ..logical import OverCall
from .base import PhysicalNode
from .ranks import Order


@dataclass(frozen=True, eq=False, kw_only=True)
class OverAggregate(PhysicalNode):
    """Each row with one more column per window function.

    All ``calls`` have the partition ``partition`` and, where ``time`` is given, the order ``order``. ``time``:
    the time attribute that rows are completed by (a row is emitted once, when the watermark passes it, or at
    once where ``proctime``); None: any order over any input, and rows change with those around them.
    """

    calls: tuple[OverCall, ...]
    partition: tuple[int, ...]
    order: Order
    time: int | None = None
    proctime: bool = False

    name = "OverAggregate"

    def fields(self) -> list[tuple[str, str]]:
        source = self.inputs[0].schema
        pairs: list[tuple[str, str]] = []
        if self.partition:
            pairs.append(("partitionBy", ", ".join(source[i].name for i in self.partition)))
        frames = {c.frame for c in self.calls}
        orders = {c.order for c in self.calls}
        alike = len(frames) == 1 and len(orders) == 1
        if alike and self.calls[0].order:
            keys = (f"{k.expr.text()} {'DESC' if k.descending else 'ASC'}" for k in self.calls[0].order)
            pairs.append(("orderBy", ", ".join(keys)))
        if alike and self.calls[0].frame:
            pairs.append(("window", self.calls[0].frame))
        items = [*source.names]
        width = len(self.schema) - len(self.calls)
        for c, f in zip(self.calls, self.schema.fields[width:], strict=True):
            items.append(f"{c.call.text() if alike else c.text()} AS {f.name}")
        pairs.append(("select", ", ".join(items)))
        return pairs

    def settled(self, before: bool) -> PhysicalNode:
        if self.time is not None:
            return replace(self, mode=ChangelogMode.INSERT_ONLY)
        keyless = self.upsert_key is None
        return replace(self, mode=ChangelogMode.RETRACT if before or keyless else ChangelogMode.UPSERT)


_RANGE = re.compile(r"RANGE BETWEEN INTERVAL (\d+) MILLISECOND PRECEDING")
_ROWS = re.compile(r"ROWS BETWEEN (\d+) PRECEDING")


def history(call: OverCall) -> tuple[int | None, int | None]:
    """What a row's value reads of the rows before it: (rows, milliseconds) at most; None where that is unbounded."""
    name = call.call.function.name
    if name == "LAG":
        value = literal_value(call.call.args[1]) if len(call.call.args) > 1 else 1
        return (value if isinstance(value, int) else None), None
    if call.frame.startswith("ROWS BETWEEN CURRENT ROW"):
        return 0, None
    if call.frame.startswith("RANGE BETWEEN CURRENT ROW"):
        return None, 0
    if (found := _ROWS.match(call.frame)) is not None:
        return int(found[1]), None
    if (found := _RANGE.match(call.frame)) is not None:
        return None, int(found[1])
    return None, None


RUNNING = frozenset({"COUNT", "SUM", "MIN", "MAX", "FIRST_VALUE", "LAST_VALUE", "ROW_NUMBER"})


def is_running(call: OverCall) -> bool:
    """Whether the value of a row follows from that of the row before it and the row alone."""
    c = call.call
    if c.function.name not in RUNNING or c.distinct or c.order_by or c.option("nulls") == "RESPECT":
        return False
    return call.frame in (
        "",
        *(f"{kind} BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW" for kind in ("ROWS", "RANGE")),
    )
