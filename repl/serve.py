"""``streamsql serve``: takes up the jobs that are stored under a directory of checkpoints, and runs them."""

from __future__ import annotations

import contextlib

from streamsql.errors import ConfigError, StateError, StreamSqlError
from streamsql.job_resumption import take_up
from streamsql.runtime.checkpoint.job_store import StoredJob, stored_jobs
from streamsql.runtime.job import Job
from streamsql.session import TableEnvironment

from .console import Console
from .script import FAILED, OK, wait_for_jobs
from .settings import Settings

_BY_SCRIPT = "run the script or program that started the job, with --resume"


def serve(directory: str | None, options: dict[str, str], console: Console) -> int:
    """Runs the stored jobs until they end or a signal comes; the exit code. One that fails does not stop the others.

    ``options`` win over those that the jobs were started with.
    """
    if directory is None:
        raise ConfigError(
            "serve needs the directory of the checkpoints",
            hint="streamsql serve --dir file:///var/checkpoints",
        )
    try:
        stored = stored_jobs(directory)
    except OSError as e:
        raise ConfigError(f"the jobs under '{directory}' cannot be read: {e}") from None
    waiting = [job for job in stored if job.goes_on]
    code = OK
    for job in stored:
        if job.damage is not None:
            console.error(StateError(job.damage, hint=_BY_SCRIPT))
            code = FAILED
        elif not job.goes_on:
            console.info(f"{job.name}: {job.status.lower()}, is left alone")
    if not waiting:
        console.info(f"no job under '{directory}' is to be taken up")
        return code
    sessions: list[TableEnvironment] = []
    try:
        jobs: list[Job] = []
        for one in waiting:
            env = TableEnvironment()
            sessions.append(env)
            started = _take_up(env, one, directory, options, console)
            if started is None:
                code = FAILED
            else:
                jobs.append(started)
        return wait_for_jobs(jobs, console, Settings(sessions[0].config), together=False) or code
    finally:
        for env in sessions:
            with contextlib.suppress(StreamSqlError):
                env.close()


def _take_up(
    env: TableEnvironment, stored: StoredJob, directory: str, options: dict[str, str], console: Console
) -> Job | None:
    try:
        for key, value in options.items():
            env.config.set(key, value)
        job = take_up(env, stored, directory)
    except StreamSqlError as error:
        error.message = f"{stored.name}: {error.message}"
        console.error(error)
        return None
    console.info(f"{stored.name}: goes on as job {job.id}")
    for line in job.notes:
        console.note(f"  {line}")
    return job
