"""Expressions of DEFINE and MEASURES: columns of pattern variables, FIRST and LAST, aggregates over a variable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.datatypes import BIGINT
from streamsql.errors import ValidationError, did_you_mean
from streamsql.schema import PROCTIME, ROWTIME

from .expression_binder import ExpressionBinder
from .expressions import AggregateCall, Call, Cast, Expr, FieldAccess, InputRef, transform, walk
from .logical_match import CURRENT, MatchAggregate, PatternRef
from .scope import Scope, descend

if TYPE_CHECKING:
    from .binder import QueryBinder

RUNNING_AGGREGATES = ("COUNT", "SUM", "MIN", "MAX", "AVG")
"""Aggregates that DEFINE may use: they are kept up to date row by row."""

_REFUSED = {
    "PREV": "LAST(A.x, 1) is the row before the last one of A; LAST(x, 1) that of all variables",
    "NEXT": "define the variable after it instead",
    "CLASSIFIER": "a measure per variable tells, as in COUNT(A.*)",
    "MATCH_NUMBER": "number the result with ROW_NUMBER",
}


class MatchScope:
    """Names inside MATCH_RECOGNIZE: ``column``, ``variable.column``, and deeper into ROW columns."""

    def __init__(self, scope: Scope, variables: Sequence[str], defining: str | None) -> None:
        self._scope = scope
        self._variables = variables
        self._defining = defining

    def resolve(self, parts: Sequence[str], node: object = None) -> Expr | None:
        variable = parts[0] if len(parts) > 1 and parts[0] in self._variables else None
        path = parts[1:] if variable is not None else parts
        names = self._scope.schema.names
        if names.count(path[0]) > 1:
            raise ValidationError(
                f"column '{path[0]}' is ambiguous in MATCH_RECOGNIZE: its input has two of that name",
                hint="name one of them anew in a sub-query",
            )
        if path[0] not in names:
            if len(parts) > 1 and variable is None:
                hint = did_you_mean(parts[0], self._variables) or f"variables: {', '.join(self._variables)}"
                raise ValidationError(f"the pattern has no variable '{parts[0]}'", hint=hint)
            return None
        index = names.index(path[0])
        # what the row being tried is called does not matter: its own variable, or none
        place = CURRENT if self._defining is not None and variable in (None, self._defining) else variable
        column: Expr = PatternRef(place, index, path[0], self._scope.schema[index].type)
        return descend(column, path[1:])

    def suggest(self) -> list[str]:
        return [*self._scope.schema.names, *self._variables]


class MatchExpressions(ExpressionBinder):
    """Binds DEFINE of the variable ``defining``, or MEASURES (``defining`` None; ``time``: the column of ORDER BY).

    ``certain``: variables that have a row whenever the expression is evaluated.
    """

    def __init__(
        self,
        binder: QueryBinder,
        scope: Scope,
        variables: Sequence[str],
        certain: frozenset[str],
        *,
        defining: str | None = None,
        time: int = -1,
    ) -> None:
        super().__init__(MatchScope(scope, variables, defining), binder.context.functions, binder.sql)
        self._columns = scope.schema
        self._variables = variables
        self._certain = certain
        self._defining = defining
        self._time = time

    def bind(self, node: exp.Expr) -> Expr:
        return transform(super().bind(node), self._nullable)

    def _nullable(self, expr: Expr) -> Expr:
        """A row that may be missing makes its column nullable."""
        if not isinstance(expr, PatternRef) or expr.variable == CURRENT:
            return expr
        present = expr.variable is None or expr.variable in self._certain
        return expr if present and not expr.offset else replace(expr, type=expr.type.with_nullable(True))

    def _dispatch(self, node: exp.Expr) -> Expr:
        if not isinstance(node, exp.Anonymous):
            return super()._dispatch(node)
        name = node.name.upper()
        if name in ("FIRST", "LAST"):
            return self._navigation(node, first=name == "FIRST")
        if name in ("MATCH_ROWTIME", "MATCH_PROCTIME"):
            return self._match_time(node, name)
        if name in _REFUSED:
            raise self.unsupported(node, f"{name} is not supported in MATCH_RECOGNIZE", _REFUSED[name])
        if name == "COUNT" and len(node.expressions) == 1 and self._star(node.expressions[0]):
            return self._count_rows(node, node.expressions[0].table)
        return super()._dispatch(node)

    # -- rows of a match -------------------------------------------------------------------------------------------
    def _navigation(self, node: exp.Expr, *, first: bool) -> Expr:
        name = "FIRST" if first else "LAST"
        if not 1 <= len(node.expressions) <= 2:
            raise self.error(node, f"{name} takes a value and perhaps an offset: {name}(A.x, 1)")
        offset = self._offset(node.expressions[1], name) if len(node.expressions) == 2 else 0
        value = self.bind(node.expressions[0])
        refs = [e for e in walk(value) if isinstance(e, PatternRef)]
        nested = any(r.first or r.offset for r in refs) or any(
            isinstance(e, MatchAggregate) for e in walk(value)
        )
        if nested:
            raise self.error(node, f"{name} takes columns of one row, no FIRST, LAST or aggregate inside")
        if not refs:
            raise self.error(node, f"{name} needs a column of a pattern variable, as in {name}(A.x)")
        if len({r.variable for r in refs}) > 1:
            raise self.error(
                node,
                f"{name} reads one row, but its columns are of different variables",
                "use one variable inside",
            )
        variable = refs[0].variable
        if variable == CURRENT:
            if not first and not offset:
                return value
            variable = self._named(node.expressions[0])
        place = replace(refs[0], variable=variable, first=first, offset=offset)

        def moved(e: Expr) -> Expr:
            if not isinstance(e, PatternRef):
                # a missing row makes NULL of what could not be NULL otherwise
                return (
                    replace(e, type=e.type.with_nullable(True))
                    if isinstance(e, Call | Cast | FieldAccess)
                    else e
                )
            column = self._columns[e.index].type
            return replace(place, index=e.index, name=e.name, type=column)

        return transform(value, moved)

    def _named(self, node: exp.Expr) -> str | None:
        """The variable that columns of the row being tried are written with: its own, or none."""
        columns = [node] if isinstance(node, exp.Column) else list(node.find_all(exp.Column))
        qualified = {len(c.parts) > 1 and c.parts[0].name in self._variables for c in columns}
        if len(qualified) > 1:
            raise self.error(node, "FIRST and LAST take columns of one variable", "qualify all of them alike")
        return self._defining if qualified == {True} else None

    def _offset(self, node: exp.Expr, name: str) -> int:
        if not (isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit()):
            raise self.error(node, f"the offset of {name} must be a constant number, 0 or more")
        return int(node.name)

    def _match_time(self, node: exp.Expr, name: str) -> Expr:
        if self._defining is not None:
            raise self.error(
                node, f"{name} stands in MEASURES", f"write the time column of {self._defining} in DEFINE"
            )
        if name == "MATCH_PROCTIME":
            if node.expressions:
                raise self.error(node, "MATCH_PROCTIME takes no argument")
            return self.named("PROCTIME", [], node)
        field = self._columns[self._time]
        if field.time != ROWTIME:
            raise self.error(node, "MATCH_ROWTIME needs an ORDER BY of event time", "use MATCH_PROCTIME()")
        if node.expressions:
            given = self.bind(node.expressions[0])
            if len(node.expressions) > 1 or not isinstance(given, PatternRef) or given.index != self._time:
                raise self.error(
                    node, f"MATCH_ROWTIME takes the rowtime column of ORDER BY: MATCH_ROWTIME({field.name})"
                )
        return PatternRef(None, self._time, field.name, field.type.not_null())

    def time_attribute(self, node: exp.Expr) -> str | None:
        """The kind of time attribute that a measure is."""
        name = node.name.upper() if isinstance(node, exp.Anonymous) else ""
        return {"MATCH_ROWTIME": ROWTIME, "MATCH_PROCTIME": PROCTIME}.get(name)

    # -- aggregates ------------------------------------------------------------------------------------------------
    def _star(self, node: exp.Expr) -> bool:
        if not (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            return False
        if node.table not in self._variables:
            raise self.error(node, f"the pattern has no variable '{node.table}'")
        return True

    def _count_rows(self, node: exp.Expr, variable: str) -> Expr:
        function = self.functions.aggregate("COUNT")
        assert function is not None
        return MatchAggregate(variable, AggregateCall(function, (), BIGINT().not_null()), BIGINT().not_null())

    def on_aggregate(self, call: AggregateCall, node: exp.Expr) -> Expr:
        name = call.function.name
        if call.function.kind == "window":
            raise self.unsupported(
                node, f"{name} is not supported in MATCH_RECOGNIZE", "aggregates and FIRST, LAST are"
            )
        if call.distinct:
            raise self.unsupported(node, f"{name}(DISTINCT …) is not supported in MATCH_RECOGNIZE")
        if call.filter is not None or call.order_by:
            raise self.unsupported(
                node, "FILTER and ORDER BY of an aggregate are not supported in MATCH_RECOGNIZE"
            )
        if self._defining is not None and (name not in RUNNING_AGGREGATES or len(call.args) > 1):
            known = ", ".join(RUNNING_AGGREGATES)
            raise self.unsupported(
                node, f"{name} is not supported in DEFINE", f"{known} of one value are; MEASURES take all"
            )
        refs = [e for x in call.inputs for e in walk(x) if isinstance(e, PatternRef)]
        if any(r.first or r.offset for r in refs):
            raise self.error(node, f"{name} takes columns of its rows, no FIRST or LAST inside")
        written = {self._written(r, node) for r in refs}
        if len(written) > 1:
            raise self.error(
                node,
                f"{name} aggregates the rows of one variable, but its columns are of several",
                "qualify all alike",
            )
        variable = written.pop() if written else None
        present = self._defining is None and (variable is None or variable in self._certain)
        nullable = name != "COUNT" and (call.type.nullable or not present)
        over_input = call.map_inputs(lambda e: transform(e, _as_input))
        return MatchAggregate(variable, over_input, call.type.with_nullable(nullable))

    def _written(self, ref: PatternRef, node: exp.Expr) -> str | None:
        return self._named(node) if ref.variable == CURRENT else ref.variable


def _as_input(expr: Expr) -> Expr:
    return InputRef(expr.index, expr.name, expr.type) if isinstance(expr, PatternRef) else expr
