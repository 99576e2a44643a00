"""Throughput of continuous queries beside batch DuckDB over the same rows, in the same run.

``make bench`` prints one line a query: rows a second of the stream, of DuckDB, and their ratio. Nothing fails on
time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from streamsql import TableEnvironment
from streamsql.runtime.engine import Engine

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

ROWS = 5_000_000
WINDOW = "window_start, window_end"
BUCKET = "make_timestamp(epoch_us(ts) // {size} * {size})"


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    """Keys of two sizes, a value, and 50,000 rows per second of event time."""
    random = np.random.default_rng(7)
    start = 1_700_000_000_000_000
    return pa.table(
        {
            "few": random.integers(0, 10_000, ROWS),
            "many": random.integers(0, 1_000_000, ROWS),
            "v": random.random(ROWS),
            "ts": pa.array(start + np.arange(ROWS) * 20, pa.timestamp("us")),
        }
    )


def windowed(window: str) -> str:
    """COUNT per window and key."""
    return f"SELECT {WINDOW}, few, COUNT(*) AS n FROM TABLE({window}) GROUP BY {WINDOW}, few"


HOPS = f"SELECT {BUCKET.format(size=2_000_000)} AS s, few, unnest(range(5)) AS o FROM t"
CASES = {
    "filter and project": (
        "SELECT few, v * 2 AS w FROM t WHERE v > 0.1",
        "SELECT few, v * 2 AS w FROM t WHERE v > 0.1",
    ),
    "TUMBLE 10 s count by 10 k keys": (
        windowed("TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)"),
        f"SELECT {BUCKET.format(size=10_000_000)} AS s, few, count(*) AS n FROM t GROUP BY ALL",
    ),
    "HOP 10 s / 2 s count by 10 k keys": (
        windowed("HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '10' SECOND)"),
        f"SELECT s + to_seconds(2 * o) AS s, few, count(*) AS n FROM ({HOPS}) GROUP BY ALL",
    ),
    "GROUP BY 1 M keys, COUNT and SUM": (
        "SELECT many, COUNT(*) AS n, SUM(v) AS s FROM t GROUP BY many",
        "SELECT many, count(*) AS n, sum(v) AS s FROM t GROUP BY many",
    ),
}


def streamed(rows: pa.Table, sql: str) -> tuple[float, int]:
    """Seconds from submission to the last change taken, and the number of changes."""
    with TableEnvironment() as env:
        env.from_arrow(rows, "t", watermark="ts AS ts - INTERVAL '1' SECOND")
        started = time.perf_counter()
        result = env.execute_sql(sql)
        changes = 0
        while (batch := result.next_batch(1.0)) is not None or result.running:
            changes += 0 if batch is None else batch.num_rows
        return time.perf_counter() - started, changes


def in_batch(rows: pa.Table, sql: str) -> float:
    """Seconds of DuckDB's answer over the whole table, with the threads that a job gets."""
    connection = duckdb.connect(config={"threads": "2"})
    try:
        connection.register("t", rows)
        started = time.perf_counter()
        connection.sql(sql).to_arrow_table()
        return time.perf_counter() - started
    finally:
        connection.close()


def best(measure: Callable[[], float], times: int = 3) -> float:
    return min(measure() for _ in range(times))


@pytest.mark.parametrize("name", CASES)
def test_throughput(rows: pa.Table, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    sql, reference = CASES[name]
    changes = streamed(rows, sql)[1]
    stream = best(lambda: streamed(rows, sql)[0])
    batch = best(lambda: in_batch(rows, reference))
    assert changes > 0
    with capsys.disabled():
        print(
            f"\n{name:<36} stream {ROWS / stream / 1e6:6.2f} M rows/s   DuckDB {ROWS / batch / 1e6:6.2f} M rows/s"
            f"   ratio {batch / stream:5.2f}   {changes:,} changes"
        )


def test_cost_of_a_step_does_not_grow_with_the_keys_seen(capsys: pytest.CaptureFixture[str]) -> None:
    """Steps of 100,000 rows, each with 100,000 keys never seen before: the last steps cost what the first do."""
    step, steps = 100_000, 40
    with TableEnvironment() as env:
        table = env.create_in_process_table("t", pa.schema([("k", pa.int64()), ("v", pa.int64())]))
        result = env.execute_sql("SELECT k, COUNT(*) AS n, SUM(v) AS s FROM t GROUP BY k")
        seconds = []
        for i in range(steps):
            keys = np.arange(i * step, (i + 1) * step)
            started = time.perf_counter()
            table.append(pa.table({"k": keys, "v": keys}))
            taken = 0
            while taken < step:
                batch = result.next_batch(10.0)
                assert batch is not None
                taken += batch.num_rows
            seconds.append(time.perf_counter() - started)
        result.close()
    quarter = steps // 4
    first, last = np.median(seconds[1 : quarter + 1]), np.median(seconds[-quarter:])
    with capsys.disabled():
        print(
            f"\nGROUP BY, {step:,} new keys a step: first steps {first * 1e3:.0f} ms, "
            f"after {step * steps:,} keys {last * 1e3:.0f} ms, ratio {last / first:.2f}"
        )


def test_fixed_cost_of_a_fragment(capsys: pytest.CaptureFixture[str]) -> None:
    """What a step pays per query whatever its size."""
    engine = Engine(threads=2)
    try:
        schema = pa.schema([("c0", pa.int64())])
        fragment = engine.fragment("SELECT c0 + 1 AS c0 FROM {input}", {"input": schema}, schema, "bench")
        row = pa.record_batch({"c0": [1]})
        fragment.run(input=row)
        times = 300
        started = time.perf_counter()
        for _ in range(times):
            fragment.run(input=row)
        cost = (time.perf_counter() - started) / times
    finally:
        engine.close()
    with capsys.disabled():
        print(f"\none row through one fragment: {cost * 1e3:.2f} ms")
