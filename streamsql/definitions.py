"""What a job is, as text that makes it again in a fresh session: kept with its checkpoints.

``streamsql serve`` and readers of savepoints plan the job from it. JSON: ``version``, ``statements`` (CREATE of
catalogs, databases, functions, tables and views, in an order in which they can run), ``options``, ``sql``, ``catalog``
and ``database`` (the current ones), ``resumable`` and, where that is false, ``why``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from .catalog.catalog import CatalogManager
from .catalog.describe import create_catalog_text, create_table_text, create_view_text
from .catalog.objects import FunctionDefinition
from .catalog.table import TableDefinition, ViewDefinition
from .config import Configuration

VERSION = 1

_SECRET = re.compile(r"password|secret|token|credential|jaas|private|access.?key", re.IGNORECASE)
HIDDEN = "******"
_IS_SET = re.compile(r"(EXECUTE\s+)?STATEMENT\s+SET\b", re.IGNORECASE)


def definition(
    inserts: Sequence[str],
    catalog: CatalogManager,
    config: Configuration,
    view_query: Callable[[ViewDefinition], str],
) -> dict[str, Any]:
    """The definition of the job of some INSERT statements. ``view_query``: a view's query with full table names.

    Options whose name speaks of a secret are kept out; a job that needs them is not resumable by its definition alone.
    """
    functions = catalog.functions.definitions()
    found = catalog.definitions()
    tables = [d for d in found if isinstance(d, TableDefinition)]
    views = [d for d in found if isinstance(d, ViewDefinition)]
    reasons = [f"function {f.name} lives in the program that made it" for f in functions if _is_local(f)]
    reasons += [f"table {t.path} lives in the program that made it" for t in tables if t.data is not None]
    reasons += [f"option '{key}' of table {t.path} is a secret" for t in tables for key in _secrets(t)]
    return {
        "version": VERSION,
        "statements": [
            *_names(catalog),
            *(_create_function(f) for f in functions),
            *(create_table_text(_without_secrets(t)) for t in tables),
            *(create_view_text(v, view_query(v)) for v in views),
        ],
        "options": {k: HIDDEN if _SECRET.search(k) else v for k, v in config.as_dict().items()},
        "sql": _as_one(inserts),
        "catalog": catalog.current_catalog,
        "database": catalog.current_database,
        "resumable": not reasons,
        "why": reasons[0] if reasons else None,
    }


def _as_one(inserts: Sequence[str]) -> str:
    texts = [text.strip().rstrip(";") for text in inserts]
    if len(texts) == 1 or all(
        _IS_SET.match(text) for text in texts
    ):  # each then has the text of the whole set
        return texts[0]
    return "EXECUTE STATEMENT SET BEGIN\n" + "".join(f"{text};\n" for text in texts) + "END"


def _names(catalog: CatalogManager) -> Iterator[str]:
    """Catalogs and databases beside those that are always there."""
    for name in catalog.catalogs():
        if name == "jobs":
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


def _secrets(table: TableDefinition) -> list[str]:
    return [key for key in table.options if _SECRET.search(key)]


def _without_secrets(table: TableDefinition) -> TableDefinition:
    hidden = dict.fromkeys(_secrets(table), HIDDEN)
    return replace(table, options={**table.options, **hidden}) if hidden else table
