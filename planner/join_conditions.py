"""The condition of a join taken apart: what is equal on both sides, and what is left.

::

    a.k = b.k AND a.x + 1 = b.y AND a.v < b.v      keys (a.k, b.k), (a.x + 1, b.y); rest a.v < b.v
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamsql.datatypes import common_type

from .expressions import TRUE, Call, Expr, Literal, conjuncts, input_refs, is_deterministic, shift
from .functions import conjunction
from .functions.coercion import as_type
from .functions.registry import FunctionRegistry

_FUNCTIONS = FunctionRegistry()

EQUAL, SAME = "=", "IS NOT DISTINCT FROM"


@dataclass(frozen=True)
class KeyPair:
    """A left and a right value that must be equal, each over the columns of its own input.

    ``null_safe``: NULL equals NULL; otherwise a row with a NULL matches nothing.
    """

    left: Expr
    right: Expr
    null_safe: bool = False


@dataclass(frozen=True)
class JoinCondition:
    """``rest``: the other conditions, over the columns of both inputs."""

    keys: tuple[KeyPair, ...]
    rest: tuple[Expr, ...]

    @property
    def residual(self) -> Expr | None:
        return conjunction(self.rest) if self.rest else None


def split_condition(condition: Expr | None, width: int) -> JoinCondition:
    """Keys and rest of a condition over ``width`` left columns and then the right ones."""
    keys: list[KeyPair] = []
    rest: list[Expr] = []
    for part in parts_of(condition):
        pair = key_pair(part, width)
        if pair is not None:
            keys.append(pair)
        else:
            rest.append(part)
    return JoinCondition(tuple(keys), tuple(rest))


def parts_of(condition: Expr | None) -> list[Expr]:
    """The conditions that AND joins; none for TRUE. ``(a AND b) IS TRUE`` counts as both."""
    found: list[Expr] = []
    for part in [] if condition is None else conjuncts(condition):
        if isinstance(part, Call) and part.function.name == "IS TRUE":
            found += parts_of(part.args[0])
        elif part != TRUE and not (isinstance(part, Literal) and part.value is True):
            found.append(part)
    return found


def key_pair(part: Expr, width: int) -> KeyPair | None:
    """The two sides of an equality of a left with a right value; None where it is no such thing."""
    if not (isinstance(part, Call) and part.function.name in (EQUAL, SAME)) or not is_deterministic(part):
        return None
    a, b = part.args
    sides = side_of(a, width), side_of(b, width)
    if sides == ("right", "left"):
        a, b = b, a
    elif sides != ("left", "right"):
        return None
    if a.type.arrow != b.type.arrow:
        shared = common_type(a.type, b.type)
        if shared is None or a.type.is_nested:
            return None
        a, b = as_type(a, shared), as_type(b, shared)
        if a.type.arrow != b.type.arrow:
            return None
    return KeyPair(a, shift(b, -width), part.function.name == SAME)


def side_of(expr: Expr, width: int) -> str:
    """``left``, ``right``, ``both``, or ``none`` for an expression that reads no column."""
    used = input_refs(expr)
    left, right = any(i < width for i in used), any(i >= width for i in used)
    return ("none", "right", "left", "both")[2 * left + right]


def only_if(condition: Expr) -> Expr:
    """TRUE where the condition is TRUE, else NULL: as a key, such a row matches nothing."""
    return call("NULLIF", call("IS TRUE", condition), Literal(False, TRUE.type))


def call(name: str, *args: Expr) -> Expr:
    """A built-in function of arguments that have its types already."""
    function = _FUNCTIONS.operator(name)
    return Call(function, args, function.infer(args))


def unique_names(names: Sequence[str]) -> list[str]:
    """The names, a repeated one with a number, as in Flink's plans: ``id``, ``id0``."""
    found: list[str] = []
    for name in names:
        unique, n = name, 0
        while unique in found:
            unique, n = f"{name}{n}", n + 1
        found.append(unique)
    return found
