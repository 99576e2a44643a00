"""Physical plan nodes: what runs. Names and EXPLAIN text are Flink's.

Every node declares the changelog its output carries (``mode``) and its upsert key: columns that identify a
row among those alive. A node never changes after planning; :func:`~.changelog_mode.assign_modes` builds the
final tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from streamsql.catalog.connectors import TableOptions
from streamsql.catalog.table import TableDefinition
from streamsql.changelog import ChangelogMode
from streamsql.schema import Schema

from .expressions import AggregateCall, Expr
from .logical import Unnest, WindowSpec
from .windows import WindowClock

Key = tuple[int, ...] | None


@dataclass(frozen=True, eq=False, kw_only=True)
class PhysicalNode:
    """Base. ``inputs`` in order; ``view``: the name of the view whose rows the node yields, if any."""

    schema: Schema
    inputs: tuple[PhysicalNode, ...] = ()
    mode: ChangelogMode = ChangelogMode.INSERT_ONLY
    upsert_key: Key = None
    views: tuple[str, ...] = ()

    name = "?"

    def fields(self) -> list[tuple[str, str]]:
        """The pairs EXPLAIN prints in parentheses."""
        return []

    def with_inputs(self, inputs: Sequence[PhysicalNode]) -> PhysicalNode:
        return replace(self, inputs=tuple(inputs))

    @property
    def updating(self) -> bool:
        return self.mode is not ChangelogMode.INSERT_ONLY


@dataclass(frozen=True, eq=False, kw_only=True)
class TableSourceScan(PhysicalNode):
    """Reads a table. ``metadata``: pairs of column name and key, after the physical columns."""

    table: TableDefinition
    options: TableOptions
    metadata: tuple[tuple[str, str], ...] = ()
    overrides: tuple[tuple[str, str], ...] = ()

    name = "TableSourceScan"

    def fields(self) -> list[tuple[str, str]]:
        path = self.table.path
        pairs = [
            ("table", f"[{path.catalog}, {path.database}, {path.name}]"),
            ("fields", ", ".join(self.schema.names)),
        ]
        if self.metadata:
            pairs.append(("metadata", ", ".join(key for _, key in self.metadata)))
        if self.overrides:
            pairs.append(
                ("hints", "[[OPTIONS options:{" + ", ".join(f"{k}={v}" for k, v in self.overrides) + "}]]")
            )
        return pairs


@dataclass(frozen=True, eq=False, kw_only=True)
class Values(PhysicalNode):
    """Constant rows."""

    rows: tuple[tuple[Expr, ...], ...]

    name = "Values"

    def fields(self) -> list[tuple[str, str]]:
        return [("tuples", ", ".join("{ " + ", ".join(e.text() for e in row) + " }" for row in self.rows))]


@dataclass(frozen=True, eq=False, kw_only=True)
class Calc(PhysicalNode):
    """Projection, and a filter evaluated first."""

    exprs: tuple[Expr, ...]
    condition: Expr | None = None

    name = "Calc"

    def fields(self) -> list[tuple[str, str]]:
        def item(name: str, e: Expr) -> str:
            return name if e.text() == name else f"{e.text()} AS {name}"

        pairs = [
            ("select", ", ".join(item(n, e) for n, e in zip(self.schema.names, self.exprs, strict=True)))
        ]
        if self.condition is not None:
            pairs.append(("where", self.condition.text()))
        return pairs


@dataclass(frozen=True, eq=False, kw_only=True)
class WatermarkAssigner(PhysicalNode):
    """Makes ``column`` the rowtime attribute; the watermark is computed per source split."""

    column: int
    expression: Expr

    name = "WatermarkAssigner"

    def fields(self) -> list[tuple[str, str]]:
        return [("rowtime", self.schema[self.column].name), ("watermark", self.expression.text())]


@dataclass(frozen=True, eq=False, kw_only=True)
class ChangelogNormalize(PhysicalNode):
    """Turns upserts by key into full retractions, by state."""

    key: tuple[int, ...]

    name = "ChangelogNormalize"

    def fields(self) -> list[tuple[str, str]]:
        return [("key", ", ".join(self.schema[i].name for i in self.key))]


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowTableFunction(PhysicalNode):
    """Appends window columns, one row a window. A session window needs state; the others are a projection."""

    window: WindowSpec

    name = "WindowTableFunction"

    def fields(self) -> list[tuple[str, str]]:
        return [("window", self.window.text(self.inputs[0].schema.names))]


@dataclass(frozen=True, eq=False, kw_only=True)
class Correlate(PhysicalNode):
    """Each row once per element of a collection (UNNEST)."""

    unnest: Unnest

    name = "Correlate"

    def fields(self) -> list[tuple[str, str]]:
        kind = "LEFT" if self.unnest.outer else "INNER"
        pairs = [
            ("invocation", f"UNNEST({self.unnest.expr.text()})"),
            ("select", ", ".join(self.schema.names)),
            ("joinType", kind),
        ]
        if self.unnest.ordinality:
            pairs.append(("ordinality", "true"))
        return pairs


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupAggregate(PhysicalNode):
    """GROUP BY without windows. ``window_end``: which of the keys is the end of a window of ``clock``, and so
    frees the state."""

    keys: tuple[int, ...]
    calls: tuple[AggregateCall, ...]
    window_end: int | None = None
    clock: WindowClock = field(default_factory=WindowClock)

    name = "GroupAggregate"

    def fields(self) -> list[tuple[str, str]]:
        pairs = (
            [("groupBy", ", ".join(self.inputs[0].schema[k].name for k in self.keys))] if self.keys else []
        )
        pairs.append(("select", _agg_text(self.schema, self.inputs[0].schema, self.keys, self.calls)))
        if self.window_end is not None:
            pairs.append(("emit", "early"))
        return pairs


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowAggregate(PhysicalNode):
    """GROUP BY a window and ``keys``.

    Either ``window`` assigns the windows from a time column, or ``attached`` = (window_start, window_end)
    columns of the input hold them, completed by ``clock``. ``bounds``: per output column ``start``,
    ``end``, ``time``, or None for the next of keys and calls.
    """

    keys: tuple[int, ...]
    calls: tuple[AggregateCall, ...]
    bounds: tuple[str | None, ...]
    window: WindowSpec | None = None
    attached: tuple[int, int] | None = None
    clock: WindowClock = field(default_factory=WindowClock)

    name = "WindowAggregate"

    def fields(self) -> list[tuple[str, str]]:
        names = self.inputs[0].schema.names
        pairs = [("groupBy", ", ".join(names[k] for k in self.keys))] if self.keys else []
        if self.window is not None:
            pairs.append(("window", self.window.text(names)))
        elif self.attached is not None:
            pairs.append(
                ("window", f"win_start=[{names[self.attached[0]]}], win_end=[{names[self.attached[1]]}]")
            )
        values = [f.name for f, bound in zip(self.schema, self.bounds, strict=True) if bound is None]
        items = [names[k] for k in self.keys]
        items += [f"{c.text()} AS {n}" for c, n in zip(self.calls, values[len(self.keys) :], strict=True)]
        items += [f.name for f, bound in zip(self.schema, self.bounds, strict=True) if bound is not None]
        pairs.append(("select", ", ".join(items)))
        return pairs


@dataclass(frozen=True, eq=False, kw_only=True)
class Union(PhysicalNode):
    """UNION ALL."""

    name = "Union"

    def fields(self) -> list[tuple[str, str]]:
        return [("all", "true"), ("union", ", ".join(self.schema.names))]


@dataclass(frozen=True, eq=False, kw_only=True)
class Sink(PhysicalNode):
    """Writes a table."""

    table: TableDefinition
    options: TableOptions
    primary_key: Key = None

    name = "Sink"

    def fields(self) -> list[tuple[str, str]]:
        path = self.table.path
        pairs = [
            ("table", f"[{path.catalog}.{path.database}.{path.name}]"),
            ("fields", ", ".join(self.schema.names)),
        ]
        if self.primary_key is not None:
            pairs.append(("upsertKey", ", ".join(self.schema[i].name for i in self.primary_key)))
        return pairs


@dataclass(frozen=True, eq=False, kw_only=True)
class Collect(PhysicalNode):
    """Hands the changelog to the client."""

    name = "Sink"

    def fields(self) -> list[tuple[str, str]]:
        return [("table", "[*anonymous_collect*]"), ("fields", ", ".join(self.schema.names))]


@dataclass(frozen=True)
class PhysicalPlan:
    """The roots (sinks) of one job. ``stages``: the plan's text after each rule, for EXPLAIN VERBOSE."""

    roots: tuple[PhysicalNode, ...]
    stages: tuple[tuple[str, str], ...] = field(default=())

    def nodes(self) -> list[PhysicalNode]:
        """Every node once, inputs before consumers."""
        seen: dict[int, PhysicalNode] = {}

        def visit(node: PhysicalNode) -> None:
            if id(node) not in seen:
                for i in node.inputs:
                    visit(i)
                seen[id(node)] = node

        for root in self.roots:
            visit(root)
        return list(seen.values())


def _agg_text(output: Schema, source: Schema, keys: Sequence[int], calls: Sequence[AggregateCall]) -> str:
    items = [source[k].name for k in keys]
    items += [f"{c.text()} AS {f.name}" for c, f in zip(calls, output.fields[len(keys) :], strict=True)]
    return ", ".join(items)
