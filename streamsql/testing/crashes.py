"""Jobs that die at the named moments of their checkpoints and begin again: nothing may be lost or doubled."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from streamsql.changelog import ChangelogBatch
from streamsql.errors import ConnectorError
from streamsql.runtime.checkpoint.points import POINTS
from streamsql.runtime.checkpoint.recovery import CheckpointSetup
from streamsql.schema import Field, Schema
from streamsql.session import TableEnvironment

from .compare import Row as Values
from .compare import rows_of

_ROWS_AT_ONCE = 1 << 30
_names = itertools.count(1)


class CrashError(ConnectorError):
    """The crash of a test; to the job an error from which it begins again."""


class CrashSchedule:
    """Lets every checkpoint of odd number pass and dies in the one after it, each time at the next point.

    ``first``: the point to begin with. ``crashes``: where it has died so far.
    """

    def __init__(self, first: int = 0, points: Sequence[str] = POINTS) -> None:
        self._ahead = [points[(first + i) % len(points)] for i in range(len(points))]
        self._seen = 0
        self._lock = threading.Lock()
        self.crashes: list[str] = []

    def __call__(self, point: str) -> None:
        with self._lock:
            if point == POINTS[0]:
                self._seen += 1
            if self._ahead and self._seen >= 2 and point == self._ahead[0]:
                self._seen = 0
                self.crashes.append(self._ahead.pop(0))
                raise CrashError(f"a crash of the test, {point}")


def crash_at(env: TableEnvironment, schedule: CrashSchedule) -> CrashSchedule:
    """The jobs that the session starts from now on take a checkpoint after every step, and die as scheduled.

    They begin again at once, however often.
    """
    options = {
        "execution.checkpointing.interval": "1 ms",
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": "1000",
        "restart-strategy.fixed-delay.delay": "0 ms",
    }
    for key, value in options.items():
        env.config.set(key, value)

    def every_step(setup: CheckpointSetup) -> CheckpointSetup:
        return replace(setup, options=replace(setup.options, interval_ms=0, waits=True, reach=schedule))

    env.checkpoints = every_step
    return schedule


def rows_despite_crashes(env: TableEnvironment, sql: str, schedule: CrashSchedule) -> list[Values]:
    """The final rows of a query whose job dies as scheduled, as plain values. Raises what the job fails with."""
    name = f"crashed_{next(_names)}"
    types = env.sql_query(sql).schema.types
    table = env.create_in_process_table(name, Schema.of([Field(f"c{i}", t) for i, t in enumerate(types)]))
    crash_at(env, schedule)
    job = env.execute_sql(f"INSERT INTO `{name}` {sql}").job
    assert job is not None
    job.wait()
    changes, _, _ = table.read(0, _ROWS_AT_ONCE)
    return [] if changes is None else _final(changes)


def _final(changes: ChangelogBatch) -> list[Values]:
    """The rows that changes amount to. Raises AssertionError where one is deleted more often than inserted."""
    values = rows_of(pa.Table.from_batches([changes.rows]))
    counts: Counter[Values] = Counter()
    for row, weight in zip(values, changes.weight_array().tolist(), strict=True):
        counts[row] += weight
    wrong = [row for row, count in counts.items() if count < 0]
    assert not wrong, f"deleted more often than inserted: {wrong[:5]}"
    return list(counts.elements())


__all__ = ["CrashError", "CrashSchedule", "crash_at", "rows_despite_crashes"]
