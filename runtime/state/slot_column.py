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
from .keyed import LIVE, SLOT, keyed_table, pieces_where
from .memory import StateMemory
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
        self._memory: StateMemory | None = None
        self._reset()

    def _reset(self) -> None:
        fixed = storage_dtype(self.type) is not None
        self._fixed = FixedValues(self.type, self._memory) if fixed else None
        self._store: FixedValues | TextValues | ValueLog = self._fixed or (
            TextValues if is_text(self.type) else ValueLog
        )(self.type, self._memory)

    def limit_memory(self, memory: StateMemory) -> None:
        self._memory = memory
        memory.watch(self)
        self._reset()

    @property
    def _raw(self) -> FixedValues:
        assert self._fixed is not None, f"{self.type} has no raw values"
        return self._fixed

    def _mark(self, slots: I64) -> None:
        """After each change."""
        if self._dirty is not None:
            self._dirty.mark(slots)
        if self._memory is not None:
            self._memory.ease()

    def get(self, slots: I64) -> pa.Array:
        """The values; NULL where a slot is unset or negative."""
        found = self._store.get(slots)
        if self._memory is not None:
            self._memory.ease()
        return found

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
        return {VALUES: self._table(self._set_slots())}

    def _set_slots(self) -> I64:
        return pieces_where(self._store.size, self._store.is_set)

    def track_changes(self) -> None:
        self._dirty = DirtySlots()

    def changes(self) -> dict[str, pa.Table]:
        return self.snapshot() if self._dirty is None else {VALUES: self._table(self._dirty.take())}

    def _table(self, slots: I64) -> pa.Table:
        schema = pa.schema([(SLOT, pa.int64()), (LIVE, pa.bool_()), ("value", self.type)])

        def piece(slots: I64) -> list[pa.Array]:
            return [pa.array(slots), pa.array(self._store.is_set(slots)), self._store.get(slots)]

        return keyed_table(slots, piece, schema, self._memory)

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
        slots = self._set_slots()
        return pa.table({"slot": pa.array(slots), "value": self.get(slots)})


def raw(values: pa.Array) -> Raw:
    """The raw values of an Arrow array without NULLs, as :meth:`SlotColumn.add` takes them."""
    assert values.null_count == 0
    return raw_values(values)
