"""Joins of two inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..expressions import Expr, InputRef, transform
from ..join_conditions import unique_names
from ..join_kinds import IntervalBounds
from ..state_ttl import ttl_text
from ..windows import WindowMatch
from .base import PhysicalNode

JOIN_TYPES = {
    "INNER": "InnerJoin",
    "LEFT": "LeftOuterJoin",
    "RIGHT": "RightOuterJoin",
    "FULL": "FullOuterJoin",
    "SEMI": "LeftSemiJoin",
    "ANTI": "LeftAntiJoin",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class JoinNode(PhysicalNode):
    """What joins have in common.

    ``left_keys`` and ``right_keys`` are columns of the inputs that must be equal, pair by pair; ``null_safe``: NULL
    equals NULL there. ``residual``: what else must hold, over the columns of both. ``where``: the whole condition.
    """

    kind: str
    left_keys: tuple[int, ...]
    right_keys: tuple[int, ...]
    null_safe: tuple[bool, ...]
    residual: Expr | None
    where: Expr | None
    hints: str = ""

    @property
    def one_sided(self) -> bool:
        """Whether only left columns come out."""
        return self.kind in ("SEMI", "ANTI")

    def joined_names(self) -> list[str]:
        """The columns of both inputs, repeated names numbered."""
        return unique_names([n for i in self.inputs for n in i.schema.names])

    def fields(self) -> list[tuple[str, str]]:
        names = self.joined_names()
        shown = names[: len(self.inputs[0].schema)] if self.one_sided else names
        where = "true" if self.where is None else shown_with(self.where, names)
        pairs = [("joinType", JOIN_TYPES[self.kind]), ("where", where), ("select", ", ".join(shown))]
        return [*pairs, ("joinHints", self.hints)] if self.hints else pairs


@dataclass(frozen=True, eq=False, kw_only=True)
class Join(JoinNode):
    """A join of all rows of both inputs, updated as they change."""

    holds_watermark: bool = False
    """Its rows have times that event time above it must not rely on before the end."""

    name = "Join"

    def fields(self) -> list[tuple[str, str]]:
        left, right = self.inputs
        return [
            *super().fields(),
            ("leftInputSpec", _key_spec(left, self.left_keys)),
            ("rightInputSpec", _key_spec(right, self.right_keys)),
            *([("stateTtlHints", ttl_text(self.ttls))] if self.ttls else []),
        ]


@dataclass(frozen=True, eq=False, kw_only=True)
class IntervalJoin(JoinNode):
    """A join of insert-only inputs whose times are bounded against each other."""

    bounds: IntervalBounds

    name = "IntervalJoin"

    def fields(self) -> list[tuple[str, str]]:
        kind, *others = super().fields()
        b = self.bounds
        bounds = (
            f"isRowTime={'false' if b.proctime else 'true'}, leftLowerBound={b.lower_ms}, "
            f"leftUpperBound={b.upper_ms}, leftTimeIndex={b.left_time}, rightTimeIndex={b.right_time}"
        )
        return [kind, ("windowBounds", bounds), *others]


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowJoin(JoinNode):
    """A join of the rows of equal windows, when these end. ``match``: the columns that hold the windows."""

    match: WindowMatch

    name = "WindowJoin"

    def fields(self) -> list[tuple[str, str]]:
        sides = []
        for side, node, (start, end) in zip(
            ("leftWindow", "rightWindow"), self.inputs, (self.match.left, self.match.right), strict=True
        ):
            names = node.schema.names
            sides.append((side, f"win_start=[{names[start]}], win_end=[{names[end]}]"))
        return [*sides, *super().fields()]


@dataclass(frozen=True, eq=False, kw_only=True)
class TemporalJoin(JoinNode):
    """Each left row with the right side as it was at its time, or as it is.

    ``version``: the right column that says since when a row holds; None for what is there when the left row comes.
    ``time``: the left column of the time. ``marked``: a last right column, which does not come out, is TRUE for
    versions that only end the one before. ``lateness_ms``: how long after its time a row below may still change.
    """

    time: int | None
    version: int | None
    marked: bool = False
    lateness_ms: int = 0

    name = "TemporalJoin"

    def joined_names(self) -> list[str]:
        return super().joined_names()[: len(self.schema)]

    def fields(self) -> list[tuple[str, str]]:
        time = "PROCTIME()" if self.time is None else self.inputs[0].schema[self.time].name
        pairs = [*super().fields(), ("asOf", time)]
        if self.version is not None:
            pairs.append(("versionedBy", self.inputs[1].schema[self.version].name))
        return pairs

    def needs_before(self, child: PhysicalNode, wanted: bool) -> bool:
        """A history is read as it is written: a deletion there has a time of its own."""
        return self.version is None or child is not self.inputs[1]

    def settled(self, before: bool) -> PhysicalNode:
        return replace(self, mode=self.inputs[0].mode)


def shown_with(expr: Expr, names: Sequence[str]) -> str:
    """The text of an expression over columns of these names."""

    def renamed(e: Expr) -> Expr:
        return replace(e, name=names[e.index]) if isinstance(e, InputRef) else e

    return transform(expr, renamed).text()


def _key_spec(node: PhysicalNode, keys: Sequence[int]) -> str:
    """Flink's words for what the join keys say about a row."""
    if node.upsert_key is None:
        return "NoUniqueKey"
    return "JoinKeyContainsUniqueKey" if set(node.upsert_key) <= set(keys) else "HasUniqueKey"
