"""Session options that shape how a job runs have the effect they promise, or are refused by name."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pyarrow as pa
import pytest

from streamsql import TableEnvironment, UnsupportedError
from streamsql.datatypes import BIGINT
from streamsql.schema import Field, Schema


@pytest.fixture
def env() -> Iterator[TableEnvironment]:
    with TableEnvironment() as made:
        yield made


def test_mini_batch_size_bounds_a_step(env: TableEnvironment) -> None:
    env.from_arrow(pa.table({"v": range(10)}), "t")
    env.execute_sql("SET 'table.exec.mini-batch.size' = '3'")
    result = env.execute_sql("SELECT v FROM t")
    assert len(list(result.collect())) == 10
    assert result.job is not None
    assert result.job.metrics().steps == 4


def test_rows_gather_for_the_latency_that_is_allowed(env: TableEnvironment) -> None:
    table = env.create_in_process_table("t", Schema.of([Field("v", BIGINT())]))
    env.execute_sql("CREATE TABLE nothing (v BIGINT) WITH ('connector'='blackhole')")
    env.execute_sql("SET 'table.exec.mini-batch.allow-latency' = '1 h'")
    job = env.execute_sql("INSERT INTO nothing SELECT v FROM t").job
    assert job is not None
    for v in range(5):
        table.append(pa.table({"v": [v]}))
        time.sleep(0.02)
    assert job.metrics().steps <= 1  # only the first step may have had rows
    begin = time.monotonic()
    job.stop()
    assert time.monotonic() - begin < 30  # stopping does not wait for the rows


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SET 'pipeline.auto-watermark-interval' = '1 s'", "watermarks advance at the end of a step"),
        (
            "CREATE TABLE t (v INT) WITH ('connector'='datagen', 'scan.watermark.emit.strategy'='on-event')",
            "watermarks advance at the end of a step",
        ),
    ],
)
def test_what_would_have_no_effect_is_refused(env: TableEnvironment, statement: str, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        env.execute_sql(statement)
