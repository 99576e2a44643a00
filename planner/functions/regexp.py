"""Regular expressions in Java syntax, run by RE2. A pattern that is no regular expression gives NULL "
"(REGEXP: FALSE)."""

from __future__ import annotations

from streamsql.datatypes import ARRAY, BOOLEAN, INT, STRING
from streamsql.errors import UnsupportedError

from ..sql_parts import let, quote
from .base import FunctionDef, Invocation, scalar
from .java_regex import group_count, is_valid, to_re2

CATEGORY = "regexp"


def _pattern(inv: Invocation) -> str | None:
    """SQL of the pattern in RE2's syntax; None if it is a constant that is no regular expression.

    A pattern from a column is handed to RE2 as it is: the common part of both syntaxes is large.
    """
    known = inv.constant(1)
    if not isinstance(known, str):
        return inv.args[1]
    translated = to_re2(known)
    return quote(translated) if is_valid(translated) else None


def _regexp(inv: Invocation) -> str:
    pattern = _pattern(inv)
    if pattern is None or inv.constant(1) == "":
        return f"CASE WHEN {inv.args[0]} IS NOT NULL THEN false END"
    return f"regexp_matches({inv.args[0]}, {pattern})"


def _replace(inv: Invocation) -> str:
    pattern = _pattern(inv)
    if pattern is None:
        return "CAST(NULL AS VARCHAR)"
    known = inv.constant(2)
    new = (
        quote(known.replace("\\", "\\\\"))
        if isinstance(known, str)
        else f"replace({inv.args[2]}, '\\', '\\\\')"
    )
    return f"regexp_replace({inv.args[0]}, {pattern}, {new}, 'g')"


def _group(inv: Invocation, default: int) -> int | None:
    """The constant group number; None if the pattern has no such group."""
    index = inv.constant(2) if len(inv.args) > 2 else default
    if not isinstance(index, int):
        raise UnsupportedError(
            f"{inv.call.function.name} needs a constant group number", hint="write it as a literal"
        )
    known = inv.constant(1)
    groups = group_count(known) if isinstance(known, str) else None
    return None if index < 0 or index > 9 or (groups is not None and index > groups) else index


def _extract(inv: Invocation) -> str:
    """DuckDB's regexp_extract gives '' for no match, the list of all matches tells it from an empty one."""
    pattern, group = _pattern(inv), _group(inv, 0)
    if pattern is None or group is None:
        return "CAST(NULL AS VARCHAR)"
    known = inv.constant(1)
    if isinstance(known, str) and _never_empty(known, group):
        return f"nullif(regexp_extract({inv.args[0]}, {pattern}, {group}), '')"
    return f"regexp_extract_all({inv.args[0]}, {pattern}, {group})[1]"


def _never_empty(pattern: str, group: int) -> bool:
    """Whether the group of a match surely holds a character: then '' can only mean that nothing matched.

    >>> _never_empty("foo(.*?)(bar)", 2), _never_empty("foo(.*?)(bar)", 1), _never_empty("a(b)?", 1)
    (True, False, False)
    """
    from re import _parser, error  # type: ignore[attr-defined]

    try:
        parsed = _parser.parse(pattern)
    except error:
        return False
    if group == 0:
        return bool(parsed.getwidth()[0] > 0)
    width = _group_width(parsed, group)
    return width is not None and width > 0


def _group_width(parsed: object, group: int) -> int | None:
    """The least width of a group that every match goes through, None if it may be skipped."""
    for op, value in parsed:  # type: ignore[attr-defined]
        if str(op) == "SUBPATTERN":
            number, inner = value[0], value[-1]
            if number == group:
                return int(inner.getwidth()[0])
            found = _group_width(inner, group)
            if found is not None:
                return found
        elif str(op) in ("MAX_REPEAT", "MIN_REPEAT") and value[0] > 0:
            found = _group_width(value[2], group)
            if found is not None:
                return found
    return None


def _extract_all(inv: Invocation) -> str:
    pattern, group = _pattern(inv), _group(inv, 1)
    if pattern is None or group is None:
        return "CAST(NULL AS VARCHAR[])"
    return f"regexp_extract_all({inv.args[0]}, {pattern}, {group})"


def _count(inv: Invocation) -> str:
    pattern = _pattern(inv)
    return (
        "CAST(NULL AS INTEGER)"
        if pattern is None
        else f"len(regexp_extract_all({inv.args[0]}, {pattern}, 0))"
    )


def _substr(inv: Invocation) -> str:
    pattern = _pattern(inv)
    return (
        "CAST(NULL AS VARCHAR)" if pattern is None else f"regexp_extract_all({inv.args[0]}, {pattern}, 0)[1]"
    )


def _instr(inv: Invocation) -> str:
    """The text before the first match is what a lazy ``^.*?`` in front of the pattern takes."""
    pattern = _pattern(inv)
    if pattern is None:
        return "CAST(NULL AS INTEGER)"
    known = inv.constant(1)
    if not isinstance(known, str):
        raise UnsupportedError("REGEXP_INSTR needs a constant pattern", hint="write it as a literal")
    before = quote(f"^((?s:.)*?)(?:{to_re2(known)})")

    def by(x: str) -> str:
        return f"CASE WHEN regexp_matches({x}, {pattern}) THEN length(regexp_extract({x}, {before}, 1)) + 1 ELSE 0 END"

    return let(f"CAST({inv.args[0]} AS VARCHAR)", lambda x: f"CASE WHEN {x} IS NOT NULL THEN {by(x)} END")


FUNCTIONS: tuple[FunctionDef, ...] = (
    scalar("REGEXP", CATEGORY, "(STRING, STRING)", BOOLEAN(), _regexp,
           "TRUE if a part of string1 matches the pattern."),
    scalar("REGEXP_REPLACE", CATEGORY, "(STRING, STRING, STRING)", STRING(), _replace,
           "With every match of the pattern replaced by string3, taken literally.", nullable="always"),
    scalar("REGEXP_EXTRACT", CATEGORY, "(STRING, STRING[, INT])", STRING(), _extract,
           "The first match, or a group of it; NULL if nothing matches.", nullable="always"),
    scalar("REGEXP_EXTRACT_ALL", CATEGORY, "(STRING, STRING[, INT])", ARRAY(STRING()), _extract_all,
           "All matches, or a group (1 by default, 0 the whole match) of each.", nullable="always"),
    scalar("REGEXP_COUNT", CATEGORY, "(STRING, STRING)", INT(), _count, "The number of matches.",
           nullable="always"),
    scalar("REGEXP_INSTR", CATEGORY, "(STRING, STRING)", INT(), _instr,
           "The position of the first match, 0 if there is none.", nullable="always"),
    scalar("REGEXP_SUBSTR", CATEGORY, "(STRING, STRING)", STRING(), _substr,
           "The first match, NULL if there is none.", nullable="always"),
)  # fmt: skip
