"""Logical operators in three-valued logic."""

from __future__ import annotations

from streamsql.datatypes import BOOLEAN

from .base import FunctionDef, scalar

CATEGORY = "logical"


def _chain(name: str, description: str) -> FunctionDef:
    return scalar(
        name, CATEGORY, "(BOOLEAN, BOOLEAN...)", BOOLEAN(),
        lambda inv: "(" + f" {name} ".join(inv.args) + ")", description,
        exact=True, form="infix", syntax=(f"boolean1 {name} boolean2",),
    )  # fmt: skip


def _is(name: str, sql: str, description: str) -> FunctionDef:
    return scalar(
        name, CATEGORY, "(BOOLEAN)", BOOLEAN(), sql, description,
        nullable="never", exact=True, form="postfix", syntax=(f"boolean {name}",),
    )  # fmt: skip


FUNCTIONS: tuple[FunctionDef, ...] = (
    _chain("OR", "TRUE if one of both is TRUE."),
    _chain("AND", "TRUE if both are TRUE."),
    scalar(
        "NOT", CATEGORY, "(BOOLEAN)", BOOLEAN(), "(NOT {0})", "The opposite; UNKNOWN stays UNKNOWN.",
        exact=True, form="prefix", syntax=("NOT boolean",),
    ),
    _is("IS TRUE", "({0} IS TRUE)", "TRUE if the value is TRUE, else FALSE."),
    _is("IS NOT TRUE", "({0} IS NOT TRUE)", "TRUE if the value is FALSE or UNKNOWN."),
    _is("IS FALSE", "({0} IS FALSE)", "TRUE if the value is FALSE, else FALSE."),
    _is("IS NOT FALSE", "({0} IS NOT FALSE)", "TRUE if the value is TRUE or UNKNOWN."),
    _is("IS UNKNOWN", "({0} IS NULL)", "TRUE if the value is UNKNOWN (NULL)."),
    _is("IS NOT UNKNOWN", "({0} IS NOT NULL)", "TRUE if the value is TRUE or FALSE."),
)  # fmt: skip
