"""The ``blackhole`` connector: takes every change and keeps none."""

from __future__ import annotations

from streamsql.changelog import ChangelogBatch

from .base import Sink, SinkContext


class BlackholeSink(Sink):
    """Drops what it is given, and counts it."""

    def __init__(self) -> None:
        self.rows = 0

    def start(self) -> None:
        """Nothing to open."""

    def write(self, batch: ChangelogBatch) -> None:
        self.rows += batch.num_rows

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self, *, finished: bool) -> None:
        """Nothing is open."""


def create_sink(context: SinkContext) -> Sink:
    return BlackholeSink()
