"""Conditions of DEFINE over several rows as Python functions.

Whatever reads one row is computed for all rows of a step by DuckDB beforehand; what is left compares and adds values of
different rows, once a row and partial match. The few functions for that are here, with DuckDB's NULLs, NaNs and
overflow; a sub-expression with any other function is handed to ``fallback``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from streamsql.datatypes import DataType, Root
from streamsql.planner.expressions import Call, Cast, Expr, Literal

from .match_values import WIDTHS, Row, Value, Values, greatest_first, wrapped

Evaluate = Callable[[Values, Row], Value]
"""The value of an expression: trackers' values with the row being tried counted in, and that row."""
Leaf = Callable[[Expr], Evaluate | None]

_COMPARABLE = {
    Root.TINYINT, Root.SMALLINT, Root.INT, Root.BIGINT, Root.DECIMAL, Root.FLOAT, Root.DOUBLE, Root.CHAR, Root.VARCHAR,
    Root.BOOLEAN, Root.DATE, Root.TIME, Root.TIMESTAMP, Root.TIMESTAMP_LTZ,
}  # fmt: skip
_OPERATORS = {
    "=": operator.eq, "<>": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_TESTS: dict[str, Callable[[Value], bool]] = {
    "IS NULL": lambda v: v is None, "IS NOT NULL": lambda v: v is not None,
    "IS TRUE": lambda v: v is True, "IS NOT TRUE": lambda v: v is not True,
    "IS FALSE": lambda v: v is False, "IS NOT FALSE": lambda v: v is not False,
    "IS UNKNOWN": lambda v: v is None, "IS NOT UNKNOWN": lambda v: v is not None,
}  # fmt: skip
_PLAIN_LITERALS = (Root.TINYINT, Root.SMALLINT, Root.INT, Root.BIGINT, Root.DOUBLE, Root.DECIMAL, Root.CHAR,
                   Root.VARCHAR, Root.BOOLEAN)  # fmt: skip


def compile_condition(expr: Expr, leaf: Leaf, fallback: Callable[[Expr], Evaluate]) -> Evaluate:
    """``expr`` as a function. ``leaf`` gives that of an expression which reads rows, None for others."""

    def compile_(e: Expr) -> Evaluate:
        found = leaf(e) or _literal(e)
        if found is None and isinstance(e, Cast | Call):
            found = _cast(e, compile_) if isinstance(e, Cast) else _call(e, compile_)
        return found or fallback(e)

    return compile_(expr)


def _literal(e: Expr) -> Evaluate | None:
    if not isinstance(e, Literal) or not (e.value is None or e.type.root in _PLAIN_LITERALS):
        return None
    value = e.value
    if value is not None and e.type.root is Root.DOUBLE:
        value = float(value)  # type: ignore[arg-type]
    return lambda vals, row: value


def _cast(e: Cast, compile_: Callable[[Expr], Evaluate]) -> Evaluate | None:
    """To a wider integer, or from an integer to DOUBLE."""
    source, target = e.arg.type, e.type
    if not source.is_integer:
        return None
    if target.is_integer and WIDTHS[target.root] >= WIDTHS[source.root]:
        return compile_(e.arg)
    if target.root is not Root.DOUBLE:
        return None
    arg = compile_(e.arg)

    def to_double(vals: Values, row: Row) -> Value:
        v = arg(vals, row)
        return None if v is None else float(v)

    return to_double


def _call(e: Call, compile_: Callable[[Expr], Evaluate]) -> Evaluate | None:
    name = e.function.name
    if name in ("AND", "OR"):
        return _chain([compile_(a) for a in e.args], stop=name == "OR")
    if name == "NOT":
        inner = compile_(e.args[0])
        return lambda vals, row: None if (v := inner(vals, row)) is None else not v
    if name in _TESTS:
        test, inner = _TESTS[name], compile_(e.args[0])
        return lambda vals, row: test(inner(vals, row))
    if name == "COALESCE" and _same_types([*e.args, e]):
        return _coalesce([compile_(a) for a in e.args])
    if name == "CASE" and _same_types([*e.args[1:-1:2], e.args[-1], e]):
        return _case([compile_(a) for a in e.args])
    if name in _OPERATORS and _comparable(e.args):
        return _binary(_compare(name, e.args[0].type), *(compile_(a) for a in e.args))
    if name == "BETWEEN" and _comparable(e.args):
        return _between(e, compile_)
    if name in _ARITHMETIC and _same_types([*e.args, e]):
        return _arithmetic(name, e.type, [compile_(a) for a in e.args])
    return None


def _same_types(exprs: Sequence[Expr]) -> bool:
    return len({e.type.with_nullable(True) for e in exprs}) == 1


def _comparable(args: Sequence[Expr]) -> bool:
    """Types whose Python values compare as DuckDB's do: of one kind."""
    roots = {a.type.root for a in args}
    text = roots <= {Root.CHAR, Root.VARCHAR}
    exact = all(a.type.is_exact for a in args)
    return roots <= _COMPARABLE and (len(roots) == 1 or text or exact)


def _compare(name: str, type_: DataType) -> Callable[[Value, Value], Value]:
    if not type_.is_approximate:
        return _OPERATORS[name]
    return {
        "=": lambda a, b: a == b or (a != a and b != b),
        "<>": lambda a, b: not (a == b or (a != a and b != b)),
        ">": greatest_first,
        "<": lambda a, b: greatest_first(b, a),
        ">=": lambda a, b: not greatest_first(b, a),
        "<=": lambda a, b: not greatest_first(a, b),
    }[name]


def _binary(op: Callable[[Value, Value], Value], left: Evaluate, right: Evaluate) -> Evaluate:
    def evaluate(vals: Values, row: Row) -> Value:
        a = left(vals, row)
        if a is None:
            return None
        b = right(vals, row)
        return None if b is None else op(a, b)

    return evaluate


def _between(e: Call, compile_: Callable[[Expr], Evaluate]) -> Evaluate:
    x, low, high = (compile_(a) for a in e.args)
    type_ = e.args[0].type
    return _chain(
        [_binary(_compare(">=", type_), x, low), _binary(_compare("<=", type_), x, high)], stop=False
    )


def _arithmetic(name: str, type_: DataType, args: list[Evaluate]) -> Evaluate | None:
    op = _ARITHMETIC[name]
    if type_.root is Root.DOUBLE:
        return _binary(op, *args)
    if not type_.is_integer:
        return None
    bits = WIDTHS[type_.root]
    return _binary(lambda a, b: wrapped(op(a, b), bits), *args)


def _chain(parts: list[Evaluate], *, stop: bool) -> Evaluate:
    """AND (``stop`` False) or OR (True) in three-valued logic; evaluation ends at the first ``stop``."""

    def evaluate(vals: Values, row: Row) -> Value:
        unknown = False
        for part in parts:
            v = part(vals, row)
            if v is stop:
                return stop
            unknown = unknown or v is None
        return None if unknown else not stop

    return evaluate


def _coalesce(parts: list[Evaluate]) -> Evaluate:
    def evaluate(vals: Values, row: Row) -> Value:
        return next((v for part in parts if (v := part(vals, row)) is not None), None)

    return evaluate


def _case(parts: list[Evaluate]) -> Evaluate:
    branches, default = list(zip(parts[:-1:2], parts[1:-1:2], strict=True)), parts[-1]

    def evaluate(vals: Values, row: Row) -> Value:
        for condition, value in branches:
            if condition(vals, row) is True:
                return value(vals, row)
        return default(vals, row)

    return evaluate
