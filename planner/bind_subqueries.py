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

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from sqlglot import exp

from streamsql.datatypes import BOOLEAN, DataType
from streamsql.errors import UnsupportedError
from streamsql.schema import Schema

from .bind_nodes import refs
from .expression_binder import ExpressionBinder
from .expressions import Expr, input_refs, walk
from .functions import conjunction
from .join_subquery import Subquery, SubqueryJoin
from .lifted import Outer
from .logical import Aggregate, Filter, LogicalNode, Over, Project, Sort, View
from .outer_refs import inward, map_expressions, outer_columns, outer_values, outward, replaced
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


class Subqueries:
    """The sub-queries of one SELECT's expressions; those with equal text are one."""

    def __init__(self, binder: QueryBinder) -> None:
        self._binder = binder
        self._found: list[Subquery] = []

    def reference(self, expressions: ExpressionBinder, node: exp.Expr) -> Expr:
        """A placeholder for the value of the sub-query in ``node``."""
        index = next((i for i, s in enumerate(self._found) if s.node == node), len(self._found))
        if index == len(self._found):
            self._found.append(bind_subquery(self._binder, expressions, node))
        found = self._found[index]
        type_ = found.plan.schema[0].type.with_nullable(True) if found.scalar else BOOLEAN()
        return SubqueryRef(index, type_)

    def place(self, node: LogicalNode, exprs: Sequence[Expr], place: Place) -> tuple[LogicalNode, list[Expr]]:
        """``node`` joined with the sub-queries of ``exprs``, and ``exprs`` over it."""
        base = node
        values: dict[int, Expr] = {}
        for e in exprs:
            for ref in walk(e):
                if isinstance(ref, SubqueryRef) and ref.index not in values:
                    node, values[ref.index] = self._attach(node, base, self._found[ref.index], place)
        return node, [with_subqueries(e, values) for e in exprs]

    def columns_read(self, expr: Expr) -> set[int]:
        """The columns of FROM that an expression and the sub-queries in it read."""
        read = set(input_refs(expr))
        for ref in walk(expr):
            if isinstance(ref, SubqueryRef):
                found = self._found[ref.index]
                read |= outer_columns(found.plan)
                read = read.union(*(self.columns_read(e) for e in found.operands))
        return read

    def _attach(
        self, node: LogicalNode, base: LogicalNode, sub: Subquery, place: Place
    ) -> tuple[LogicalNode, Expr]:
        node, operands = self.place(node, [place(e) for e in sub.operands], place)
        sub = replace(sub, plan=_placed(sub.plan, place), operands=tuple(operands))
        join = self._join(sub, node, base)
        if sub.scalar:
            return join.value(node)
        node, mark = join.exists(node) if not sub.operands else join.contains(node)
        return node, join.call("NOT", mark) if sub.negated else mark

    def matching(self, node: LogicalNode, base: LogicalNode, sub: Subquery) -> LogicalNode:
        """The rows for which the sub-query of a WHERE has a match, or, negated, has none."""
        node, operands = self.place(node, sub.operands, lambda e: e)
        sub = replace(sub, operands=tuple(operands))
        return self._join(sub, node, base).matching(node)

    def _join(self, sub: Subquery, node: LogicalNode, base: LogicalNode) -> SubqueryJoin:
        return SubqueryJoin(
            self._binder, sub, Outer(node, base, lambda what: _refuse(self._binder, sub.node, what))
        )


def with_subqueries(expr: Expr, values: Mapping[int, Expr]) -> Expr:
    """The expression with the values of its sub-queries."""
    if isinstance(expr, SubqueryRef):
        return values[expr.index]
    children = tuple(with_subqueries(c, values) for c in expr.children)
    return expr.with_children(children) if children else expr


def _placed(plan: LogicalNode, place: Place) -> LogicalNode:
    """The sub-query's plan, reading the rows that it is joined to instead of FROM's columns."""

    def moved(e: Expr) -> Expr:
        table = {value: outward(place(inward(value))) for value in outer_values([e])}
        return replaced(e, table) if table else e

    return map_expressions(plan, moved)


def bind_where(binder: QueryBinder, source: LogicalNode, scope: Scope, condition: exp.Expr) -> LogicalNode:
    """The rows of ``source`` that pass WHERE: what needs no sub-query is tested first."""
    subqueries = Subqueries(binder)
    expressions = SubqueryExpressions(binder, scope, subqueries)
    width = len(source.schema)
    plain: list[Expr] = []
    nested: list[Expr] = []
    tested: list[Subquery] = []
    for part in conjuncts(condition):
        if _is_subquery(part):
            tested.append(bind_subquery(binder, expressions, part))
        else:
            bound = binder.boolean(expressions.bind(part), part, "WHERE")
            (nested if has_subquery([bound]) else plain).append(bound)
    if plain:
        source = Filter(source.schema, source, conjunction(plain))
    base = source
    for sub in tested:
        source = subqueries.matching(source, base, sub)
    if nested:
        source, nested = subqueries.place(source, nested, lambda e: e)
        source = Filter(source.schema, source, conjunction(nested))
    return first_columns(source, width)


def first_columns(node: LogicalNode, width: int) -> LogicalNode:
    """The rows without the columns that sub-queries added."""
    if len(node.schema) == width:
        return node
    return Project(Schema(node.schema.fields[:width]), node, refs(node.schema)[:width])


class SubqueryExpressions(ExpressionBinder):
    """Expressions of a clause in which sub-queries may stand."""

    def __init__(self, binder: QueryBinder, scope: Scope, subqueries: Subqueries) -> None:
        super().__init__(scope, binder.context.functions, binder.sql)
        self._subqueries = subqueries

    def on_subquery(self, node: exp.Expr, kind: str) -> Expr:
        return self._subqueries.reference(self, node)


def bind_subquery(binder: QueryBinder, expressions: ExpressionBinder, node: exp.Expr) -> Subquery:
    """The sub-query of an IN, EXISTS, comparison with ANY or ALL, or a value; NOTs around it are taken in."""
    written = node
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
    if isinstance(tested, exp.Tuple) and not tests:
        raise binder.error(node, "() has no value to compare with a sub-query")
    operands = tuple(expressions.bind(e) for e in tests)
    if len(operands) > 1 and operator != "=":
        raise UnsupportedError("rows are compared with a sub-query by = only", position=binder.position(node))
    assert isinstance(expressions.scope, Scope)
    plan = binder.nested(expressions.scope).bind(query.this if isinstance(query, exp.Subquery) else query)
    scalar = not isinstance(node, exp.Exists) and not operands
    wanted = len(operands) if operands else 1
    if not isinstance(node, exp.Exists) and len(plan.schema) != wanted:
        raise binder.error(node, f"the sub-query yields {len(plan.schema)} columns, expected {wanted}")
    if isinstance(node, exp.Exists):
        plan = _any_columns(plan)
    return Subquery(written, node, plan, operands, operator, negated, scalar)


def _refuse(binder: QueryBinder, node: exp.Expr, what: str) -> NoReturn:
    raise UnsupportedError(
        f"{what} is not supported in a sub-query that reads columns of the query around it",
        hint="write it as a join, or put it into a sub-query of its own that does not",
        position=binder.position(node),
    )


def _any_columns(plan: LogicalNode) -> LogicalNode:
    """The plan without what only changes columns or repeats rows: enough to see whether there are any."""
    while True:
        match plan:
            case Project() | View() | Over():
                plan = plan.input
            case Sort() if plan.limit != 0 and not plan.offset:
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


def has_subquery(exprs: Iterable[Expr]) -> bool:
    """Whether some expression holds a sub-query that is not joined yet."""
    return any(isinstance(x, SubqueryRef) for e in exprs for x in walk(e))
