"""What a table and a view are, as declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamsql.datatypes import DataType


@dataclass(frozen=True, order=True)
class ObjectPath:
    """``catalog.database.name``, fully resolved."""

    catalog: str
    database: str
    name: str

    def __str__(self) -> str:
        return f"{self.catalog}.{self.database}.{self.name}"

    def quoted(self) -> str:
        return ".".join(f"`{p.replace('`', '``')}`" for p in (self.catalog, self.database, self.name))


@dataclass(frozen=True)
class Column:
    """One declared column: physical, computed (``expression`` set) or metadata (``metadata_key`` set).

    ``type`` of a computed column is known after binding. ``virtual``: a metadata column that is read only.
    ``expression`` is Flink SQL text.
    """

    name: str
    type: DataType | None
    comment: str | None = None
    expression: str | None = None
    metadata_key: str | None = None
    virtual: bool = False

    @property
    def is_physical(self) -> bool:
        return self.expression is None and self.metadata_key is None

    @property
    def is_computed(self) -> bool:
        return self.expression is not None

    @property
    def is_metadata(self) -> bool:
        return self.metadata_key is not None

    @property
    def is_persisted(self) -> bool:
        """Whether INSERT writes it."""
        return self.is_physical or (self.is_metadata and not self.virtual)


@dataclass(frozen=True)
class WatermarkSpec:
    """``WATERMARK FOR column AS expression``; the expression is Flink SQL text."""

    column: str
    expression: str


@dataclass(frozen=True)
class TableDefinition:
    """A table as CREATE TABLE declares it.

    ``data`` holds the in-process table of ``env.from_arrow`` (connector ``in-process``), else None.
    """

    path: ObjectPath
    columns: tuple[Column, ...]
    options: Mapping[str, str]
    primary_key: tuple[str, ...] = ()
    primary_key_name: str | None = None
    watermark: WatermarkSpec | None = None
    partition_keys: tuple[str, ...] = ()
    comment: str | None = None
    temporary: bool = False
    data: Any = field(default=None, compare=False)

    @property
    def connector(self) -> str | None:
        return self.options.get("connector")

    @property
    def physical_columns(self) -> list[Column]:
        return [c for c in self.columns if c.is_physical]

    @property
    def metadata_columns(self) -> list[Column]:
        return [c for c in self.columns if c.is_metadata]

    @property
    def sink_columns(self) -> list[Column]:
        return [c for c in self.columns if c.is_persisted]

    def column(self, name: str) -> Column | None:
        return next((c for c in self.columns if c.name == name), None)


@dataclass(frozen=True)
class ViewDefinition:
    """A view: the text of its query, and the names given in its column list (else empty).

    ``catalog`` and ``database`` are those that were current when it was created: its text is read in them.
    """

    path: ObjectPath
    query: str
    columns: tuple[str, ...] = ()
    comment: str | None = None
    temporary: bool = False
    current_catalog: str = ""
    current_database: str = ""
