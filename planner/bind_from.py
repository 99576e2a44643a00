"""FROM: tables, sub-queries, window table functions, joins, UNNEST."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.datatypes import INT, Root
from streamsql.errors import StreamSqlError, UnsupportedError, ValidationError, did_you_mean
from streamsql.schema import PROCTIME, ROWTIME, Field, Schema

from .bind_changelog import ARGUMENTS as CHANGELOG_FUNCTIONS
from .bind_changelog import bind_changelog
from .bind_lateral import bind_lateral
from .bind_match import bind_match
from .bind_nodes import one_row, project, refs
from .bind_on import bind_on, has_subqueries
from .bind_options import hinted_options
from .bind_subqueries import Subqueries, SubqueryExpressions
from .bind_table import bind_table, is_proctime
from .bind_windows import WINDOW_FUNCTIONS, bind_window
from .dialect.nodes import MatchedTable
from .expressions import Expr, InputRef, input_refs, shift, transform
from .functions import conjunction, equals
from .join_kinds import settled
from .logical import Join, LogicalNode, Unnest
from .logical_joins import TemporalJoin
from .rules.push_filters import timed
from .scope import Relation, Scope

if TYPE_CHECKING:
    from .binder import QueryBinder, TableFunction

Bound = tuple[LogicalNode, Scope]


def bind_from(binder: QueryBinder, source: exp.Expr, joins: Sequence[exp.Join]) -> Bound:
    """The joined rows of FROM and the scope of their names."""
    bound = _source(binder, source, None)
    for join in joins:
        bound = _join(binder, bound, join)
    return bound


def _source(binder: QueryBinder, source: exp.Expr, left: Bound | None) -> Bound:
    match source:
        case exp.Table() if isinstance(source.this, exp.Anonymous | exp.Dot):
            if binder.context.functions.scalar(source.this.name) is not None:
                return _uncorrelated(binder, source)
            return _aliased(binder, source, _table_function(binder, source), default="")
        case exp.Table():
            if source.args.get("version") is not None:
                raise binder.error(
                    source,
                    "FOR SYSTEM_TIME AS OF stands after JOIN: it takes the time from the rows on the left",
                    "as in FROM orders AS o JOIN rates FOR SYSTEM_TIME AS OF o.ts AS r ON …",
                )
            node, path = binder.relation(source, hinted_options(binder, source))
            return _aliased(binder, source, node, default=path[-1], path=path)
        case exp.Subquery():
            inner = source.this
            if isinstance(inner, exp.Table | exp.Subquery) and inner.args.get("joins"):
                node, scope = bind_from(binder, inner, inner.args["joins"])
                return (
                    _aliased(binder, source, node, default="") if source.args.get("alias") else (node, scope)
                )
            node = binder.bind(inner)
            return _aliased(binder, source, node, default="")
        case exp.Values():
            return _aliased(binder, source, binder.bind(source), default="")
        case exp.Unnest():
            return _unnest(binder, source, source, left, outer=False)
        case exp.Lateral():
            return _lateral(binder, source, left, None, outer=False)
        case MatchedTable():
            node = bind_match(binder, source.args["match"], *_source(binder, source.this, left))
            node = replace(node, position=binder.position(source.args["match"]))
            return _aliased(binder, source, node, default="")
        case _:
            raise UnsupportedError(
                f"{type(source).__name__} in FROM is not supported", position=binder.position(source)
            )


def _uncorrelated(binder: QueryBinder, source: exp.Table) -> Bound:
    """The rows of a table function of constants: it returns an array of rows."""
    try:
        return _unnest(binder, exp.Unnest(expressions=[source.this.copy()]), source, None, outer=False)
    except ValidationError as e:
        if e.message.startswith("unknown column"):
            e.hint = "LATERAL TABLE(f(x)) reads columns of the tables before it"
        raise


def _aliased(
    binder: QueryBinder,
    source: exp.Expr,
    node: LogicalNode,
    *,
    default: str,
    path: tuple[str, ...] = (),
) -> Bound:
    alias = source.args.get("alias")
    name = alias.name if alias is not None and alias.this is not None else ""
    if alias is not None and alias.columns:
        node = binder.rename(node, [c.name for c in alias.columns], alias)
    return node, Scope.of(node.schema, name or default, () if name else path)


def _table_function(binder: QueryBinder, source: exp.Table) -> LogicalNode:
    call = source.this
    name = call.name.upper() if isinstance(call, exp.Anonymous) else call.sql(dialect="flink")
    if name in WINDOW_FUNCTIONS:
        return bind_window(binder, call, name)
    if name in CHANGELOG_FUNCTIONS:
        return bind_changelog(binder, call, name)
    found = binder.context.table_functions
    if name in found:
        return _table_of(binder, call, found[name])
    known = [*WINDOW_FUNCTIONS, *CHANGELOG_FUNCTIONS, *found]
    raise binder.error(
        call,
        f"unknown table function {name}",
        did_you_mean(name, known) or f"built in are {', '.join(known)}; others are made with udtf in Python",
    )


def _table_of(binder: QueryBinder, call: exp.Anonymous, function: TableFunction) -> LogicalNode:
    """The rows of a function of constant texts."""
    for argument in call.expressions:
        if not (isinstance(argument, exp.Literal) and argument.is_string):
            raise binder.error(argument, f"{call.name} takes texts in quotes, found {argument.sql('flink')}")
    try:
        return bind_table(function([a.name for a in call.expressions]), binder.bind_text)
    except StreamSqlError as error:
        error.position = error.position or binder.position(call)
        raise


# -- joins ---------------------------------------------------------------------------------------------------------


def _join(binder: QueryBinder, left: Bound, join: exp.Join) -> Bound:
    side, kind = (join.args.get("side") or "").upper(), (join.args.get("kind") or "").upper()
    outer = side == "LEFT"
    natural = (join.args.get("method") or "").upper() == "NATURAL"
    _check_condition(binder, join, kind, natural=natural)
    if isinstance(join.this, exp.Unnest):
        _check_lateral(binder, join, side, natural=natural)
        return _unnest(binder, join.this, join.this, left, outer=outer)
    if isinstance(join.this, exp.Lateral):
        _check_lateral(binder, join, side, natural=natural)
        return _lateral(binder, join.this, left, join.args.get("on"), outer=outer)
    version = join.this.args.get("version") if isinstance(join.this, exp.Table) else None
    right = _source(binder, join.this if version is None else _unversioned(join.this), left)
    names = [c.name for c in join.args.get("using") or []]
    if natural:
        names = [n for n in left[1].schema.names if n in right[1].schema.names]
    on = join.args.get("on")
    scope = left[1].joined(right[1])
    pairs = _using(binder, left[1], right[1], names, join)
    join_kind = side or ("CROSS" if not pairs and on is None else "INNER")
    position = binder.position(join)

    def joined(a: LogicalNode, b: LogicalNode, condition: Expr | None) -> LogicalNode:
        fields = _join_fields(a.schema, b.schema, join_kind)
        made = Join(Schema(fields), join_kind, a, b, condition, position=position)
        return made if version is None else _temporal(binder, made, left, version.expression, join.this)

    if has_subqueries(on):
        assert on is not None
        node = bind_on(binder, left, right, join_kind, on, joined, versioned=version is not None)
    elif pairs:
        node = joined(left[0], right[0], conjunction([equals(a, b) for _, a, b in pairs]))
    else:
        condition = None if on is None else binder.condition(binder.visible(scope), on, "ON")
        node = joined(left[0], right[0], condition)
    scope = _with_schema(scope, node.schema)
    return node, _merged(binder, scope, pairs, join_kind, join) if pairs else scope


def _check_condition(binder: QueryBinder, join: exp.Join, kind: str, *, natural: bool) -> None:
    """Raises ValidationError for a join that says in two ways which rows belong together."""
    said = ["NATURAL"] if natural else []
    said += ["CROSS JOIN"] if kind == "CROSS" else []
    said += [clause.upper() for clause in ("on", "using") if join.args.get(clause)]
    if len(said) > 1:
        remedy = "leave CROSS out" if kind == "CROSS" else "leave one of them out"
        raise binder.error(join, f"{said[0]} and {said[1]} are not for the same join", remedy)


def _unversioned(table: exp.Table) -> exp.Table:
    bare: exp.Table = table.copy()
    bare.set("version", None)
    return bare


def _temporal(binder: QueryBinder, node: Join, left: Bound, time: exp.Expr, table: exp.Table) -> TemporalJoin:
    """The join with the right side as it was at ``time``."""
    name = ".".join(p.name for p in table.parts)
    if node.kind not in ("INNER", "LEFT"):
        raise UnsupportedError(
            f"a {node.kind} JOIN with {name} FOR SYSTEM_TIME AS OF is not supported",
            hint="each row on the left has one time: use JOIN or LEFT JOIN, with ON",
            position=binder.position(table),
        )
    at = binder.expressions(left[1]).bind(time)
    kind = timed(left[0]).schema[at.index].time if isinstance(at, InputRef) else None
    if is_proctime(at):
        kind = PROCTIME
    if kind is None:
        raise binder.error(
            time,
            "FOR SYSTEM_TIME AS OF expects a time attribute of the rows on the left",
            "use the column that WATERMARK FOR names, or one declared AS PROCTIME()",
        )
    made = TemporalJoin(
        node.schema, node.kind, node.left, node.right, node.condition,
        time=at.index if isinstance(at, InputRef) else None, event_time=kind == ROWTIME, table=name,
        position=binder.position(table),
    )  # fmt: skip
    settled_node = settled(made)
    assert isinstance(settled_node, TemporalJoin)
    return settled_node


def _using(
    binder: QueryBinder, left: Scope, right: Scope, names: Sequence[str], join: exp.Join
) -> list[tuple[str, Expr, Expr]]:
    """The columns that USING names: of the left rows and of the right ones, over the joined row."""
    width = len(left.schema)
    pairs: list[tuple[str, Expr, Expr]] = []
    for name in names:
        a, b = left.resolve([name]), right.resolve([name])
        if a is None or b is None:
            side = "left" if a is None else "right"
            raise binder.error(
                next((c for c in join.args.get("using") or [] if c.name == name), join),
                f"USING ({name}): the {side} side has no column '{name}'",
                f"its columns are {', '.join((left if a is None else right).schema.names)}",
            )
        pairs.append((name, a, shift(b, width)))
    return pairs


def _merged(
    binder: QueryBinder, scope: Scope, pairs: Sequence[tuple[str, Expr, Expr]], kind: str, join: exp.Join
) -> Scope:
    """The scope in which each column of USING is one: that of the side whose rows are all there, or of either."""
    merged: list[tuple[str, Expr]] = []
    for name, *sides in pairs:
        a, b = (_retyped(e, scope.schema) for e in sides)
        either = binder.expressions(scope).named("COALESCE", (a, b), join) if kind == "FULL" else a
        merged.append((name, b if kind == "RIGHT" else either))
    names = {name for name, _ in merged}
    hidden = {i for _, *sides in pairs for e in sides for i in input_refs(e)}
    others = [(name, e) for name, e in scope.merged if name not in names]
    return replace(scope, hidden=scope.hidden | hidden, merged=(*merged, *others))


def _retyped(e: Expr, schema: Schema) -> Expr:
    return transform(e, lambda x: replace(x, type=schema[x.index].type) if isinstance(x, InputRef) else x)


def _join_fields(left: Schema, right: Schema, kind: str) -> tuple[Field, ...]:
    def optional(schema: Schema, nullable: bool) -> list[Field]:
        return [replace(f, type=f.type.with_nullable(True)) if nullable else f for f in schema]

    return (*optional(left, kind in ("RIGHT", "FULL")), *optional(right, kind in ("LEFT", "FULL")))


def _with_schema(scope: Scope, schema: Schema) -> Scope:
    relations = tuple(
        Relation(r.alias, Schema(schema.fields[r.offset : r.offset + len(r.schema)]), r.offset, r.path)
        for r in scope.relations
    )
    merged = tuple((name, _retyped(e, schema)) for name, e in scope.merged)
    return replace(scope, relations=relations, merged=merged)


# -- UNNEST --------------------------------------------------------------------------------------------------------


def _lateral(
    binder: QueryBinder, lateral: exp.Lateral, left: Bound | None, on: exp.Expr | None, *, outer: bool
) -> Bound:
    if isinstance(lateral.this, exp.Unnest):
        return _unnest(binder, lateral.this, lateral, left, outer=outer)
    if isinstance(lateral.this, exp.Subquery | exp.Query):
        if left is None:
            node = binder.bind(lateral.this)
            return _aliased(binder, lateral, node, default="")
        return bind_lateral(binder, lateral, *left, None if _is_true(on) else on, outer=outer)
    # a table function is one that returns an array of rows
    return _unnest(binder, exp.Unnest(expressions=[lateral.this.copy()]), lateral, left, outer=outer)


def _check_lateral(binder: QueryBinder, join: exp.Join, side: str, *, natural: bool) -> None:
    """Raises UnsupportedError for a join that is neither CROSS, INNER nor LEFT, or has a condition."""
    if natural:
        raise binder.unsupported(
            join, "NATURAL JOIN with UNNEST or LATERAL", "use JOIN, and put the condition into WHERE"
        )
    on = join.args.get("on")
    queried = isinstance(join.this, exp.Lateral) and isinstance(join.this.this, exp.Subquery | exp.Query)
    if side not in ("", "LEFT") or join.args.get("using"):
        raise binder.unsupported(
            join, f"{side} JOIN or USING with UNNEST or LATERAL", "use LEFT JOIN … ON TRUE"
        )
    if on is not None and not _is_true(on) and not queried:
        raise binder.unsupported(
            on, "a condition other than ON TRUE with UNNEST or LATERAL", "put it into WHERE"
        )


def _is_true(on: exp.Expr | None) -> bool:
    return isinstance(on, exp.Boolean) and bool(on.this)


def _unnest(
    binder: QueryBinder, unnest: exp.Unnest, aliased: exp.Expr, left: Bound | None, *, outer: bool
) -> Bound:
    if len(unnest.expressions) != 1:
        raise binder.error(
            unnest,
            f"UNNEST expects one ARRAY, MAP or MULTISET, found {len(unnest.expressions)}",
            "join with an UNNEST for each",
        )
    alone = one_row()
    node, scope = left if left is not None else (alone, Scope((Relation("", alone.schema),), frozenset({0})))
    width, subqueries = len(node.schema), Subqueries(binder)
    expr = SubqueryExpressions(binder, binder.visible(scope), subqueries).bind(unnest.expressions[0])
    node, (expr,) = subqueries.place(node, [expr], lambda e: e)
    element = expr.type.children[0] if expr.type.children else None
    rows = element is not None and element.root is Root.ROW
    if expr.type.root in (Root.ARRAY, Root.MULTISET) and element is not None and rows:
        fields = [
            Field(n, t.with_nullable(True)) for n, t in zip(element.names, element.children, strict=True)
        ]
    elif expr.type.root is Root.ARRAY and element is not None:
        fields = [Field("EXPR$0", element.with_nullable(element.nullable or outer))]
    elif expr.type.root is Root.MAP:
        fields = [
            Field(n, t.with_nullable(t.nullable or outer))
            for n, t in zip(("f0", "f1"), expr.type.children, strict=True)
        ]
    elif expr.type.root is Root.MULTISET and element is not None:
        fields = [Field("f0", element.with_nullable(True))]
    else:
        raise binder.error(unnest, f"UNNEST expects an ARRAY, MAP or MULTISET, found {expr.type}")
    ordinality = bool(unnest.args.get("offset"))
    if ordinality:
        fields.append(Field("ORDINALITY", INT().with_nullable(outer)))
    alias = aliased.args.get("alias")
    names = [c.name for c in alias.columns] if alias is not None else []
    if names and len(names) != len(fields):
        raise binder.error(aliased, f"the alias names {len(names)} columns, but UNNEST yields {len(fields)}")
    if names:
        fields = [f.renamed(n) for f, n in zip(fields, names, strict=True)]
    name = alias.name if alias is not None and alias.this is not None else ""
    schema = Schema((*node.schema, *fields))
    made: LogicalNode = Unnest(schema, node, expr, outer, ordinality)
    if len(node.schema) > width:  # without what its sub-queries added
        kept = [*refs(schema)[:width], *refs(schema)[len(node.schema) :]]
        made = project(made, kept, [*schema.names[:width], *(f.name for f in fields)])
    relation = Relation(name, Schema(tuple(fields)), width)
    return made, replace(scope, relations=(*scope.relations, relation))
