"""GROUP BY, aggregates and OVER of one SELECT.

Expressions are bound over FROM's columns first, with placeholders where an aggregate or window function stood;
``finish`` then builds the Aggregate (or Over) node and rewrites the expressions over its output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.datatypes import DataType
from streamsql.errors import Position, ValidationError
from streamsql.schema import Field, Schema

from .bind_group_window import PART_FUNCTIONS, GroupWindow, is_group_window, place
from .bind_grouping_sets import (
    SET_COLUMN,
    SET_FUNCTIONS,
    GroupingRef,
    SetGroups,
    bind_set_function,
    grouping_sets,
)
from .bind_nodes import project
from .bind_subqueries import Subqueries, SubqueryExpressions, has_subquery
from .expression_binder import ExpressionBinder
from .expressions import AggregateCall, Expr, InputRef, SortKey, is_constant, sql_text
from .functions import FunctionRegistry
from .logical import Aggregate, LogicalNode, Over, OverCall
from .scope import Scope
from .typing import interval_ms
from .windows import window_columns

if TYPE_CHECKING:
    from .binder import QueryBinder


@dataclass(frozen=True)
class AggregateRef(Expr):
    """Stands for the value of aggregate number ``index`` until the Aggregate node exists."""

    index: int
    type: DataType
    label: str

    def text(self) -> str:
        return self.label


@dataclass(frozen=True)
class OverRef(Expr):
    """Stands for the value of window function number ``index`` until the Over node exists."""

    index: int
    type: DataType
    label: str

    def text(self) -> str:
        return self.label


def has_aggregate(node: exp.Expr, functions: FunctionRegistry) -> bool:
    """Whether an aggregate function is called in ``node``, outside OVER and sub-queries."""
    if isinstance(node, exp.Query | exp.Subquery):
        return False
    if isinstance(node, exp.Window):
        inner: list[exp.Expr] = [c for c in node.iter_expressions() if c is not node.this]
        called = node.this
        while isinstance(called, exp.Filter | exp.IgnoreNulls | exp.RespectNulls):
            inner += [c for c in called.iter_expressions() if c is not called.this]
            called = called.this
        inner += list(called.iter_expressions())
        return any(has_aggregate(c, functions) for c in inner)
    if functions.is_aggregate_node(node):
        return True
    return any(has_aggregate(c, functions) for c in node.iter_expressions())


def has_over(node: exp.Expr) -> bool:
    """Whether a window function is called in ``node``, outside sub-queries."""
    if isinstance(node, exp.Query | exp.Subquery):
        return False
    return isinstance(node, exp.Window) or any(has_over(c) for c in node.iter_expressions())


class GroupBinder:
    """The groups of one SELECT: collects its aggregates, then builds the Aggregate node."""

    def __init__(
        self,
        binder: QueryBinder,
        select: exp.Select,
        source: LogicalNode,
        scope: Scope,
        subqueries: Subqueries,
    ) -> None:
        self.binder = binder
        self.select = select
        self.source = source
        self.names: dict[int, str] = {}
        self.keys: list[Expr] = []
        self.calls: list[AggregateCall] = []
        self.window: GroupWindow | None = None
        self.subqueries = subqueries
        group = select.args.get("group")
        plain = SubqueryExpressions(binder, scope, subqueries)
        items = group.expressions if group is not None else []
        self._sets = grouping_sets(binder, items, lambda item: self._positions(self._key(plain, item)))

    def _positions(self, keys: list[Expr]) -> list[int]:
        """Where the keys stand among all of them; new ones go to the end."""
        self.keys += [k for n, k in enumerate(keys) if k not in self.keys and k not in keys[:n]]
        return [self.keys.index(k) for k in keys]

    def _key(self, plain: ExpressionBinder, item: exp.Expr) -> list[Expr]:
        if isinstance(item, exp.Anonymous) and is_group_window(item):
            if self.window is not None:
                raise self.binder.error(item, "GROUP BY takes one window")
            self.window = GroupWindow(self.binder, plain, self.source, item)
            return [self.window.column(0), self.window.column(1)]
        if isinstance(item, exp.Tuple):
            return [k for inner in item.expressions for k in self._key(plain, inner)]
        if isinstance(item, exp.Paren) and isinstance(item.this, exp.Tuple):
            return self._key(plain, item.this)
        if isinstance(item, exp.Literal) and not item.is_string:
            raise self.binder.error(
                item, f"GROUP BY {item.name} groups by a constant", "write the column's name"
            )
        return [plain.bind(item)]

    def special(self, plain: ExpressionBinder, node: exp.Anonymous) -> Expr | None:
        """GROUPING(a), TUMBLE_START(ts, …) and their like; None for all other calls."""
        name = node.name.upper()
        if name in SET_FUNCTIONS:
            return bind_set_function(plain, node, self.keys)
        if self.window is None or name not in PART_FUNCTIONS:
            return None
        column = self.window.column(self.window.part(plain, node))
        if column not in self.keys:  # the time of a window is grouped by where it is selected
            self.keys.append(column)
            start, time = self.keys.index(self.window.column(0)), len(self.keys) - 1
            self._sets = [s | {time} if start in s else s for s in self._sets]
        return column

    def collect(self, call: AggregateCall, node: exp.Expr) -> Expr:
        """A placeholder for an aggregate; equal calls are computed once."""
        if call.function.kind == "window":
            raise self.binder.error(node, f"{call.function.name} needs an OVER clause")
        if call not in self.calls:
            self.calls.append(call)
        i = self.calls.index(call)
        return AggregateRef(i, self._type(call), sql_text(call))

    def _type(self, call: AggregateCall) -> DataType:
        """Over everything there may be no row, and then only COUNT has a value."""
        whole = frozenset[int]() in self._sets and call.function.name != "COUNT"
        return call.type.with_nullable(call.type.nullable or whole)

    def build(self) -> LogicalNode:
        """Aggregate over a projection of the keys and the aggregates' arguments."""
        source, keys, calls = self._with_subqueries()
        if self.window is not None:
            windowed = self.window.windowed(keys)
            width = len(windowed.input.schema)
            source, keys = windowed, [place(k, width) for k in keys]
            calls = [c.map_inputs(lambda e: place(e, width)) for c in calls]
        groups = SetGroups(self._sets, len(keys)) if len(self._sets) > 1 else None
        exprs: list[Expr] = []
        names: list[str] = []

        def column(e: Expr, prefer: str, first: int = 0) -> Expr:
            if e not in exprs[first:]:
                exprs.append(e)
                base = e.name if isinstance(e, InputRef) else prefer
                names.append(base if base not in names else f"{base}${len(names)}")
            i = exprs.index(e, first)
            return InputRef(i, names[i], e.type)

        key_refs = [column(k, f"$g{i}") for i, k in enumerate(keys)]
        key_columns = [k.index for k in key_refs if isinstance(k, InputRef)]
        # a grouping set makes keys NULL, so arguments are columns of their own
        first = len(exprs) if groups is not None else 0
        calls = [
            c.map_inputs(lambda e: e if is_constant(e) else column(e, f"$f{len(names)}", first))
            for c in calls
        ]
        base = project(source, exprs, names) if exprs else source
        fields = self._call_fields({base.schema[k].name for k in key_columns} | {SET_COLUMN})
        if groups is not None:
            return groups.build(base, key_columns, calls, fields)
        windows = window_columns(base)
        roles = {windows[k].role for k in key_columns if k in windows}
        key_fields = []
        for k in key_columns:
            keeps_time = {"start", "end"} <= roles and k in windows and windows[k].role == "time"
            key_fields.append(replace(base.schema[k], time=base.schema[k].time if keeps_time else None))
        return Aggregate(
            Schema((*key_fields, *fields)),
            base,
            tuple(key_columns),
            tuple(calls),
            position=self.binder.position(self.select.args.get("group")),
        )

    def _with_subqueries(self) -> tuple[LogicalNode, list[Expr], list[AggregateCall]]:
        """The source joined with the sub-queries of keys and aggregates, and both over it."""
        found = [*self.keys, *(e for c in self.calls for e in c.inputs)]
        if not has_subquery(found):
            return self.source, self.keys, self.calls
        if self.window is not None:
            raise self.binder.unsupported(
                self.select,
                "a sub-query in GROUP BY or inside an aggregate of a group window",
                "compute it in a query over the window's rows",
            )
        source, filled = self.subqueries.place(self.source, found, lambda e: e)
        table = dict(zip(found, filled, strict=True))
        return source, filled[: len(self.keys)], [c.map_inputs(lambda e: table[e]) for c in self.calls]

    def _call_fields(self, taken: set[str]) -> list[Field]:
        fields = []
        for i, c in enumerate(self.calls):
            name = self.names.get(i, f"EXPR${i}")
            name = name if name not in taken else f"{name}${i}"
            taken.add(name)
            fields.append(Field(name, self._type(c)))
        return fields

    def rewrite(self, expr: Expr) -> Expr:
        """``expr`` over the Aggregate's output. Raises ValidationError for a column that is not grouped by."""
        if expr in self.keys:
            return InputRef(self.keys.index(expr), expr.text(), expr.type)
        if isinstance(expr, AggregateRef):
            first = len(self.keys) + (len(self._sets) > 1)
            return InputRef(first + expr.index, self.names.get(expr.index, f"EXPR${expr.index}"), expr.type)
        if isinstance(expr, GroupingRef):
            return SetGroups(self._sets, len(self.keys)).value(expr, self.binder.context.functions)
        if isinstance(expr, OverRef):
            return expr
        if isinstance(expr, InputRef):
            where = next((c for c in self.select.find_all(exp.Column) if c.name == expr.name), None)
            raise self.binder.error(
                where,
                f"column '{expr.name}' is neither in GROUP BY nor inside an aggregate",
                f"add {expr.name} to GROUP BY, or aggregate it, as in MAX({expr.name})",
            )
        children = expr.children
        return expr.with_children(tuple(self.rewrite(c) for c in children)) if children else expr

    def finish(
        self,
        names: list[str],
        exprs: list[Expr],
        conditions: list[Expr],
        late: list[Expr],
        order: list[SortKey],
    ) -> tuple[LogicalNode, tuple[list[Expr], list[Expr], list[Expr], list[SortKey]]]:
        """The Aggregate node and everything above rewritten over it; aggregates take the names of the select list."""
        for name, e in zip(names, exprs, strict=True):
            if isinstance(e, AggregateRef):
                self.names.setdefault(e.index, name)
        node = self.build()
        return node, (
            [self.rewrite(e) for e in exprs],
            [self.rewrite(e) for e in conditions],
            [self.rewrite(e) for e in late],
            [replace(k, expr=self.rewrite(k.expr)) for k in order],
        )


class OverBinder:
    """Binds the expressions of one SELECT, aggregates and window functions included."""

    def __init__(
        self,
        binder: QueryBinder,
        select: exp.Select,
        scope: Scope,
        grouped: GroupBinder | None,
        subqueries: Subqueries,
    ) -> None:
        self.binder = binder
        self.grouped = grouped
        self.calls: list[OverCall] = []
        self._position: Position | None = None
        self.windows = {w.name: w for w in select.args.get("windows") or []}
        self.subqueries = subqueries
        self._expressions = _SelectExpressions(self, scope)

    def bind(self, node: exp.Expr) -> Expr:
        try:
            return self._expressions.bind(node)
        except ValidationError as e:
            if e.position is None:
                e.position = self.binder.position(node)
            raise

    def collect(self, node: exp.Window) -> Expr:
        """A placeholder for a window function."""
        call = self._expressions.bind_aggregate(node.this)
        spec = node
        name = node.args.get("alias")
        if name is not None:
            if name.name not in self.windows:
                raise self.binder.error(
                    node, f"window '{name.name}' is not defined", "add WINDOW " + name.name + " AS (…)"
                )
            spec = self.windows[name.name]
        partition = tuple(self._expressions.bind(e) for e in spec.args.get("partition_by") or [])
        order_node = spec.args.get("order")
        order = tuple(
            SortKey(self._expressions.bind(o.this), bool(o.args.get("desc")), o.args.get("nulls_first"))
            for o in (order_node.expressions if order_node is not None else [])
        )
        over = OverCall(call, partition, order, self._frame(spec))
        self._position = self._position or self.binder.position(node)
        if over not in self.calls:
            self.calls.append(over)
        i = self.calls.index(over)
        return OverRef(i, call.type, over.text())

    def _frame(self, spec: exp.Expr) -> str:
        frame = spec.args.get("spec")
        if frame is None:
            return ""
        args = frame.args

        def bound(value: object, side: object) -> str:
            if isinstance(value, exp.Interval):
                text = f"INTERVAL {interval_ms(value)} MILLISECOND"
            else:
                text = value.sql(dialect="flink") if isinstance(value, exp.Expr) else str(value)
            return f"{text} {side}" if side else text

        start = bound(args.get("start"), args.get("start_side"))
        end = bound(args.get("end") or "CURRENT ROW", args.get("end_side"))
        return f"{args.get('kind')} BETWEEN {start} AND {end}"

    def finish(
        self, node: LogicalNode, exprs: list[Expr], late: list[Expr], order: list[SortKey]
    ) -> tuple[LogicalNode, list[Expr], list[Expr], list[SortKey]]:
        """The Over node (if any) and everything above rewritten over it, joined with its sub-queries."""
        rewrite = self.grouped.rewrite if self.grouped is not None else (lambda e: e)
        if not self.calls:
            return self._with_subqueries(node, exprs, late, order, rewrite)
        calls = [c.map_inputs(rewrite) for c in self.calls]
        found = [e for c in calls for e in c.inputs]
        node, filled = self.subqueries.place(node, found, rewrite)
        table = dict(zip(found, filled, strict=True))
        calls = [c.map_inputs(lambda e: table[e]) for c in calls]
        width = len(node.schema)
        fields = [*node.schema, *(Field(f"$over{i}", c.call.type) for i, c in enumerate(calls))]
        made = Over(Schema(tuple(fields)), node, tuple(calls), position=self._position)

        def place(e: Expr) -> Expr:
            if isinstance(e, OverRef):
                return InputRef(width + e.index, f"$over{e.index}", e.type)
            return e.with_children(tuple(place(c) for c in e.children)) if e.children else e

        order = [replace(k, expr=place(k.expr)) for k in order]
        exprs, late = [place(e) for e in exprs], [place(e) for e in late]
        return self._with_subqueries(made, exprs, late, order, lambda e: place(rewrite(e)))

    def _with_subqueries(
        self,
        node: LogicalNode,
        exprs: list[Expr],
        late: list[Expr],
        order: list[SortKey],
        place: Callable[[Expr], Expr],
    ) -> tuple[LogicalNode, list[Expr], list[Expr], list[SortKey]]:
        node, filled = self.subqueries.place(node, [*exprs, *late, *(k.expr for k in order)], place)
        first, last = len(exprs), len(exprs) + len(late)
        order = [replace(k, expr=e) for k, e in zip(order, filled[last:], strict=True)]
        return node, filled[:first], filled[first:last], order


class _SelectExpressions(ExpressionBinder):
    """Expressions of a select list, HAVING, QUALIFY and ORDER BY."""

    def __init__(self, owner: OverBinder, scope: Scope) -> None:
        super().__init__(scope, owner.binder.context.functions, owner.binder.sql)
        self._owner = owner

    def on_aggregate(self, call: AggregateCall, node: exp.Expr) -> Expr:
        if self._owner.grouped is None:
            return super().on_aggregate(call, node)
        return self._owner.grouped.collect(call, node)

    def on_call(self, node: exp.Anonymous) -> Expr | None:
        return None if self._owner.grouped is None else self._owner.grouped.special(self, node)

    def on_subquery(self, node: exp.Expr, kind: str) -> Expr:
        return self._owner.subqueries.reference(self, node)

    def on_over(self, node: exp.Expr) -> Expr:
        assert isinstance(node, exp.Window)
        return self._owner.collect(node)
