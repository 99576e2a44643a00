"""Time to live of rows that are kept by key: all rows of a key go together, when it was not written for that long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from .buffers import U64
from .key_index import KeyIndex
from .run_store import RunProbe, RunStore


class KeyedTtl:
    """Watches the keys of ``store``; ``index`` is of its key columns and has the time to live, None for none.

    Expired rows are retracted from the store, which frees them when its runs are merged; the work is
    proportional to what expires.
    """

    def __init__(self, store: RunStore, index: KeyIndex | None) -> None:
        self._store = store
        self._index = index

    @property
    def active(self) -> bool:
        """Whether there is a time to live."""
        return self._index is not None

    def touch(self, hashes: U64, keys: Sequence[pa.Array], now_ms: int) -> None:
        """These keys are written now."""
        if self._index is not None:
            self._index.lookup_or_insert(hashes, keys, now_ms)

    def settle(self, after: RunProbe, hashes: U64) -> None:
        """Drops retractions that found no row, as theirs has expired; ``after``: the touched rows, consolidated.

        ``hashes``: of the probe that found them. A later insertion would otherwise be cancelled.
        """
        if self._index is None:
            return
        lost = np.flatnonzero(after.weights < 0)
        if len(lost):
            self._retract(after, hashes, lost)

    def expire(self, now_ms: int) -> int:
        """Drops the rows of expired keys; returns how many there were."""
        if self._index is None:
            return 0
        slots = self._index.expired(now_ms)
        if not len(slots):
            return 0
        hashes = self._index.hashes(slots)
        found = self._store.probe(hashes, self._index.keys(slots), consolidate=True)
        self._retract(found, hashes, np.arange(len(found.weights)))
        self._index.remove(slots)
        return len(found.weights)

    def _retract(self, found: RunProbe, hashes: U64, at: np.ndarray) -> None:
        rows = found.rows.take(pa.array(at))
        self._store.append(hashes[found.probe_index[at]], rows, -found.weights[at])
