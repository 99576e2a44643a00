"""Rules that several functions share: common types of arguments, and the casts that bring them there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Context, Decimal
from typing import TYPE_CHECKING

from streamsql.datatypes import DOUBLE, DataType, Root, common_type

from .base import TypeMismatch

if TYPE_CHECKING:
    from ..expressions import Expr

_WIDE = Context(prec=76)
_POINTS = (Root.DATE, Root.TIME, Root.TIMESTAMP, Root.TIMESTAMP_LTZ)


def as_type(expr: Expr, target: DataType) -> Expr:
    """The expression as a value of the type; an implicit cast is put around it where the value changes.

    A NULL literal just changes its type; nullability of the target follows the expression.
    """
    from ..casts import same_representation
    from ..expressions import Cast, Literal

    target = target.with_nullable(expr.type.nullable)
    if expr.type == target:
        return expr
    if isinstance(expr, Literal):
        if expr.value is None:
            return replace(expr, type=target.with_nullable(True))
        folded = _folded(expr.value, expr.type, target)
        if folded is not None:
            return Literal(folded, target)
    return expr if same_representation(expr.type, target) else Cast(expr, target)


def _folded(value: object, source: DataType, target: DataType) -> object | None:
    """A numeric constant as a value of a wider numeric type; None where it is no such case."""
    if not (source.is_exact and target.is_numeric and isinstance(value, int | Decimal)):
        return None
    if target.is_approximate:
        return float(value)
    if target.root is Root.DECIMAL:
        return Decimal(value).quantize(Decimal(1).scaleb(-target.scale), context=_WIDE)
    return value if source.is_integer and target.is_integer else None


def common_of(args: Sequence[Expr], what: str = "arguments") -> DataType:
    """The type all arguments convert to. Raises TypeMismatch naming the first that does not."""
    found = args[0].type
    for arg in args[1:]:
        merged = common_type(found, arg.type)
        if merged is None:
            raise TypeMismatch(f"{what} have no common type: {short(found)} and {short(arg.type)}")
        found = merged
    return found


def to_common(args: Sequence[Expr]) -> tuple[Expr, ...]:
    """All arguments as values of their common type."""
    found = common_of(args)
    return tuple(as_type(a, found) for a in args)


def to_double(args: Sequence[Expr]) -> tuple[Expr, ...]:
    """All arguments as DOUBLE."""
    return tuple(as_type(a, DOUBLE()) for a in args)


def comparable(left: Expr, right: Expr) -> tuple[Expr, Expr]:
    """Both sides as values that compare; a text meets a point in time or a truth value by being read as one.

    Source: Flink's ScalarOperatorGens.generateComparison. Raises TypeMismatch for number with text.
    """
    a, b = left.type, right.type
    if Root.NULL in (a.root, b.root):
        return (as_type(left, b), right) if a.root is Root.NULL else (left, as_type(right, a))
    for text, other in ((a, b), (b, a)):
        if text.is_string and (other.root in _POINTS or other.root is Root.BOOLEAN):
            target = replace(other, precision=6) if other.is_timestamp else other
            return as_type(left, target if text is a else a), as_type(right, target if text is b else b)
    if (a.is_numeric and b.is_numeric) or (a.is_string and b.is_string) or (a.is_binary and b.is_binary):
        return left, right
    if a.root is b.root and not a.is_nested:
        return left, right
    found = common_type(a, b)
    if found is None:
        raise TypeMismatch(f"cannot compare {short(a)} with {short(b)}")
    return as_type(left, found), as_type(right, found)


def short(type_: DataType) -> str:
    """The type without NOT NULL, for messages."""
    return type_.sql(nullability=False)
