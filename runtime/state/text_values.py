"""Strings and binaries addressed by slot: one growing byte buffer and, per slot, a place in it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .buffers import I64, Bools, as_array, distinct_count, grown, zeros
from .memory import StateMemory
from .texts import PADDING, Bytes, Texts, joined, to_arrow

# Below this many bytes garbage is not worth a look.
_SMALL = 1 << 16
# Slots whose bytes are copied at once.
_AT_ONCE = 1 << 20


class TextValues:
    """``set`` appends the bytes and points the slots at them; what was pointed at before becomes garbage.

    When more than half is garbage the live bytes are copied to a new buffer (about 30 ms per million short
    strings).
    """

    def __init__(self, arrow_type: pa.DataType, memory: StateMemory | None = None) -> None:
        self.arrow_type = arrow_type
        self._memory = memory
        self.set_count = 0
        """Slots that are not NULL."""
        self._reset(np.zeros(PADDING, np.uint8), 0)
        self._starts: I64 = np.zeros(0, np.int64)
        self._sizes: npt.NDArray[np.int32] = np.zeros(0, np.int32)  # 1 + length; 0 is NULL

    def _reset(self, data: Bytes, used: int) -> None:
        self._data, self._used = data, used
        self._live = used  # bytes pointed at when last counted
        self._doubt = 0  # bytes written or cleared since

    def texts(self, slots: I64) -> Texts:
        """The strings, in place; NULL for a slot never written or negative."""
        inside = (slots >= 0) & (slots < len(self._sizes))
        if inside.all():
            return Texts(self._data, self._starts.take(slots), self._sizes.take(slots).astype(np.int64) - 1)
        starts, lengths = np.zeros(len(slots), np.int64), np.full(len(slots), -1, np.int64)
        starts[inside] = self._starts[slots[inside]]
        lengths[inside] = self._sizes[slots[inside]] - 1
        return Texts(self._data, starts, lengths)

    def get(self, slots: I64) -> pa.Array:
        return to_arrow(self.texts(slots), self.arrow_type)

    def is_set(self, slots: I64) -> Bools:
        return self.texts(slots).lengths >= 0

    def set(self, slots: I64, values: pa.Array) -> None:
        """Among equal slots the last one wins."""
        self.write(slots, Texts.of(as_array(values, self.arrow_type)))

    def write(self, slots: I64, texts: Texts) -> None:
        if not len(slots):
            return
        if (texts.starts[1:] < texts.starts[:-1] + texts.sizes[:-1]).any() or len(texts.data) > 2 * (
            texts.sizes.sum() + PADDING
        ):
            offsets, data = joined(texts)  # not in one piece, or with much between
            texts = Texts(data, offsets[:-1], texts.lengths)
        count = len(texts.data) - PADDING
        self._reserve(slots)
        self._data = grown(self._data, self._used + count + PADDING, self._memory)
        self._data[self._used : self._used + count] = texts.data[:count]
        self._starts[slots] = texts.starts + self._used
        self.set_count -= self._distinct_set(slots)
        self._sizes[slots] = texts.lengths + 1
        self.set_count += self._distinct_set(slots)
        self._used += count
        self._doubt += count
        self._compact_when_due()

    def clear(self, slots: I64) -> None:
        if not len(slots):
            return
        self._reserve(slots)
        self._doubt += int(self._sizes[slots].sum())
        self.set_count -= self._distinct_set(slots)
        self._sizes[slots] = 0
        self._compact_when_due()

    def _distinct_set(self, slots: I64) -> int:
        return distinct_count(slots[self._sizes.take(slots) > 0])

    def _reserve(self, slots: I64) -> None:
        size = int(slots.max()) + 1
        self._starts = grown(self._starts, size, self._memory)
        self._sizes = grown(self._sizes, size, self._memory)

    def _compact_when_due(self) -> None:
        """Counting what is live costs a pass over all slots, so it waits until it may halve the buffer."""
        if self._doubt <= max(_SMALL, self._live // 2) or self._used <= _SMALL:
            return
        self._live = int(np.maximum(self._sizes, 1).sum(dtype=np.int64)) - len(self._sizes)
        self._doubt = 0
        if self._used <= 2 * self._live:
            return
        data, used = zeros(self._live + PADDING, np.uint8, self._memory), 0
        for first in range(0, len(self._sizes), _AT_ONCE):
            slots = np.flatnonzero(self._sizes[first : first + _AT_ONCE]) + first
            offsets, part = joined(self.texts(slots))
            data[used : used + len(part) - PADDING] = part[:-PADDING]
            self._starts[slots] = offsets[:-1] + used
            used += len(part) - PADDING
        self._reset(data, used)

    @property
    def size(self) -> int:
        """Slots addressable so far."""
        return len(self._sizes)

    @property
    def used_bytes(self) -> int:
        """Bytes in the buffer, garbage included."""
        return self._used

    @property
    def nbytes(self) -> int:
        return self._data.nbytes + self._starts.nbytes + self._sizes.nbytes
