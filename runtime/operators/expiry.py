"""Groups whose keys hold the end of a window: late once it has passed, and then freed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..accumulators import numpy
from ..state.buffers import distinct_values
from ..state.key_index import KeyIndex
from ..windows import to_utc
from .base import MAX_WATERMARK, MIN_WATERMARK, StepTime

Slots = npt.NDArray[np.int64]


@dataclass(frozen=True)
class WindowExpiry:
    """``column`` holds the window's end as wall-clock time in ``zone``; ``proctime``: the clock completes it.

    ``lateness_ms``: the window still counts as open for so long after its end.
    """

    column: int
    zone: str = "UTC"
    proctime: bool = False
    lateness_ms: int = 0

    def completed(self, time: StepTime) -> tuple[int, int]:
        """Before this step and after it: windows whose last millisecond is no later are complete.

        By the clock no row can be late: its window is the one that the clock is in.
        """
        if not self.proctime:
            late = self.lateness_ms
            return earlier(time.watermark_before, late), earlier(time.watermark, late)
        return -MAX_WATERMARK, max(time.now_ms - 1, time.watermark)

    def last_ms(self, ends: pa.Array) -> Slots:
        """The last millisecond of each window."""
        wall = numpy(ends.cast(pa.timestamp("us")).cast(pa.int64()), np.int64) // 1000
        unique, inverse = np.unique(wall, return_inverse=True)
        found: Slots = np.array([to_utc(int(end), self.zone) - 1 for end in unique], np.int64)[inverse]
        return found


def earlier(watermark: int, ms: int) -> int:
    """The watermark so much before; the first and the last one stay."""
    return watermark if watermark == MAX_WATERMARK else max(watermark, MIN_WATERMARK + ms) - ms


class ExpiringSlots:
    """Which slots of ``index`` were given to which window; ``expiry.column`` is one of its key columns.

    Holds nothing that the index does not: after a restore it is read from there, so it is no state of its
    own.
    """

    def __init__(self, index: KeyIndex, expiry: WindowExpiry) -> None:
        self._index = index
        self._expiry = expiry
        self._by_window: dict[int, list[Slots]] | None = None

    def add(self, slots: Slots) -> None:
        """Note slots that were just inserted."""
        if self._by_window is None:
            self._by_window, slots = {}, self._index.live_slots()
        ends = self._last_ms(slots)
        for end in distinct_values(ends).tolist():
            self._by_window.setdefault(end, []).append(slots[ends == end])

    def pop(self, until: int) -> Slots:
        """The live slots of windows complete by ``until``, each once; slots freed meanwhile are left alone."""
        if self._by_window is None:
            self.add(np.zeros(0, np.int64))
        assert self._by_window is not None
        due = [end for end in self._by_window if end <= until]
        found = [slots for end in due for slots in self._by_window.pop(end)]
        if not found:
            return np.zeros(0, np.int64)
        slots = distinct_values(np.concatenate(found))
        slots = slots[self._index.is_live(slots)]
        return slots[self._last_ms(slots) <= until]

    def _last_ms(self, slots: Slots) -> Slots:
        return self._expiry.last_ms(self._index.keys(slots)[self._expiry.column])
