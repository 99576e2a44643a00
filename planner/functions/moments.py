"""Arithmetic of points in time and intervals.

An interval of days to seconds is a number of milliseconds: a day is 86,400,000 of them, also across a change to
summer time. Months are added on the calendar; the day is cut to the length of the month. Both as in Flink.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from streamsql.datatypes import DATE, TIMESTAMP, DataType, Root

from ..sql_parts import cast
from .base import Invocation, TypeMismatch, literal_value

if TYPE_CHECKING:
    from ..expressions import Expr

_POINTS = (Root.DATE, Root.TIME, Root.TIMESTAMP, Root.TIMESTAMP_LTZ)
DAY_MS = 86_400_000


def check(operator: str, a: DataType, b: DataType) -> None:
    """Raise TypeMismatch unless the operator takes these two types."""
    if operator == "-" and a.root in _POINTS and b.root in _POINTS:
        raise TypeMismatch("points in time are subtracted with TIMESTAMPDIFF(unit, from, to)")
    if operator in ("+", "-") and a.root in _POINTS and b.is_interval:
        if a.root is Root.TIME and b.root is Root.INTERVAL_MONTH:
            raise TypeMismatch("months cannot be added to a TIME")
        return
    if operator == "+" and b.root in _POINTS and a.is_interval:
        return
    if operator in ("+", "-") and a.is_interval and a.root is b.root:
        return
    if operator == "*" and ((a.is_interval and b.is_numeric) or (a.is_numeric and b.is_interval)):
        return
    if operator == "/" and a.is_interval and b.is_numeric:
        return
    raise TypeMismatch(f"{a.sql(nullability=False)} {operator} {b.sql(nullability=False)} is not defined")


def result(operator: str, left: Expr, right: Expr) -> DataType:
    """The result type; DATE plus an interval that is not of whole days is a TIMESTAMP."""
    point, interval = (right, left) if right.type.root in _POINTS else (left, right)
    if point.type.root not in _POINTS:
        return left.type if left.type.is_interval else right.type
    value = literal_value(interval)
    if point.type.root is not Root.DATE:
        fine = interval.type.root is Root.INTERVAL_SECOND and isinstance(value, int) and value % 1000 != 0
        return replace(point.type, precision=3) if fine and point.type.precision < 3 else point.type
    split = interval.type.root is Root.INTERVAL_SECOND and isinstance(value, int) and value % DAY_MS != 0
    return TIMESTAMP(3) if split else DATE()


def arithmetic(operator: str, x: str, y: str, inv: Invocation) -> str:
    """DuckDB SQL of the operator, of exactly the result type."""
    a, b = inv.types
    if a.is_interval and b.is_interval:
        return f"({x} {operator} {y})"
    if operator == "*":
        interval, number, type_ = (x, y, a) if a.is_interval else (y, x, b)
        return _scaled(interval, f"* {number}", type_)
    if operator == "/":
        return _scaled(x, f"/ {y}", a)
    if a.is_interval:
        x, y, a, b = y, x, b, a
    return add(x, y, a, b, inv.type, operator)


def add(
    point: str, interval: str, type_: DataType, interval_type: DataType, to: DataType, operator: str = "+"
) -> str:
    """``point operator interval`` as a value of ``to``."""
    if type_.root is Root.TIMESTAMP_LTZ and interval_type.root is Root.INTERVAL_MONTH:
        return (
            f"timezone('UTC', timezone('UTC', {point}) {operator} {interval})"  # Flink counts months in UTC
        )
    moved = f"({point} {operator} {interval})"
    return cast(moved, to.duckdb) if type_.root is Root.DATE else moved


def _scaled(interval: str, by: str, type_: DataType) -> str:
    if type_.root is Root.INTERVAL_MONTH:
        months = f"(datepart('year', {interval}) * 12 + datepart('month', {interval}))"
        return f"to_months(CAST(trunc({months} {by}) AS INTEGER))"
    return f"to_milliseconds(CAST(trunc(epoch_ms({interval}) {by}) AS BIGINT))"
