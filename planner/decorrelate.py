"""Sub-queries that read columns of the query around them: the conditions that do so are lifted to the top.

::

    Project(x)                                       Project(x, k)           condition:  k = outer.k
      Filter(k = outer.k AND x > 1)      becomes       Filter(x > 1)
        Scan(k, x)                                       Scan(k, x)

What is left reads nothing of the outer query, so it can be joined with it. An aggregate on the way is grouped by what
the conditions compare with the outer query, a LIMIT or OVER partitioned by it. Where the comparison is no equality the
rows are joined with the *domain* first: the distinct outer values that they are compared with.

::

    Aggregate(SUM(x))                                Aggregate(SUM(x), by d)     condition:  d IS NOT DISTINCT FROM
      Filter(k < outer.k)                becomes       Join(k < d)                           outer.k
        Scan(k, x)                                       Scan(k, x)
                                                         Aggregate(by d): the outer k
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from streamsql.datatypes import BIGINT
from streamsql.schema import Field, Schema

from .bind_nodes import refs, untimed
from .expressions import AggregateCall, Expr, InputRef, Literal, conjuncts, remap, shift, substitute
from .functions import FunctionRegistry, conjunction
from .join_conditions import call
from .lifted import Lifted, Outer, equality, flat, on_columns, over_domain, present
from .logical import (
    Aggregate,
    Expand,
    Filter,
    Join,
    LogicalNode,
    Over,
    OverCall,
    Project,
    SetOperation,
    Sort,
    Union,
    Unnest,
    View,
)
from .logical_joins import TemporalJoin
from .outer_refs import is_correlated, outer_values, reads_outer, replaced

_COUNTS = ("COUNT", "APPROX_COUNT_DISTINCT")
_FUNCTIONS = FunctionRegistry()


# -- the nodes -------------------------------------------------------------------------------------------------------


def lift(node: LogicalNode, outer: Outer) -> Lifted:
    """The sub-query with its correlated conditions on top. All of it is as seen from within the sub-query."""
    if not is_correlated(node):
        return Lifted(node, refs(node.schema))
    handler = _HANDLERS.get(type(node))
    if handler is None:
        name = type(node).__name__
        outer.refuse(_NAMES.get(name, name))
    return handler(node, outer)


_NAMES = {
    "WindowTable": "a window table function",
    "MatchRecognize": "MATCH_RECOGNIZE",
    "ToChangelog": "TO_CHANGELOG",
    "FromChangelog": "FROM_CHANGELOG",
}


def _filter(node: Filter, outer: Outer) -> Lifted:
    below = present(lift(node.input, outer), outer)
    parts = conjuncts(substitute(node.condition, below.columns))
    own = [e for e in parts if not reads_outer(e)]
    kept = Filter(below.node.schema, below.node, conjunction(own)) if own else below.node
    return replace(below, node=kept, conditions=(*below.conditions, *(e for e in parts if reads_outer(e))))


def _project(node: Project, outer: Outer) -> Lifted:
    below = lift(node.input, outer)
    return replace(below, columns=tuple(substitute(e, below.columns) for e in node.exprs))


def _aggregate(node: Aggregate, outer: Outer) -> Lifted:
    inputs = [e for c in node.calls for e in c.inputs]
    below = flat(lift(node.input, outer), outer, *inputs)
    first, keys = len(node.input.schema), len(node.keys)
    sides = range(first, len(below.node.schema))
    table = _values_at(below)
    grouped = replace(
        node,
        schema=Schema(
            (
                *node.schema.fields[:keys],
                *untimed(below.node.schema).fields[first:],
                *node.schema.fields[keys:],
            )
        ),
        input=below.node,
        keys=(*node.keys, *sides),
        calls=tuple(c.map_inputs(lambda e: replaced(e, table)) for c in node.calls),
    )
    out, more = refs(grouped.schema), len(sides)
    empty: tuple[Expr, ...] | None = None
    if not node.keys:
        absent = [Literal(None, f.type.with_nullable(True)) for f in grouped.schema.fields[:more]]
        counts = [
            Literal(0, BIGINT().not_null()) if c.function.name in _COUNTS else Literal(None, f.type)
            for c, f in zip(node.calls, node.schema, strict=True)
        ]
        empty = (*absent, *counts)
    columns = (*out[:keys], *out[keys + more :])
    return Lifted(grouped, columns, _moved(below, first, out[keys : keys + more]), empty)


def _values_at(below: Lifted) -> dict[Expr, Expr]:
    """The columns that hold outer values, once the rows were joined with the domain."""
    pairs = [pair for c in below.conditions if (pair := equality(c)) is not None]
    return {value: side for side, value in pairs}


def _moved(below: Lifted, first: int, columns: Sequence[Expr]) -> tuple[Expr, ...]:
    """The conditions of a flat node where its last columns are now ``columns``."""
    return on_columns(below.conditions, refs(below.node.schema)[first:], columns)


def _over(node: Over, outer: Outer) -> Lifted:
    inputs = [e for c in node.calls for e in c.inputs]
    below = flat(lift(node.input, outer), outer, *inputs)
    width, wide = len(node.input.schema), len(below.node.schema)
    table = _values_at(below)
    sides = refs(below.node.schema)[width:]
    calls = tuple(c.map_inputs(lambda e: replaced(e, table)) for c in node.calls)
    made = replace(
        node,
        schema=Schema((*below.node.schema, *node.schema.fields[width:])),
        input=below.node,
        calls=tuple(replace(c, partition=(*c.partition, *sides)) for c in calls),
    )
    return Lifted(made, _without(made.schema, width, wide), below.conditions)


def _without(schema: Schema, start: int, end: int) -> tuple[Expr, ...]:
    columns = refs(schema)
    return (*columns[:start], *columns[end:])


def _sort(node: Sort, outer: Outer) -> Lifted:
    """LIMIT takes so many rows for each outer row; the order of what comes out means nothing."""
    below = lift(node.input, outer)
    if node.limit is None and not node.offset:
        return below
    below = flat(below, outer)
    width = len(node.schema)
    function = _FUNCTIONS.aggregate("ROW_NUMBER")
    assert function is not None
    number = AggregateCall(function, (), BIGINT().not_null())
    columns = refs(below.node.schema)
    ranks = OverCall(number, columns[width:], node.keys)
    schema = Schema((*below.node.schema, Field("$n", number.type)))
    ranked = Over(schema, below.node, (ranks,), position=node.position)
    at = InputRef(len(columns), "$n", number.type)
    bounds = [call(">", at, _long(node.offset))] if node.offset else []
    if node.limit is not None:
        bounds.append(call("<=", at, _long(node.offset + node.limit)))
    kept = Filter(schema, ranked, conjunction(bounds))
    return Lifted(kept, refs(schema)[:width], below.conditions)


def _long(value: int) -> Expr:
    return Literal(value, BIGINT().not_null())


def _unnest(node: Unnest, outer: Outer) -> Lifted:
    below = lift(node.input, outer)
    below = flat(below, outer, node.expr)
    width, wide = len(node.input.schema), len(below.node.schema)
    made = replace(
        node,
        schema=Schema((*below.node.schema, *node.schema.fields[width:])),
        input=below.node,
        expr=replaced(node.expr, _values_at(below)),
    )
    return Lifted(made, _without(made.schema, width, wide), below.conditions)


def _expand(node: Expand, outer: Outer) -> Lifted:
    below = flat(lift(node.input, outer), outer)
    width, wide = len(node.input.schema), len(below.node.schema)
    fields = (*node.schema.fields[:width], *below.node.schema.fields[width:], node.schema[width])
    made = replace(node, schema=Schema(fields), input=below.node)
    return Lifted(made, _without(made.schema, width, wide), below.conditions)


def _view(node: View, outer: Outer) -> Lifted:
    return lift(node.input, outer)


# -- several inputs --------------------------------------------------------------------------------------------------


def _branches(node: Union | SetOperation, outer: Outer) -> Lifted:
    """Each input once for each value that any of them reads."""
    lifted = [lift(i, outer) for i in node.inputs]
    values = outer_values(e for x in lifted for e in (*x.conditions, *x.columns))
    parts = [over_domain(x, outer, values) for x in lifted]
    width = len(node.schema)
    fields = (*untimed(node.schema), *parts[0].node.schema.fields[width:])
    made = replace(node.with_inputs([p.node for p in parts]), schema=Schema(fields))
    return replace(parts[0], node=made, columns=refs(made.schema)[:width])


def _join(node: Join, outer: Outer) -> Lifted:
    left, right = lift(node.left, outer), lift(node.right, outer)
    if node.kind in ("INNER", "CROSS"):
        return _inner_join(node, present(left, outer), present(right, outer))
    preserved = node.right if node.kind == "RIGHT" else node.left
    optional = node.left if node.kind == "RIGHT" else node.right
    on = node.condition is not None and reads_outer(node.condition)
    if node.kind == "FULL" or on or is_correlated(optional) or not is_correlated(preserved):
        return _joined_by_domain(node, left, right, outer)
    if node.kind == "RIGHT":
        right = flat(right, outer)
        columns, conditions = refs(left.node.schema), right.conditions
        return _over_sides(node, Lifted(left.node, columns), right, (), conditions)
    left = flat(left, outer)
    return _over_sides(node, left, right, left.conditions, ())


def _inner_join(node: Join, left: Lifted, right: Lifted) -> Lifted:
    wide = len(left.node.schema)
    columns = (*left.columns, *(shift(c, wide) for c in right.columns))
    parts = [] if node.condition is None else conjuncts(substitute(node.condition, columns))
    own = [e for e in parts if not reads_outer(e)]
    schema = Schema((*left.node.schema, *right.node.schema))
    made = replace(
        node,
        schema=untimed(schema),
        left=left.node,
        right=right.node,
        kind="INNER" if own else "CROSS",
        condition=conjunction(own) if own else None,
    )
    conditions = (*left.conditions, *(shift(c, wide) for c in right.conditions))
    return Lifted(made, columns, (*conditions, *(e for e in parts if reads_outer(e))))


def _over_sides(
    node: Join, left: Lifted, right: Lifted, first: Sequence[Expr], second: Sequence[Expr]
) -> Lifted:
    """The join over inputs that begin with the columns they had; ``first`` and ``second`` are their conditions."""
    a, b = len(node.left.schema), len(node.right.schema)
    wide = len(left.node.schema)
    moved = {i: i if i < a else i - a + wide for i in range(a + b)}
    fields = [*node.schema.fields[:a], *left.node.schema.fields[a:]]
    if not node.one_sided:
        fields += [*node.schema.fields[a:], *right.node.schema.fields[b:]]
    made = node.over(Schema(tuple(fields)), left.node, right.node, moved)
    columns = refs(made.schema)
    own = columns[:a] if node.one_sided else (*columns[:a], *columns[wide : wide + b])
    return Lifted(made, own, (*first, *(shift(c, wide) for c in second)))


def _joined_by_domain(node: Join, left: Lifted, right: Lifted, outer: Outer) -> Lifted:
    """Both inputs once for each value that anything here reads, joined where the value is the same."""
    on = [] if node.condition is None else [node.condition]
    values = outer_values([*left.conditions, *left.columns, *right.conditions, *right.columns, *on])
    left, right = over_domain(left, outer, values), over_domain(right, outer, values)
    a, b, wide = len(node.left.schema), len(node.right.schema), len(left.node.schema)
    moved = {i: i if i < a else i - a + wide for i in range(a + b)}
    ours = refs(left.node.schema)[a:]
    theirs = [shift(e, wide) for e in refs(right.node.schema)[b:]]
    table = dict(zip(values, ours, strict=True))
    same = [call("IS NOT DISTINCT FROM", x, y) for x, y in zip(ours, theirs, strict=True)]
    fields = [*node.schema.fields[:a], *left.node.schema.fields[a:]]
    if not node.one_sided:
        fields += [*node.schema.fields[a:], *right.node.schema.fields[b:]]
    made = replace(
        node,
        schema=untimed(Schema(tuple(fields))),
        left=left.node,
        right=right.node,
        condition=conjunction([*(replaced(remap(c, moved), table) for c in on), *same]),
    )
    columns = refs(made.schema)
    either = [call("COALESCE", x, y) for x, y in zip(ours, theirs, strict=True)]
    held: Sequence[Expr] = {"RIGHT": theirs, "FULL": either}.get(node.kind, ours)
    own = columns[:a] if node.one_sided else (*columns[:a], *columns[wide : wide + b])
    conditions = tuple(call("IS NOT DISTINCT FROM", x, v) for x, v in zip(held, values, strict=True))
    return Lifted(made, own, conditions)


def _temporal_join(node: TemporalJoin, outer: Outer) -> Lifted:
    if is_correlated(node.right) or (node.condition is not None and reads_outer(node.condition)):
        outer.refuse("FOR SYSTEM_TIME AS OF with columns of the outer query")
    left = flat(lift(node.left, outer), outer)
    right = Lifted(node.right, refs(node.right.schema))
    return _over_sides(node, left, right, left.conditions, ())


_HANDLERS: Mapping[type[LogicalNode], Callable[[Any, Outer], Lifted]] = {
    Filter: _filter,
    Project: _project,
    Aggregate: _aggregate,
    Over: _over,
    Sort: _sort,
    Unnest: _unnest,
    Expand: _expand,
    View: _view,
    Union: _branches,
    SetOperation: _branches,
    Join: _join,
    TemporalJoin: _temporal_join,
}
