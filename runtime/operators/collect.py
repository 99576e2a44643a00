"""Collect: hands the changes of each step to the client through a bounded queue."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from streamsql.changelog import ChangelogBatch

from .base import Operator, StepTime
from .updates import without_equal_updates

QUEUE_ROWS_MAX = 100_000
"""Rows waiting for the client at most; then the job waits (backpressure), as for a sink that is slow. Few enough that
a live view is never far behind its job."""


class ResultQueue:
    """Steps' changes on their way from the job's thread to the client's."""

    def __init__(self) -> None:
        self._batches: deque[ChangelogBatch] = deque()
        self._rows = 0
        self._closed = False
        self._released = False
        self._changed = threading.Condition()

    def put(self, batch: ChangelogBatch) -> None:
        """Called by the job; waits while the queue is full, unless the client has gone."""
        with self._changed:
            while self._rows >= QUEUE_ROWS_MAX and not self._closed and not self._released:
                self._changed.wait()
            if not self._closed:
                self._batches.append(batch)
                self._rows += batch.num_rows
                self._changed.notify_all()

    def get(self, timeout_s: float | None) -> ChangelogBatch | None:
        """The next step's changes; None after the timeout or once woken without any."""
        with self._changed:
            if not self._batches and not self._closed:
                self._changed.wait(timeout_s)
            if not self._batches:
                return None
            batch = self._batches.popleft()
            self._rows -= batch.num_rows
            self._changed.notify_all()
            return batch

    def release(self) -> None:
        """The job is to stop: nothing waits for room any more; what is there stays to be taken."""
        with self._changed:
            self._released = True
            self._changed.notify_all()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """The client goes: nothing more is kept, the job is released."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Collect(Operator):
    """See the module's text."""

    def __init__(self, queue: ResultQueue) -> None:
        self.queue = queue

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        changes = without_equal_updates(inputs[0]) if inputs[0] is not None else None
        if changes is not None and changes.num_rows:
            self.queue.put(changes)
        return None
