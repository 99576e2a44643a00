"""SQL text to syntax trees, with errors a person can act on, and scripts cut into statements.

The first function called imports sqlglot (about a tenth of a second); importing this module does not.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from streamsql.errors import ConfigError, Position, SqlSyntaxError, did_you_mean

if TYPE_CHECKING:
    from sqlglot import exp

_LEXEME = re.compile(
    r"""--[^\n]*            # comment to the end of the line
    | /\*.*?(?:\*/|\Z)      # comment, maybe not closed
    | [eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)
    | '(?:[^']|'')*(?:'|\Z)
    | `(?:[^`]|``)*(?:`|\Z)
    | [A-Za-z_][A-Za-z_0-9]*
    | \d+(?:\.\d+)?
    | \S
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_OPENERS = (("STATEMENT", "SET", "BEGIN"), ("BEGIN", "STATEMENT", "SET"))


def parse(sql: str) -> list[exp.Expr]:
    """The statements of ``sql``, in order.

    Raises:
        SqlSyntaxError: the text is not Flink SQL; with the place and, where a word looks misspelt, a hint.
    """
    return _parse_with(sql, "_parse_statement")


def _parse_part(text: str, method: str, what: str) -> exp.Expr:
    parts = _parse_with(text, method)
    if len(parts) != 1:
        raise SqlSyntaxError(f"Syntax error: found {len(parts) or 'nothing'}, expected {what}")
    return parts[0]


def _parse_with(sql: str, method: str) -> list[exp.Expr]:
    """Everything between semicolons, each read by this method of the parser."""
    from sqlglot import exp
    from sqlglot.errors import ParseError, TokenError

    from .dialect import Flink

    dialect = Flink()
    try:
        reader = dialect.parser()
    except TypeError as error:  # "interpreted classes cannot inherit from compiled"
        hint = "pip uninstall sqlglotc"
        raise ConfigError("sqlglot's compiled build takes no dialects but its own", hint=hint) from error
    try:
        parsed = reader._parse(lambda parser: getattr(parser, method)(), dialect.tokenize(sql), sql)
        return [node for node in parsed if isinstance(node, exp.Expr)]
    except ParseError as error:
        raise _syntax_error(sql, error.errors[0]) from None
    except TokenError:
        raise _token_error(sql) from None
    except RecursionError:
        raise SqlSyntaxError(
            "the statement is nested too deeply", hint="split it with WITH or views"
        ) from None


def parse_one(sql: str) -> exp.Expr:
    """The single statement of ``sql``.

    Raises:
        SqlSyntaxError: as `parse`, and when there is no statement or more than one.
    """
    statements = parse(sql)
    if not statements:
        raise SqlSyntaxError("found no statement, expected one")
    if len(statements) > 1:
        second = split_statements(sql)[1]
        position = Position.at(sql, second[1], second[1] + len(second[0]) - 1)
        message = f"found {len(statements)} statements, expected one"
        raise SqlSyntaxError(message, position=position, hint="execute them one by one, or as a script")
    return statements[0]


def parse_expression(text: str) -> exp.Expr:
    """A scalar expression such as a computed column's.

    Raises:
        SqlSyntaxError: as `parse`.
    """
    return _parse_part(text, "_parse_disjunction", "an expression")


def parse_type(text: str) -> exp.Expr:
    """A data type such as ``ROW<a INT, b STRING>``, as an ``exp.DataType``.

    Raises:
        SqlSyntaxError: as `parse`.
    """
    return _parse_part(text, "_parse_types", "a data type")


def position_of(node: Any, sql: str) -> Position | None:
    """Where ``node`` stands in ``sql``, or None when nothing in it carries a position.

    A node without offsets of its own reaches from its first to its last part that has some.
    """
    found = _offsets(node)
    return Position.at(sql, *found) if found else None


def _offsets(node: Any) -> tuple[int, int] | None:
    own = node.meta
    if own.get("start") is not None and own.get("end") is not None:
        return own["start"], own["end"]
    spans = [(n.meta["start"], n.meta["end"]) for n in node.walk() if n.meta.get("start") is not None]
    return (min(s for s, _ in spans), max(e for _, e in spans)) if spans else None


def split_statements(text: str) -> list[tuple[str, int]]:
    """The statements of a script as (text, offset of the text), without their semicolons.

    Semicolons in strings, comments, back-ticks and statement sets do not cut. A comment before a statement
    belongs to it; a piece with nothing but comments is left out.

    >>> split_statements("SELECT ';'; -- done\\nSELECT 2")
    [("SELECT ';'", 0), ('-- done\\nSELECT 2', 12)]
    """
    return [(piece, offset) for piece, offset, _ in _pieces(text)]


def is_complete(text: str) -> bool:
    """Whether ``text`` ends with a semicolon that is outside strings, comments and statement sets.

    >>> is_complete("SELECT 1;"), is_complete("SELECT 1"), is_complete("SELECT ';")
    (True, False, False)
    """
    pieces = _pieces(text)
    return bool(pieces) and pieces[-1][2]


def _pieces(text: str) -> list[tuple[str, int, bool]]:
    """(statement, offset, ended by a semicolon)."""
    pieces: list[tuple[str, int, bool]] = []
    start = 0
    words: list[str] = []
    for match in _LEXEME.finditer(text):
        lexeme = match[0]
        if lexeme.startswith(("--", "/*")):
            continue
        if lexeme == ";" and not _in_block(words):
            _add_piece(pieces, text, start, match.start(), words, True)
            start, words = match.end(), []
        else:
            words.append(lexeme.upper() if lexeme[0].isalpha() or lexeme == ";" else "'")
    _add_piece(pieces, text, start, len(text), words, False)
    return pieces


def _add_piece(
    pieces: list[tuple[str, int, bool]], text: str, start: int, end: int, words: list[str], ended: bool
) -> None:
    if not words:
        return
    piece = text[start:end]
    lead = len(piece) - len(piece.lstrip())
    pieces.append((piece.strip(), start + lead, ended))


def _in_block(words: list[str]) -> bool:
    """Whether a statement set has begun and not ended: END closes it where a statement could start."""
    for opener in _BLOCK_OPENERS:
        for at in range(len(words) - 2):
            if tuple(words[at : at + 3]) == opener:
                inside = words[at + 2 :]
                return not any(a == ";" and b == "END" for a, b in pairwise(inside))
    return False


# --- errors ---


def _syntax_error(sql: str, details: dict[str, Any]) -> SqlSyntaxError:
    found, start, end = details.get("highlight") or "", details["start"], details["end"]
    problem = details.get("description") or ""
    hint = _hint(sql, found, details)
    if hint is None and not details.get("candidates"):
        hint = _misspelt_clause(found)
        alias = details["alias"]
        if hint is None and alias and (hint := _misspelt_clause(alias[0])):
            found, start, end = alias
            problem = "unexpected"
    shown = f"found {_shown(found)}" if found else "found the end of the statement"
    if problem == "unexpected":
        problem = shown if hint else f"{shown}, expected the end of the statement"
    elif problem.startswith("expected"):
        problem = f"{shown}, {problem}"
    return SqlSyntaxError(f"Syntax error: {problem}", hint=hint, position=Position.at(sql, start, end))


def _shown(text: str) -> str:
    first = text.split("\n", 1)[0]
    short = f"{first[:37]}..." if len(first) > 40 else first
    return short if "'" in short else f"'{short}'"


def _hint(sql: str, found: str, details: dict[str, Any]) -> str | None:
    """A remedy for the mistakes met most: a misspelt or reserved word, double quotes, ``::``."""
    from .dialect.words import needs_quotes

    if found.startswith('"'):
        return "strings stand in single quotes, names in back-ticks"
    if sql.startswith("::", details["start"]):
        return "write CAST(x AS type) instead of x::type"
    if needs_quotes(found) and found.isidentifier() and " name" in details.get("description", ""):
        return f"{found} is a reserved word; as a name it stands in back-ticks: `{found}`"
    if details.get("candidates"):
        return did_you_mean(found, details["candidates"]) if found.isidentifier() else None
    alias = details["alias"]
    if alias and alias[0].upper() in ("GROUP", "ORDER", "PARTITION"):
        return f"write {alias[0].upper()} BY"
    return None


def _misspelt_clause(word: str) -> str | None:
    """A clause misspelt was read as an alias or a name, so the parser stumbles over what follows it."""
    from .dialect.words import CLAUSE_WORDS, RESERVED

    known = word.lower() in RESERVED or word.upper() in CLAUSE_WORDS
    return None if len(word) < 3 or not word.isalpha() or known else did_you_mean(word, CLAUSE_WORDS)


def _token_error(sql: str) -> SqlSyntaxError:
    """What sqlglot's tokenizer gives up on is a quote or a comment that is not closed."""
    for match in _LEXEME.finditer(sql):
        lexeme = match[0]
        opener = next((mark for mark in _CLOSERS if lexeme.startswith(mark)), None)
        if opener and not _is_closed(lexeme, opener):
            what = {"`": "back-ticked name", "/*": "comment"}.get(opener, "string")
            place = Position.at(sql, match.start(), match.start() + len(opener) - 1)
            return SqlSyntaxError(f"Syntax error: the {what} that starts here is not closed", position=place)
    return SqlSyntaxError("Syntax error: the text cannot be read as SQL")


_CLOSERS = {"'": "'", "E'": "'", "e'": "'", "`": "`", "/*": "*/"}


def _is_closed(lexeme: str, opener: str) -> bool:
    if opener == "/*":
        return len(lexeme) >= 4 and lexeme.endswith("*/")
    text = re.sub(r"\\.", "", lexeme, flags=re.DOTALL) if len(opener) == 2 else lexeme
    return text.count(_CLOSERS[opener]) % 2 == 0
