"""One sub-query joined to the rows that read it: as a filter of them, or as a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.datatypes import BIGINT, BOOLEAN
from streamsql.schema import Field, Schema

from .bind_nodes import refs, untimed
from .decorrelate import lift
from .expressions import (
    FALSE,
    TRUE,
    AggregateCall,
    Call,
    Expr,
    Literal,
    input_refs,
    remap,
    shift,
    substitute,
)
from .functions import conjunction
from .lifted import Lifted, Outer, is_lookup, keyed, marked, on_columns, or_empty, seen, sides_of
from .logical import Aggregate, Filter, Join, LogicalNode, Project, Sort, Values, View
from .outer_refs import beside, lowered, outward, reads_outer
from .scope import Scope

if TYPE_CHECKING:
    from .binder import QueryBinder


@dataclass(frozen=True)
class Subquery:
    """A bound sub-query. ``operands`` are compared with its columns by ``operator``; none for EXISTS and a value.

    ``negated``: what stands in SQL is the opposite. ``written``: all of it, ``node``: without NOT.
    """

    written: exp.Expr
    node: exp.Expr
    plan: LogicalNode
    operands: tuple[Expr, ...] = ()
    operator: str = ""
    negated: bool = False
    scalar: bool = False


class SubqueryJoin:
    """Joins one sub-query to ``outer``. What it adds are columns after those of the rows."""

    def __init__(self, binder: QueryBinder, sub: Subquery, outer: Outer) -> None:
        self._binder = binder
        self._sub = sub
        self._outer = outer
        self._query = lift(sub.plan, outer)
        self._expressions = binder.expressions(Scope(()))

    def call(self, name: str, *args: Expr) -> Expr:
        """A call of a built-in function."""
        return self._expressions.named(name, args, self._sub.node)

    # -- WHERE -----------------------------------------------------------------------------------------------------
    def matching(self, node: LogicalNode) -> LogicalNode:
        """The rows for which the sub-query has a match, or, negated, has none."""
        sub, query = self._sub, self._query
        if query.empty is not None:
            node, found = self.exists(node) if not sub.operands else self._compared(node)
            condition = self.call("NOT", found) if sub.negated else found
            return Filter(node.schema, node, condition)
        width = len(node.schema)
        conditions = [beside(c, width) for c in query.conditions]
        right = query.node
        if sub.operands:
            tests = self._tests(sub.operands, [beside(c, width) for c in query.columns])
            if sub.negated:
                conditions = [self.call("IS TRUE", c) for c in conditions]
            conditions = [*tests, *conditions]
        elif not query.conditions:
            right = self._counted(query.node)
            right = Filter(right.schema, right, self.call(">", refs(right.schema)[0], _long(0)))
        return Join(
            untimed(node.schema),
            "ANTI" if sub.negated else "SEMI",
            node,
            lowered(right),
            conjunction(conditions) if conditions else None,
            null_aware=sub.negated and bool(sub.operands),
            position=self._binder.position(sub.node),
        )

    def _tests(self, operands: Sequence[Expr], columns: Sequence[Expr]) -> list[Expr]:
        return [self.call(self._sub.operator, a, b) for a, b in zip(operands, columns, strict=True)]

    # -- values ----------------------------------------------------------------------------------------------------
    def value(self, node: LogicalNode) -> tuple[LogicalNode, Expr]:
        """The sub-query's only value; NULL where it has no row."""
        query = self._query
        if query.empty is not None:
            joined, values = self._row(node, query)
            return joined, values[0]
        (column,) = query.columns
        if not query.conditions and not reads_outer(column) and _at_most_one(query.node):
            joined = self._left(node, query.node, [])
            return joined, seen(column, joined, len(node.schema))
        if not all(map(is_lookup, query.conditions)):
            query = keyed(query, self._outer)
        return self._only(node, query)

    def _row(self, node: LogicalNode, query: Lifted) -> tuple[LogicalNode, list[Expr]]:
        """The only row of a sub-query that aggregates everything."""
        assert query.empty is not None
        width = len(node.schema)
        right = marked(query.node)
        joined = self._left(node, right, [beside(c, width) for c in query.conditions])
        found = self.call("IS TRUE", refs(joined.schema)[-1])
        return joined, [
            or_empty(found, seen(c, joined, width), beside(substitute(c, query.empty), width))
            for c in query.columns
        ]

    def _only(self, node: LogicalNode, query: Lifted) -> tuple[LogicalNode, Expr]:
        """The value of the only row for each outer row; an error where there are more."""
        (column,) = query.columns
        width, sides = len(node.schema), sides_of(query)
        if not reads_outer(column):
            right = self._grouped(query.node, sides, [self._single(column)])
            joined = self._by_sides(node, right, query)
            return joined, seen(refs(right.schema)[-1], joined, width)
        read = sorted(input_refs(column))
        singles = [self._single(refs(query.node.schema)[i]) for i in read] or [self._single(TRUE)]
        right = marked(self._grouped(query.node, sides, singles))
        joined = self._by_sides(node, right, query)
        place = {i: len(sides) + n for n, i in enumerate(read)}
        found = self.call("IS TRUE", refs(joined.schema)[-1])
        value = seen(remap(column, place), joined, width)
        return joined, self.call("CASE", found, value, Literal(None, column.type.with_nullable(True)))

    def _compared(self, node: LogicalNode) -> tuple[LogicalNode, Expr]:
        """The operands compared with the only row of an aggregate of everything."""
        joined, values = self._row(node, self._query)
        return joined, conjunction(self._tests(self._sub.operands, values))

    def exists(self, node: LogicalNode) -> tuple[LogicalNode, Expr]:
        """Whether the sub-query has a row."""
        query = replace(self._query, columns=())
        if query.empty is not None:  # an aggregate of everything has one always
            return node, TRUE
        query = keyed(query, self._outer)
        sides = sides_of(query)
        if not sides:
            right = self._counted(query.node)
            joined = self._by_sides(node, right, query)
            return joined, self.call("IS TRUE", self.call(">", refs(joined.schema)[-1], _long(0)))
        joined = self._by_sides(node, marked(self._grouped(query.node, sides, [])), query)
        return joined, self.call("IS TRUE", refs(joined.schema)[-1])

    def contains(self, node: LogicalNode) -> tuple[LogicalNode, Expr]:
        """Whether the sub-query holds the operands: TRUE, FALSE, or UNKNOWN where a NULL might be the match."""
        sub, query = self._sub, self._query
        if query.empty is not None:
            return self._compared(node)
        looked_up = all(map(is_lookup, query.conditions)) and not any(map(reads_outer, query.columns))
        if sub.operator != "=" or not looked_up:
            return self._judged(node)
        wide = len(query.node.schema)
        tests: list[tuple[Expr, Expr]] = []
        for a, b in zip(sub.operands, query.columns, strict=True):
            test = self.call("=", shift(a, wide), b)
            assert isinstance(test, Call)
            tests.append((shift(test.args[0], -wide), test.args[1]))
        unknown = any(a.type.nullable or b.type.nullable for a, b in tests)
        if unknown and len(tests) > 1:
            return self._judged(node)
        sides = sides_of(query)
        right = marked(self._grouped(query.node, [*sides, *(b for _, b in tests)], []))
        width = len(node.schema)
        columns = [shift(c, width) for c in refs(right.schema)[len(sides) : -1]]
        on = [self.call("=", a, c) for (a, _), c in zip(tests, columns, strict=True)]
        joined = self._by_sides(node, right, query, on)
        found = self.call("IS TRUE", refs(joined.schema)[-1])
        return self._or_unknown(joined, found, tests[0][1]) if unknown else (joined, found)

    def _or_unknown(self, node: LogicalNode, found: Expr, value: Expr) -> tuple[LogicalNode, Expr]:
        counts = [self._count(), self._count(value)]
        joined = self._by_sides(
            node, self._grouped(self._query.node, sides_of(self._query), counts), self._query
        )
        rows, known = refs(joined.schema)[-2:]
        none = self.call("IS NOT TRUE", self.call(">", rows, _long(0)))
        missing = self.call("OR", self.call("IS NULL", self._sub.operands[0]), self.call("<", known, rows))
        null = Literal(None, BOOLEAN())
        return joined, self.call("CASE", found, TRUE, none, FALSE, missing, null, FALSE)

    def _judged(self, node: LogicalNode) -> tuple[LogicalNode, Expr]:
        """The operands compared with every row: how many are TRUE, and how many unknown."""
        plan = self._sub.plan
        operands = [outward(a) for a in self._sub.operands]
        test = conjunction(self._tests(operands, refs(plan.schema)))
        outcomes = [self.call("IS TRUE", test), self.call("IS NULL", test)]
        fields = tuple(Field(f"$t{i}", e.type) for i, e in enumerate(outcomes))
        judged = Project(Schema(fields), plan, tuple(outcomes))
        calls = tuple(replace(self._count(), filter=c) for c in refs(judged.schema))
        counted = Aggregate(
            Schema(tuple(Field(f"$n{i}", c.type) for i, c in enumerate(calls))), judged, (), calls
        )
        lifted = lift(counted, self._outer)
        if lifted.empty is None:
            joined = self._left(node, lifted.node, [])
            yes, unknown = (seen(c, joined, len(node.schema)) for c in lifted.columns)
        else:
            joined, (yes, unknown) = self._row(node, lifted)
        null = Literal(None, BOOLEAN())
        some = [self.call("IS TRUE", self.call(">", n, _long(0))) for n in (yes, unknown)]
        return joined, self.call("CASE", some[0], TRUE, some[1], null, FALSE)

    # -- pieces ----------------------------------------------------------------------------------------------------
    def _by_sides(
        self, node: LogicalNode, right: LogicalNode, query: Lifted, more: Sequence[Expr] = ()
    ) -> LogicalNode:
        """``node`` left-joined with groups by the sides of the query's equalities, which are their first columns."""
        sides = sides_of(query)
        conditions = on_columns(query.conditions, sides, refs(right.schema)[: len(sides)])
        return self._left(node, right, [*(beside(c, len(node.schema)) for c in conditions), *more])

    def _grouped(
        self, node: LogicalNode, keys: Sequence[Expr], calls: Sequence[AggregateCall]
    ) -> LogicalNode:
        fields = [*node.schema, *(Field(f"$k{i}", e.type) for i, e in enumerate(keys))]
        width = len(node.schema)
        source = Project(Schema(tuple(fields)), node, (*refs(node.schema), *keys)) if keys else node
        out = [*fields[width:], *(Field(f"$v{i}", c.type) for i, c in enumerate(calls))]
        return Aggregate(
            untimed(Schema(tuple(out))), source, tuple(range(width, width + len(keys))), tuple(calls)
        )

    def _counted(self, node: LogicalNode) -> LogicalNode:
        return self._grouped(node, [], [self._count()])

    def _count(self, *args: Expr) -> AggregateCall:
        function = self._binder.context.functions.aggregate("COUNT")
        assert function is not None
        return AggregateCall(function, args, BIGINT().not_null())

    def _single(self, value: Expr) -> AggregateCall:
        function = self._binder.context.functions.aggregate("SINGLE_VALUE")
        assert function is not None
        return AggregateCall(function, (value,), value.type.with_nullable(True))

    def _left(self, node: LogicalNode, right: LogicalNode, on: Sequence[Expr]) -> LogicalNode:
        optional = (replace(f, type=f.type.with_nullable(True)) for f in right.schema)
        schema = untimed(Schema((*node.schema, *optional)))
        condition = conjunction(on) if on else None
        position = self._binder.position(self._sub.node)
        return Join(schema, "LEFT", node, lowered(right), condition, position=position)


def _long(value: int) -> Expr:
    return Literal(value, BIGINT().not_null())


def _at_most_one(node: LogicalNode) -> bool:
    """Whether a plan never has two rows."""
    match node:
        case Project() | Filter() | View():
            return _at_most_one(node.input)
        case Aggregate():
            return not node.keys
        case Sort():
            return node.limit is not None and node.limit <= 1
        case Values():
            return len(node.rows) <= 1
        case _:
            return False
