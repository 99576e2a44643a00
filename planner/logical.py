"""Logical plan nodes: what a query means, before anyone decides how it runs.

Every node is a frozen dataclass with ``schema`` and ``inputs``. Two nodes with equal :meth:`LogicalNode.digest` compute
the same rows; sub-plan sharing rests on that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

from streamsql.catalog.connectors import TableOptions
from streamsql.catalog.table import TableDefinition
from streamsql.datatypes import TIMESTAMP
from streamsql.errors import Position
from streamsql.schema import PROCTIME, ROWTIME, Field, Schema

from .expressions import AggregateCall, Expr, InputRef, SortKey, input_refs, remap, walk
from .state_ttl import Ttls, ttl_text


@dataclass(frozen=True, eq=False)
class LogicalNode:
    """Base of all nodes. ``schema``: the columns it yields. ``position``: the clause that asked for it, for errors."""

    schema: Schema
    position: Position | None = field(default=None, kw_only=True)

    @property
    def inputs(self) -> tuple[LogicalNode, ...]:
        return ()

    def with_inputs(self, inputs: Sequence[LogicalNode]) -> LogicalNode:
        """The same node over other inputs of the same schema."""
        assert not inputs
        return self

    def describe(self) -> str:
        """One line without the inputs, with everything that distinguishes the node."""
        raise NotImplementedError

    @cached_property
    def _digest(self) -> str:
        inner = ",".join(i._digest for i in self.inputs)
        untold = ",".join(str(i) for f in fields(self) for i in _untold(getattr(self, f.name)))
        return f"{self.describe()}:{self.schema}({untold})[{inner}]"

    def digest(self) -> str:
        """Equal for nodes that compute the same rows."""
        return self._digest


@dataclass(frozen=True, eq=False)
class Scan(LogicalNode):
    """Rows of a table: physical columns, then metadata columns (``metadata``: column name and key)."""

    table: TableDefinition
    options: TableOptions
    metadata: tuple[tuple[str, str], ...] = ()
    overrides: tuple[tuple[str, str], ...] = ()

    def describe(self) -> str:
        hints = "".join(f", hints=[[[OPTIONS options:{{{k}={v}}}]]]" for k, v in self.overrides)
        path = self.table.path
        return f"TableScan(table=[[{path.catalog}, {path.database}, {path.name}]]{hints})"


@dataclass(frozen=True, eq=False)
class Values(LogicalNode):
    """Constant rows."""

    rows: tuple[tuple[Expr, ...], ...]

    def describe(self) -> str:
        rows = ", ".join("{ " + ", ".join(e.text() for e in row) + " }" for row in self.rows)
        return f"Values(tuples=[[{rows}]])"


@dataclass(frozen=True, eq=False)
class _Unary(LogicalNode):
    input: LogicalNode

    @property
    def inputs(self) -> tuple[LogicalNode, ...]:
        return (self.input,)

    def with_inputs(self, inputs: Sequence[LogicalNode]) -> LogicalNode:
        return replace(self, input=inputs[0])


@dataclass(frozen=True, eq=False)
class Watermark(_Unary):
    """Declares column ``column`` a rowtime attribute with the given watermark expression."""

    column: int
    expression: Expr

    def describe(self) -> str:
        return f"WatermarkAssigner(rowtime=[{self.schema[self.column].name}], watermark=[{self.expression.text()}])"


@dataclass(frozen=True, eq=False)
class View(_Unary):
    """Marks the rows of a named view, so that a running job can be asked for it by name."""

    name: str

    def describe(self) -> str:
        return f"View(name=[{self.name}])"


@dataclass(frozen=True, eq=False)
class Filter(_Unary):
    """Rows whose condition is TRUE."""

    condition: Expr

    def describe(self) -> str:
        return f"Filter(condition=[{self.condition.text()}])"


@dataclass(frozen=True, eq=False)
class Project(_Unary):
    """One output column an expression."""

    exprs: tuple[Expr, ...]

    def describe(self) -> str:
        items = ", ".join(f"{f.name}=[{e.text()}]" for f, e in zip(self.schema, self.exprs, strict=True))
        return f"Project({items})"


@dataclass(frozen=True)
class WindowSpec:
    """A window table function: ``TUMBLE``, ``HOP``, ``CUMULATE`` or ``SESSION``; milliseconds; ``[start, end)``.

    ``size_ms`` is the gap of a session. ``step_ms`` is the slide of HOP and the step of CUMULATE.
    ``zone`` is the zone that windows over TIMESTAMP_LTZ are aligned in (``UTC`` for TIMESTAMP).
    """

    kind: str
    time_column: int
    size_ms: int
    step_ms: int = 0
    offset_ms: int = 0
    partition: tuple[int, ...] = ()
    proctime: bool = False
    zone: str = "UTC"

    @property
    def slice_ms(self) -> int:
        """Width of the slices that every window is made of."""
        return self.step_ms if self.kind in ("HOP", "CUMULATE") else self.size_ms

    def text(self, names: Sequence[str]) -> str:
        time = names[self.time_column]
        sizes = [f"size=[{self.size_ms} ms]"] if self.kind != "SESSION" else [f"gap=[{self.size_ms} ms]"]
        if self.kind == "HOP":
            sizes.append(f"slide=[{self.step_ms} ms]")
        if self.kind == "CUMULATE":
            sizes = [f"max_size=[{self.size_ms} ms]", f"step=[{self.step_ms} ms]"]
        if self.offset_ms:
            sizes.append(f"offset=[{self.offset_ms} ms]")
        if self.partition:
            sizes.append("partition keys=[" + ", ".join(names[i] for i in self.partition) + "]")
        return f"{self.kind}(time_col=[{time}], {', '.join(sizes)})"


@dataclass(frozen=True, eq=False)
class WindowTable(_Unary):
    """The input's rows with ``window_start``, ``window_end``, ``window_time`` appended, once per window."""

    window: WindowSpec

    def describe(self) -> str:
        return f"WindowTableFunction(window=[{self.window.text(self.input.schema.names)}], zone=[{self.window.zone}])"


@dataclass(frozen=True, eq=False)
class Aggregate(_Unary):
    """Groups by input columns ``keys``; yields the keys, then one column per call.

    ``calls`` read input columns only. No keys: one row over everything (also over nothing).
    ``distinct``: made from SELECT DISTINCT or UNION.
    """

    keys: tuple[int, ...]
    calls: tuple[AggregateCall, ...]
    ttls: Ttls = ()

    def describe(self) -> str:
        names = self.input.schema.names
        group = ", ".join(names[k] for k in self.keys)
        calls = ", ".join(
            f"{c.text()} AS {f.name}"
            for c, f in zip(self.calls, self.schema.fields[len(self.keys) :], strict=True)
        )
        ttls = f", stateTtlHints=[{ttl_text(self.ttls)}]" if self.ttls else ""
        return f"Aggregate(group=[{group}], select=[{calls}]{ttls})"


@dataclass(frozen=True, eq=False)
class Expand(_Unary):
    """Each row once per grouping set: the columns ``keys`` that are not in the set are NULL, the others stay.

    A last column holds the number of the set, from ``ids``. ``sets``: the columns of ``keys`` that each set keeps.
    """

    keys: tuple[int, ...]
    sets: tuple[tuple[int, ...], ...]
    ids: tuple[int, ...]

    def describe(self) -> str:
        return f"Expand(projects=[{self.projects()}])"

    def projects(self) -> str:
        """The projection of each set as text."""

        def project(kept: tuple[int, ...], number: int) -> str:
            absent = set(self.keys) - set(kept)
            items = [f"null AS {n}" if i in absent else n for i, n in enumerate(self.input.schema.names)]
            return "{" + ", ".join([*items, f"{number} AS {self.schema.names[-1]}"]) + "}"

        return ", ".join(project(kept, n) for kept, n in zip(self.sets, self.ids, strict=True))


@dataclass(frozen=True, eq=False)
class Union(LogicalNode):
    """UNION ALL of inputs with equal column types."""

    parts: tuple[LogicalNode, ...]

    @property
    def inputs(self) -> tuple[LogicalNode, ...]:
        return self.parts

    def with_inputs(self, inputs: Sequence[LogicalNode]) -> LogicalNode:
        return replace(self, parts=tuple(inputs))

    def describe(self) -> str:
        return "Union(all=[true])"


@dataclass(frozen=True, eq=False)
class SetOperation(LogicalNode):
    """INTERSECT or EXCEPT, with or without ALL."""

    kind: str
    all: bool
    left: LogicalNode
    right: LogicalNode

    @property
    def inputs(self) -> tuple[LogicalNode, ...]:
        return (self.left, self.right)

    def with_inputs(self, inputs: Sequence[LogicalNode]) -> LogicalNode:
        return replace(self, left=inputs[0], right=inputs[1])

    def describe(self) -> str:
        return f"{self.kind}(all=[{str(self.all).lower()}])"


@dataclass(frozen=True, eq=False)
class Join(LogicalNode):
    """A join: ``kind`` is INNER, LEFT, RIGHT, FULL, CROSS, SEMI or ANTI; the condition reads left then right columns.

    SEMI and ANTI yield the left rows for which a right row matches, or none does: their columns alone, each row as
    often as it is there. ``null_aware``, of ANTI alone: UNKNOWN counts as a match, as NOT IN has it. A part of the
    condition that two-valued logic is meant for (the WHERE of the sub-query) stands there as ``… IS TRUE``.
    """

    kind: str
    left: LogicalNode
    right: LogicalNode
    condition: Expr | None
    null_aware: bool = False
    hints: str = ""
    ttls: Ttls = ()

    @property
    def inputs(self) -> tuple[LogicalNode, ...]:
        return (self.left, self.right)

    def with_inputs(self, inputs: Sequence[LogicalNode]) -> LogicalNode:
        return replace(self, left=inputs[0], right=inputs[1])

    @property
    def one_sided(self) -> bool:
        """Whether only left columns come out."""
        return self.kind in ("SEMI", "ANTI")

    def columns_read(self) -> set[int]:
        """The columns of both inputs that deciding takes, whoever reads the result."""
        return set() if self.condition is None else input_refs(self.condition)

    def over(
        self, schema: Schema, left: LogicalNode, right: LogicalNode, moved: Mapping[int, int]
    ) -> LogicalNode:
        """The join over narrower inputs, whose columns are where ``moved`` says."""
        condition = None if self.condition is None else remap(self.condition, moved)
        return replace(self, schema=schema, left=left, right=right, condition=condition)

    def describe(self) -> str:
        condition = "true" if self.condition is None else self.condition.text()
        nulls = ", nullAware=[true]" if self.null_aware else ""
        hints = f", joinHints=[{self.hints}]" if self.hints else ""
        ttls = f", stateTtlHints=[{ttl_text(self.ttls)}]" if self.ttls else ""
        return f"Join(joinType=[{self.kind.lower()}], condition=[{condition}]{nulls}{hints}{ttls})"


@dataclass(frozen=True, eq=False)
class Unnest(_Unary):
    """Each row once per element of the collection ``expr``; the element's columns are appended.

    ``outer``: a row without elements stays, with NULLs. ``ordinality``: a last column counts elements from 1.
    """

    expr: Expr
    outer: bool = False
    ordinality: bool = False

    def describe(self) -> str:
        kind = "left" if self.outer else "inner"
        return f"Correlate(unnest=[{self.expr.text()}], joinType=[{kind}], ordinality=[{self.ordinality}])"


@dataclass(frozen=True)
class OverCall:
    """One window function: an aggregate or rank over a partition and order, with its frame as SQL text."""

    call: AggregateCall
    partition: tuple[Expr, ...]
    order: tuple[SortKey, ...]
    frame: str = ""

    @property
    def inputs(self) -> tuple[Expr, ...]:
        """Every scalar expression below: those of the call, the partition, the order."""
        return (*self.call.inputs, *self.partition, *(k.expr for k in self.order))

    def map_inputs(self, fn: Callable[[Expr], Expr]) -> OverCall:
        """The same call with ``fn`` applied to each scalar expression below."""
        order = tuple(replace(k, expr=fn(k.expr)) for k in self.order)
        call = self.call.map_inputs(fn)
        return replace(self, call=call, partition=tuple(fn(e) for e in self.partition), order=order)

    def arrival(self, schema: Schema, column: str) -> str:
        """The last sort key, over the order of arrival, where it matters which of equal rows comes first.

        Of rows with the same time the one that arrives later is the later one, as in Flink's deduplication.
        """
        by_place = self.call.function.name in ("ROW_NUMBER", "NTILE", "LAG", "LEAD")
        ranks = self.call.function.kind == "window"
        if not by_place and (ranks or not self.frame.startswith("ROWS")):
            return ""
        return f"{column} DESC" if self.newest_first(schema) else column

    def newest_first(self, schema: Schema) -> bool:
        """Whether the order is that of a time attribute alone, descending."""
        if len(self.order) != 1 or not isinstance(self.order[0].expr, InputRef):
            return False
        return self.order[0].descending and schema[self.order[0].expr.index].time is not None

    def text(self) -> str:
        partition = ", ".join(e.text() for e in self.partition)
        order = ", ".join(k.text() for k in self.order)
        return f"{self.call.text()} OVER (PARTITION BY {partition} ORDER BY {order} {self.frame})".replace(
            "  ", " "
        )


@dataclass(frozen=True, eq=False)
class Over(_Unary):
    """The input's columns, then one column per window function."""

    calls: tuple[OverCall, ...]

    def describe(self) -> str:
        return "OverAggregate(" + ", ".join(c.text() for c in self.calls) + ")"


@dataclass(frozen=True, eq=False)
class Sort(_Unary):
    """ORDER BY, OFFSET and LIMIT."""

    keys: tuple[SortKey, ...]
    limit: int | None = None
    offset: int = 0

    def describe(self) -> str:
        keys = ", ".join(k.text() for k in self.keys)
        fetch = "unlimited" if self.limit is None else self.limit
        return f"Sort(orderBy=[{keys}], offset=[{self.offset}], fetch=[{fetch}])"


@dataclass(frozen=True, eq=False)
class Sink(_Unary):
    """Writes its input into a table. The input has the sink's persisted columns in order, with their types.

    ``on_conflict``: ERROR, NOTHING or DEDUPLICATE, for rows of one primary key that are there at the same time.
    """

    table: TableDefinition
    options: TableOptions
    overrides: tuple[tuple[str, str], ...] = ()
    on_conflict: str | None = None

    def describe(self) -> str:
        path = self.table.path
        conflict = "" if self.on_conflict is None else f", conflictStrategy=[{self.on_conflict}]"
        names = ", ".join(self.schema.names)
        return f"Sink(table=[{path.catalog}.{path.database}.{path.name}], fields=[{names}]{conflict})"


@dataclass(frozen=True, eq=False)
class Collect(_Unary):
    """Hands its input to the client as a changelog."""

    def describe(self) -> str:
        return f"Sink(table=[*anonymous_collect*], fields=[{', '.join(self.schema.names)}])"


def _untold(value: object) -> Iterator[object]:
    """What a node's field says that its text does not, in order: the positions of the input columns that it reads,
    whose names may repeat after a join, and the options and the order of an aggregate.
    """
    match value:
        case int():
            yield value
        case Expr():
            yield from (e.index for e in walk(value) if isinstance(e, InputRef))
        case AggregateCall():
            yield value.options
            yield [(k.descending, k.nulls_first) for k in value.order_by]
            yield from _untold(value.inputs)
        case SortKey():
            yield from _untold(value.expr)
        case OverCall():
            yield from _untold((value.call, value.partition, value.order))
        case WindowSpec():
            yield from (value.time_column, *value.partition)
        case tuple():
            yield from (i for v in value for i in _untold(v))
        case _:
            return


def window_fields(time: Field, *, proctime: bool = False) -> list[Field]:
    """The three columns a window table function appends. ``window_time`` is a time attribute again.

    ``window_start`` and ``window_end`` are TIMESTAMP(3) NOT NULL, in the session's zone for TIMESTAMP_LTZ.
    """
    bound = TIMESTAMP(3).not_null()
    time_type = replace(time.type, precision=3).not_null()
    return [
        Field("window_start", bound),
        Field("window_end", bound),
        Field("window_time", time_type, PROCTIME if proctime else ROWTIME),
    ]


def rewrite_bottom_up(node: LogicalNode, rule: Callable[[LogicalNode], LogicalNode]) -> LogicalNode:
    """The tree with ``rule(node) -> node`` applied to every node, inputs first."""
    inputs = [rewrite_bottom_up(i, rule) for i in node.inputs]
    if any(a is not b for a, b in zip(inputs, node.inputs, strict=True)):
        node = node.with_inputs(inputs)
    return rule(node)
