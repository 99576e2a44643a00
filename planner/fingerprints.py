"""Fingerprints of a plan: what a node computes, told from where its values come from, so that state finds it again.

Each node has a fingerprint of its rows and one of each column. Columns keep theirs through projections, filters and
renaming, whatever place they have; so a node is the same whatever else is read, computed or written beside it. What
keeps rows depends on which columns it keeps, in order.

A change here makes the state of every savepoint unclaimed: tests/unit/planner/test_fingerprints.py keeps examples.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Any

from streamsql.catalog.table import ObjectPath, TableDefinition
from streamsql.datatypes import DataType
from streamsql.schema import Schema

from . import physical as p
from .expressions import InputRef, conjuncts, input_refs
from .functions.base import AggregateDef, FunctionDef
from .logical_match import PatternRef

VERSION = "1"


@dataclass(frozen=True)
class Fingerprint:
    """``value`` is equal for nodes that compute the same and keep it in the same form; ``description`` is for people.

    ``columns``: one value an output column, equal where it holds the same values of the same rows.
    """

    value: str
    description: str
    columns: tuple[str, ...]


def fingerprints(plan: p.PhysicalPlan) -> dict[int, Fingerprint]:
    """The fingerprint of each node of a plan, by its ``id``."""
    found: dict[int, _Made] = {}
    written: dict[str, int] = {}
    several = _tables_with_several_options(plan)
    for node in plan.nodes():
        if isinstance(node, p.TableSourceScan):
            made = _scan(node, told_apart=node.table.path in several)
        else:
            made = _made(node, [found[id(i)] for i in node.inputs])
        if isinstance(node, p.Sink):
            # a second INSERT into the same table is another sink
            number = written[made.value] = written.get(made.value, 0) + 1
            made = replace(made, value=_digest("sink", made.value, str(number)))
        found[id(node)] = made
    return {i: Fingerprint(m.value, description(m.node), m.columns) for i, m in found.items()}


def description(node: p.PhysicalNode) -> str:
    """One line for people: the node as EXPLAIN shows it."""
    return f"{node.name}({', '.join(f'{k}=[{v}]' for k, v in node.fields())})"


# -- nodes ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Made:
    """``rows`` and ``conditions``: which rows come out, apart from their columns."""

    node: p.PhysicalNode
    value: str
    rows: str
    columns: tuple[str, ...]
    conditions: frozenset[str] = frozenset()

    @property
    def filtered(self) -> str:
        return _digest("where", self.rows, *sorted(self.conditions)) if self.conditions else self.rows


_PASSING = frozenset({
    "ChangelogNormalize", "Correlate", "Deduplicate", "Limit", "OverAggregate", "Rank", "SinkUpsertMaterializer",
    "Sort", "SortLimit", "TemporalSort", "WindowEmit", "WindowRank", "WindowTableFunction",
})  # fmt: skip
"""Nodes whose first columns are those of their input."""


def _made(node: p.PhysicalNode, inputs: Sequence[_Made]) -> _Made:
    match node:
        case p.WatermarkAssigner() | p.Collect():
            value = _digest(type(node).__name__, inputs[0].filtered)
            return replace(inputs[0], node=node, value=value)
        case p.Calc():
            return _calc(node, inputs[0])
        case p.LookupJoin():
            return _lookup(node, inputs[0])
        case p.Sink():
            return replace(inputs[0], node=node, value=_table(node.table, "sink"))
        case _:
            return _other(node, inputs)


def _table(table: TableDefinition, role: str) -> str:
    return _digest(role, str(table.path), table.connector or "")


def _tables_with_several_options(plan: p.PhysicalPlan) -> set[ObjectPath]:
    """The tables that are read more than once, with different options in the hint."""
    options: dict[ObjectPath, set[tuple[tuple[str, str], ...]]] = {}
    for node in plan.nodes():
        if isinstance(node, p.TableSourceScan):
            options.setdefault(node.table.path, set()).add(node.overrides)
    return {path for path, found in options.items() if len(found) > 1}


def _scan(node: p.TableSourceScan, *, told_apart: bool) -> _Made:
    """``told_apart``: by the options of the hint, which otherwise may change from one job to the next."""
    table = _table(node.table, "scan")
    if told_apart and node.overrides:
        table = _digest("with options", table, repr(sorted(node.overrides)))
    columns = _scanned(table, node.schema, dict(node.metadata))
    return _Made(node, table, _digest("rows", table, node.options.source_mode.value), columns)


def _scanned(table: str, schema: Schema, metadata: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        _digest(
            "column", table, f"metadata {metadata[f.name]}" if f.name in metadata else f.name, _type(f.type)
        )
        for f in schema
    )


def _lookup(node: p.LookupJoin, source: _Made) -> _Made:
    """What waits are rows of the input; how the table is asked and what is remembered of it may change."""
    table = _table(node.table, "scan")
    scan = _Text([_scanned(table, node.scan, dict(node.metadata))])
    right = [_digest("expression", scan.of(e)) for e in node.exprs]
    where = _Text([source.columns, right]).of(node.where)
    parts = (node.kind, table, scan.of(node.condition), where, source.filtered)
    value = _digest("LookupJoin", *parts, "kept", *source.columns)
    return _Made(node, value, value, (*source.columns, *(_digest("looked up", value, c) for c in right)))


def _calc(node: p.Calc, source: _Made) -> _Made:
    text = _Text([source.columns])
    columns = tuple(
        source.columns[e.index] if isinstance(e, InputRef) else _digest("expression", text.of(e))
        for e in node.exprs
    )
    added = () if node.condition is None else (text.of(c) for c in conjuncts(node.condition))
    made = replace(source, node=node, columns=columns, conditions=source.conditions | frozenset(added))
    return replace(made, value=_digest("Calc", made.filtered, *columns))


def _other(node: p.PhysicalNode, inputs: Sequence[_Made]) -> _Made:
    text = _Text([i.columns for i in inputs])
    below = [f"{i.filtered} {_mode(node, n)}" for n, i in enumerate(inputs)]
    kept = [c for n, i in enumerate(inputs) for c in (str(n), *i.columns)] if _keeps_columns(node) else []
    value = _digest(type(node).__name__, text.parts(node), *below, *_versions(node, text), "kept", *kept)
    return _Made(node, value, value, _columns(node, inputs, value))


def _columns(node: p.PhysicalNode, inputs: Sequence[_Made], value: str) -> tuple[str, ...]:
    width = len(node.schema)
    if isinstance(node, p.Union):
        return tuple(_digest("union", *(i.columns[n] for i in inputs)) for n in range(width))
    if isinstance(node, p.Expand):
        keys = {k: _digest("key", value, inputs[0].columns[k]) for k in node.expand.keys}
        passed = [keys.get(n, c) for n, c in enumerate(inputs[0].columns)]
    else:
        passed = list(inputs[0].columns) if _PASSING & _classes(node) else []
    made = (_digest("output", value, str(n)) for n in range(width - len(passed)))
    return (*passed, *made)


def _versions(node: p.PhysicalNode, text: _Text) -> list[str]:
    """The key of the table whose versions are kept."""
    if not isinstance(node, p.TemporalJoin) or node.version is None:
        return []
    return [text.column(1, node.inputs[1].upsert_key)]


def _mode(node: p.PhysicalNode, side: int) -> str:
    """How the changes of an input come, as far as it decides what is kept of them."""
    source = node.inputs[side]
    if isinstance(node, p.TemporalJoin) and side == 1:
        return source.mode.value
    return "changes" if source.updating else "inserts"


def _keeps_columns(node: p.PhysicalNode) -> bool:
    """Whether what is kept depends on all columns of the inputs."""
    match node:
        case p.Correlate() | p.Expand() | p.Union():
            return False
        case p.WindowTableFunction():
            return node.window.kind == "SESSION"
        case p.GroupAggregate() | p.WindowAggregate():
            # a column that nobody reads is there because no projection was needed, and is not kept
            return _read(node) >= set(range(len(node.inputs[0].schema)))
        case _:
            return True


def _read(node: p.GroupAggregate | p.WindowAggregate) -> set[int]:
    read = {*node.keys, *(i for c in node.calls for e in c.inputs for i in input_refs(e))}
    if isinstance(node, p.WindowAggregate):
        read |= set(node.attached or ())
        if node.window is not None:
            read |= {node.window.time_column, *node.window.partition}
    return read


# -- values as text ------------------------------------------------------------------------------------------------
_COLUMNS: Mapping[str, Mapping[str, int]] = {
    "ChangelogNormalize": {"key": 0},
    "Deduplicate": {"key": 0, "time": 0},
    "Expand": {"keys": 0, "sets": 0},
    "FromChangelog": {"partition": 0, "op": 0},
    "GroupAggregate": {"keys": 0},
    "IntervalBounds": {"left_time": 0, "right_time": 1},
    "JoinNode": {"left_keys": 0, "right_keys": 1},
    "MatchRecognize": {"partition": 0, "time": 0},
    "OrderKey": {"column": 0},
    "OverAggregate": {"partition": 0, "time": 0},
    "Rank": {"partition": 0},
    "SinkUpsertMaterializer": {"key": 0},
    "TemporalJoin": {"time": 0, "version": 1},
    "ToChangelog": {"partition": 0},
    "WindowAggregate": {"keys": 0, "attached": 0},
    "WindowEmit": {"end": 0},
    "WindowMatch": {"left": 0, "right": 1},
    "WindowRank": {"partition": 0, "start": 0, "end": 0},
    "WindowSpec": {"time_column": 0, "partition": 0},
}
"""Class → fields that are columns, and of which input."""

_LEFT_OUT: Mapping[str, frozenset[str]] = {
    "AggregateCall": frozenset({"name"}),
    "EmitStrategy": frozenset({"ttl"}),
    "GroupAggregate": frozenset({"emit"}),
    "IntervalBounds": frozenset({"condition"}),
    "JoinNode": frozenset({"where", "hints"}),
    "LogicalNode": frozenset({"schema", "position", "input"}),
    "PhysicalNode": frozenset({"schema", "inputs", "mode", "upsert_key", "views", "ttls"}),
}
"""Class → fields that say nothing about the result: names, texts, time to live, what is told elsewhere."""


class _Text:
    """Values as text that is the same in every process and version; columns of the inputs by their fingerprints."""

    def __init__(self, inputs: Sequence[Sequence[str]]) -> None:
        many = len(inputs) > 1
        self._sides = [[f"{side}:{c}" if many else c for c in columns] for side, columns in enumerate(inputs)]
        self._all = [c for columns in self._sides for c in columns]

    def of(self, value: object) -> str:
        """The text of a value; TypeError for one whose text could change."""
        match value:
            case None | bool() | int() | float() | str() | bytes():
                return repr(value)
            case Enum():
                return value.name
            case Decimal() | dt.date() | dt.time() | dt.timedelta():
                return f"{type(value).__name__} {value!s}"
            case DataType():
                return _type(value)
            case InputRef():
                return self._all[value.index]
            case PatternRef():
                place = (value.variable, value.first, value.offset)
                return f"PatternRef({self.of(place)}, {self._all[value.index]})"
            case FunctionDef() | AggregateDef():
                return f"{value.name} {value.origin}" if value.origin else value.name
            case tuple() | list():
                return f"[{', '.join(self.of(v) for v in value)}]"
            case set() | frozenset():
                return f"{{{', '.join(sorted(self.of(v) for v in value))}}}"
            case Mapping():
                return f"{{{', '.join(sorted(f'{self.of(k)}: {self.of(v)}' for k, v in value.items()))}}}"
            case _ if is_dataclass(value) and not isinstance(value, type):
                return f"{type(value).__name__}({self.parts(value)})"
            case _:
                raise TypeError(f"a {type(value).__name__} has no fingerprint")

    def parts(self, value: Any) -> str:
        """The fields of a dataclass that have another value than their default, by name."""
        left_out, columns = _left_out(value), _column_fields(value)
        found: list[str] = []
        for f in sorted(fields(value), key=lambda f: f.name):
            given = getattr(value, f.name)
            if f.name in left_out or _is_default(f, given):
                continue
            shown = self.column(columns[f.name], given) if f.name in columns else self.of(given)
            found.append(f"{f.name}={shown}")
        return ", ".join(found)

    def column(self, side: int, value: object) -> str:
        """The text of a column of an input, or of several."""
        if isinstance(value, tuple):
            return f"[{', '.join(self.column(side, v) for v in value)}]"
        return self._sides[side][value] if isinstance(value, int) else self.of(value)


def _classes(value: object) -> set[str]:
    """The names of its class and those above it."""
    return {c.__name__ for c in type(value).__mro__}


def _left_out(value: object) -> set[str]:
    return {f for c in _classes(value) for f in _LEFT_OUT.get(c, ())}


def _column_fields(value: object) -> dict[str, int]:
    return {f: side for c in _classes(value) for f, side in _COLUMNS.get(c, {}).items()}


def _is_default(f: Field[Any], value: object) -> bool:
    if f.default is not MISSING:
        return bool(f.default == value)
    return f.default_factory is not MISSING and bool(f.default_factory() == value)


def _type(type_: DataType) -> str:
    """NULL or not is no part: it is held alike."""
    return type_.sql(nullability=False)


def _digest(*parts: str) -> str:
    text = "".join(f"{len(part)}:{part}" for part in (VERSION, *parts))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
