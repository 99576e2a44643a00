"""Physical plan to running job: walks the plan and turns each node into a configured operator, source or sink.

The SQL of operators is made in ``build_calc.py`` (and how Calcs are fused), ``build_groups.py`` and
``build_windows.py``.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from streamsql.catalog.connectors import table_options
from streamsql.catalog.table import TableDefinition
from streamsql.changelog import ChangelogMode
from streamsql.errors import ConfigError, StreamSqlError
from streamsql.options import Options
from streamsql.planner import physical as p
from streamsql.planner.expressions import Call, Expr, InputRef, Literal, remap, substitute
from streamsql.planner.fingerprints import fingerprints
from streamsql.planner.sql_parts import floor_ms
from streamsql.schema import Schema

from .attempt import JobPlan
from .build_calc import Fusion, calc, changelog_normalize, correlate, union
from .build_changelog import from_changelog, to_changelog
from .build_expand import expand
from .build_groups import group_aggregate
from .build_joins import interval_join, join, temporal_join, window_join
from .build_lookup import lookup_join
from .build_match import match_recognize
from .build_over import over_aggregate
from .build_ranks import deduplicate, limit, rank, sort, sort_limit, temporal_sort, window_rank
from .build_recovery import begin, coordinate, restore, writer_name
from .build_sets import set_operation
from .build_sinks import sink_upsert_materializer
from .build_windows import window_aggregate, window_emit, window_table_function
from .checkpoint.recovery import CheckpointSetup, Recovery
from .checkpoint.snapshot import SourceSnapshot
from .connectors import create_sink, create_source
from .connectors.base import SinkContext, Source, SourceContext
from .connectors.values import ValuesSource
from .engine import Engine, internal_schema
from .error_log import ErrorLog
from .expressions import FragmentCompiler
from .graph import Graph
from .job import Job
from .operators.base import Operator, OperatorContext
from .operators.collect import Collect, ResultQueue
from .operators.sink import Sink, SinkConfig
from .source_task import DEFAULT_MAX_DRIFT_MS, SourceTask, WatermarkPlan
from .state.memory import StateMemory

OPERATORS: Mapping[type[p.PhysicalNode], Callable[[Any, Fusion], Operator]] = {
    p.Calc: calc,
    p.Correlate: correlate,
    p.WindowTableFunction: window_table_function,
    p.GroupAggregate: group_aggregate,
    p.WindowEmit: window_emit,
    p.Join: join,
    p.IntervalJoin: interval_join,
    p.WindowJoin: window_join,
    p.TemporalJoin: temporal_join,
    p.Limit: limit,
    p.Sort: sort,
    p.TemporalSort: temporal_sort,
    p.SortLimit: sort_limit,
    p.Rank: rank,
    p.Deduplicate: deduplicate,
    p.WindowRank: window_rank,
    p.WindowDeduplicate: window_rank,
    p.OverAggregate: over_aggregate,
    p.Match: match_recognize,
    p.WindowAggregate: window_aggregate,
    p.ChangelogNormalize: changelog_normalize,
    p.Expand: expand,
    p.ToChangelog: to_changelog,
    p.FromChangelog: from_changelog,
    p.Union: union,
    p.SetOperation: set_operation,
    p.SinkUpsertMaterializer: sink_upsert_materializer,
}
"""Who makes the operator of a node, from its plan and the Calcs fused into it."""


@dataclass(frozen=True)
class BuildOptions:
    """What the session sets for a job."""

    time_zone: str = "UTC"
    threads: int = 2
    idle_timeout_ms: int = 0
    not_null: str = "ERROR"
    length: str = "IGNORE"
    state_ttl_ms: int = 0
    batch_rows_max: int = 131_072
    bounded: bool = False
    register_functions: Callable[[Engine], None] = lambda engine: None
    find_table: Callable[[str], TableDefinition] | None = None
    checkpoints: CheckpointSetup | None = None
    memory_limit: int | None = None
    tmp_dirs: tuple[str, ...] = ()


@dataclass
class BuiltJob:
    """Where plan nodes ended up, for live queries: node → vertex index (negative: source)."""

    plan: JobPlan
    places: dict[int, int] = field(default_factory=dict[int, int])


def build(plan: p.PhysicalPlan, job: Job, options: BuildOptions, queue: ResultQueue | None) -> BuiltJob:
    """Operators, sources and sinks of a plan; opens them, and puts back the state they go on from.

    Raises what opening raises (a missing topic, a bad path), and StateError where a checkpoint does not fit.
    """
    with contextlib.ExitStack() as undo:
        recovery = begin(plan, job, options, queue)
        if recovery is not None:
            undo.callback(recovery.close)
        engine = Engine(threads=options.threads, time_zone=options.time_zone)
        undo.callback(engine.close)
        builder = _Builder(plan, job, options, engine, queue, recovery)
        undo.callback(builder.close)
        options.register_functions(engine)
        engine.set_now(job.now_ms())
        for node in plan.nodes():
            builder.add(node)
        builder.recover_sinks()
        builder.graph.open()
        ended = recovery is not None and restore(recovery, builder.graph, builder.sources, job, options)
        for task in builder.sources:
            if not ended:
                task.source.start()
        logs, coordinator = builder.error_logs, None
        if recovery is not None:
            error_logs = [*logs.values()]
            coordinator = coordinate(recovery, builder.graph, builder.sources, job, options, error_logs)
        undo.pop_all()
    made = JobPlan(builder.graph, builder.sources, engine, logs, coordinator, ended)
    return BuiltJob(made, builder.places)


class _Builder:
    def __init__(
        self,
        plan: p.PhysicalPlan,
        job: Job,
        options: BuildOptions,
        engine: Engine,
        queue: ResultQueue | None,
        recovery: Recovery | None,
    ) -> None:
        self.job = job
        self.options = options
        self.engine = engine
        self.queue = queue
        self.recovery = recovery
        self.sql = FragmentCompiler(options.time_zone)
        self.graph = Graph()
        self.sources: list[SourceTask] = []
        self.error_logs: dict[int, ErrorLog] = {}
        self.places: dict[int, int] = {}
        nodes = plan.nodes()
        self.fusion = Fusion(nodes, self.sql)
        self.watermarks = _watermarks(nodes)
        self.prints = fingerprints(plan)
        self._occurrences: Counter[str] = Counter()
        limit = options.memory_limit
        self.memory = None if limit is None else StateMemory(limit, options.tmp_dirs)

    # -- dispatch --------------------------------------------------------------------------------------------------
    def add(self, node: p.PhysicalNode) -> None:
        if node in self.fusion:
            return
        match node:
            case p.TableSourceScan():
                self.places[id(node)] = self._source(node)
            case p.Values():
                self.places[id(node)] = self._values(node)
            case p.WatermarkAssigner():
                self.places[id(node)] = self.places[id(node.inputs[0])]
            case p.LookupJoin():
                self._vertex(node, self._lookup(node))
            case p.Sink():
                self._vertex(node, self._sink(node))
            case p.Collect():
                assert self.queue is not None
                self._vertex(node, Collect(self.queue))
            case _:
                self._vertex(node, OPERATORS[type(node)](node, self.fusion))

    def _vertex(self, node: p.PhysicalNode, operator: Operator) -> None:
        operator.name = node.name
        hints = node.ttls or (None,) * len(node.inputs)
        ttls = tuple(self.options.state_ttl_ms if ttl is None else ttl.ms for ttl in hints)
        context = OperatorContext(
            self.engine, time_zone=self.options.time_zone, ttls=ttls, memory=self.memory
        )
        places = [self.places[id(i)] for i in self.fusion.bases(node)]
        self.places[id(node)] = place = self.graph.add(node.name, operator, places, context)
        vertex, found = self.graph.vertices[place], self.prints[id(node)]
        vertex.fingerprint, vertex.description = found.value, found.description

    @property
    def _home(self) -> str:
        """What sinks name their files after, beside the job's name: of that there is one where its checkpoints are."""
        setup = self.options.checkpoints
        if setup is None or not setup.enabled or setup.directory is None:
            return self.job.id
        return setup.directory if "://" in setup.directory else str(Path(setup.directory).resolve())

    def _occurrence(self, fingerprint: str) -> int:
        """How many parts of the job with this fingerprint came before."""
        self._occurrences[fingerprint] += 1
        return self._occurrences[fingerprint] - 1

    # -- sources ---------------------------------------------------------------------------------------------------
    def _source(self, node: p.TableSourceScan) -> int:
        fingerprint = self.prints[id(node)].value
        saved = self._saved(fingerprint)
        context = self._read_of(node, node.schema, saved, bounded=self.options.bounded)
        schema = internal_schema(node.schema)
        columns = node.schema.names
        self._add_source(
            create_source(context), schema, self._watermark_plan(node), saved, fingerprint, columns
        )
        self.sources[-1].name = str(node.table.path)
        self._error_log(node)
        return -len(self.sources)

    def _lookup(self, node: p.LookupJoin) -> Operator:
        """The join; the table it asks becomes one of the sources, which start, close and have a status."""
        context = self._read_of(node, node.scan, None, bounded=True)
        operator, table = lookup_join(node, self.fusion, context, lambda: self.job.stopping)
        fingerprint = f"lookup {self.prints[id(node)].value}"
        self._add_source(table, internal_schema(node.scan), None, None, fingerprint)
        self.sources[-1].name = str(node.table.path)
        self._error_log(node)
        return operator

    def _read_of(
        self,
        node: p.TableSourceScan | p.LookupJoin,
        schema: Schema,
        saved: SourceSnapshot | None,
        *,
        bounded: bool,
    ) -> SourceContext:
        """How the table of a node is read; ``schema``: its physical columns that are wanted, then its metadata."""
        width = len(schema) - len(node.metadata)
        return SourceContext(
            table=node.table,
            options=node.options,
            physical=Schema(schema.fields[:width]),
            metadata=node.metadata,
            metadata_schema=Schema(schema.fields[width:]),
            positions={} if saved is None else saved.positions,
            wake=self.job.wake,
            now_ms=self.job.now_ms,
            time_zone=self.options.time_zone,
            batch_rows_max=self.options.batch_rows_max,
            bounded=bounded,
            job_name=self.job.name,
            memory={} if saved is None else saved.memory,
            stopping=lambda: self.job.stopping,
        )

    def _saved(self, fingerprint: str) -> SourceSnapshot | None:
        """What the next source with this fingerprint goes on from."""
        if self.recovery is None:
            return None
        return self.recovery.source(fingerprint, self._occurrence(fingerprint))

    def _add_source(
        self,
        source: Source,
        schema: pa.Schema,
        watermark: WatermarkPlan | None,
        saved: SourceSnapshot | None,
        fingerprint: str,
        columns: Sequence[str] = (),
    ) -> None:
        task = SourceTask(source, schema, watermark, now_ms=self.job.now_ms())
        task.fingerprint, task.columns = fingerprint, columns
        if saved is not None:
            task.restore(saved, self.job.now_ms())
        self.sources.append(task)

    def _error_log(self, node: p.TableSourceScan | p.LookupJoin) -> None:
        """The log table of the last source in error-handling mode ``log``."""
        options = node.options.options
        if not options.declares("error-handling.mode") or options["error-handling.mode"] != "log":
            return
        target = options["error-handling.log.target"]
        if target is None or self.options.find_table is None:
            raise ConfigError(
                f"table {node.table.path}: 'error-handling.mode'='log' needs 'error-handling.log.target'",
                hint="name a table with the columns error_time, origin, message, record",
            )
        try:
            table = self.options.find_table(target)
        except StreamSqlError as error:
            raise ConfigError(
                f"table {node.table.path}: option 'error-handling.log.target' = '{target}': {error.message}",
                hint="create that table with the columns error_time, origin, message, record",
            ) from None
        writer = ""
        if self.options.checkpoints is not None and self.options.checkpoints.enabled:
            fingerprint = f"error log of {node.table.path}"
            writer = writer_name(self.job.name, self._home, fingerprint, self._occurrence(fingerprint))
        log = ErrorLog(
            table, table_options(table), self.job.now_ms, self.options.time_zone, self.job.name, writer
        )
        self.error_logs[len(self.sources) - 1] = log

    def _values(self, node: p.Values) -> int:
        schema = internal_schema(node.schema)
        rows = [
            "SELECT "
            + (", ".join(f"{e} AS c{i}" for i, e in enumerate(self.sql.exprs(row, Schema(())))) or "1 AS c0")
            for row in node.rows
        ]
        fingerprint = self.prints[id(node)].value
        saved = self._saved(fingerprint)
        positions = {} if saved is None else saved.positions
        source = ValuesSource(lambda: self.engine.query(" UNION ALL ".join(rows), {}), schema, positions)
        self._add_source(source, schema, None, saved, fingerprint)
        self.sources[-1].name = "VALUES"
        return -len(self.sources)

    def _watermark_plan(self, node: p.TableSourceScan) -> WatermarkPlan | None:
        expr = self.watermarks.get(id(node))
        if expr is None:
            return None
        column = rising_column(expr)
        read = node.schema if column is None else Schema((node.schema[column],))
        if column is not None:
            expr = remap(expr, {column: 0})
        schema = internal_schema(read)
        sql = f"SELECT {floor_ms(self.sql.expr(expr, read))} AS c0 FROM {{input}}"
        output = pa.schema([pa.field("c0", pa.int64())])
        fragment = self.engine.fragment(sql, {"input": schema}, output, f"watermark of {node.table.path}")
        options = node.options.options
        idle = _option(options, "scan.watermark.idle-timeout")
        drift = _option(options, "scan.watermark.alignment.max-drift")
        declared = options.declares("scan.watermark.alignment.group")
        group = options["scan.watermark.alignment.group"] if declared else None
        idle_ms = self.options.idle_timeout_ms if idle is None else idle
        drift_ms = DEFAULT_MAX_DRIFT_MS if drift is None else drift
        return WatermarkPlan(fragment, column, idle_ms, drift_ms, group)

    # -- sinks -----------------------------------------------------------------------------------------------------
    def _sink(self, node: p.Sink) -> Operator:
        source, setup = node.inputs[0], self.options.checkpoints
        fingerprint = self.prints[id(node)].value
        upsert = source.mode is ChangelogMode.UPSERT
        context = SinkContext(
            table=node.table,
            options=node.options,
            schema=node.schema,
            metadata=tuple(
                (c.name, c.metadata_key or c.name) for c in node.table.sink_columns if c.is_metadata
            ),
            upsert_key=node.primary_key,
            query_key=source.upsert_key,
            upsert=upsert,
            now_ms=self.job.now_ms,
            time_zone=self.options.time_zone,
            job_name=self.job.name,
            wake=self.job.wake,
            checkpointed=setup is not None and setup.enabled and setup.exactly_once,
            transaction=None if self.recovery is None else self.recovery.transaction,
            writer=writer_name(self.job.name, self._home, fingerprint, self._occurrence(fingerprint)),
            stopping=lambda: self.job.stopping,
        )
        config = SinkConfig(
            node.schema, f"table {node.table.path}", self.options.not_null, self.options.length, upsert
        )
        return Sink(config, create_sink(context))

    def recover_sinks(self) -> None:
        """Have the sinks show what the checkpoint prepared, and drop what came after it."""
        if self.recovery is None or self.options.checkpoints is None or not self.options.checkpoints.enabled:
            return
        seen: Counter[str] = Counter()
        number = 0 if self.recovery.saved is None else self.recovery.saved.number
        for vertex in self.graph.vertices:
            if isinstance(vertex.operator, Sink):
                fingerprint = vertex.fingerprint
                prepared = self.recovery.prepared(fingerprint, seen[fingerprint])
                vertex.operator.sink.recover(number, prepared)
                seen[fingerprint] += 1

    def close(self) -> None:
        """Free what was made; for a job that was not built."""
        for task in self.sources:
            task.source.close()
        for vertex in self.graph.vertices:
            if isinstance(vertex.operator, Sink):
                vertex.operator.sink.close(finished=False)
        for log in self.error_logs.values():
            log.close()


def _watermarks(nodes: Sequence[p.PhysicalNode]) -> dict[int, Expr]:
    """Watermark expressions by the scan below them, so that they are computed per split."""
    found: dict[int, Expr] = {}
    for node in nodes:
        if isinstance(node, p.WatermarkAssigner):
            expr, below = node.expression, node.inputs[0]
            while isinstance(below, p.Calc):
                expr, below = substitute(expr, below.exprs), below.inputs[0]
            if isinstance(below, p.ChangelogNormalize):
                below = below.inputs[0]
            found[id(below)] = expr
    return found


def _option(options: Options, key: str) -> int | None:
    """A duration option in ms; None where it is not given or not declared."""
    value = options[key] if options.declares(key) else None
    return value if isinstance(value, int) else None


def rising_column(expr: Expr) -> int | None:
    """The timestamp column that ``expr`` rises with (``ts``, ``ts - INTERVAL …``), or None where that is not plain."""
    while True:
        match expr:
            case InputRef() if expr.type.is_timestamp:
                return expr.index
            case Call() if expr.function.name in ("+", "-") and isinstance(expr.args[1], Literal):
                expr = expr.args[0]
            case _:
                return None
