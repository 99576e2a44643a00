"""prune_columns: a scan reads only the columns that somebody above it uses, so that nothing else is decoded.

::

    Project(a) -> Filter(b > 1) -> Scan(a, b, c)     becomes     Project(a) -> Filter(b > 1) -> Scan(a, b)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from streamsql.schema import Schema

from .. import logical as l
from ..expressions import Expr, InputRef, input_refs, remap
from ..logical import (
    Aggregate,
    Expand,
    Filter,
    LogicalNode,
    Project,
    Scan,
    Unnest,
    View,
    Watermark,
    WindowTable,
)
from ..logical_match import MatchRecognize

Mapping = dict[int, int]
Roots = tuple[LogicalNode, ...]
Wanted = dict[str, set[str]]
"""Source → names of columns to keep besides those needed."""


def prune_columns(roots: Roots) -> Roots:
    """The same plans over narrower scans; the roots' schemas stay.

    A table read at several places keeps the columns of all of them, so that it is read and decoded once.
    """
    wanted: Wanted = {}
    for root in roots:
        for scan in _scans(_prune_root(root, {})):
            wanted.setdefault(_source(scan), set()).update(scan.schema.names)
    return tuple(_prune_root(root, wanted) for root in roots)


def _prune_root(root: LogicalNode, wanted: Wanted) -> LogicalNode:
    node, mapping = _prune(root, set(range(len(root.schema))), wanted)
    assert all(mapping[i] == i for i in range(len(root.schema)))
    return node


def _scans(node: LogicalNode) -> list[Scan]:
    return [node] if isinstance(node, Scan) else [s for i in node.inputs for s in _scans(i)]


def _source(scan: Scan) -> str:
    """Equal for scans of one table with the same options."""
    return scan.describe()


def _prune(node: LogicalNode, needed: set[int], wanted: Wanted) -> tuple[LogicalNode, Mapping]:
    """The node yielding at least the ``needed`` columns, and where each of them is now."""
    match node:
        case Scan():
            return _prune_scan(node, needed, wanted)
        case Project():
            keep = sorted(needed) or [0]  # a batch without columns has no rows
            exprs = [node.exprs[i] for i in keep]
            below, moved = _prune(node.input, _used(exprs), wanted)
            fields = tuple(node.schema[i] for i in keep)
            kept = replace(
                node, schema=Schema(fields), input=below, exprs=tuple(remap(e, moved) for e in exprs)
            )
            return kept, {i: n for n, i in enumerate(keep)}
        case Filter():
            below, moved = _prune(node.input, needed | _used([node.condition]), wanted)
            return replace(
                node, schema=below.schema, input=below, condition=remap(node.condition, moved)
            ), moved
        case Watermark():
            below, moved = _prune(node.input, needed | {node.column} | _used([node.expression]), wanted)
            column, columns = moved[node.column], list(below.schema)
            columns[column] = node.schema[node.column]
            expression = remap(node.expression, moved)
            return replace(
                node, schema=Schema(tuple(columns)), input=below, column=column, expression=expression
            ), moved
        case WindowTable():
            return _prune_window(node, needed, wanted)
        case Aggregate():
            used = set(node.keys) | _used(e for c in node.calls for e in c.inputs)
            below, moved = _prune(node.input, used, wanted)
            calls = tuple(c.map_inputs(lambda e: remap(e, moved)) for c in node.calls)
            narrowed = replace(node, input=below, keys=tuple(moved[k] for k in node.keys), calls=calls)
            return narrowed, {i: i for i in range(len(node.schema))}
        case Unnest():
            return _prune_unnest(node, needed, wanted)
        case l.Over():
            return _prune_over(node, needed, wanted)
        case l.Sort():
            below, moved = _narrowed(node.input, needed | _used(k.expr for k in node.keys), wanted)
            keys = tuple(replace(k, expr=remap(k.expr, moved)) for k in node.keys)
            return replace(node, schema=below.schema, input=below, keys=keys), moved
        case Expand():
            return _prune_expand(node, needed, wanted)
        case MatchRecognize():
            below, moved = _narrowed(node.input, node.columns_read(), wanted)
            return node.over(below, moved), {i: i for i in range(len(node.schema))}
        case l.Join():
            return _prune_join(node, needed, wanted)
        case View():
            # a view is asked for by name: all its columns stay
            return _keep_all(node, wanted)
        case _:
            return _keep_all(node, wanted)


def _prune_scan(node: Scan, needed: set[int], wanted: Wanted) -> tuple[LogicalNode, Mapping]:
    others = wanted.get(_source(node), set())
    shared = {i for i, f in enumerate(node.schema) if f.name in others}
    keep = sorted(needed | shared | _key_columns(node)) or [0]
    fields = tuple(node.schema[i] for i in keep)
    names = {f.name for f in fields}
    metadata = tuple(m for m in node.metadata if m[0] in names)
    return replace(node, schema=Schema(fields), metadata=metadata), {i: n for n, i in enumerate(keep)}


def _key_columns(node: Scan) -> set[int]:
    """The primary key of a changelog stays: normalisation works on it, and deletions carry nothing else."""
    if node.options.source_mode.value == "I":
        return set()
    names = node.schema.names
    return {names.index(k) for k in node.table.primary_key}


def _prune_window(node: WindowTable, needed: set[int], wanted: Wanted) -> tuple[LogicalNode, Mapping]:
    width = len(node.input.schema)
    inner = {i for i in needed if i < width} | {node.window.time_column, *node.window.partition}
    narrow = _narrowed if node.window.kind == "SESSION" else _prune
    below, moved = narrow(node.input, inner, wanted)
    window = replace(
        node.window,
        time_column=moved[node.window.time_column],
        partition=tuple(moved[i] for i in node.window.partition),
    )
    new_width = len(below.schema)
    mapping = dict(moved) | {width + i: new_width + i for i in range(3)}
    schema = Schema((*below.schema, *node.schema.fields[width:]))
    return replace(node, schema=schema, input=below, window=window), mapping


def _prune_unnest(node: Unnest, needed: set[int], wanted: Wanted) -> tuple[LogicalNode, Mapping]:
    width = len(node.input.schema)
    below, moved = _prune(node.input, {i for i in needed if i < width} | _used([node.expr]), wanted)
    new_width = len(below.schema)
    mapping = dict(moved) | {i: i - width + new_width for i in range(width, len(node.schema))}
    schema = Schema((*below.schema, *node.schema.fields[width:]))
    return replace(node, schema=schema, input=below, expr=remap(node.expr, moved)), mapping


def _prune_expand(node: Expand, needed: set[int], wanted: Wanted) -> tuple[LogicalNode, Mapping]:
    width = len(node.input.schema)
    below, moved = _prune(node.input, {i for i in needed if i < width} | set(node.keys), wanted)
    fields = list(below.schema)
    for k in node.keys:
        fields[moved[k]] = node.schema[k]
    narrowed = replace(
        node,
        schema=Schema((*fields, node.schema[width])),
        input=below,
        keys=tuple(moved[k] for k in node.keys),
        sets=tuple(tuple(moved[k] for k in kept) for kept in node.sets),
    )
    return narrowed, dict(moved) | {width: len(below.schema)}


def _prune_over(node: l.Over, needed: set[int], wanted: Wanted) -> tuple[LogicalNode, Mapping]:
    width = len(node.input.schema)
    read = _used(e for c in node.calls for e in c.inputs)
    below, moved = _narrowed(node.input, {i for i in needed if i < width} | read, wanted)
    new_width = len(below.schema)
    calls = tuple(c.map_inputs(lambda e: remap(e, moved)) for c in node.calls)
    mapping = dict(moved) | {i: i - width + new_width for i in range(width, len(node.schema))}
    schema = Schema((*below.schema, *node.schema.fields[width:]))
    return replace(node, schema=schema, input=below, calls=calls), mapping


def _prune_join(node: l.Join, needed: set[int], wanted: Wanted) -> tuple[LogicalNode, Mapping]:
    width = len(node.left.schema)
    used = needed | node.columns_read()
    left, left_moved = _narrowed(node.left, {i for i in used if i < width}, wanted)
    right, right_moved = _narrowed(node.right, {i - width for i in used if i >= width}, wanted)
    new_width = len(left.schema)
    both = left_moved | {i + width: new_width + n for i, n in right_moved.items()}
    moved = {i: n for i, n in both.items() if i < len(node.schema)}
    was = {n: i for i, n in moved.items()}
    below = left.schema.fields if node.one_sided else (*left.schema.fields, *right.schema.fields)
    fields = (node.schema[was[n]] if n in was else f for n, f in enumerate(below))
    return node.over(Schema(tuple(fields)), left, right, both), moved


def _narrowed(node: LogicalNode, needed: set[int], wanted: Wanted) -> tuple[LogicalNode, Mapping]:
    """The node yielding just the needed columns: what keeps rows keeps them for long, whoever else reads them."""
    below, moved = _prune(node, needed, wanted)
    keep = sorted(moved[i] for i in needed) or [0]
    if len(keep) == len(below.schema):
        return below, moved
    fields = tuple(below.schema[i] for i in keep)
    exprs = tuple(InputRef(i, f.name, f.type) for i, f in zip(keep, fields, strict=True))
    place = {old: n for n, old in enumerate(keep)}
    return Project(Schema(fields), below, exprs), {i: place[n] for i, n in moved.items() if n in place}


def _keep_all(node: LogicalNode, wanted: Wanted) -> tuple[LogicalNode, Mapping]:
    inputs = [_prune(i, set(range(len(i.schema))), wanted)[0] for i in node.inputs]
    changed = any(a is not b for a, b in zip(inputs, node.inputs, strict=True))
    return (node.with_inputs(inputs) if changed else node), {i: i for i in range(len(node.schema))}


def _used(exprs: Iterable[Expr]) -> set[int]:
    return {i for e in exprs for i in input_refs(e)}
