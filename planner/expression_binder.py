"""Syntax trees of expressions to bound, typed expressions: names, functions, conversions, and their errors.

``ExpressionBinder.bind`` is the entry. What depends on the query around an expression (aggregates, OVER,
sub-queries) goes to hooks that the relational binder overrides. Calls with a syntax of their own are in
``bind_calls.py``, literals in ``bind_literals.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol

from sqlglot import exp

from streamsql.datatypes import BOOLEAN, NULL, DataType, Root
from streamsql.errors import Position, StreamSqlError, UnsupportedError, ValidationError, did_you_mean

from . import bind_calls, bind_literals
from .casts import can_cast
from .expressions import AggregateCall, Call, Cast, Expr, FieldAccess, Literal, SortKey
from .functions.base import AggregateDef, CompileContext, FunctionDef, Invocation, TypeMismatch
from .functions.coercion import as_type, short
from .functions.registry import FunctionRegistry
from .functions.signatures import Signature
from .parsing import position_of
from .scope import Scope
from .typing import data_type, interval_literal

_CHECK_CONTEXT = CompileContext(watermark_sql="NULL::BIGINT")


class ExpressionScope(Protocol):
    """The names that an expression may use."""

    def resolve(self, parts: Sequence[str], node: object = None) -> Expr | None:
        """The column of that name, perhaps deeper into its fields; None where there is none."""
        ...

    def suggest(self) -> list[str]:
        """Names one could have meant."""
        ...


class EmptyScope:
    """No columns: for constants and VALUES."""

    def resolve(self, parts: Sequence[str], node: object = None) -> Expr | None:
        return None

    def suggest(self) -> list[str]:
        return []


class ExpressionBinder:
    """Binds expressions of one SQL text in one scope. Every error carries its position in ``sql_text``."""

    def __init__(self, scope: ExpressionScope, functions: FunctionRegistry, sql_text: str) -> None:
        self.scope = scope
        self.functions = functions
        self.sql_text = sql_text
        self._in_aggregate: str | None = None

    # -- entries -----------------------------------------------------------------------------------------------

    def bind(self, node: exp.Expr) -> Expr:
        """The bound form of ``node``. Raises ValidationError, or UnsupportedError for what is refused by name."""
        try:
            return self._dispatch(node)
        except TypeMismatch as e:
            raise self.error(node, str(e), hint=_cast_hint(str(e))) from None
        except StreamSqlError as e:
            if e.position is None:
                e.position = self.position(node)
            raise

    def bind_all(self, nodes: Sequence[exp.Expr]) -> list[Expr]:
        return [self.bind(n) for n in nodes]

    def bind_aggregate(self, node: exp.Expr) -> AggregateCall:
        """The call of an aggregate or window function, with DISTINCT, FILTER and its other clauses."""
        return bind_calls.aggregate(self, node)

    # -- hooks ---------------------------------------------------------------------------------------------------

    def on_aggregate(self, call: AggregateCall, node: exp.Expr) -> Expr:
        """An aggregate in an expression: refused unless the relational binder collects it."""
        name = call.function.name
        if call.function.kind == "window":
            raise self.error(node, f"{name} needs an OVER clause")
        raise self.error(
            node,
            f"aggregate function {name} is not allowed here",
            hint="aggregate in SELECT, HAVING or ORDER BY",
        )

    def on_call(self, node: exp.Anonymous) -> Expr | None:
        """A call that means something only in the query around it, such as GROUPING(a); None for all others."""
        return None

    def on_over(self, node: exp.Expr) -> Expr:
        """A window function: refused unless the relational binder collects it."""
        raise self.error(
            node, "a window function (OVER) is not allowed here", hint="compute it in a sub-query"
        )

    def on_subquery(self, node: exp.Expr, kind: str) -> Expr:
        """A sub-query, with what is compared with it; ``kind`` is ``scalar``, ``in``, ``exists``, ``any`` or ``all``.

        Refused unless the relational binder joins it.
        """
        raise self.unsupported(node, "a sub-query is not supported here", "join it in FROM")

    # -- errors --------------------------------------------------------------------------------------------------

    def position(self, node: exp.Expr) -> Position | None:
        return position_of(node, self.sql_text)

    def error(self, node: exp.Expr, message: str, hint: str | None = None) -> ValidationError:
        return ValidationError(message, hint=hint, position=self.position(node))

    def unsupported(self, node: exp.Expr, message: str, hint: str | None = None) -> UnsupportedError:
        return UnsupportedError(message, hint=hint, position=self.position(node))

    # -- calls ---------------------------------------------------------------------------------------------------

    def call(
        self, function: FunctionDef, args: Sequence[Expr], node: exp.Expr, **options: object
    ) -> Call:  # fmt: skip
        """A checked call: arguments converted, result type found, options kept in a fixed order."""
        converted = self._arguments(function, args, node)
        try:
            type_ = function.infer(converted)
        except TypeMismatch as e:
            raise self._mismatch(function, args, node, str(e)) from None
        kept = tuple(sorted((k, v) for k, v in options.items() if v is not None))
        call = Call(function, tuple(converted), type_, kept)
        self._check(call, node)
        return call

    def _check(self, call: Call, node: exp.Expr) -> None:
        """Compile once with stand-ins: what cannot be translated is refused here, where its place is known."""
        stand_ins = tuple(f"arg{i}" for i in range(len(call.args)))
        try:
            call.function.compile(Invocation(call, stand_ins, _CHECK_CONTEXT))
        except StreamSqlError as e:
            e.position = e.position or self.position(node)
            raise

    def named(self, name: str, args: Sequence[Expr], node: exp.Expr, **options: object) -> Call:
        """A call of a built-in function or operator."""
        return self.call(self.functions.operator(name), args, node, **options)

    def arguments(self, function: AggregateDef, args: Sequence[Expr], node: exp.Expr) -> Sequence[Expr]:
        """Checked and converted arguments of an aggregate."""
        return self._arguments(function, args, node)

    def _arguments(
        self, function: FunctionDef | AggregateDef, args: Sequence[Expr], node: exp.Expr
    ) -> Sequence[Expr]:
        types = [a.type for a in args]
        matching = next((s for s in function.signatures if s.matches(types)), None)
        if matching is None:
            raise self._mismatch(function, args, node, "")
        known = tuple(_known(a, matching, i) for i, a in enumerate(args))
        if function.coerce is None:
            return known
        try:
            return function.coerce(known)
        except TypeMismatch as e:
            raise self._mismatch(function, args, node, str(e)) from None

    def _mismatch(
        self, function: FunctionDef | AggregateDef, args: Sequence[Expr], node: exp.Expr, detail: str
    ) -> ValidationError:
        found = ", ".join(short(a.type) for a in args)
        if detail:
            named = any(u.startswith(f"{function.name}(") for u in function.usage())
            return self.error(
                node, f"{function.name}: {detail}" if named else detail, hint=_cast_hint(detail)
            )
        if isinstance(function, FunctionDef) and function.form in ("infix", "prefix", "postfix"):
            expected = " or ".join(str(s) for s in function.signatures)
            return self.error(
                node, f"{function.name} takes {expected}; found ({found})", hint=_cast_hint(found)
            )
        usage = [str(s) for s in function.signatures]
        special = [u for u in function.usage() if not u.startswith(f"{function.name}(")]
        expected = " or ".join(special or usage)
        return self.error(
            node, f"{function.name} expects {expected}; found ({found})", hint=_cast_hint(found)
        )

    # -- dispatch ------------------------------------------------------------------------------------------------

    def _dispatch(self, node: exp.Expr) -> Expr:
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            return handler(self, node)
        found = bind_calls.special(self, node)
        if found is not None:
            return found
        raise self.unsupported(node, f"{_shown(node)} is not supported in an expression")

    def _column(self, node: exp.Expr) -> Expr:
        assert isinstance(node, exp.Column)
        if isinstance(node.this, exp.Star):
            raise self.error(node, "* is not allowed here")
        return self._resolve([p.name for p in node.parts], node)

    def _resolve(self, parts: list[str], node: exp.Expr) -> Expr:
        found = self.scope.resolve(parts, node)
        if found is not None:
            return found
        for n in range(len(parts) - 1, 0, -1):
            owner = self.scope.resolve(parts[:n], node)
            if owner is not None:
                return self.field(owner, parts[n], node)
        message = f"unknown column '{'.'.join(parts)}'"
        if len(parts) > 1 and isinstance(self.scope, Scope):
            tables = [r.alias for r in self.scope.relations if r.alias]
            if not any(r.matches(parts[:-1]) for r in self.scope.relations) and parts[0] not in tables:
                hint = did_you_mean(parts[0], tables) or (f"tables: {', '.join(tables)}" if tables else None)
                raise self.error(node, f"{message}: no table of FROM is named '{parts[0]}'", hint=hint)
        raise self.error(node, message, hint=self._column_hint(parts))

    def _column_hint(self, parts: list[str]) -> str | None:
        names = [n for n in self.scope.suggest() if n not in parts]
        hint = did_you_mean(parts[-1], names) or (did_you_mean(parts[0], names) if len(parts) > 1 else None)
        if hint is not None:
            return hint
        if len(parts) == 1 and self.functions.scalar(parts[0]) is not None:
            return f"{parts[0]} is a function: write {parts[0]}(…)"
        shown = ", ".join(dict.fromkeys(names[:8]))
        return f"names in sight: {shown}{', …' if len(names) > 8 else ''}" if names else None

    def _dot(self, node: exp.Expr) -> Expr:
        """A name of more than four parts, a field of a value, or a call with a qualified name."""
        if isinstance(node.expression, exp.Anonymous):
            return self._qualified_call(node)
        names = _dotted(node)
        if names is not None:
            return self._resolve(names, node)
        return self.field(self.bind(node.this), node.expression.name, node)

    def field(self, owner: Expr, name: str, node: exp.Expr) -> Expr:
        """A field of a ROW value."""
        if owner.type.root is not Root.ROW:
            raise self.error(
                node, f"a {short(owner.type)} has no field '{name}'", hint="only a ROW has fields"
            )
        if name not in owner.type.names:
            hint = did_you_mean(name, owner.type.names) or f"fields: {', '.join(owner.type.names)}"
            raise self.error(node, f"the row has no field '{name}'", hint=hint)
        inner = owner.type.children[owner.type.names.index(name)]
        return FieldAccess(owner, name, inner.with_nullable(inner.nullable or owner.type.nullable))

    def _qualified_call(self, node: exp.Expr) -> Expr:
        names = _dotted(node.this)
        call = node.expression
        function = self.functions.scalar(".".join([*(names or ()), call.name])) or self.functions.scalar(
            call.name
        )
        if function is None or not function.user_defined:
            raise self.error(node, f"unknown function {'.'.join([*(names or ()), call.name])}")
        return self.call(function, self.bind_all(call.expressions), node)

    def _anonymous(self, node: exp.Expr) -> Expr:
        name = node.name
        found = self.on_call(node) if isinstance(node, exp.Anonymous) else None
        if found is not None:
            return found
        if self.functions.aggregate(name) is not None:
            return self._aggregate(node)
        special = bind_calls.special(self, node)
        if special is not None:
            return special
        function = self.functions.scalar(name)
        if function is None:
            error = self.functions.unknown(name)
            error.position = self.position(node)
            raise error
        for arg in node.expressions:
            self._plain_argument(function, arg)
        return self.call(function, self.bind_all(node.expressions), node)

    def _plain_argument(self, function: FunctionDef, arg: exp.Expr) -> None:
        if isinstance(arg, exp.Star):
            raise self.error(arg, f"{function.name}(*) is not allowed; only COUNT takes *")
        if isinstance(arg, exp.Distinct):
            raise self.error(arg, f"DISTINCT is for aggregates; {function.name} is none")
        if isinstance(arg, exp.Kwarg):
            raise self.unsupported(
                arg, f"named arguments of {function.name} are not supported", "pass them in order"
            )

    def _aggregate(self, node: exp.Expr) -> Expr:
        if self._in_aggregate is not None:
            raise self.error(
                node,
                f"an aggregate inside {self._in_aggregate} is not allowed",
                hint="aggregate twice with a sub-query",
            )
        call = bind_calls.aggregate(self, node, nested=False)
        return self.on_aggregate(call, node)

    def inside_aggregate(self, name: str | None) -> str | None:
        """Say that the arguments of an aggregate are being bound; returns what was said before."""
        before, self._in_aggregate = self._in_aggregate, name
        return before

    def _cast(self, node: exp.Expr) -> Expr:
        to = node.args["to"]
        if to.args.get("kind") == "LITERAL":
            return bind_literals.moment(node)
        target = data_type(to, self.sql_text)
        return self.cast(self.bind(node.this), target, node, safe=isinstance(node, exp.TryCast))

    def cast(self, arg: Expr, target: DataType, node: exp.Expr, *, safe: bool = False) -> Expr:
        """``CAST(arg AS target)`` if Flink allows it."""
        if not can_cast(arg.type, target):
            hint = None
            if arg.type.is_numeric and target.is_timestamp:
                hint = "use TO_TIMESTAMP_LTZ(number, 3)"
            elif arg.type.is_timestamp and target.is_numeric:
                hint = "use EXTRACT(EPOCH FROM ts) or TIMESTAMPDIFF"
            raise self.error(node, f"cannot cast {short(arg.type)} to {short(target)}", hint=hint)
        if isinstance(arg, Literal) and arg.value is None:
            return Literal(None, target.with_nullable(True))
        nullable = arg.type.nullable or safe
        if arg.type.with_nullable(True) == target.with_nullable(True):
            return arg
        return Cast(arg, target.with_nullable(nullable), safe)

    def _logical(self, node: exp.Expr) -> Expr:
        """A chain of ANDs or ORs as one call."""
        operands = self.bind_all(list(node.flatten()))
        return self.named("AND" if isinstance(node, exp.And) else "OR", operands, node)

    def _in(self, node: exp.Expr) -> Expr:
        if node.args.get("query") is not None:
            return self.on_subquery(node, "in")
        return self.named("IN", [self.bind(node.this), *self.bind_all(node.expressions)], node)

    def _tuple(self, node: exp.Expr) -> Expr:
        return self.named("ROW", self.bind_all(node.expressions), node)

    def sort_keys(self, order: exp.Expr | None) -> tuple[SortKey, ...]:
        """The items of an ORDER BY."""
        items = order.expressions if order is not None else []
        return tuple(
            SortKey(self.bind(i.this), bool(i.args.get("desc")), i.args.get("nulls_first")) for i in items
        )

    def boolean(self, expr: Expr, node: exp.Expr, clause: str) -> Expr:
        """``expr`` as a condition of ``clause``."""
        if expr.type.root is Root.NULL:
            return as_type(expr, BOOLEAN())
        if expr.type.root is not Root.BOOLEAN:
            raise self.error(node, f"{clause} needs a condition (BOOLEAN), found {short(expr.type)}")
        return expr

    def refuse(self, node: exp.Expr, what: str, hint: str | None = None) -> NoReturn:
        raise self.unsupported(node, f"{what} is not supported", hint)


def _known(arg: Expr, signature: Signature, i: int) -> Expr:
    """An untyped NULL gets the type that the function expects there."""
    target = signature.null_type(i)
    return as_type(arg, target) if arg.type.root is Root.NULL and target.root is not Root.NULL else arg


def _cast_hint(found: str) -> str | None:
    compared = "cannot compare" in found or "common type" in found or "is not defined" in found
    return "use CAST to make the types fit" if compared else None


def _dotted(node: exp.Expr) -> list[str] | None:
    """The parts of a plain dotted name, None for anything else."""
    if isinstance(node, exp.Identifier):
        return [node.name]
    if isinstance(node, exp.Column):
        return [p.name for p in node.parts]
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Identifier):
        left = _dotted(node.this)
        return None if left is None else [*left, node.expression.name]
    return None


def _shown(node: exp.Expr) -> str:
    text = node.sql(dialect="flink")
    return text if len(text) <= 40 else text[:37] + "…"


def _operator(name: str) -> Callable[[ExpressionBinder, exp.Expr], Expr]:
    def bind(b: ExpressionBinder, n: exp.Expr) -> Expr:
        if isinstance(n.expression, exp.Any | exp.All):
            return b.on_subquery(n, "any" if isinstance(n.expression, exp.Any) else "all")
        return b.named(name, [b.bind(n.this), b.bind(n.expression)], n)

    return bind


def _subquery(kind: str) -> Callable[[ExpressionBinder, exp.Expr], Expr]:
    return lambda b, n: b.on_subquery(n, kind)


_Handler = Callable[[ExpressionBinder, exp.Expr], Expr]
_HANDLERS: dict[type, _Handler] = {
    exp.Column: ExpressionBinder._column,
    exp.Identifier: lambda b, n: b._resolve([n.name], n),
    exp.Dot: ExpressionBinder._dot,
    exp.Paren: lambda b, n: b.bind(n.this),
    exp.Alias: lambda b, n: b.bind(n.this),
    exp.Literal: lambda b, n: bind_literals.literal(n),
    exp.Boolean: lambda b, n: Literal(bool(n.this), BOOLEAN().not_null()),
    exp.Null: lambda b, n: Literal(None, NULL()),
    exp.HexString: lambda b, n: bind_literals.hex_string(n),
    exp.Interval: lambda b, n: interval_literal(n) if isinstance(n, exp.Interval) else b.refuse(n, "this"),
    exp.Anonymous: ExpressionBinder._anonymous,
    exp.JSONObjectAgg: ExpressionBinder._aggregate,
    exp.JSONArrayAgg: ExpressionBinder._aggregate,
    exp.Filter: ExpressionBinder._aggregate,
    exp.WithinGroup: ExpressionBinder._aggregate,
    exp.IgnoreNulls: ExpressionBinder._aggregate,
    exp.RespectNulls: ExpressionBinder._aggregate,
    exp.Window: lambda b, n: b.on_over(n),
    exp.Cast: ExpressionBinder._cast,
    exp.TryCast: ExpressionBinder._cast,
    exp.And: ExpressionBinder._logical,
    exp.Or: ExpressionBinder._logical,
    exp.In: ExpressionBinder._in,
    exp.Tuple: ExpressionBinder._tuple,
    exp.Subquery: _subquery("scalar"),
    exp.Select: _subquery("scalar"),
    exp.Exists: _subquery("exists"),
    exp.Any: _subquery("any"),
    exp.All: _subquery("all"),
    exp.Neg: bind_literals.negation,
    exp.Add: _operator("+"),
    exp.Sub: _operator("-"),
    exp.Mul: _operator("*"),
    exp.Div: _operator("/"),
    exp.Mod: _operator("%"),
    exp.DPipe: _operator("||"),
    exp.EQ: _operator("="),
    exp.NEQ: _operator("<>"),
    exp.GT: _operator(">"),
    exp.GTE: _operator(">="),
    exp.LT: _operator("<"),
    exp.LTE: _operator("<="),
    exp.NullSafeNEQ: _operator("IS DISTINCT FROM"),
    exp.NullSafeEQ: _operator("IS NOT DISTINCT FROM"),
}
