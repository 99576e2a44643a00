"""What converts a logical tree: the walk, the memo of shared sub-plans, the dispatch by node type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from streamsql.errors import StreamSqlError, UnsupportedError

from .. import logical as l
from .. import physical as p
from ..emit import EmitStrategy
from ..state_ttl import Ttls

Handler = Callable[[Any, "Converter"], p.PhysicalNode]
"""Makes the physical node of one logical node; inputs by ``converter.convert``."""


@dataclass(frozen=True)
class PhysicalOptions:
    """Session options that choose operators. ``emit``: when window aggregates show what they have.

    ``ends``: whether a scan ends by itself. ``upsert_materialize``: AUTO, NONE or FORCE.
    """

    emit: EmitStrategy = field(default_factory=EmitStrategy)
    time_zone: str = "UTC"
    ends: Callable[[l.Scan], bool] = lambda scan: False
    upsert_materialize: str = "AUTO"

    def is_bounded(self, node: l.LogicalNode) -> bool:
        """Whether all that ``node`` reads ends."""
        if isinstance(node, l.Scan):
            return self.ends(node)
        return all(self.is_bounded(i) for i in node.inputs)


class Converter:
    """Converts the nodes of one job. ``memo``: physical node by the digest of its logical one."""

    def __init__(
        self,
        handlers: Mapping[type[l.LogicalNode], Handler],
        options: PhysicalOptions,
        memo: dict[str, p.PhysicalNode],
    ) -> None:
        self.options = options
        self._handlers = handlers
        self._memo = memo

    def convert(self, node: l.LogicalNode) -> p.PhysicalNode:
        """The physical node; equal sub-plans become one. Raises UnsupportedError for what cannot run yet."""
        digest = node.digest()
        if isinstance(node, l.Sink | l.Collect):
            digest += f"#{len(self._memo)}"  # two equal INSERTs write twice
        if digest not in self._memo:
            handler = self._handlers.get(type(node))
            if handler is None:
                raise UnsupportedError(
                    f"{type(node).__name__} is not supported in a streaming query",
                    hint="batch mode can, over tables that end: SET 'execution.runtime-mode' = 'BATCH'",
                    position=node.position,
                )
            try:
                self._memo[digest] = handler(node, self)
            except StreamSqlError as e:
                e.position = e.position or node.position
                raise
        return self._memo[digest]

    def once(self, key: str, make: Callable[[], p.PhysicalNode]) -> p.PhysicalNode:
        """The node of that key, made when it is first asked for."""
        if key not in self._memo:
            self._memo[key] = make()
        return self._memo[key]


def refuse_ttl(ttls: Ttls, what: str) -> None:
    """Raises UnsupportedError for a hint about state that has no time to live."""
    if ttls:
        raise UnsupportedError(f"the hint STATE_TTL has no effect here: {what}", hint="leave the hint out")
