"""A forgiving tokenizer of Flink SQL for editors: colours and completion of text that is still being typed.

The parser's tokenizer stops at the first open quote and drops comments; while a person types, nearly every
text has an open quote. This one covers any text without raising: an open string, quoted name or comment runs
to the end of the text. On complete statements both cut at the same places.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_WORDS_OF_STATEMENTS = """
ADD AFTER ALL ALTER ANALYZE AND ANY AS ASC AT BATCH BEGIN BETWEEN BOTH BY CALL CASE CASCADE CATALOG CATALOGS
CHANGELOG_MODE CHANGES COLUMN COLUMNS COMMENT COMPILE COMPUTE CONSTRAINT CREATE CROSS CUBE CURRENT
CURRENT_DATE CURRENT_ROW_TIMESTAMP CURRENT_TIME CURRENT_TIMESTAMP DATABASE DATABASES DEFAULT DEFINE DELETE
DESC DESCRIBE DESCRIPTOR DISTINCT DISTRIBUTED DRAIN DROP ELSE EMIT END ENFORCED ESCAPE ESTIMATED_COST EXCEPT
EXECUTE EXISTS EXPLAIN EXTENDED FALSE FETCH FILTER FIRST FOLLOWING FOR FROM FULL FUNCTION FUNCTIONS GENERATED
GROUP GROUPING HAVING IF ILIKE IN INCLUDING EXCLUDING INNER INSERT INTERSECT INTERVAL INTO IS JAR JARS JOB
JOBS JOIN JSON_EXECUTION_PLAN KEY LAST LATERAL LEADING LEFT LIKE LIMIT LOAD LOCALTIME LOCALTIMESTAMP
MATCH_RECOGNIZE MATERIALIZED MEASURES METADATA MINUS MODEL MODELS MODIFY MODULE MODULES NATURAL NOT NULL NULLS
OF OFFSET ON ONLY OPTIONS OR ORDER ORDINALITY OUTER OVER OVERWRITE PARTITION PARTITIONED PARTITIONS PATTERN
PLAN PLAN_ADVICE PRECEDING PRIMARY PROCEDURES PYTHON RANGE RECURSIVE REMOVE RENAME REPLACE RESET RESTRICT
RIGHT ROLLUP ROW ROWS SAVEPOINT SELECT SEMI SET SETS SHOW SIMILAR SOME STATEMENT STATISTICS STOP SYMMETRIC
SYSTEM SYSTEM_TIME TABLE TABLES TEMPORARY THEN TO TRAILING TRUE TRUNCATE UESCAPE UNBOUNDED UNION UNIQUE
UNKNOWN UNLOAD UNNEST UPDATE USE USER USING VALUES VIEW VIEWS VIRTUAL WATERMARK WATERMARKS WHEN WHERE WINDOW
WITH WITHIN WITHOUT
"""
_WORDS_OF_TYPES = """
ARRAY BIGINT BINARY BOOLEAN BYTES CHAR DATE DEC DECIMAL DOUBLE FLOAT INT INTEGER MAP MULTISET NUMERIC
PRECISION SMALLINT STRING TIME TIMESTAMP TIMESTAMP_LTZ TINYINT VARBINARY VARCHAR ZONE LOCAL DAY DAYS HOUR
HOURS MINUTE MINUTES MONTH MONTHS SECOND SECONDS YEAR YEARS QUARTER WEEK
"""

KEYWORDS = frozenset(_WORDS_OF_STATEMENTS.split())
TYPE_NAMES = frozenset(_WORDS_OF_TYPES.split())
# Keywords that stand before a parenthesis without being functions.
_BEFORE_PARENTHESIS = KEYWORDS - {"IF", "LEFT", "RIGHT", "TRUNCATE", "REPLACE", "OVERLAY", "GROUPING"}

KINDS = (
    "keyword", "type", "function", "name", "quoted", "string", "number", "comment", "hint", "operator",
    "punctuation",
)  # fmt: skip

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<hint>/\*\+.*?(?:\*/|\Z))
  | (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
  | (?P<string>[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)|(?:[xX]|[uU]&)?'(?:[^']|'')*(?:'|\Z))
  | (?P<quoted>`(?:[^`]|``)*(?:`|\Z))
  | (?P<number>(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<word>[^\W\d][\w$]*)
  | (?P<operator>=>|<>|!=|<=|>=|\|\||[=<>+\-*/%!|:?])
  | (?P<punctuation>[()\[\]{},;.])
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSED = re.compile(r"""[eE]'(?:[^'\\]|\\.|'')*'|(?:[xX]|[uU]&)?'(?:[^']|'')*'|`(?:[^`]|``)*`""", re.DOTALL)
_CALL = re.compile(r"\s*\(")


class Token(NamedTuple):
    """``text[start:end]`` and what it is, one of :data:`KINDS`."""

    start: int
    end: int
    kind: str


def tokens(text: str) -> list[Token]:
    """The tokens of any text, in order, without the space between them. Never raises.

    >>> [("SELECT a"[t.start:t.end], t.kind) for t in tokens("SELECT a")]
    [('SELECT', 'keyword'), ('a', 'name')]
    """
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if kind == "space":
            continue
        if kind == "word":
            after_dot = bool(found) and text[found[-1].start : found[-1].end] == "."
            kind = "name" if after_dot else word_kind(match[0], bool(_CALL.match(text, match.end())))
        found.append(Token(match.start(), match.end(), "operator" if kind == "other" else kind))
    return found


def word_kind(word: str, called: bool) -> str:
    """What an unquoted word is; ``called``: a parenthesis follows it."""
    upper = word.upper()
    if called and upper not in _BEFORE_PARENTHESIS and upper not in TYPE_NAMES:
        return "function"
    if upper in KEYWORDS:
        return "keyword"
    return "type" if upper in TYPE_NAMES else "name"


def is_open(text: str, token: Token) -> bool:
    """Whether a string, quoted name or comment still misses its end."""
    part = text[token.start : token.end]
    match token.kind:
        case "string" | "quoted":
            return _CLOSED.fullmatch(part) is None
        case "comment" | "hint":
            return part.startswith("/*") and (len(part) < 4 or not part.endswith("*/"))
        case _:
            return False
