"""What a job is, as text that makes it again in a fresh session: kept with its checkpoints.

``streamsql serve`` and readers of savepoints plan the job from it. JSON: ``version``, ``statements`` (CREATE of
catalogs and databases, and of the functions, tables and views that the job uses, in an order in which they can run),
``options``, ``sql``, ``catalog`` and ``database`` (the current ones), ``resumable`` and, where that is false, ``why``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .catalog.catalog import JOBS, CatalogManager
from .catalog.describe import create_catalog_text, create_table_text, create_view_text
from .catalog.objects import FunctionDefinition
from .catalog.table import ObjectPath, TableDefinition, ViewDefinition
from .config import Configuration
from .ddl_show import view_query
from .planner.statement_nodes import insert_text, text
from .planner.statement_uses import Uses, functions_in, uses_of, uses_of_text, with_hidden_options
from .planner.statements import Insert, Query, parse_statement

VERSION = 1
HIDDEN = "******"

_SECRET_KEY = re.compile(
    r"password|passphrase|secret|token|credential|jaas|private|access.?key|user.?info|key\.pem|keystore\.key"
    r"|oauthbearer\.config",
    re.IGNORECASE,
)
_PUBLIC_KEY = re.compile(
    r"fields\..*|.*(url|uri|endpoint|location|file|path|type|format|source)", re.IGNORECASE
)
_SECRET_VALUE = re.compile(
    r"//[^/@\s]*:[^@\s]+@|[?&;][^=&;]*(password|pwd|secret|token|account[._-]?key)[^=&;]*=", re.IGNORECASE
)
_GIVEN_AGAIN = ("execution.checkpointing.dir", "execution.checkpointing.savepoint-dir")
"""Options that a job can do without, or that are known to who takes it up."""
_LOG_TARGET = "error-handling.log.target"


def definition(inserts: Sequence[Insert], catalog: CatalogManager, config: Configuration) -> dict[str, Any]:
    """The definition of the job of some INSERT statements, which are bound already.

    What is secret is kept out; a job that needs it is not resumable by its definition alone.
    """
    used = _Used(catalog)
    for insert in inserts:
        used.insert(insert)
    options = config.as_dict()
    hidden = {key: HIDDEN for key, value in options.items() if is_secret(key, value)}
    reasons = [
        *used.reasons,
        *(f"function {f.name} lives in the program that made it" for f in used.local()),
        *(f"option '{key}' is a secret" for key in hidden if key not in _GIVEN_AGAIN),
    ]
    return {
        "version": VERSION,
        "statements": [*_names(catalog), *map(_create_function, used.functions.values()), *used.created],
        "options": {**options, **hidden},
        "sql": _as_one([_without_secret_hints(insert) for insert in inserts]),
        "catalog": catalog.current_catalog,
        "database": catalog.current_database,
        "resumable": not reasons,
        "why": reasons[0] if reasons else None,
    }


def trouble(definition: Mapping[str, Any]) -> str | None:
    """What is wrong with a definition that was read; None where it can be used."""
    version = definition.get("version")
    if isinstance(version, int) and version > VERSION:
        return f"is of version {version}, and this program knows {VERSION}"
    kinds = {"version": int, "statements": list, "options": dict, "sql": str, "catalog": str, "database": str}
    wrong = [key for key, kind in kinds.items() if not isinstance(definition.get(key), kind)]
    texts = () if wrong else (*definition["statements"], *definition["options"].values())
    if not wrong and not all(isinstance(text, str) for text in texts):
        wrong = ["statements and options"]
    return f"is damaged: {', '.join(wrong)} cannot be read" if wrong else None


def is_secret(key: str, value: str) -> bool:
    """Whether an option's value must not be written down: by its name, or as a URL with a password in it.

    >>> is_secret("properties.ssl.key.pem", "…"), is_secret("properties.ssl.key.location", "/etc/key")
    (True, False)
    >>> is_secret("url", "jdbc:postgresql://me:12345@host/db"), is_secret("url", "jdbc:postgresql://host/db")
    (True, False)
    """
    named = _SECRET_KEY.search(key) is not None and _PUBLIC_KEY.fullmatch(key) is None
    return named or _SECRET_VALUE.search(value) is not None


@dataclass
class _Used:
    """The tables, views and functions that INSERT statements use, directly or through others."""

    catalog: CatalogManager
    functions: dict[str, FunctionDefinition] = field(default_factory=dict[str, FunctionDefinition])
    created: list[str] = field(default_factory=list[str])
    """CREATE of tables and views, those that others read before them."""
    reasons: list[str] = field(default_factory=list[str])
    """Why the definition alone does not make the job."""
    _seen: set[ObjectPath] = field(default_factory=set[ObjectPath])

    def insert(self, insert: Insert) -> None:
        """What one statement uses."""
        target = insert.target.parts
        given = tuple((target[-1], key, value) for key, value in insert.options.items())
        used = uses_of(insert.query)
        self._take(Uses((target, *used.tables), used.functions, (*given, *used.options)))

    def local(self) -> list[FunctionDefinition]:
        """Functions that no import finds."""
        return [f for f in self.functions.values() if _is_local(f)]

    def _take(self, used: Uses) -> None:
        self._call(used.functions)
        for table, key, value in used.options:
            self._option(table, key, value)
        for parts in used.tables:
            self._table_or_view(self.catalog.resolve(parts))

    def _call(self, names: frozenset[str]) -> None:
        visible = self.catalog.functions.definitions(
            self.catalog.current_catalog, self.catalog.current_database
        )
        self.functions.update((str(f.path or f.name), f) for f in visible if f.name in names)

    def _option(self, table: str, key: str, value: str) -> None:
        if is_secret(key, value):
            self.reasons.append(f"option '{key}' of table {table} is a secret")
        elif key == _LOG_TARGET:
            parts = [part.strip().strip("`") for part in value.split(".")]
            self._table_or_view(self.catalog.resolve(parts))

    def _table_or_view(self, path: ObjectPath) -> None:
        if path in self._seen:
            return
        self._seen.add(path)
        if JOBS in (path.catalog, path.database):
            self.reasons.append(f"table {path} is that of a running job")
            return
        found = self.catalog.get(path)
        if isinstance(found, ViewDefinition):
            query = view_query(found, self.catalog)
            self._take(uses_of_text(query))
            self.created.append(create_view_text(found, _without_secrets(query)))
        elif found is not None:
            self._table(found)

    def _table(self, table: TableDefinition) -> None:
        if table.data is not None:
            self.reasons.append(f"table {table.path} lives in the program that made it")
        for key, value in table.options.items():
            self._option(str(table.path), key, value)
        expressions = [c.expression for c in table.columns if c.expression is not None]
        for expression in [*expressions, *([table.watermark.expression] if table.watermark else [])]:
            self._call(functions_in(expression))
        hidden = {k: HIDDEN for k, v in table.options.items() if is_secret(k, v)}
        self.created.append(create_table_text(replace(table, options={**table.options, **hidden})))


def _without_secrets(query: str) -> str:
    """The text of a query without secrets in its hints."""
    if not any(is_secret(key, value) for _, key, value in uses_of_text(query).options):
        return query
    statement = parse_statement(query)
    assert isinstance(statement, Query)
    return text(with_hidden_options(statement.ast, is_secret, HIDDEN))


def _without_secret_hints(insert: Insert) -> str:
    options = {k: HIDDEN if is_secret(k, v) else v for k, v in insert.options.items()}
    return insert_text(
        replace(insert, options=options, query=with_hidden_options(insert.query, is_secret, HIDDEN))
    )


def _as_one(inserts: Sequence[str]) -> str:
    if len(inserts) == 1:
        return inserts[0]
    return "EXECUTE STATEMENT SET BEGIN\n" + "".join(f"{insert};\n" for insert in inserts) + "END"


def _names(catalog: CatalogManager) -> Iterator[str]:
    """Catalogs and databases beside those that are always there."""
    for name in catalog.catalogs():
        if name == JOBS:
            continue
        made = catalog.catalog(name)
        if name != "default_catalog":
            yield create_catalog_text(made)
        for database in catalog.databases(name):
            if database != made.default_database:
                yield f"CREATE DATABASE IF NOT EXISTS `{name}`.`{database}`"


def _create_function(function: FunctionDefinition) -> str:
    if function.path is None:
        kind, name = "TEMPORARY SYSTEM FUNCTION", f"`{function.name}`"
    else:
        kind, name = "TEMPORARY FUNCTION" if function.temporary else "FUNCTION", function.path.quoted()
    return f"CREATE {kind} IF NOT EXISTS {name} AS '{function.class_id}' LANGUAGE {function.language}"


def _is_local(function: FunctionDefinition) -> bool:
    """Whether no import finds it: a lambda, or something of ``__main__``."""
    return (
        "<" in function.class_id or function.class_id.startswith("__main__.") or "." not in function.class_id
    )
