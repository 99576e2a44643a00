"""What a session knows by name, for completion in editors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .catalog.connectors import CONNECTORS, FORMATS
from .catalog.table import TableDefinition, ViewDefinition
from .errors import StreamSqlError

if TYPE_CHECKING:
    from .session import TableEnvironment


class Completion:
    """Names of one session; every method answers from the catalog and never raises."""

    def __init__(self, env: TableEnvironment) -> None:
        self._env = env

    def tables(self) -> list[str]:
        """Tables and views of the current database."""
        return self._env.list_tables()

    def views(self) -> list[str]:
        catalog = self._env.catalog
        return catalog.views(catalog.current_catalog, catalog.current_database)

    def columns(self, table: str) -> list[str] | None:
        """Columns of a table or view; None where there is no such table."""
        try:
            found = self._env.catalog.get(self._env.catalog.resolve([p.strip("`") for p in table.split(".")]))
            if isinstance(found, TableDefinition):
                return [c.name for c in found.columns]
            if isinstance(found, ViewDefinition):
                return self._env._view_schema(found).names
        except StreamSqlError:
            pass
        return None

    def functions(self) -> list[str]:
        return self._env.functions.names()

    def connectors(self) -> list[str]:
        return sorted(CONNECTORS)

    def options(self, connector: str) -> list[tuple[str, str]]:
        """Option keys of a connector with their meaning; those of its formats under their prefix."""
        descriptor = CONNECTORS.get(connector)
        if descriptor is None:
            return []
        own = [(o.key, o.description) for o in descriptor.options if o.unsupported is None]
        formats = [(f"{f}.{o.key}", o.description) for f in descriptor.formats for o in FORMATS[f].options]
        return [("connector", "which connector"), *own, *formats]

    def session_options(self) -> list[str]:
        return [o.key for o in self._env.config.all_options()]

    def catalogs(self) -> list[str]:
        return self._env.catalog.catalogs()

    def databases(self) -> list[str]:
        return self._env.catalog.databases(self._env.catalog.current_catalog)

    def job_ids(self) -> list[str]:
        return [j.id for j in self._env.jobs() if j.is_alive()]
