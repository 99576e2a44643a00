"""How fast a counter moves, over the last two seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 2.0
SPACING_S = 0.1
"""Samples are kept no closer than this, so that the window never holds more than a few."""


class RateMeter:
    """Readings of a counter that only grows. Any thread may read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque([(clock(), 0)])

    def observe(self, total: int) -> None:
        """The counter stands at ``total`` now."""
        now = self._clock()
        if now - self._samples[-1][0] >= SPACING_S:
            self._samples.append((now, total))
            while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW_S:
                self._samples.popleft()

    def per_second(self, total: int) -> float:
        """The mean rate since the sample that opens the window."""
        now = self._clock()
        base = self._samples[0]
        for sample in list(self._samples):
            if sample[0] <= now - WINDOW_S:
                base = sample
        return (total - base[1]) / max(now - base[0], SPACING_S)
