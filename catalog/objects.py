"""What a catalog, a database and a user's function are, as declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .table import ObjectPath


@dataclass(frozen=True)
class CatalogDefinition:
    """A catalog: its name, options (``type`` among them) and comment."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    comment: str | None = None

    @property
    def default_database(self) -> str:
        """The database that is current after USE CATALOG; it exists from the start."""
        return self.options.get("default-database", "default")


@dataclass(frozen=True)
class DatabaseDefinition:
    """A database of a catalog."""

    catalog: str
    name: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    comment: str | None = None

    def __str__(self) -> str:
        return f"{self.catalog}.{self.name}"


@dataclass(frozen=True)
class FunctionDefinition:
    """A user's function; ``path`` is None for a temporary system function, which is found by name from
    everywhere.

    ``class_id`` is ``module.attribute``; ``callable`` is what stands there. Names are lower case: function
    names do not distinguish upper and lower case.
    """

    name: str
    path: ObjectPath | None
    class_id: str
    language: str = "PYTHON"
    temporary: bool = False
    callable: Any = field(default=None, compare=False)

    @property
    def is_system(self) -> bool:
        return self.path is None
