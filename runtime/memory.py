"""Free memory goes back to the system now and then.

State that turns over leaves holes which allocators keep for later: over hours a process holds ever more than it uses.
``malloc_trim`` (glibc) and Arrow's ``release_unused`` give whole free pages back, elsewhere only the latter does.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from time import perf_counter as clock

import pyarrow as pa

EVERY_S = 30.0
SHARE_MAX = 0.001
"""Of a job's time: a heap of many GB with many holes is looked through less often."""


def _malloc_trim() -> Callable[[int], int] | None:
    try:
        found = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl and macOS have none, Windows has no such library
        return None
    found.argtypes, found.restype = [ctypes.c_size_t], ctypes.c_int
    return found


trim = _malloc_trim()


class FreeMemory:
    """Gives back what is free, for one thread: Arrow's allocator has a heap for each."""

    def __init__(self, now: float) -> None:
        """``now`` here and below: monotonic seconds."""
        self._due = now + EVERY_S

    def give_back(self, now: float) -> None:
        """Where it is time for it."""
        if now < self._due:
            return
        began = clock()
        pa.default_memory_pool().release_unused()
        if trim is not None:
            trim(0)
        self._due = now + max(EVERY_S, (clock() - began) / SHARE_MAX)
