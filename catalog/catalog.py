"""The names of a session: catalogs, databases, tables, views and functions, all in memory.

A temporary object shadows the permanent one of the same path. The name ``jobs``, of a catalog and of a
database, belongs to the running jobs, whose state reads as tables: see ``CatalogManager.virtual``.

Source: Flink's CatalogManager and GenericInMemoryCatalog.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from streamsql.errors import CatalogError, Position, ValidationError, did_you_mean

from .functions import FunctionRegistry
from .objects import CatalogDefinition, DatabaseDefinition
from .table import ObjectPath, TableDefinition, ViewDefinition

DEFAULT_CATALOG = "default_catalog"
DEFAULT_DATABASE = "default_database"
JOBS = "jobs"

TableOrView = TableDefinition | ViewDefinition
Virtual = Callable[[tuple[str, ...]], TableDefinition | None]
VirtualNames = Callable[[], Iterable[tuple[str, ...]]]


class CatalogManager:
    """Every name a session knows. All methods may be called from any thread.

    ``virtual`` answers for names under ``jobs``: it gets the parts after it (``("board",)`` for
    ``jobs.board``, ``("board", "agg")`` for ``jobs.board.agg``). ``virtual_names`` lists them.
    """

    def __init__(self, virtual: Virtual | None = None, virtual_names: VirtualNames | None = None) -> None:
        self.virtual = virtual
        self.virtual_names = virtual_names
        self.functions = FunctionRegistry()
        self._lock = threading.RLock()
        self._catalogs: dict[str, CatalogDefinition] = {}
        self._databases: dict[tuple[str, str], DatabaseDefinition] = {}
        self._permanent: dict[ObjectPath, TableOrView] = {}
        self._temporary: dict[ObjectPath, TableOrView] = {}
        self.create_catalog(CatalogDefinition(DEFAULT_CATALOG, {"default-database": DEFAULT_DATABASE}))
        self._current = (DEFAULT_CATALOG, DEFAULT_DATABASE)

    # -- where we are ------------------------------------------------------------------------------
    @property
    def current_catalog(self) -> str:
        return self._current[0]

    @property
    def current_database(self) -> str:
        return self._current[1]

    def use_catalog(self, name: str) -> None:
        """Raises CatalogError for an unknown catalog."""
        with self._lock:
            self._current = (name, self.catalog(name).default_database)

    def use_database(self, parts: Sequence[str]) -> None:
        """``[catalog.]database``. Raises CatalogError for an unknown one."""
        with self._lock:
            catalog, name = self.resolve_database(parts)
            self.database(catalog, name)
            self._current = (catalog, name)

    def resolve(self, parts: Sequence[str]) -> ObjectPath:
        """The full path of a name of one to three parts.

        >>> str(CatalogManager().resolve(["t"]))
        'default_catalog.default_database.t'
        """
        match tuple(parts):
            case (name,):
                return ObjectPath(*self._current, name)
            case (database, name):
                return ObjectPath(JOBS if database == JOBS else self.current_catalog, database, name)
            case (catalog, database, name):
                return ObjectPath(catalog, database, name)
            case _:
                text = ".".join(parts)
                raise ValidationError(
                    f"'{text}' has {len(parts)} parts", hint="a name is [[catalog.]database.]name"
                )

    def resolve_database(self, parts: Sequence[str]) -> tuple[str, str]:
        """Catalog and database of a name of one or two parts."""
        match tuple(parts):
            case (database,):
                return (JOBS if database == JOBS else self.current_catalog, database)
            case (catalog, database):
                return (catalog, database)
            case _:
                text = ".".join(parts)
                raise ValidationError(
                    f"'{text}' has {len(parts)} parts", hint="a database is [catalog.]database"
                )

    # -- catalogs ----------------------------------------------------------------------------------
    def catalogs(self) -> list[str]:
        return sorted(self._catalogs)

    def catalog(self, name: str) -> CatalogDefinition:
        """Raises CatalogError for an unknown one."""
        with self._lock:
            if name not in self._catalogs:
                raise CatalogError(
                    f"catalog '{name}' does not exist", hint=_close(name, self._catalogs, "catalogs")
                )
            return self._catalogs[name]

    def create_catalog(self, definition: CatalogDefinition, *, if_not_exists: bool = False) -> bool:
        """Whether it was created. Its default database comes with it."""
        with self._lock:
            _refuse_jobs("catalog", definition.name)
            if definition.name in self._catalogs:
                if if_not_exists:
                    return False
                raise CatalogError(
                    f"catalog '{definition.name}' exists already",
                    hint="CREATE CATALOG IF NOT EXISTS leaves it as it is",
                )
            self._catalogs[definition.name] = definition
            default = DatabaseDefinition(definition.name, definition.default_database)
            self._databases[definition.name, default.name] = default
            return True

    def alter_catalog(self, definition: CatalogDefinition) -> None:
        with self._lock:
            self.catalog(definition.name)
            self._catalogs[definition.name] = definition

    def drop_catalog(self, name: str, *, if_exists: bool = False) -> bool:
        """Whether it was there. Its tables go with it; the current catalog cannot be dropped."""
        with self._lock:
            if name not in self._catalogs and if_exists:
                return False
            self.catalog(name)
            if name == self.current_catalog:
                raise CatalogError(
                    f"catalog '{name}' is the current one", hint="USE CATALOG another one first"
                )
            del self._catalogs[name]
            self._databases = {k: d for k, d in self._databases.items() if k[0] != name}
            self._permanent = {p: d for p, d in self._permanent.items() if p.catalog != name}
            self.functions.forget(lambda p: p.catalog == name)
            return True

    # -- databases ---------------------------------------------------------------------------------
    def databases(self, catalog: str | None = None) -> list[str]:
        """The databases of a catalog, the current one by default."""
        name = self.catalog(catalog or self.current_catalog).name
        return sorted(d for c, d in self._databases if c == name)

    def database(self, catalog: str, name: str) -> DatabaseDefinition:
        """Raises CatalogError for an unknown one."""
        with self._lock:
            if catalog == JOBS:
                raise CatalogError(
                    f"'{JOBS}' holds the tables of running jobs and cannot be the current database"
                )
            self.catalog(catalog)
            if (catalog, name) not in self._databases:
                hint = _close(name, self.databases(catalog), f"databases of '{catalog}'")
                raise CatalogError(f"database '{catalog}.{name}' does not exist", hint=hint)
            return self._databases[catalog, name]

    def create_database(self, definition: DatabaseDefinition, *, if_not_exists: bool = False) -> bool:
        """Whether it was created."""
        with self._lock:
            _refuse_jobs("database", definition.name, definition.catalog)
            self.catalog(definition.catalog)
            key = (definition.catalog, definition.name)
            if key in self._databases:
                if if_not_exists:
                    return False
                raise CatalogError(
                    f"database '{definition}' exists already",
                    hint="CREATE DATABASE IF NOT EXISTS leaves it as it is",
                )
            self._databases[key] = definition
            return True

    def alter_database(self, catalog: str, name: str, options: Mapping[str, str]) -> None:
        """Sets options over those it has."""
        with self._lock:
            old = self.database(catalog, name)
            self._databases[catalog, name] = replace(old, options={**old.options, **options})

    def drop_database(
        self, catalog: str, name: str, *, if_exists: bool = False, cascade: bool = False
    ) -> bool:
        """Whether it was there. Without ``cascade`` it must be empty; it must not be the current one."""
        with self._lock:
            if (catalog, name) not in self._databases and if_exists:
                return False
            self.database(catalog, name)
            if (catalog, name) == self._current:
                raise CatalogError(
                    f"database '{catalog}.{name}' is the current one", hint="USE another one first"
                )
            inside = [p.name for p in self._permanent if (p.catalog, p.database) == (catalog, name)]
            inside += self.functions.names_in(catalog, name)
            if inside and not cascade:
                raise CatalogError(
                    f"database '{catalog}.{name}' is not empty: it holds {_some(sorted(inside))}",
                    hint="DROP DATABASE … CASCADE drops them too",
                )
            del self._databases[catalog, name]
            here = (catalog, name)
            self._permanent = {p: d for p, d in self._permanent.items() if (p.catalog, p.database) != here}
            self.functions.forget(lambda p: (p.catalog, p.database) == here)
            return True

    # -- tables and views --------------------------------------------------------------------------
    def get(self, path: ObjectPath) -> TableOrView | None:
        """The table or view, the temporary one first; None if there is none."""
        with self._lock:
            if _is_virtual(path):
                return self.virtual(_virtual_parts(path)) if self.virtual else None
            return self._temporary.get(path) or self._permanent.get(path)

    def require(self, path: ObjectPath, position: Position | None = None, what: str = "table") -> TableOrView:
        """The table or view. Raises CatalogError: which part of the path is unknown, with did-you-mean."""
        found = self.get(path)
        if found is not None:
            return found
        if _is_virtual(path):
            names = [".".join(parts) for parts in self.virtual_names()] if self.virtual_names else []
            name = ".".join(_virtual_parts(path))
            hint = _close(name, names, "running jobs") if names else "no job is running"
            raise CatalogError(f"no running job has a table '{JOBS}.{name}'", hint=hint, position=position)
        with self._lock:
            try:
                self.database(path.catalog, path.database)
            except CatalogError as e:
                raise CatalogError(f"{what} '{path}': {e.message}", hint=e.hint, position=position) from None
            names = self.names(path.catalog, path.database)
            hint = (
                _close(path.name, names, "tables and views here")
                if names
                else "SHOW TABLES; nothing is here yet"
            )
            raise CatalogError(f"{what} '{path}' does not exist", hint=hint, position=position)

    def exact(self, path: ObjectPath, *, temporary: bool) -> TableOrView | None:
        """The temporary, or the permanent table or view, also where a temporary one hides it."""
        return (self._temporary if temporary else self._permanent).get(path)

    def names(self, catalog: str, database: str) -> list[str]:
        """Tables and views of a database, the temporary ones among them."""
        with self._lock:
            paths = {*self._permanent, *self._temporary}
            return sorted(p.name for p in paths if (p.catalog, p.database) == (catalog, database))

    def definitions(self) -> list[TableOrView]:
        """All tables and views, temporary ones last, else in order of creation."""
        with self._lock:
            return [*self._permanent.values(), *self._temporary.values()]

    def tables(self, catalog: str, database: str) -> list[str]:
        """Names of tables and views as SHOW TABLES lists them."""
        if catalog == JOBS or database == JOBS:
            return sorted(
                p[-1] for p in (self.virtual_names() if self.virtual_names else ()) if _belongs(p, database)
            )
        self.database(catalog, database)
        return self.names(catalog, database)

    def views(self, catalog: str, database: str) -> list[str]:
        """Names of views as SHOW VIEWS lists them."""
        found = ((n, self.get(ObjectPath(catalog, database, n))) for n in self.tables(catalog, database))
        return [n for n, d in found if isinstance(d, ViewDefinition)]

    def create(self, definition: TableOrView, *, if_not_exists: bool = False, replace: bool = False) -> bool:
        """Whether it was created. ``replace`` puts it in the place of one that exists."""
        with self._lock:
            path = definition.path
            _refuse_jobs("database", path.database, path.catalog)
            if not definition.temporary:
                self.database(path.catalog, path.database)
            space = self._temporary if definition.temporary else self._permanent
            old = space.get(path)
            if old is not None and not replace:
                if if_not_exists:
                    return False
                raise CatalogError(
                    f"{'temporary ' if definition.temporary else ''}{_kind(old)} '{path}' exists already",
                    hint=f"DROP it first, or CREATE {_kind(definition).upper()} IF NOT EXISTS",
                )
            space[path] = definition
            return True

    def alter(self, definition: TableOrView) -> None:
        """Puts a changed definition in the place of the visible one of the same path."""
        with self._lock:
            _refuse_jobs("database", definition.path.database, definition.path.catalog)
            old = self.require(definition.path)
            space = self._temporary if old.temporary else self._permanent
            space[definition.path] = replace(definition, temporary=old.temporary)

    def rename(self, path: ObjectPath, name: str) -> ObjectPath:
        """Gives the visible table or view another name in its database; returns the new path."""
        with self._lock:
            _refuse_jobs("database", path.database, path.catalog)
            old = self.require(path)
            new_path = replace(path, name=name)
            space = self._temporary if old.temporary else self._permanent
            if new_path in space:
                raise CatalogError(
                    f"{_kind(space[new_path])} '{new_path}' exists already", hint="choose another name"
                )
            del space[path]
            space[new_path] = replace(old, path=new_path)
            return new_path

    def drop(
        self,
        path: ObjectPath,
        kind: str,
        *,
        temporary: bool = False,
        if_exists: bool = False,
        position: Position | None = None,
    ) -> bool:
        """Whether it was there. ``kind`` is ``table`` or ``view``; the other one is an error."""
        with self._lock:
            _refuse_jobs("database", path.database, path.catalog)
            space = self._temporary if temporary else self._permanent
            hidden = not temporary and path in self._temporary
            old = space.get(path)
            if hidden and _kind(self._temporary[path]) == kind:
                raise CatalogError(
                    f"'{path}' is a temporary {kind}",
                    hint=f"use DROP TEMPORARY {kind.upper()}",
                    position=position,
                )
            if old is None or _kind(old) != kind:
                if if_exists and old is None:
                    return False
                self._not_there(path, kind, temporary, old, position)
            del space[path]
            return True

    def _not_there(
        self, path: ObjectPath, kind: str, temporary: bool, old: TableOrView | None, position: Position | None
    ) -> None:
        word = f"temporary {kind}" if temporary else kind
        if old is not None:
            hint = f"use DROP {'TEMPORARY ' if temporary else ''}{_kind(old).upper()}"
            raise CatalogError(f"'{path}' is a {_kind(old)}, not a {kind}", hint=hint, position=position)
        if temporary:
            names = [p.name for p, d in self._temporary.items() if _kind(d) == kind]
            hint = did_you_mean(path.name, names) or "leave out TEMPORARY if it is a permanent one"
            raise CatalogError(f"{word} '{path}' does not exist", hint=hint, position=position)
        self.require(path, position, word)


def _kind(definition: TableOrView) -> str:
    return "view" if isinstance(definition, ViewDefinition) else "table"


def _is_virtual(path: ObjectPath) -> bool:
    return JOBS in (path.catalog, path.database)


def _virtual_parts(path: ObjectPath) -> tuple[str, ...]:
    return (path.name,) if path.database == JOBS else (path.database, path.name)


def _belongs(parts: tuple[str, ...], database: str) -> bool:
    return len(parts) == 1 if database == JOBS else len(parts) == 2 and parts[0] == database


def _refuse_jobs(kind: str, *names: str) -> None:
    if JOBS in names:
        raise CatalogError(
            f"{kind} '{JOBS}' belongs to the running jobs and cannot be changed", hint="choose another name"
        )


def _some(names: Sequence[str], limit: int = 10) -> str:
    shown = ", ".join(f"'{n}'" for n in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def _close(name: str, candidates: Iterable[str], what: str) -> str:
    """A hint: the closest candidates, or all of them."""
    names = sorted(candidates)
    return did_you_mean(name, names) or f"{what}: {_some(names)}"
