"""Where rows go."""

from __future__ import annotations

from dataclasses import dataclass, replace

from streamsql.catalog.connectors import TableOptions
from streamsql.catalog.table import TableDefinition
from streamsql.changelog import ChangelogMode

from .base import Key, PassingMode, PhysicalNode


@dataclass(frozen=True, eq=False, kw_only=True)
class Sink(PassingMode):
    """Writes a table."""

    table: TableDefinition
    options: TableOptions
    primary_key: Key = None

    name = "Sink"

    def fields(self) -> list[tuple[str, str]]:
        path = self.table.path
        pairs = [
            ("table", f"[{path.catalog}.{path.database}.{path.name}]"),
            ("fields", ", ".join(self.schema.names)),
        ]
        if self.primary_key is not None:
            pairs.append(("upsertKey", ", ".join(self.schema[i].name for i in self.primary_key)))
        return pairs

    @property
    def is_cdc(self) -> bool:
        """Whether the format of the values tells inserts from deletes by itself."""
        value = self.options.value_format
        return value is not None and value.descriptor.changelog_mode is not ChangelogMode.INSERT_ONLY

    def takes_upserts_of(self, child: PhysicalNode) -> bool:
        """Whether the rows of ``child`` can be written without −U: both have the same key."""
        same_key = (
            child.upsert_key is not None
            and self.primary_key is not None
            and set(child.upsert_key) == set(self.primary_key)
        )
        return ChangelogMode.UPSERT in self.options.connector.sink_modes and same_key and not self.is_cdc

    def needs_before(self, child: PhysicalNode, wanted: bool) -> bool:
        return not self.takes_upserts_of(child)

    def short_kinds(self) -> str:
        return "NONE"


@dataclass(frozen=True, eq=False, kw_only=True)
class SinkUpsertMaterializer(PhysicalNode):
    """One row for each primary key of a sink, where the query may have several at a time.

    ``conflict``: DEDUPLICATE shows the latest of them, NOTHING the earliest; ERROR fails.
    """

    key: tuple[int, ...]
    conflict: str = "DEDUPLICATE"

    name = "SinkUpsertMaterializer"

    def fields(self) -> list[tuple[str, str]]:
        return [
            ("key", ", ".join(self.schema[i].name for i in self.key)),
            ("conflictStrategy", self.conflict),
        ]

    def settled(self, before: bool) -> PhysicalNode:
        """The earliest of rows that are only added stays what it is."""
        if self.conflict != "DEDUPLICATE" and not self.inputs[0].updating:
            return replace(self, mode=ChangelogMode.INSERT_ONLY)
        return replace(self, mode=ChangelogMode.RETRACT if before else ChangelogMode.UPSERT)


@dataclass(frozen=True, eq=False, kw_only=True)
class Collect(PassingMode):
    """Hands the changelog to the client."""

    name = "Sink"

    def fields(self) -> list[tuple[str, str]]:
        return [("table", "[*anonymous_collect*]"), ("fields", ", ".join(self.schema.names))]

    def short_kinds(self) -> str:
        return "NONE"
