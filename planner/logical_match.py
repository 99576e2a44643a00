"""MATCH_RECOGNIZE in the logical plan, and what its expressions read: rows of a match by variable and offset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from streamsql.datatypes import DataType

from . import row_pattern
from .expressions import AggregateCall, Expr, InputRef, SortKey, input_refs, remap, transform, walk
from .logical import LogicalNode

CURRENT = ""
"""Stands for a variable in DEFINE: the row that is being tried. No variable has an empty name."""


@dataclass(frozen=True)
class PatternRef(Expr):
    """Column ``index`` of one row of the match.

    ``variable``: of the rows mapped to it (None: of all rows); ``offset`` counts from the first of them, or, without
    ``first``, back from the last. NULL where there is no such row.
    """

    variable: str | None
    index: int
    name: str
    type: DataType
    first: bool = False
    offset: int = 0

    @property
    def place(self) -> tuple[str | None, bool, int]:
        """Which row is read."""
        return self.variable, self.first, self.offset

    def text(self) -> str:
        column = f"{self.variable}.{self.name}" if self.variable else self.name
        if self.first or self.offset:
            return f"{'FIRST' if self.first else 'LAST'}({column}, {self.offset})"
        return column


@dataclass(frozen=True)
class MatchAggregate(Expr):
    """An aggregate over the rows of the match that are mapped to ``variable`` (None: over all).

    The call's arguments read columns of the input (InputRef).
    """

    variable: str | None
    call: AggregateCall
    type: DataType

    def text(self) -> str:
        if self.variable is None:
            return self.call.text()
        if not self.call.args:
            return f"{self.call.function.name}({self.variable}.*)"
        return self.call.map_inputs(lambda e: transform(e, self._qualified)).text()

    def _qualified(self, expr: Expr) -> Expr:
        return replace(expr, name=f"{self.variable}.{expr.name}") if isinstance(expr, InputRef) else expr


@dataclass(frozen=True)
class AfterMatch:
    """Where the next match may begin: ``PAST LAST ROW``, ``TO NEXT ROW``, ``TO FIRST`` or ``TO LAST`` a variable."""

    kind: str
    variable: str | None = None

    def text(self) -> str:
        return f"SKIP {self.kind}" + (f" {self.variable}" if self.variable else "")


@dataclass(frozen=True, eq=False)
class MatchRecognize(LogicalNode):
    """One row a match: the ``partition`` columns, then the ``measures``.

    Rows are ordered by the ``time`` column (by arrival where ``proctime``), then by ``order``, then by arrival. A
    variable without an entry in ``define`` takes every row. ``within_ms``: the longest time from first to last row.
    """

    input: LogicalNode
    partition: tuple[int, ...]
    time: int
    proctime: bool
    order: tuple[SortKey, ...]
    measures: tuple[Expr, ...]
    pattern: row_pattern.Pattern
    after: AfterMatch
    define: tuple[tuple[str, Expr], ...]
    within_ms: int | None = None

    @property
    def inputs(self) -> tuple[LogicalNode, ...]:
        return (self.input,)

    def with_inputs(self, inputs: Sequence[LogicalNode]) -> LogicalNode:
        return replace(self, input=inputs[0])

    def fields(self) -> list[tuple[str, str]]:
        """The pairs EXPLAIN prints."""
        names = self.input.schema.names
        order = [f"{names[self.time]} ASC", *(k.text() for k in self.order)]
        outputs = self.schema.names[len(self.partition) :]
        measures = [f"FINAL({e.text()}) AS {n}" for e, n in zip(self.measures, outputs, strict=True)]
        pairs = [
            ("partitionBy", ", ".join(names[i] for i in self.partition)),
            ("orderBy", ", ".join(order)),
            ("measures", ", ".join(measures)),
            ("rowsPerMatch", "ONE ROW PER MATCH"),
            ("after", self.after.text()),
            ("pattern", row_pattern.text(self.pattern)),
            ("within", "" if self.within_ms is None else f"{self.within_ms} ms"),
            ("define", "{" + ", ".join(f"{v} AS {e.text()}" for v, e in self.define) + "}"),
        ]
        return [(key, value) for key, value in pairs if value]

    def describe(self) -> str:
        return f"Match({', '.join(f'{k}=[{v}]' for k, v in self.fields())})"

    def columns_read(self) -> set[int]:
        """The input columns that anything here reads."""
        exprs = [*self.measures, *(e for _, e in self.define)]
        read = {self.time, *self.partition} | {c for k in self.order for c in input_refs(k.expr)}
        return read.union(*(columns_of(e) for e in exprs))

    def over(self, source: LogicalNode, moved: Mapping[int, int]) -> MatchRecognize:
        """The same over an input whose column ``i`` is now at ``moved[i]``."""

        def move(e: Expr) -> Expr:
            return map_columns(e, lambda i: moved[i])

        return replace(
            self,
            input=source,
            partition=tuple(moved[i] for i in self.partition),
            time=moved[self.time],
            order=tuple(replace(k, expr=remap(k.expr, moved)) for k in self.order),
            measures=tuple(move(e) for e in self.measures),
            define=tuple((v, move(e)) for v, e in self.define),
        )


def columns_of(expr: Expr) -> set[int]:
    """The input columns that an expression over a match reads."""
    found: set[int] = set()
    for e in walk(expr):
        if isinstance(e, PatternRef):
            found.add(e.index)
        elif isinstance(e, MatchAggregate):
            found |= {i for x in e.call.inputs for i in input_refs(x)}
    return found


def map_columns(expr: Expr, move: Callable[[int], int]) -> Expr:
    """The expression with every input column at another place."""

    def moved(e: Expr) -> Expr:
        if isinstance(e, PatternRef):
            return replace(e, index=move(e.index))
        if isinstance(e, MatchAggregate):
            inner = {i for x in e.call.inputs for i in input_refs(x)}
            mapping = {i: move(i) for i in inner}
            return replace(e, call=e.call.map_inputs(lambda x: remap(x, mapping)))
        return e

    return transform(expr, moved)
