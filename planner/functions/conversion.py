"""Conversion functions. CAST itself is a node of its own (``expressions.Cast``, ``planner/casts.py``)."""

from __future__ import annotations

from streamsql.datatypes import STRING

from ..sql_parts import quote
from .base import FunctionDef, Invocation, scalar

CATEGORY = "conversion"


def _typeof(inv: Invocation) -> str:
    return quote(inv.types[0].sql())


FUNCTIONS: tuple[FunctionDef, ...] = (
    scalar("TYPEOF", CATEGORY, "(ANY[, BOOLEAN])", STRING(), _typeof, "The name of the argument's type.",
           nullable="never"),
)  # fmt: skip

CASTS = (
    # syntax, result, description: nodes that are not function records
    ("CAST(value AS type)", "type", "The value converted; an error where it does not convert."),
    ("TRY_CAST(value AS type)", "type", "The value converted; NULL where it does not convert."),
)
