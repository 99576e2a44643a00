"""TableEnvironment: a session. Statements in, results and running jobs out."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from . import python_functions
from .catalog.catalog import CatalogManager
from .catalog.objects import FunctionDefinition
from .catalog.table import Column, ObjectPath, TableDefinition, ViewDefinition, WatermarkSpec
from .changelog import ChangelogMode
from .config import Configuration
from .datatypes import BIGINT, STRING
from .ddl import DdlContext, StatementResult
from .ddl import execute as execute_ddl
from .errors import StreamSqlError, UnsupportedError, ValidationError
from .jobs import Jobs
from .planner import logical as l
from .planner import pipeline
from .planner.binder import BindContext
from .planner.functions import FunctionRegistry, support
from .planner.functions.registry import AGGREGATES, SCALARS
from .planner.statements import (
    BeginStatementSet,
    CreateTable,
    DescribeJob,
    EndStatementSet,
    Explain,
    Insert,
    Query,
    ShowJobs,
    Statement,
    StatementSet,
    StopJob,
    parse_statement,
)
from .planner.to_physical import PhysicalOptions
from .result import TableResult
from .schema import Field, Schema
from .session_completion import Completion

if TYPE_CHECKING:
    from .runtime.build import BuildOptions
    from .runtime.connectors.in_process import InProcessTable
    from .runtime.engine import Engine
    from .runtime.job import Job

_names = itertools.count(1)
_BUILT_IN = FunctionRegistry()


@dataclass(frozen=True)
class EnvironmentSettings:
    """How a session starts: streaming (the default) or batch."""

    mode: str = "STREAMING"

    @staticmethod
    def in_streaming_mode() -> EnvironmentSettings:
        return EnvironmentSettings("STREAMING")

    @staticmethod
    def in_batch_mode() -> EnvironmentSettings:
        return EnvironmentSettings("BATCH")


class TableEnvironment:
    """A session: a catalog, options and jobs.

    >>> env = TableEnvironment()
    >>> env.execute_sql("SELECT 1 + 1 AS two").to_arrow().to_pylist()
    [{'two': 2}]
    >>> env.close()
    """

    def __init__(
        self, settings: EnvironmentSettings | None = None, *, now_ms: Callable[[], int] | None = None
    ) -> None:
        """``now_ms``: the clock of the session's jobs, epoch milliseconds; the machine's if not given."""
        self.config = Configuration()
        if settings is not None and settings.mode == "BATCH":
            self.config.set("execution.runtime-mode", "BATCH")
        self._now_ms = now_ms or (lambda: int(time.time() * 1000))
        self._jobs = Jobs(self._now_ms)
        self.catalog = CatalogManager(virtual=self._jobs.table, virtual_names=self._jobs.names)
        self._collecting: list[Insert] | None = None
        self._closed = False
        _open_sessions.add(self)

    @classmethod
    def create(cls, settings: EnvironmentSettings | None = None) -> TableEnvironment:
        """PyFlink's name for the constructor."""
        return cls(settings)

    def __enter__(self) -> TableEnvironment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def functions(self) -> FunctionRegistry:
        """Built-in functions, and the user's that are in sight."""
        visible = self._user_functions()
        return (
            FunctionRegistry(python_functions.planner_function(f) for f in visible) if visible else _BUILT_IN
        )

    def _user_functions(self) -> list[FunctionDefinition]:
        """Functions found by a simple name: of the current database, then temporary system functions."""
        catalog = self.catalog
        return catalog.functions.definitions(catalog.current_catalog, catalog.current_database)

    def create_temporary_function(self, name: str, function: Any) -> None:
        """Make a Python function (see :func:`streamsql.udf`) callable from SQL under a name of the current database."""
        path = self.catalog.resolve([name])
        definition = FunctionDefinition(
            name,
            path,
            getattr(function, "__name__", name),
            temporary=True,
            callable=python_functions.as_scalar(function),
        )
        self.catalog.functions.create(definition)

    def create_temporary_system_function(self, name: str, function: Any) -> None:
        """As :meth:`create_temporary_function`, found from every database."""
        definition = FunctionDefinition(
            name,
            None,
            getattr(function, "__name__", name),
            temporary=True,
            callable=python_functions.as_scalar(function),
        )
        self.catalog.functions.create(definition)

    def drop_temporary_function(self, name: str) -> bool:
        """Whether it was there."""
        path = self.catalog.resolve([name])
        return self.catalog.functions.drop(FunctionDefinition(name, path, "", temporary=True), if_exists=True)

    # -- statements ------------------------------------------------------------------------------------------------
    def execute_sql(self, sql: str) -> TableResult:
        """Run one statement. DDL answers OK; a query or INSERT starts a job and returns at once.

        Raises StreamSqlError subclasses whose text shows where in ``sql`` and what to do.
        """
        return self._run(parse_statement(sql))

    def _run(self, statement: Statement) -> TableResult:
        if self._collecting is not None:
            return self._collect_statement(statement)
        match statement:
            case Query():
                if statement.emit_changes and self._reads_jobs_only(statement):
                    raise UnsupportedError(
                        "EMIT CHANGES over a running job's tables is not supported yet",
                        hint="SELECT without EMIT CHANGES answers at once",
                    )
                return self._query(statement)
            case Insert():
                return self._insert([statement])
            case StatementSet():
                return self._insert(self._set_members(statement.statements))
            case BeginStatementSet():
                self._collecting = []
                return _ok()
            case EndStatementSet():
                raise ValidationError("END without BEGIN STATEMENT SET")
            case Explain():
                return self._explain(statement)
            case ShowJobs() | DescribeJob() | StopJob():
                return self._job_statement(statement)
            case _:
                return self._ddl(statement)

    def _collect_statement(self, statement: Statement) -> TableResult:
        """Inside BEGIN STATEMENT SET … END."""
        assert self._collecting is not None
        if isinstance(statement, EndStatementSet):
            inserts, self._collecting = self._collecting, None
            if not inserts:
                raise ValidationError("the statement set holds no INSERT")
            return self._insert(inserts)
        if not isinstance(statement, Insert):
            raise ValidationError("only INSERT is allowed inside a statement set", hint="END; closes it")
        pipeline.bind_root(statement, self.bind_context())
        self._collecting.append(statement)
        return _ok()

    def _set_members(self, statements: Sequence[Insert | CreateTable]) -> list[Insert]:
        members: list[Insert] = []
        for s in statements:
            if isinstance(s, Insert):
                members.append(s)
            else:
                made = execute_ddl(s, self._ddl_context())
                if made is not None and made.insert is not None:
                    members.append(made.insert)
        return members

    def _ddl(self, statement: Statement) -> TableResult:
        made = execute_ddl(statement, self._ddl_context())
        if made is None:
            raise UnsupportedError(f"{type(statement).__name__} is not supported")
        if made.insert is not None:
            return self._insert([made.insert])
        return _result(made)

    def _ddl_context(self) -> DdlContext:
        return DdlContext(
            catalog=self.catalog,
            config=self.config,
            check_expressions=lambda t: pipeline.check_expressions(t, self.bind_context()),
            query_schema=lambda ast, sql: pipeline.bind_query(ast, sql, self.bind_context()).schema,
            view_schema=self._view_schema,
            builtin_functions=lambda: (*SCALARS, *AGGREGATES),
        )

    def _view_schema(self, view: ViewDefinition) -> Schema:
        from .planner.binder import QueryBinder

        return QueryBinder(self.bind_context(), view.query).view(view).schema

    # -- queries and inserts ---------------------------------------------------------------------------------------
    def bind_context(self) -> BindContext:
        """What the planner reads of this session."""
        return BindContext(
            self.catalog,
            self.functions,
            self.config.get("table.local-time-zone"),
            dynamic_options=bool(self.config.get("table.dynamic-table-options.enabled")),
        )

    def _physical_options(self) -> PhysicalOptions:
        return PhysicalOptions(
            early_fire=bool(self.config.get("table.exec.emit.early-fire.enabled")),
            time_zone=self.config.get("table.local-time-zone"),
        )

    def _build_options(self, *, bounded: bool = False) -> BuildOptions:
        from .runtime.build import BuildOptions

        get = self.config.get
        return BuildOptions(
            time_zone=get("table.local-time-zone"),
            threads=get("streamsql.duckdb.threads") or 2,
            idle_timeout_ms=get("table.exec.source.idle-timeout") or 0,
            not_null=get("table.exec.sink.not-null-enforcer"),
            length=get("table.exec.sink.type-length-enforcer"),
            batch_rows_max=self._rows_max(),
            bounded=bounded,
            find_table=self._find_table,
            register_functions=self._register_functions(),
        )

    def _register_functions(self) -> Callable[[Engine], None]:
        definitions = self._user_functions()

        def register(engine: Engine) -> None:
            support.register(engine.connection)
            python_functions.register(engine.connection, definitions)

        return register

    def _find_table(self, name: str) -> TableDefinition:
        """A table by its text name, as options give it."""
        path = self.catalog.resolve([part.strip().strip("`") for part in name.split(".")])
        found = self.catalog.require(path)
        if not isinstance(found, TableDefinition):
            raise ValidationError(f"{path} is a view; a table is needed")
        return found

    def _rows_max(self) -> int:
        """Rows a step: one where every intermediate change is wanted (mini-batch off)."""
        if not self.config.get("table.exec.mini-batch.enabled"):
            return 1
        return int(self.config.get("streamsql.step.max-rows"))

    @property
    def _batch_mode(self) -> bool:
        return str(self.config.get("execution.runtime-mode")).upper() == "BATCH"

    def _reads_jobs_only(self, statement: Query) -> bool:
        scans = _scans(pipeline.bind_query(statement.ast, statement.sql, self.bind_context()))
        return bool(scans) and all(s.table.path.catalog == "jobs" for s in scans)

    def _query(self, statement: Query) -> TableResult:
        root = pipeline.bind_root(statement, self.bind_context())
        scans = _scans(root)
        if self._batch_mode or all(s.table.path.catalog == "jobs" for s in scans):
            return self._batch(root)
        return self._stream(root)

    def _stream(self, root: l.LogicalNode) -> TableResult:
        from .runtime.operators.collect import ResultQueue

        plan = pipeline.plan([root], self._physical_options())
        queue = ResultQueue()
        job = self._submit(self.config.get("pipeline.name") or "collect", plan, queue)
        top = plan.roots[0].inputs[0]
        return TableResult(
            root.schema,
            job=job,
            queue=queue,
            insert_only=top.mode is ChangelogMode.INSERT_ONLY,
            upsert_key=top.upsert_key,
            bounded=self._is_bounded(root),
        )

    def _submit(self, name: str, plan: Any, queue: Any, *, bounded: bool = False) -> Job:
        return self._jobs.submit(
            name,
            plan,
            self._build_options(bounded=bounded),
            queue,
            rows_max=self._rows_max(),
            interval_ms=self.config.get("streamsql.step.min-interval"),
        )

    @staticmethod
    def _is_bounded(root: l.LogicalNode) -> bool:
        from .runtime.boundedness import is_bounded

        return all(is_bounded(s.table, s.options) for s in _scans(root))

    def _batch(self, root: l.LogicalNode) -> TableResult:
        from .runtime.batch import run_batch

        table = run_batch(pipeline.rewrite(root), self._build_options(bounded=True), self._now_ms)
        return TableResult(root.schema, table=table)

    def _insert(self, statements: Sequence[Insert]) -> TableResult:
        context = self.bind_context()
        roots = [pipeline.bind_root(s, context) for s in statements]
        if self._batch_mode:
            roots = [self._materialised(r) for r in roots]
        plan = pipeline.plan(roots, self._physical_options())
        target = statements[0].target.parts[-1]
        name = self.config.get("pipeline.name") or f"insert_into_{target}"
        job = self._submit(name, plan, None, bounded=self._batch_mode)
        job.statement = "; ".join(s.sql for s in statements)
        if self.config.get("table.dml-sync"):
            job.wait()
        return TableResult(
            Schema.of([Field(_sink_name(r), BIGINT()) for r in roots]), rows=[[-1] * len(roots)], job=job
        )

    def _materialised(self, root: l.LogicalNode) -> l.LogicalNode:
        """Batch mode: the query is answered first, its rows then go to the sink."""
        assert isinstance(root, l.Sink)
        from .runtime.batch import run_batch
        from .runtime.connectors.in_process import InProcessTable

        table = run_batch(pipeline.rewrite(root.input), self._build_options(bounded=True), self._now_ms)
        data = InProcessTable(root.input.schema)
        data.append(table.rename_columns(root.input.schema.names))
        data.finish()
        scan = self._scan_of(root.input.schema, data)
        return replace(root, input=scan)

    def _scan_of(self, schema: Schema, data: InProcessTable) -> l.LogicalNode:
        from .catalog.connectors import table_options

        path = ObjectPath("default_catalog", "default_database", f"*result_{next(_names)}*")
        columns = tuple(Column(f.name, f.type) for f in schema)
        table = TableDefinition(path, columns, {"connector": "in-process", "bounded": "true"}, data=data)
        return l.Scan(schema, table, table_options(table))

    def _explain(self, statement: Explain) -> TableResult:
        inner = statement.statement
        context = self.bind_context()
        members = list(inner.statements) if isinstance(inner, StatementSet) else [inner]
        if any(isinstance(m, CreateTable) for m in members):
            raise UnsupportedError("EXPLAIN of CREATE TABLE … AS is not supported", hint="EXPLAIN its query")
        roots = [pipeline.bind_root(m, context) for m in members]
        for detail in statement.details:
            if detail not in ("CHANGELOG_MODE", "VERBOSE", "PLAN_ADVICE", "ESTIMATED_COST"):
                raise UnsupportedError(
                    f"EXPLAIN {detail} is not supported", hint="EXPLAIN CHANGELOG_MODE or EXPLAIN VERBOSE"
                )
            if detail in ("PLAN_ADVICE", "ESTIMATED_COST"):
                raise UnsupportedError(f"EXPLAIN {detail} is not supported: plans here carry no cost")
        text = pipeline.explain(roots, self._physical_options(), statement.details)
        return TableResult(Schema.of([Field("result", STRING())]), rows=[[text]])

    # -- jobs ------------------------------------------------------------------------------------------------------
    def jobs(self) -> list[Job]:
        """All jobs of the session, oldest first, ended ones included."""
        return self._jobs.all()

    def job(self, id_or_name: str) -> Job:
        """A job by id or name. Raises CatalogError for an unknown one."""
        return self._jobs.get(id_or_name)

    def _job_statement(self, statement: ShowJobs | DescribeJob | StopJob) -> TableResult:
        if isinstance(statement, StopJob):
            if statement.savepoint:
                raise UnsupportedError(
                    "STOP JOB … WITH SAVEPOINT is not supported yet", hint="STOP JOB 'id' [WITH DRAIN]"
                )
            self._jobs.get(statement.job).stop(drain=statement.drain)
            return _ok()
        jobs = [self._jobs.get(statement.job)] if isinstance(statement, DescribeJob) else self._jobs.all()
        names = ["job id", "job name", "status", "start time"]
        schema = Schema.of([Field(n, STRING()) for n in names])
        rows = [[j.id, j.name, j.status, _time_text(j.started_ms)] for j in jobs]
        return TableResult(schema, rows=rows)

    # -- tables from Python ----------------------------------------------------------------------------------------
    def sql_query(self, sql: str) -> Table:
        """A query as a Table: run it with ``execute()``, or name it with ``create_temporary_view``."""
        statement = parse_statement(sql)
        if not isinstance(statement, Query):
            raise ValidationError("sql_query takes a SELECT", hint="use execute_sql for other statements")
        schema = pipeline.bind_query(statement.ast, sql, self.bind_context()).schema
        return Table(self, sql, schema)

    def from_arrow(self, data: Any, name: str | None = None, *, watermark: str | None = None) -> Table:
        """An in-process table over Arrow data, pandas, polars, or anything with ``__arrow_c_stream__``.

        ``watermark``: ``"ts"``, or ``"ts AS ts - INTERVAL '5' SECOND"``. The table is bounded: it holds just these rows.
        """
        name = name or f"arrow_{next(_names)}"
        self._register(name, data, watermark=watermark, bounded=True)
        return self.sql_query(f"SELECT * FROM `{name.replace('`', '``')}`")

    def create_temporary_view(self, name: str, data: Any) -> None:
        """Name a Table of this session, or in-process data (Arrow, pandas, …) that can be queried by that name."""
        if isinstance(data, Table):
            self.execute_sql(f"CREATE TEMPORARY VIEW `{name}` AS {data.sql}")
        else:
            self._register(name, data, watermark=None, bounded=True)

    def create_in_process_table(
        self, name: str, schema: Schema | Any, *, watermark: str | None = None
    ) -> InProcessTable:
        """A table that the program appends to while jobs read it: ``table.append(arrow)``, ``table.finish()``.

        ``schema``: a :class:`Schema` or an Arrow schema.
        """
        return self._register(name, schema, watermark=watermark, bounded=False)

    def _register(self, name: str, data: Any, *, watermark: str | None, bounded: bool) -> InProcessTable:
        from .runtime.connectors.in_process import InProcessTable, as_arrow, schema_of

        arrow = (
            None
            if isinstance(data, Schema)
            or (type(data).__module__ == "pyarrow.lib" and type(data).__name__ == "Schema")
            else as_arrow(data)
        )
        schema = data if isinstance(data, Schema) else schema_of(data if arrow is None else arrow.schema)
        table = InProcessTable(schema)
        if arrow is not None:
            table.append(arrow)
        if bounded:
            table.finish()
        spec = _watermark(watermark)
        columns = tuple(
            Column(
                f.name,
                replace(f.type, precision=min(f.type.precision, 3))
                if spec and f.name == spec.column
                else f.type,
            )
            for f in schema
        )
        path = self.catalog.resolve([name])
        options = {"connector": "in-process", "bounded": str(bounded).lower()}
        definition = TableDefinition(path, columns, options, watermark=spec, temporary=True, data=table)
        self.catalog.create(pipeline.check_expressions(definition, self.bind_context()))
        return table

    def create_statement_set(self) -> StatementSetBuilder:
        """Collect INSERTs into one job that shares its sources."""
        return StatementSetBuilder(self)

    def list_tables(self) -> list[str]:
        """Tables and views of the current database."""
        return self.catalog.names(self.catalog.current_catalog, self.catalog.current_database)

    def explain_sql(self, sql: str, *details: str) -> str:
        """The text of EXPLAIN."""
        rows = self.execute_sql(f"EXPLAIN {', '.join(details)} {sql}").to_arrow()
        return str(rows.column(0)[0].as_py())

    def completion_source(self) -> Completion:
        """Names for editors."""
        return Completion(self)

    def close(self) -> None:
        """Stop all jobs and free everything; idempotent."""
        if not self._closed:
            self._closed = True
            self._jobs.stop_all()
            _open_sessions.discard(self)


class Table:
    """A query with a name for its columns; nothing runs until ``execute``."""

    def __init__(self, env: TableEnvironment, sql: str, schema: Schema) -> None:
        self._env = env
        self.sql = sql
        self.schema = schema

    def get_schema(self) -> Schema:
        return self.schema

    def execute(self) -> TableResult:
        """Run the query."""
        return self._env.execute_sql(self.sql)

    def execute_insert(self, table: str) -> TableResult:
        """Run the query into a table."""
        return self._env.execute_sql(f"INSERT INTO {table} {self.sql}")

    def to_arrow(self) -> Any:
        """The final table of a bounded query."""
        return self.execute().to_arrow()

    def to_pandas(self) -> Any:
        """The final table of a bounded query as a pandas DataFrame."""
        return self.execute().to_pandas()

    def explain(self, *details: str) -> str:
        return self._env.explain_sql(self.sql, *details)


class StatementSetBuilder:
    """INSERTs of one job."""

    def __init__(self, env: TableEnvironment) -> None:
        self._env = env
        self._inserts: list[Insert] = []

    def add_insert_sql(self, sql: str) -> StatementSetBuilder:
        """Add an INSERT statement; it is checked now and runs with ``execute``."""
        statement = parse_statement(sql)
        if not isinstance(statement, Insert):
            raise ValidationError("a statement set takes INSERT statements only")
        pipeline.bind_root(statement, self._env.bind_context())
        self._inserts.append(statement)
        return self

    def add_insert(self, target: str, table: Table) -> StatementSetBuilder:
        """Add ``INSERT INTO target`` of a Table."""
        return self.add_insert_sql(f"INSERT INTO {target} {table.sql}")

    def execute(self) -> TableResult:
        """Start one job for all of them."""
        if not self._inserts:
            raise ValidationError("the statement set holds no INSERT")
        return self._env._insert(self._inserts)

    def explain(self, *details: str) -> str:
        roots = [pipeline.bind_root(s, self._env.bind_context()) for s in self._inserts]
        return pipeline.explain(roots, self._env._physical_options(), details)


def _scans(node: l.LogicalNode) -> list[l.Scan]:
    return [node] if isinstance(node, l.Scan) else [s for i in node.inputs for s in _scans(i)]


def _sink_name(root: l.LogicalNode) -> str:
    return str(root.table.path) if isinstance(root, l.Sink) else "result"


def _ok() -> TableResult:
    return TableResult(Schema.of([Field("result", STRING())]), rows=[["OK"]], message="OK")


def _result(made: StatementResult) -> TableResult:
    return TableResult(made.schema, rows=made.rows, message=made.message)


def _watermark(text: str | None) -> WatermarkSpec | None:
    if text is None:
        return None
    column, _, expression = text.partition(" AS ")
    column = column.strip().strip("`")
    return WatermarkSpec(column, expression.strip() or f"`{column}`")


def _time_text(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms / 1000)) + f".{ms % 1000:03d}"


_open_sessions: weakref.WeakSet[TableEnvironment] = weakref.WeakSet()


def _close_sessions() -> None:
    """At exit: jobs must not outlive the interpreter's modules."""
    for env in list(_open_sessions):
        with contextlib.suppress(StreamSqlError):
            env.close()


atexit.register(_close_sessions)
