"""Set operations: several inputs with equal column types become one."""

from __future__ import annotations

from dataclasses import dataclass

from .base import PhysicalNode


@dataclass(frozen=True, eq=False, kw_only=True)
class Union(PhysicalNode):
    """UNION ALL."""

    name = "Union"

    def fields(self) -> list[tuple[str, str]]:
        return [("all", "true"), ("union", ", ".join(self.schema.names))]
