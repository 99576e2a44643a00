"""How fast a counter grows, as a person would measure it: the difference over the last seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 3.0
SAMPLES_MAX = 100


class Rate:
    """Rows a second over the last :data:`WINDOW_S`; feed it the counter now and then."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._samples: deque[tuple[float, int]] = deque([(now_s(), 0)], maxlen=SAMPLES_MAX)

    def of(self, count: int) -> float:
        """Takes a reading of the counter; the rate up to it.

        >>> clock = iter([0.0, 1.0, 2.0])
        >>> rate = Rate(lambda: next(clock))
        >>> rate.of(10), rate.of(40)
        (10.0, 20.0)
        """
        now = self._now_s()
        while len(self._samples) > 1 and self._samples[1][0] <= now - WINDOW_S:
            self._samples.popleft()
        if now - self._samples[-1][0] >= WINDOW_S / SAMPLES_MAX:
            self._samples.append((now, count))
        start, before = self._samples[0]
        return (count - before) / (now - start) if now > start else 0.0
