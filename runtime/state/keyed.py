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

from .buffers import I64

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


def in_pieces(slots: I64, get: Callable[[I64], pa.Array], arrow_type: pa.DataType) -> pa.ChunkedArray:
    """``get`` of all slots; as several arrays where they are many."""
    pieces = [get(slots[at : at + _PIECE_ROWS]) for at in range(0, len(slots), _PIECE_ROWS)]
    return pa.chunked_array(pieces, arrow_type)


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
    for number in np.unique(which).tolist():
        here = np.flatnonzero(which == number)
        parts.append(batches[number].take(pa.array(rows[here] - starts[number])))
        places[here] = np.arange(offset, offset + len(here))
        offset += len(here)
    if len(parts) == 1:
        return parts[0]
    return pa.concat_batches(parts).take(pa.array(places))
