"""CASE and its relatives. Branches convert to their common type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from streamsql.datatypes import DataType

from .base import Compile, FunctionDef, Invocation, any_nullable, scalar
from .coercion import as_type, common_of, comparable, to_common

if TYPE_CHECKING:
    from ..expressions import Call, Expr

CATEGORY = "conditional"


def _case_values(args: Sequence[Expr]) -> list[Expr]:
    """The results: every second argument, and the last (ELSE)."""
    return [*args[1:-1:2], args[-1]]


def _case_args(args: Sequence[Expr]) -> Sequence[Expr]:
    found = common_of(_case_values(args), "the branches of CASE")
    last = len(args) - 1
    return tuple(as_type(a, found) if i % 2 or i == last else a for i, a in enumerate(args))


def _case_type(args: Sequence[Expr]) -> DataType:
    values = _case_values(args)
    return common_of(values).with_nullable(any_nullable(values))


def _case(inv: Invocation) -> str:
    *branches, otherwise = inv.args
    pairs = zip(branches[::2], branches[1::2], strict=True)
    return f"CASE {' '.join(f'WHEN {c} THEN {v}' for c, v in pairs)} ELSE {otherwise} END"


def _case_text(call: Call) -> str:
    *branches, otherwise = (a.text() for a in call.args)
    pairs = zip(branches[::2], branches[1::2], strict=True)
    return f"CASE {' '.join(f'WHEN {c} THEN {v}' for c, v in pairs)} ELSE {otherwise} END"


def _if_args(args: Sequence[Expr]) -> Sequence[Expr]:
    return (args[0], *to_common(args[1:]))


def _if_type(args: Sequence[Expr]) -> DataType:
    return common_of(args[1:]).with_nullable(any_nullable(args[1:]))


def _coalesce_type(args: Sequence[Expr]) -> DataType:
    return common_of(args).with_nullable(all(a.type.nullable for a in args))


def _if_null_type(args: Sequence[Expr]) -> DataType:
    return common_of(args).with_nullable(args[1].type.nullable)


def _null_if_args(args: Sequence[Expr]) -> Sequence[Expr]:
    left, right = comparable(args[0], args[1])
    return (left, right) if left is args[0] else (args[0], as_type(args[1], args[0].type))


def _extreme(function: str) -> Compile:
    """DuckDB's own functions skip NULLs."""

    def compile_(inv: Invocation) -> str:
        known = " AND ".join(
            f"{a} IS NOT NULL" for a, t in zip(inv.args, inv.types, strict=True) if t.nullable
        )
        found = f"{function}({', '.join(inv.args)})"
        return f"CASE WHEN {known} THEN {found} END" if known else found

    return compile_


_COMMON = "common type of the results"

FUNCTIONS: tuple[FunctionDef, ...] = (
    scalar("CASE", CATEGORY, "(BOOLEAN, ANY, ANY...)", _case_type, _case,
           "The result of the first condition that is TRUE, or of the first value that is equal; else ELSE or NULL.",
           nullable="rule", coerce=_case_args, exact=True, render=_case_text, result_text=_COMMON,
           syntax=("CASE WHEN condition THEN result [WHEN …]* [ELSE result] END",
                   "CASE value WHEN value1 THEN result [WHEN …]* [ELSE result] END")),
    scalar("NULLIF", CATEGORY, "(ANY, ANY)", lambda args: args[0].type, "nullif({0}, {1})",
           "NULL if both are equal, else the first.", nullable="always", coerce=_null_if_args,
           result_text="type of value1"),
    scalar("COALESCE", CATEGORY, "(ANY...)", _coalesce_type, "coalesce({args})",
           "The first argument that is not NULL.", nullable="rule", coerce=to_common, result_text=_COMMON),
    scalar("IF", CATEGORY, "(BOOLEAN, ANY, ANY)", _if_type, "CASE WHEN {0} THEN {1} ELSE {2} END",
           "The second if the first is TRUE, else the third.", nullable="rule", coerce=_if_args, exact=True,
           result_text=_COMMON),
    scalar("IFNULL", CATEGORY, "(ANY, ANY)", _if_null_type, "coalesce({0}, {1})",
           "The first, or the second where the first is NULL.", nullable="rule", coerce=to_common,
           result_text=_COMMON),
    scalar("GREATEST", CATEGORY, "(ANY...)", common_of, _extreme("greatest"),
           "The greatest argument; NULL if one is NULL.", coerce=to_common, result_text=_COMMON),
    scalar("LEAST", CATEGORY, "(ANY...)", common_of, _extreme("least"),
           "The least argument; NULL if one is NULL.", coerce=to_common, result_text=_COMMON),
)  # fmt: skip
