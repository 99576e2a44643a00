"""The operators of a job with the state of a savepoint, to be read: no sources, no sinks, no thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from streamsql.changelog import ChangelogBatch
from streamsql.errors import StateError
from streamsql.planner import physical as p
from streamsql.planner.fingerprints import fingerprints
from streamsql.schema import Schema

from .attempt import JobPlan
from .build import OPERATORS, BuildOptions, BuiltJob
from .build_calc import Fusion
from .checkpoint.matching import NewOperator, NewPart, match
from .checkpoint.snapshot import JobSnapshot, OperatorSnapshot
from .engine import Engine
from .expressions import FragmentCompiler
from .graph import Graph
from .live import named, view_content
from .operators.base import Operator, OperatorContext, StepTime
from .state.base import IMMUTABLE_PREFIX, KEYED_PREFIX, State
from .state.scalars import Scalars

_OUTSIDE = (p.Sink, p.Collect)


class Outside(Operator):
    """In the place of an operator that asks another system (a lookup join): what is above it can be read."""

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        """No step is taken here."""
        raise AssertionError


@dataclass(frozen=True)
class SavedJob:
    """``taken``: for each operator of the plan what it was restored from, None where nothing fits."""

    plan: p.PhysicalPlan
    built: BuiltJob
    taken: tuple[OperatorSnapshot | None, ...]
    time_zone: str

    def asks(self, saved: OperatorSnapshot) -> bool:
        """Whether an operator asks another system, so that it is not made here."""
        vertices = self.built.plan.graph.vertices
        return any(v.fingerprint == saved.fingerprint and isinstance(v.operator, Outside) for v in vertices)

    def close(self) -> None:
        """Free the operators and the engine."""
        self.built.plan.graph.close()
        self.built.plan.engine.close()

    def views(self) -> dict[str, p.PhysicalNode]:
        """The views that the plan remembers."""
        return {name: node for node in self.plan.nodes() for name in node.views}

    def view(self, name: str) -> pa.Table | None:
        """What a view amounted to; None where no state holds it."""
        node = self.views()[name]
        found = view_content(self.built, node, self.time_zone)
        return None if found is None else named(found, node.schema)

    def state(self, saved: OperatorSnapshot, piece: str | None) -> pa.Table | None:
        """What an operator held: the rows of its output, or one piece of its state; None where it was not restored.

        Without ``piece``, where the state does not hold the output: the first piece that has rows of its own.
        """
        for place, taken in enumerate(self.taken):
            if taken is saved:
                node = next(n for n in self.plan.nodes() if self.built.places.get(id(n)) == place)
                return self._read(node, place, piece)
        return None

    def _read(self, node: p.PhysicalNode, place: int, piece: str | None) -> pa.Table:
        vertex = self.built.plan.graph.vertices[place]
        held = vertex.operator.content() if piece is None else None
        if held is not None:
            return named(held, node.schema)
        states = vertex.context.states
        name = piece or _first(states)
        schemas = [i.schema for i in node.inputs]
        return _with_names(states[name].read(), reversed(schemas) if name == "right" else iter(schemas))


def reopen(plan: p.PhysicalPlan, saved: JobSnapshot, options: BuildOptions) -> SavedJob:
    """The operators of a plan as they were when the savepoint was taken."""
    engine = Engine(threads=options.threads, time_zone=options.time_zone)
    try:
        options.register_functions(engine)
        engine.set_now(saved.time_ms)
        graph, places, sources = _operators(plan, engine, options)
        graph.open()
        taken = match(
            saved,
            sources,
            [
                NewOperator(v.fingerprint, v.name, v.description, tuple(v.context.states), v.inputs)
                for v in graph.vertices
            ],
        ).operators
        for vertex, found in zip(graph.vertices, taken, strict=True):
            for name, state in vertex.context.states.items():
                if found is not None:
                    state.restore(found.states[name])
    except BaseException:
        engine.close()
        raise
    return SavedJob(plan, BuiltJob(JobPlan(graph, [], engine), places), taken, options.time_zone)


def _operators(
    plan: p.PhysicalPlan, engine: Engine, options: BuildOptions
) -> tuple[Graph, dict[int, int], list[NewPart]]:
    nodes = plan.nodes()
    fusion = Fusion(nodes, FragmentCompiler(options.time_zone))
    prints = fingerprints(plan)
    graph, places, sources = Graph(), dict[int, int](), list[NewPart]()
    for node in nodes:
        if node in fusion or isinstance(node, _OUTSIDE):
            continue
        if isinstance(node, p.TableSourceScan | p.Values):
            sources.append(NewPart(prints[id(node)].value, node.name))
            places[id(node)] = -len(sources)
        elif isinstance(node, p.WatermarkAssigner):
            places[id(node)] = places[id(node.inputs[0])]
        else:
            hints = node.ttls or (None,) * len(node.inputs)
            ttls = tuple(options.state_ttl_ms if ttl is None else ttl.ms for ttl in hints)
            context = OperatorContext(engine, time_zone=options.time_zone, ttls=ttls)
            make = OPERATORS.get(type(node))
            operator = Outside() if make is None else make(node, fusion)
            operator.name = node.name
            inputs = [places[id(i)] for i in fusion.bases(node)]
            places[id(node)] = place = graph.add(node.name, operator, inputs, context)
            vertex, found = graph.vertices[place], prints[id(node)]
            vertex.fingerprint, vertex.description = found.value, found.description
    return graph, places, sources


def raw_state(saved: OperatorSnapshot, piece: str) -> pa.Table:
    """One piece of an operator's state as it is stored. Raises StateError where it is in tables that differ."""
    tables = saved.states[piece]
    rows = [t for name, t in tables.items() if holds_rows(name)] or list(tables.values())
    schemas = {t.schema for t in rows}
    if len(schemas) != 1:
        raise StateError(f"state '{piece}' of {saved.name} is kept in {len(schemas)} kinds of tables")
    return pa.concat_tables(rows)


def holds_rows(table: str) -> bool:
    """Whether a table of a state, by its name, has an entry of the state in each row."""
    return table.startswith((KEYED_PREFIX, IMMUTABLE_PREFIX))


def _first(states: dict[str, State]) -> str:
    return next((n for n, s in states.items() if not isinstance(s, Scalars)), next(iter(states)))


def _with_names(table: pa.Table, schemas: Iterator[Schema]) -> pa.Table:
    """Columns that are those of an input under its names for them; others as they are."""
    for schema in schemas:
        names = [f"c{i}" for i in range(len(schema))]
        if set(names) <= set(table.schema.names) and all(
            table.schema.field(n).type == f.type.arrow for n, f in zip(names, schema, strict=True)
        ):
            given = dict(zip(names, schema.names, strict=True))
            return table.rename_columns([given.get(n, n) for n in table.schema.names])
    return table
