"""A job that counts and sums readings, with checkpoints, for tests of how it begins, fails and ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from streamsql.runtime.connectors.in_process import InProcessTable
from streamsql.runtime.job import Job
from streamsql.session import TableEnvironment

SCHEMA = pa.schema([("k", pa.string()), ("v", pa.int64())])
OUT = pa.schema([("k", pa.string()), ("n", pa.int64()), ("s", pa.int64())])
COUNT = "INSERT INTO sums SELECT k, COUNT(*), SUM(v) FROM readings GROUP BY k"


class Session:
    """A session with a table to feed, one to read, and checkpoints in a folder."""

    def __init__(self, folder: Path, readings: InProcessTable | None = None) -> None:
        self.env = TableEnvironment()
        self.folder = folder
        for key, value in {
            "execution.checkpointing.interval": "20 ms",
            "execution.checkpointing.dir": str(folder / "checkpoints"),
            "execution.checkpointing.savepoint-dir": str(folder / "savepoints"),
            "restart-strategy.exponential-delay.initial-backoff": "1 ms",
            "streamsql.duckdb.threads": "1",
            "pipeline.name": "sums",
        }.items():
            self.env.config.set(key, value)
        self.readings = self.env.create_in_process_table("readings", SCHEMA)
        self.sums = self.env.create_in_process_table("sums", OUT)

    def feed(self, *rows: tuple[str, int]) -> None:
        ks, vs = zip(*rows, strict=True)
        self.readings.append(pa.table({"k": list(ks), "v": list(vs)}, schema=SCHEMA))

    def start(self, sql: str = COUNT) -> Job:
        job = self.env.execute_sql(sql).job
        assert job is not None
        return job

    def final(self) -> list[tuple[str, int, int]]:
        """What the changes in ``sums`` amount to."""
        changes, _, _ = self.sums.read(0, 1 << 30)
        counts: dict[tuple[str, int, int], int] = {}
        if changes is not None:
            rows = zip(*(c.to_pylist() for c in changes.rows.columns), strict=True)
            for row, weight in zip(rows, changes.weight_array().tolist(), strict=True):
                counts[row] = counts.get(row, 0) + weight
        assert all(n in (0, 1) for n in counts.values()), counts
        return sorted(row for row, n in counts.items() if n)


def eventually(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
