"""A column of values addressed by slot: what an operator keeps per key beside its :class:`KeyIndex`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from . import int128
from .base import State
from .buffers import I64, INT128, Bools, Raw, is_text, raw_values, storage_dtype
from .dirty import DirtySlots
from .fixed_values import FixedValues
from .keyed import LIVE, SLOT, in_pieces
from .text_values import TextValues
from .value_log import ValueLog

VALUES = "slots-values"


class SlotColumn(State):
    """Values of one Arrow type; a slot never written is NULL, and the column grows to the slots it is given.

    Fixed-width types live in numpy arrays and offer raw access (:meth:`values`, :meth:`put`, :meth:`add`,
    :meth:`minimum`, :meth:`maximum`); strings live in a byte buffer, other types in a log of Arrow chunks.
    DECIMAL's raw values are of dtype :data:`INT128`.
    """

    def __init__(self, arrow_type: pa.DataType) -> None:
        self.type = arrow_type
        self._dirty: DirtySlots | None = None
        self._reset()

    def _reset(self) -> None:
        arrow_type = self.type
        self._fixed = FixedValues(arrow_type) if storage_dtype(arrow_type) is not None else None
        self._store: FixedValues | TextValues | ValueLog = self._fixed or (
            TextValues if is_text(arrow_type) else ValueLog
        )(arrow_type)

    @property
    def _raw(self) -> FixedValues:
        assert self._fixed is not None, f"{self.type} has no raw values"
        return self._fixed

    def _mark(self, slots: I64) -> None:
        if self._dirty is not None:
            self._dirty.mark(slots)

    def get(self, slots: I64) -> pa.Array:
        """The values; NULL where a slot is unset or negative."""
        return self._store.get(slots)

    def set(self, slots: I64, values: pa.Array) -> None:
        """Among equal slots the last one wins."""
        assert len(slots) == len(values), f"{len(slots)} slots, {len(values)} values"
        self._store.set(slots, values)
        self._mark(slots)

    def clear(self, slots: I64) -> None:
        """Back to NULL."""
        self._store.clear(slots)
        self._mark(slots)

    def values(self, slots: I64) -> Raw:
        """A copy of the raw values; 0 where NULL or where a slot is negative."""
        return self._raw.read_data(slots)

    def is_set(self, slots: I64) -> Bools:
        """True where the value is not NULL."""
        return self._store.is_set(slots)

    def put(self, slots: I64, values: Raw) -> None:
        """:meth:`set` with raw values, none of them NULL."""
        self._raw.write(slots, values, None)
        self._mark(slots)

    def add(self, slots: I64, values: Raw, *, unique: bool = False) -> None:
        """Adds raw values to their slots, NULL counting as 0; equal slots add up. ``unique``: no slot comes
        twice.

        Integers wrap around as Flink's BIGINT does. Raises OverflowError where a DECIMAL exceeds 38 digits;
        the column is then unchanged.
        """
        store = self._raw
        store.reserve_for(slots)
        if store.data.dtype == INT128:
            int128.add_at(store.data, slots, values, unique=unique)
        else:
            np.add.at(store.data, slots, values.astype(store.data.dtype, copy=False))
        store.mark_set(slots)
        self._mark(slots)

    def minimum(self, slots: I64, values: Raw) -> None:
        """Lowers the slots to ``values``; NULL counts as nothing, NaN as the greatest value."""
        self._extremum(slots, values, np.fmin)

    def maximum(self, slots: I64, values: Raw) -> None:
        """Raises the slots to ``values``; NULL counts as nothing, NaN as the greatest value."""
        self._extremum(slots, values, np.maximum)

    def _extremum(self, slots: I64, values: Raw, function: np.ufunc) -> None:
        store = self._raw
        store.reserve_for(slots)
        values = values.astype(store.data.dtype, copy=False)
        first = ~store.valid[slots]
        store.data[slots[first]] = values[first]
        store.mark_set(slots)
        self._mark(slots)
        if store.data.dtype == INT128:
            int128.extremum_at(store.data, slots, values, largest=function is np.maximum)
            return
        with np.errstate(invalid="ignore"):  # NaN is a value here
            function.at(store.data, slots, values)

    def snapshot(self) -> dict[str, pa.Table]:
        """``slots-values``: ``slot`` and ``value`` where it is not NULL."""
        return {VALUES: self._table(np.flatnonzero(self.is_set(np.arange(self._store.size))))}

    def track_changes(self) -> None:
        self._dirty = DirtySlots()

    def changes(self) -> dict[str, pa.Table]:
        return self.snapshot() if self._dirty is None else {VALUES: self._table(self._dirty.take())}

    def _table(self, slots: I64) -> pa.Table:
        columns = {
            SLOT: pa.array(slots),
            LIVE: pa.array(self.is_set(slots)),
            "value": in_pieces(slots, self._store.get, self.type),
        }
        return pa.table(columns)

    def restore(self, tables: Mapping[str, pa.Table]) -> None:
        self._reset()
        for batch in tables[VALUES].to_batches():
            self._store.set(batch.column(SLOT).to_numpy(), batch.column("value"))
        if self._dirty is not None:
            self._dirty = DirtySlots()

    @property
    def nbytes(self) -> int:
        return self._store.nbytes + (0 if self._dirty is None else self._dirty.nbytes)

    @property
    def row_count(self) -> int:
        """Slots that are not NULL."""
        return self._store.set_count

    def read(self) -> pa.Table:
        """``slot`` and ``value`` of every slot that is not NULL."""
        slots = np.flatnonzero(self.is_set(np.arange(self._store.size)))
        return pa.table({"slot": pa.array(slots), "value": self.get(slots)})


def raw(values: pa.Array) -> Raw:
    """The raw values of an Arrow array without NULLs, as :meth:`SlotColumn.add` takes them."""
    assert values.null_count == 0
    return raw_values(values)
