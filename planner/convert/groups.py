"""GROUP BY: over windows by slices, otherwise by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from streamsql.changelog import ChangelogMode
from streamsql.schema import Field, Schema

from .. import logical as l
from .. import physical as p
from ..expressions import Expr, InputRef, input_refs
from ..windows import WindowColumns, window_columns
from .calc import merge
from .converter import Converter, refuse_ttl
from .emit import updating_window


def aggregate(node: l.Aggregate, c: Converter) -> p.PhysicalNode:
    columns = window_columns(node.input)
    keys = {k: columns[k] for k in node.keys if k in columns}
    roles = {column.role for column in keys.values()}
    if not {"start", "end"} <= roles:
        return _group(c, node)
    refuse_ttl(node.ttls, "event time frees the groups of windows")
    origin = next(iter(keys.values())).origin
    emit = c.options.emit.of(next(iter(keys.values())).clock)
    if emit.updates:
        return updating_window(c, node, keys, emit)
    if isinstance(origin, l.WindowTable):
        below = _over_time(c, node, keys, origin)
        if below is not None:
            return below
    return _attached(c, node, keys)


def _group(c: Converter, node: l.Aggregate) -> p.GroupAggregate:
    source = c.convert(node.input)
    return p.GroupAggregate(
        schema=node.schema,
        inputs=(source,),
        mode=ChangelogMode.RETRACT,
        upsert_key=tuple(range(len(node.keys))),
        keys=node.keys,
        calls=node.calls,
        ttls=node.ttls,
    )


def _over_time(
    c: Converter, node: l.Aggregate, keys: Mapping[int, WindowColumns], origin: l.WindowTable
) -> p.PhysicalNode | None:
    """Aggregate straight over the window function's input, where nothing between reads the window columns."""
    base, exprs, condition = merge(node.input)
    if base is not origin or (condition is not None and not _passes_below(condition, origin)):
        return None
    used = {k for k in node.keys if k not in keys} | {
        i for call in node.calls for e in call.inputs for i in input_refs(e)
    }
    if any(_reads_window(exprs[i], origin) for i in used):
        return None
    time = origin.window.time_column
    width = len(origin.input.schema)
    # the aggregate's input: its columns (window columns replaced by the time column), then the time column
    source = c.convert(origin.input)
    filler = InputRef(time, origin.input.schema[time].name, origin.input.schema[time].type)
    columns = [e if i in used else filler for i, e in enumerate(exprs)]
    partition = [
        InputRef(i, f.name, f.type) for i in origin.window.partition for f in [origin.input.schema[i]]
    ]
    assert all(r < width for e in columns for r in input_refs(e))
    names = [f.name if i in used else f"${f.name}" for i, f in enumerate(node.input.schema)]
    fields = [Field(n, e.type) for n, e in zip(names, columns, strict=True)]
    fields += [origin.input.schema[time], *(origin.input.schema[i] for i in origin.window.partition)]
    calc = p.Calc(
        schema=Schema(tuple(fields)),
        inputs=(source,),
        mode=source.mode,
        exprs=(*columns, filler, *partition),
        condition=condition,
    )
    window = replace(
        origin.window,
        time_column=len(columns),
        partition=tuple(len(columns) + 1 + n for n in range(len(partition))),
    )
    return _windowed(c, node, keys, calc, window=window)


def _attached(c: Converter, node: l.Aggregate, keys: Mapping[int, WindowColumns]) -> p.PhysicalNode:
    source = c.convert(node.input)
    start = next(k for k, column in keys.items() if column.role == "start")
    end = next(k for k, column in keys.items() if column.role == "end")
    return _windowed(c, node, keys, source, attached=(start, end))


def _windowed(
    c: Converter,
    node: l.Aggregate,
    keys: Mapping[int, WindowColumns],
    source: p.PhysicalNode,
    *,
    window: l.WindowSpec | None = None,
    attached: tuple[int, int] | None = None,
) -> p.PhysicalNode:
    bounds: list[str | None] = [keys[k].role if k in keys else None for k in node.keys]
    bounds += [None] * len(node.calls)
    return p.WindowAggregate(
        schema=node.schema,
        inputs=(source,),
        mode=ChangelogMode.INSERT_ONLY,
        upsert_key=tuple(range(len(node.keys))),
        keys=tuple(k for k in node.keys if k not in keys),
        calls=node.calls,
        bounds=tuple(bounds),
        window=window,
        attached=attached,
        clock=next(column.clock for column in keys.values() if column.role == "end"),
    )


def _reads_window(e: Expr, origin: l.WindowTable) -> bool:
    return any(i >= len(origin.input.schema) for i in input_refs(e))


def _passes_below(condition: Expr, origin: l.WindowTable) -> bool:
    """Whether a filter over a window's rows may be applied before it: a row taken out can split a session in two."""
    if origin.window.kind == "SESSION":
        return input_refs(condition) <= set(origin.window.partition)
    return not _reads_window(condition, origin)
