"""A job that goes on from a gigabyte of state, and checkpoints of a job beside the size of its state.

``make bench ARGS=tests/bench/test_recovery.py`` prints seconds. Files that were just written are in the page cache: a
cold disk adds the time of reading them. Nothing fails on time. ``$STREAMSQL_BENCH_PART`` below 1 takes less state.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from streamsql.runtime import build_recovery
from streamsql.runtime.connectors.in_process import InProcessTable
from streamsql.runtime.job import Job
from streamsql.session import TableEnvironment

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

PART = float(os.environ.get("STREAMSQL_BENCH_PART", "1"))
GROUPS = int(6_000_000 * PART)
"""About 180 bytes each, with the texts."""
CHUNK = 200_000
SIZES = (int(400_000 * PART), int(4_000_000 * PART))
CHANGED = int(20_000 * PART)
CHECKPOINTS = 15
SCHEMA = pa.schema([("k", pa.int64()), ("name", pa.string()), ("v", pa.float64())])


def rows_of(keys: np.ndarray[Any, np.dtype[np.int64]]) -> pa.Table:
    names = pa.array(np.char.add("the name of ", keys.astype(str)))
    return pa.table([pa.array(keys), names, pa.array(keys * 0.5)], schema=SCHEMA)


@contextmanager
def session(
    directory: Path, interval: str, *, resume: bool = False
) -> Generator[tuple[TableEnvironment, InProcessTable], None, None]:
    """A session with a table of rows and a sink."""
    with TableEnvironment() as env:
        env.keep_job_names(resume=resume)
        env.execute_sql(f"SET 'execution.checkpointing.interval' = '{interval}'")
        env.execute_sql(f"SET 'execution.checkpointing.dir' = '{directory}'")
        table = env.create_in_process_table("t", SCHEMA)
        env.execute_sql(
            "CREATE TABLE sums (k BIGINT PRIMARY KEY NOT ENFORCED, n BIGINT, s DOUBLE, last STRING) "
            "WITH ('connector' = 'blackhole')"
        )
        yield env, table


def started(env: TableEnvironment) -> Job:
    job = env.execute_sql("INSERT INTO sums SELECT k, COUNT(*), SUM(v), MAX(name) FROM t GROUP BY k").job
    assert job is not None
    return job


def fill(job: Job, table: InProcessTable, groups: int) -> None:
    """One row of each group."""
    for start in range(0, groups, CHUNK):
        table.append(rows_of(np.arange(start, min(start + CHUNK, groups))))
    wait_until(lambda: job.metrics().records_in == groups)


def wait_until(done: Callable[[], bool], timeout_s: float = 600) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def wait_for_checkpoint(job: Job, number: int) -> None:
    wait_until(lambda: (job.metrics().checkpoint or 0) >= number)


def test_recovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with session(tmp_path, "1 h") as (env, table):
        job = started(env)
        fill(job, table, GROUPS)
        state = job.metrics().total("stateBytes")
        began = time.perf_counter()
        job.stop()
        written = time.perf_counter() - began
    took: dict[str, float] = {}

    def timed(name: str) -> None:
        inner = getattr(build_recovery, name)

        def run(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return inner(*args, **kwargs)
            finally:
                took[name] = time.perf_counter() - began

        monkeypatch.setattr(build_recovery, name, run)

    timed("recover")
    timed("restore")
    monkeypatch.setattr("streamsql.runtime.build.restore", build_recovery.restore)
    with session(tmp_path, "1 h", resume=True) as (env, table):
        began = time.perf_counter()
        job = started(env)
        whole = time.perf_counter() - began
        assert job.notes and job.metrics().total("stateRows") == GROUPS
        assert job.metrics().total("stateBytes") >= state * 0.5
    size = sum(p.stat().st_size for p in tmp_path.rglob("*.pack"))
    with capsys.disabled():
        print(
            f"\n{state / 1e9:.2f} GB of state in {GROUPS:,} groups: written in {written:.2f} s as {size / 1e9:.2f} GB; "
            f"a job goes on after {whole:.2f} s: found, checked and loaded in {took['recover']:.2f} s, "
            f"restored in {took['restore']:.2f} s"
        )


def test_checkpoints_beside_the_size_of_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same number of changes between two checkpoints, of a state and of one ten times as large."""
    random = np.random.default_rng(3)
    middle = []
    for size in SIZES:
        with session(tmp_path / str(size), "300 ms") as (env, table):
            job = started(env)
            fill(job, table, size)
            times = []
            for _ in range(CHECKPOINTS):
                time.sleep(0.4)
                number = job.metrics().checkpoint or 0
                table.append(rows_of(np.unique(random.integers(0, size, CHANGED))))
                wait_for_checkpoint(job, number + 1)
                times.append(job.metrics().checkpoint_ms or 0)
            state = job.metrics().total("stateBytes")
            job.stop()
        middle.append(statistics.median(times))
        with capsys.disabled():
            print(
                f"\n{state / 1e6:8,.0f} MB of state, {CHANGED:,} changes between two checkpoints: "
                f"{middle[-1]:.0f} ms, at worst {max(times)} ms"
            )
    with capsys.disabled():
        print(f"ten times the state: {middle[1] / middle[0]:.2f} times as long")
