"""Flink SQL as a dialect of sqlglot."""

from __future__ import annotations

from sqlglot.dialects.dialect import Dialect, NormalizationStrategy

from .generator import FlinkGenerator
from .parse_statements import StatementParser
from .tokens import FlinkTokenizer


class Flink(Dialect):
    """``sqlglot.parse(sql, read="flink")``; found through the entry point group ``sqlglot.dialects``."""

    NORMALIZATION_STRATEGY = NormalizationStrategy.CASE_SENSITIVE
    NORMALIZE_FUNCTIONS: bool | str = False
    INDEX_OFFSET = 0  # a[1] is kept as written, though Flink counts from 1
    NULL_ORDERING = "nulls_are_small"
    TYPED_DIVISION = True
    SUPPORTS_USER_DEFINED_TYPES = False
    DPIPE_IS_STRING_CONCAT = False  # it is an operator like *, see the parser

    Tokenizer = FlinkTokenizer
    Parser = StatementParser
    Generator = FlinkGenerator
