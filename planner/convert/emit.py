"""Windows that show their value before they are complete, or again after it.

Such a window is a GROUP BY whose keys hold the window; its end frees the state. Changes that are not to be seen at once
are held back by a node above. A session's rows are taken back and given again as it grows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from streamsql.changelog import ChangelogMode
from streamsql.errors import UnsupportedError

from .. import logical as l
from .. import physical as p
from ..emit import EmitStrategy
from ..expressions import substitute
from ..functions import conjunction
from ..windows import WindowColumns
from .calc import Merged, merge
from .converter import Converter


def updating_window(
    c: Converter, node: l.Aggregate, keys: Mapping[int, WindowColumns], emit: EmitStrategy
) -> p.PhysicalNode:
    """The aggregate over a window that ``emit`` shows more than once."""
    end = next(k for k, column in keys.items() if column.role == "end")
    clock = replace(keys[end].clock, lateness_ms=emit.lateness_ms)
    origin = keys[end].origin
    upsert_key = tuple(range(len(node.keys)))
    if isinstance(origin, l.WindowTable) and origin.window.kind in ("TUMBLE", "HOP"):
        # the start of a window gives its end, so the key is shorter by one
        upsert_key = tuple(i for i, k in enumerate(node.keys) if k != end)
    grouped = p.GroupAggregate(
        schema=node.schema,
        inputs=(_rows(c, node, origin, emit),),
        mode=ChangelogMode.RETRACT,
        upsert_key=upsert_key,
        keys=node.keys,
        calls=node.calls,
        window_end=node.keys.index(end),
        clock=clock,
        emit=emit.text() if emit.at_once else "",
    )
    if emit.at_once:
        return grouped
    return p.WindowEmit(
        schema=node.schema,
        inputs=(grouped,),
        mode=ChangelogMode.RETRACT,
        upsert_key=upsert_key,
        keys=len(node.keys),
        end=node.keys.index(end),
        clock=clock,
        emit=emit,
    )


def _rows(c: Converter, node: l.Aggregate, origin: l.LogicalNode, emit: EmitStrategy) -> p.PhysicalNode:
    if not isinstance(origin, l.WindowTable) or origin.window.kind != "SESSION":
        return c.convert(node.input)
    base, exprs, condition = _through_views(node.input)
    if base is not origin:
        raise UnsupportedError(
            "a SESSION window cannot fire early or late where its rows are joined, ranked or taken apart before "
            "they are grouped",
            hint="group the rows of the window function itself, or SET 'table.exec.emit.early-fire.enabled' and "
            "'table.exec.emit.late-fire.enabled' to 'false'",
        )
    sessions = p.WindowTableFunction(
        schema=origin.schema,
        inputs=(c.convert(origin.input),),
        mode=ChangelogMode.RETRACT,
        window=origin.window,
        growing=True,
        lateness_ms=emit.lateness_ms,
    )
    return p.Calc(
        schema=node.input.schema,
        inputs=(sessions,),
        mode=ChangelogMode.RETRACT,
        exprs=exprs,
        condition=condition,
    )


def _through_views(node: l.LogicalNode) -> Merged:
    base, exprs, condition = merge(node)
    while isinstance(base, l.View):
        base, below, more = merge(base.input)
        parts = [*([] if more is None else [more])]
        parts += [] if condition is None else [substitute(condition, below)]
        exprs = tuple(substitute(e, below) for e in exprs)
        condition = conjunction(parts) if parts else None
    return base, exprs, condition


def lateness_below(nodes: Sequence[p.PhysicalNode]) -> int:
    """How long after its end a window below may still change, in ms; nodes that waited for that are the last asked."""
    return max((_lateness(n) for n in nodes), default=0)


def _lateness(node: p.PhysicalNode) -> int:
    if isinstance(node, p.WindowJoin) or (isinstance(node, p.TemporalJoin) and node.version is not None):
        return 0
    own = node.clock.lateness_ms if isinstance(node, p.GroupAggregate) else 0
    return max(own, lateness_below(node.inputs))
