"""Sub-queries in expressions, as joins: IN, EXISTS, ANY and ALL in WHERE become SEMI and ANTI joins.

Everywhere else a sub-query is a column: the query around it is LEFT-joined with the sub-query's value, or with a mark
that says whether it holds the row. A sub-query that reads the query around it is taken apart in ``decorrelate.py``.

::

    WHERE x IN (SELECT y …)            SEMI join on x = y
    WHERE x NOT IN (SELECT y …)        ANTI join on x = y, where UNKNOWN counts as found
    SELECT (SELECT MAX(y) … u.k = k)   LEFT join with MAX(y) grouped by u.k
    SELECT x IN (SELECT y …)           LEFT join with the distinct y, and with how many y are NULL
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from sqlglot import exp

from streamsql.datatypes import BIGINT, BOOLEAN, DataType
from streamsql.errors import UnsupportedError
from streamsql.schema import Field, Schema

from .bind_nodes import refs, untimed
from .decorrelate import Lifted, equality, is_outer_only, lift, reads_outer
from .expression_binder import ExpressionBinder
from .expressions import FALSE, TRUE, AggregateCall, Call, Expr, InputRef, Literal, OuterRef, transform, walk
from .functions import conjunction
from .logical import Aggregate, Filter, Join, LogicalNode, Project, Sort, Values, View
from .scope import Scope

if TYPE_CHECKING:
    from .binder import QueryBinder

Place = Callable[[Expr], Expr]
"""An expression over FROM's columns as one over the rows that the sub-query is joined to."""

_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
}
_OPPOSITE = {"=": "<>", "<>": "=", ">": "<=", ">=": "<", "<": ">=", "<=": ">"}


@dataclass(frozen=True)
class SubqueryRef(Expr):
    """Stands for the value of sub-query number ``index`` until it is joined."""

    index: int
    type: DataType

    def text(self) -> str:
        return f"$subquery{self.index}"


@dataclass(frozen=True)
class Subquery:
    """A bound sub-query. ``operands`` are compared with its columns by ``operator``; none for EXISTS and a value.

    ``negated``: what stands in SQL is the opposite.
    """

    node: exp.Expr
    query: Lifted
    operands: tuple[Expr, ...] = ()
    operator: str = ""
    negated: bool = False
    scalar: bool = False


class Subqueries:
    """The sub-queries of one SELECT's expressions."""

    def __init__(self, binder: QueryBinder) -> None:
        self._binder = binder
        self._found: list[Subquery] = []

    def reference(self, expressions: ExpressionBinder, node: exp.Expr) -> Expr:
        """A placeholder for the value of the sub-query in ``node``."""
        found = bind_subquery(self._binder, expressions, node)
        self._found.append(found)
        type_ = found.query.node.schema[0].type.with_nullable(True) if found.scalar else BOOLEAN()
        return SubqueryRef(len(self._found) - 1, type_)

    def place(self, node: LogicalNode, exprs: Sequence[Expr], place: Place) -> tuple[LogicalNode, list[Expr]]:
        """``node`` joined with the sub-queries of ``exprs``, and ``exprs`` over it."""
        values: dict[int, Expr] = {}
        for e in exprs:
            for ref in walk(e):
                if isinstance(ref, SubqueryRef) and ref.index not in values:
                    node, values[ref.index] = self._attach(node, self._found[ref.index], place)

        def fill(e: Expr) -> Expr:
            if isinstance(e, SubqueryRef):
                return values[e.index]
            return e.with_children(tuple(fill(c) for c in e.children)) if e.children else e

        return node, [fill(e) for e in exprs]

    def _attach(self, node: LogicalNode, sub: Subquery, place: Place) -> tuple[LogicalNode, Expr]:
        node, operands = self.place(node, [place(e) for e in sub.operands], place)
        sub = replace(sub, operands=tuple(operands))
        attach = _Attach(self._binder, sub, place)
        if sub.scalar:
            return attach.value(node)
        node, mark = attach.exists(node) if not sub.operands else attach.contains(node)
        return node, attach.call("NOT", mark) if sub.negated else mark


def bind_where(binder: QueryBinder, source: LogicalNode, scope: Scope, condition: exp.Expr) -> LogicalNode:
    """The rows of ``source`` that pass WHERE."""
    subqueries = Subqueries(binder)
    expressions = WhereExpressions(binder, scope, subqueries)
    width = len(source.schema)
    plain: list[Expr] = []
    for part in conjuncts(condition):
        if _is_subquery(part):
            sub = bind_subquery(binder, expressions, part)
            source, operands = subqueries.place(source, sub.operands, lambda e: e)
            sub = replace(sub, operands=tuple(operands))
            source = _Attach(binder, sub, lambda e: e).matching(source)
        else:
            plain.append(binder.boolean(expressions.bind(part), part, "WHERE"))
    if plain:
        source, plain = subqueries.place(source, plain, lambda e: e)
        source = Filter(source.schema, source, conjunction(plain))
    if len(source.schema) == width:
        return source
    return Project(Schema(source.schema.fields[:width]), source, refs(source.schema)[:width])


class WhereExpressions(ExpressionBinder):
    """Expressions of a clause in which sub-queries may stand."""

    def __init__(self, binder: QueryBinder, scope: Scope, subqueries: Subqueries) -> None:
        super().__init__(scope, binder.context.functions, binder.sql)
        self._subqueries = subqueries

    def on_subquery(self, node: exp.Expr, kind: str) -> Expr:
        return self._subqueries.reference(self, node)


def bind_subquery(binder: QueryBinder, expressions: ExpressionBinder, node: exp.Expr) -> Subquery:
    """The sub-query of an IN, EXISTS, comparison with ANY or ALL, or a value; NOTs around it are taken in."""
    negated = False
    while isinstance(node, exp.Not | exp.Paren):
        negated ^= isinstance(node, exp.Not)
        node = node.this
    quantifier = node.expression if type(node) in _COMPARISONS else None
    operator, tested = "", None
    if isinstance(node, exp.Exists):
        query = node.this
    elif isinstance(node, exp.In):
        query, operator, tested = node.args["query"], "=", node.this
    elif isinstance(quantifier, exp.Any | exp.All):
        query, operator, tested = quantifier.this, _COMPARISONS[type(node)], node.this
        if isinstance(quantifier, exp.All):  # x > ALL (…) is NOT x <= ANY (…)
            operator, negated = _OPPOSITE[operator], not negated
    else:
        query = node
    while isinstance(tested, exp.Paren):
        tested = tested.this
    tests = tested.expressions if isinstance(tested, exp.Tuple) else [tested] if tested is not None else []
    operands = tuple(expressions.bind(e) for e in tests)
    assert isinstance(expressions.scope, Scope)
    plan = binder.nested(expressions.scope).bind(query.this if isinstance(query, exp.Subquery) else query)
    scalar = not isinstance(node, exp.Exists) and not operands
    wanted = len(operands) if operands else 1
    if not isinstance(node, exp.Exists) and len(plan.schema) != wanted:
        raise binder.error(node, f"the sub-query yields {len(plan.schema)} columns, expected {wanted}")
    if isinstance(node, exp.Exists):
        plan = _any_columns(plan)
    lifted = lift(plan, lambda what: _refuse(binder, node, what))
    return Subquery(node, lifted, operands, operator, negated, scalar)


def _refuse(binder: QueryBinder, node: exp.Expr, what: str) -> NoReturn:
    raise UnsupportedError(
        f"{what} is not supported in a sub-query that reads columns of the query around it",
        hint="write it as a join, or compare columns of the outer query in its WHERE by =",
        position=binder.position(node),
    )


def _any_columns(plan: LogicalNode) -> LogicalNode:
    """The plan without what only changes columns or repeats rows: enough to see whether there are any."""
    while True:
        match plan:
            case Project() | View():
                plan = plan.input
            case Sort() if plan.limit is None and not plan.offset:
                plan = plan.input
            case Aggregate() if plan.keys and not plan.calls:
                plan = plan.input
            case _:
                return plan


def conjuncts(node: exp.Expr) -> list[exp.Expr]:
    """The conditions that AND joins, without parentheses around them."""
    while isinstance(node, exp.Paren) and not isinstance(node.this, exp.Query):
        node = node.this
    if isinstance(node, exp.And):
        return [c for part in node.flatten() for c in conjuncts(part)]
    return [node]


def _is_subquery(node: exp.Expr) -> bool:
    while isinstance(node, exp.Not | exp.Paren):
        node = node.this
    if isinstance(node, exp.In):
        return node.args.get("query") is not None
    quantified = type(node) in _COMPARISONS and isinstance(node.expression, exp.Any | exp.All)
    return isinstance(node, exp.Exists) or quantified


class _Attach:
    """Joins one sub-query to the rows that read it."""

    def __init__(self, binder: QueryBinder, sub: Subquery, place: Place) -> None:
        self._binder = binder
        self._sub = sub
        self._place = place
        self._query = sub.query
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
        conditions = [self._joined(c, width) for c in query.conditions]
        right = query.node
        if sub.operands:
            tests = self._tests(query.node, width)
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
            right,
            conjunction(conditions) if conditions else None,
            null_aware=sub.negated and bool(sub.operands),
        )

    def _tests(self, query: LogicalNode, width: int) -> list[Expr]:
        columns = refs(query.schema)[: len(self._sub.operands)]
        if len(columns) > 1 and self._sub.operator != "=":
            raise UnsupportedError(
                "rows are compared with a sub-query by = only", position=self._binder.position(self._sub.node)
            )
        return [
            self.call(self._sub.operator, a, replace(b, index=b.index + width))
            for a, b in zip(self._sub.operands, columns, strict=True)
            if isinstance(b, InputRef)
        ]

    # -- values ----------------------------------------------------------------------------------------------------
    def value(self, node: LogicalNode) -> tuple[LogicalNode, Expr]:
        """The sub-query's only value; NULL where it has no row."""
        query = self._query
        if not query.conditions:
            right = query.node
            if not _at_most_one(right):
                right = self._grouped(right, [], [self._single(right)])
            return self._left(node, right, []), self._column(node, right, 0)
        if query.empty is None:
            keys, pairs = self._keys()
            right = self._grouped(query.node, keys, [self._single(query.node)])
            joined = self._left(node, right, self._pairs(pairs, keys, len(node.schema)))
            return joined, self._column(node, right, len(keys))
        default = query.empty[0]
        fields = (*query.node.schema, Field("$m", TRUE.type))
        right = Project(Schema(fields), query.node, (*refs(query.node.schema), TRUE))
        joined = self._left(node, right, [self._joined(c, len(node.schema)) for c in query.conditions])
        value = self._column(node, right, 0)
        if isinstance(default, Literal) and default.value is None:
            return joined, value
        found = self.call("IS TRUE", self._column(node, right, len(fields) - 1))
        return joined, self.call("CASE", found, value, default)

    def _compared(self, node: LogicalNode) -> tuple[LogicalNode, Expr]:
        """The operand compared with the only row of an aggregate of everything."""
        operand, *others = self._sub.operands
        if others:
            self._refuse("IN of rows and a correlated aggregate of everything")
        joined, value = self.value(node)
        return joined, self.call(self._sub.operator, operand, value)

    def exists(self, node: LogicalNode) -> tuple[LogicalNode, Expr]:
        """Whether the sub-query has a row."""
        query = self._query
        if query.empty is not None:  # an aggregate of everything has one always
            return node, TRUE
        keys, pairs = self._keys()
        right = self._counted(query.node) if not keys else self._grouped(query.node, keys, [])
        if not keys:
            joined = self._left(node, right, self._pairs(pairs, keys, len(node.schema)))
            some = self.call(">", self._column(node, right, 0), _long(0))
            return joined, self.call("IS TRUE", some)
        right = _marked(right)
        joined = self._left(node, right, self._pairs(pairs, keys, len(node.schema)))
        return joined, self.call("IS TRUE", self._column(node, right, len(keys)))

    def contains(self, node: LogicalNode) -> tuple[LogicalNode, Expr]:
        """Whether the sub-query holds the operands: TRUE, FALSE, or UNKNOWN where a NULL might be the match."""
        sub, query = self._sub, self._query
        if query.empty is not None:
            return self._compared(node)
        if sub.operator != "=":
            self._refuse(f"{sub.operator} with ANY or ALL outside WHERE")
        width = len(query.node.schema)
        tests = []
        for a, b in zip(sub.operands, refs(query.node.schema), strict=False):
            test = self.call("=", _over(a, width), b)
            assert isinstance(test, Call)
            tests.append((test.args[1], test.args[0]))
        unknown = any(a.type.nullable or b.type.nullable for a, b in tests)
        if unknown and len(tests) > 1:
            self._refuse("IN of rows with NULLs outside WHERE")
        keys, pairs = self._keys()
        values = [*keys, *(a for a, _ in tests)]
        right = _marked(self._grouped(query.node, values, []))
        first = len(node.schema)
        columns = refs(right.schema)
        on = self._pairs(pairs, keys, first)
        on += [
            self.call("=", _under(b, width), self._shifted(columns[len(keys) + i], first))
            for i, (_, b) in enumerate(tests)
        ]
        joined = self._left(node, right, on)
        found = self.call("IS TRUE", self._column(node, right, len(values)))
        if not unknown:
            return joined, found
        return self._or_unknown(joined, found, keys, pairs, tests[0][0])

    def _or_unknown(
        self, node: LogicalNode, found: Expr, keys: list[Expr], pairs: list[Expr], value: Expr
    ) -> tuple[LogicalNode, Expr]:
        counts = [self._count(), self._count(value)]
        right = self._grouped(self._query.node, keys, counts)
        joined = self._left(node, right, self._pairs(pairs, keys, len(node.schema)))
        rows, known = (self._column(node, right, len(keys) + i) for i in range(2))
        none = self.call("IS NOT TRUE", self.call(">", rows, _long(0)))
        missing = self.call("OR", self.call("IS NULL", self._sub.operands[0]), self.call("<", known, rows))
        null = Literal(None, BOOLEAN())
        return joined, self.call("CASE", found, TRUE, none, FALSE, missing, null, FALSE)

    # -- pieces ----------------------------------------------------------------------------------------------------
    def _keys(self) -> tuple[list[Expr], list[Expr]]:
        """The sub-query's sides of its correlated equalities, and all its conditions."""
        keys: list[Expr] = []
        for condition in self._query.conditions:
            sides = equality(condition)
            if sides is None and not is_outer_only(condition):
                self._refuse(f"the condition {condition.text()} outside WHERE")
            if sides is not None and sides[0] not in keys:
                keys.append(sides[0])
        return keys, list(self._query.conditions)

    def _pairs(self, conditions: Sequence[Expr], keys: Sequence[Expr], width: int) -> list[Expr]:
        """The conditions over the outer rows and a right side whose first columns are ``keys``."""
        made = []
        for condition in conditions:
            sides = equality(condition)
            if sides is not None:
                at = keys.index(sides[0])
                column = InputRef(at, f"$k{at}", sides[0].type)
                assert isinstance(condition, Call)
                condition = replace(condition, args=(column, sides[1]))
            made.append(self._joined(condition, width))
        return made

    def _joined(self, e: Expr, width: int) -> Expr:
        """A condition over the outer rows, then the sub-query's."""
        if reads_outer(e) and is_outer_only(e):  # as a whole: it may be a key of GROUP BY
            return self._place(
                transform(e, lambda x: InputRef(x.index, x.name, x.type) if isinstance(x, OuterRef) else x)
            )
        if isinstance(e, InputRef):
            return replace(e, index=e.index + width)
        return e.with_children(tuple(self._joined(c, width) for c in e.children)) if e.children else e

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

    def _single(self, node: LogicalNode) -> AggregateCall:
        function = self._binder.context.functions.aggregate("SINGLE_VALUE")
        assert function is not None
        column = refs(node.schema)[0]
        return AggregateCall(function, (column,), column.type.with_nullable(True))

    def _left(self, node: LogicalNode, right: LogicalNode, on: Sequence[Expr]) -> LogicalNode:
        optional = (replace(f, type=f.type.with_nullable(True)) for f in right.schema)
        schema = untimed(Schema((*node.schema, *optional)))
        return Join(schema, "LEFT", node, right, conjunction(on) if on else None)

    @staticmethod
    def _column(node: LogicalNode, right: LogicalNode, i: int) -> Expr:
        f = right.schema[i]
        return InputRef(len(node.schema) + i, f.name, f.type.with_nullable(True))

    @staticmethod
    def _shifted(column: Expr, width: int) -> Expr:
        assert isinstance(column, InputRef)
        return replace(column, index=column.index + width)

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedError(
            f"{what} is not supported",
            hint="test it in WHERE, or write it as a join",
            position=self._binder.position(self._sub.node),
        )


def _marked(node: LogicalNode) -> LogicalNode:
    """The rows with a column that is TRUE in each."""
    fields = (*node.schema, Field("$m", TRUE.type))
    return Project(Schema(fields), node, (*refs(node.schema), TRUE))


def _over(e: Expr, width: int) -> Expr:
    """An outer expression moved out of the way of a sub-query's columns."""
    if isinstance(e, InputRef):
        return replace(e, index=e.index + width)
    return e.with_children(tuple(_over(c, width) for c in e.children)) if e.children else e


def _under(e: Expr, width: int) -> Expr:
    """The outer expression back where it was."""
    return _over(e, -width)


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


def has_subquery(exprs: Iterable[Expr]) -> bool:
    """Whether some expression holds a sub-query that is not joined yet."""
    return any(isinstance(x, SubqueryRef) for e in exprs for x in walk(e))
