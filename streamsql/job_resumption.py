"""Noting how the jobs of a session stand, and making a stored job again in a fresh session."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .definitions import HIDDEN, trouble
from .errors import ConfigError, StateError, StreamSqlError
from .runtime.checkpoint.job_store import StoredJob, note
from .runtime.job import Job

if TYPE_CHECKING:
    from .session import TableEnvironment

log = logging.getLogger("streamsql.checkpoint")


def note_status(directory: str, job: Job, definition: Mapping[str, Any], status: str) -> None:
    """Write into the directory of checkpoints how a job stands; a store that is away is no reason to fail."""
    try:
        note(directory, StoredJob(job.name, job.id, status, definition))
    except (OSError, StreamSqlError) as e:
        log.warning("the status of job %s cannot be noted: %s", job.name, e)


def check_resumable(config: Any) -> None:
    """Raises ConfigError where a job is to be resumed and nothing says where its checkpoints are, or when to take
    them."""
    for key, example in (("dir", "file:///var/checkpoints"), ("interval", "10 s")):
        if config.get(f"execution.checkpointing.{key}") is None:
            raise ConfigError(
                f"--resume goes on from checkpoints, but 'execution.checkpointing.{key}' is not set",
                hint=f"SET 'execution.checkpointing.{key}' = '{example}'",
            )


def take_up(env: TableEnvironment, stored: StoredJob, directory: str) -> Job:
    """Start a stored job again in ``env`` from its latest checkpoint. Options that are set there already win.

    Raises StateError for a job that its definition alone does not make, else what starting it raises.
    """
    made = stored.definition
    if not made.get("resumable"):
        raise StateError(
            f"job '{stored.name}' cannot be taken up again: {made.get('why') or 'its definition is not known'}",
            hint="run the script or program that started it, with --resume",
        )
    make_again(env, made)
    env.config.set("execution.checkpointing.dir", directory)
    env.config.set("pipeline.name", stored.name)
    env.config.set("table.dml-sync", "false")
    env.resumes = True
    job = env.execute_sql(made["sql"]).job
    assert job is not None
    return job


def make_again(env: TableEnvironment, definition: Mapping[str, Any]) -> None:
    """Give a session the options, tables and functions of a job's definition; what is set there already stays.

    Raises StateError for a definition that this version does not understand, else what its statements raise.
    """
    wrong = trouble(definition)
    if wrong is not None:
        raise StateError(
            f"the stored definition of the job {wrong}",
            hint="start the job by the script or program that made it",
        )
    given = env.config.as_dict()
    for key, value in definition["options"].items():
        if value != HIDDEN and key not in given:
            env.config.set(key, value)
    for statement in definition["statements"]:
        env.execute_sql(statement)
    env.execute_sql(f"USE CATALOG `{definition['catalog']}`")
    env.execute_sql(f"USE `{definition['database']}`")
