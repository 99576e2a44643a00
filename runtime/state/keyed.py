"""Tables of slots: how the changes of several cuts become one table.

::

    slot live value          slot live value           slot live value
      1  yes  a        +       2  no                ─▶    1  yes  a
      2  yes  b                3  yes  c                  3  yes  c
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from .buffers import I64, Bools
from .memory import StateMemory

SLOT, LIVE = "slot", "live"

# Rows gathered at once: a column of strings must stay below the 2 GiB of 32-bit offsets.
_PIECE_ROWS = 1 << 18


def merge_keyed(tables: Sequence[pa.Table], *, keep_dead: bool = False) -> pa.Table:
    """The last row of each slot, sorted by slot; ``tables`` are oldest first and have one schema.

    Rows that say that a slot is empty (``live`` false) are left out, or kept where older tables may know the slot.
    """
    schema = tables[0].schema
    batches = [batch for table in tables for batch in table.to_batches() if batch.num_rows]
    if not batches:
        return schema.empty_table()
    rows = _last_rows(np.concatenate([_numbers(batch) for batch in batches]))
    if not keep_dead:
        live = np.concatenate([batch.column(LIVE).to_numpy(zero_copy_only=False) for batch in batches])
        rows = rows[live[rows]]
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    pieces = [
        _gathered(batches, starts, rows[at : at + _PIECE_ROWS]) for at in range(0, len(rows), _PIECE_ROWS)
    ]
    return pa.Table.from_batches(pieces, schema)


def keyed_table(
    slots: I64, columns: Callable[[I64], list[pa.Array]], schema: pa.Schema, memory: StateMemory | None
) -> pa.Table:
    """The ``columns`` of all slots, as several batches where they are many; in files where memory is limited."""
    batches = []
    for at in range(0, len(slots), _PIECE_ROWS):
        batch = pa.RecordBatch.from_arrays(columns(slots[at : at + _PIECE_ROWS]), schema=schema)
        batches.append(batch if memory is None else memory.kept(batch))
        if memory is not None:
            memory.ease()
    return pa.Table.from_batches(batches, schema)


def pieces_where(size: int, is_set: Callable[[I64], Bools]) -> I64:
    """The slots below ``size`` that are set, ascending."""
    pieces = [np.arange(at, min(at + _PIECE_ROWS, size)) for at in range(0, size, _PIECE_ROWS)]
    return np.concatenate([np.zeros(0, np.int64), *(piece[is_set(piece)] for piece in pieces)])


def _numbers(batch: pa.RecordBatch) -> I64:
    return np.asarray(batch.column(SLOT).to_numpy(), np.int64)


def _last_rows(slots: I64) -> I64:
    """The number of the last row of each slot, in order of slot."""
    bits = max(1, (len(slots) - 1).bit_length())
    assert int(slots.max()).bit_length() + bits < 64, f"slots up to {slots.max()}, {len(slots)} rows"
    packed = slots << bits
    packed |= np.arange(len(slots))
    packed.sort()  # far faster than a stable argsort
    ordered = packed >> bits
    last = np.append(ordered[1:] != ordered[:-1], True)
    result: I64 = packed[last] & ((1 << bits) - 1)
    return result


def _gathered(batches: Sequence[pa.RecordBatch], starts: I64, rows: I64) -> pa.RecordBatch:
    """These rows, counted through all batches, in this order."""
    which = np.searchsorted(starts, rows, side="right") - 1
    parts, places, offset = [], np.empty(len(rows), np.int64), 0
    for number in np.flatnonzero(np.bincount(which)).tolist():
        here = np.flatnonzero(which == number)
        parts.append(batches[number].take(pa.array(rows[here] - starts[number])))
        places[here] = np.arange(offset, offset + len(here))
        offset += len(here)
    if len(parts) == 1:
        return parts[0]
    return pa.concat_batches(parts).take(pa.array(places))
