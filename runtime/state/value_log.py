"""Values of any Arrow type in an append-only log of immutable chunks, addressed by slot."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from .buffers import I64, Bools, as_array, distinct_count, grown, take_indices, validity
from .memory import StateMemory

# Below this many values garbage is not worth a look.
_SMALL = 4096
# Chunks are not merged beyond this: 32-bit offsets end at 2 GiB.
_CHUNK_BYTES = 1 << 29


class ValueLog:
    """``set`` appends a chunk and points the slots at it; the value pointed at before becomes garbage.

    Chunks are merged like the digits of a binary counter, so that there are O(log n) of them and a value is
    copied O(log n) times. When more than half of the log is garbage the live values are copied to a new log;
    a copy of one million short strings takes about 60 ms.
    """

    def __init__(self, arrow_type: pa.DataType, memory: StateMemory | None = None) -> None:
        self.arrow_type = arrow_type
        self._memory = memory
        self.set_count = 0
        """Slots that are not NULL."""
        self._chunks: list[pa.Array] = []
        self._length = 0
        self._log: pa.ChunkedArray | None = None
        self._positions: I64 = np.zeros(0, np.int64)  # 1 + place in the log; 0 is NULL
        self._live = 0  # slots that were not NULL at the last count
        self._doubt = 0  # values appended or cleared since

    def get(self, slots: I64) -> pa.Array:
        """The values; NULL for a slot never written or negative."""
        inside = (slots >= 0) & (slots < len(self._positions))
        if inside.all():
            positions = self._positions.take(slots)
        else:
            positions = np.zeros(len(slots), np.int64)
            positions[inside] = self._positions[slots[inside]]
        return self._take(positions - 1)

    def is_set(self, slots: I64) -> Bools:
        inside = (slots >= 0) & (slots < len(self._positions))
        inside[inside] = self._positions[slots[inside]] > 0
        return inside

    def _take(self, positions: I64) -> pa.Array:
        if not self._chunks:
            return pa.nulls(len(positions), self.arrow_type)
        indices = take_indices(positions)
        if len(self._chunks) == 1:
            return self._chunks[0].take(indices)
        log = self._log if self._log is not None else pa.chunked_array(self._chunks, self.arrow_type)
        self._log = log
        return as_array(log.take(indices), self.arrow_type)

    def set(self, slots: I64, values: pa.Array) -> None:
        """Among equal slots the last one wins."""
        if not len(slots):
            return
        array = as_array(values, self.arrow_type)
        valid = validity(array)
        positions = np.zeros(len(slots), np.int64)
        if valid is None:
            positions[:] = np.arange(self._length + 1, self._length + 1 + len(slots))
        else:
            array = array.filter(pa.array(valid))
            positions[valid] = np.arange(self._length + 1, self._length + 1 + len(array))
        self._positions = grown(self._positions, int(slots.max()) + 1, self._memory)
        self.set_count -= self._distinct_set(slots)
        self._positions[slots] = positions
        self.set_count += self._distinct_set(slots)
        if len(array):
            self._append(array)
        self._doubt += len(slots)
        self._compact_when_due()

    def clear(self, slots: I64) -> None:
        if not len(slots):
            return
        self._positions = grown(self._positions, int(slots.max()) + 1, self._memory)
        self.set_count -= self._distinct_set(slots)
        self._positions[slots] = 0
        self._doubt += len(slots)
        self._compact_when_due()

    def _distinct_set(self, slots: I64) -> int:
        return distinct_count(slots[self._positions.take(slots) > 0])

    def _append(self, array: pa.Array) -> None:
        merged = [array]
        size, nbytes = len(array), array.nbytes
        while self._chunks and len(self._chunks[-1]) < 2 * size:
            nbytes += self._chunks[-1].nbytes
            if nbytes > _CHUNK_BYTES:
                break
            merged.append(self._chunks.pop())
            size += len(merged[-1])
        # Also a chunk alone is copied: a slice would keep the whole batch it came from alive.
        self._chunks.append(self._kept(pa.concat_arrays(merged[::-1])))
        self._length += len(array)
        self._log = None

    def _kept(self, chunk: pa.Array) -> pa.Array:
        if self._memory is None:
            return chunk
        return self._memory.kept(pa.RecordBatch.from_arrays([chunk], ["value"])).column(0)

    def _compact_when_due(self) -> None:
        """Counting what is live costs a pass over all slots, so it waits until it can have halved the log."""
        if self._doubt <= max(_SMALL, self._live // 2) or self._length <= _SMALL:
            return
        self._live = int(np.count_nonzero(self._positions))
        self._doubt = 0
        if self._length <= 2 * self._live:
            return
        slots = np.flatnonzero(self._positions)
        pieces = 1 + sum(c.nbytes for c in self._chunks) // _CHUNK_BYTES
        places = np.array_split(self._positions[slots] - 1, pieces)
        chunks = [self._kept(self._take(p)) for p in places if len(p)]
        self._chunks = chunks
        self._length = len(slots)
        self._positions[slots] = np.arange(1, len(slots) + 1)
        self._log = None

    @property
    def nbytes(self) -> int:
        return int(sum(c.nbytes for c in self._chunks)) + self._positions.nbytes

    @property
    def size(self) -> int:
        """Slots addressable so far."""
        return len(self._positions)

    @property
    def log_length(self) -> int:
        """Values in the log, garbage included."""
        return self._length
