"""MATCH_RECOGNIZE: its clauses checked, its expressions bound over pattern variables.

Flink's limits hold where they guard against surprises (no empty match, no greedy end); groups, alternatives, ``A??``
and variables that occur twice work, which Flink refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.datatypes import Root
from streamsql.errors import UnsupportedError, ValidationError, did_you_mean
from streamsql.schema import PROCTIME, ROWTIME, Field, Schema

from . import row_pattern
from .bind_match_expressions import MatchExpressions
from .bind_windows import milliseconds
from .dialect import nodes
from .expressions import Expr, SortKey, input_refs
from .logical import LogicalNode
from .logical_match import AfterMatch, MatchRecognize
from .scope import Scope

if TYPE_CHECKING:
    from .binder import QueryBinder

PATTERN_MAX = 1_000
"""Variables of a pattern with its repetitions written out: the matcher's program is as long, and quadratic at worst."""


def bind_match(
    binder: QueryBinder, match: exp.MatchRecognize, source: LogicalNode, scope: Scope
) -> LogicalNode:
    """The matches of ``match`` over ``source``. Raises UnsupportedError for what is refused by name."""
    _check_rows(binder, match)
    pattern = _pattern(binder, match.args["pattern"].this)
    _check_pattern(binder, match, pattern)
    partition = tuple(_column(binder, scope, e, "PARTITION BY") for e in match.args.get("partition_by") or [])
    time, order = _order(binder, match, scope)
    names = row_pattern.variables(pattern)
    define = _define(binder, match, scope, names)
    measures, fields = _measures(binder, match, scope, pattern, time)
    within = match.args["pattern"].args.get("within")
    columns = [replace(scope.schema[i], time=None) for i in partition]
    _check_names(binder, match, [*columns, *fields])
    return MatchRecognize(
        Schema((*columns, *fields)),
        source,
        partition,
        time,
        scope.schema[time].time == PROCTIME,
        order,
        measures,
        pattern,
        _after(binder, match, pattern),
        define,
        None if within is None else milliseconds(binder, within, "WITHIN"),
    )


def _check_rows(binder: QueryBinder, match: exp.MatchRecognize) -> None:
    rows = match.args.get("rows")
    if rows is not None and rows.name.startswith("ALL"):
        raise UnsupportedError(
            "ALL ROWS PER MATCH is not supported",
            hint="write ONE ROW PER MATCH; ARRAY_AGG(A.x) in MEASURES gives the rows' values",
            position=binder.position(rows) or binder.position(match),
        )


# -- the pattern ---------------------------------------------------------------------------------------------------


def _pattern(binder: QueryBinder, node: exp.Expr) -> row_pattern.Pattern:
    match node:
        case nodes.PatternVariable():
            return row_pattern.Variable(node.this.name)
        case nodes.PatternGroup():
            return _pattern(binder, node.this)
        case nodes.PatternSequence():
            return row_pattern.Sequence(tuple(_pattern(binder, e) for e in node.expressions))
        case nodes.PatternAlternation():
            return row_pattern.Alternation(tuple(_pattern(binder, e) for e in node.expressions))
        case nodes.PatternRepeat():
            return _repeat(binder, node)
        case _:
            raise UnsupportedError(f"{node.key} is not supported in PATTERN", position=binder.position(node))


def _repeat(binder: QueryBinder, node: nodes.PatternRepeat) -> row_pattern.Pattern:
    minimum, maximum = node.args["minimum"], node.args.get("maximum")
    low, high = int(minimum.name), None if maximum is None else int(maximum.name)
    if high is not None and (high < low or high == 0):
        raise binder.error(
            node, f"the quantifier {{{low},{high}}} allows no row", "write {n,m} with 0 < m and n <= m"
        )
    return row_pattern.Repeat(_pattern(binder, node.this), low, high, bool(node.args.get("reluctant")))


def _check_pattern(binder: QueryBinder, match: exp.MatchRecognize, pattern: row_pattern.Pattern) -> None:
    where = match.args["pattern"]
    if row_pattern.size(pattern) > PATTERN_MAX:
        raise UnsupportedError(
            f"the pattern has more than {PATTERN_MAX} variables once its repetitions are written out",
            hint="use * or + and count the rows in DEFINE, as in COUNT(A.*) <= 5000",
            position=binder.position(where),
        )
    if row_pattern.shortest(pattern) == 0:
        raise UnsupportedError(
            "the pattern can match no row at all, which is not supported",
            hint="at least one variable must be certain to have a row: write A+ instead of A*",
            position=binder.position(where),
        )
    greedy = row_pattern.open_ended(pattern)
    if greedy is not None:
        raise UnsupportedError(
            f"a greedy quantifier at the end of the pattern ({row_pattern.text(greedy)}) is not supported: "
            "no row would show that the match is over",
            hint="make it reluctant, as in A+?, or end with a variable defined as the opposite",
            position=binder.position(where),
        )


def _after(binder: QueryBinder, match: exp.MatchRecognize, pattern: row_pattern.Pattern) -> AfterMatch:
    after = match.args.get("after")
    text = "TO NEXT ROW" if after is None else after.name.removeprefix("AFTER MATCH SKIP ")
    if text in ("TO NEXT ROW", "PAST LAST ROW"):
        return AfterMatch(text)
    _, place, variable = text.split(" ", 2)
    position = binder.position(after) or binder.position(match)
    names = row_pattern.variables(pattern)
    if variable not in names:
        hint = did_you_mean(variable, names) or f"variables: {', '.join(names)}"
        raise ValidationError(
            f"AFTER MATCH SKIP: the pattern has no variable '{variable}'", hint=hint, position=position
        )
    if place == "FIRST" and row_pattern.first_variable(pattern) == variable:
        raise ValidationError(
            f"AFTER MATCH SKIP TO FIRST {variable} would find the same match again without end",
            hint=f"every match begins with {variable}: write SKIP TO NEXT ROW or SKIP PAST LAST ROW",
            position=position,
        )
    return AfterMatch(f"TO {place}", variable)


# -- partition and order -------------------------------------------------------------------------------------------


def _column(binder: QueryBinder, scope: Scope, node: exp.Expr, clause: str) -> int:
    expr = binder.expressions(scope).bind(node)
    found = input_refs(expr)
    if len(found) != 1 or expr.children:
        raise binder.error(node, f"{clause} of MATCH_RECOGNIZE takes columns", "compute it in a sub-query")
    return found.pop()


def _order(binder: QueryBinder, match: exp.MatchRecognize, scope: Scope) -> tuple[int, tuple[SortKey, ...]]:
    order = match.args.get("order")
    times = [f.name for f in scope.schema if f.time in (ROWTIME, PROCTIME)]
    example = f"write ORDER BY {times[0]}" if times else "declare a WATERMARK, or a column AS PROCTIME()"
    if order is None:
        raise binder.error(
            match, "MATCH_RECOGNIZE needs an ORDER BY that begins with a time attribute", example
        )
    first, *rest = order.expressions
    keys = [_sort_key(binder, scope, item) for item in rest]
    expr = binder.expressions(scope).bind(first.this)
    columns = input_refs(expr)
    column = next(iter(columns), -1)
    if len(columns) != 1 or expr.children or scope.schema[column].time not in (ROWTIME, PROCTIME):
        raise binder.error(
            first,
            "the first item of ORDER BY in MATCH_RECOGNIZE must be a time attribute (rowtime or proctime)",
            example,
        )
    if first.args.get("desc"):
        raise binder.error(first, "time must be ascending in ORDER BY of MATCH_RECOGNIZE", "leave DESC out")
    return column, tuple(keys)


def _sort_key(binder: QueryBinder, scope: Scope, item: exp.Expr) -> SortKey:
    key = SortKey(binder.expressions(scope).bind(item.this), bool(item.args.get("desc")))
    nulls = item.args.get("nulls_first")
    return key if nulls in (None, key.effective_nulls_first) else replace(key, nulls_first=nulls)


# -- DEFINE and MEASURES -------------------------------------------------------------------------------------------


def _define(
    binder: QueryBinder, match: exp.MatchRecognize, scope: Scope, names: Sequence[str]
) -> tuple[tuple[str, Expr], ...]:
    found: dict[str, Expr] = {}
    for item in match.args.get("define") or []:
        name = item.alias
        if name not in names:
            hint = did_you_mean(name, names) or f"variables of the pattern: {', '.join(names)}"
            raise binder.error(item, f"DEFINE {name}: the pattern has no such variable", hint)
        if name in found:
            raise binder.error(item, f"variable '{name}' is defined twice", "join the conditions with AND")
        expressions = MatchExpressions(binder, scope, names, frozenset({name}), defining=name)
        condition = expressions.bind(item.this)
        if condition.type.root not in (Root.BOOLEAN, Root.NULL):
            raise binder.error(
                item.this, f"DEFINE {name} needs a condition (BOOLEAN), found {condition.type}"
            )
        found[name] = binder.boolean(condition, item.this, "DEFINE")
    return tuple(found.items())


def _measures(
    binder: QueryBinder, match: exp.MatchRecognize, scope: Scope, pattern: row_pattern.Pattern, time: int
) -> tuple[tuple[Expr, ...], list[Field]]:
    certain = row_pattern.certain(pattern)
    expressions = MatchExpressions(binder, scope, row_pattern.variables(pattern), certain, time=time)
    exprs: list[Expr] = []
    fields: list[Field] = []
    for item in match.args.get("measures") or []:
        if item.args.get("window_frame") == "RUNNING":
            raise UnsupportedError(
                "RUNNING in MEASURES is not supported",
                hint="with ONE ROW PER MATCH measures are FINAL: leave RUNNING out",
                position=binder.position(item),
            )
        named = item.this
        expr = expressions.bind(named.this)
        exprs.append(expr)
        fields.append(Field(named.alias, expr.type, expressions.time_attribute(named.this)))
    return tuple(exprs), fields


def _check_names(binder: QueryBinder, match: exp.MatchRecognize, fields: Sequence[Field]) -> None:
    if not fields:
        raise binder.error(
            match, "MATCH_RECOGNIZE yields no column", "add MEASURES, as in MEASURES LAST(A.x) AS x"
        )
    names = [f.name for f in fields]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        measures = match.args.get("measures") or []
        item = next((m for m in reversed(measures) if m.this.alias == twice), match)
        raise binder.error(item, f"MATCH_RECOGNIZE yields two columns named '{twice}'", "rename the measure")
