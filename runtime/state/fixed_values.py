"""Values of a fixed-width type in one growable numpy array, addressed by slot."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from .buffers import (
    I64,
    Bools,
    Raw,
    as_array,
    distinct_count,
    from_raw,
    grown,
    raw_values,
    storage_dtype,
    validity,
)
from .memory import StateMemory


class FixedValues:
    """``data`` holds 0 wherever ``valid`` is False; slots never written are NULL."""

    def __init__(self, arrow_type: pa.DataType, memory: StateMemory | None = None) -> None:
        self.arrow_type = arrow_type
        self._memory = memory
        self.data: Raw = np.zeros(0, storage_dtype(arrow_type))
        self.valid: Bools = np.zeros(0, np.bool_)
        self.set_count = 0
        """Slots that are not NULL."""

    def reserve(self, size: int) -> None:
        """Makes the slots below ``size`` addressable."""
        if size > len(self.data):
            self.data = grown(self.data, size, self._memory)
            self.valid = grown(self.valid, size, self._memory)

    def reserve_for(self, slots: I64) -> None:
        if len(slots):
            self.reserve(int(slots.max()) + 1)

    def get(self, slots: I64) -> pa.Array:
        """The values as Arrow; NULL for a slot never written or negative."""
        data, valid = self.read(slots)
        return from_raw(data, valid, self.arrow_type)

    def read(self, slots: I64) -> tuple[Raw, Bools]:
        """Copies of the values (0 at NULL) and their validity."""
        if not len(slots):
            return self.data[:0], self.valid[:0]
        if slots.min() >= 0:
            self.reserve_for(slots)
            return self.data.take(slots), self.valid.take(slots)
        present = np.flatnonzero(slots >= 0)
        self.reserve_for(slots)
        data, valid = np.zeros(len(slots), self.data.dtype), np.zeros(len(slots), np.bool_)
        data[present], valid[present] = self.data[slots[present]], self.valid[slots[present]]
        return data, valid

    def read_data(self, slots: I64) -> Raw:
        """A copy of the values alone."""
        if len(slots) and slots.min() >= 0:
            self.reserve_for(slots)
            return self.data.take(slots)
        return self.read(slots)[0]

    def set(self, slots: I64, values: pa.Array) -> None:
        array = as_array(values, self.arrow_type)
        self.write(slots, raw_values(array), validity(array))

    def write(self, slots: I64, data: Raw, valid: Bools | None) -> None:
        """Sets raw values; among equal slots the last one wins."""
        self.reserve_for(slots)
        if valid is None:
            self.data[slots] = data
            self.mark_set(slots)
        else:
            data = data.copy()
            data[~valid] = np.zeros((), data.dtype)
            self.data[slots] = data
            self._unset(slots)
            self.valid[slots] = valid
            self.set_count += distinct_count(slots[self.valid.take(slots)])

    def mark_set(self, slots: I64) -> None:
        """From now on these slots are not NULL; ``data`` holds their values."""
        new = np.flatnonzero(~self.valid.take(slots))
        if len(new):
            new = slots.take(new)
            self.valid[new] = True
            self.set_count += distinct_count(new)

    def clear(self, slots: I64) -> None:
        self.reserve_for(slots)
        self.data[slots] = np.zeros((), self.data.dtype)
        self._unset(slots)

    def _unset(self, slots: I64) -> None:
        self.set_count -= distinct_count(slots[self.valid.take(slots)])
        self.valid[slots] = False

    def is_set(self, slots: I64) -> Bools:
        return self.read(slots)[1]

    @property
    def size(self) -> int:
        """Slots addressable so far."""
        return len(self.data)

    @property
    def nbytes(self) -> int:
        return self.data.nbytes + self.valid.nbytes
