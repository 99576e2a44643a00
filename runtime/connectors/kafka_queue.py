"""The short queues of a Kafka source: from the fetching to the decoding thread, and from there to the job."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from streamsql.changelog import ChangelogBatch

from .base import BadRecord, Position

QUEUED_BATCHES_MAX = 4
"""Decoded batches that wait for the job, besides those in its hands; all that wait are rows for two large steps.
While the queue is full messages wait in librdkafka and the next batch is larger, so a slow job costs few, large
decodes."""
FETCHED_BATCHES_MAX = 1
"""Fetched batches that wait to be decoded: enough that both threads are busy under load."""

T = TypeVar("T")


class Handover(Generic[T]):
    """Items from one thread to another, at most FETCHED_BATCHES_MAX waiting; ends by ``stop`` or an error."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[T] = deque()
        self._error: BaseException | None = None
        self._stopped = False

    @property
    def stopped(self) -> bool:
        return self._stopped

    def put(self, item: T) -> None:
        """Waits while there is no room; drops the item after ``stop``."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._items) < FETCHED_BATCHES_MAX)
            self._items.append(item)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """``get`` raises the error after all that was put before."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def get(self) -> T | None:
        """Waits for an item; None after ``stop``."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._items or self._error is not None)
            if self._stopped:
                return None
            if not self._items:
                assert self._error is not None
                raise self._error
            self._changed.notify_all()
            return self._items.popleft()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def notify(self) -> None:
        """Let a thread that is in ``wait`` look again."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, timeout_s: float | None, until: Callable[[], bool] = lambda: False) -> None:
        """Sleep until ``stop``, until ``until`` holds after a ``notify``, or until the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or until(), timeout_s)


@dataclass(frozen=True)
class Ready:
    """Decoded rows with the place of each: ``split_ids`` and ``offsets`` have one entry a row."""

    rows: ChangelogBatch | None = None
    split_ids: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    offsets: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    positions: Mapping[str, Position] = field(default_factory=dict[str, Position])
    finished: frozenset[str] = frozenset()
    bad_records: Sequence[BadRecord] = ()

    def split(self, max_rows: int, splits: Sequence[str]) -> tuple[Ready, Ready | None]:
        """The first ``max_rows`` rows, and what is left (None for nothing).

        Rows of one message stay together, even if they are more. The positions of the first part are those
        after its last messages; what ends or is unreadable comes with the last part.
        """
        rows = self.rows
        if rows is None or rows.num_rows <= max_rows:
            return self, None
        cut = self._message_border(max_rows)
        if cut >= rows.num_rows:
            return self, None
        positions = {
            splits[i]: str(int(self.offsets[:cut][self.split_ids[:cut] == i][-1]) + 1)
            for i in map(int, np.unique(self.split_ids[:cut]))
        }
        head = Ready(_slice(rows, 0, cut), self.split_ids[:cut], self.offsets[:cut], positions)
        tail = replace(
            self,
            rows=_slice(rows, cut, rows.num_rows),
            split_ids=self.split_ids[cut:],
            offsets=self.offsets[cut:],
        )
        return head, tail

    def _message_border(self, at: int) -> int:
        """The last place up to ``at`` between two messages, or the first one after it."""
        new = np.ones(len(self.offsets) + 1, bool)
        new[1:-1] = (self.offsets[1:] != self.offsets[:-1]) | (self.split_ids[1:] != self.split_ids[:-1])
        borders = np.flatnonzero(new)[1:]
        i = int(np.searchsorted(borders, at, side="right")) - 1
        return int(borders[max(i, 0)])


class ReadyQueue:
    """A bounded queue that ends with an error, or when it is stopped. ``wake`` is called for all that is
    put in."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._changed = threading.Condition()
        self._ready: deque[Ready] = deque()
        self._error: BaseException | None = None
        self._stopped = False

    def put(self, ready: Ready) -> None:
        """Waits while the queue is full; drops what comes after ``stop``."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._ready) < QUEUED_BATCHES_MAX)
            self._ready.append(ready)
        self._wake()

    def fail(self, error: BaseException) -> None:
        """The error is raised by ``take`` after all that was put before."""
        with self._changed:
            self._error = error
        self._wake()

    def take(self, max_rows: int, splits: Sequence[str]) -> Ready | None:
        """At most ``max_rows`` rows; None for nothing. Raises the reader's error, again at each call."""
        with self._changed:
            if not self._ready:
                self.raise_error()
                return None
            head, tail = self._ready.popleft().split(max_rows, splits)
            if tail is not None:
                self._ready.appendleft(tail)
            self._changed.notify_all()
            return head

    def raise_error(self) -> None:
        """Raise the reader's error, if it has ended with one."""
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._ready.clear()
            self._changed.notify_all()


def _slice(batch: ChangelogBatch, begin: int, end: int) -> ChangelogBatch:
    weights = None if batch.weights is None else batch.weights[begin:end]
    return ChangelogBatch(batch.rows.slice(begin, end - begin), weights)
