"""FireTimers: when each group shows its changes next, by the clock: at a fixed interval from its first change on.

::

    interval 10     change at 3    7        12      19          41
    shown                              13       23                 43

State: group → when it shows its changes next, or has last, and whether it has any. Freed when its window is complete.

Source: Flink's ProcessingTimeTriggers.AfterFirstElementPeriodic (2.x).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..state.buffers import distinct_values
from ..state.key_index import KeyIndex
from ..state.slot_column import SlotColumn
from .base import OperatorContext
from .expiry import ExpiringSlots, WindowExpiry

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]


class FireTimers:
    """``expiry.column`` is one of the key columns."""

    def __init__(
        self,
        ctx: OperatorContext,
        name: str,
        key_types: Sequence[pa.DataType],
        interval_ms: int,
        expiry: WindowExpiry,
    ) -> None:
        self._interval_ms = interval_ms
        self._index = ctx.state(f"{name}.keys", KeyIndex(key_types))
        self._due = ctx.state(f"{name}.due", SlotColumn(pa.int64()))
        self._waiting = ctx.state(f"{name}.waiting", SlotColumn(pa.bool_()))
        self._expiring = ExpiringSlots(self._index, expiry)
        self._by_due: dict[int, list[I64]] | None = None

    def changed(self, hashes: U64, keys: Sequence[pa.Array], now_ms: int) -> None:
        """These groups have changes to show."""
        slots, inserted = self._index.lookup_or_insert(hashes, keys)
        self._expiring.add(slots[inserted])
        slots = distinct_values(slots)
        slots = slots[~self._waiting.is_set(slots)]
        if not len(slots):
            return
        last = np.where(self._due.is_set(slots), self._due.values(slots), now_ms).astype(np.int64)
        passed = np.maximum(now_ms - last, 0) // self._interval_ms + 1
        due = np.where(last > now_ms, last, last + passed * self._interval_ms)
        self._due.put(slots, due)
        self._waiting.set(slots, pa.array(np.ones(len(slots), np.bool_)))
        by_due = self._timers()
        for at in distinct_values(due).tolist():
            by_due.setdefault(at, []).append(slots[due == at])

    def _timers(self) -> dict[int, list[I64]]:
        """The groups that wait by when they are due; after a restore they are read from the state."""
        if self._by_due is None:
            self._by_due = {}
            slots = self._index.live_slots()
            slots = slots[self._waiting.is_set(slots)]
            due = self._due.values(slots).astype(np.int64)
            for at in distinct_values(due).tolist():
                self._by_due[at] = [slots[due == at]]
        return self._by_due

    def take(self, now_ms: int) -> tuple[U64, list[pa.Array]]:
        """The groups (hashes and keys) that are due; they wait no more."""
        by_due = self._timers()
        found = [np.zeros(0, np.int64)]
        for at in [at for at in by_due if at <= now_ms]:
            for slots in by_due.pop(at):
                slots = slots[self._index.is_live(slots)]
                slots = slots[self._waiting.is_set(slots)]  # freed meanwhile, the slot may be another's
                found.append(slots[self._due.values(slots) == at])
        slots = distinct_values(np.concatenate(found))
        self._waiting.clear(slots)
        return self._index.hashes(slots), list(self._index.keys(slots))

    def forget(self, until: int) -> None:
        """Frees the groups of windows that are complete by ``until``."""
        slots = self._expiring.pop(until)
        if len(slots):
            waiting = slots[self._waiting.is_set(slots)]
            due = distinct_values(self._due.values(waiting))
            self._due.clear(slots)
            self._waiting.clear(slots)
            self._index.remove(slots)
            self._stop(due.tolist())

    def _stop(self, due: list[int]) -> None:
        """Takes the timers of groups that do not wait any more out of these."""
        by_due = self._timers()
        for at in due:
            left = [part[self._waiting.is_set(part)] for part in by_due.pop(at, [])]
            if left := [part for part in left if len(part)]:
                by_due[at] = left

    def next_ms(self) -> int | None:
        """When the next group is due."""
        return min(self._timers(), default=None)
