"""The jobs whose checkpoints are under a directory, and how each stands: what ``streamsql serve`` takes up again.

``<directory>/<job>/job.json`` holds name, id, definition and status. A status RUNNING of a process that is gone means
that it was killed; SUSPENDED means that its session ended while the job ran.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .found import safe_name
from .location import open_location

FILE = "job.json"
GOES_ON = ("RUNNING", "RESTARTING", "SUSPENDED")
"""Whose jobs are taken up again: nobody ended them on purpose, and they have not failed for good."""

OPTION = "execution.checkpointing.dir"


@dataclass(frozen=True)
class StoredJob:
    """A job as it was noted last. ``definition``: see ``streamsql/definitions.py``."""

    name: str
    job_id: str
    status: str
    definition: Mapping[str, Any]

    @property
    def goes_on(self) -> bool:
        """Whether it is to be taken up again."""
        return self.status in GOES_ON


def note(directory: str, job: StoredJob) -> None:
    """Write how a job stands. Raises OSError."""
    content = {"name": job.name, "job_id": job.job_id, "status": job.status, "definition": job.definition}
    data = json.dumps(content, indent=1).encode()
    open_location(directory, OPTION).below(safe_name(job.name)).put(FILE, data)


def stored_jobs(directory: str) -> list[StoredJob]:
    """The jobs under a directory, by name; folders that hold none are passed over. Raises OSError."""
    root = open_location(directory, OPTION)
    found: list[StoredJob] = []
    for folder in root.names():
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError, KeyError):
            content = json.loads(root.read(f"{folder}/{FILE}"))
            found.append(
                StoredJob(content["name"], content["job_id"], content["status"], content["definition"])
            )
    return sorted(found, key=lambda job: job.name)
