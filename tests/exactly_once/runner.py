"""Attempts of a script from a test's side: begin one, wait for it, kill it."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path

from .market import Market

RUNNING = "running"


class Forker:
    """The process that runs attempts, one at a time; see forker.py. ``log``: what they tell people."""

    def __init__(self, script: Path, log: Path) -> None:
        self.log = log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.exactly_once.forker", str(script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.child = 0

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.strip())

    def begin(self, death: str = "-") -> None:
        """Begin an attempt; :attr:`child` is its process."""
        assert self._process.stdin is not None
        self._process.stdin.write(death + "\n")
        self._process.stdin.flush()
        self.child = int(self._lines.get(timeout=60))

    def line(self, timeout_s: float = 240) -> str:
        """The next line of the attempt: ``running``, or its exit code."""
        try:
            return self._lines.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError(f"nothing happens; the log ends with\n{self.tail()}") from None

    def wait_running(self) -> None:
        """Until its job runs."""
        found = self.line()
        assert found == RUNNING, f"it ended with {found}\n{self.tail()}"

    def goes_on_for(self, seconds: float) -> bool:
        """Whether the attempt is still there after so long."""
        time.sleep(seconds)
        return self._lines.empty()

    def wait(self) -> int:
        """Until it ends: its exit code, negative where a signal ended it."""
        while (found := self.line()) == RUNNING:
            pass
        return int(found)

    def attempt(self, death: str = "-", kill_after_s: float | None = None) -> int:
        """One attempt: its exit code. ``kill_after_s``: so long after its job began it is killed."""
        self.begin(death)
        timer: threading.Timer | None = None
        while (found := self.line()) == RUNNING:
            if kill_after_s is not None:
                timer = threading.Timer(kill_after_s, self.kill)
                timer.start()
        if timer is not None:
            timer.cancel()
        return int(found)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Send the attempt a signal, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.child, how)

    def tail(self) -> str:
        """The end of what the attempts told."""
        return self.log.read_text()[-3000:]

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        if self._process.poll() is None:
            self.kill()
            self._process.wait(10)
        self._reader.join(5)
        self._process.stdout.close()


@contextlib.contextmanager
def forker(
    market: Market,
    folder: Path,
    directory: Path | None = None,
    interval: str = "100 ms",
    *,
    options: dict[str, str] | None = None,
) -> Generator[Forker, None, None]:
    """A runner of the market's script. ``directory``: of its checkpoints, else one below ``folder``."""
    folder.mkdir(exist_ok=True)
    script = folder / "job.sql"
    where = directory or folder / "checkpoints"
    script.write_text(market.script(str(where), interval, options))
    found = Forker(script, folder / "log")
    try:
        yield found
    finally:
        found.close()


def checkpoints_in(directory: Path) -> int:
    """The number of the latest complete checkpoint; 0 for none."""
    found = [int(p.parent.name.removeprefix("chk-")) for p in directory.glob("*/chk-*/_complete")]
    return max(found, default=0)


def wait_for_checkpoint(directory: Path, number: int, timeout_s: float = 120) -> None:
    """Until the job has completed that checkpoint."""
    deadline = time.monotonic() + timeout_s
    while checkpoints_in(directory) < number:
        assert time.monotonic() < deadline, f"no checkpoint {number} within {timeout_s} s"
        time.sleep(0.05)
