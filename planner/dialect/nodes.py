"""Syntax tree nodes that sqlglot has no class for. Each class lists its arguments.

``Names`` below: an object name is always ``exp.Table`` whose ``parts`` are the identifiers in the order
written, also for catalogs, databases, functions and models. ``Options``: a list of
``exp.Property(this=Literal, value=Literal)``.
"""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

# --- columns and constraints of CREATE TABLE ---


class MetadataColumnConstraint(exp.ColumnConstraintKind, exp.Expression):
    """``METADATA [FROM 'from_'] [VIRTUAL]``: a kind of ``exp.ColumnConstraint``; ``from_`` is a string
    Literal.
    """

    arg_types: ClassVar[dict[str, bool]] = {"from_": False, "virtual": False}


class WatermarkConstraint(exp.Expression):
    """``WATERMARK FOR this AS expression``; ``this`` is an Identifier, or a Dot for a nested field."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "expression": True}


# --- properties of CREATE ---


class WithOptions(exp.Property):
    """``WITH ('k' = 'v', ...)``; ``expressions``: options."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": False}


class TableLike(exp.Property):
    """``LIKE this (INCLUDING OPTIONS, ...)``; ``expressions``: list of LikeOption."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "expressions": False}


class LikeOption(exp.Expression):
    """``this`` is INCLUDING, EXCLUDING or OVERWRITING, ``kind`` is ALL, CONSTRAINTS, ... (both str)."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "kind": True}


class Distribution(exp.Property):
    """``DISTRIBUTED BY [kind] (expressions) INTO buckets BUCKETS``; ``kind``: HASH, RANGE or None (str)."""

    arg_types: ClassVar[dict[str, bool]] = {"kind": False, "expressions": False, "buckets": False}


class FunctionLanguage(exp.Property):
    """``LANGUAGE this``; ``this``: PYTHON, JAVA or SCALA (str)."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True}


class FunctionResources(exp.Property):
    """``USING JAR 'a', JAR 'b'``; ``expressions``: list of FunctionResource."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": True}


class FunctionResource(exp.Expression):
    """``kind`` is JAR, FILE, ARTIFACT or ARCHIVE (str), ``this`` the path (Literal)."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "kind": True}


class ModelInput(exp.Property):
    """``INPUT (expressions)``: list of ColumnDef."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": True}


class ModelOutput(exp.Property):
    """``OUTPUT (expressions)``: list of ColumnDef."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": True}


class Freshness(exp.Property):
    """``FRESHNESS = this``; ``this``: exp.Interval."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True}


class RefreshMode(exp.Property):
    """``REFRESH_MODE = this``; ``this``: CONTINUOUS or FULL (str)."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True}


class StartMode(exp.Property):
    """``START_MODE = this``; ``this``: the mode as an Anonymous call or Var."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True}


class OrAlter(exp.Property):
    """The words OR ALTER of ``CREATE OR ALTER MATERIALIZED TABLE``."""

    arg_types: ClassVar[dict[str, bool]] = {}


class UsingConnection(exp.Property):
    """``USING CONNECTION this``; ``this``: name."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True}


class ReplaceTable(exp.Create):
    """``REPLACE TABLE ... AS query`` (without CREATE OR): the table must exist. Arguments as exp.Create."""


# --- actions of ALTER ---


class AlterAdd(exp.Expression):
    """``ADD (...)``; ``expressions``: ColumnDef (with ``position``), PrimaryKey, Constraint,
    WatermarkConstraint, Distribution.
    """

    arg_types: ClassVar[dict[str, bool]] = {"expressions": True}


class AlterModify(exp.Expression):
    """``MODIFY (...)``; ``expressions`` as in AlterAdd."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": True}


class AlterDrop(exp.Expression):
    """``DROP ...``; ``kind``: COLUMN, PRIMARY KEY, CONSTRAINT, WATERMARK or DISTRIBUTION (str);
    ``expressions``: the columns (Identifier or Dot) or the constraint's name.
    """

    arg_types: ClassVar[dict[str, bool]] = {"kind": True, "expressions": False}


class SetOptions(exp.Expression):
    """``SET ('k' = 'v', ...)``; ``expressions``: options, maybe none."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": False}


class ResetOptions(exp.Expression):
    """``RESET ('k', ...)``; ``expressions``: list of Literal, maybe none."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": False}


class AddPartitions(exp.Expression):
    """``ADD [IF NOT EXISTS] PARTITION (...) [WITH (...)] ...``; ``expressions``: list of PartitionSpec."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": True, "exists": False}


class DropPartitions(exp.Expression):
    """``DROP [IF EXISTS] PARTITION (...), ...``; ``expressions``: list of PartitionSpec."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": True, "exists": False}


class PartitionSpec(exp.Expression):
    """``PARTITION (a = 1, b)``; ``expressions``: exp.EQ(Identifier, value) or Identifier; ``options``:
    options.
    """

    arg_types: ClassVar[dict[str, bool]] = {"expressions": True, "options": False}


class AlterQuery(exp.Expression):
    """``AS this`` of a view or a materialized table."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True}


class AlterComment(exp.Expression):
    """``COMMENT this`` of a catalog; ``this``: Literal."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True}


class AlterFunction(exp.Expression):
    """``AS 'this' [LANGUAGE language]``; ``language`` is a str."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "language": False}


class Suspend(exp.Expression):
    """``SUSPEND`` of a materialized table."""

    arg_types: ClassVar[dict[str, bool]] = {}


class Resume(exp.Expression):
    """``RESUME [WITH (...)]`` of a materialized table; ``expressions``: options."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": False}


class RefreshTable(exp.Expression):
    """``REFRESH [PARTITION (...)]`` of a materialized table; ``partition``: PartitionSpec."""

    arg_types: ClassVar[dict[str, bool]] = {"partition": False}


# --- other statements ---


class StatementSet(exp.Expression):
    """``EXECUTE STATEMENT SET BEGIN ...; END``; ``expressions``: list of exp.Insert (or exp.Create of a
    CTAS).
    """

    arg_types: ClassVar[dict[str, bool]] = {"expressions": True}


class BeginStatementSet(exp.Expression):
    """``BEGIN STATEMENT SET`` on its own (the old form, typed statement by statement)."""

    arg_types: ClassVar[dict[str, bool]] = {}


class EndStatementSet(exp.Expression):
    """``END`` on its own."""

    arg_types: ClassVar[dict[str, bool]] = {}


class ShowStatement(exp.Expression):
    """``SHOW kind ...``.

    ``kind`` (str): CATALOGS, CURRENT CATALOG, DATABASES, CURRENT DATABASE, TABLES, VIEWS, MATERIALIZED
    TABLES, COLUMNS, PARTITIONS, CREATE TABLE, CREATE VIEW, CREATE CATALOG, CREATE MODEL, CREATE
    MATERIALIZED TABLE, CREATE OR ALTER MATERIALIZED TABLE, CREATE CONNECTION, FUNCTIONS, USER FUNCTIONS,
    PROCEDURES, MODULES, FULL MODULES, MODELS, CONNECTIONS, JARS, JOBS. ``this``: the object of SHOW CREATE
    and PARTITIONS; ``from_``: the name after FROM or IN; ``like``: pattern (Literal); ``ilike``,
    ``negate``: bool; ``partition``: PartitionSpec.
    """

    arg_types: ClassVar[dict[str, bool]] = {
        "kind": True,
        "this": False,
        "from_": False,
        "like": False,
        "ilike": False,
        "negate": False,
        "partition": False,
    }


class DescribeStatement(exp.Expression):
    """``DESCRIBE kind [EXTENDED] this``; ``kind`` (str): TABLE, CATALOG, DATABASE, FUNCTION, MODEL,
    CONNECTION or JOB; ``this``: name, or the id of a job (Literal); ``extended``: bool.
    """

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "kind": True, "extended": False}


class ExplainStatement(exp.Expression):
    """``EXPLAIN details this``; ``details``: list of str such as CHANGELOG_MODE; ``this``: query, Insert,
    StatementSet or Create."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "details": False}


class SetStatement(exp.Expression):
    """``SET`` (lists, no arguments) or ``SET 'this' = 'value'`` (both Literal)."""

    arg_types: ClassVar[dict[str, bool]] = {"this": False, "value": False}


class ResetStatement(exp.Expression):
    """``RESET`` (all) or ``RESET 'this'`` (Literal)."""

    arg_types: ClassVar[dict[str, bool]] = {"this": False}


class UseStatement(exp.Expression):
    """``USE this``; ``kind`` (str): DATABASE, CATALOG or MODULES; ``expressions``: Identifiers of the
    modules.
    """

    arg_types: ClassVar[dict[str, bool]] = {"kind": True, "this": False, "expressions": False}


class StopJob(exp.Expression):
    """``STOP JOB this [WITH SAVEPOINT] [WITH DRAIN]``; ``this``: Literal; ``savepoint``, ``drain``: bool."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "savepoint": False, "drain": False}


class AddJar(exp.Expression):
    """``ADD JAR this`` (Literal)."""


class RemoveJar(exp.Expression):
    """``REMOVE JAR this`` (Literal)."""


class LoadModule(exp.Expression):
    """``LOAD MODULE this [WITH (...)]``; ``this``: Identifier; ``expressions``: options."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "expressions": False}


class UnloadModule(exp.Expression):
    """``UNLOAD MODULE this`` (Identifier)."""


class CallStatement(exp.Expression):
    """``CALL this(expressions)``; ``this``: name; ``expressions``: expressions or exp.Kwarg."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "expressions": False}


class AnalyzeTable(exp.Expression):
    """``ANALYZE TABLE this [PARTITION (...)] COMPUTE STATISTICS [FOR COLUMNS a, b | FOR ALL COLUMNS]``;
    ``expressions``: Identifiers; ``all_columns``: bool."""

    arg_types: ClassVar[dict[str, bool]] = {
        "this": True,
        "partition": False,
        "expressions": False,
        "all_columns": False,
    }


class CompilePlan(exp.Expression):
    """``COMPILE [AND EXECUTE] PLAN 'this' [IF NOT EXISTS] FOR expression``; ``execute``, ``exists``: bool."""

    arg_types: ClassVar[dict[str, bool]] = {
        "this": True,
        "expression": True,
        "exists": False,
        "execute": False,
    }


class ExecutePlan(exp.Expression):
    """``EXECUTE PLAN 'this'`` (Literal)."""


class EmitChanges(exp.Expression):
    """``query EMIT CHANGES`` (streamsql's extension); ``this``: the query."""


class Subscribe(exp.Expression):
    """``SUBSCRIBE [TO] this`` (streamsql's extension); ``this``: name or Subquery."""


# --- inside queries ---


class TableArgument(exp.Expression):
    """``TABLE this [PARTITION BY partition_by] [ORDER BY order]`` as an argument of a table function.

    ``this``: exp.Table or exp.Subquery; ``partition_by``: list of expressions; ``order``: exp.Order.
    """

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "partition_by": False, "order": False}


class ModelArgument(exp.Expression):
    """``MODEL this`` as an argument of a table function (name)."""


class Descriptor(exp.Expression):
    """``DESCRIPTOR(a, b)``; ``expressions``: Identifiers."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": True}


class MatchedTable(exp.Expression):
    """``this MATCH_RECOGNIZE (match) AS alias``; ``match``: exp.MatchRecognize whose ``pattern`` is a
    RowPattern, ``define`` a list of exp.Alias, ``rows``/``after`` exp.Var.
    """

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "match": True, "alias": False}


class RowPattern(exp.Expression):
    """``PATTERN (this) [WITHIN within]``; ``this``: a pattern node below; ``within``: exp.Interval."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "within": False}


class PatternVariable(exp.Expression):
    """A variable; ``this``: Identifier."""


class PatternSequence(exp.Expression):
    """``A B C``; ``expressions``: pattern nodes."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": True}


class PatternAlternation(exp.Expression):
    """``A | B``; ``expressions``: pattern nodes."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": True}


class PatternGroup(exp.Expression):
    """``( this )``; ``this``: pattern node."""


class PatternRepeat(exp.Expression):
    """``this{minimum,maximum}`` with ``*``, ``+``, ``?`` as {0,}, {1,}, {0,1}; ``minimum``, ``maximum``:
    number Literal or None; ``reluctant``: bool.
    """

    arg_types: ClassVar[dict[str, bool]] = {
        "this": True,
        "minimum": True,
        "maximum": False,
        "reluctant": False,
    }


class Multiset(exp.Expression):
    """``MULTISET[expressions]``."""

    arg_types: ClassVar[dict[str, bool]] = {"expressions": False}


class JsonQuery(exp.Expression):
    """``JSON_QUERY(this, path [RETURNING returning] [wrapper] [on_condition])``.

    ``wrapper`` (str): WITHOUT ARRAY WRAPPER, WITH CONDITIONAL ARRAY WRAPPER or WITH UNCONDITIONAL ARRAY
    WRAPPER. ``on_condition``: exp.OnCondition with ``empty``/``error`` str such as "EMPTY ARRAY ON EMPTY".
    """

    arg_types: ClassVar[dict[str, bool]] = {
        "this": True,
        "path": True,
        "returning": False,
        "wrapper": False,
        "on_condition": False,
    }
