"""Waiting for the outside world in the middle of a step, without missing that the job is being stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from streamsql.errors import ConnectorError

LOOK_S = 0.1
"""How often a wait looks whether the job is being stopped: short for who waits for that, long for a processor."""


class StoppedError(ConnectorError):
    """The job is being stopped while it waits."""


class AwayError(ConnectorError):
    """Something outside is away and may come back: to be tried again after ``wait_ms``."""

    def __init__(self, message: str, wait_ms: int) -> None:
        super().__init__(message)
        self.wait_ms = wait_ms


@dataclass(frozen=True)
class Waiting:
    """How to wait: ``now_ms`` is the job's clock, ``pause`` sleeps for some seconds."""

    now_ms: Callable[[], int]
    stopping: Callable[[], bool] = lambda: False
    pause: Callable[[float], None] = time.sleep

    def wait_ms(self, ms: int) -> None:
        """Wait so long. Raises StoppedError when the job is being stopped."""
        left = ms / 1000
        while left > 0:
            if self.stopping():
                raise StoppedError("stopped while waiting for a table that is away")
            self.pause(min(left, LOOK_S))
            left -= LOOK_S
