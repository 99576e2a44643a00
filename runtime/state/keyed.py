"""Tables of slots: how the changes of several cuts become one table.

::

    slot live value          slot live value           slot live value
      1  yes  a        +       2  no                ─▶    1  yes  a
      2  yes  b                3  yes  c                  3  yes  c
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from .buffers import I64, Bools, distinct_values, raw_values
from .memory import StateMemory

SLOT, LIVE = "slot", "live"

# Rows and bytes gathered at once: a column of strings must stay below the 2 GiB of 32-bit offsets.
_PIECE_ROWS, _PIECE_BYTES = 1 << 18, 1 << 28
# The first piece of a table says how long its rows are.
_FIRST_ROWS = 1 << 13
# Bytes of a map of slots for each row: more would cost more than sorting the rows.
_SPREAD_MAX = 32

Columns: TypeAlias = Callable[[I64], list[pa.Array]]
"""The columns of some slots."""


def merge_keyed(tables: Sequence[pa.Table], *, keep_dead: bool = False) -> pa.Table:
    """The last row of each slot, in no order; ``tables`` are oldest first, have one schema, and a slot once each.

    Rows that say that a slot is empty (``live`` false) are left out, or kept where older tables may know the slot.
    What stays whole is not copied, unless it is small.
    """
    schema = tables[0].schema
    batches = [batch for table in tables for batch in table.to_batches() if batch.num_rows]
    slots = _dense([raw_values(batch.column(SLOT)) for batch in batches])
    later = np.zeros(max((int(own.max()) + 1 for own in slots), default=0), np.bool_)
    kept: list[pa.RecordBatch] = []
    for batch, own in zip(reversed(batches), reversed(slots), strict=True):
        stays = ~later[own]
        later[own] = True
        if not keep_dead:
            stays &= raw_values(batch.column(LIVE))
        kept.append(batch if stays.all() else batch.filter(pa.array(stays)))
    return pa.Table.from_batches(_in_pieces(reversed(kept)), schema)


def _dense(slots: list[I64]) -> list[I64]:
    """The same slots, renumbered from 0 so that the highest is in proportion to their count."""
    if not slots:
        return slots
    lowest, highest = min(int(own.min()) for own in slots), max(int(own.max()) for own in slots)
    if highest - lowest < _SPREAD_MAX * sum(map(len, slots)):
        return [own - lowest for own in slots] if lowest else slots
    known = distinct_values(np.concatenate(slots))
    return [np.searchsorted(known, own) for own in slots]


def _in_pieces(batches: Iterable[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """The same rows; neighbours that are small together become one."""
    pieces: list[list[pa.RecordBatch]] = []
    rows = nbytes = 0
    for batch in batches:
        rows, nbytes = rows + batch.num_rows, nbytes + batch.nbytes
        if not pieces or rows > _PIECE_ROWS or nbytes > _PIECE_BYTES:
            pieces.append([])
            rows, nbytes = batch.num_rows, batch.nbytes
        pieces[-1].append(batch)
    return [piece[0] if len(piece) == 1 else pa.concat_batches(piece) for piece in pieces]


def keyed_table(slots: I64, columns: Columns, schema: pa.Schema, memory: StateMemory | None) -> pa.Table:
    """The ``columns`` of all slots, as several batches where they are large.

    Where memory is limited they lie in a file, however much room there is: all states of a cut are asked at once, and
    nobody counts what they give. What is small stays in memory.
    """
    batches = _gathered(slots, columns, schema, memory)
    first = next(batches, None)
    if first is None or memory is None or (first.num_rows == len(slots) and memory.is_small(first)):
        return pa.Table.from_batches([first, *batches] if first is not None else [], schema)
    return memory.cut(schema, chain([first], batches))


def _gathered(
    slots: I64, columns: Columns, schema: pa.Schema, memory: StateMemory | None
) -> Iterator[pa.RecordBatch]:
    """The ``columns`` of all slots, about so many bytes a batch, that are in memory until they are taken."""
    most = _PIECE_BYTES if memory is None else min(_PIECE_BYTES, memory.at_once)
    at, rows = 0, min(_FIRST_ROWS, _PIECE_ROWS)
    while at < len(slots):
        part = slots[at : at + rows]
        try:
            batch = pa.RecordBatch.from_arrays(columns(part), schema=schema)
        except (OverflowError, pa.ArrowInvalid):  # beyond 2 GiB: these rows are far longer than those before
            if len(part) == 1:
                raise
            rows = len(part) // 2
            continue
        at += len(part)
        rows = min(_PIECE_ROWS, max(1, len(part) * most // max(batch.nbytes, 1)))
        yield batch
        if memory is not None:
            memory.ease()


def pieces_where(size: int, is_set: Callable[[I64], Bools]) -> I64:
    """The slots below ``size`` that are set, ascending."""
    pieces = [np.arange(at, min(at + _PIECE_ROWS, size)) for at in range(0, size, _PIECE_ROWS)]
    return np.concatenate([np.zeros(0, np.int64), *(piece[is_set(piece)] for piece in pieces)])
