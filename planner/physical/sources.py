"""Where rows come from: scans and constants, and what is done to them first."""

from __future__ import annotations

from dataclasses import dataclass

from streamsql.catalog.connectors import TableOptions
from streamsql.catalog.table import TableDefinition
from streamsql.changelog import ChangelogMode
from streamsql.errors import ValidationError

from ..expressions import Expr
from .base import PassingMode, PhysicalNode


@dataclass(frozen=True, eq=False, kw_only=True)
class TableSourceScan(PhysicalNode):
    """Reads a table. ``metadata``: pairs of column name and key, after the physical columns."""

    table: TableDefinition
    options: TableOptions
    metadata: tuple[tuple[str, str], ...] = ()
    overrides: tuple[tuple[str, str], ...] = ()

    name = "TableSourceScan"

    def fields(self) -> list[tuple[str, str]]:
        path = self.table.path
        pairs = [
            ("table", f"[{path.catalog}, {path.database}, {path.name}]"),
            ("fields", ", ".join(self.schema.names)),
        ]
        if self.metadata:
            pairs.append(("metadata", ", ".join(key for _, key in self.metadata)))
        if self.overrides:
            pairs.append(
                ("hints", "[[OPTIONS options:{" + ", ".join(f"{k}={v}" for k, v in self.overrides) + "}]]")
            )
        return pairs

    def settled(self, before: bool) -> PhysicalNode:
        """With a ChangelogNormalize above where upserts must become retractions."""
        if self.mode is not ChangelogMode.UPSERT or not before:
            return self
        if self.upsert_key is None:
            raise ValidationError(
                f"table {self.table.path} yields upserts but has no PRIMARY KEY that is read"
            )
        return ChangelogNormalize(
            schema=self.schema,
            inputs=(self,),
            mode=ChangelogMode.RETRACT,
            upsert_key=self.upsert_key,
            key=self.upsert_key,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Values(PhysicalNode):
    """Constant rows."""

    rows: tuple[tuple[Expr, ...], ...]

    name = "Values"

    def fields(self) -> list[tuple[str, str]]:
        return [("tuples", ", ".join("{ " + ", ".join(e.text() for e in row) + " }" for row in self.rows))]


@dataclass(frozen=True, eq=False, kw_only=True)
class WatermarkAssigner(PassingMode):
    """Makes ``column`` the rowtime attribute; the watermark is computed per source split."""

    column: int
    expression: Expr

    name = "WatermarkAssigner"

    def fields(self) -> list[tuple[str, str]]:
        return [("rowtime", self.schema[self.column].name), ("watermark", self.expression.text())]

    def needs_before(self, child: PhysicalNode, wanted: bool) -> bool:
        return wanted


@dataclass(frozen=True, eq=False, kw_only=True)
class ChangelogNormalize(PhysicalNode):
    """Turns upserts by key into full retractions, by state."""

    key: tuple[int, ...]

    name = "ChangelogNormalize"

    def fields(self) -> list[tuple[str, str]]:
        return [("key", ", ".join(self.schema[i].name for i in self.key))]
