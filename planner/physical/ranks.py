"""Ranks and order: LIMIT, ORDER BY, Top-N, deduplication, and Top-N within windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamsql.changelog import ChangelogMode
from streamsql.schema import Schema

from ..windows import WindowClock
from .base import PhysicalNode


@dataclass(frozen=True)
class OrderKey:
    """One column of an order. ``nulls_first`` as it is, stated or not."""

    column: int
    descending: bool
    nulls_first: bool

    def text(self, schema: Schema) -> str:
        """As EXPLAIN shows it: the place of NULLs only where it is not that of Flink, NULLs lowest."""
        text = f"{schema[self.column].name} {'DESC' if self.descending else 'ASC'}"
        if self.nulls_first == self.descending:
            text += f" NULLS {'FIRST' if self.nulls_first else 'LAST'}"
        return text


Order = tuple[OrderKey, ...]


def order_text(order: Order, schema: Schema) -> str:
    """``a ASC, b DESC``."""
    return ", ".join(k.text(schema) for k in order)


def _names(columns: Sequence[int], schema: Schema) -> str:
    return ", ".join(schema[i].name for i in columns)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Ranked(PhysicalNode):
    """A node that passes rows on and takes some of them back when the input is updated or ranks shift."""

    @property
    def strategy(self) -> str:
        """Flink's name of how the rank follows its input."""
        return "RetractStrategy" if self.inputs[0].updating else "AppendFastStrategy"

    def settled(self, before: bool) -> PhysicalNode:
        """Deletions of rows that an insertion of the same key replaces are left out where nobody needs them."""
        if self.upsert_key is None or before:
            return replace(self, mode=ChangelogMode.RETRACT)
        return replace(self, mode=ChangelogMode.UPSERT)


@dataclass(frozen=True, eq=False, kw_only=True)
class Limit(_Ranked):
    """The first rows by arrival, after ``offset`` of them. Insert-only over insert-only rows."""

    offset: int
    fetch: int | None

    name = "Limit"

    def fields(self) -> list[tuple[str, str]]:
        return [
            ("offset", str(self.offset)),
            ("fetch", "unlimited" if self.fetch is None else str(self.fetch)),
        ]

    @property
    def limited(self) -> bool:
        return self.fetch is not None and not self.inputs[0].updating

    def settled(self, before: bool) -> PhysicalNode:
        if not self.inputs[0].updating:
            return replace(self, mode=ChangelogMode.INSERT_ONLY)
        return super().settled(before)


@dataclass(frozen=True, eq=False, kw_only=True)
class Sort(PhysicalNode):
    """All rows of an input that ends, in order, once it has ended."""

    order: Order

    name = "Sort"

    def fields(self) -> list[tuple[str, str]]:
        return [("orderBy", order_text(self.order, self.schema))]


@dataclass(frozen=True, eq=False, kw_only=True)
class TemporalSort(PhysicalNode):
    """Rows ordered by a time attribute, then by others, as the watermark passes them."""

    order: Order
    proctime: bool

    name = "TemporalSort"

    def fields(self) -> list[tuple[str, str]]:
        return [("orderBy", order_text(self.order, self.schema))]


@dataclass(frozen=True, eq=False, kw_only=True)
class SortLimit(_Ranked):
    """ORDER BY with LIMIT: the rows of rank ``offset`` + 1 to ``offset`` + ``fetch``, as they are by now."""

    order: Order
    offset: int
    fetch: int | None

    name = "SortLimit"

    def fields(self) -> list[tuple[str, str]]:
        return [
            ("orderBy", order_text(self.order, self.schema)),
            ("offset", str(self.offset)),
            ("fetch", "unlimited" if self.fetch is None else str(self.fetch)),
            ("strategy", self.strategy),
        ]


@dataclass(frozen=True)
class RankRange:
    """Ranks from ``start`` to ``end``, both included; ``end`` None: all from there."""

    start: int
    end: int | None

    def text(self) -> str:
        return f"rankStart={self.start}, rankEnd={'unbounded' if self.end is None else self.end}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Rank(_Ranked):
    """Top-N: the rows of each partition whose rank lies in a range. ``with_rank``: the rank is the last column."""

    function: str
    range: RankRange
    partition: tuple[int, ...]
    order: Order
    with_rank: bool

    name = "Rank"

    def fields(self) -> list[tuple[str, str]]:
        source = self.inputs[0].schema
        pairs = [
            ("strategy", self.strategy),
            ("rankType", self.function),
            ("rankRange", self.range.text()),
            ("partitionBy", _names(self.partition, source)),
            ("orderBy", order_text(self.order, source)),
            ("select", ", ".join(self.schema.names)),
        ]
        return [p for p in pairs if p[0] != "partitionBy" or self.partition]


@dataclass(frozen=True, eq=False, kw_only=True)
class Deduplicate(_Ranked):
    """One row a key: the first or the last by a time attribute."""

    key: tuple[int, ...]
    time: int
    proctime: bool
    keep_last: bool

    name = "Deduplicate"

    def fields(self) -> list[tuple[str, str]]:
        return [
            ("keep", "LastRow" if self.keep_last else "FirstRow"),
            ("key", _names(self.key, self.schema)),
            ("order", "PROCTIME" if self.proctime else "ROWTIME"),
            ("outputInsertOnly", str(not self.keep_last).lower()),
        ]

    def settled(self, before: bool) -> PhysicalNode:
        if not self.keep_last:
            return replace(self, mode=ChangelogMode.INSERT_ONLY)
        return super().settled(before)

    def short_kinds(self) -> str:
        """A key is never deleted."""
        return str(self.mode).removesuffix(",D")


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowRank(PhysicalNode):
    """Top-N of each window and partition, once, when the window is complete. ``end``: the column of its end."""

    function: str
    range: RankRange
    partition: tuple[int, ...]
    order: Order
    with_rank: bool
    start: int
    end: int
    clock: WindowClock

    name = "WindowRank"

    def _window(self) -> str:
        names = self.inputs[0].schema.names
        return f"win_start=[{names[self.start]}], win_end=[{names[self.end]}]"

    def fields(self) -> list[tuple[str, str]]:
        source = self.inputs[0].schema
        keys = [i for i in self.partition if i not in (self.start, self.end)]
        pairs = [
            ("window", self._window()),
            ("rankType", self.function),
            ("rankRange", self.range.text()),
            ("partitionBy", _names(keys, source)),
            ("orderBy", order_text(self.order, source)),
            ("select", ", ".join(self.schema.names)),
        ]
        return [p for p in pairs if p[0] != "partitionBy" or keys]


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowDeduplicate(WindowRank):
    """The first or last row by time of each window and partition."""

    name = "WindowDeduplicate"

    def fields(self) -> list[tuple[str, str]]:
        source = self.inputs[0].schema
        keys = [i for i in self.partition if i not in (self.start, self.end)]
        (key,) = self.order
        return [
            ("window", self._window()),
            ("keep", "LastRow" if key.descending else "FirstRow"),
            ("partitionKeys", _names(keys, source)),
            ("orderKey", source[key.column].name),
            ("order", "ROWTIME"),
        ]
