"""Which rows of a growing result are on screen: pages, selection and rows. No terminal here."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from streamsql.changelog import Row

from .render import RowFormatter, content_widths

CHANGES_MAX = 1000  # changes kept in changelog mode, as in Flink


class RowStore(Protocol):
    """Rows in order; ``dropped`` counts those no longer kept."""

    dropped: int

    def __len__(self) -> int: ...
    def apply(self, rows: Sequence[Row]) -> None: ...
    def rows(self, start: int, stop: int) -> list[Row]: ...


class Changes:
    """The latest changes."""

    def __init__(self, rows_max: int = CHANGES_MAX) -> None:
        self.dropped = 0
        self._rows: deque[Row] = deque(maxlen=rows_max)

    def __len__(self) -> int:
        return len(self._rows)

    def apply(self, rows: Sequence[Row]) -> None:
        before = len(self._rows) + len(rows)
        self._rows.extend(rows)
        self.dropped += before - len(self._rows)

    def rows(self, start: int, stop: int) -> list[Row]:
        return list(islice(self._rows, start, stop))


class Pager:
    """The page on screen. ``page`` counts from 1; None follows the last page as it grows."""

    def __init__(self) -> None:
        self.page: int | None = 1
        self.size = 1
        self.total = 0
        self.selected = 0  # on the page

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.size))

    @property
    def current(self) -> int:
        return self.pages if self.page is None else min(self.page, self.pages)

    def window(self) -> tuple[int, int]:
        """First and past-the-end row of the page; following the end, the last rows."""
        if self.page is None:
            return max(0, self.total - self.size), self.total
        start = (self.current - 1) * self.size
        return start, min(start + self.size, self.total)

    def resize(self, size: int, total: int) -> None:
        self.size, self.total = max(1, size), total
        start, stop = self.window()
        self.selected = min(self.selected, max(0, stop - start - 1))

    def next(self) -> None:
        self.page = min(self.current + 1, self.pages)

    def previous(self) -> None:
        self.page = max(self.current - 1, 1)

    def last(self) -> None:
        self.page = None

    def goto(self, page: int) -> None:
        self.page = max(1, min(page, self.pages))

    def move(self, by: int) -> None:
        """Moves the selection, over the edge to the page beside."""
        start, stop = self.window()
        wanted = self.selected + by
        if wanted < 0:
            if self.current > 1:
                self.previous()
                self.selected = self.size - 1
        elif wanted >= stop - start:
            if self.current < self.pages:
                self.next()
                self.selected = 0
        else:
            self.selected = wanted


class Page:
    """What was on screen at the last refresh: rows as texts, with widths that only grow, so that columns
    stand still."""

    def __init__(self, formatter: RowFormatter, width_max: int) -> None:
        self.names = formatter.names
        self.rows: list[Row] = []
        self.texts: list[list[str]] = []
        self.widths = content_widths(self.names, [], width_max)
        self._formatter = formatter
        self._width_max = width_max

    def show(self, rows: list[Row]) -> None:
        self.rows = rows
        self.texts = [self._formatter.texts(r) for r in rows]
        now = content_widths(self.names, self.texts, self._width_max)
        self.widths = [max(a, b) for a, b in zip(self.widths, now, strict=True)]
