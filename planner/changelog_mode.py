"""Which changelog every plan edge carries, decided from the sinks up and then from the sources down.

An updating operator leaves −U out where no consumer needs it. A source without −U gets a ChangelogNormalize where
somebody needs full retractions. A sink that cannot take updates refuses the query here, before anything runs.

Source: Flink's FlinkChangelogModeInferenceProgram (2.x).
"""

from __future__ import annotations

from dataclasses import replace

from streamsql.changelog import ChangelogMode
from streamsql.errors import UnsupportedError, ValidationError

from . import physical as p


def assign_modes(roots: tuple[p.PhysicalNode, ...]) -> tuple[p.PhysicalNode, ...]:
    """The final trees. Raises ValidationError where a sink does not take what the query yields."""
    needs: dict[int, bool] = {}
    for node in reversed(p.PhysicalPlan(roots).nodes()):
        if isinstance(node, p.Sink):
            _check_sink(node)
        for child in node.inputs:
            wanted = _needs_before(node, child, needs.get(id(node), False))
            needs[id(child)] = needs.get(id(child), False) or wanted
    rebuilt: dict[int, p.PhysicalNode] = {}
    return tuple(_rebuild(root, needs, rebuilt) for root in roots)


def _needs_before(node: p.PhysicalNode, child: p.PhysicalNode, wanted: bool) -> bool:
    """Whether ``node`` needs −U (or full deletions) from ``child``, given what is wanted of ``node``."""
    if not child.updating:
        return False
    match node:
        case p.Sink():
            return not _takes_upserts(node, child)
        case p.Collect():
            return True
        case p.Calc():
            lost = child.upsert_key is None or node.upsert_key is None
            return wanted or lost or node.condition is not None
        case p.WatermarkAssigner():
            return wanted
        case _:
            return True


def _takes_upserts(sink: p.Sink, child: p.PhysicalNode) -> bool:
    modes = sink.options.connector.sink_modes
    same_key = (
        child.upsert_key is not None
        and sink.primary_key is not None
        and set(child.upsert_key) == set(sink.primary_key)
    )
    return ChangelogMode.UPSERT in modes and same_key and not _is_cdc(sink)


def _is_cdc(sink: p.Sink) -> bool:
    value = sink.options.value_format
    return value is not None and value.descriptor.changelog_mode is not ChangelogMode.INSERT_ONLY


def _check_sink(sink: p.Sink) -> None:
    child = sink.inputs[0]
    if not child.updating or _is_cdc(sink):
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
    if not _takes_upserts(sink, child):
        names = sink.schema.names
        query_key = "none" if child.upsert_key is None else ", ".join(names[i] for i in child.upsert_key)
        sink_key = ", ".join(names[i] for i in sink.primary_key)
        raise UnsupportedError(
            f"the primary key of {sink.table.path} ({sink_key}) differs from the key of the query's "
            f"updates ({query_key}); upsert materialisation is not supported yet",
            hint="make the primary key the GROUP BY columns",
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
    before = needs.get(id(node), False)
    built = (
        node if all(a is b for a, b in zip(inputs, node.inputs, strict=True)) else node.with_inputs(inputs)
    )
    match built:
        case p.TableSourceScan() if built.mode is ChangelogMode.UPSERT and before:
            if built.upsert_key is None:
                raise ValidationError(
                    f"table {built.table.path} yields upserts but has no PRIMARY KEY that is read"
                )
            built = p.ChangelogNormalize(
                schema=built.schema,
                inputs=(built,),
                mode=ChangelogMode.RETRACT,
                upsert_key=built.upsert_key,
                key=built.upsert_key,
            )
        case p.GroupAggregate():
            built = replace(
                built, mode=ChangelogMode.RETRACT if before or not built.keys else ChangelogMode.UPSERT
            )
        case (
            p.Calc()
            | p.WatermarkAssigner()
            | p.Sink()
            | p.Collect()
            | p.WindowTableFunction()
            | p.Correlate()
        ):
            built = replace(built, mode=inputs[0].mode)
        case _:
            pass
    done[id(node)] = built
    return built


def keys_of(node: p.PhysicalNode) -> list[str] | None:
    """Names of the upsert key's columns."""
    return None if node.upsert_key is None else [node.schema[i].name for i in node.upsert_key]
