"""Flink's tokens: what is a string, a name, a comment, a hint and a keyword.

Only words that steer sqlglot's expression grammar are keywords here; every other word is an ordinary name
and the parser looks at its text where the grammar asks for it. So a column may be called ``catalog`` or
``job``.
"""

from __future__ import annotations

from typing import ClassVar

from sqlglot.tokenizer_core import TokenType
from sqlglot.tokens import Tokenizer

TYPE_TOKENS: dict[str, TokenType] = {
    "ARRAY": TokenType.ARRAY,
    "BIGINT": TokenType.BIGINT,
    "BINARY": TokenType.BINARY,
    "BOOLEAN": TokenType.BOOLEAN,
    "BYTES": TokenType.BLOB,
    "CHAR": TokenType.CHAR,
    "CHARACTER": TokenType.CHAR,
    "DATE": TokenType.DATE,
    "DEC": TokenType.DECIMAL,
    "DECIMAL": TokenType.DECIMAL,
    "DOUBLE": TokenType.DOUBLE,
    "FLOAT": TokenType.FLOAT,
    "INT": TokenType.INT,
    "INTEGER": TokenType.INT,
    "MAP": TokenType.MAP,
    "NUMERIC": TokenType.DECIMAL,
    "SMALLINT": TokenType.SMALLINT,
    "STRING": TokenType.TEXT,
    "TIME": TokenType.TIME,
    "TIMESTAMP": TokenType.TIMESTAMP,
    "TIMESTAMP_LTZ": TokenType.TIMESTAMPLTZ,
    "TINYINT": TokenType.TINYINT,
    "VARBINARY": TokenType.VARBINARY,
    "VARCHAR": TokenType.VARCHAR,
    "VARIANT": TokenType.VARIANT,
}
"""Type names that have a token of their own; the parser matches the others by text."""

_KEPT = """
    ALL AND ANY ASC BEGIN BETWEEN CASE CONSTRAINT CREATE CROSS CUBE CURRENT_DATE CURRENT_TIME
    CURRENT_TIMESTAMP DEFAULT DELETE DESC DESCRIBE DISTINCT DROP ELSE END ESCAPE EXCEPT EXISTS FALSE FETCH
    FILTER FIRST FOR FROM FULL HAVING IN INNER INSERT INTERSECT INTERVAL INTO IS JOIN LATERAL LEFT LIKE
    LIMIT LOCALTIME LOCALTIMESTAMP NATURAL NEXT NOT NULL OFFSET ON OR ORDINALITY OUTER OVER OVERLAPS
    OVERWRITE PARTITION QUALIFY RANGE RECURSIVE RETURNING RIGHT ROLLUP ROW ROWS SELECT SET SOME TABLE THEN
    TRUE UNION UNNEST UPDATE USING VALUES WHEN WHERE WINDOW WITH
"""
_KEYWORDS: dict[str, TokenType] = {
    **{word: Tokenizer.KEYWORDS[word] for word in _KEPT.split()},
    **{text: Tokenizer.KEYWORDS[text] for text in ("||", ">=", "<=", "<>", "!=", "=>")},
    **{text: Tokenizer.KEYWORDS[text] for text in ("GROUP BY", "ORDER BY", "PARTITION BY", "GROUPING SETS")},
    "SIMILAR TO": TokenType.SIMILAR_TO,
    "AS": TokenType.ALIAS,
    "MATCH_RECOGNIZE": TokenType.MATCH_RECOGNIZE,
    Tokenizer.HINT_START: TokenType.HINT,
    **TYPE_TOKENS,
}

NAME_TOKENS: frozenset[TokenType] = frozenset(
    {
        *TYPE_TOKENS.values(),
        TokenType.VAR,
        TokenType.FIRST,
        TokenType.NEXT,
        TokenType.FILTER,
        TokenType.ORDINALITY,
        TokenType.OVERWRITE,
        TokenType.PARTITION,
        TokenType.RANGE,
        TokenType.ROWS,
        TokenType.ROW,
        TokenType.OFFSET,
        TokenType.BEGIN,
        TokenType.DESCRIBE,
        TokenType.DELETE,
        TokenType.UPDATE,
    }
)
"""Tokens that may be a name where nothing else is possible (Flink wants the reserved ones in back-ticks)."""

ALIAS_TOKENS: frozenset[TokenType] = frozenset(
    {*TYPE_TOKENS.values(), TokenType.VAR, TokenType.FIRST, TokenType.NEXT}
)
"""Tokens that may be an alias without AS."""


class FlinkTokenizer(Tokenizer):
    """Single quotes for strings, back-ticks for names, no backslash escapes; double quotes mean nothing."""

    IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ["`"]
    QUOTES: ClassVar[list[tuple[str, str] | str]] = ["'"]
    STRING_ESCAPES: ClassVar[list[str]] = ["'"]
    BYTE_STRING_ESCAPES: ClassVar[list[str]] = ["'", "\\"]
    HEX_STRINGS: ClassVar[list[str | tuple[str, str]]] = [("x'", "'"), ("X'", "'")]
    UNICODE_STRINGS: ClassVar[list[str | tuple[str, str]]] = [("U&'", "'"), ("u&'", "'")]
    BYTE_STRINGS: ClassVar[list[str | tuple[str, str]]] = [("E'", "'"), ("e'", "'")]
    NESTED_COMMENTS = False
    KEYWORDS: ClassVar[dict[str, TokenType]] = _KEYWORDS
    # No word swallows the rest of its statement as text
    COMMANDS: ClassVar[set[TokenType]] = set()
    COMMAND_PREFIX_TOKENS: ClassVar[set[TokenType]] = set()
    # A hint follows SELECT or a table; elsewhere /*+ ... */ is a comment
    TOKENS_PRECEDING_HINT: ClassVar[set[TokenType]] = {
        TokenType.SELECT,
        TokenType.IDENTIFIER,
        TokenType.R_PAREN,
        TokenType.HINT,
        *NAME_TOKENS,
    }
