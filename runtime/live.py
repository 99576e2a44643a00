"""The contents of a running job, read between two steps: what a view amounts to, what an operator's state holds."""

from __future__ import annotations

import pyarrow as pa

from streamsql.planner import physical as p
from streamsql.schema import Schema

from .build import BuiltJob
from .engine import internal_schema
from .expressions import FragmentCompiler


def view_content(built: BuiltJob, node: p.PhysicalNode, time_zone: str) -> pa.Table | None:
    """The rows that ``node`` amounts to right now; None where no state below holds them (an endless stream).

    Runs on the job's thread. Cost is proportional to the state read.
    """
    place = built.places.get(id(node))
    if place is not None and place >= 0:
        held = built.plan.graph.vertices[place].operator.content()
        if held is not None:
            return held
    match node:
        case p.WatermarkAssigner() | p.WindowEmit() | p.Sink() | p.Collect():
            return view_content(built, node.inputs[0], time_zone)
        case p.Calc():
            below = view_content(built, node.inputs[0], time_zone)
            if below is None:
                return None
            sql = FragmentCompiler(time_zone).calc(node, "content")
            table = built.plan.engine.query(sql, {"content": below})
            return table.cast(internal_schema(node.schema))
        case p.Union():
            parts = [view_content(built, i, time_zone) for i in node.inputs]
            return (
                None
                if any(t is None for t in parts)
                else pa.concat_tables([t for t in parts if t is not None])
            )
        case _:
            return None


def operator_content(built: BuiltJob, vertex: str) -> pa.Table | None:
    """The state of an operator, by its name in the job: its output rows, else the rows of its first piece of state."""
    for v in built.plan.graph.vertices:
        if v.name == vertex:
            held = v.operator.content()
            if held is not None:
                return held
            for state in v.context.states.values():
                return state.read()
    return None


def named(table: pa.Table, schema: Schema) -> pa.Table:
    """A table of internal columns under its people's names."""
    return pa.Table.from_arrays(
        [c.cast(f.type.arrow) for c, f in zip(table.columns, schema, strict=True)], names=schema.names
    )


def operators(built: BuiltJob, nodes: list[p.PhysicalNode]) -> dict[str, p.PhysicalNode]:
    """Operator name → plan node, for those that keep state."""
    by_place = {built.places[id(n)]: n for n in nodes if built.places.get(id(n), -1) >= 0}
    return {
        v.name: by_place[i]
        for i, v in enumerate(built.plan.graph.vertices)
        if i in by_place and (v.context.states or v.operator.content() is not None)
    }
