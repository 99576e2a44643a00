"""Statements as data: what the parser read, checked for what this version supports, before any name is
looked up.

Every statement keeps the text it came from in ``sql``; names and columns carry their place in it, so that a
later error can point there. Query trees stay as sqlglot nodes until the binder reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from sqlglot import exp

from streamsql.datatypes import DataType
from streamsql.errors import Position

QueryTree: TypeAlias = exp.Expr
"""The syntax tree of a query; only the planner looks inside."""


@dataclass(frozen=True)
class Name:
    """The name of an object as written: one to three parts."""

    parts: tuple[str, ...]
    position: Position | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True)
class Ident:
    """A simple name, such as that of a column."""

    name: str
    position: Position | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Statement:
    """Base of all statements."""

    sql: str = field(kw_only=True, default="", compare=False, repr=False)


# -- queries and inserts ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Query(Statement):
    """SELECT, VALUES, WITH …. ``emit_changes``: EMIT CHANGES or SUBSCRIBE, which never ends."""

    ast: QueryTree
    emit_changes: bool = False


@dataclass(frozen=True)
class Insert(Statement):
    """INSERT INTO and INSERT OVERWRITE.

    ``columns``: the column list, else empty. ``partition``: static partition values as expressions, None
    for a dynamic one. ``options``: of the OPTIONS hint after the table. ``on_conflict``: DO ERROR, DO
    NOTHING, DO DEDUPLICATE or None.
    """

    target: Name
    query: QueryTree
    columns: tuple[Ident, ...] = ()
    partition: tuple[tuple[Ident, exp.Expr | None], ...] = ()
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    overwrite: bool = False
    on_conflict: str | None = None


@dataclass(frozen=True)
class StatementSet(Statement):
    """EXECUTE STATEMENT SET BEGIN … END: one job."""

    statements: tuple[Insert | CreateTable, ...]


@dataclass(frozen=True)
class BeginStatementSet(Statement):
    """BEGIN STATEMENT SET: the inserts that follow are collected until END."""


@dataclass(frozen=True)
class EndStatementSet(Statement):
    """END of a statement set that BEGIN STATEMENT SET opened."""


@dataclass(frozen=True)
class Explain(Statement):
    """EXPLAIN; ``details``: words such as CHANGELOG_MODE, in the order given."""

    statement: Query | Insert | StatementSet | CreateTable
    details: tuple[str, ...] = ()


# -- tables -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ColumnSpec:
    """A column as declared; ``type`` is None for a computed column and for a bare name in CREATE TABLE … AS.

    ``place`` belongs to ALTER TABLE: ``FIRST``, or the column that it comes after. ``primary_key``:
    declared so in the column itself.
    """

    name: Ident
    type: DataType | None = None
    comment: str | None = None
    expression: str | None = None
    metadata_key: str | None = None
    virtual: bool = False
    place: str | Ident | None = None


@dataclass(frozen=True)
class KeySpec:
    """PRIMARY KEY (…) NOT ENFORCED."""

    columns: tuple[Ident, ...]
    name: str | None = None
    position: Position | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class WatermarkDecl:
    """WATERMARK FOR column AS expression (text)."""

    column: Ident
    expression: str


@dataclass(frozen=True)
class TableParts:
    """What stands between the parentheses of CREATE TABLE and of ALTER TABLE ADD and MODIFY."""

    columns: tuple[ColumnSpec, ...] = ()
    primary_key: KeySpec | None = None
    watermark: WatermarkDecl | None = None


@dataclass(frozen=True)
class LikeClause:
    """LIKE source (INCLUDING …): pairs such as ``("EXCLUDING", "OPTIONS")``."""

    source: Name
    rules: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class CreateTable(Statement):
    """CREATE TABLE, also LIKE and AS query; ``replace``: empty, ``REPLACE`` or ``CREATE OR REPLACE``."""

    name: Name
    parts: TableParts = TableParts()
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    partition_keys: tuple[Ident, ...] = ()
    comment: str | None = None
    like: LikeClause | None = None
    query: QueryTree | None = None
    temporary: bool = False
    if_not_exists: bool = False
    replace: str = ""


@dataclass(frozen=True)
class CreateView(Statement):
    """CREATE VIEW; ``text``: the query as Flink SQL; ``columns``: names and comments of the column list."""

    name: Name
    query: QueryTree
    text: str
    columns: tuple[tuple[Ident, str | None], ...] = ()
    comment: str | None = None
    temporary: bool = False
    if_not_exists: bool = False


# -- changes of tables and views --------------------------------------------------------------------


@dataclass(frozen=True)
class AddParts:
    """ADD columns, a primary key, a watermark."""

    parts: TableParts


@dataclass(frozen=True)
class ModifyParts:
    """MODIFY columns, the primary key, the watermark."""

    parts: TableParts


@dataclass(frozen=True)
class DropColumns:
    columns: tuple[Ident, ...]


@dataclass(frozen=True)
class DropPrimaryKey:
    """DROP PRIMARY KEY, or DROP CONSTRAINT with the ``name`` it must have."""

    name: Ident | None = None


@dataclass(frozen=True)
class DropWatermark:
    pass


@dataclass(frozen=True)
class RenameColumn:
    old: Ident
    new: Ident


@dataclass(frozen=True)
class RenameTo:
    name: Name


@dataclass(frozen=True)
class SetOptions:
    options: Mapping[str, str]


@dataclass(frozen=True)
class ResetOptions:
    keys: tuple[str, ...]


TableAction = (
    AddParts
    | ModifyParts
    | DropColumns
    | DropPrimaryKey
    | DropWatermark
    | RenameColumn
    | RenameTo
    | SetOptions
    | ResetOptions
)


@dataclass(frozen=True)
class AlterTable(Statement):
    name: Name
    action: TableAction
    if_exists: bool = False


@dataclass(frozen=True)
class AlterView(Statement):
    """RENAME TO (``new_name``) or AS query (``query`` and its ``text``)."""

    name: Name
    new_name: Name | None = None
    query: QueryTree | None = None
    text: str = ""
    if_exists: bool = False


# -- catalogs, databases, functions -----------------------------------------------------------------


@dataclass(frozen=True)
class CreateCatalog(Statement):
    name: Name
    options: Mapping[str, str]
    comment: str | None = None
    if_not_exists: bool = False


@dataclass(frozen=True)
class AlterCatalog(Statement):
    """SET (``options``), RESET (``reset``) or COMMENT (``comment``)."""

    name: Name
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    reset: tuple[str, ...] = ()
    comment: str | None = None


@dataclass(frozen=True)
class CreateDatabase(Statement):
    name: Name
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    comment: str | None = None
    if_not_exists: bool = False


@dataclass(frozen=True)
class AlterDatabase(Statement):
    name: Name
    options: Mapping[str, str]


@dataclass(frozen=True)
class CreateFunction(Statement):
    """CREATE and ALTER FUNCTION; ``class_id`` is ``module.attribute``."""

    name: Name
    class_id: str
    temporary: bool = False
    system: bool = False
    if_not_exists: bool = False
    alter: bool = False
    if_exists: bool = False


@dataclass(frozen=True)
class Drop(Statement):
    """DROP; ``kind``: TABLE, VIEW, DATABASE, CATALOG or FUNCTION."""

    kind: str
    name: Name
    temporary: bool = False
    system: bool = False
    if_exists: bool = False
    cascade: bool = False


# -- the session ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Show(Statement):
    """SHOW; ``kind`` as written: TABLES, CURRENT DATABASE, CREATE TABLE, USER FUNCTIONS, ….

    ``name``: the object of SHOW CREATE and SHOW COLUMNS, else the database or catalog after FROM.
    ``pattern``: of LIKE, or ILIKE if ``ignore_case``.
    """

    kind: str
    name: Name | None = None
    pattern: str | None = None
    ignore_case: bool = False
    negated: bool = False


@dataclass(frozen=True)
class Describe(Statement):
    """DESCRIBE; ``kind``: TABLE, CATALOG, DATABASE or FUNCTION."""

    kind: str
    name: Name
    extended: bool = False


@dataclass(frozen=True)
class Set(Statement):
    """SET; without a key it lists."""

    key: str | None = None
    value: str = ""


@dataclass(frozen=True)
class Reset(Statement):
    """RESET; without a key all options."""

    key: str | None = None


@dataclass(frozen=True)
class Use(Statement):
    """USE; ``kind``: CATALOG or DATABASE."""

    kind: str
    name: Name


@dataclass(frozen=True)
class ShowJobs(Statement):
    pass


@dataclass(frozen=True)
class DescribeJob(Statement):
    job: str


@dataclass(frozen=True)
class StopJob(Statement):
    job: str
    savepoint: bool = False
    drain: bool = False
