"""The operators' part of a cut, taken between two steps: references, and copies of what may change."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..operators.sink import Sink
from .snapshot import OperatorSnapshot, Tables

if TYPE_CHECKING:
    from ..graph import Graph
    from ..state.base import State


def changed_state(graph: Graph, *, whole: bool) -> tuple[OperatorSnapshot, ...]:
    """All operators. ``whole``: all of their state; else what changed since the last cut.

    Either way the next changes are those since now.
    """

    def tables(state: State) -> Tables:
        changes = state.changes()
        return state.snapshot() if whole else changes

    return _each(graph, tables)


def whole_state(graph: Graph) -> tuple[OperatorSnapshot, ...]:
    """All operators with all of their state; the next changes are those since the last cut."""
    return _each(graph, lambda state: state.snapshot())


def _each(graph: Graph, tables: Callable[[State], Tables]) -> tuple[OperatorSnapshot, ...]:
    return tuple(
        OperatorSnapshot(
            v.fingerprint,
            v.name,
            v.description,
            v.clocks,
            {name: tables(state) for name, state in v.context.states.items()},
        )
        for v in graph.vertices
        if not isinstance(v.operator, Sink)
    )
