"""Every error a user can meet, as one tree.

::

    StreamSqlError
    ├── SqlSyntaxError        the text is not a statement of the dialect
    ├── ValidationError       a name, a type, a function or a plan that cannot be
    │   └── UnsupportedError  valid Flink SQL that this version refuses, by name
    ├── CatalogError          an object that exists already, or does not
    ├── ConfigError           an option: unknown key, bad value, missing requirement
    ├── ConnectorError        the outside world: broker, file, topic
    ├── DataError             one record that cannot be read or written
    └── JobError              a running job failed; ``__cause__`` holds why

A message says what was found, what was expected and where; ``hint`` holds one remedy.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

EXCERPT_WIDTH = 120
"""Characters of a line that an error shows."""


@dataclass(frozen=True)
class Position:
    """A place in a SQL text: line and column count from 1, ``length`` is the width of the marker."""

    sql: str
    line: int
    column: int
    length: int = 1

    @classmethod
    def at(cls, sql: str, start: int, end: int) -> Position:
        """The position of ``sql[start:end + 1]`` (offsets count from 0, ``end`` is inclusive)."""
        line = sql.count("\n", 0, start) + 1
        column = start - (sql.rfind("\n", 0, start) + 1) + 1
        return cls(sql, line, column, max(1, end - start + 1))

    def excerpt(self) -> str:
        """The line concerned with a caret below it; of a long line what is around the place."""
        lines = self.sql.split("\n")
        text = lines[self.line - 1].rstrip() if self.line <= len(lines) else ""
        prefix = f"line {self.line}: "
        column = min(self.column, len(text) + 1)
        width = max(1, min(self.length, len(text) - column + 1))
        if len(text) > EXCERPT_WIDTH:
            start = max(0, min(column - 1 - EXCERPT_WIDTH // 3, len(text) - EXCERPT_WIDTH))
            end = start + EXCERPT_WIDTH
            more = ("…" if start else "", "…" if end < len(text) else "")
            width = min(width, end - column + 1)
            column += len(more[0]) - start
            text = more[0] + text[start:end] + more[1]
        return f"{prefix}{text}\n{' ' * (len(prefix) + column - 1)}{'^' * width}"


class StreamSqlError(Exception):
    """Base of all errors shown to a user. ``str()`` gives the whole text: message, excerpt, hint."""

    def __init__(self, message: str, *, hint: str | None = None, position: Position | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.position = position

    def __str__(self) -> str:
        parts = [self.message]
        if self.position is not None:
            parts.append(self.position.excerpt())
        if self.hint:
            parts.append(f"Hint: {self.hint}")
        return "\n".join(parts)


class SqlSyntaxError(StreamSqlError):
    """The text is not a statement of the dialect."""


class ValidationError(StreamSqlError):
    """A name, a type, a function call or a plan that cannot be."""


class UnsupportedError(ValidationError):
    """Valid Flink SQL that this version refuses; the message names it."""


class CatalogError(StreamSqlError):
    """A catalog object that exists already, or does not exist."""


class ConfigError(StreamSqlError):
    """An option with an unknown key, a bad value, or one that is missing."""


class ConnectorError(StreamSqlError):
    """The outside world does not answer as expected: broker, topic, file."""


class DataError(StreamSqlError):
    """One record that cannot be decoded, encoded or evaluated."""


class JobError(StreamSqlError):
    """A running job failed; ``__cause__`` holds the reason."""


class FencedError(JobError):
    """Another run of the same job has taken over; this one must not write any more."""


class StateError(StreamSqlError):
    """A checkpoint or savepoint that cannot be read, or does not fit the job that is to go on from it."""


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """A hint naming the closest candidates, or None where nothing is close.

    >>> did_you_mean("prce", ["price", "volume"])
    "did you mean 'price'?"
    """
    by_fold = {c.lower(): c for c in candidates}
    close = difflib.get_close_matches(name.lower(), by_fold, n=2, cutoff=0.6)
    if not close:
        return None
    return f"did you mean {' or '.join(repr(by_fold[c]) for c in close)}?"
