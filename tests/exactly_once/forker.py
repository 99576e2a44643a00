"""Runs a script again and again, each time in a process of its own that may die, without loading the program anew.

Run as ``python -m tests.exactly_once.forker script``. A line on its input, ``<point> <checkpoint>`` or ``-``, begins an
attempt, which kills itself (SIGKILL) at that point of its n-th checkpoint. The answer is the attempt's process id, then
``running`` once its job runs, then its exit code, each a line; negative where a signal ended it. While there is a file
``full`` beside the folders of the checkpoints, their disk counts as full.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from streamsql.repl.console import Console
from streamsql.repl.script import run_script
from streamsql.runtime.checkpoint.location import LocalLocation
from streamsql.runtime.checkpoint.points import POINTS
from streamsql.runtime.checkpoint.recovery import CheckpointSetup
from streamsql.runtime.job import Job
from streamsql.session import TableEnvironment


class Killer:
    """Kills its own process at a point of the n-th checkpoint from now on."""

    def __init__(self, point: str, number: int) -> None:
        self._point, self._left = point, number

    def __call__(self, point: str) -> None:
        if point == POINTS[0]:
            self._left -= 1
        if self._left <= 0 and point == self._point:
            os.kill(os.getpid(), signal.SIGKILL)

    def setup(self, setup: CheckpointSetup) -> CheckpointSetup:
        """With this as the one who is told of points."""
        return replace(setup, options=replace(setup.options, reach=self))


def fill_disk_on_demand() -> None:
    """Lets writing into a folder of checkpoints fail while the disk counts as full."""
    create = LocalLocation.create

    def create_if_there_is_room(self: LocalLocation, path: str) -> Any:
        if any((parent / "full").exists() for parent in list(self.root.parents)[:2]):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.root / path))
        return create(self, path)

    LocalLocation.create = create_if_there_is_room  # type: ignore[method-assign]


def tell(line: object) -> None:
    """Prints a line in one piece: a child that is killed in the middle of two would garble the next one."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def tell_of_jobs() -> None:
    """Prints that a job runs."""
    started = Job.start

    def start(self: Job) -> Job:
        found = started(self)
        tell("running")
        return found

    Job.start = start  # type: ignore[method-assign]


def attempt(script: str, death: list[str]) -> int:
    """In the child: run the script to its end."""
    fill_disk_on_demand()
    env = TableEnvironment()
    env.keep_job_names(resume=True)
    if len(death) == 2:
        env.checkpoints = Killer(death[0], int(death[1])).setup
    tell_of_jobs()
    try:
        return run_script(env, Console(sys.stderr, sys.stderr), "job.sql", script)
    finally:
        env.close()


def main() -> None:
    """Answer the lines of the input."""
    script = Path(sys.argv[1]).read_text()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = attempt(script, line.split())
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        tell(child)
        _, status = os.waitpid(child, 0)
        tell(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
