"""The user's functions by name. Function names do not distinguish upper and lower case."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from streamsql.errors import CatalogError, Position, did_you_mean

from .objects import FunctionDefinition
from .table import ObjectPath


class FunctionRegistry:
    """Three name spaces, searched in this order: temporary system, temporary, permanent functions.

    Built-in functions come after the first: look with :meth:`system` before them and with :meth:`get` after.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._system: dict[str, FunctionDefinition] = {}
        self._temporary: dict[str, FunctionDefinition] = {}
        self._permanent: dict[str, FunctionDefinition] = {}

    def system(self, name: str) -> FunctionDefinition | None:
        """The temporary system function of that name."""
        return self._system.get(name.lower())

    def get(self, path: ObjectPath) -> FunctionDefinition | None:
        """The temporary or else the permanent function of a full path."""
        key = str(_key(path))
        return self._temporary.get(key) or self._permanent.get(key)

    def definitions(
        self, catalog: str | None = None, database: str | None = None
    ) -> list[FunctionDefinition]:
        """All that is visible; with ``catalog`` and ``database`` only theirs and the system functions."""
        with self._lock:
            visible = {**self._permanent, **self._temporary}
            inside = [f for f in visible.values() if catalog is None or _in(f, catalog, database)]
            return sorted((*self._system.values(), *inside), key=lambda f: f.name)

    def create(self, definition: FunctionDefinition, *, if_not_exists: bool = False) -> bool:
        """Whether it was created."""
        with self._lock:
            space, key = self._space(definition)
            if key in space:
                if if_not_exists:
                    return False
                raise CatalogError(
                    f"{_word(definition)} '{key}' exists already",
                    hint="DROP it first, or CREATE FUNCTION IF NOT EXISTS",
                )
            space[key] = _lowered(definition)
            return True

    def alter(self, definition: FunctionDefinition, *, if_exists: bool = False) -> bool:
        """Puts it in the place of the function of the same name. Raises CatalogError if there is none."""
        with self._lock:
            space, key = self._space(definition)
            if key not in space:
                if if_exists:
                    return False
                raise self._unknown(definition, None)
            space[key] = _lowered(definition)
            return True

    def drop(
        self, definition: FunctionDefinition, *, if_exists: bool = False, position: Position | None = None
    ) -> bool:
        """Whether it was there. Only name, path and ``temporary`` of ``definition`` are read."""
        with self._lock:
            space, key = self._space(definition)
            if key not in space:
                if if_exists:
                    return False
                raise self._unknown(definition, position)
            del space[key]
            return True

    def names_in(self, catalog: str, database: str) -> list[str]:
        """Names of the permanent functions of a database."""
        return [f.name for f in self._permanent.values() if _in(f, catalog, database)]

    def forget(self, where: Callable[[ObjectPath], bool]) -> None:
        """Drops the permanent functions of paths that go away."""
        with self._lock:
            self._permanent = {k: f for k, f in self._permanent.items() if f.path and not where(f.path)}

    def _space(self, definition: FunctionDefinition) -> tuple[dict[str, FunctionDefinition], str]:
        if definition.path is None:
            return self._system, definition.name.lower()
        return (self._temporary if definition.temporary else self._permanent), str(_key(definition.path))

    def _unknown(self, definition: FunctionDefinition, position: Position | None) -> CatalogError:
        name = definition.name.lower()
        others = [f for f in self.definitions() if f.name == name]
        hint = (
            did_you_mean(name, [f.name for f in self.definitions()])
            or "SHOW USER FUNCTIONS lists what is there"
        )
        if others:
            words = (
                "TEMPORARY SYSTEM " if others[0].is_system else "TEMPORARY " if others[0].temporary else ""
            )
            hint = f"use {words}FUNCTION for it"
        shown = definition.path or name
        return CatalogError(f"{_word(definition)} '{shown}' does not exist", hint=hint, position=position)


def _key(path: ObjectPath) -> ObjectPath:
    return replace(path, name=path.name.lower())


def _in(definition: FunctionDefinition, catalog: str | None, database: str | None) -> bool:
    path = definition.path
    return path is not None and (path.catalog, path.database) == (catalog, database)


def _lowered(definition: FunctionDefinition) -> FunctionDefinition:
    path = definition.path and _key(definition.path)
    return replace(definition, name=definition.name.lower(), path=path)


def _word(definition: FunctionDefinition) -> str:
    if definition.is_system:
        return "temporary system function"
    return "temporary function" if definition.temporary else "function"
