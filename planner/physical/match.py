"""MATCH_RECOGNIZE."""

from __future__ import annotations

from dataclasses import dataclass

from ..logical_match import MatchRecognize
from .base import PhysicalNode


@dataclass(frozen=True, eq=False, kw_only=True)
class Match(PhysicalNode):
    """One row a match of a row pattern. Columns in ``logical`` are those of the input."""

    logical: MatchRecognize

    name = "Match"

    def fields(self) -> list[tuple[str, str]]:
        return self.logical.fields()
