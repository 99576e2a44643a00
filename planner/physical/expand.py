"""Grouping sets: each row once per set."""

from __future__ import annotations

from dataclasses import dataclass

from ..logical import Expand as LogicalExpand
from .base import PassingMode


@dataclass(frozen=True, eq=False, kw_only=True)
class Expand(PassingMode):
    """Each row once per grouping set, with the keys that the set has not as NULL."""

    expand: LogicalExpand

    name = "Expand"

    def fields(self) -> list[tuple[str, str]]:
        return [("projects", self.expand.projects())]
