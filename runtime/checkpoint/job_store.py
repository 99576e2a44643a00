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
from .location import LocalLocation, open_location

FILE = "job.json"
GOES_ON = ("RUNNING", "RESTARTING", "SUSPENDED")
"""Whose jobs are taken up again: nobody ended them on purpose, and they have not failed for good."""

OPTION = "execution.checkpointing.dir"


@dataclass(frozen=True)
class StoredJob:
    """A job as it was noted last. ``definition``: see ``streamsql/definitions.py``.

    ``damage``: why the note cannot be read; the job is then named after its folder.
    """

    name: str
    job_id: str
    status: str
    definition: Mapping[str, Any]
    damage: str | None = None

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
    if isinstance(root, LocalLocation) and not root.root.is_dir():
        raise FileNotFoundError("there is no such folder")
    found: list[StoredJob] = []
    for folder in root.names():
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found.append(_read(folder, root.read(f"{folder}/{FILE}")))
    return sorted(found, key=lambda job: job.name)


def _read(folder: str, data: bytes) -> StoredJob:
    try:
        content = json.loads(data)
    except ValueError as error:
        return _damaged(folder, f"it is not JSON ({error})")
    if not isinstance(content, dict):
        return _damaged(folder, "it is not a JSON object")
    kinds = {"name": str, "job_id": str, "status": str, "definition": dict}
    wrong = [key for key, kind in kinds.items() if not isinstance(content.get(key), kind)]
    if wrong:
        return _damaged(folder, f"{', '.join(wrong)} cannot be read")
    return StoredJob(content["name"], content["job_id"], content["status"], content["definition"])


def _damaged(folder: str, why: str) -> StoredJob:
    return StoredJob(folder, "", "DAMAGED", {}, damage=f"{folder}/{FILE} is damaged: {why}")
