"""The key columns of a :class:`KeyIndex`: kept by slot, compared with the keys of a batch."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from . import texts
from .buffers import (
    I64,
    Bools,
    Raw,
    as_array,
    bit_view,
    canonical,
    is_text,
    raw_values,
    same_bits,
    storage_dtype,
    validity,
)
from .equality import values_equal
from .fixed_values import FixedValues
from .memory import StateMemory
from .text_values import TextValues
from .texts import Texts
from .value_log import ValueLog


class BatchKeys(Protocol):
    """One key column of a batch, prepared for comparing."""

    @abstractmethod
    def matches_slots(self, rows: I64, slots: I64) -> Bools:
        """Where the key of a row is that of a slot."""

    @abstractmethod
    def matches_rows(self, rows: I64, others: I64) -> Bools:
        """Where two rows of the batch have the same key."""

    def store(self, rows: I64, slots: I64) -> None:
        """Keeps the keys of these rows under these slots."""


class KeyColumn(Protocol):
    """One key column, addressed by slot."""

    def prepare(self, array: pa.Array) -> BatchKeys: ...

    def get(self, slots: I64) -> pa.Array: ...

    def clear(self, slots: I64) -> None: ...

    @property
    def nbytes(self) -> int: ...


def key_column(arrow_type: pa.DataType, memory: StateMemory | None = None) -> KeyColumn:
    """An empty column."""
    if storage_dtype(arrow_type) is not None:
        return _FixedKeys(FixedValues(arrow_type, memory))
    if is_text(arrow_type):
        return _TextKeys(TextValues(arrow_type, memory))
    return _LoggedKeys(ValueLog(arrow_type, memory))


class _FixedKeys:
    """Keys are stored canonically (one NaN, no −0.0), so that equality is equality of bits."""

    def __init__(self, values: FixedValues) -> None:
        self.values = values

    def prepare(self, array: pa.Array) -> _FixedBatch:
        array = as_array(array, self.values.arrow_type)
        raw, valid = canonical(raw_values(array)), validity(array)
        if valid is not None:
            raw = raw.copy()
            raw[~valid] = np.zeros((), raw.dtype)
        return _FixedBatch(self.values, raw, valid)

    def get(self, slots: I64) -> pa.Array:
        return self.values.get(slots)

    def clear(self, slots: I64) -> None:
        self.values.clear(slots)

    @property
    def nbytes(self) -> int:
        return self.values.nbytes


@dataclass(frozen=True)
class _FixedBatch:
    stored: FixedValues
    raw: Raw  # 0 at NULL
    valid: Bools | None

    def matches_slots(self, rows: I64, slots: I64) -> Bools:
        raw = bit_view(self.raw).take(rows)
        same = same_bits(raw, bit_view(self.stored.data).take(slots))
        # 0 stands for NULL too, so only there validity matters
        zero = np.flatnonzero(same & same_bits(raw, np.zeros((), raw.dtype)))
        if len(zero):
            valid = self.stored.valid.take(slots[zero])
            same[zero] = valid if self.valid is None else valid == self.valid[rows[zero]]
        return same

    def matches_rows(self, rows: I64, others: I64) -> Bools:
        bits = bit_view(self.raw)
        same = same_bits(bits.take(rows), bits.take(others))
        return same if self.valid is None else np.asarray(same & (self.valid[rows] == self.valid[others]))

    def store(self, rows: I64, slots: I64) -> None:
        self.stored.write(slots, self.raw[rows], None if self.valid is None else self.valid[rows])


class _TextKeys:
    """Strings, compared where they lie."""

    def __init__(self, values: TextValues) -> None:
        self.values = values

    def prepare(self, array: pa.Array) -> _TextBatch:
        return _TextBatch(self.values, Texts.of(as_array(array, self.values.arrow_type)))

    def get(self, slots: I64) -> pa.Array:
        return self.values.get(slots)

    def clear(self, slots: I64) -> None:
        self.values.clear(slots)

    @property
    def nbytes(self) -> int:
        return self.values.nbytes


@dataclass(frozen=True)
class _TextBatch:
    stored: TextValues
    texts: Texts

    def matches_slots(self, rows: I64, slots: I64) -> Bools:
        return texts.equal(self.texts.take(rows), self.stored.texts(slots))

    def matches_rows(self, rows: I64, others: I64) -> Bools:
        return texts.equal(self.texts.take(rows), self.texts.take(others))

    def store(self, rows: I64, slots: I64) -> None:
        self.stored.write(slots, self.texts.take(rows))


class _LoggedKeys:
    """Keys of nested and of rarer types, kept as they came."""

    def __init__(self, values: ValueLog) -> None:
        self.values = values

    def prepare(self, array: pa.Array) -> _LoggedBatch:
        return _LoggedBatch(self.values, as_array(array, self.values.arrow_type))

    def get(self, slots: I64) -> pa.Array:
        return self.values.get(slots)

    def clear(self, slots: I64) -> None:
        self.values.clear(slots)

    @property
    def nbytes(self) -> int:
        return self.values.nbytes


@dataclass(frozen=True)
class _LoggedBatch:
    stored: ValueLog
    array: pa.Array

    def matches_slots(self, rows: I64, slots: I64) -> Bools:
        return values_equal(self._take(rows), self.stored.get(slots))

    def matches_rows(self, rows: I64, others: I64) -> Bools:
        return values_equal(self._take(rows), self._take(others))

    def store(self, rows: I64, slots: I64) -> None:
        self.stored.set(slots, self._take(rows))

    def _take(self, rows: I64) -> pa.Array:
        if len(rows) == len(self.array) and len(rows) and rows[0] == 0 and (np.diff(rows) == 1).all():
            return self.array
        return self.array.take(pa.array(rows))
