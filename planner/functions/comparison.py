"""Comparison operators: three-valued, with texts read as points in time where they meet one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from streamsql.datatypes import BOOLEAN, DataType, common_type
from streamsql.errors import UnsupportedError

from ..sql_parts import let, quote
from .base import FunctionDef, Invocation, TypeMismatch, scalar
from .coercion import as_type, comparable, short

if TYPE_CHECKING:
    from ..expressions import Call, Expr

CATEGORY = "comparison"


def _pair(args: Sequence[Expr]) -> Sequence[Expr]:
    return comparable(args[0], args[1])


def _many(args: Sequence[Expr]) -> Sequence[Expr]:
    """The first value and those it is compared with, all of one comparable type."""
    target: DataType = args[0].type
    for arg in args[1:]:
        left, right = comparable(args[0], arg)
        for side in (left.type, right.type):
            merged = common_type(target, side)
            if merged is None:
                first = comparable(as_type(args[0], side), arg)[0].type
                merged = first
            target = merged
    return tuple(as_type(a, target) for a in args)


def _operator(name: str, description: str, sql: str, nullable: str = "args") -> FunctionDef:
    return scalar(
        name, CATEGORY, "(ANY, ANY)", BOOLEAN(), sql, description,
        nullable=nullable, coerce=_pair, exact=True, form="infix", syntax=(f"value1 {name} value2",),
    )  # fmt: skip


def _test(name: str, description: str, sql: str) -> FunctionDef:
    return scalar(
        name, CATEGORY, "(ANY)", BOOLEAN(), sql, description,
        nullable="never", exact=True, form="postfix", syntax=(f"value {name}",),
    )  # fmt: skip


def _between_symmetric(inv: Invocation) -> str:
    x, low, high = inv.args
    return let(
        x,
        lambda v: f"(({v} BETWEEN {low} AND {high}) OR ({v} BETWEEN {high} AND {low}))",
        volatile=inv.volatile,
    )


def _between_text(call: Call) -> str:
    x, low, high = (a.text() for a in call.args)
    symmetric = "SYMMETRIC " if call.function.name.endswith("SYMMETRIC") else ""
    return f"({x} BETWEEN {symmetric}{low} AND {high})"


def _in_text(call: Call) -> str:
    first, *rest = (a.text() for a in call.args)
    return f"({first} IN ({', '.join(rest)}))"


def _pattern_args(args: Sequence[Expr]) -> Sequence[Expr]:
    if not args[0].type.is_string or not args[1].type.is_string:
        raise TypeMismatch(f"a pattern is matched against a string, not {short(args[0].type)}")
    return args


def _escape(inv: Invocation) -> str:
    return f" ESCAPE {inv.args[2]}" if len(inv.args) > 2 else ""


def similar_to_regex(pattern: str, escape: str = "") -> str:
    """An SQL regular expression as one of RE2: ``%`` is any text, ``_`` any character.

    >>> similar_to_regex("(a|b)%_")
    '(a|b).*.'
    """
    out: list[str] = []
    chars = iter(pattern)
    for c in chars:
        if escape and c == escape:
            following = next(chars, "")
            out.append("\\" + following if not following.isalnum() else following)
        else:
            out.append({"%": ".*", "_": ".", ".": "\\.", "^": "\\^", "$": "\\$", "\\": "\\\\"}.get(c, c))
    return "".join(out)


def _similar(inv: Invocation) -> str:
    pattern, escape = inv.constant(1), inv.constant(2)
    if isinstance(pattern, str):
        return f"regexp_full_match({inv.args[0]}, {quote(similar_to_regex(pattern, str(escape or '')))}, 's')"
    if len(inv.args) > 2:
        raise UnsupportedError(
            "SIMILAR TO … ESCAPE needs a constant pattern", hint="write the pattern as a literal"
        )
    dotted = inv.args[1]
    for old, new in (("\\", "\\\\"), (".", "\\."), ("%", ".*"), ("_", ".")):
        dotted = f"replace({dotted}, {quote(old)}, {quote(new)})"
    return f"regexp_full_match({inv.args[0]}, {dotted}, 's')"


def _pattern_text(call: Call) -> str:
    first, second, *rest = (a.text() for a in call.args)
    escape = f" ESCAPE {rest[0]}" if rest else ""
    return f"({first} {call.function.name} {second}{escape})"


FUNCTIONS: tuple[FunctionDef, ...] = (
    _operator("=", "TRUE if both are equal.", "({0} = {1})"),
    _operator("<>", "TRUE if they differ.", "({0} <> {1})"),
    _operator(">", "TRUE if value1 is greater.", "({0} > {1})"),
    _operator(">=", "TRUE if value1 is greater or equal.", "({0} >= {1})"),
    _operator("<", "TRUE if value1 is smaller.", "({0} < {1})"),
    _operator("<=", "TRUE if value1 is smaller or equal.", "({0} <= {1})"),
    _operator("IS DISTINCT FROM", "Like <>, but two NULLs are equal.", "({0} IS DISTINCT FROM {1})", "never"),
    _operator("IS NOT DISTINCT FROM", "Like =, but two NULLs are equal.", "({0} IS NOT DISTINCT FROM {1})", "never"),
    _test("IS NULL", "TRUE if the value is NULL.", "({0} IS NULL)"),
    _test("IS NOT NULL", "TRUE if the value is not NULL.", "({0} IS NOT NULL)"),
    scalar(
        "BETWEEN", CATEGORY, "(ANY, ANY, ANY)", BOOLEAN(), "({0} BETWEEN {1} AND {2})",
        "TRUE if value1 is not less than value2 and not greater than value3; NOT BETWEEN is the opposite.",
        coerce=_many, exact=True, render=_between_text,
        syntax=("value1 [NOT] BETWEEN [ASYMMETRIC] value2 AND value3",),
    ),
    scalar(
        "BETWEEN SYMMETRIC", CATEGORY, "(ANY, ANY, ANY)", BOOLEAN(), _between_symmetric,
        "TRUE if value1 lies between the two bounds, whichever of them is the smaller.",
        coerce=_many, exact=True, render=_between_text,
        syntax=("value1 [NOT] BETWEEN SYMMETRIC value2 AND value3",),
    ),
    scalar(
        "IN", CATEGORY, "(ANY, ANY...)", BOOLEAN(), lambda inv: f"({inv.args[0]} IN ({', '.join(inv.args[1:])}))",
        "TRUE if the value is in the list; UNKNOWN if it is not and the list holds a NULL.",
        coerce=_many, exact=True, render=_in_text, syntax=("value1 [NOT] IN (value2[, value3]*)",),
    ),
    scalar(
        "LIKE", CATEGORY, "(STRING, STRING[, STRING])", BOOLEAN(),
        lambda inv: f"({inv.args[0]} LIKE {inv.args[1]}{_escape(inv)})",
        "TRUE if the text matches the pattern: % is any text, _ any character.",
        coerce=_pattern_args, exact=True, render=_pattern_text,
        syntax=("string1 [NOT] LIKE string2 [ESCAPE char]",),
    ),
    scalar(
        "SIMILAR TO", CATEGORY, "(STRING, STRING[, STRING])", BOOLEAN(), _similar,
        "TRUE if the whole text matches the SQL regular expression.",
        coerce=_pattern_args, exact=True, render=_pattern_text,
        syntax=("string1 [NOT] SIMILAR TO string2 [ESCAPE char]",),
    ),
)  # fmt: skip
