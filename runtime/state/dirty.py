"""Which slots were written since the last cut."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import ref

import numpy as np
import numpy.typing as npt

from .buffers import I64

I32 = npt.NDArray[np.int32]
Part = I64 | I32

# Fewer slots than this are not worth folding.
_FEW = 1 << 20


class DirtySlots:
    """Keeps the arrays of slots it is given, which must not change any more, and folds them into one now and then.

    So a mark costs nothing but a reference. The columns of an operator are mostly written at the same slots: what
    one of them has folded, the others take over.
    """

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._rows = 0  # in parts that are not folded
        self._folded = 0

    def mark(self, slots: I64) -> None:
        if not len(slots):
            return
        slots.flags.writeable = False  # whoever changes it later is told
        self._parts.append(slots)
        self._rows += len(slots)
        if self._rows > max(_FEW, self._folded):
            self._parts = [_union(self._parts)]
            self._rows, self._folded = 0, len(self._parts[0])

    def take(self) -> I64:
        """The marked slots, ascending; from now on none is marked."""
        slots = _union(self._parts)
        self._parts, self._rows, self._folded = [], 0, 0
        return slots.astype(np.int64)

    @property
    def nbytes(self) -> int:
        return 8 * self._rows + 4 * self._folded


_last: tuple[Sequence[ref[Part]], I32] = [], np.zeros(0, np.int32)


def _union(parts: Sequence[Part]) -> I32:
    """The slots of all parts, ascending."""
    global _last
    if not parts:
        return np.zeros(0, np.int32)
    known, result = _last
    if len(known) == len(parts) and all(k() is p for k, p in zip(known, parts, strict=True)):
        return result
    count, highest = sum(map(len, parts)), max(int(p.max()) for p in parts)
    if highest < 32 * count:
        marks = np.zeros(highest + 1, np.bool_)
        for part in parts:
            marks[part] = True
        result = np.flatnonzero(marks).astype(np.int32)
    else:
        joined = np.concatenate(parts).astype(np.int32)
        joined.sort()
        result = joined[np.append(True, joined[1:] != joined[:-1])]
    result.flags.writeable = False
    _last = [ref(p) for p in parts], result
    return result
