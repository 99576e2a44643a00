"""PRINTF: Java's format strings, where they are constants.

Conversions ``d x X o s f e %% n`` with the flags ``- + 0`` and space, a width and a precision. A NULL argument prints
``null``; a format that does not fit its arguments gives NULL.

Source: Flink's PRINTF (2.x), which hands on to java.util.Formatter.
"""

from __future__ import annotations

import re

from streamsql.datatypes import STRING, DataType, Root
from streamsql.errors import UnsupportedError

from ..sql_parts import quote
from .base import FunctionDef, Invocation, scalar

_SPEC = re.compile(r"%(?:(\d+)\$)?([-#+ 0,(]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])")
_NULL = "CAST(NULL AS VARCHAR)"


def _printf(inv: Invocation) -> str:
    format_ = inv.text(0, "format")
    pieces: list[str] = []
    at = used = 0
    for found in _SPEC.finditer(format_):
        pieces.append(_literal(format_[at : found.start()]))
        at = found.end()
        number, flags, width, precision, kind = found.groups()
        if kind in "%n":
            pieces.append(_literal("%" if kind == "%" else "\n"))
            continue
        if number is not None or set(flags) - set("-+ 0") or kind not in "dxXosfe":
            raise UnsupportedError(
                f"PRINTF with {found.group()!r} is not supported", hint="use %d, %x, %o, %s, %f or %e"
            )
        used += 1
        if used >= len(inv.args):
            return _NULL
        piece = _piece(inv.args[used], inv.types[used], flags, width or "", precision, kind)
        if piece is None:
            return _NULL
        pieces.append(piece)
    rest = format_[at:]
    if "%" in rest:
        return _NULL
    pieces.append(_literal(rest))
    return "concat(" + ", ".join(p for p in pieces if p) + ")" if any(pieces) else quote("")


def _literal(text: str) -> str:
    return quote(text) if text else ""


def _piece(arg: str, type_: DataType, flags: str, width: str, precision: str | None, kind: str) -> str | None:
    """SQL of one conversion; None where the argument has the wrong type for it."""
    pad = "-" if "-" in flags else ""
    null = f"printf({quote(f'%{pad}{width}s')}, 'null')"
    cut = "" if precision is None else f".{precision}"
    if kind in "dxXo":
        if not type_.is_integer or precision is not None:
            return None
        value = f"CAST({arg} AS BIGINT)"
    elif kind in "fe":
        if not (type_.is_numeric and not type_.is_integer):
            return None
        value, cut = f"CAST({arg} AS DOUBLE)", cut or ".6"
        if kind == "f":  # Java rounds the digits that the number prints, half up
            digits = f"round(TRY_CAST(CAST({arg} AS VARCHAR) AS DECIMAL(38, 15)), {min(int(cut[1:]), 15)})"
            value = f"coalesce(CAST({digits} AS DOUBLE), {value})"
    else:
        text = _as_text(arg, type_)
        if text is None or set(flags) - {"-"}:
            return None
        value = f"left({text}, {precision})" if precision is not None else text
        cut = ""
    return f"CASE WHEN {arg} IS NULL THEN {null} ELSE printf({quote(f'%{flags}{width}{cut}{kind}')}, {value}) END"


def _as_text(arg: str, type_: DataType) -> str | None:
    if type_.is_string:
        return arg
    if type_.root is Root.BOOLEAN:
        return f"CASE WHEN {arg} THEN 'true' ELSE 'false' END"
    if type_.is_integer or type_.root is Root.DECIMAL:
        return f"CAST({arg} AS VARCHAR)"
    raise UnsupportedError(f"PRINTF does not print {type_} with %s", hint="CAST it to STRING")


FUNCTIONS: tuple[FunctionDef, ...] = (
    scalar("PRINTF", "string", "(STRING, ANY...)", STRING(), _printf,
           "The arguments printed with a constant Java format: %d %x %o %s %f %e, flags, width, precision.",
           nullable="always"),
)  # fmt: skip
