"""What a join's condition says about time: interval joins, window joins, and the time attributes that come out.

A regular join yields rows whenever a partner comes, however late: its columns are ordinary timestamps. The others keep
event time, because time bounds what they wait for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamsql.datatypes import Root
from streamsql.schema import PROCTIME, ROWTIME, Schema

from .expressions import Call, Cast, Expr, InputRef, Literal
from .join_conditions import JoinCondition, KeyPair, key_pair, parts_of
from .logical import Join
from .logical_joins import TemporalJoin
from .windows import window_columns, window_match

Moment = tuple[int, int]
"""A column and the milliseconds added to it."""


@dataclass(frozen=True)
class IntervalBounds:
    """``left time − right time`` is in ``[lower_ms, upper_ms]``. The times are columns of their own inputs."""

    left_time: int
    right_time: int
    lower_ms: int
    upper_ms: int
    proctime: bool
    condition: JoinCondition


def settled(node: Join) -> Join:
    """The join with the time attributes that its rows keep."""
    fields = [*node.left.schema, *node.right.schema][: len(node.schema)]
    times = [f.time for f in fields]
    width = len(node.left.schema)
    if isinstance(node, TemporalJoin):
        times = [t if i < width or t == PROCTIME else None for i, t in enumerate(times)]
    elif (match := window_match(node)) is not None:
        kept = {i for i, c in window_columns(node).items() if c.role == "time"}
        times = [
            t if i in kept or (t == PROCTIME and not match.clock.proctime) else None
            for i, t in enumerate(times)
        ]
    elif (bounds := interval_bounds(node)) is None or bounds.proctime:
        times = [t if t == PROCTIME else None for t in times]
    if times == [f.time for f in node.schema]:
        return node
    schema = Schema(tuple(replace(f, time=t) for f, t in zip(node.schema, times, strict=True)))
    return replace(node, schema=schema)


# -- intervals -----------------------------------------------------------------------------------------------------


def interval_bounds(node: Join) -> IntervalBounds | None:
    """The bounds that the condition puts on the time attributes of both inputs; None without both of them."""
    if node.null_aware or isinstance(node, TemporalJoin):
        return None
    width = len(node.left.schema)
    columns: tuple[int, int] | None = None
    lower: int | None = None
    upper: int | None = None
    keys: list[KeyPair] = []
    rest: list[Expr] = []
    for part in parts_of(node.condition):
        bounds = _bounds(part, node)
        if bounds is None or (columns is not None and bounds[0] != columns):
            pair = key_pair(part, width)
            if pair is not None:
                keys.append(pair)
            else:
                rest.append(part)
            continue
        columns, least, most = bounds
        lower = least if lower is None or (least is not None and least > lower) else lower
        upper = most if upper is None or (most is not None and most < upper) else upper
    if columns is None or lower is None or upper is None:
        return None
    proctime = node.left.schema[columns[0]].time == PROCTIME
    return IntervalBounds(*columns, lower, upper, proctime, JoinCondition(tuple(keys), tuple(rest)))


Bounds = tuple[tuple[int, int], int | None, int | None]


def _bounds(part: Expr, node: Join) -> Bounds | None:
    """The two time columns that a comparison is about, and the least and greatest difference it allows."""
    if not isinstance(part, Call):
        return None
    if part.function.name == "BETWEEN":
        low = _compared(">=", part.args[0], part.args[1], node)
        high = _compared("<=", part.args[0], part.args[2], node)
        if low is None or high is None or low[0] != high[0]:
            return None
        least, most = [low[1], high[1]], [low[2], high[2]]
        return (
            low[0],
            next((v for v in least if v is not None), None),
            next((v for v in most if v is not None), None),
        )
    if part.function.name in _FLIPPED:
        return _compared(part.function.name, part.args[0], part.args[1], node)
    return None


_FLIPPED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _compared(operator: str, a: Expr, b: Expr, node: Join) -> Bounds | None:
    one, other = _moment(a), _moment(b)
    if one is None or other is None:
        return None
    width = len(node.left.schema)
    if one[0] >= width > other[0]:
        one, other, operator = other, one, _FLIPPED[operator]
    if not one[0] < width <= other[0]:
        return None
    left, right = node.left.schema[one[0]], node.right.schema[other[0] - width]
    if left.time is None or left.time != right.time or left.type.root is not right.type.root:
        return None
    assert left.time in (ROWTIME, PROCTIME)
    difference = other[1] - one[1]
    least = {">": difference + 1, ">=": difference, "=": difference}.get(operator)
    most = {"<": difference - 1, "<=": difference, "=": difference}.get(operator)
    return (one[0], other[0] - width), least, most


def _moment(e: Expr) -> Moment | None:
    """A column, plus or minus constant lengths of time."""
    added = 0
    while True:
        match e:
            case InputRef() if e.type.is_timestamp:
                return e.index, added
            case Cast() if _keeps_millis(e):
                e = e.arg
            case Call() if e.function.name in ("+", "-"):
                e, sign, length = _without_length(e)
                if length is None:
                    return None
                added += sign * length
            case _:
                return None


def _without_length(e: Call) -> tuple[Expr, int, int | None]:
    a, b = e.args
    sign = 1 if e.function.name == "+" else -1
    if (length := _length(b)) is not None:
        return a, sign, length
    return (b, 1, _length(a)) if sign == 1 else (a, 1, None)


def _length(e: Expr) -> int | None:
    if isinstance(e, Literal) and e.type.root is Root.INTERVAL_SECOND and isinstance(e.value, int):
        return e.value
    return None


def _keeps_millis(e: Cast) -> bool:
    return e.arg.type.root is e.type.root and e.type.is_timestamp and e.type.precision >= 3


def time_columns(schema: Schema, kind: str = ROWTIME) -> Sequence[int]:
    """The columns of a schema that are time attributes."""
    return [i for i, f in enumerate(schema) if f.time == kind]
