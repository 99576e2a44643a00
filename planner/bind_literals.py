"""Literals: numbers with Flink's types, strings, points in time."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.datatypes import BIGINT, DATE, DECIMAL, DOUBLE, INT, DataType, Root
from streamsql.errors import UnsupportedError, ValidationError

from .expressions import Expr, Literal

if TYPE_CHECKING:
    from .expression_binder import ExpressionBinder


def literal(node: exp.Expr) -> Literal:
    """A string is CHAR(n); 1 is INT, 3000000000 BIGINT, 1.50 DECIMAL(3, 2), 1e3 DOUBLE."""
    assert isinstance(node, exp.Literal)
    if node.is_string:
        return string(str(node.this))
    return number(str(node.this))


def string(text: str) -> Literal:
    """A string constant of type CHAR(n) NOT NULL."""
    return Literal(text, DataType(Root.CHAR, nullable=False, length=len(text)))


def number(text: str) -> Literal:
    """A numeric constant. Raises ValidationError for one of more than 38 digits."""
    if "e" in text.lower():
        return Literal(float(text), DOUBLE().not_null())
    if "." in text:
        whole, _, fraction = text.partition(".")
        precision = max(len(whole) + len(fraction), 1)
        if precision > 38:
            raise ValidationError(
                f"the number {text} has more than 38 digits", hint="write it as 1.5e0 (DOUBLE)"
            )
        return Literal(Decimal(text), DECIMAL(precision, len(fraction)).not_null())
    value = int(text)
    if value <= 2147483647:
        return Literal(value, INT().not_null())
    if value <= 9223372036854775807:
        return Literal(value, BIGINT().not_null())
    if len(str(value)) > 38:
        raise ValidationError(f"the number {text} has more than 38 digits", hint="write it as 1e40 (DOUBLE)")
    return Literal(Decimal(value), DECIMAL(len(str(value)), 0).not_null())


def hex_string(node: exp.Expr) -> Literal:
    """``X'0A'``."""
    digits = str(node.this)
    if len(digits) % 2 or not re.fullmatch("[0-9A-Fa-f]*", digits):
        raise ValidationError(
            f"X'{digits}' is not a byte string", hint="use an even number of hexadecimal digits"
        )
    value = bytes.fromhex(digits)
    return Literal(value, DataType(Root.BINARY, nullable=False, length=len(value)))


def negation(binder: ExpressionBinder, node: exp.Expr) -> Expr:
    """``-x``; of a number it is a constant again."""
    inner = node.this
    if isinstance(inner, exp.Literal) and not inner.is_string:
        found = number(str(inner.this))
        if found.value == 2147483648:
            return Literal(-2147483648, INT().not_null())
        if found.value == Decimal(9223372036854775808):
            return Literal(-9223372036854775808, BIGINT().not_null())
        assert isinstance(found.value, int | float | Decimal)
        return Literal(-found.value, found.type)
    operand = binder.bind(inner)
    if isinstance(operand, Literal) and operand.type.is_interval and isinstance(operand.value, int):
        return Literal(-operand.value, operand.type)
    return binder.named("NEGATE", [operand], node)


_TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,9}))?")


def moment(node: exp.Expr) -> Literal:
    """``DATE '…'``, ``TIME '…'``, ``TIMESTAMP '…'``; the precision is the number of digits written."""
    text = str(node.this.name).strip()
    kind = node.args["to"].this
    if kind is exp.DType.DATE:
        return Literal(_date(text), DATE().not_null())
    if kind is exp.DType.TIME:
        time, precision = _time(text, text)
        return Literal(time, DataType(Root.TIME, nullable=False, precision=precision))
    day, _, clock = text.partition(" ")
    if not clock:
        raise _wrong(text, "TIMESTAMP", "yyyy-MM-dd HH:mm:ss[.fff]")
    time, precision = _time(clock.strip(), text, "TIMESTAMP")
    root = Root.TIMESTAMP_LTZ if kind is exp.DType.TIMESTAMPLTZ else Root.TIMESTAMP
    if root is Root.TIMESTAMP_LTZ:
        raise UnsupportedError(
            "TIMESTAMP_LTZ literals are not supported", hint="CAST(TIMESTAMP '…' AS TIMESTAMP_LTZ(3))"
        )
    value = dt.datetime.combine(_date(day, text, "TIMESTAMP"), time)
    return Literal(value, DataType(root, nullable=False, precision=precision))


def _date(text: str, whole: str | None = None, kind: str = "DATE") -> dt.date:
    found = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", text)
    try:
        if found:
            return dt.date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        pass
    raise _wrong(whole or text, kind, "yyyy-MM-dd" if kind == "DATE" else "yyyy-MM-dd HH:mm:ss[.fff]")


def _time(text: str, whole: str, kind: str = "TIME") -> tuple[dt.time, int]:
    found = _TIME.fullmatch(text)
    form = "HH:mm:ss[.fff]" if kind == "TIME" else "yyyy-MM-dd HH:mm:ss[.fff]"
    if not found:
        raise _wrong(whole, kind, form)
    fraction = found[4] or ""
    if len(fraction) > 6:
        raise UnsupportedError(f"{kind} '{whole}': more than 6 digits of a second are not supported")
    try:
        return dt.time(int(found[1]), int(found[2]), int(found[3]), int(fraction.ljust(6, "0"))), len(
            fraction
        )
    except ValueError:
        raise _wrong(whole, kind, form) from None


def _wrong(text: str, kind: str, form: str) -> ValidationError:
    return ValidationError(f"'{text}' is not a {kind}, expected '{form}'")
