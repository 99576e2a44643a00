"""One run of a job at a time: who may write its checkpoints.

On this machine a lock of the operating system says so at once, and ends with the process that holds it. Between
machines, and where checkpoints are kept remotely, the run that came last is right, and an earlier one finds out before
it writes the next time, or before it begins again after a failure.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streamsql.errors import FencedError, JobError

from .location import LocalLocation, Location, make_folders

if sys.platform != "win32":
    import fcntl

OWNER = "owner.json"


class Ownership:
    """The claim of one run on the folder of its job.

    ``copy``: names the copy of the job that runs, the same in each of its attempts, of which every one is a run.
    """

    def __init__(
        self, location: Location, job_name: str, run: str, copy: str, now_ms: Callable[[], int]
    ) -> None:
        self._location = location
        self._job_name = job_name
        self._run = run
        self._copy = copy
        self._now_ms = now_ms
        self._lock: int | None = None

    def take(self, *, again: bool = False) -> None:
        """Becomes the owner. Raises JobError where another process of this machine is.

        ``again``: an earlier run of the same copy of the job has failed. Raises FencedError where another copy has come
        since: it was started later, so it stays.
        """
        started = datetime.fromtimestamp(self._now_ms() / 1000, UTC).isoformat(timespec="seconds")
        owner = {
            "run": self._run,
            "copy": self._copy,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": started,
        }
        data = json.dumps(owner, indent=1).encode()
        if isinstance(self._location, LocalLocation):
            self._take_local(self._location.root / OWNER, data, again=again)
        else:
            if again:
                self._check_copy()
            self._location.put(OWNER, data)

    def _take_local(self, path: Path, data: bytes, *, again: bool) -> None:
        """The file is written in place: the lock is on the file, not on its name."""
        if self._lock is None:
            make_folders(path.parent)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                self._locked(handle, again=again)
                if again:
                    self._check_copy()
            except BaseException:
                os.close(handle)
                raise
            self._lock = handle
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, data, 0)
        os.fsync(self._lock)

    def _check_copy(self) -> None:
        """Raises FencedError where another copy of the job has come; a file that says nothing is nobody's."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            if self._read().get("copy") != self._copy:
                raise self._fenced()

    def _locked(self, handle: int, *, again: bool) -> None:
        if sys.platform == "win32":
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                if again:
                    raise self._fenced() from None
                raise JobError(
                    f"job '{self._job_name}' is already running{self._described()}",
                    hint="stop that one first, or give this one another 'pipeline.name'",
                ) from None
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            # A mounted file system without locks: as between machines, the latest is right.

    def check(self) -> None:
        """Raises FencedError where a later run has come; OSError where that cannot be seen.

        A file that somebody removed is written again: nobody else claims the job.
        """
        try:
            owner = self._read()
        except FileNotFoundError:
            self.release()
            self.take()
            return
        except ValueError:
            raise OSError(errno.EIO, f"{self._location.text(OWNER)} is damaged") from None
        if owner.get("run") != self._run:
            raise self._fenced()

    def _fenced(self) -> FencedError:
        return FencedError(
            f"job '{self._job_name}' was taken over by another run{self._described()}; this one stops",
            hint="run one copy of a job, or give each another 'pipeline.name'",
        )

    def _read(self) -> dict[str, Any]:
        owner = json.loads(self._location.read(OWNER))
        if not isinstance(owner, dict):
            raise ValueError("no object")
        return owner

    def _described(self) -> str:
        try:
            owner = self._read()
            host = "" if owner["host"] == socket.gethostname() else f" on {owner['host']}"
            return f" (pid {owner['pid']}{host}, since {owner['started']})"
        except (OSError, ValueError, KeyError):
            return ""

    def release(self) -> None:
        """Another process may take the job; idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
