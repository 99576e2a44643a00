"""At-least-once without checkpoints: a source's positions are committed only after the sinks have settled.

At most once a second the step waits until every sink has its acknowledgements, then the positions read so
far are committed. A crash in between reads rows again; it never loses one. Where a sink does not settle in
time, the commit waits for the next try.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .source_task import SourceTask

INTERVAL_MS = 1000
SETTLE_TIMEOUT_S = 2.0
"""A sink whose broker is away must not hold the step for long."""


class Settles(Protocol):
    """A sink, or a log of unreadable records."""

    def settle(self, timeout_s: float) -> bool: ...


class Committer:
    """Commits for one job; called between steps."""

    def __init__(self, sources: Sequence[SourceTask], sinks: Sequence[Settles]) -> None:
        self._sources = [s for s in sources if s.source.commits]
        self._sinks = sinks
        self._last_ms: int | None = None
        self._committed: list[dict[str, str]] = [{} for _ in self._sources]

    def step(self, now_ms: int, *, final: bool = False) -> None:
        """Commit if it is time and something was read; ``final``: whatever the time, the sinks being closed."""
        if not self._sources or all(
            s.positions == c for s, c in zip(self._sources, self._committed, strict=True)
        ):
            return
        if not final:
            if self._last_ms is not None and now_ms - self._last_ms < INTERVAL_MS:
                return
            self._last_ms = now_ms
            if not all(sink.settle(SETTLE_TIMEOUT_S) for sink in self._sinks):
                return
        for i, task in enumerate(self._sources):
            self._committed[i] = dict(task.positions)
            task.source.commit(self._committed[i])
