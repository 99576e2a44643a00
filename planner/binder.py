"""Syntax tree of a query to logical plan: names, scopes, groups. All user-facing errors of a query come from here.

``QueryBinder.bind`` is the entry. FROM is in ``bind_from.py``, GROUP BY in ``bind_groups.py``, tables in
``bind_table.py``. sqlglot's objects stop here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from streamsql.catalog.catalog import CatalogManager
from streamsql.catalog.table import ObjectPath, TableDefinition, ViewDefinition
from streamsql.datatypes import DataType, Root, common_type
from streamsql.errors import Position, StreamSqlError, UnsupportedError, ValidationError
from streamsql.schema import Field, Schema

from .bind_from import bind_from
from .bind_grouping_sets import has_sets, optional_scope
from .bind_groups import GroupBinder, OverBinder, has_aggregate
from .bind_hints import SelectHints
from .bind_nodes import cast_to, one_row, project, refs, untimed
from .bind_subqueries import Subqueries, SubqueryExpressions, bind_where, first_columns
from .bind_table import bind_table
from .bind_values import bind_values
from .expression_binder import ExpressionBinder
from .expressions import Cast, Expr, InputRef, SortKey
from .functions import FunctionRegistry
from .logical import (
    Aggregate,
    Filter,
    Join,
    LogicalNode,
    Over,
    Project,
    SetOperation,
    Sort,
    Union,
    View,
)
from .outer_refs import raised
from .parsing import parse_expression, parse_one
from .rules.push_filters import timed
from .scope import Scope

TableFunction = Callable[[Sequence[str]], TableDefinition]

VIEW_DEPTH_MAX = 64
"""Views in views at most: deeper is a view that reads itself."""


@dataclass(frozen=True)
class BindContext:
    """What binding reads: the catalog, the functions, the session's zone, WITH queries in sight.

    ``table_functions``: those of constant texts that yield a table, by name in capitals.
    """

    catalog: CatalogManager
    functions: FunctionRegistry
    time_zone: str = "UTC"
    ctes: dict[str, WithQuery] = field(default_factory=dict[str, "WithQuery"])
    depth: int = 0
    current: tuple[str, str] | None = None
    dynamic_options: bool = True
    table_functions: Mapping[str, TableFunction] = field(default_factory=dict[str, TableFunction])

    def resolve(self, parts: Sequence[str]) -> ObjectPath:
        """The full path of a name, in the session's catalog and database or those of the view being read."""
        if self.current is None or len(parts) == 3:
            return self.catalog.resolve(parts)
        catalog, database = self.current
        return (
            ObjectPath(catalog, database, parts[0])
            if len(parts) == 1
            else self.catalog.resolve([catalog, *parts])
        )


@dataclass(frozen=True)
class WithQuery:
    """A query of WITH: what it sees, and the names of the query around the one that begins with WITH."""

    syntax: exp.CTE
    context: BindContext
    outer: Scope | None


class QueryBinder:
    """Binds queries of one SQL text; ``sql`` is that text, for positions."""

    def __init__(self, context: BindContext, sql: str, outer: Scope | None = None) -> None:
        """``outer``: names of the query around this one, for a sub-query."""
        self.context = context
        self.sql = sql
        self.outer = outer

    def nested(self, scope: Scope) -> QueryBinder:
        """The binder of a sub-query in an expression over ``scope``."""
        return QueryBinder(self.context, self.sql, scope)

    def visible(self, scope: Scope) -> Scope:
        """The scope with the names of the queries around this one."""
        return replace(scope, outer=self.outer)

    # -- entry -----------------------------------------------------------------------------------------------------
    def bind(self, query: exp.Expr) -> LogicalNode:
        """The plan of a SELECT, set operation, VALUES or WITH query."""
        ctes = query.args.get("with_")
        if ctes is not None:
            return self._with(query, ctes)
        match query:
            case exp.Select():
                return self._select(query)
            case exp.Union() | exp.Except() | exp.Intersect():
                return self._order(query, self._set_operation(query))
            case exp.Values():
                return self._order(query, bind_values(self, query))
            case exp.Subquery():
                return self._order(query, self.bind(query.this))
            case _:
                raise self.error(query, f"expected a query, found {query.sql(dialect='flink')[:60]}")

    def _with(self, query: exp.Expr, with_: exp.Expr) -> LogicalNode:
        if with_.args.get("recursive"):
            raise UnsupportedError(
                "WITH RECURSIVE is not supported", hint="Flink does not support it in streaming either"
            )
        context = self.context
        for cte in with_.expressions:
            context = replace(context, ctes={**context.ctes, cte.alias: WithQuery(cte, context, self.outer)})
        bare = query.copy()
        bare.set("with_", None)
        return QueryBinder(context, self.sql, self.outer).bind(bare)

    # -- names of tables -------------------------------------------------------------------------------------------
    def relation(self, name: exp.Table, options: dict[str, str]) -> tuple[LogicalNode, tuple[str, ...]]:
        """The rows of a named table, view or WITH query, and the full parts of its name."""
        parts = [p.name for p in name.parts]
        if len(parts) == 1 and parts[0] in self.context.ctes:
            if options:
                raise self.error(
                    name, f"'{parts[0]}' of WITH takes no OPTIONS hint; put it on the table inside"
                )
            return self._with_query(self.context.ctes[parts[0]]), (parts[0],)
        path = self.context.resolve(parts)
        found = self.context.catalog.require(path, position=self.position(name))
        if isinstance(found, ViewDefinition):
            if options:
                raise self.error(
                    name, f"view {path} takes no OPTIONS hint; put it on the table inside the view"
                )
            return self.view(found), (path.catalog, path.database, path.name)
        try:
            node = bind_table(found, self.bind_text, options)
        except StreamSqlError as e:
            if e.position is None:
                e.position = self.position(name)
            raise
        return node, (path.catalog, path.database, path.name)

    def _with_query(self, found: WithQuery) -> LogicalNode:
        node = QueryBinder(found.context, self.sql, found.outer).bind(found.syntax.this)
        scope = self.outer
        while scope is not None and scope is not found.outer:  # it is read in a query further in
            node, scope = raised(node), scope.outer
        return self.rename(node, [c.name for c in found.syntax.args["alias"].columns], found.syntax)

    def view(self, view: ViewDefinition) -> LogicalNode:
        """The rows of a view, bound where it was created."""
        if self.context.depth > VIEW_DEPTH_MAX:
            raise ValidationError(f"view {view.path} reads itself")
        current = (view.current_catalog, view.current_database) if view.current_catalog else None
        context = replace(self.context, ctes={}, depth=self.context.depth + 1, current=current)
        binder = QueryBinder(context, view.query)
        try:
            node = binder.bind(parse_one(view.query))
        except StreamSqlError as e:
            raise type(e)(f"in view {view.path}: {e.message}", hint=e.hint, position=e.position) from None
        if view.columns:
            node = binder.rename(node, list(view.columns), None)
        return View(node.schema, node, view.path.name) if _is_stateful(node) else node

    def rename(self, node: LogicalNode, names: Sequence[str], where: exp.Expr | None) -> LogicalNode:
        """The same rows with other column names."""
        if not names:
            return node
        if len(names) != len(node.schema):
            raise self.error(
                where,
                f"the column list has {len(names)} names, but the query yields {len(node.schema)} columns",
            )
        fields = tuple(f.renamed(n) for f, n in zip(node.schema, names, strict=True))
        return Project(Schema(fields), node, refs(node.schema))

    # -- expressions -----------------------------------------------------------------------------------------------
    def expressions(self, scope: Scope) -> ExpressionBinder:
        """A binder of plain expressions (no aggregates) in ``scope``."""
        return ExpressionBinder(scope, self.context.functions, self.sql)

    def bind_text(self, text: str, scope: Scope) -> Expr:
        """Bind the text of a computed column or watermark."""
        return ExpressionBinder(scope, self.context.functions, text).bind(parse_expression(text))

    def condition(self, scope: Scope, node: exp.Expr, clause: str) -> Expr:
        expr = self.expressions(scope).bind(node)
        return self.boolean(expr, node, clause)

    def boolean(self, expr: Expr, node: exp.Expr, clause: str) -> Expr:
        if expr.type.root is Root.NULL:
            return Cast(expr, DataType(Root.BOOLEAN))
        if expr.type.root is not Root.BOOLEAN:
            raise self.error(node, f"{clause} has type {expr.type}, expected BOOLEAN")
        return expr

    def position(self, node: exp.Expr | None) -> Position | None:
        """Where a node stands in the text."""
        if node is None:
            return None
        spans = [n.meta for n in node.walk() if "start" in n.meta]
        if not spans:
            return None
        return Position.at(self.sql, min(m["start"] for m in spans), max(m["end"] for m in spans))

    def unsupported(self, node: exp.Expr | None, what: str, hint: str | None = None) -> UnsupportedError:
        return UnsupportedError(f"{what} is not supported", hint=hint, position=self.position(node))

    def error(self, node: exp.Expr | None, message: str, hint: str | None = None) -> ValidationError:
        return ValidationError(message, hint=hint, position=self.position(node))

    # -- SELECT ----------------------------------------------------------------------------------------------------
    def _select(self, select: exp.Select) -> LogicalNode:
        hints = SelectHints(self, select)
        source, scope = self._from(select)
        source = hints.on_joins(source, scope)
        scope = self.visible(scope)
        where = select.args.get("where")
        if where is not None:
            source = bind_where(self, source, scope, where.this)
        if has_sets(select):
            scope = optional_scope(scope)
        source = timed(source)
        items = self._items(select, scope)
        subqueries = Subqueries(self)
        grouped = GroupBinder(self, select, source, scope, subqueries) if self._is_grouped(select) else None
        over = OverBinder(self, select, scope, grouped, subqueries)
        bind = over.bind
        exprs = [item if isinstance(item, Expr) else bind(item) for _, item in items]
        having = select.args.get("having")
        conditions = [self.boolean(bind(having.this), having.this, "HAVING")] if having is not None else []
        qualify = select.args.get("qualify")
        late: list[Expr] = []
        if qualify is not None:
            named = _with_aliases(qualify.this, items, scope)
            late = [self.boolean(bind(named), qualify.this, "QUALIFY")]
        names = self._names(items, exprs)
        order = self._order_keys(select, names, exprs, bind)
        node = source
        if grouped is not None:
            node, (exprs, conditions, late, order) = grouped.finish(names, exprs, conditions, late, order)
            node = hints.on_groups(node, source)
            node, conditions = subqueries.place(node, conditions, grouped.rewrite)
        for c in conditions:
            node = Filter(node.schema, node, c)
        node, exprs, late, order = over.finish(node, exprs, late, order)
        for c in late:
            node = Filter(node.schema, node, c)
        return self._finish_select(select, hints, node, names, exprs, order)

    def _finish_select(
        self,
        select: exp.Select,
        hints: SelectHints,
        node: LogicalNode,
        names: list[str],
        exprs: list[Expr],
        order: list[SortKey],
    ) -> LogicalNode:
        visible = len(exprs)
        keys: list[SortKey] = []
        for key in order:
            if key.expr not in exprs:
                if select.args.get("distinct"):
                    raise self.error(
                        select.args["order"],
                        "ORDER BY of a SELECT DISTINCT reads a column that is not selected",
                    )
                exprs.append(key.expr)
                names.append(f"$order{len(exprs)}")
            i = exprs.index(key.expr)
            keys.append(replace(key, expr=InputRef(i, names[i], exprs[i].type)))
        node = project(node, exprs, names)
        if select.args.get("distinct"):
            groups = Aggregate(untimed(node.schema), node, tuple(range(len(node.schema))), ())
            node = hints.on_groups(groups, node)
        hints.check_used()
        node = self._sorted(select, node, keys)
        if len(exprs) > visible:
            node = Project(Schema(node.schema.fields[:visible]), node, refs(node.schema)[:visible])
        return node

    def _from(self, select: exp.Select) -> tuple[LogicalNode, Scope]:
        source = select.args.get("from_")
        if source is None:
            return one_row(), Scope(())
        return bind_from(self, source.this, select.args.get("joins") or [])

    def _is_grouped(self, select: exp.Select) -> bool:
        if select.args.get("group") is not None or select.args.get("having") is not None:
            return True
        return any(has_aggregate(item, self.context.functions) for item in select.expressions)

    def _items(self, select: exp.Select, scope: Scope) -> list[tuple[str | None, exp.Expr | Expr]]:
        """The select list with stars expanded: (name if given, syntax or bound column)."""
        items: list[tuple[str | None, exp.Expr | Expr]] = []
        for item in select.expressions:
            if isinstance(item, exp.Star):
                if not scope.relations:
                    raise self.error(item, "SELECT * needs a FROM clause")
                items += [(name, ref) for name, ref in scope.star() or []]
            elif isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
                items += self._qualified_star(item, scope)
            elif isinstance(item, exp.Alias):
                items.append((item.alias, item.this))
            else:
                items.append((None, item))
        return items

    def _qualified_star(self, item: exp.Column, scope: Scope) -> list[tuple[str | None, exp.Expr | Expr]]:
        parts = [p.name for p in item.parts[:-1]]
        if len(parts) == 1:
            found = scope.star(parts[0])
            if found is not None:
                return [(name, ref) for name, ref in found]
        row = scope.resolve(parts, item)
        if row is None or row.type.root is not Root.ROW:
            names = [r.alias for r in scope.relations]
            raise self.error(
                item,
                f"'{'.'.join(parts)}' is neither a table of FROM nor a ROW column",
                f"tables: {', '.join(names)}",
            )
        return [(n, scope.resolve([*parts, n], item) or row) for n in row.type.names]

    def _names(self, items: Sequence[tuple[str | None, exp.Expr | Expr]], exprs: Sequence[Expr]) -> list[str]:
        """Output names: the alias, the column's own name, else EXPR$n as Flink. Repeated names get a number."""
        names: list[str] = []
        for i, ((alias, item), _) in enumerate(zip(items, exprs, strict=True)):
            name = alias
            if name is None and isinstance(item, exp.Column | exp.Dot | exp.Identifier):
                name = item.name if not isinstance(item, exp.Dot) else item.expression.name
            base = name or f"EXPR${i}"
            unique, n = base, 0
            while unique in names:
                unique, n = f"{base}{n}", n + 1
            names.append(unique)
        return names

    # -- ORDER BY, LIMIT -------------------------------------------------------------------------------------------
    def _order_keys(
        self, query: exp.Expr, names: list[str], exprs: list[Expr], bind: Callable[[exp.Expr], Expr]
    ) -> list[SortKey]:
        order = query.args.get("order")
        if order is None:
            return []
        keys = []
        for item in order.expressions:
            ordered = item if isinstance(item, exp.Ordered) else exp.Ordered(this=item)
            expr = self._order_expr(ordered.this, names, exprs, bind)
            keys.append(SortKey(expr, bool(ordered.args.get("desc")), ordered.args.get("nulls_first")))
        return keys

    def _order_expr(
        self, node: exp.Expr, names: list[str], exprs: list[Expr], bind: Callable[[exp.Expr], Expr]
    ) -> Expr:
        if isinstance(node, exp.Column) and len(node.parts) == 1 and node.name in names:
            return exprs[names.index(node.name)]
        if isinstance(node, exp.Literal) and not node.is_string:
            position = int(node.name) if node.name.isdigit() else 0
            if not 1 <= position <= len(exprs):
                raise self.error(node, f"ORDER BY {node.name}: there are {len(exprs)} columns")
            return exprs[position - 1]
        return bind(node)

    def _order(self, query: exp.Expr, node: LogicalNode) -> LogicalNode:
        """ORDER BY and LIMIT of a set operation or VALUES: they see the output columns only."""
        width, subqueries = len(node.schema), Subqueries(self)
        binder = SubqueryExpressions(self, self.visible(Scope.of(node.schema)), subqueries)
        keys = self._order_keys(query, node.schema.names, list(refs(node.schema)), binder.bind)
        node, exprs = subqueries.place(node, [k.expr for k in keys], lambda e: e)
        keys = [replace(k, expr=e) for k, e in zip(keys, exprs, strict=True)]
        return first_columns(self._sorted(query, node, keys), width)

    def _sorted(self, query: exp.Expr, node: LogicalNode, keys: list[SortKey]) -> LogicalNode:
        limit, offset = self._count(query, "limit"), self._count(query, "offset") or 0
        if not keys and limit is None and not offset:
            return node
        clause = next(c for c in ("order", "limit", "offset") if query.args.get(c) is not None)
        return Sort(node.schema, node, tuple(keys), limit, offset, position=self.position(query.args[clause]))

    def _count(self, query: exp.Expr, clause: str) -> int | None:
        node = query.args.get(clause)
        if node is None:
            return None
        value = node.args.get("count") if isinstance(node, exp.Fetch) else node.args.get("expression")
        if value is None:
            return 1
        if isinstance(value, exp.Var):  # LIMIT ALL
            return None
        if not (isinstance(value, exp.Literal) and value.name.isdigit()):
            raise self.error(
                node, f"{clause.upper()} expects a whole number, found {value.sql(dialect='flink')}"
            )
        return int(value.name)

    # -- set operations, VALUES ------------------------------------------------------------------------------------
    def _set_operation(self, query: exp.Expr) -> LogicalNode:
        left, right = self.bind(query.this), self.bind(query.expression)
        if len(left.schema) != len(right.schema):
            raise self.error(query, f"the two sides have {len(left.schema)} and {len(right.schema)} columns")
        fields = []
        for i, (a, b) in enumerate(zip(left.schema, right.schema, strict=True)):
            shared = common_type(a.type, b.type)
            if shared is None:
                raise self.error(
                    query,
                    f"column {i + 1} ('{a.name}') has types {a.type} and {b.type}, which do not fit together",
                )
            fields.append(Field(a.name, shared, a.time if a.time == b.time else None))
        schema = Schema(tuple(fields))
        sides = [cast_to(left, schema), cast_to(right, schema)]
        distinct = bool(query.args.get("distinct"))
        if not isinstance(query, exp.Union):
            kind = "Except" if isinstance(query, exp.Except) else "Intersect"
            return SetOperation(untimed(schema), kind, not distinct, sides[0], sides[1])
        parts = tuple(p for s in sides for p in (s.parts if isinstance(s, Union) else (s,)))
        union = Union(schema, parts)
        return Aggregate(untimed(schema), union, tuple(range(len(schema))), ()) if distinct else union


def _with_aliases(
    node: exp.Expr, items: Sequence[tuple[str | None, exp.Expr | Expr]], scope: Scope
) -> exp.Expr:
    """The condition with what it names of the select list written out; a column of FROM comes first."""
    named = {name: item for name, item in items if name is not None and isinstance(item, exp.Expr)}

    def write_out(e: exp.Expr) -> exp.Expr:
        if (
            isinstance(e, exp.Column)
            and len(e.parts) == 1
            and e.name in named
            and scope.resolve([e.name]) is None
        ):
            return exp.Paren(this=named[e.name].copy())
        return e

    return node.copy().transform(write_out)


def _is_stateful(node: LogicalNode) -> bool:
    return isinstance(node, Aggregate | Join | Over | Sort) or any(_is_stateful(i) for i in node.inputs)
