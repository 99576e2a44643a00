"""TableEnvironment: a session. Statements in, results and running jobs out."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import job_options, python_functions, python_tables, savepoint_tables
from .catalog.catalog import CatalogManager
from .catalog.connectors import table_options
from .catalog.objects import FunctionDefinition
from .catalog.table import ObjectPath, TableDefinition, ViewDefinition
from .changelog import ChangelogMode
from .config import Configuration
from .datatypes import BIGINT, STRING
from .ddl import DdlContext, StatementResult
from .ddl import execute as execute_ddl
from .definitions import definition
from .errors import StreamSqlError, UnsupportedError, ValidationError
from .explain import check_details, explain
from .job_resumption import check_resumable
from .job_statements import describe_job, show_jobs, stop_job
from .jobs import Jobs
from .planner import logical as l
from .planner import pipeline
from .planner import statements as stmt
from .planner.binder import BindContext, QueryBinder
from .planner.functions import FunctionRegistry, support
from .planner.functions.registry import AGGREGATES, SCALARS
from .planner.physical import PhysicalPlan
from .planner.statement_nodes import insert_text
from .result import TableResult
from .runtime.batch import run_batch
from .runtime.boundedness import is_bounded
from .runtime.build import BuildOptions
from .runtime.checkpoint.recovery import CheckpointSetup
from .runtime.connectors.in_process import InProcessTable
from .runtime.engine import Engine
from .runtime.job import Job
from .runtime.operators.collect import ResultQueue
from .schema import Field, Schema
from .session_completion import Completion
from .table_api import StatementSet, Table

_names = itertools.count(1)
_BUILT_IN = FunctionRegistry()


@dataclass(frozen=True)
class EnvironmentSettings:
    """How a session starts: streaming (the default) or batch."""

    mode: str = "STREAMING"

    @staticmethod
    def in_streaming_mode() -> EnvironmentSettings:
        """Queries run as jobs over what arrives."""
        return EnvironmentSettings("STREAMING")

    @staticmethod
    def in_batch_mode() -> EnvironmentSettings:
        """Queries are answered once over bounded sources."""
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
        self._collecting: list[stmt.Insert] | None = None
        self._closed = False
        self.resumes = False
        """Whether jobs go on from the latest checkpoint under ``execution.checkpointing.dir``, where there is one."""
        self.checkpoints: Callable[[CheckpointSetup], CheckpointSetup] = lambda setup: setup
        """Has the last word on how jobs take checkpoints; tests let them die at its named points."""
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
        self._create_function(name, self.catalog.resolve([name]), function)

    def create_temporary_system_function(self, name: str, function: Any) -> None:
        """As :meth:`create_temporary_function`, found from every database."""
        self._create_function(name, None, function)

    def _create_function(self, name: str, path: ObjectPath | None, function: Any) -> None:
        written_as = getattr(function, "__name__", name)
        scalar = python_functions.as_scalar(function)
        definition = FunctionDefinition(name, path, written_as, temporary=True, callable=scalar)
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
        result = self._run(stmt.parse_statement(sql))
        result.time_zone = self.config.get("table.local-time-zone")
        return result

    def _run(self, statement: stmt.Statement) -> TableResult:
        if self._collecting is not None:
            return self._collect_statement(statement)
        match statement:
            case stmt.Query():
                if statement.emit_changes and self._reads_jobs_only(statement):
                    raise UnsupportedError(
                        "EMIT CHANGES over a running job's tables is not supported yet",
                        hint="SELECT without EMIT CHANGES answers at once",
                    )
                return self._query(statement)
            case stmt.Insert():
                return self.execute_inserts([statement])
            case stmt.StatementSet():
                return self.execute_inserts(self._set_members(statement.statements))
            case stmt.BeginStatementSet():
                self._collecting = []
                return _ok()
            case stmt.EndStatementSet():
                raise ValidationError("END without BEGIN STATEMENT SET")
            case stmt.Explain():
                return self._explain(statement)
            case stmt.ShowJobs() | stmt.DescribeJob() | stmt.StopJob():
                return self._job_statement(statement)
            case _:
                return self._ddl(statement)

    def _collect_statement(self, statement: stmt.Statement) -> TableResult:
        """Inside BEGIN STATEMENT SET … END."""
        assert self._collecting is not None
        if isinstance(statement, stmt.EndStatementSet):
            inserts, self._collecting = self._collecting, None
            return self.execute_inserts(inserts)
        if not isinstance(statement, stmt.Insert):
            raise ValidationError("only INSERT is allowed inside a statement set", hint="END; closes it")
        pipeline.bind_root(statement, self.bind_context())
        self._collecting.append(statement)
        return _ok()

    def _set_members(self, statements: Sequence[stmt.Insert | stmt.CreateTable]) -> list[stmt.Insert]:
        members: list[stmt.Insert] = []
        for member in statements:
            if isinstance(member, stmt.Insert):
                members.append(member)
            else:
                made = execute_ddl(member, self._ddl_context())
                if made is not None and made.insert is not None:
                    members.append(made.insert)
        return members

    def _ddl(self, statement: stmt.Statement) -> TableResult:
        made = execute_ddl(statement, self._ddl_context())
        if made is None:
            raise UnsupportedError(f"{type(statement).__name__} is not supported")
        if made.insert is not None:
            return self.execute_inserts([made.insert])
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
        return QueryBinder(self.bind_context(), view.query).view(view).schema

    # -- queries and inserts ---------------------------------------------------------------------------------------
    def bind_context(self) -> BindContext:
        """What the planner reads of this session."""
        return BindContext(
            self.catalog,
            self.functions,
            self.config.get("table.local-time-zone"),
            dynamic_options=bool(self.config.get("table.dynamic-table-options.enabled")),
            table_functions=savepoint_tables.table_functions(TableEnvironment),
        )

    def build_options(
        self, *, bounded: bool = False, checkpoints: CheckpointSetup | None = None
    ) -> BuildOptions:
        """What operators, sources and sinks are made with."""
        return job_options.build_options(
            self.config,
            bounded=bounded,
            find_table=self._find_table,
            register_functions=self._register_functions(),
            checkpoints=checkpoints,
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

    @property
    def _batch_mode(self) -> bool:
        return str(self.config.get("execution.runtime-mode")).upper() == "BATCH"

    def _reads_jobs_only(self, statement: stmt.Query) -> bool:
        scans = _scans(pipeline.bind_query(statement.ast, statement.sql, self.bind_context()))
        return bool(scans) and all(s.table.path.catalog == "jobs" for s in scans)

    def _query(self, statement: stmt.Query) -> TableResult:
        root = pipeline.bind_root(statement, self.bind_context())
        scans = _scans(root)
        if self._batch_mode or all(s.table.path.catalog == "jobs" for s in scans):
            return self._batch(root)
        return self._stream(root)

    def _stream(self, root: l.LogicalNode) -> TableResult:
        plan = pipeline.plan([root], job_options.physical_options(self.config))
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
            limited=plan.roots[0].limited,
        )

    def _submit(
        self,
        name: str,
        plan: PhysicalPlan,
        queue: ResultQueue | None,
        *,
        bounded: bool = False,
        inserts: Sequence[stmt.Insert] = (),
    ) -> Job:
        checkpoints = None
        made: dict[str, Any] = {}
        if queue is None and not bounded:
            made = definition(inserts, self.catalog, self.config)
            if self.resumes:
                check_resumable(self.config)
            checkpoints = self.checkpoints(
                job_options.checkpoint_setup(self.config, made, resume=self.resumes)
            )
        job = self._jobs.submit(
            name,
            plan,
            self.build_options(bounded=bounded, checkpoints=checkpoints),
            queue,
            rows_max=job_options.step_rows_max(self.config),
            interval_ms=job_options.step_interval_ms(self.config),
            restart=job_options.restart_strategy(self.config) if queue is None else None,
        )
        job.statement = "; ".join(insert_text(insert) for insert in inserts)
        if checkpoints is not None and checkpoints.enabled and checkpoints.directory is not None:
            self._jobs.note_status(job, checkpoints.directory, made)
        return job

    @staticmethod
    def _is_bounded(root: l.LogicalNode) -> bool:
        return all(is_bounded(s.table, s.options) for s in _scans(root))

    def _batch(self, root: l.LogicalNode) -> TableResult:
        table = run_batch(pipeline.rewrite(root), self.build_options(bounded=True), self._now_ms)
        return TableResult(root.schema, table=table)

    def keep_job_names(self, *, resume: bool) -> None:
        """For a script: its n-th job of a name is called the same in every run, so that it finds its checkpoints.

        ``resume``: jobs go on from the latest, where there is one.
        """
        self._jobs.names_are_kept = True
        self.resumes = resume

    def execute_inserts(self, statements: Sequence[stmt.Insert]) -> TableResult:
        """Start one job for parsed INSERT statements. In batch mode their queries are answered first."""
        if not statements:
            raise ValidationError("the statement set holds no INSERT")
        context = self.bind_context()
        roots = [pipeline.bind_root(s, context) for s in statements]
        if self._batch_mode:
            roots = [self._materialised(r) for r in roots]
        plan = pipeline.plan(roots, job_options.physical_options(self.config))
        name = self.config.get("pipeline.name") or f"insert_into_{statements[0].target.parts[-1]}"
        job = self._submit(name, plan, None, bounded=self._batch_mode, inserts=statements)
        if self.config.get("table.dml-sync"):
            job.wait()
        return TableResult(
            Schema.of([Field(_sink_name(r), BIGINT()) for r in roots]), rows=[[-1] * len(roots)], job=job
        )

    def _materialised(self, root: l.LogicalNode) -> l.LogicalNode:
        """Batch mode: the query is answered first, its rows then go to the sink."""
        assert isinstance(root, l.Sink)
        schema = root.input.schema
        rows = run_batch(pipeline.rewrite(root.input), self.build_options(bounded=True), self._now_ms)
        path = ObjectPath("default_catalog", "default_database", f"*result_{next(_names)}*")
        table = python_tables.finite(path, schema, rows)
        return replace(root, input=l.Scan(schema, table, table_options(table)))

    def _explain(self, statement: stmt.Explain) -> TableResult:
        inner = statement.statement
        members = inner.statements if isinstance(inner, stmt.StatementSet) else (inner,)
        queries: list[stmt.Query | stmt.Insert] = []
        for member in members:
            if isinstance(member, stmt.CreateTable):
                raise UnsupportedError(
                    "EXPLAIN of CREATE TABLE … AS is not supported", hint="EXPLAIN its query"
                )
            queries.append(member)
        text = self.explain_statements(queries, statement.details)
        return TableResult(Schema.of([Field("result", STRING())]), rows=[[text]])

    def explain_statements(
        self, statements: Sequence[stmt.Query | stmt.Insert], details: Sequence[str]
    ) -> str:
        """The text of EXPLAIN for parsed statements that run as one job."""
        check_details(details)
        context = self.bind_context()
        return explain([pipeline.bind_root(s, context) for s in statements], details, self.config)

    # -- jobs ------------------------------------------------------------------------------------------------------
    def jobs(self) -> list[Job]:
        """All jobs of the session, oldest first, ended ones included."""
        return self._jobs.all()

    def job(self, id_or_name: str) -> Job:
        """A job by id or name. Raises CatalogError for an unknown one."""
        return self._jobs.get(id_or_name)

    def _job_statement(self, statement: stmt.ShowJobs | stmt.DescribeJob | stmt.StopJob) -> TableResult:
        if isinstance(statement, stmt.StopJob):
            return stop_job(self._jobs.get(statement.job), statement, self.config)
        if isinstance(statement, stmt.DescribeJob):
            return describe_job(self._jobs.get(statement.job))
        return show_jobs(self._jobs.all())

    # -- tables from Python ----------------------------------------------------------------------------------------
    def sql_query(self, sql: str) -> Table:
        """A query as a Table: run it with ``execute()``, or name it with ``create_temporary_view``."""
        statement = stmt.parse_statement(sql)
        if not isinstance(statement, stmt.Query):
            raise ValidationError("sql_query takes a SELECT", hint="use execute_sql for other statements")
        schema = pipeline.bind_query(statement.ast, sql, self.bind_context()).schema
        return Table(self, sql, schema)

    def from_arrow(self, data: Any, name: str | None = None, *, watermark: str | None = None) -> Table:
        """An in-process table over Arrow data, pandas, polars, or anything with ``__arrow_c_stream__``.

        ``watermark``: ``"ts"``, or ``"ts AS ts - INTERVAL '5' SECOND"``. The table is bounded: it holds these rows.
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
        made = python_tables.define(self.catalog.resolve([name]), data, watermark=watermark, bounded=bounded)
        self.catalog.create(pipeline.check_expressions(made, self.bind_context()))
        assert isinstance(made.data, InProcessTable)
        return made.data

    def create_statement_set(self) -> StatementSet:
        """Collect INSERTs into one job that shares its sources."""
        return StatementSet(self)

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


def _scans(node: l.LogicalNode) -> list[l.Scan]:
    return [node] if isinstance(node, l.Scan) else [s for i in node.inputs for s in _scans(i)]


def _sink_name(root: l.LogicalNode) -> str:
    return str(root.table.path) if isinstance(root, l.Sink) else "result"


def _ok() -> TableResult:
    return TableResult(Schema.of([Field("result", STRING())]), rows=[["OK"]], message="OK")


def _result(made: StatementResult) -> TableResult:
    return TableResult(made.schema, rows=made.rows, message=made.message)


_open_sessions: weakref.WeakSet[TableEnvironment] = weakref.WeakSet()


def _close_sessions() -> None:
    """At exit: jobs must not outlive the interpreter's modules."""
    for env in list(_open_sessions):
        with contextlib.suppress(StreamSqlError):
            env.close()


atexit.register(_close_sessions)
