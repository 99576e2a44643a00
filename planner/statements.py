"""SQL text to statements: the parser's tree, read once, with everything refused that this version does not
do.

In: text of one or several statements. Out: the dataclasses of ``statement_types``, all re-exported here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from streamsql.errors import UnsupportedError, ValidationError

from .dialect import nodes
from .parsing import parse, parse_one
from .statement_nodes import Reader, comment_of, properties, text
from .statement_tables import read_alter_table, read_create_table
from .statement_types import (
    AddParts,
    AlterCatalog,
    AlterDatabase,
    AlterTable,
    AlterView,
    BeginStatementSet,
    ColumnSpec,
    CreateCatalog,
    CreateDatabase,
    CreateFunction,
    CreateTable,
    CreateView,
    Describe,
    DescribeJob,
    Drop,
    DropColumns,
    DropPrimaryKey,
    DropWatermark,
    EndStatementSet,
    Explain,
    Ident,
    Insert,
    KeySpec,
    LikeClause,
    ModifyParts,
    Name,
    Query,
    QueryTree,
    RenameColumn,
    RenameTo,
    Reset,
    ResetOptions,
    Set,
    SetOptions,
    Show,
    ShowJobs,
    Statement,
    StatementSet,
    StopJob,
    TableParts,
    Use,
    WatermarkDecl,
)

__all__ = [
    "AddParts",
    "AlterCatalog",
    "AlterDatabase",
    "AlterTable",
    "AlterView",
    "BeginStatementSet",
    "ColumnSpec",
    "CreateCatalog",
    "CreateDatabase",
    "CreateFunction",
    "CreateTable",
    "CreateView",
    "Describe",
    "DescribeJob",
    "Drop",
    "DropColumns",
    "DropPrimaryKey",
    "DropWatermark",
    "EndStatementSet",
    "Explain",
    "Ident",
    "Insert",
    "KeySpec",
    "LikeClause",
    "ModifyParts",
    "Name",
    "Query",
    "QueryTree",
    "RenameColumn",
    "RenameTo",
    "Reset",
    "ResetOptions",
    "Set",
    "SetOptions",
    "Show",
    "ShowJobs",
    "Statement",
    "StatementSet",
    "StopJob",
    "TableParts",
    "Use",
    "WatermarkDecl",
    "parse_statement",
    "parse_statements",
    "read_statement",
]

_REFUSED_KINDS = {
    "MODEL": "no model providers are built in",
    "CONNECTION": "give the options in the table's WITH (…)",
    "MATERIALIZED TABLE": "CREATE VIEW, or CREATE TABLE and INSERT INTO it",
}
_REFUSED_SHOWS = {
    "PARTITIONS": "partitions of files are the folders themselves",
    "PROCEDURES": "there are no procedures",
    "MODELS": _REFUSED_KINDS["MODEL"],
    "CREATE MODEL": _REFUSED_KINDS["MODEL"],
    "CONNECTIONS": _REFUSED_KINDS["CONNECTION"],
    "CREATE CONNECTION": _REFUSED_KINDS["CONNECTION"],
    "MATERIALIZED TABLES": "SHOW VIEWS lists the views",
    "CREATE MATERIALIZED TABLE": "SHOW CREATE TABLE or VIEW",
    "CREATE OR ALTER MATERIALIZED TABLE": "SHOW CREATE TABLE or VIEW",
    "JARS": "no Java code runs here",
}


def parse_statement(sql: str) -> Statement:
    """The one statement of a text (a semicolon at the end is welcome).

    Raises SqlSyntaxError, ValidationError, or UnsupportedError naming what is refused.
    """
    return read_statement(parse_one(sql), sql)


def parse_statements(sql: str) -> list[Statement]:
    """All statements of a script, in order."""
    return [read_statement(node, sql) for node in parse(sql)]


def read_statement(node: exp.Expr, sql: str) -> Statement:
    """A syntax tree as a statement; ``sql`` is the text it came from."""
    reader = Reader(sql)
    read = _READERS.get(type(node))
    if read is not None:
        return read(reader, node)
    if isinstance(node, exp.Query | exp.Values):
        return Query(node, sql=sql)
    raise reader.unsupported(_words(node))


def _words(node: exp.Expr) -> str:
    """The first words of a statement that nobody reads."""
    return " ".join(text(node).split()[:3])


# -- queries and inserts ---------------------------------------------------------------------------


def _emit_changes(reader: Reader, node: exp.Expr) -> Query:
    return Query(node.this, emit_changes=True, sql=reader.sql)


def _subscribe(reader: Reader, node: exp.Expr) -> Query:
    source = node.this
    if isinstance(source, exp.Table):
        source = exp.Select(expressions=[exp.Star()], from_=exp.From(this=source.copy()))
    return Query(source, emit_changes=True, sql=reader.sql)


def _insert(reader: Reader, node: exp.Expr) -> Insert:
    target = node.this
    table = target.this if isinstance(target, exp.Schema) else target
    partition = node.args.get("partition")
    conflict = node.args.get("conflict")
    return Insert(
        reader.name(table),
        node.expression,
        reader.idents(target.expressions) if isinstance(target, exp.Schema) else (),
        tuple(_partition_value(reader, p) for p in partition.expressions) if partition is not None else (),
        _options_hint(reader, table),
        bool(node.args.get("overwrite")),
        conflict.args["action"].name if conflict is not None else None,
        sql=reader.sql,
    )


def _partition_value(reader: Reader, node: exp.Expr) -> tuple[Ident, exp.Expr | None]:
    if isinstance(node, exp.EQ):
        return reader.ident(node.this, "partition column"), node.expression
    return reader.ident(node, "partition column"), None


def _options_hint(reader: Reader, table: exp.Expr) -> dict[str, str]:
    options: dict[str, str] = {}
    for hint in table.args.get("hints") or ():
        for call in hint.expressions:
            if call.name.upper() != "OPTIONS":
                raise reader.unsupported(
                    f"the hint {call.name} after INSERT INTO", hint, "OPTIONS is the only one here"
                )
            options.update(reader.options(call.expressions, last_wins=True))
    return options


def _statement_set(reader: Reader, node: exp.Expr) -> StatementSet:
    found: list[Insert | CreateTable] = []
    for part in node.expressions:
        statement = read_statement(part, reader.sql)
        if not isinstance(statement, Insert) and not (isinstance(statement, CreateTable) and statement.query):
            raise ValidationError(
                "a statement set holds INSERT and CREATE TABLE … AS", position=reader.place(part)
            )
        found.append(statement)
    return StatementSet(tuple(found), sql=reader.sql)


def _explain(reader: Reader, node: exp.Expr) -> Explain:
    statement = read_statement(node.this, reader.sql)
    if isinstance(statement, CreateTable) and statement.query is None:
        raise ValidationError("EXPLAIN takes a query, INSERT, STATEMENT SET or CREATE TABLE … AS")
    if not isinstance(statement, Query | Insert | StatementSet | CreateTable):
        raise reader.unsupported(f"EXPLAIN of {_words(node.this)}")
    return Explain(statement, tuple(node.args.get("details") or ()), sql=reader.sql)


# -- CREATE, ALTER, DROP ---------------------------------------------------------------------------


def _create(reader: Reader, node: exp.Expr) -> Statement:
    assert isinstance(node, exp.Create)
    kind: str = node.args["kind"]
    if kind in _REFUSED_KINDS:
        raise reader.unsupported(f"CREATE {kind}", hint=_REFUSED_KINDS[kind])
    if kind == "TABLE":
        return read_create_table(reader, node)
    if kind == "VIEW":
        return _create_view(reader, node)
    if kind.endswith("FUNCTION"):
        return _create_function(reader, node)
    options = properties(node).get(nodes.WithOptions)
    given = reader.options(options.expressions if options is not None else None)
    name, comment, exists = reader.name(node.this), comment_of(node), bool(node.args.get("exists"))
    if kind == "CATALOG":
        return CreateCatalog(name, given, comment, exists, sql=reader.sql)
    return CreateDatabase(name, given, comment, exists, sql=reader.sql)


def _create_view(reader: Reader, node: exp.Create) -> CreateView:
    target, query = node.this, node.args["expression"]
    columns: list[tuple[Ident, str | None]] = []
    if isinstance(target, exp.Schema):
        columns = [_view_column(reader, c) for c in target.expressions]
    return CreateView(
        reader.name(target.this if isinstance(target, exp.Schema) else target),
        query,
        text(query),
        tuple(columns),
        comment_of(node),
        exp.TemporaryProperty in properties(node),
        bool(node.args.get("exists")),
        sql=reader.sql,
    )


def _view_column(reader: Reader, node: exp.Expr) -> tuple[Ident, str | None]:
    if not isinstance(node, exp.ColumnDef):
        return reader.ident(node), None
    (comment,) = node.args["constraints"]
    return reader.ident(node.this), comment.kind.this.name


def _create_function(reader: Reader, node: exp.Create) -> CreateFunction:
    clauses = properties(node)
    if nodes.FunctionResources in clauses:
        raise reader.unsupported(
            "CREATE FUNCTION … USING", hint="the module is imported from the Python path"
        )
    if nodes.WithOptions in clauses:
        raise reader.unsupported("CREATE FUNCTION … WITH")
    language = clauses.get(nodes.FunctionLanguage)
    _check_language(reader, language.this if language is not None else None)
    return CreateFunction(
        reader.name(node.this),
        node.args["expression"].name,
        exp.TemporaryProperty in clauses,
        node.args["kind"] == "SYSTEM FUNCTION",
        bool(node.args.get("exists")),
        sql=reader.sql,
    )


def _check_language(reader: Reader, language: str | None) -> None:
    if language != "PYTHON":
        raise UnsupportedError(
            f"functions in {language or 'JAVA (the language where none is given)'} are not supported",
            hint="write CREATE FUNCTION f AS 'module.attribute' LANGUAGE PYTHON",
        )


def _alter(reader: Reader, node: exp.Expr) -> Statement:
    assert isinstance(node, exp.Alter)
    kind: str = node.args["kind"]
    if kind in _REFUSED_KINDS:
        raise reader.unsupported(f"ALTER {kind}", hint=_REFUSED_KINDS[kind])
    if kind == "TABLE":
        return read_alter_table(reader, node)
    (action,) = node.args["actions"]
    name, exists = reader.name(node.this), bool(node.args.get("exists"))
    if kind == "VIEW":
        if isinstance(action, exp.AlterRename):
            return AlterView(name, reader.name(action.this), if_exists=exists, sql=reader.sql)
        return AlterView(name, query=action.this, text=text(action.this), if_exists=exists, sql=reader.sql)
    if kind.endswith("FUNCTION"):
        _check_language(reader, action.args.get("language"))
        temporary, system = kind.startswith("TEMPORARY"), kind == "TEMPORARY SYSTEM FUNCTION"
        return CreateFunction(
            name, action.this.name, temporary, system, alter=True, if_exists=exists, sql=reader.sql
        )
    if kind == "DATABASE":
        return AlterDatabase(name, reader.options(action.expressions, last_wins=True), sql=reader.sql)
    if isinstance(action, nodes.AlterComment):
        return AlterCatalog(name, comment=action.this.name, sql=reader.sql)
    if isinstance(action, nodes.ResetOptions):
        return AlterCatalog(name, reset=tuple(k.name for k in action.expressions), sql=reader.sql)
    return AlterCatalog(name, reader.options(action.expressions, last_wins=True), sql=reader.sql)


def _drop(reader: Reader, node: exp.Expr) -> Drop:
    kind: str = node.args["kind"]
    if kind in _REFUSED_KINDS:
        raise reader.unsupported(f"DROP {kind}")
    (target,) = node.args["tables"]
    return Drop(
        kind.removeprefix("SYSTEM "),
        reader.name(target),
        bool(node.args.get("temporary")),
        kind.startswith("SYSTEM"),
        bool(node.args.get("exists")),
        bool(node.args.get("cascade")),
        sql=reader.sql,
    )


# -- the session -----------------------------------------------------------------------------------


def _show(reader: Reader, node: exp.Expr) -> Statement:
    kind: str = node.args["kind"]
    if kind in _REFUSED_SHOWS:
        raise reader.unsupported(f"SHOW {kind}", hint=_REFUSED_SHOWS[kind])
    pattern = node.args.get("like")
    if kind == "JOBS":
        return ShowJobs(sql=reader.sql)
    name = node.args.get("this") or node.args.get("from_")
    return Show(
        kind,
        reader.name(name) if name is not None else None,
        pattern.name if pattern is not None else None,
        bool(node.args.get("ilike")),
        bool(node.args.get("negate")),
        sql=reader.sql,
    )


def _describe(reader: Reader, node: exp.Expr) -> Statement:
    kind: str = node.args["kind"]
    if kind == "JOB":
        return DescribeJob(node.this.name, sql=reader.sql)
    if kind in _REFUSED_KINDS:
        raise reader.unsupported(f"DESCRIBE {kind}", hint=_REFUSED_KINDS[kind])
    return Describe(kind, reader.name(node.this), bool(node.args.get("extended")), sql=reader.sql)


def _set(reader: Reader, node: exp.Expr) -> Set:
    key = node.args.get("this")
    if key is None:
        return Set(sql=reader.sql)
    return Set(key.name, node.args["value"].name, sql=reader.sql)


def _reset(reader: Reader, node: exp.Expr) -> Reset:
    key = node.args.get("this")
    return Reset(key.name if key is not None else None, sql=reader.sql)


def _use(reader: Reader, node: exp.Expr) -> Use:
    if node.args["kind"] == "MODULES":
        raise reader.unsupported("USE MODULES", hint="the built-in functions are always there")
    return Use(node.args["kind"], reader.name(node.this), sql=reader.sql)


def _stop_job(reader: Reader, node: exp.Expr) -> StopJob:
    return StopJob(
        node.this.name, bool(node.args.get("savepoint")), bool(node.args.get("drain")), sql=reader.sql
    )


def _refuse(what: str, hint: str | None = None) -> Callable[[Reader, Any], Statement]:
    def read(reader: Reader, node: exp.Expr) -> Statement:
        raise reader.unsupported(what, hint=hint)

    return read


_CHANGELOG_HINT = "a stream of changes is what tables hold: INSERT INTO a table with a primary key"
_READERS: dict[type[exp.Expr], Callable[[Reader, Any], Statement]] = {
    exp.Alter: _alter,
    exp.Create: _create,
    exp.Delete: _refuse("DELETE", _CHANGELOG_HINT),
    exp.Drop: _drop,
    exp.Insert: _insert,
    exp.TruncateTable: _refuse("TRUNCATE TABLE", "drop the table's data where it is kept"),
    exp.Update: _refuse("UPDATE", _CHANGELOG_HINT),
    nodes.AddJar: _refuse("ADD JAR", "no Java code runs here"),
    nodes.AnalyzeTable: _refuse("ANALYZE TABLE", "plans do not use statistics"),
    nodes.BeginStatementSet: lambda reader, node: BeginStatementSet(sql=reader.sql),
    nodes.CallStatement: _refuse("CALL", "there are no procedures"),
    nodes.CompilePlan: _refuse("COMPILE PLAN", "EXPLAIN shows the plan"),
    nodes.DescribeStatement: _describe,
    nodes.EmitChanges: _emit_changes,
    nodes.EndStatementSet: lambda reader, node: EndStatementSet(sql=reader.sql),
    nodes.ExecutePlan: _refuse("EXECUTE PLAN", "run the SQL itself"),
    nodes.ExplainStatement: _explain,
    nodes.LoadModule: _refuse("LOAD MODULE", "the built-in functions are always there"),
    nodes.RemoveJar: _refuse("REMOVE JAR", "no Java code runs here"),
    nodes.ReplaceTable: _create,
    nodes.ResetStatement: _reset,
    nodes.SetStatement: _set,
    nodes.ShowStatement: _show,
    nodes.StatementSet: _statement_set,
    nodes.StopJob: _stop_job,
    nodes.Subscribe: _subscribe,
    nodes.UnloadModule: _refuse("UNLOAD MODULE", "the built-in functions are always there"),
    nodes.UseStatement: _use,
}
