"""Calls with a syntax of their own: CASE, IS, LIKE, EXTRACT, TRIM, the JSON functions, aggregates and their clauses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.datatypes import ARRAY, NULL, STRING, DataType, Root

from .dialect.nodes import JsonQuery, Multiset
from .expressions import AggregateCall, Expr, Literal, SortKey
from .functions.base import TypeMismatch
from .functions.coercion import as_type
from .functions.temporal import add_type
from .functions.units import EXTRACT_UNITS, MILLISECONDS, MONTHS, ROUND_UNITS
from .typing import data_type

if TYPE_CHECKING:
    from .expression_binder import ExpressionBinder

_ADD_UNITS = (*MILLISECONDS, "MICROSECOND", "MONTH", "QUARTER", "YEAR")


def special(binder: ExpressionBinder, node: exp.Expr) -> Expr | None:
    """The bound form of a node with a syntax of its own; None for other nodes."""
    if isinstance(node, exp.Anonymous):
        handler = _NAMED.get(node.name.upper())
        first = node.expressions[0] if node.expressions else None
        return handler(binder, node) if handler is not None and isinstance(first, exp.Var) else None
    found = _SPECIAL.get(type(node))
    return found(binder, node) if found is not None else None


# -- conditions ------------------------------------------------------------------------------------------------


def _case(b: ExpressionBinder, node: exp.Expr) -> Expr:
    """Both forms: with an operand each WHEN is compared with it."""
    operand = b.bind(node.this) if node.this is not None else None
    args: list[Expr] = []
    for branch in node.args["ifs"]:
        condition = b.bind(branch.this)
        if operand is not None:
            condition = b.named("=", [operand, condition], branch.this)
        else:
            condition = b.boolean(condition, branch.this, "WHEN")
        args += [condition, b.bind(branch.args["true"])]
    default = node.args.get("default")
    args.append(b.bind(default) if default is not None else Literal(None, NULL()))
    return b.named("CASE", args, node)


def _is(b: ExpressionBinder, node: exp.Expr) -> Expr:
    return b.named(_is_name(node.expression), [b.bind(node.this)], node)


def _is_name(what: exp.Expr) -> str:
    if isinstance(what, exp.Null):
        return "IS NULL"
    if isinstance(what, exp.Boolean):
        return "IS TRUE" if what.this else "IS FALSE"
    if isinstance(what, exp.JSON):
        return f"IS JSON {what.this or 'VALUE'}"
    return "IS UNKNOWN"


def _not(b: ExpressionBinder, node: exp.Expr) -> Expr:
    """NOT; ``x IS NOT NULL`` and its kin are functions of their own."""
    inner = node.this
    if isinstance(inner, exp.Is) and not isinstance(inner.expression, exp.JSON):
        return b.named(_is_name(inner.expression).replace("IS ", "IS NOT "), [b.bind(inner.this)], node)
    return b.named("NOT", [b.bind(inner)], node)


def _between(b: ExpressionBinder, node: exp.Expr) -> Expr:
    args = [b.bind(node.this), b.bind(node.args["low"]), b.bind(node.args["high"])]
    return b.named("BETWEEN SYMMETRIC" if node.args.get("symmetric") else "BETWEEN", args, node)


def _like(name: str) -> Callable[[ExpressionBinder, exp.Expr], Expr]:
    def bind(b: ExpressionBinder, node: exp.Expr, escape: Sequence[Expr] = ()) -> Expr:
        found = b.named(name, [b.bind(node.this), b.bind(node.expression), *escape], node)
        return b.named("NOT", [found], node) if node.args.get("negate") else found

    return bind


def _escape(b: ExpressionBinder, node: exp.Expr) -> Expr:
    inner, char = node.this, b.bind(node.expression)
    negate = isinstance(inner, exp.Not)
    inner = inner.this if negate else inner
    name = "SIMILAR TO" if isinstance(inner, exp.SimilarTo) else "LIKE"
    found = b.named(name, [b.bind(inner.this), b.bind(inner.expression), char], node)
    return b.named("NOT", [found], node) if negate or inner.args.get("negate") else found


# -- time --------------------------------------------------------------------------------------------------------


def _unit(b: ExpressionBinder, node: exp.Expr, allowed: Sequence[str]) -> str:
    unit = str(node.name).upper().removeprefix("SQL_TSI_")
    unit = unit.removesuffix("S") if unit.removesuffix("S") in allowed else unit
    unit = {"DAYOFWEEK": "DOW", "DAYOFYEAR": "DOY"}.get(unit, unit)
    if unit not in allowed:
        raise b.error(node, f"{unit} is no unit of time here", hint=f"units: {', '.join(allowed)}")
    return unit


def _extract(b: ExpressionBinder, node: exp.Expr) -> Expr:
    return b.named("EXTRACT", [b.bind(node.expression)], node, unit=_unit(b, node.this, EXTRACT_UNITS))


def _rounding(name: str) -> Callable[[ExpressionBinder, exp.Expr], Expr]:
    def bind(b: ExpressionBinder, node: exp.Expr) -> Expr:
        if node.args.get("to") is None:
            return b.named(name, [b.bind(node.this)], node)
        unit = _unit(b, node.args["to"], ROUND_UNITS)
        return b.named(f"{name} TO", [b.bind(node.this)], node, unit=unit)

    return bind


def _timestamp_add(b: ExpressionBinder, node: exp.Expr) -> Expr:
    unit = _unit(b, node.expressions[0], _ADD_UNITS)
    call = b.named("TIMESTAMPADD", b.bind_all(node.expressions[1:]), node, unit=unit)
    count, point = call.args
    type_ = add_type(unit, point.type)
    return replace(call, type=type_.with_nullable(count.type.nullable or point.type.nullable))


def _timestamp_diff(b: ExpressionBinder, node: exp.Expr) -> Expr:
    unit = _unit(b, node.expressions[0], (*MILLISECONDS, "MICROSECOND", *MONTHS))
    return b.named("TIMESTAMPDIFF", b.bind_all(node.expressions[1:]), node, unit=unit)


def _overlaps(b: ExpressionBinder, node: exp.Expr) -> Expr:
    sides = (node.this, node.expression)
    if any(not isinstance(s, exp.Tuple) or len(s.expressions) != 2 for s in sides):
        raise b.error(node, "OVERLAPS takes two pairs: (start1, end1) OVERLAPS (start2, end2)")
    return b.named("OVERLAPS", [e for s in sides for e in b.bind_all(s.expressions)], node)


def _clock(name: str) -> Callable[[ExpressionBinder, exp.Expr], Expr]:
    return lambda b, node: b.named(name, [], node)


# -- strings and collections ---------------------------------------------------------------------------------------


def _trim(b: ExpressionBinder, node: exp.Expr) -> Expr:
    position = node.args.get("position")
    name = f"TRIM {position}" if position in ("LEADING", "TRAILING") else "TRIM"
    chars = node.expression
    return b.named(name, [b.bind(node.this), *([b.bind(chars)] if chars is not None else [])], node)


def _position(b: ExpressionBinder, node: exp.Expr) -> Expr:
    return b.named("POSITION", [b.bind(node.args["substr"]), b.bind(node.this)], node)


def _overlay(b: ExpressionBinder, node: exp.Expr) -> Expr:
    parts = [node.this, node.expression, node.args["from_"], node.args.get("for_")]
    return b.named("OVERLAY", [b.bind(p) for p in parts if p is not None], node)


def _array(b: ExpressionBinder, node: exp.Expr) -> Expr:
    if not node.expressions:
        raise b.error(node, "ARRAY[] needs at least one value", hint="CAST(NULL AS ARRAY<…>) has a type")
    return b.named("ARRAY", b.bind_all(node.expressions), node)


def _map(b: ExpressionBinder, node: exp.Expr) -> Expr:
    keys, values = node.args["keys"].expressions, node.args["values"].expressions
    if not keys:
        raise b.error(
            node, "MAP[] needs at least one key and value", hint="CAST(NULL AS MAP<…, …>) has a type"
        )
    pairs = [b.bind(x) for pair in zip(keys, values, strict=True) for x in pair]
    return b.named("MAP", pairs, node)


def _bracket(b: ExpressionBinder, node: exp.Expr) -> Expr:
    owner, index = b.bind(node.this), node.expressions
    if len(index) != 1:
        raise b.error(node, "[…] takes one index or key")
    return b.named("ITEM", [owner, b.bind(index[0])], node)


def _multiset(b: ExpressionBinder, node: exp.Expr) -> Expr:
    raise b.unsupported(node, "MULTISET[…] is not supported", hint="use ARRAY[…]")


# -- JSON ----------------------------------------------------------------------------------------------------------


def _behaviours(b: ExpressionBinder, node: exp.Expr, event: str) -> tuple[str | None, Expr | None]:
    """What ON EMPTY or ON ERROR says: a word, and the value of DEFAULT."""
    condition = node.args.get("on_condition")
    action = condition.args.get(event) if condition is not None else None
    if action is None:
        return None, None
    if isinstance(action, str):
        return action.rpartition(" ON ")[0], None
    return "DEFAULT", b.bind(action)


def _json_value(b: ExpressionBinder, node: exp.Expr) -> Expr:
    returning = node.args.get("returning")
    target = data_type(returning, b.sql_text) if returning is not None else STRING()
    scalar = target.is_string or target.is_numeric or target.root is Root.BOOLEAN
    if not scalar:
        raise b.unsupported(returning or node, f"JSON_VALUE cannot return {target.sql(nullability=False)}")
    on_empty, empty_value = _behaviours(b, node, "empty")
    on_error, error_value = _behaviours(b, node, "error")
    defaults = [_default(b, v, target, node) for v in (empty_value, error_value)]
    args = [b.bind(node.this), b.bind(node.args["path"]), *defaults]
    call = b.named("JSON_VALUE", args, node, on_empty=on_empty, on_error=on_error)
    return replace(call, type=target.with_nullable(True))


def _default(b: ExpressionBinder, value: Expr | None, target: DataType, node: exp.Expr) -> Expr:
    if value is None:
        return Literal(None, target)
    if isinstance(value, Literal) and isinstance(value.value, bool) and target.is_string:
        return Literal(str(value.value).lower(), target)  # as JSON writes it
    return (
        as_type(value, target) if value.type.is_string and target.is_string else b.cast(value, target, node)
    )


def _json_query(b: ExpressionBinder, node: exp.Expr) -> Expr:
    returning = node.args.get("returning")
    target = data_type(returning, b.sql_text) if returning is not None else STRING()
    if not target.is_string and target != ARRAY(STRING()):
        raise b.unsupported(
            returning or node,
            f"JSON_QUERY cannot return {target.sql(nullability=False)}",
            hint="STRING or ARRAY<STRING>",
        )
    wrapper = str(node.args.get("wrapper") or "")
    kind = (
        "UNCONDITIONAL" if "UNCONDITIONAL" in wrapper else "CONDITIONAL" if "CONDITIONAL" in wrapper else None
    )
    on_empty, _ = _behaviours(b, node, "empty")
    on_error, _ = _behaviours(b, node, "error")
    args = [b.bind(node.this), b.bind(node.args["path"])]
    call = b.named("JSON_QUERY", args, node, wrapper=kind, on_empty=on_empty, on_error=on_error)
    return replace(call, type=target.with_nullable(True))


def _json_exists(b: ExpressionBinder, node: exp.Expr) -> Expr:
    on_error, _ = _behaviours(b, node, "error")
    return b.named("JSON_EXISTS", [b.bind(node.this), b.bind(node.args["path"])], node, on_error=on_error)


def _null_handling(node: exp.Expr) -> str | None:
    found = node.args.get("null_handling")
    return str(found).partition(" ")[0] if found else None


def _json_object(b: ExpressionBinder, node: exp.Expr) -> Expr:
    args = [b.bind(x) for pair in node.expressions for x in (pair.this, pair.expression)]
    return b.named("JSON_OBJECT", args, node, on_null=_null_handling(node))


def _json_array(b: ExpressionBinder, node: exp.Expr) -> Expr:
    return b.named("JSON_ARRAY", b.bind_all(node.expressions), node, on_null=_null_handling(node))


def _format_json(b: ExpressionBinder, node: exp.Expr) -> Expr:
    return b.named("JSON", [b.bind(node.this)], node)


# -- aggregates ----------------------------------------------------------------------------------------------------


def aggregate(b: ExpressionBinder, node: exp.Expr, *, nested: bool = True) -> AggregateCall:
    """An aggregate with its clauses; ``nested``: its arguments may hold aggregates (of the group below OVER)."""
    condition, nulls = None, None
    order: tuple[SortKey, ...] = ()
    while isinstance(node, exp.Filter | exp.WithinGroup | exp.IgnoreNulls | exp.RespectNulls):
        if isinstance(node, exp.Filter):
            condition = b.boolean(b.bind(node.expression.this), node.expression.this, "FILTER")
        elif isinstance(node, exp.WithinGroup):
            order = b.sort_keys(node.expression)
        else:
            nulls = "IGNORE" if isinstance(node, exp.IgnoreNulls) else "RESPECT"
        node = node.this
    name = _aggregate_name(node)
    function = b.functions.aggregate(name)
    if function is None:
        raise b.error(node, f"{name} is not an aggregate or window function")
    before = b.inside_aggregate(None if nested else function.name)
    try:
        args, distinct, inner_order = _aggregate_args(b, node)
    finally:
        b.inside_aggregate(before)
    converted = tuple(b.arguments(function, args, node))
    options = {"nulls": nulls, "on_null": _null_handling(node)}
    kept = tuple(sorted((k, v) for k, v in options.items() if v is not None))
    try:
        type_ = function.infer(converted)
    except TypeMismatch as e:
        raise b.error(node, f"{function.name}: {e}") from None
    type_ = type_.with_nullable(True) if condition is not None and function.name not in _NEVER_NULL else type_
    return AggregateCall(function, converted, type_, distinct, condition, order or inner_order, kept)


_NEVER_NULL = ("COUNT", "APPROX_COUNT_DISTINCT", "JSON_OBJECTAGG", "JSON_ARRAYAGG", "COLLECT")


def _aggregate_name(node: exp.Expr) -> str:
    if isinstance(node, exp.JSONObjectAgg):
        return "JSON_OBJECTAGG"
    return "JSON_ARRAYAGG" if isinstance(node, exp.JSONArrayAgg) else node.name


def _aggregate_args(b: ExpressionBinder, node: exp.Expr) -> tuple[list[Expr], bool, tuple[SortKey, ...]]:
    """Arguments, DISTINCT and an ORDER BY inside the parentheses. ``COUNT(*)`` has no arguments."""
    if isinstance(node, exp.JSONObjectAgg):
        pairs = node.expressions
        if len(pairs) != 1:
            raise b.error(node, "JSON_OBJECTAGG takes one key and one value")
        return [b.bind(pairs[0].this), b.bind(pairs[0].expression)], False, ()
    if isinstance(node, exp.JSONArrayAgg):
        return [b.bind(node.this)], False, b.sort_keys(node.args.get("order"))
    items = list(node.expressions)
    order: tuple[SortKey, ...] = ()
    distinct = bool(items) and isinstance(items[0], exp.Distinct)
    if distinct:
        items = list(items[0].expressions)
    if items and isinstance(items[-1], exp.Order):
        order = b.sort_keys(items[-1])
        items[-1] = items[-1].this
    if len(items) == 1 and isinstance(items[0], exp.Star):
        if node.name.upper() != "COUNT" or distinct:
            raise b.error(items[0], f"{node.name.upper()}(*) is not allowed; only COUNT takes *")
        return [], False, order
    return b.bind_all(items), distinct, order


_Handler = Callable[["ExpressionBinder", exp.Expr], Expr]
_NAMED: dict[str, _Handler] = {"TIMESTAMPADD": _timestamp_add, "TIMESTAMPDIFF": _timestamp_diff}
_SPECIAL: dict[type, _Handler] = {
    exp.Case: _case,
    exp.Is: _is,
    exp.Not: _not,
    exp.Between: _between,
    exp.Like: _like("LIKE"),
    exp.SimilarTo: _like("SIMILAR TO"),
    exp.Escape: _escape,
    exp.Extract: _extract,
    exp.Floor: _rounding("FLOOR"),
    exp.Ceil: _rounding("CEIL"),
    exp.Overlaps: _overlaps,
    exp.CurrentDate: _clock("CURRENT_DATE"),
    exp.CurrentTime: _clock("CURRENT_TIME"),
    exp.Localtime: _clock("CURRENT_TIME"),
    exp.CurrentTimestamp: _clock("CURRENT_TIMESTAMP"),
    exp.Localtimestamp: _clock("LOCALTIMESTAMP"),
    exp.Trim: _trim,
    exp.StrPosition: _position,
    exp.Overlay: _overlay,
    exp.Array: _array,
    exp.Map: _map,
    exp.Bracket: _bracket,
    Multiset: _multiset,
    exp.JSONValue: _json_value,
    JsonQuery: _json_query,
    exp.JSONExists: _json_exists,
    exp.JSONObject: _json_object,
    exp.JSONArray: _json_array,
    exp.FormatJson: _format_json,
}
