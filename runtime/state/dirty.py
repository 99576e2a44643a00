"""Which slots were written since the last cut."""

from __future__ import annotations

import numpy as np

from .buffers import I64, Bools, grown

_PAGE_BITS = 14
# Up to here all marks are looked at, which takes less time than keeping account of pages (30 µs).
_FEW = 1 << 20


class DirtySlots:
    """A mark a slot; beyond :data:`_FEW` slots also a mark a page, so that a cut need not look at all of them."""

    def __init__(self) -> None:
        self._marks: Bools = np.zeros(0, np.bool_)
        self._pages: Bools = np.zeros(0, np.bool_)

    def mark(self, slots: I64) -> None:
        if not len(slots):
            return
        try:
            self._marks[slots] = True
        except IndexError:  # cheaper than to look for the highest slot each time
            self._marks = grown(self._marks, int(slots.max()) + 1)
            if len(self._marks) > _FEW:
                self._pages = grown(self._pages, (len(self._marks) >> _PAGE_BITS) + 1)
                marked = np.flatnonzero(self._marks)
                self._pages[marked >> _PAGE_BITS] = True
            self._marks[slots] = True
        if len(self._pages):
            self._pages[slots >> _PAGE_BITS] = True

    def take(self) -> I64:
        """The marked slots, ascending; from now on none is marked."""
        if not len(self._pages):
            slots = np.flatnonzero(self._marks)
            self._marks[slots] = False
            return slots
        found = [np.zeros(0, np.int64)]
        for page in np.flatnonzero(self._pages).tolist():
            marks = self._marks[page << _PAGE_BITS : (page + 1) << _PAGE_BITS]
            found.append(np.flatnonzero(marks) + (page << _PAGE_BITS))
            marks[:] = False
        self._pages[:] = False
        return np.concatenate(found)

    @property
    def nbytes(self) -> int:
        return self._marks.nbytes + self._pages.nbytes
