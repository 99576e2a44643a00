"""Which changelog every plan edge carries, decided from the sinks up and then from the sources down.

An updating operator leaves −U out where no consumer needs it. A source without −U gets a ChangelogNormalize where
somebody needs full retractions. A sink that cannot take updates refuses the query here, before anything runs.

Source: Flink's FlinkChangelogModeInferenceProgram (2.x).
"""

from __future__ import annotations

from streamsql.changelog import ChangelogMode
from streamsql.errors import ValidationError

from . import physical as p


def assign_modes(roots: tuple[p.PhysicalNode, ...]) -> tuple[p.PhysicalNode, ...]:
    """The final trees. Raises ValidationError where a sink does not take what the query yields."""
    needs: dict[int, bool] = {}
    for node in reversed(p.PhysicalPlan(roots).nodes()):
        if isinstance(node, p.Sink):
            _check_sink(node)
        for child in node.inputs:
            wanted = child.updating and node.needs_before(child, needs.get(id(node), False))
            needs[id(child)] = needs.get(id(child), False) or wanted
    rebuilt: dict[int, p.PhysicalNode] = {}
    return tuple(_rebuild(root, needs, rebuilt) for root in roots)


def _check_sink(sink: p.Sink) -> None:
    child = sink.inputs[0]
    if not child.updating or sink.is_cdc:
        return
    modes = sink.options.connector.sink_modes
    if ChangelogMode.RETRACT in modes:
        return
    culprit = _first_updating(child)
    if ChangelogMode.UPSERT not in modes:
        raise ValidationError(
            f"table {sink.table.path} (connector '{sink.options.connector.name}') takes only inserts, "
            f"but the query updates its results: {culprit}",
            hint="write into an 'upsert-kafka' table with a PRIMARY KEY, use a CDC format such as "
            "'debezium-json', or aggregate in a window",
        )
    if sink.primary_key is None:
        raise ValidationError(
            f"table {sink.table.path} needs a PRIMARY KEY to take the updates of the query: {culprit}",
            hint="declare PRIMARY KEY (…) NOT ENFORCED over the columns that identify a result row",
        )
    if not sink.takes_upserts_of(child):
        names = sink.schema.names
        query_key = "none" if child.upsert_key is None else ", ".join(names[i] for i in child.upsert_key)
        sink_key = ", ".join(names[i] for i in sink.primary_key)
        raise ValidationError(
            f"the primary key of {sink.table.path} ({sink_key}) differs from the key of the query's "
            f"updates ({query_key})",
            hint="SET 'table.exec.sink.upsert-materialize' = 'AUTO', or make the primary key the GROUP BY columns",
        )


def _first_updating(node: p.PhysicalNode) -> str:
    while True:
        below = next((i for i in node.inputs if i.updating), None)
        if below is None:
            return f"{node.name}({', '.join(f'{k}=[{v}]' for k, v in node.fields())})"
        node = below


def _rebuild(node: p.PhysicalNode, needs: dict[int, bool], done: dict[int, p.PhysicalNode]) -> p.PhysicalNode:
    if id(node) in done:
        return done[id(node)]
    inputs = tuple(_rebuild(i, needs, done) for i in node.inputs)
    built = (
        node if all(a is b for a, b in zip(inputs, node.inputs, strict=True)) else node.with_inputs(inputs)
    )
    built = built.settled(needs.get(id(node), False))
    done[id(node)] = built
    return built


def keys_of(node: p.PhysicalNode) -> list[str] | None:
    """Names of the upsert key's columns."""
    return None if node.upsert_key is None else [node.schema[i].name for i in node.upsert_key]
