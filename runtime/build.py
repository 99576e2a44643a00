"""Physical plan to operators: the one place that turns plan nodes into configured operators with their SQL.

Calcs are fused: a chain of Calcs with one reader becomes one query, and the partial aggregate of a GroupAggregate or
WindowAggregate is computed in the same query as the projection and filter below it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from streamsql.catalog.connectors import table_options
from streamsql.catalog.table import TableDefinition
from streamsql.changelog import ChangelogMode
from streamsql.errors import ConfigError, UnsupportedError
from streamsql.options import Options
from streamsql.planner import physical as p
from streamsql.planner.batch import unnest_sql
from streamsql.planner.expressions import Expr, InputRef, substitute, walk
from streamsql.planner.logical import WindowSpec
from streamsql.schema import Schema

from .accumulators import Accumulator, Count, Sum
from .build_aggregates import (
    accumulator,
    batch_sql,
    distinct_groups,
    final_sql,
    is_incremental,
    needs_order,
    slice_partials,
)
from .connectors import create_sink, create_source
from .connectors.base import SinkContext, SourceContext
from .connectors.values import ValuesSource
from .engine import Engine, internal_schema
from .error_log import ErrorLog
from .expressions import FragmentCompiler, sliced
from .graph import Graph
from .job import Job, JobPlan
from .operators.base import Operator, OperatorContext
from .operators.calc import Calc, CalcConfig
from .operators.changelog_normalize import ChangelogNormalize
from .operators.collect import Collect, ResultQueue
from .operators.group_aggregate import DistinctArgs, GroupAggregate, GroupAggregateConfig
from .operators.group_recompute import GroupRecompute, GroupRecomputeConfig
from .operators.session_window import SessionWindow, SessionWindowConfig
from .operators.sink import Sink, SinkConfig
from .operators.union import Union
from .operators.window_aggregate import WindowAggregate, WindowAggregateConfig
from .source_task import DEFAULT_MAX_DRIFT_MS, SourceTask, WatermarkPlan


@dataclass(frozen=True)
class BuildOptions:
    """What the session sets for a job."""

    time_zone: str = "UTC"
    threads: int = 2
    idle_timeout_ms: int = 0
    not_null: str = "ERROR"
    length: str = "IGNORE"
    batch_rows_max: int = 131_072
    bounded: bool = False
    register_functions: Callable[[Engine], None] = lambda engine: None
    find_table: Callable[[str], TableDefinition] | None = None


@dataclass
class BuiltJob:
    """Where plan nodes ended up, for live queries: node → vertex index (negative: source)."""

    plan: JobPlan
    places: dict[int, int] = field(default_factory=dict[int, int])


def build(plan: p.PhysicalPlan, job: Job, options: BuildOptions, queue: ResultQueue | None) -> BuiltJob:
    """Operators, sources and sinks of a plan; opens them. Raises what opening raises (a missing topic, a bad path)."""
    engine = Engine(threads=options.threads, time_zone=options.time_zone)
    options.register_functions(engine)
    engine.set_now(job.now_ms())
    builder = _Builder(plan, job, options, engine, queue)
    try:
        for node in plan.nodes():
            builder.add(node)
        builder.graph.open()
        for task in builder.sources:
            task.source.start()
    except BaseException:
        for task in builder.sources:
            task.source.close()
        builder.close_sinks()
        engine.close()
        raise
    logs = builder.error_logs
    on_bad = {i: log.write for i, log in logs.items()}
    made = JobPlan(builder.graph, builder.sources, engine, [log.close for log in logs.values()], on_bad)
    return BuiltJob(made, builder.places)


class _Builder:
    def __init__(
        self, plan: p.PhysicalPlan, job: Job, options: BuildOptions, engine: Engine, queue: ResultQueue | None
    ) -> None:
        self.job = job
        self.options = options
        self.engine = engine
        self.queue = queue
        self.sql = FragmentCompiler(options.time_zone)
        self.graph = Graph()
        self.sources: list[SourceTask] = []
        self.error_logs: dict[int, ErrorLog] = {}
        self.places: dict[int, int] = {}
        self.readers: dict[int, int] = {}
        nodes = plan.nodes()
        for node in nodes:
            for i in node.inputs:
                self.readers[id(i)] = self.readers.get(id(i), 0) + 1
        self.fused = {
            id(n.inputs[0])
            for n in nodes
            if isinstance(n, p.GroupAggregate | p.WindowAggregate | p.Calc) and self._fusible(n.inputs[0])
        }
        self.watermarks = self._watermarks(nodes)

    def _fusible(self, node: p.PhysicalNode) -> bool:
        return isinstance(node, p.Calc) and self.readers.get(id(node), 0) == 1

    # -- dispatch --------------------------------------------------------------------------------------------------
    def add(self, node: p.PhysicalNode) -> None:
        if id(node) in self.fused:
            return
        match node:
            case p.TableSourceScan():
                self.places[id(node)] = self._source(node)
            case p.Values():
                self.places[id(node)] = self._values(node)
            case p.WatermarkAssigner():
                self.places[id(node)] = self.places[id(node.inputs[0])]
            case p.Calc():
                self._vertex(node, self._calc(node), self._base(node))
            case p.WindowTableFunction():
                self._vertex(node, self._window_table(node), node.inputs[0])
            case p.Correlate():
                self._vertex(node, self._correlate(node), node.inputs[0])
            case p.GroupAggregate():
                self._vertex(node, self._group_aggregate(node), self._base(node))
            case p.WindowAggregate():
                self._vertex(node, self._window_aggregate(node), self._base(node))
            case p.ChangelogNormalize():
                schema = internal_schema(node.schema)
                self._vertex(node, ChangelogNormalize(schema, node.key), node.inputs[0])
            case p.Union():
                self._vertex(node, Union(), *node.inputs)
            case p.Sink():
                self._vertex(node, self._sink(node), node.inputs[0])
            case p.Collect():
                assert self.queue is not None
                self._vertex(node, Collect(self.queue), node.inputs[0])
            case _:
                raise UnsupportedError(f"{node.name} cannot run yet")

    def _vertex(self, node: p.PhysicalNode, operator: Operator, *inputs: p.PhysicalNode) -> None:
        operator.name = node.name
        context = OperatorContext(self.engine, time_zone=self.options.time_zone)
        places = [self.places[id(i)] for i in inputs]
        self.places[id(node)] = self.graph.add(node.name, operator, places, context)

    # -- sources ---------------------------------------------------------------------------------------------------
    def _source(self, node: p.TableSourceScan) -> int:
        width = len(node.schema) - len(node.metadata)
        context = SourceContext(
            table=node.table,
            options=node.options,
            physical=Schema(node.schema.fields[:width]),
            metadata=node.metadata,
            metadata_schema=Schema(node.schema.fields[width:]),
            positions={},
            wake=self.job.wake,
            now_ms=self.job.now_ms,
            time_zone=self.options.time_zone,
            batch_rows_max=self.options.batch_rows_max,
            bounded=self.options.bounded,
            job_name=self.job.name,
        )
        schema = internal_schema(node.schema)
        task = SourceTask(
            create_source(context), schema, self._watermark_plan(node), now_ms=self.job.now_ms()
        )
        self.sources.append(task)
        self._error_log(node)
        return -len(self.sources)

    def _error_log(self, node: p.TableSourceScan) -> None:
        """The log table of a source in error-handling mode ``log``."""
        options = node.options.options
        if not options.declares("error-handling.mode") or options["error-handling.mode"] != "log":
            return
        target = options["error-handling.log.target"]
        if target is None or self.options.find_table is None:
            raise ConfigError(
                f"table {node.table.path}: 'error-handling.mode'='log' needs 'error-handling.log.target'",
                hint="name a table with the columns error_time, origin, message, record",
            )
        table = self.options.find_table(target)
        log = ErrorLog(table, table_options(table), self.job.now_ms, self.options.time_zone, self.job.name)
        self.error_logs[len(self.sources) - 1] = log

    def _values(self, node: p.Values) -> int:
        schema = internal_schema(node.schema)
        rows = [
            "SELECT "
            + (", ".join(f"{e} AS c{i}" for i, e in enumerate(self.sql.exprs(row, Schema(())))) or "1 AS c0")
            for row in node.rows
        ]
        source = ValuesSource(lambda: self.engine.query(" UNION ALL ".join(rows), {}), schema)
        self.sources.append(SourceTask(source, schema, None, now_ms=self.job.now_ms()))
        return -len(self.sources)

    def _watermarks(self, nodes: Sequence[p.PhysicalNode]) -> dict[int, tuple[Expr, p.WatermarkAssigner]]:
        """Watermark expressions moved down to their scan, so that they are computed per split."""
        found: dict[int, tuple[Expr, p.WatermarkAssigner]] = {}
        for node in nodes:
            if isinstance(node, p.WatermarkAssigner):
                expr, below = node.expression, node.inputs[0]
                while isinstance(below, p.Calc):
                    expr, below = substitute(expr, below.exprs), below.inputs[0]
                if isinstance(below, p.ChangelogNormalize):
                    below = below.inputs[0]
                found[id(below)] = (expr, node)
        return found

    def _watermark_plan(self, node: p.TableSourceScan) -> WatermarkPlan | None:
        found = self.watermarks.get(id(node))
        if found is None:
            return None
        expr, assigner = found
        schema = internal_schema(node.schema)
        sql = f"SELECT epoch_ms({self.sql.expr(expr, node.schema)}) AS c0 FROM {{input}}"
        output = pa.schema([pa.field("c0", pa.int64())])
        fragment = self.engine.fragment(sql, {"input": schema}, output, f"watermark of {node.table.path}")
        options = node.options.options
        idle = _option(options, "scan.watermark.idle-timeout")
        drift = _option(options, "scan.watermark.alignment.max-drift")
        declared = options.declares("scan.watermark.alignment.group")
        group = options["scan.watermark.alignment.group"] if declared else None
        idle_ms = self.options.idle_timeout_ms if idle is None else idle
        del assigner
        return WatermarkPlan(fragment, idle_ms, DEFAULT_MAX_DRIFT_MS if drift is None else drift, group)

    # -- stateless -------------------------------------------------------------------------------------------------
    def _base(self, node: p.PhysicalNode) -> p.PhysicalNode:
        """The first node below ``node`` that is not fused into it."""
        below = node.inputs[0]
        while id(below) in self.fused:
            below = below.inputs[0]
        return below

    def _fused_source(self, node: p.PhysicalNode, extra: Sequence[str]) -> str:
        """SQL of the rows of ``node`` over ``{input}``: its own Calc and those fused below it."""
        if id(node) not in self.fused:
            return "{input}"
        assert isinstance(node, p.Calc)
        return f"({self.sql.calc(node, self._fused_source(node.inputs[0], extra), extra)})"

    def _calc(self, node: p.Calc) -> Operator:
        base = self._base(node)
        weighted = base.updating
        extra = ["w"] if weighted else []
        sql = self.sql.calc(node, self._fused_source(node.inputs[0], extra), extra)
        identity = (
            node.condition is None
            and base is node.inputs[0]
            and len(node.exprs) == len(base.schema)
            and all(isinstance(e, InputRef) and e.index == i for i, e in enumerate(node.exprs))
        )
        return Calc(
            CalcConfig(
                sql,
                internal_schema(base.schema),
                internal_schema(node.schema),
                weighted,
                self._what(node),
                identity,
            )
        )

    def _window_table(self, node: p.WindowTableFunction) -> Operator:
        source = node.inputs[0]
        if node.window.kind == "SESSION":
            return self._session(node, node.window, node.inputs[0], None)
        weighted = source.updating
        extra = ["w"] if weighted else []
        sql = self.sql.window_table(node, "{input}", extra)
        return Calc(
            CalcConfig(
                sql, internal_schema(source.schema), internal_schema(node.schema), weighted, self._what(node)
            )
        )

    def _correlate(self, node: p.Correlate) -> Operator:
        source = node.inputs[0]
        extra = ["w"] if source.updating else []
        sql = unnest_sql(node.unnest, self.sql.expr(node.unnest.expr, source.schema), "{input}", extra)
        return Calc(
            CalcConfig(
                sql,
                internal_schema(source.schema),
                internal_schema(node.schema),
                source.updating,
                self._what(node),
            )
        )

    def _what(self, node: p.PhysicalNode) -> str:
        return f"{node.name}({', '.join(f'{k}=[{v}]' for k, v in node.fields())})"

    # -- GROUP BY --------------------------------------------------------------------------------------------------
    def _group_aggregate(self, node: p.GroupAggregate) -> Operator:
        source, base = node.inputs[0], self._base(node)
        weighted = source.updating
        if not all(is_incremental(c, weighted=weighted) for c in node.calls):
            return self._recompute(node)
        extra = ["w", "i"] if weighted else ["i"]
        rows = self._fused_source(source, extra)
        keys = [f"c{k}" for k in node.keys]
        compile_ = self._compiler(source.schema)
        groups = distinct_groups(node.calls)
        fed = {i for g in groups for i in g.positions}
        accumulators: list[Accumulator] = [accumulator(c, compile_, weighted=weighted) for c in node.calls]
        partials = [
            f"{sql} AS p{i}_{j}"
            for i, a in enumerate(accumulators)
            if i not in fed
            for j, (sql, _) in enumerate(a.partials)
        ]
        count = "sum(w)::BIGINT" if weighted else "count(*)"
        head = [f"{_hash(keys)} AS h", *(f"{k} AS k{i}" for i, k in enumerate(keys))]
        sql = f"SELECT {', '.join([*head, f'{count} AS n', 'min(i) AS o', *partials])} FROM {rows}{_group_by(keys)}"
        if not keys:
            sql += " HAVING count(*) > 0"
        config = GroupAggregateConfig(
            sql=sql,
            input=internal_schema(base.schema),
            key_types=tuple(source.schema[k].type.arrow for k in node.keys),
            output=internal_schema(node.schema),
            weighted=weighted,
            upsert=node.mode is ChangelogMode.UPSERT,
            what=self._what(node),
            distinct=tuple(
                self._distinct(g, node, rows, head, keys, compile_, accumulators, weighted) for g in groups
            ),
            expire_column=node.window_end,
        )
        return GroupAggregate(config, accumulators)

    def _distinct(
        self,
        group: object,
        node: p.GroupAggregate,
        rows: str,
        head: Sequence[str],
        keys: Sequence[str],
        compile_: Callable[[Expr], str],
        accumulators: Sequence[Accumulator],
        weighted: bool,
    ) -> DistinctArgs:
        from .build_aggregates import DistinctGroup

        assert isinstance(group, DistinctGroup)
        values = [compile_(a) for a in group.args]
        conditions = [f"({v}) IS NOT NULL" for v in values]
        if group.filter is not None:
            conditions.append(f"({compile_(group.filter)})")
        inner_keys = ", ".join(f"{k} AS k{i}" for i, k in enumerate(keys))
        inner_values = ", ".join(f"{v} AS v{i}" for i, v in enumerate(values))
        inner = ", ".join(x for x in (inner_keys, inner_values, "w" if weighted else "") if x)
        names = [f"k{i}" for i in range(len(keys))]
        value_names = [f"v{i}" for i in range(len(values))]
        columns = [f"{_hash(names)} AS h", *names, f"{_hash([*names, *value_names])} AS hv", *value_names]
        count = "sum(w)::BIGINT" if weighted else "count(*)"
        sql = (
            f"SELECT {', '.join([*columns, f'{count} AS n'])} FROM (SELECT {inner} FROM {rows} WHERE {' AND '.join(conditions)})"
            f" GROUP BY {', '.join([*names, *value_names])}"
        )
        calls = tuple(
            (i, 0 if isinstance(accumulators[i], Sum) and not isinstance(accumulators[i], Count) else None)
            for i in group.positions
        )
        return DistinctArgs(sql, tuple(a.type.arrow for a in group.args), calls)

    def _recompute(self, node: p.GroupAggregate) -> Operator:
        """Any aggregate over any input: keep the rows per group, recompute the groups that a step touches."""
        source = node.inputs[0]
        base = self._base(node)
        weighted = source.updating
        extra = ["w"] if weighted else []
        pre = self._fused_source(source, extra)
        compile_ = self._compiler(source.schema)
        keys = [f"c{k}" for k in node.keys]
        calls = [f"{batch_sql(c, compile_, 'i')} AS c{len(keys) + j}" for j, c in enumerate(node.calls)]
        items = ["g", *(f"any_value({k}) AS c{i}" for i, k in enumerate(keys)), *calls]
        # any_value skips NULL, which is right: a NULL key is NULL in the whole group
        config = GroupRecomputeConfig(
            prepare_sql=None if pre == "{input}" else f"SELECT * FROM {pre}",
            input=internal_schema(base.schema),
            rows=internal_schema(source.schema),
            keys=node.keys,
            group_sql=f"SELECT {', '.join(items)} FROM {{input}} GROUP BY g",
            output=internal_schema(node.schema),
            weighted=weighted,
            upsert=node.mode is ChangelogMode.UPSERT,
            what=self._what(node),
            window_end=None if node.window_end is None else node.keys[node.window_end],
        )
        return GroupRecompute(config)

    def _compiler(self, schema: Schema) -> Callable[[Expr], str]:
        return lambda e: self.sql.expr(e, schema)

    # -- windows ---------------------------------------------------------------------------------------------------
    def _window_aggregate(self, node: p.WindowAggregate) -> Operator:
        source, base = node.inputs[0], self._base(node)
        if node.window is not None and node.window.kind == "SESSION":
            return self._session(node, node.window, source, node)
        weighted = source.updating
        compile_ = self._compiler(source.schema)
        partials = [slice_partials(c, compile_, weighted=weighted) for c in node.calls]
        rows_kept = any(x is None for x in partials)
        extra = ["w", "i"] if weighted else ["i"]
        rows = self._fused_source(source, extra)
        window, slice_sql = self._window(node, source.schema)
        stages = (
            self._row_stages(node, rows, slice_sql, weighted=weighted)
            if rows_kept
            else self._partial_stages(
                node, rows, slice_sql, [x for x in partials if x is not None], weighted=weighted
            )
        )
        return WindowAggregate(
            WindowAggregateConfig(
                **stages,
                input=internal_schema(base.schema),
                output=internal_schema(node.schema),
                bounds=self._bounds(node),
                weighted=weighted,
                window=window,
                what=self._what(node),
                proctime=node.window is not None and node.window.proctime,
            )
        )

    def _bounds(self, node: p.WindowAggregate) -> tuple[str | None, ...]:
        if node.attached is None:
            return node.bounds
        # the start of an attached window is a key; only its end is known to the operator
        return tuple(None if b == "start" else b for b in node.bounds)

    def _final_keys(self, node: p.WindowAggregate) -> list[tuple[str, pa.DataType]]:
        """Key columns in output order (``k0 …``): with attached windows the start is among them."""
        source = node.inputs[0].schema
        keys = iter(node.keys)
        ordered = []
        for bound in node.bounds[: len(node.bounds) - len(node.calls)]:
            if bound is None:
                ordered.append(next(keys))
            elif bound == "start" and node.attached is not None:
                ordered.append(node.attached[0])
        return [(f"c{k}", source[k].type.arrow) for k in ordered]

    def _window(self, node: p.WindowAggregate, schema: Schema) -> tuple[object, str]:
        from .windows import SlicedWindow

        if node.window is not None:
            return sliced(node.window), self.sql.slice_end(node.window, schema)
        assert node.attached is not None
        # the window's zone decides when it is complete
        zone = "UTC"
        return SlicedWindow("TUMBLE", 1, 1, 0, zone), f"epoch_ms(c{node.attached[1]})"

    def _partial_stages(
        self,
        node: p.WindowAggregate,
        rows: str,
        slice_sql: str,
        partials: Sequence[Sequence[object]],
        *,
        weighted: bool,
    ) -> dict[str, object]:
        from .build_aggregates import Partial

        keys = self._final_keys(node)
        names = [f"k{i}" for i in range(len(keys))]
        count = "sum(w)::BIGINT" if weighted else "count(*)"
        flat: list[tuple[str, Partial, str]] = []
        for i, columns in enumerate(partials):
            for j, column in enumerate(columns):
                assert isinstance(column, Partial)
                flat.append((f"p{i}_{j}", column, f"p{i}_{j + 1}"))
        select_keys = [f"{k} AS {n}" for (k, _), n in zip(keys, names, strict=True)]
        # the row count tells a group whose rows were all retracted
        partial = pa.schema(
            [
                *(pa.field(n, t) for n, (_, t) in zip(names, keys, strict=True)),
                pa.field("n", pa.int64()),
                pa.field("o", pa.int64()),
                *(pa.field(n, c.type) for n, c, _ in flat),
            ]
        )
        first = [
            f"{slice_sql} AS slice",
            f"{'count(*)' if weighted else count} AS rows",
            *select_keys,
            f"{count} AS n",
            "min(i) AS o",
        ]
        first += [f"{c.sql} AS {n}" for n, c, _ in flat]
        grouping = ["slice", *names]
        merged = [
            "win",
            *names,
            "sum(n)::BIGINT AS n",
            "min(o) AS o",
            *(f"{c.merge.format(p=n, next=nxt)} AS {n}" for n, c, nxt in flat),
        ]
        by = ", ".join(["win", *names])
        values = [
            f"{final_sql(call, [f'p{i}_{j}' for j in range(len(partials[i]))])} AS v{i}"
            for i, call in enumerate(node.calls)
        ]
        inner = f"SELECT {', '.join(merged)} FROM {{input}} GROUP BY {by}"
        return {
            "partial_sql": f"SELECT {', '.join(first)} FROM {rows} GROUP BY {', '.join(grouping)}",
            "merge_sql": inner,
            "final_sql": f"SELECT {', '.join(['win', *names, *values])} FROM ({inner}) WHERE n > 0 ORDER BY win, o",
            "partial": partial,
        }

    def _row_stages(
        self, node: p.WindowAggregate, rows: str, slice_sql: str, *, weighted: bool
    ) -> dict[str, object]:
        """Keep the slice's rows (equal ones merged) and aggregate them whole when the window fires."""
        source = node.inputs[0].schema
        used = sorted(
            {e.index for c in node.calls for a in c.inputs for e in _refs(a)}
            | {int(k[1:]) for k, _ in self._final_keys(node)}
        )
        columns = [f"c{i}" for i in used]
        keys = self._final_keys(node)
        # equal insertions are kept once where nothing depends on their order; their place is that of the first
        each = needs_order(node.calls) and not weighted
        weight = "sum(w)::BIGINT" if weighted else "count(*)"
        by = ", ".join(["slice", *columns, *(["i"] if each else [])])
        compile_ = self._compiler(source)
        partial = pa.schema(
            [
                *(pa.field(f"c{i}", source[i].type.arrow) for i in used),
                pa.field("w", pa.int64()),
                pa.field("i", pa.int64()),
            ]
        )
        place = "i" if each else "min(i) AS i"
        first = [f"{slice_sql} AS slice", "count(*) AS rows", *columns, f"{weight} AS w", place]
        merged_by = ", ".join(["win", *columns, *(["i"] if each else [])])
        merged_items = ", ".join(["win", *columns, "sum(w)::BIGINT AS w", place])
        merged = f"SELECT {merged_items} FROM {{input}} GROUP BY {merged_by} HAVING sum(w) <> 0"
        expanded = f"SELECT * EXCLUDE (w), unnest(range(w)) FROM ({merged}) WHERE w > 0"
        values = [f"{batch_sql(c, compile_, 'i')} AS v{j}" for j, c in enumerate(node.calls)]
        key_names = [k for k, _ in keys]
        return {
            "partial_sql": f"SELECT {', '.join(first)} FROM {rows} GROUP BY {by}",
            "merge_sql": merged,
            "final_sql": f"SELECT {', '.join(['win', *(f'{k} AS k{i}' for i, k in enumerate(key_names)), *values])} "
            f"FROM ({expanded}) GROUP BY {', '.join(['win', *key_names])} ORDER BY win, min(i)",
            "partial": partial,
        }

    def _session(
        self,
        node: p.PhysicalNode,
        window: WindowSpec,
        source: p.PhysicalNode,
        aggregate: p.WindowAggregate | None,
    ) -> Operator:
        base = self._base(node)
        pre = self._fused_source(source, [])
        compile_ = self._compiler(source.schema)
        if aggregate is None:
            values = [f"c{i} AS v{i}" for i in range(len(source.schema))]
            final = f"SELECT s, {', '.join(values)} FROM {{input}}"
            bounds: tuple[str | None, ...] = (*([None] * len(source.schema)), "start", "end", "time")
        else:
            names = [f"c{k} AS k{i}" for i, k in enumerate(aggregate.keys)]
            calls = [f"{batch_sql(c, compile_, 'i')} AS v{j}" for j, c in enumerate(aggregate.calls)]
            by = ", ".join(["s", *(f"c{k}" for k in aggregate.keys)])
            final = f"SELECT {', '.join(['s', *names, *calls])} FROM {{input}} GROUP BY {by}"
            bounds = aggregate.bounds
        return SessionWindow(
            SessionWindowConfig(
                prepare_sql=None if pre == "{input}" else f"SELECT * FROM {pre}",
                input=internal_schema(base.schema),
                rows=internal_schema(source.schema),
                keys=window.partition,
                time_sql=self.sql.local_time(window, source.schema),
                gap_ms=window.size_ms,
                zone=window.zone,
                final_sql=final,
                output=internal_schema(node.schema),
                bounds=bounds,
                proctime=window.proctime,
                what=self._what(node),
            )
        )

    # -- sinks -----------------------------------------------------------------------------------------------------
    def _sink(self, node: p.Sink) -> Operator:
        source = node.inputs[0]
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
        )
        config = SinkConfig(
            node.schema, f"table {node.table.path}", self.options.not_null, self.options.length
        )
        return Sink(config, create_sink(context))

    def close_sinks(self) -> None:
        for vertex in self.graph.vertices:
            if isinstance(vertex.operator, Sink):
                vertex.operator.sink.close(finished=False)


def _hash(columns: Sequence[str]) -> str:
    return f"hash({', '.join(columns)})" if columns else "0::UBIGINT"


def _group_by(keys: Sequence[str]) -> str:
    return f" GROUP BY {', '.join(keys)}" if keys else ""


def _refs(expr: Expr) -> list[InputRef]:

    return [e for e in walk(expr) if isinstance(e, InputRef)]


def _option(options: Options, key: str) -> int | None:
    """A duration option in ms; None where it is not given or not declared."""
    value = options[key] if options.declares(key) else None
    return value if isinstance(value, int) else None
