"""Which slots were not updated for a time-to-live, found without looking at the others."""

from __future__ import annotations

import heapq
from typing import Protocol

import numpy as np

from .buffers import I64, Bools, grown

# A registration is filed under its time rounded down to ttl / _BUCKETS: the number of lists held, not the
# precision.
_BUCKETS = 1024
# An idle owner is woken at most so many times per ttl, and no sooner than this after the last time.
_WAKES = 16
_LEAST_WAIT_MS = 100


def wake_ms(updated_ms: int, ttl_ms: int) -> int:
    """When an idle owner looks for what has expired; ``updated_ms``: the earliest last update."""
    step = max(ttl_ms // _WAKES, _LEAST_WAIT_MS)
    return -(-(updated_ms + ttl_ms) // step) * step


class Times(Protocol):
    """The last update by slot."""

    def __getitem__(self, slots: I64, /) -> I64: ...


class ExpiryQueue:
    """Lazy timers: every live slot is registered once, at or before its last update.

    When a registration is due, the slot either expires or is registered again under its last update; so an
    update costs nothing here and a slot is looked at about once per ttl. Expiry is exact to the millisecond:
    ``last update + ttl ≤ now``, Flink's rule.
    """

    def __init__(self, ttl_ms: int) -> None:
        assert ttl_ms > 0
        self._ttl_ms = ttl_ms
        self._width = max(1, ttl_ms // _BUCKETS)
        self._buckets: dict[int, list[I64]] = {}
        self._order: list[int] = []  # heap of the keys of _buckets
        self._filed = 0  # slots in the buckets
        self._registered: Bools = np.zeros(0, np.bool_)
        # The bucket being worked off, sorted by time; a cursor moves through it.
        self._due_slots: I64 = np.zeros(0, np.int64)
        self._due_times: I64 = np.zeros(0, np.int64)

    def register(self, slots: I64, times: I64) -> None:
        """Watches slots last updated at ``times``; one still watched from an earlier life is left alone."""
        if not len(slots):
            return
        self._registered = grown(self._registered, int(slots.max()) + 1)
        new = ~self._registered[slots]
        self._file(slots[new], times[new])

    def _file(self, slots: I64, times: I64) -> None:
        if not len(slots):
            return
        self._registered[slots] = True
        self._filed += len(slots)
        buckets = times // self._width
        order = np.argsort(buckets, kind="stable")
        buckets, slots = buckets[order], slots[order]
        starts = np.flatnonzero(np.append(True, buckets[1:] != buckets[:-1]))
        for bucket, part in zip(buckets[starts].tolist(), np.split(slots, starts[1:]), strict=True):
            if bucket not in self._buckets:
                self._buckets[bucket] = []
                heapq.heappush(self._order, bucket)
            self._buckets[bucket].append(part)

    def pop(self, now_ms: int, last_update: Times, live: Bools) -> I64:
        """Slots expired by ``now_ms``, each named once; they are no longer watched."""
        horizon = now_ms - self._ttl_ms  # the latest update that is expired
        expired = [self._pop_due(horizon, last_update, live)]
        while self._order and self._order[0] * self._width <= horizon and not len(self._due_slots):
            self._load(heapq.heappop(self._order), last_update, live)
            expired.append(self._pop_due(horizon, last_update, live))
        return np.concatenate(expired)

    def next_ms(self) -> int | None:
        """When it pays to call :meth:`pop` next: something may be due, and not a little while after the last time."""
        first = int(self._due_times[0]) if len(self._due_times) else None
        if first is None and self._order:
            first = self._order[0] * self._width
        if first is None:
            return None
        return wake_ms(first, self._ttl_ms)

    def _load(self, bucket: int, last_update: Times, live: Bools) -> None:
        """Makes the slots of a bucket due in the order of update; those updated later are filed again."""
        slots = np.concatenate(self._buckets.pop(bucket))
        self._filed -= len(slots)
        slots = self._watched_still(slots, live)
        times = last_update[slots]
        later = times // self._width > bucket
        self._file(slots[later], times[later])
        slots, times = slots[~later], times[~later]
        order = np.argsort(times, kind="stable")
        self._due_slots, self._due_times = slots[order], times[order]

    def _pop_due(self, horizon: int, last_update: Times, live: Bools) -> I64:
        """Takes the due registrations up to ``horizon``; registers again what was updated since."""
        end = int(np.searchsorted(self._due_times, horizon, side="right"))
        slots = self._watched_still(self._due_slots[:end], live)
        self._due_slots, self._due_times = self._due_slots[end:], self._due_times[end:]
        self._registered[slots] = False
        late = last_update[slots] > horizon
        self._file(slots[late], last_update[slots[late]])
        return slots[~late]

    def _watched_still(self, slots: I64, live: Bools) -> I64:
        """Drops slots removed in the meantime."""
        alive = live[slots]
        self._registered[slots[~alive]] = False
        return slots[alive]

    @property
    def nbytes(self) -> int:
        return 8 * self._filed + self._due_slots.nbytes + self._due_times.nbytes + self._registered.nbytes
