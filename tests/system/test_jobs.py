"""Jobs of a session: what DESCRIBE JOB tells of them, and that none is left behind."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from streamsql import TableEnvironment, jobs
from streamsql.errors import StreamSqlError
from streamsql.runtime.build import build
from streamsql.runtime.job import Job

NUMBERS = """CREATE TABLE numbers (v BIGINT) WITH ('connector'='datagen', 'rows-per-second'='10')"""


@pytest.fixture
def env() -> Iterator[TableEnvironment]:
    with TableEnvironment() as made:
        yield made


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT interrupts, also where the tests run in the background of a shell that has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_query_interrupted_while_it_is_built_leaves_no_job(
    env: TableEnvironment, monkeypatch: pytest.MonkeyPatch, ctrl_c: None
) -> None:
    def interrupted(*arguments: Any) -> Any:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return build(*arguments)

    env.execute_sql(NUMBERS)
    monkeypatch.setattr(jobs, "build", interrupted)
    with pytest.raises(KeyboardInterrupt):
        env.execute_sql("SELECT v FROM numbers")
    assert env.jobs() == []
    assert not [t for t in threading.enumerate() if t.name.startswith("streamsql-job-collect")]


def described(env: TableEnvironment, job: str) -> dict[str, Any]:
    """The row of DESCRIBE JOB by column name."""
    (row,) = env.execute_sql(f"DESCRIBE JOB '{job}'").collect()
    return row.as_dict()


def test_describe_job_counts_late_rows(env: TableEnvironment) -> None:
    table = env.create_in_process_table(
        "t", pa.schema([("ts", pa.timestamp("ms"))]), watermark="ts AS ts - INTERVAL '1' SECOND"
    )
    env.execute_sql("CREATE TABLE nothing (n BIGINT) WITH ('connector'='blackhole')")
    job = env.execute_sql(
        "INSERT INTO nothing SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) "
        "GROUP BY window_start, window_end"
    ).job
    assert job is not None
    assert described(env, job.id)["watermark"] is None
    for sent, second in enumerate((0, 50, 3), 1):  # the last one's window has closed
        table.append(pa.table({"ts": pa.array([second * 1000], pa.timestamp("ms"))}))
        wait_for(partial(has_read, job, sent))
    wait_for(lambda: described(env, job.id)["late records dropped"] == 1)
    row = described(env, job.name)
    assert (row["status"], row["watermark"]) == ("RUNNING", "1970-01-01T00:00:49.000")
    assert (row["records in"], row["records out"], row["bad records"], row["message"]) == (3, 1, 0, None)


def test_describe_job_counts_unreadable_records(env: TableEnvironment, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"v": 1}\n{bad\n{"v": 2}\n{"v": "x"}\n')
    env.execute_sql(
        f"CREATE TABLE files (v BIGINT) WITH ('connector'='filesystem', 'path'='{tmp_path}', 'format'='json', "
        "'error-handling.mode'='ignore')"
    )
    result = env.execute_sql("SELECT v FROM files")
    assert [r[0] for r in result.collect()] == [1, 2]
    assert result.job is not None
    assert described(env, result.job.id)["bad records"] == 2


def test_describe_job_says_why_it_failed(env: TableEnvironment) -> None:
    env.from_arrow(pa.table({"v": [1, 0]}), "t")
    env.execute_sql("CREATE TABLE nothing (n BIGINT) WITH ('connector'='blackhole')")
    job = env.execute_sql("INSERT INTO nothing SELECT 10 / v FROM t").job
    assert job is not None
    wait_for(lambda: not job.is_alive())
    row = described(env, job.id)
    assert row["status"] == "FAILED"
    assert row["message"].startswith("Calc(select=[(10 / v) AS n]): division by zero; input row (0)")
    with pytest.raises(StreamSqlError) as failure:
        job.wait()
    assert "NULLIF(divisor, 0)" in str(failure.value)


def test_missing_log_table_is_named_with_its_option(env: TableEnvironment, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"v": 1}\n')
    env.execute_sql(
        f"CREATE TABLE files (v BIGINT) WITH ('connector'='filesystem', 'path'='{tmp_path}', 'format'='json', "
        "'error-handling.mode'='log', 'error-handling.log.target'='nowhere')"
    )
    with pytest.raises(StreamSqlError, match=r"'error-handling\.log\.target' = 'nowhere'"):
        env.execute_sql("SELECT v FROM files").wait()


def has_read(job: Job, rows: int) -> bool:
    """Whether the job has taken so many rows."""
    return job.metrics().records_in == rows


def wait_for(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Return once the condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it has not come to pass"
        time.sleep(0.01)
