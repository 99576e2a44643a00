"""Statements that change or show names and options, executed at once. Queries, inserts and jobs are the
session's.

Read: ``ddl_context.py`` (what they work on), this file (catalogs, databases, views, functions, options),
``ddl_tables.py`` (CREATE TABLE), ``ddl_alter.py`` (ALTER TABLE), ``ddl_show.py`` (SHOW and DESCRIBE).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from streamsql.catalog.objects import CatalogDefinition, DatabaseDefinition, FunctionDefinition
from streamsql.catalog.table import ObjectPath, ViewDefinition
from streamsql.planner.parsing import parse_one
from streamsql.planner.statement_names import tables_in
from streamsql.planner.statements import (
    AlterCatalog,
    AlterDatabase,
    AlterTable,
    AlterView,
    CreateCatalog,
    CreateDatabase,
    CreateFunction,
    CreateTable,
    CreateView,
    Describe,
    Drop,
    Name,
    QueryTree,
    Reset,
    Set,
    Show,
    Statement,
    Use,
)

from .datatypes import STRING
from .ddl_alter import alter_table, rename_object
from .ddl_context import OK, DdlContext, StatementResult
from .ddl_show import describe, show
from .ddl_tables import create_table
from .errors import CatalogError, ConfigError, StreamSqlError, UnsupportedError, ValidationError
from .options import format_value
from .schema import Field, Schema

__all__ = ["DdlContext", "StatementResult", "execute"]

_CATALOG_TYPE = "generic_in_memory"
_CATALOG_OPTIONS = ("type", "default-database")


def execute(statement: Statement, context: DdlContext) -> StatementResult | None:
    """The answer of a statement on names or options; None for any other statement.

    CREATE TABLE … AS creates the table; the answer's ``insert`` is for the session to run.
    """
    run = _STATEMENTS.get(type(statement))
    if run is None:
        return None
    try:
        return run(statement, context)
    except CatalogError as e:
        name = getattr(statement, "name", None)
        if e.position is None and isinstance(name, Name):
            e.position = name.position  # the catalog knows no text
        raise


# -- catalogs and databases ------------------------------------------------------------------------


def _create_catalog(statement: CreateCatalog, context: DdlContext) -> StatementResult:
    _check_catalog_options(statement.options)
    definition = CatalogDefinition(_simple(statement.name), statement.options, statement.comment)
    context.catalog.create_catalog(definition, if_not_exists=statement.if_not_exists)
    return OK


def _check_catalog_options(options: Mapping[str, str]) -> None:
    kind = options.get("type")
    if kind is None:
        raise ConfigError("CREATE CATALOG needs the option 'type'", hint=f"WITH ('type' = '{_CATALOG_TYPE}')")
    if kind != _CATALOG_TYPE:
        raise UnsupportedError(
            f"catalogs of type '{kind}' are not supported", hint=f"'{_CATALOG_TYPE}' is the only type"
        )
    unknown = [k for k in options if k not in _CATALOG_OPTIONS]
    if unknown:
        raise ConfigError(
            f"unknown option '{unknown[0]}' of a catalog", hint=f"options: {', '.join(_CATALOG_OPTIONS)}"
        )


def _alter_catalog(statement: AlterCatalog, context: DdlContext) -> StatementResult:
    old = context.catalog.catalog(_simple(statement.name))
    if "type" in statement.reset:
        raise ValidationError("ALTER CATALOG … RESET cannot take 'type' away")
    if statement.comment is not None:
        context.catalog.alter_catalog(replace(old, comment=statement.comment))
        return OK
    options = {k: v for k, v in {**old.options, **statement.options}.items() if k not in statement.reset}
    _check_catalog_options({"type": _CATALOG_TYPE, **options})
    context.catalog.alter_catalog(replace(old, options=options))
    return OK


def _create_database(statement: CreateDatabase, context: DdlContext) -> StatementResult:
    catalog, name = context.catalog.resolve_database(statement.name.parts)
    definition = DatabaseDefinition(catalog, name, statement.options, statement.comment)
    context.catalog.create_database(definition, if_not_exists=statement.if_not_exists)
    return OK


def _alter_database(statement: AlterDatabase, context: DdlContext) -> StatementResult:
    context.catalog.alter_database(
        *context.catalog.resolve_database(statement.name.parts), options=statement.options
    )
    return OK


def _simple(name: Name) -> str:
    if len(name.parts) != 1:
        raise ValidationError(f"'{name}' is not the name of a catalog", position=name.position)
    return name.parts[0]


# -- DROP ------------------------------------------------------------------------------------------


def _drop(statement: Drop, context: DdlContext) -> StatementResult:
    name, if_exists, catalog = statement.name, statement.if_exists, context.catalog
    match statement.kind:
        case "CATALOG":
            catalog.drop_catalog(_simple(name), if_exists=if_exists)
        case "DATABASE":
            owner, database = catalog.resolve_database(name.parts)
            catalog.drop_database(owner, database, if_exists=if_exists, cascade=statement.cascade)
        case "FUNCTION":
            target = FunctionDefinition(
                name.parts[-1], _function_path(statement, context), "", temporary=statement.temporary
            )
            catalog.functions.drop(target, if_exists=if_exists, position=name.position)
        case kind:
            path = catalog.resolve(name.parts)
            catalog.drop(
                path,
                kind.lower(),
                temporary=statement.temporary,
                if_exists=if_exists,
                position=name.position,
            )
    return OK


# -- views -----------------------------------------------------------------------------------------


def _create_view(statement: CreateView, context: DdlContext) -> StatementResult:
    catalog = context.catalog
    path = catalog.resolve(statement.name.parts)
    if statement.if_not_exists and catalog.exact(path, temporary=statement.temporary) is not None:
        return OK
    view = ViewDefinition(
        path,
        statement.text,
        tuple(i.name for i, _ in statement.columns),
        statement.comment,
        statement.temporary,
        catalog.current_catalog,
        catalog.current_database,
    )
    _check_view(statement.query, statement.sql, view, statement.name, context)
    catalog.create(view)
    return OK


def _check_view(query: QueryTree, sql: str, view: ViewDefinition, name: Name, context: DdlContext) -> None:
    _refuse_recursion(query, view.path, context, name)
    names = context.query_schema(query, sql).names
    if view.columns and len(view.columns) != len(names):
        raise ValidationError(
            f"view '{name}' names {len(view.columns)} columns, but its query has {len(names)}",
            hint=f"name each column of the query ({', '.join(names)}), or none",
            position=name.position,
        )
    shown = view.columns or tuple(names)
    twice = [n for i, n in enumerate(shown) if n in shown[:i]]
    if twice:
        raise ValidationError(
            f"view '{name}' has two columns '{twice[0]}'",
            hint="rename one of them with AS, or name all columns after the view's name",
            position=name.position,
        )


def _refuse_recursion(query: QueryTree, path: ObjectPath, context: DdlContext, name: Name) -> None:
    """A view must not read itself, not even through other views."""
    seen: set[ObjectPath] = set()
    waiting = [query]
    while waiting:
        for table in tables_in(waiting.pop()):
            used = context.catalog.resolve([p.name for p in table.parts])
            if used == path:
                raise ValidationError(
                    f"view '{name}' would read itself", hint="choose another name", position=name.position
                )
            found = context.catalog.get(used)
            if isinstance(found, ViewDefinition) and used not in seen:
                seen.add(used)
                waiting.append(parse_one(found.query))


def _alter_view(statement: AlterView, context: DdlContext) -> StatementResult:
    catalog = context.catalog
    path = catalog.resolve(statement.name.parts)
    if statement.if_exists and catalog.get(path) is None:
        return OK
    old = catalog.require(path, statement.name.position, "view")
    if not isinstance(old, ViewDefinition):
        raise CatalogError(f"'{path}' is a table", hint="use ALTER TABLE", position=statement.name.position)
    if statement.new_name is not None:
        rename_object(context, path, statement.new_name)
        return OK
    assert statement.query is not None
    view = replace(
        old,
        query=statement.text,
        columns=(),
        current_catalog=catalog.current_catalog,
        current_database=catalog.current_database,
    )
    _check_view(statement.query, statement.sql, view, statement.name, context)
    catalog.alter(view)
    return OK


# -- functions -------------------------------------------------------------------------------------


def _create_function(statement: CreateFunction, context: DdlContext) -> StatementResult:
    path = _function_path(statement, context)
    if path is not None and not statement.temporary:
        context.catalog.database(path.catalog, path.database)
    definition = FunctionDefinition(
        statement.name.parts[-1], path, statement.class_id, temporary=statement.temporary
    )
    functions = context.catalog.functions
    if statement.alter:
        functions.alter(replace(definition, callable=_load(statement)), if_exists=statement.if_exists)
    else:
        functions.create(
            replace(definition, callable=_load(statement)), if_not_exists=statement.if_not_exists
        )
    return OK


def _function_path(statement: CreateFunction | Drop, context: DdlContext) -> ObjectPath | None:
    """The function's path; None for a temporary system function, whose name has one part."""
    if not statement.system:
        return context.catalog.resolve(statement.name.parts)
    if len(statement.name.parts) > 1:
        raise ValidationError(
            f"'{statement.name}': a temporary system function belongs to no database",
            hint=f"write {statement.name.parts[-1]}",
            position=statement.name.position,
        )
    return None


def _load(statement: CreateFunction) -> Any:
    """What ``module.attribute`` names. Raises ValidationError for what cannot be imported or called."""
    module_name, _, attribute = statement.class_id.rpartition(".")
    if not module_name or not attribute:
        raise ValidationError(
            f"function '{statement.name}': '{statement.class_id}' is not module.attribute",
            hint="name the module that holds the function, such as 'my_functions.double'",
        )
    try:
        module = importlib.import_module(module_name)
    except StreamSqlError:
        raise
    except Exception as e:
        why = f"{type(e).__name__}: {e}"
        raise ValidationError(
            f"function '{statement.name}': module '{module_name}' cannot be imported: {why}",
            hint="the module must be on the Python path (PYTHONPATH) and run without errors",
        ) from e
    found = getattr(module, attribute, None)
    if found is None:
        raise ValidationError(f"function '{statement.name}': module '{module_name}' has no '{attribute}'")
    if not callable(found) and not hasattr(found, "eval"):
        raise ValidationError(
            f"function '{statement.name}': '{statement.class_id}' is a {type(found).__name__}",
            hint="name a function, or an object made with udf(…)",
        )
    return found


# -- the session -----------------------------------------------------------------------------------


def _set(statement: Set, context: DdlContext) -> StatementResult:
    if statement.key is not None:
        context.config.set(statement.key, statement.value)
        return OK
    config = context.config
    known = ((o, config.get(o.key)) for o in config.all_options())
    values = {o.key: format_value(value, o.kind) for o, value in known if value is not None}
    values.update(config.as_dict())
    schema = Schema.of([Field("key", STRING()), Field("value", STRING())])
    return StatementResult(schema, sorted(values.items()))


def _reset(statement: Reset, context: DdlContext) -> StatementResult:
    context.config.reset(statement.key)
    return OK


def _use(statement: Use, context: DdlContext) -> StatementResult:
    if statement.kind == "CATALOG":
        context.catalog.use_catalog(_simple(statement.name))
    else:
        context.catalog.use_database(statement.name.parts)
    return OK


_STATEMENTS: dict[type[Statement], Callable[[Any, DdlContext], StatementResult]] = {
    AlterCatalog: _alter_catalog,
    AlterDatabase: _alter_database,
    AlterTable: alter_table,
    AlterView: _alter_view,
    CreateCatalog: _create_catalog,
    CreateDatabase: _create_database,
    CreateFunction: _create_function,
    CreateTable: create_table,
    CreateView: _create_view,
    Describe: describe,
    Drop: _drop,
    Reset: _reset,
    Set: _set,
    Show: show,
    Use: _use,
}
