"""Which columns of a plan node are a window's start, end and time, traced through projections and filters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from . import logical as l
from .expressions import InputRef
from .join_conditions import key_pair, parts_of
from .logical_joins import TemporalJoin


@dataclass(frozen=True)
class WindowClock:
    """What completes a window: the watermark, or the clock where ``proctime``.

    Its columns are wall-clock in ``zone``. ``lateness_ms``: how long after its end rows are still taken.
    """

    zone: str = "UTC"
    proctime: bool = False
    lateness_ms: int = 0


@dataclass(frozen=True)
class WindowColumns:
    """``role`` is ``start``, ``end`` or ``time``; ``origin`` is the node that made the window."""

    role: str
    origin: l.LogicalNode
    clock: WindowClock


_ROLES = ("start", "end", "time")


def _within_windows(call: l.OverCall, columns: Mapping[int, WindowColumns]) -> bool:
    keys = (e.index for e in call.partition if isinstance(e, InputRef))
    return {"start", "end"} <= {columns[i].role for i in keys if i in columns}


@dataclass(frozen=True)
class WindowMatch:
    """The columns of each input that hold the window, and what completes it."""

    left: tuple[int, int]
    right: tuple[int, int]
    clock: WindowClock


def window_columns(node: l.LogicalNode) -> dict[int, WindowColumns]:
    """Column → what part of which window it is."""
    if isinstance(node, l.WindowTable):
        first = len(node.input.schema)
        clock = WindowClock(node.window.zone, node.window.proctime)
        return {first + i: WindowColumns(role, node, clock) for i, role in enumerate(_ROLES)}
    if isinstance(node, l.Project):
        below = window_columns(node.input)
        return {
            i: below[e.index]
            for i, e in enumerate(node.exprs)
            if isinstance(e, InputRef) and e.index in below
        }
    if isinstance(node, l.Filter | l.View):
        return window_columns(node.input)
    if isinstance(node, l.Over):
        # where every partition is of one window, its rows are as they will be when the window is complete
        below = window_columns(node.input)
        return below if all(_within_windows(c, below) for c in node.calls) else {}
    if isinstance(node, l.Expand):
        # a column that some grouping set leaves out is no longer that of a window
        kept = set(range(len(node.input.schema))) - set(node.keys)
        kept |= set.intersection(*map(set, node.sets))
        return {i: c for i, c in window_columns(node.input).items() if i in kept}
    if isinstance(node, l.Aggregate):
        # A window aggregate passes its window on: its rows can be grouped by the same window again.
        below = window_columns(node.input)
        passed = {i: below[k] for i, k in enumerate(node.keys) if k in below}
        if {"start", "end"} <= {c.role for c in passed.values()}:
            return {i: replace(c, origin=node) for i, c in passed.items()}
        return {}
    if isinstance(node, l.Join):
        return _joined_columns(node)
    if isinstance(node, l.Union):
        parts = [window_columns(i) for i in node.inputs]
        shared = {
            i: c
            for i, c in parts[0].items()
            if all(i in o and (o[i].role, o[i].clock) == (c.role, c.clock) for o in parts[1:])
        }
        return {i: replace(c, origin=node) for i, c in shared.items()}
    return {}


def _joined_columns(node: l.Join) -> dict[int, WindowColumns]:
    """The window's columns of both sides, as far as an outer join does not fill them with NULLs."""
    if window_match(node) is None:
        return {}
    found: dict[int, WindowColumns] = {}
    if node.kind not in ("RIGHT", "FULL"):
        found |= window_columns(node.left)
    if node.kind in ("INNER", "RIGHT"):
        width = len(node.left.schema)
        found |= {i + width: c for i, c in window_columns(node.right).items()}
    return {i: replace(c, origin=node) for i, c in found.items()}


def window_match(node: l.Join) -> WindowMatch | None:
    """The windows that the condition makes equal, start and end; None where it does not."""
    if node.null_aware or isinstance(node, TemporalJoin):
        return None
    left, right = window_columns(node.left), window_columns(node.right)
    if not left or not right:
        return None
    found: dict[str, tuple[int, int]] = {}
    clocks: set[WindowClock] = set()
    for part in parts_of(node.condition):
        pair = key_pair(part, len(node.left.schema))
        if pair is None or not isinstance(pair.left, InputRef) or not isinstance(pair.right, InputRef):
            continue
        a, b = left.get(pair.left.index), right.get(pair.right.index)
        if a is not None and b is not None and a.role == b.role:
            found.setdefault(a.role, (pair.left.index, pair.right.index))
            clocks |= {a.clock, b.clock}
    if not {"start", "end"} <= found.keys() or len(clocks) != 1:
        return None
    (start, end) = found["start"], found["end"]
    return WindowMatch((start[0], end[0]), (start[1], end[1]), clocks.pop())
