"""A session with a table that is added to and two that are written, and jobs that go on from savepoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamsql import TableEnvironment
from streamsql.testing import SinkTable, SourceTable, VirtualClock

SUMS = "INSERT INTO totals SELECT fruit, SUM(kilos), '' FROM orders GROUP BY fruit"
FIRST = [("+I", "apple", 1), ("+I", "pear", 5)]


@dataclass
class Market:
    """A session with a table that is added to, and two that are written."""

    clock: VirtualClock
    env: TableEnvironment
    orders: SourceTable
    totals: SinkTable
    folder: Path

    def set(self, key: str, value: str) -> None:
        self.env.execute_sql(f"SET '{key}' = '{value}'")

    def add(self, *rows: tuple[Any, ...]) -> None:
        self.orders.add(*rows)
        self.clock.advance_time(0)

    def saved(self, statement: str) -> str:
        """The path of a savepoint of a job of that statement, after the first rows."""
        job = self.env.execute_sql(statement).job
        assert job is not None
        self.add(*FIRST)
        path = job.stop_with_savepoint(str(self.folder))
        self.set("execution.state-recovery.path", path)
        return path

    def goes_on(self, statement: str) -> list[str]:
        """What the job of another statement reports, which goes on from there and gets an apple of 2."""
        job = self.env.execute_sql(statement).job
        assert job is not None
        self.add(("+I", "apple", 2))
        job.stop()  # with a last checkpoint, which shows what was written
        assert job.error is None, job.error
        return job.notes

    def rows(self) -> list[tuple[Any, ...]]:
        return sorted(tuple(r) for r in self.totals.rows())
