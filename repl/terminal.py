"""Other people's writing on our terminal: the print connector, warnings and logs write whenever they like."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from typing import TextIO

from .console import Console

HELD_WRITES_MAX = 10_000  # the oldest are dropped: a print connector may write for days


class _Held(io.TextIOBase):
    """Keeps what is written."""

    def __init__(self) -> None:
        self.writes: deque[str] = deque(maxlen=HELD_WRITES_MAX)
        self.dropped = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.dropped += len(self.writes) == HELD_WRITES_MAX
        self.writes.append(text)
        return len(text)


@contextmanager
def held_back() -> Generator[None]:
    """Keeps stdout and stderr away from a full-screen view; what was written appears after it."""
    out, errors = sys.stdout, sys.stderr
    held = _Held()
    sys.stdout, sys.stderr = held, held
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, errors
        if held.dropped:
            out.write(
                f"[WARN] {held.dropped:,} earlier writes of jobs were dropped while the view was open\n"
            )
        out.write("".join(held.writes))
        out.flush()


class _BesideStatus(io.TextIOBase):
    """A stream that takes the status line away before it writes."""

    def __init__(self, stream: TextIO, console: Console) -> None:
        self._stream = stream
        self._console = console
        self._lock = threading.Lock()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def write(self, text: str) -> int:
        with self._lock:
            self._console.clear_status()
            return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()


@contextmanager
def beside_status(console: Console) -> Generator[None]:
    """While a status line is shown, other writing to stdout stands above it."""
    out = sys.stdout
    sys.stdout = _BesideStatus(out, console)
    try:
        yield
    finally:
        sys.stdout = out


def quiet_logs() -> None:
    """Keeps log messages off the shell's screen unless the program has handlers of its own: jobs report in the
    status lines, SHOW JOBS and errors."""
    logging.getLogger("streamsql").addHandler(logging.NullHandler())
