"""What every physical node declares, and the plan they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from streamsql.changelog import ChangelogMode
from streamsql.schema import Schema

from ..state_ttl import Ttls

Key = tuple[int, ...] | None


@dataclass(frozen=True, eq=False, kw_only=True)
class PhysicalNode:
    """Base. ``inputs`` in order; ``views``: names of the views whose rows the node yields.

    ``mode``: the changelog its output carries. ``upsert_key``: columns that identify a row among those alive.
    ``ttls``: how long what its inputs leave in the state is kept without being written, where a hint says it.
    """

    schema: Schema
    inputs: tuple[PhysicalNode, ...] = ()
    mode: ChangelogMode = ChangelogMode.INSERT_ONLY
    upsert_key: Key = None
    views: tuple[str, ...] = ()
    ttls: Ttls = ()

    name = "?"

    def fields(self) -> list[tuple[str, str]]:
        """The pairs EXPLAIN prints in parentheses."""
        return []

    def with_inputs(self, inputs: Sequence[PhysicalNode]) -> PhysicalNode:
        return replace(self, inputs=tuple(inputs))

    @property
    def updating(self) -> bool:
        return self.mode is not ChangelogMode.INSERT_ONLY

    @property
    def limited(self) -> bool:
        """Whether the node wants so many rows and no more: then it ends, also over inputs that do not."""
        return bool(self.inputs) and all(i.limited for i in self.inputs)

    def needs_before(self, child: PhysicalNode, wanted: bool) -> bool:
        """Whether the node needs −U (or full deletions) from an updating input; ``wanted``: its consumers do."""
        return True

    def settled(self, before: bool) -> PhysicalNode:
        """The node with its final mode, once its inputs have theirs. ``before``: a consumer needs −U."""
        return self

    def short_kinds(self) -> str:
        """Flink's notation of what the output carries: ``I``, ``I,UA,D``, ``I,UB,UA,D``; NONE for a sink."""
        return str(self.mode)


class PassingMode(PhysicalNode):
    """A node whose output carries what its only input carries."""

    def settled(self, before: bool) -> PhysicalNode:
        return replace(self, mode=self.inputs[0].mode)


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
