"""A query's operators without sources, threads and clocks: rows and watermarks are pushed in by hand.

The harness holds the graph that a job would run. ``restored`` cuts all declared state before each action, as a
checkpoint does, and goes on in a new graph with what the cuts so far amount to: an operator that hides state elsewhere,
or a cut that misses a change, gives another answer then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace, TracebackType
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from streamsql.catalog.catalog import CatalogManager
from streamsql.catalog.table import Column, TableDefinition, ViewDefinition, WatermarkSpec
from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import from_arrow
from streamsql.planner import physical as p
from streamsql.planner import pipeline
from streamsql.planner.binder import BindContext
from streamsql.planner.convert import PhysicalOptions
from streamsql.planner.functions import FunctionRegistry
from streamsql.planner.statements import Query, parse_statement
from streamsql.runtime.build import BuildOptions, build
from streamsql.runtime.connectors.in_process import InProcessTable, schema_of
from streamsql.runtime.engine import internal_schema
from streamsql.runtime.graph import SourceEdge, Vertex
from streamsql.runtime.operators.base import MAX_WATERMARK, MIN_WATERMARK
from streamsql.runtime.operators.collect import ResultQueue
from streamsql.runtime.state.base import KEYED_PREFIX, State
from streamsql.runtime.state.keyed import SLOT, merge_keyed

from .pretty import changes, shown

if TYPE_CHECKING:
    from streamsql.runtime.build import BuiltJob
    from streamsql.runtime.job import Job


@dataclass(frozen=True)
class Table:
    """What the harness declares: columns, the event-time column, changelog mode ``I``, ``I,UA,D`` or ``I,UB,UA,D``."""

    columns: Mapping[str, pa.DataType]
    time: str | None = None
    mode: str = "I"
    key: tuple[str, ...] = ()
    proctime: str | None = None

    def define(self, catalog: CatalogManager, name: str) -> TableDefinition:
        schema = schema_of(pa.schema(list(self.columns.items())))
        columns = [Column(f.name, f.type.not_null() if f.name in self.key else f.type) for f in schema]
        if self.proctime is not None:
            columns.append(Column(self.proctime, None, expression="PROCTIME()"))
        return TableDefinition(
            catalog.resolve([name]),
            tuple(columns),
            {"connector": "in-process", "changelog-mode": self.mode},
            primary_key=self.key,
            watermark=WatermarkSpec(self.time, f"`{self.time}`") if self.time else None,
            temporary=True,
            data=InProcessTable(schema),
        )


@dataclass
class Harness:
    """The operators of ``sql`` over ``tables``. Make it with :func:`harness`, which also closes it."""

    sql: str
    tables: Mapping[str, Table]
    options: PhysicalOptions = field(default_factory=PhysicalOptions)
    build_options: BuildOptions = field(default_factory=lambda: BuildOptions(threads=1))
    restored: bool = False
    now_ms: int = 0
    views: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self._watermarks = dict.fromkeys(self.tables, MIN_WATERMARK)
        self._taken: list[ChangelogBatch] = []
        self._queue = ResultQueue()
        self._cuts: dict[tuple[int, str, str], list[pa.Table]] = {}
        self.plan = self._plan()
        scans = [n for n in self.plan.nodes() if isinstance(n, p.TableSourceScan)]
        self._scans = [n.table.path.name for n in scans]
        self._schemas = [internal_schema(n.schema) for n in scans]
        self.key = self.plan.roots[0].inputs[0].upsert_key
        self._built = self._build()

    def _plan(self) -> p.PhysicalPlan:
        catalog = CatalogManager()
        context = BindContext(catalog, FunctionRegistry(), self.options.time_zone)
        for name, table in self.tables.items():
            catalog.create(pipeline.check_expressions(table.define(catalog, name), context))
        for name, text in self.views.items():
            catalog.create(ViewDefinition(catalog.resolve([name]), text, temporary=True))
        statement = parse_statement(self.sql)
        assert isinstance(statement, Query)
        return pipeline.plan([pipeline.bind_root(statement, context)], self.options)

    def _build(self) -> BuiltJob:
        job = cast("Job", SimpleNamespace(now_ms=lambda: self.now_ms, wake=lambda: None, name="harness"))
        built = build(self.plan, job, self.build_options, self._queue)
        for vertex in built.plan.graph.vertices if self.restored else []:
            for state in vertex.context.states.values():
                state.track_changes()
        return built

    # -- actions ---------------------------------------------------------------------------------------------------
    def push(self, text: str, table: str | None = None, watermark: int | None = None) -> None:
        """One step with these rows (of the only table, if none is named), then the watermark, if one is given."""
        name = self._name(table)
        batch = changes(text, self._declared(name))
        self.step({name: batch}, {} if watermark is None else {name: watermark})

    def watermark(self, ms: int, table: str | None = None) -> None:
        """One step without rows in which a source's watermark (all of them, if none is named) advances."""
        self.step({}, dict.fromkeys([table] if table else self.tables, ms))

    def finish(self) -> None:
        """The end of bounded input."""
        self.watermark(MAX_WATERMARK)

    def advance_time(self, ms: int) -> None:
        """The clock moves on; a step is taken if a timer is due, as a job does."""
        self.now_ms += ms
        timer = self._built.plan.graph.next_timer_ms()
        if timer is not None and timer <= self.now_ms:
            self.step({}, {})

    def take(self) -> list[str]:
        """The changes since the last call, as lines of a text table."""
        return [line for batch in self.take_batches() for line in shown(batch, self.key)]

    def take_batches(self) -> list[ChangelogBatch]:
        """The changes since the last call, a batch a step."""
        taken, self._taken = self._taken, []
        return taken

    def snapshot_and_restore(self) -> Harness:
        """Go on in a new graph with all declared state of this one; returns itself."""
        old = self._built.plan.graph.vertices
        saved = [{n: self._merged(i, n, s) for n, s in v.context.states.items()} for i, v in enumerate(old)]
        marks = [(v.watermark, v.output_watermark) for v in old]
        self.close()
        self._built = self._build()
        for vertex, states, (watermark, output) in zip(self._vertices(), saved, marks, strict=True):
            vertex.watermark, vertex.output_watermark = watermark, output
            assert states.keys() == vertex.context.states.keys()
            for name, tables in states.items():
                vertex.context.states[name].restore({n: _copied(t) for n, t in tables.items()})
        return self

    def _merged(self, place: int, name: str, state: State) -> dict[str, pa.Table]:
        """What the cuts of a state amount to, one more included."""
        tables = state.changes()
        for table in tables:
            if table.startswith(KEYED_PREFIX):
                for batch in tables[table].select([SLOT]).to_batches():
                    assert len(batch[SLOT].unique()) == batch.num_rows, f"{table} has a slot twice"
                cuts = [*self._cuts.get((place, name, table), ()), tables[table]]
                self._cuts[place, name, table] = [merge_keyed(cuts, keep_dead=True)]
                tables[table] = merge_keyed(cuts)
        return tables

    def step(self, batches: Mapping[str, ChangelogBatch], watermarks: Mapping[str, int]) -> None:
        """One step: rows by table, with all its columns, and the watermarks that advance at its end."""
        if self.restored:
            self.snapshot_and_restore()
        self._watermarks |= watermarks
        edges = [
            SourceEdge(self._read(name, batches.get(name), schema), self._watermarks[name])
            for name, schema in zip(self._scans, self._schemas, strict=True)
        ]
        self._built.plan.engine.set_now(self.now_ms)
        self._built.plan.graph.step(edges, self.now_ms)
        while (batch := self._queue.get(0)) is not None:
            self._taken.append(batch)

    def _declared(self, name: str) -> pa.Schema:
        return pa.schema([(n, from_arrow(t).arrow) for n, t in self.tables[name].columns.items()])

    def _read(self, name: str, batch: ChangelogBatch | None, schema: pa.Schema) -> ChangelogBatch | None:
        """The columns that the plan reads, under the names they have inside a job."""
        if batch is None or not batch.num_rows:
            return None
        scans = (n for n in self.plan.nodes() if isinstance(n, p.TableSourceScan))
        node = next(n for n in scans if n.table.path.name == name)
        columns = [batch.rows.column(f.name).cast(f.type.arrow) for f in node.schema]
        return ChangelogBatch(pa.RecordBatch.from_arrays(columns, schema=schema), batch.weights)

    # -- looking in ------------------------------------------------------------------------------------------------
    def _vertices(self) -> list[Vertex]:
        return self._built.plan.graph.vertices

    def operator(self, name: str) -> Any:
        """An operator of the graph by the name of its plan node."""
        return next(v.operator for v in self._vertices() if v.name == name)

    def metrics(self, name: str) -> Any:
        """The counters of an operator."""
        return next(v.context.metrics for v in self._vertices() if v.name == name)

    def state_rows(self) -> dict[str, int]:
        """Entries per ``operator.state``, those without any left out."""
        sizes = {f"{v.name}.{n}": s.row_count for v in self._vertices() for n, s in v.context.states.items()}
        return {name: size for name, size in sizes.items() if size}

    def content(self, name: str) -> list[str]:
        """The rows an operator holds right now, as sorted lines."""
        table = self.operator(name).content()
        return sorted(line for batch in table.to_batches() for line in shown(ChangelogBatch(batch)))

    def _name(self, table: str | None) -> str:
        if table is None:
            (table,) = self.tables
        return table

    def close(self) -> None:
        self._built.plan.graph.close()
        self._built.plan.engine.close()

    def __enter__(self) -> Harness:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


def harness(sql: str, tables: Mapping[str, Table] | None = None, **options: Any) -> Harness:
    """A harness over ``sql``; ``tables`` is by default ``t (k STRING, v INT, ts TIMESTAMP(3))``, rowtime ``ts``."""
    default = {"t": Table({"k": pa.string(), "v": pa.int32(), "ts": pa.timestamp("ms")}, "ts")}
    return Harness(sql, default if tables is None else tables, **options)


def _copied(table: pa.Table) -> pa.Table:
    """Through bytes and back, as a checkpoint does: nothing is shared with the old graph."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()
