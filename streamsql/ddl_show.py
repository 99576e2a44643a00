"""SHOW and DESCRIBE: what there is, as rows. Column names are Flink's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from streamsql.catalog.catalog import CatalogManager
from streamsql.catalog.describe import (
    COMMENT_FIELD,
    DESCRIBE_SCHEMA,
    DescribeRow,
    create_catalog_text,
    create_table_text,
    create_view_text,
    describe_schema,
    describe_table,
)
from streamsql.catalog.objects import CatalogDefinition, FunctionDefinition
from streamsql.catalog.table import TableDefinition, ViewDefinition
from streamsql.planner.statement_names import qualified
from streamsql.planner.statements import Describe, Name, Show

from .datatypes import STRING
from .ddl_context import BuiltinFunction, DdlContext, StatementResult, one_column
from .errors import CatalogError, UnsupportedError, ValidationError, did_you_mean
from .schema import Field, Schema

_INFO_SCHEMA = Schema.of([Field("info name", STRING()), Field("info value", STRING())])


def show(statement: Show, context: DdlContext) -> StatementResult:
    """The answer of any SHOW but SHOW JOBS."""
    catalog = context.catalog
    match statement.kind:
        case "CURRENT CATALOG":
            return one_column("current catalog name", [catalog.current_catalog])
        case "CURRENT DATABASE":
            return one_column("current database name", [catalog.current_database])
        case "CATALOGS":
            return one_column("catalog name", matching(catalog.catalogs(), statement))
        case "DATABASES":
            return one_column(
                "database name", matching(catalog.databases(_catalog_name(statement.name)), statement)
            )
        case "TABLES":
            return one_column(
                "table name", matching(catalog.tables(*_database(statement, catalog)), statement)
            )
        case "VIEWS":
            return one_column("view name", matching(catalog.views(*_database(statement, catalog)), statement))
        case "FUNCTIONS" | "USER FUNCTIONS":
            return one_column("function name", matching(_function_names(statement, context), statement))
        case "MODULES":
            return one_column("module name", matching(["core"], statement))
        case "FULL MODULES":
            schema = Schema.of([Field("module name", STRING()), Field("used", STRING())])
            return StatementResult(schema, [("core", "TRUE")])
        case "COLUMNS":
            assert statement.name is not None
            rows = _describe_rows(statement.name, context)
            names = set(matching([r[0] for r in rows], statement))
            return _rows_of_columns([r for r in rows if r[0] in names])
        case _:
            return one_column("result", [_show_create(statement, context)])


def describe(statement: Describe, context: DdlContext) -> StatementResult:
    """The answer of DESCRIBE of a table, view, catalog, database or function."""
    match statement.kind:
        case "TABLE":
            return _rows_of_columns(_describe_rows(statement.name, context))
        case "CATALOG":
            return _describe_catalog(statement, context.catalog)
        case "DATABASE":
            return _describe_database(statement, context.catalog)
        case "FUNCTION":
            return _describe_function(statement, context)
        case _:
            raise UnsupportedError(f"DESCRIBE {statement.kind} is not supported")


def matching(names: Iterable[str], statement: Show) -> list[str]:
    """The names that fit LIKE, where ``%`` stands for any text and ``_`` for one character."""
    if statement.pattern is None:
        return list(names)
    flags = re.DOTALL | (re.IGNORECASE if statement.ignore_case else 0)
    pattern = re.compile(like_regex(statement.pattern), flags)
    return [n for n in names if bool(pattern.fullmatch(n)) != statement.negated]


def like_regex(pattern: str) -> str:
    r"""A LIKE pattern as a regular expression; ``\`` takes away the meaning of what follows.

    >>> like_regex("a_b%"), like_regex(r"a\_b")
    ('a.b.*', 'a_b')
    """
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return "".join(re.escape(p[1]) if len(p) == 2 else wild.get(p) or re.escape(p) for p in parts)


def _catalog_name(name: Name | None) -> str | None:
    if name is None:
        return None
    if len(name.parts) != 1:
        raise ValidationError(f"'{name}' is not the name of a catalog", position=name.position)
    return name.parts[0]


def _database(statement: Show, catalog: CatalogManager) -> tuple[str, str]:
    if statement.name is None:
        return catalog.current_catalog, catalog.current_database
    return catalog.resolve_database(statement.name.parts)


# -- tables ----------------------------------------------------------------------------------------


def _describe_rows(name: Name, context: DdlContext) -> list[DescribeRow]:
    found = context.catalog.require(context.catalog.resolve(name.parts), name.position)
    if isinstance(found, TableDefinition):
        return describe_table(found)
    return describe_schema(context.view_schema(found))


def _rows_of_columns(rows: Sequence[DescribeRow]) -> StatementResult:
    """The comment column appears only where some column has a comment, as in Flink."""
    if any(row[-1] for row in rows):
        return StatementResult(Schema.of([*DESCRIBE_SCHEMA, COMMENT_FIELD]), rows)
    return StatementResult(DESCRIBE_SCHEMA, [row[:-1] for row in rows])


def _show_create(statement: Show, context: DdlContext) -> str:
    name, catalog = statement.name, context.catalog
    assert name is not None
    if statement.kind == "CREATE CATALOG":
        return create_catalog_text(catalog.catalog(_catalog_name(name) or ""))
    path = catalog.resolve(name.parts)
    wanted = statement.kind.removeprefix("CREATE ")
    found = catalog.require(path, name.position, wanted.lower())
    kind = "VIEW" if isinstance(found, ViewDefinition) else "TABLE"
    if kind != wanted:
        raise CatalogError(
            f"'{path}' is a {kind.lower()}", hint=f"use SHOW CREATE {kind}", position=name.position
        )
    if isinstance(found, ViewDefinition):
        return create_view_text(found, view_query(found, catalog))
    if found.data is not None or path.catalog == "jobs":
        raise UnsupportedError(
            f"no statement creates '{path}': its rows come from this process",
            hint="DESCRIBE lists its columns",
            position=name.position,
        )
    return create_table_text(found)


def view_query(view: ViewDefinition, catalog: CatalogManager) -> str:
    """A view's query with full table names."""
    return qualified(view.query, _resolver(view, catalog))


def _resolver(view: ViewDefinition, catalog: CatalogManager) -> Callable[[list[str]], tuple[str, str, str]]:
    """Names as they were resolved where the view was created."""

    def resolve(parts: list[str]) -> tuple[str, str, str]:
        if len(parts) == 1:
            return (view.current_catalog, view.current_database, parts[0])
        if len(parts) == 2:
            return (view.current_catalog, parts[0], parts[1])
        path = catalog.resolve(parts)
        return (path.catalog, path.database, path.name)

    return resolve


# -- catalogs and databases ------------------------------------------------------------------------


def _describe_catalog(statement: Describe, catalog: CatalogManager) -> StatementResult:
    found: CatalogDefinition = catalog.catalog(_catalog_name(statement.name) or "")
    rows = [
        ("name", found.name),
        ("type", found.options.get("type", "generic_in_memory")),
        ("comment", found.comment or ""),
    ]
    if statement.extended:
        rows += [(f"option:{k}", v) for k, v in sorted(found.options.items())]
    return StatementResult(_INFO_SCHEMA, rows)


def _describe_database(statement: Describe, catalog: CatalogManager) -> StatementResult:
    found = catalog.database(*catalog.resolve_database(statement.name.parts))
    rows = [("catalog name", found.catalog), ("database name", found.name), ("comment", found.comment or "")]
    if statement.extended:
        rows += [(f"option:{k}", v) for k, v in sorted(found.options.items())]
    return StatementResult(_INFO_SCHEMA, rows)


# -- functions -------------------------------------------------------------------------------------


def _builtins(context: DdlContext) -> dict[str, BuiltinFunction]:
    """The functions one can call by name; operators such as ``+`` are not among them."""
    found: dict[str, BuiltinFunction] = {}
    for function in context.builtin_functions():
        for name in (function.name, *function.aliases):
            if re.fullmatch(r"\w+", name):
                found[name.upper()] = function
    return found


def _function_names(statement: Show, context: DdlContext) -> list[str]:
    catalog, database = _database(statement, context.catalog)
    context.catalog.database(catalog, database)
    users = {f.name for f in context.catalog.functions.definitions(catalog, database)}
    if statement.kind == "USER FUNCTIONS":
        return sorted(users)
    return sorted({*users, *_builtins(context)}, key=str.lower)


def _describe_function(statement: Describe, context: DdlContext) -> StatementResult:
    parts, functions = statement.name.parts, context.catalog.functions
    user = functions.system(parts[-1]) if len(parts) == 1 else None
    builtins = _builtins(context)
    if user is None and len(parts) == 1 and parts[0].upper() in builtins:
        return StatementResult(_INFO_SCHEMA, _builtin_rows(builtins[parts[0].upper()], statement.extended))
    user = user or functions.get(context.catalog.resolve(parts))
    if user is None:
        names = [*builtins, *(f.name for f in functions.definitions())]
        raise CatalogError(
            f"function '{statement.name}' does not exist",
            hint=did_you_mean(parts[-1], names) or "SHOW FUNCTIONS lists them all",
            position=statement.name.position,
        )
    return StatementResult(_INFO_SCHEMA, _user_rows(user, statement.extended))


def _builtin_rows(function: BuiltinFunction, extended: bool) -> list[tuple[str, str]]:
    rows = [("is system function", "true"), ("is temporary", "false")]
    if extended:
        rows += [
            ("is deterministic", str(function.deterministic).lower()),
            *(("signature", text) for text in function.usage()),
            ("result", function.result),
            ("description", function.description),
        ]
    return rows


def _user_rows(function: FunctionDefinition, extended: bool) -> list[tuple[str, str]]:
    rows = [
        ("is system function", str(function.is_system).lower()),
        ("is temporary", str(function.temporary).lower()),
        ("class name", function.class_id),
        ("function language", function.language),
    ]
    documentation = getattr(function.callable, "__doc__", None)
    if extended and documentation:
        rows.append(("description", documentation.strip().splitlines()[0]))
    return rows
