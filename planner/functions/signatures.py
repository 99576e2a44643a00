"""The argument lists that functions declare: parsed from the text that documentation and errors print.

``(STRING, INT[, INT])`` takes two or three arguments, ``(STRING, ANY...)`` one or more after the first. A kind is a
type or a family: NUMERIC, EXACT, DOUBLE (any number, converted), INT (any integer), DATETIME, POINT, ANY …
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamsql.datatypes import (
    BOOLEAN,
    BYTES,
    DATE,
    DOUBLE,
    INT,
    INTERVAL_SECOND,
    NULL,
    STRING,
    TIME,
    TIMESTAMP,
    DataType,
    Root,
)

_POINTS = (Root.DATE, Root.TIME, Root.TIMESTAMP, Root.TIMESTAMP_LTZ)

KINDS: dict[str, tuple[Callable[[DataType], bool], DataType]] = {
    # kind: (what it takes, the type that an untyped NULL becomes)
    "STRING": (lambda d: d.is_string, STRING()),
    "BYTES": (lambda d: d.is_binary, BYTES()),
    "TEXT": (lambda d: d.is_string or d.is_binary, STRING()),
    "INT": (lambda d: d.is_integer, INT()),
    "EXACT": (lambda d: d.is_exact, INT()),
    "NUMERIC": (lambda d: d.is_numeric, INT()),
    "DOUBLE": (lambda d: d.is_numeric, DOUBLE()),
    "BOOLEAN": (lambda d: d.root is Root.BOOLEAN, BOOLEAN()),
    "DATE": (lambda d: d.root is Root.DATE, DATE()),
    "TIME": (lambda d: d.root is Root.TIME, TIME()),
    "TIMESTAMP": (lambda d: d.is_timestamp, TIMESTAMP(3)),
    "DATETIME": (lambda d: d.is_timestamp or d.root is Root.DATE, TIMESTAMP(3)),
    "POINT": (lambda d: d.root in _POINTS, TIMESTAMP(3)),
    "INTERVAL": (lambda d: d.is_interval, INTERVAL_SECOND()),
    "ARRAY": (lambda d: d.root is Root.ARRAY, NULL()),
    "MAP": (lambda d: d.root is Root.MAP, NULL()),
    "ROW": (lambda d: d.root is Root.ROW, NULL()),
    "COLLECTION": (lambda d: d.root in (Root.ARRAY, Root.MAP, Root.MULTISET), NULL()),
    "ANY": (lambda d: True, NULL()),
}
_NULLABLE_KINDS = frozenset({"ARRAY", "MAP", "ROW", "COLLECTION"})  # an untyped NULL has no element type


@dataclass(frozen=True)
class Signature:
    """One argument list: the kinds in order, how many must be given, whether the last repeats."""

    kinds: tuple[str, ...]
    required: int
    variadic: bool
    text: str

    @classmethod
    def parse(cls, text: str) -> Signature:
        """Read ``(STRING, INT[, INT])``; an unknown kind is a programming error."""
        inner = text.strip()[1:-1]
        required_text, _, optional_text = inner.partition("[")
        required = re.findall(r"[A-Z]+", required_text)
        optional = re.findall(r"[A-Z]+", optional_text)
        unknown = [k for k in (*required, *optional) if k not in KINDS]
        assert not unknown, f"unknown kinds {unknown} in {text}"
        return cls((*required, *optional), len(required), "..." in inner, text)

    def __str__(self) -> str:
        return self.text

    def accepts_count(self, n: int) -> bool:
        return n >= self.required and (self.variadic or n <= len(self.kinds))

    def kind(self, i: int) -> str:
        return self.kinds[min(i, len(self.kinds) - 1)]

    def matches(self, types: Sequence[DataType]) -> bool:
        """Whether arguments of these types may be passed."""
        if not self.accepts_count(len(types)):
            return False
        return all(self._takes(self.kind(i), d) for i, d in enumerate(types))

    def null_type(self, i: int) -> DataType:
        """The type that an untyped NULL gets as argument ``i``."""
        return KINDS[self.kind(i)][1]

    @staticmethod
    def _takes(kind: str, d: DataType) -> bool:
        if d.root is Root.NULL:
            return kind not in _NULLABLE_KINDS
        return KINDS[kind][0](d)
