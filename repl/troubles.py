"""What jobs wait for and why they began again, told once: a broker that is away, a failure."""

from __future__ import annotations

import time
from collections.abc import Iterable

from .console import Console
from .engine import Job

LOOK_EVERY_S = 0.5


def waiting_for(job: Job) -> str:
    """What a running job waits for; empty where it waits for nothing but rows."""
    if job.status == "RESTARTING" and job.error is not None:
        return f"it failed and begins again from its last checkpoint: {job.error}"
    return "; ".join(dict.fromkeys(job.metrics().status_lines)) if job.status == "RUNNING" else ""


class Restarts:
    """Knows of which failures it has told, of jobs that began again."""

    def __init__(self) -> None:
        self._told: dict[str, object] = {}

    def news(self, job: Job) -> str:
        """What to tell of a failure that is new, and did not end the job; else empty."""
        failure = job.last_failure
        if failure is None or failure is self._told.get(job.id) or job.status == "FAILED":
            return ""
        self._told[job.id] = failure
        return f"{job.name} failed and begins again from its last checkpoint: {failure.error}"


class Troubles:
    """Writes beside the results that a job waits and what for, that it begins again and why, and that it goes on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._restarts = Restarts()
        self._told: set[str] = set()
        self._due = 0.0

    def look(self, jobs: Iterable[Job]) -> None:
        """To be called often; looks twice a second."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + LOOK_EVERY_S
        for job in jobs:
            self._tell(job)

    def _tell(self, job: Job) -> None:
        reason = waiting_for(job)
        if failed := self._restarts.news(job):
            self._told.add(job.id)
            self._console.warning(failed)
        elif reason and job.id not in self._told:
            self._told.add(job.id)
            self._console.warning(f"{job.name} waits: {reason}")
        if not reason and job.id in self._told:
            self._told.discard(job.id)
            if job.status == "RUNNING":
                self._console.info(f"{job.name} goes on")
