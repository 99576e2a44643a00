"""How long a job waits for the outside world at a cut."""

from __future__ import annotations

import time
from collections.abc import Callable

from streamsql.errors import ConnectorError

from ..connectors.base import Transaction

LAST_S = 30.0
"""How long a job that is stopped tries to take its last checkpoint."""
STUCK_S = 30.0
"""So long may no message at all be acknowledged while the broker answers."""


class Deadline:
    """Is over :data:`LAST_S` after the job was first seen stopping. ``look`` says whether it is."""

    def __init__(self, look: Callable[[], bool]) -> None:
        self._look = look
        self._end: float | None = None

    def begin_anew(self) -> None:
        """Something goes on: who stops the job waits for that. Answers who asks, as :meth:`over` does."""
        self._look()
        self._end = None

    def over(self) -> bool:
        """Whether nothing more is to be waited for."""
        if self._look() and self._end is None:
            self._end = time.monotonic() + LAST_S
        return self._end is not None and time.monotonic() > self._end


class Progress:
    """Whether acknowledgements come. A client that hangs although its broker answers is given up.

    A producer of librdkafka was seen to wait for ever after its broker had stood still for some seconds; the job then
    begins again from its last checkpoint with another one.
    """

    def __init__(self, transaction: Transaction | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._transaction = transaction
        self._clock = clock
        self._stuck: tuple[int, float] | None = None

    def look(self, *, settled: bool) -> None:
        """To be called after each wait for acknowledgements. Raises ConnectorError where none came for too long."""
        if settled or self._transaction is None or self._transaction.status() is not None:
            self._stuck = None
            return
        outstanding, now = self._transaction.outstanding, self._clock()
        if self._stuck is None or self._stuck[0] != outstanding:
            self._stuck = outstanding, now
        elif now - self._stuck[1] > STUCK_S:
            raise ConnectorError(
                f"{outstanding} messages are not acknowledged, and none was for {STUCK_S:.0f} s, "
                "though the broker answers"
            )
