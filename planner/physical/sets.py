"""Set operations: several inputs with equal column types become one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from streamsql.changelog import ChangelogMode

from .base import PhysicalNode


@dataclass(frozen=True, eq=False, kw_only=True)
class Union(PhysicalNode):
    """UNION ALL."""

    name = "Union"

    def fields(self) -> list[tuple[str, str]]:
        return [("all", "true"), ("union", ", ".join(self.schema.names))]


@dataclass(frozen=True, eq=False, kw_only=True)
class SetOperation(PhysicalNode):
    """INTERSECT or EXCEPT; ``all``: copies of a row count."""

    kind: str
    all: bool

    name = "SetOperation"

    def fields(self) -> list[tuple[str, str]]:
        return [
            ("type", self.kind.lower()),
            ("all", str(self.all).lower()),
            ("select", ", ".join(self.schema.names)),
        ]

    def settled(self, before: bool) -> PhysicalNode:
        """What both sides only add to, they share more and more of."""
        grows = self.kind == "Intersect" and not any(i.updating for i in self.inputs)
        return replace(self, mode=ChangelogMode.INSERT_ONLY if grows else ChangelogMode.RETRACT)

    def short_kinds(self) -> str:
        return "I,D" if self.updating else "I"
