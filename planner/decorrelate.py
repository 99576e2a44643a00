"""Sub-queries that read columns of the query around them: the conditions that do so are lifted to the top.

::

    Project(x)                                       Project(x, k)           condition:  k = outer.k
      Filter(k = outer.k AND x > 1)      becomes       Filter(x > 1)
        Scan(k, x)                                       Scan(k, x)

What is left reads nothing of the outer query, so it can be joined with it. An aggregate on the way is grouped by what
the conditions compare with the outer query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

from streamsql.datatypes import BIGINT
from streamsql.schema import Field, Schema

from .bind_nodes import refs
from .expressions import (
    AggregateCall,
    Call,
    Expr,
    InputRef,
    Literal,
    OuterRef,
    SortKey,
    conjuncts,
    input_refs,
    remap,
    shift,
    substitute,
    walk,
)
from .functions import conjunction
from .logical import Aggregate, Filter, Join, LogicalNode, OverCall, Project, Sort, View

Refuse = Callable[[str], NoReturn]
"""Raises the error for something that cannot be lifted over."""

_COUNTS = ("COUNT", "APPROX_COUNT_DISTINCT")


@dataclass(frozen=True)
class Lifted:
    """``node`` reads nothing of the outer query; its first columns are those of the sub-query as written.

    ``conditions`` over its columns and the outer query's say which of its rows belong to an outer row. ``empty``: for a
    sub-query that aggregates everything, what its columns are where no row belongs.
    """

    node: LogicalNode
    conditions: tuple[Expr, ...] = ()
    empty: tuple[Expr, ...] | None = None


def reads_outer(expr: Expr) -> bool:
    """Whether a column of the outer query is read."""
    return any(isinstance(e, OuterRef) for e in walk(expr))


def is_correlated(node: LogicalNode) -> bool:
    """Whether anything in the plan reads the outer query."""
    return any(map(reads_outer, _expressions(node))) or any(is_correlated(i) for i in node.inputs)


def equality(condition: Expr) -> tuple[Expr, Expr] | None:
    """The sides of ``inner = outer``, that of the sub-query first; None for any other condition."""
    if not isinstance(condition, Call) or condition.function.name != "=":
        return None
    for a, b in (condition.args, condition.args[::-1]):
        if not reads_outer(a) and input_refs(a) and reads_outer(b) and not input_refs(b):
            return a, b
    return None


def is_outer_only(condition: Expr) -> bool:
    """Whether a condition reads nothing of the sub-query."""
    return not input_refs(condition)


def lift(node: LogicalNode, refuse: Refuse) -> Lifted:
    """The sub-query with its correlated conditions on top."""
    if not is_correlated(node):
        return Lifted(node)
    match node:
        case Filter():
            return _filter(node, lift(node.input, refuse), refuse)
        case Project():
            return _project(node, lift(node.input, refuse), refuse)
        case Aggregate():
            return _aggregate(node, lift(node.input, refuse), refuse)
        case Join():
            return _join(node, refuse)
        case View():
            return lift(node.input, refuse)
        case Sort():
            return refuse("ORDER BY or LIMIT")
        case _:
            return refuse(_NAMES.get(type(node).__name__, type(node).__name__))


_NAMES = {
    "Over": "an OVER aggregate",
    "Union": "UNION",
    "SetOperation": "INTERSECT or EXCEPT",
    "Expand": "GROUPING SETS",
    "Unnest": "UNNEST",
    "WindowTable": "a window table function",
    "Values": "VALUES",
}


def _filter(node: Filter, below: Lifted, refuse: Refuse) -> Lifted:
    if below.empty is not None:
        refuse("HAVING without GROUP BY")
    parts = conjuncts(node.condition)
    own = [e for e in parts if not reads_outer(e)]
    kept = Filter(below.node.schema, below.node, conjunction(own)) if own else below.node
    return Lifted(kept, (*below.conditions, *(e for e in parts if reads_outer(e))))


def _project(node: Project, below: Lifted, refuse: Refuse) -> Lifted:
    if any(map(reads_outer, node.exprs)):
        refuse("a column of the outer query outside WHERE")
    needed = sorted({i for c in below.conditions for i in input_refs(c)})
    width = len(node.exprs)
    columns = refs(below.node.schema)
    fields = (*node.schema.fields, *(below.node.schema[i] for i in needed))
    made = Project(Schema(fields), below.node, (*node.exprs, *(columns[i] for i in needed)))
    moved = {i: width + n for n, i in enumerate(needed)}
    empty = None
    if below.empty is not None:
        over_nothing = below.empty
        empty = tuple(substitute(e, over_nothing) for e in node.exprs)
    return Lifted(made, tuple(remap(c, moved) for c in below.conditions), empty)


def _aggregate(node: Aggregate, below: Lifted, refuse: Refuse) -> Lifted:
    if below.empty is not None:
        refuse("an aggregate of an aggregate of everything")
    if any(reads_outer(e) for c in node.calls for e in c.inputs):
        refuse("a column of the outer query inside an aggregate")
    inner: list[Expr] = []
    conditions: list[tuple[Expr | None, Expr]] = []
    for condition in below.conditions:
        sides = equality(condition)
        if sides is None and not is_outer_only(condition):
            refuse(f"an aggregate over rows found by {condition.text()}")
        if sides is None:
            conditions.append((None, condition))
            continue
        inner += [sides[0]] if sides[0] not in inner else []
        conditions.append((sides[0], condition))
    base = below.node
    fields = [*base.schema, *(Field(f"$c{i}", e.type) for i, e in enumerate(inner))]
    source = Project(Schema(tuple(fields)), base, (*refs(base.schema), *inner))
    width, keys, more = len(base.schema), len(node.keys), len(inner)
    grouped = Aggregate(
        Schema((*node.schema.fields[:keys], *fields[width:], *node.schema.fields[keys:])),
        source,
        (*node.keys, *range(width, width + more)),
        node.calls,
    )
    out = refs(grouped.schema)
    ordered = (*out[:keys], *out[keys + more :], *out[keys : keys + more])
    made = Project(Schema((*node.schema.fields, *fields[width:])), grouped, ordered)
    first = len(node.schema)
    lifted: list[Expr] = []
    for side, condition in conditions:
        if side is None:
            lifted.append(condition)
            continue
        at = first + inner.index(side)
        assert isinstance(condition, Call)
        column = InputRef(at, made.schema[at].name, made.schema[at].type)
        lifted.append(replace(condition, args=tuple(column if a == side else a for a in condition.args)))
    empty: tuple[Expr, ...] | None = None
    if not node.keys:
        empty = tuple(
            Literal(0, BIGINT().not_null()) if c.function.name in _COUNTS else Literal(None, f.type)
            for c, f in zip(node.calls, node.schema, strict=True)
        )
    return Lifted(made, tuple(lifted), empty)


def _join(node: Join, refuse: Refuse) -> Lifted:
    """Conditions of both sides of an inner join, of the left side of the others."""
    inner = node.kind in ("INNER", "CROSS")
    if node.condition is not None and reads_outer(node.condition):
        refuse("a column of the outer query in ON")
    if not inner and (is_correlated(node.right) or node.kind in ("RIGHT", "FULL")):
        refuse(f"a {node.kind} join")
    left, right = lift(node.left, refuse), lift(node.right, refuse)
    if left.empty is not None or right.empty is not None:
        refuse("a join with an aggregate of everything")
    if node.kind in ("SEMI", "ANTI"):
        refuse("a further sub-query")
    a, b = len(node.left.schema), len(node.right.schema)
    wide = len(left.node.schema)
    schema = Schema((*_typed(left.node, node, 0), *_typed(right.node, node, a)))
    moved = {i: i if i < a else i - a + wide for i in range(a + b)}
    condition = None if node.condition is None else remap(node.condition, moved)
    joined = replace(node, schema=schema, left=left.node, right=right.node, condition=condition)
    order = [*range(a), *range(wide, wide + b), *range(a, wide), *range(wide + b, len(schema))]
    columns = refs(schema)
    made = Project(Schema(tuple(schema[i] for i in order)), joined, tuple(columns[i] for i in order))
    place = {i: n for n, i in enumerate(order)}
    conditions = (*left.conditions, *(shift(c, wide) for c in right.conditions))
    return Lifted(made, tuple(remap(c, place) for c in conditions))


def _typed(side: LogicalNode, node: Join, first: int) -> list[Field]:
    """The fields of a side as the join has them; those lifted through it as they are."""
    old = len(node.left.schema) if first == 0 else len(node.right.schema)
    return [*node.schema.fields[first : first + old], *side.schema.fields[old:]]


def _expressions(value: object) -> Iterator[Expr]:
    """The expressions of one node, or of a part of it."""
    match value:
        case LogicalNode():
            for part in vars(value).values():
                if not isinstance(part, LogicalNode):
                    yield from _expressions(part)
        case Expr():
            yield value
        case AggregateCall():
            yield from value.inputs
        case OverCall():
            yield from value.call.inputs
            yield from (*value.partition, *(k.expr for k in value.order))
        case SortKey():
            yield value.expr
        case tuple():
            for part in value:
                if not isinstance(part, LogicalNode):
                    yield from _expressions(part)
        case _:
            pass
