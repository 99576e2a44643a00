"""Databases of DuckDB that are used again: to make one costs as much as a whole small job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import duckdb

from streamsql.planner.functions.support import SUPPORT_FUNCTIONS, register

_make: Callable[..., Any] = duckdb.connect


class Databases:
    """Empty databases, each lent to one user at a time."""

    def __init__(self) -> None:
        self._free: defaultdict[tuple[tuple[str, str], ...], list[Any]] = defaultdict(list)

    def connect(self, *arguments: Any, config: Mapping[str, str] | None = None, **options: Any) -> Any:
        """As ``duckdb.connect``. What is lent is in memory and has a configuration, as those of jobs have."""
        if arguments or options or config is None:
            return _make(*arguments, config=dict(config or {}), **options)
        free = self._free[tuple(sorted(config.items()))]
        try:
            database = free.pop()
        except IndexError:
            database = _make(config=dict(config))
            register(database)
        return Lent(database, free.append)

    def close(self) -> None:
        for free in self._free.values():
            while free:
                free.pop().close()


class Lent:
    """A connection of its own to a database; what it sets, registers or names is gone when it is closed."""

    def __init__(self, database: Any, give_back: Callable[[Any], None]) -> None:
        self._database = database
        self._give_back = give_back
        self._connection = database.cursor()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __enter__(self) -> Lent:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def create_function(self, name: str, body: Callable[..., object], *more: Any, **options: Any) -> None:
        """A function belongs to the database, so that one with others than every job's is not lent again."""
        if any(name == known and body is same for known, same, _, _ in SUPPORT_FUNCTIONS):
            return
        self._give_back = lambda database: database.close()
        self._connection.create_function(name, body, *more, **options)

    def close(self) -> None:
        """Ends the connection; a second call does nothing."""
        if self._database is not None:
            self._connection.close()
            self._give_back(self._database)
            self._database = None
