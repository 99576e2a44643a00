"""Strings as bytes read eight at a time: gathered, compared and copied by numpy, one pass per word, no object
per row.

A pass works on the words at one offset within all strings, so the cost is the bytes; strings longer than
:data:`LONG` would make many passes over few rows and are handled one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .buffers import I64, U64, Bools, offsets_of, validity

LONG = 256
PADDING = 8
"""Bytes that must follow the last string, because its last word reads past its end."""

Bytes = npt.NDArray[np.uint8]

_MASKS = np.array([(1 << (8 * n)) - 1 for n in range(9)], np.uint64)


@dataclass(frozen=True)
class Texts:
    """Strings in one buffer that goes on for at least :data:`PADDING` bytes. NULL has length −1."""

    data: Bytes
    starts: I64
    lengths: I64

    def take(self, rows: I64) -> Texts:
        return Texts(self.data, self.starts.take(rows), self.lengths.take(rows))

    @property
    def sizes(self) -> I64:
        """Bytes per string, 0 for NULL."""
        return np.maximum(self.lengths, 0)

    @staticmethod
    def of(array: pa.Array) -> Texts:
        """The strings of an Arrow array of type (large) string or binary; copies their bytes."""
        offsets = offsets_of(array).astype(np.int64)
        first, total = int(offsets[0]), int(offsets[-1] - offsets[0])
        data = np.zeros(total + PADDING, np.uint8)
        if total:
            data[:total] = np.frombuffer(array.buffers()[2], np.uint8, total, first)
        lengths = np.diff(offsets)
        valid = validity(array)
        if valid is not None:
            lengths[~valid] = -1
        return Texts(data, offsets[:-1] - first, lengths)


def words_of(data: Bytes) -> U64:
    """A view of the eight bytes that begin at each byte."""
    return np.ndarray((len(data) - 7,), np.dtype("<u8"), data.data, strides=(1,))


def word_at(words: U64, starts: I64, lengths: I64, at: int) -> U64:
    """The words at offset ``at`` of strings, zero beyond their ends. ``at`` is 0 or within every string."""
    word = words[starts + at]
    word &= _mask(lengths, at)
    return word


def _mask(lengths: I64, at: int) -> U64:
    return np.asarray(_MASKS.take(np.clip(lengths - at, 0, 8)))


def equal(a: Texts, b: Texts) -> Bools:
    """Where the strings are the same; NULL equals NULL."""
    result = np.asarray(a.lengths == b.lengths)
    rows = np.flatnonzero(result & (a.lengths > 0))
    lengths = a.lengths[rows]
    if lengths.max(initial=0) > LONG:
        for row in rows[lengths > LONG].tolist():
            x, y, n = a.starts[row], b.starts[row], a.lengths[row]
            result[row] = np.array_equal(a.data[x : x + n], b.data[y : y + n])
        rows = rows[lengths <= LONG]
        lengths = a.lengths[rows]
    words_a, words_b = words_of(a.data), words_of(b.data)
    starts_a, starts_b = a.starts.take(rows), b.starts.take(rows)
    at = 0
    while len(rows):
        difference = words_a[starts_a + at]
        difference ^= words_b[starts_b + at]
        same = (difference & _mask(lengths, at)) == 0
        result[rows[~same]] = False
        at += 8
        more = np.flatnonzero(same & (lengths > at))
        rows, lengths = rows.take(more), lengths.take(more)
        starts_a, starts_b = starts_a.take(more), starts_b.take(more)
    return result


def joined(texts: Texts) -> tuple[I64, Bytes]:
    """The strings one after another: ``len + 1`` offsets, and their bytes with :data:`PADDING` after them.

    Words are written from the strings' ends to their beginnings, each pass in order of rows: what a last word
    writes past the end of its string is overwritten by the strings that follow.
    """
    offsets = np.zeros(len(texts.lengths) + 1, np.int64)
    np.cumsum(texts.sizes, out=offsets[1:])
    data = np.zeros(int(offsets[-1]) + PADDING, np.uint8)
    starts, lengths, targets = texts.starts, texts.lengths, offsets[:-1]
    longest = int(lengths.max(initial=0))
    long_rows: list[int] = []
    if longest > LONG:
        long_rows = np.flatnonzero(lengths > LONG).tolist()
        rows = np.flatnonzero(lengths <= LONG)
        starts, lengths, targets = starts[rows], lengths[rows], targets[rows]
        longest = int(lengths.max(initial=0))
    source, target = words_of(texts.data), words_of(data)
    for at in range((longest - 1) // 8 * 8, -1, -8):
        rows = np.flatnonzero(lengths > at)
        target[targets[rows] + at] = source[starts[rows] + at]
    for row in long_rows:
        start, length = texts.starts[row], texts.lengths[row]
        data[offsets[row] : offsets[row + 1]] = texts.data[start : start + length]
    data[offsets[-1] :] = 0
    return offsets, data


def to_arrow(texts: Texts, arrow_type: pa.DataType) -> pa.Array:
    """An Arrow array of type (large) string or binary."""
    offsets, data = joined(texts)
    if arrow_type in (pa.string(), pa.binary()):
        if offsets[-1] > np.iinfo(np.int32).max:
            raise OverflowError(f"{offsets[-1]} bytes do not fit one array of type {arrow_type}")
        offsets = offsets.astype(np.int32)
    present = texts.lengths >= 0
    bitmap = None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
    buffers = [bitmap, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(arrow_type, len(present), buffers)
