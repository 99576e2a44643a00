"""What SHOW JOBS and DESCRIBE JOB answer."""

from __future__ import annotations

import time
from collections.abc import Sequence

from .config import Configuration
from .datatypes import BIGINT, STRING
from .errors import ConfigError
from .planner.statements import StopJob
from .result import TableResult
from .runtime.job import Job
from .schema import Field, Schema

_IDENTITY = ("job id", "job name", "status", "start time")
_COUNTS = ("lag", "records in", "records out", "late records dropped", "bad records")
_TOTALS = {
    "null times dropped": "numNullTimeDropped",
    "null keys dropped": "numNullKeyDropped",
    "null values dropped": "numNullValueDropped",
    "state rows": "stateRows",
    "state bytes": "stateBytes",
    "state entries expired": "numStateEntriesExpired",
}
"""Columns of DESCRIBE JOB that are sums over the operators."""


def show_jobs(jobs: Sequence[Job]) -> TableResult:
    """One row a job, with Flink's columns."""
    return TableResult(_texts(_IDENTITY), rows=[_identity(job) for job in jobs])


def describe_job(job: Job) -> TableResult:
    """Flink's columns, then how far the job is, what it left out, and why it failed or what it waits for.

    ``watermark`` is in UTC, NULL before the first; ``lag`` is NULL where it is not known. ``last failure`` is kept also
    where the job has begun again since; ``message`` is about now.
    """
    schema = Schema(
        (
            *_texts((*_IDENTITY, "watermark")).fields,
            *(Field(name, BIGINT()) for name in (*_COUNTS, *_TOTALS)),
            Field("last checkpoint", BIGINT()),
            Field("checkpoint ms", BIGINT()),
            Field("restarts", BIGINT()),
            *_texts(("last failure time", "last failure", "message")).fields,
        )
    )
    m = job.metrics()
    watermark = None if m.watermark_ms is None else _time_text(m.watermark_ms)
    counts = [m.lag, m.records_in, m.records_out, m.late_records_dropped, m.bad_records]
    counts += [m.total(counter) for counter in _TOTALS.values()]
    checkpoints = [m.checkpoint, m.checkpoint_ms, m.restarts]
    message = job.error.message if job.error is not None else "; ".join(dict.fromkeys(m.status_lines)) or None
    failure = job.last_failure
    failed = [None, None] if failure is None else [_time_text(failure.at_ms), failure.error.message]
    return TableResult(schema, rows=[[*_identity(job), watermark, *counts, *checkpoints, *failed, message]])


def stop_job(job: Job, statement: StopJob, config: Configuration) -> TableResult:
    """STOP JOB: OK, or with a savepoint its path. Raises StateError where the savepoint cannot be written."""
    if not statement.savepoint:
        job.stop(drain=statement.drain)
        return TableResult(_texts(("result",)), rows=[["OK"]], message="OK")
    directory = config.get("execution.checkpointing.savepoint-dir")
    if directory is None:
        raise ConfigError(
            "STOP JOB … WITH SAVEPOINT needs a directory",
            hint="SET 'execution.checkpointing.savepoint-dir' = 'file:///…'",
        )
    path = job.stop_with_savepoint(directory, drain=statement.drain)
    return TableResult(_texts(("savepoint path",)), rows=[[path]])


def _identity(job: Job) -> list[str]:
    return [job.id, job.name, job.status, _time_text(job.started_ms)]


def _texts(names: Sequence[str]) -> Schema:
    return Schema.of([Field(name, STRING()) for name in names])


def _time_text(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms / 1000)) + f".{ms % 1000:03d}"
