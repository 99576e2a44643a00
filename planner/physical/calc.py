"""Projections, filters and UNNEST: nodes without state."""

from __future__ import annotations

from dataclasses import dataclass

from ..expressions import Expr
from ..logical import Unnest
from .base import PassingMode, PhysicalNode


@dataclass(frozen=True, eq=False, kw_only=True)
class Calc(PassingMode):
    """Projection, and a filter evaluated first."""

    exprs: tuple[Expr, ...]
    condition: Expr | None = None

    name = "Calc"

    def fields(self) -> list[tuple[str, str]]:
        def item(name: str, e: Expr) -> str:
            return name if e.text() == name else f"{e.text()} AS {name}"

        pairs = [
            ("select", ", ".join(item(n, e) for n, e in zip(self.schema.names, self.exprs, strict=True)))
        ]
        if self.condition is not None:
            pairs.append(("where", self.condition.text()))
        return pairs

    def needs_before(self, child: PhysicalNode, wanted: bool) -> bool:
        """A filter must see the row that leaves it, and rows without a key can only be taken back whole."""
        lost = child.upsert_key is None or self.upsert_key is None
        return wanted or lost or self.condition is not None


@dataclass(frozen=True, eq=False, kw_only=True)
class Correlate(PassingMode):
    """Each row once per element of a collection (UNNEST)."""

    unnest: Unnest

    name = "Correlate"

    def fields(self) -> list[tuple[str, str]]:
        kind = "LEFT" if self.unnest.outer else "INNER"
        pairs = [
            ("invocation", f"UNNEST({self.unnest.expr.text()})"),
            ("select", ", ".join(self.schema.names)),
            ("joinType", kind),
        ]
        if self.unnest.ordinality:
            pairs.append(("ordinality", "true"))
        return pairs
