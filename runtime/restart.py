"""When a failed job begins again, and how long it waits before: Flink's restart strategies.

Source: Flink's documentation of ``restart-strategy.*``. Where we differ: an error that every further attempt would meet
again (a record that cannot be read or evaluated, an option, a plan) ends the job at once, with that error.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field

from streamsql.errors import ConfigError, DataError, FencedError, StateError, ValidationError

HOPELESS = (ConfigError, DataError, FencedError, StateError, ValidationError)
"""Errors that do not go away by trying again."""


class RestartStrategy(ABC):
    """Asked after each failure; keeps what it needs to know about the earlier ones."""

    @abstractmethod
    def delay_ms(self, now_ms: int) -> int | None:
        """How long to wait before the next attempt; None: there is none."""

    def worth_it(self, error: BaseException) -> bool:
        """Whether another attempt could end otherwise."""
        return not isinstance(error, HOPELESS)


class NoRestart(RestartStrategy):
    """``none``, the default without checkpoints: the first failure ends the job."""

    def delay_ms(self, now_ms: int) -> int | None:
        return None


@dataclass
class FixedDelay(RestartStrategy):
    """``fixed-delay``: so many attempts after the first, each after the same wait."""

    attempts: int = 1
    wait_ms: int = 1000
    _used: int = 0

    def delay_ms(self, now_ms: int) -> int | None:
        self._used += 1
        return self.wait_ms if self._used <= self.attempts else None


@dataclass
class ExponentialDelay(RestartStrategy):
    """``exponential-delay``, the default with checkpoints: the wait grows, and shrinks back after a quiet time.

    ``attempts``: failures without such a quiet time that end the job; None for no limit. ``jitter``: the wait is off by
    up to this part, so that jobs that failed together do not return together; it stays within the two bounds (Flink's
    ExponentialDelayRestartBackoffTimeStrategy).
    """

    initial_ms: int = 1000
    max_ms: int = 60_000
    multiplier: float = 1.5
    reset_ms: int = 3_600_000
    jitter: float = 0.1
    attempts: int | None = None
    chance: random.Random = field(default_factory=random.Random)
    _wait_ms: float = 0.0
    _used: int = 0
    _last_ms: int | None = None

    def delay_ms(self, now_ms: int) -> int | None:
        quiet = self._last_ms is not None and now_ms - self._last_ms >= self.reset_ms + self._wait_ms
        if self._last_ms is None or quiet:
            self._wait_ms, self._used = float(self.initial_ms), 0
        else:
            self._wait_ms = min(self._wait_ms * self.multiplier, float(self.max_ms))
        self._last_ms = now_ms
        self._used += 1
        if self.attempts is not None and self._used > self.attempts:
            return None
        spread = self._wait_ms * self.jitter
        wait = self._wait_ms + self.chance.uniform(-spread, spread)
        return round(max(self.initial_ms, min(wait, self.max_ms)))


@dataclass
class FailureRate(RestartStrategy):
    """``failure-rate``: begins again unless there were more than ``most`` failures within ``interval_ms``."""

    most: int = 1
    interval_ms: int = 60_000
    wait_ms: int = 1000
    _failures: deque[int] = field(default_factory=deque[int])

    def delay_ms(self, now_ms: int) -> int | None:
        self._failures.append(now_ms)
        while self._failures[0] <= now_ms - self.interval_ms:
            self._failures.popleft()
        return self.wait_ms if len(self._failures) <= self.most else None
