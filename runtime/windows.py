"""Arithmetic of windows and slices, on wall-clock milliseconds of the window's zone.

A TUMBLE window is one slice; HOP and CUMULATE windows are made of slices as wide as their slide or step. Windows are
``[start, end)``, aligned to the epoch in the zone, shifted by the offset.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from streamsql.planner.sql_parts import YEAR_ZERO_US, floor_ms

MIN_WATERMARK = -(2**63)
MAX_WATERMARK = 2**63 - 1
ZONE_MS_MAX = 15 * 3_600_000
"""No zone's clock is further from UTC."""
_EPOCH = dt.datetime(1970, 1, 1)


@dataclass(frozen=True)
class SlicedWindow:
    """``kind`` is TUMBLE, HOP or CUMULATE; all lengths in ms."""

    kind: str
    size_ms: int
    slice_ms: int
    offset_ms: int = 0
    zone: str = "UTC"

    def window_ends(self, slice_end: int) -> range:
        """Ends of the windows that contain the slice, ascending."""
        return range(slice_end, self.last_window_end(slice_end) + 1, self.slice_ms)

    def last_window_end(self, slice_end: int) -> int:
        """End of the last window that contains the slice: it is freed when that window has fired."""
        if self.kind == "CUMULATE":
            start = slice_end - self.slice_ms
            return start - (start - self.offset_ms) % self.size_ms + self.size_ms
        return slice_end + self.size_ms - self.slice_ms

    def window_start(self, window_end: int) -> int:
        """Start of the window with that end."""
        if self.kind == "CUMULATE":
            last = window_end - self.slice_ms
            return last - (last - self.offset_ms) % self.size_ms
        return window_end - self.size_ms

    def slices(self, window_end: int) -> range:
        """Ends of the window's slices."""
        return range(self.window_start(window_end) + self.slice_ms, window_end + 1, self.slice_ms)

    def due(self, slices: Iterable[int], before: int, watermark: int) -> list[int]:
        """Ends of windows over these ascending slices that ``watermark`` completes and ``before`` did not, in order.

        Looks only at windows near the watermark: a slice of a long HOP is in thousands.
        """
        ends: set[int] = set()
        slack = 0 if self.zone == "UTC" else ZONE_MS_MAX
        for s in slices:
            if to_utc(s, self.zone) - 1 > watermark:
                break
            fired = max(0, (before - slack - s) // self.slice_ms)
            for end in self.window_ends(s)[fired:]:
                fires_at = to_utc(end, self.zone) - 1
                if fires_at > watermark:
                    break
                if fires_at > before:
                    ends.add(end)
        return sorted(ends)


def to_utc(local_ms: int, zone: str) -> int:
    """Epoch milliseconds of a wall-clock time. In a gap or an overlap of daylight saving the earlier reading."""
    if zone == "UTC":
        return local_ms
    local = (_EPOCH + dt.timedelta(milliseconds=local_ms)).replace(tzinfo=ZoneInfo(zone))
    return local_ms - int(local.utcoffset().total_seconds() * 1000)  # type: ignore[union-attr]


def slice_end_sql(local_ms: str, slice_ms: int, offset_ms: int) -> str:
    """SQL of the slice end of a wall-clock millisecond expression; the remainder is floored for times before 1970."""
    shifted = f"({local_ms} - {offset_ms})" if offset_ms else f"({local_ms})"
    return f"({local_ms} - (({shifted} % {slice_ms}) + {slice_ms}) % {slice_ms} + {slice_ms})"


@dataclass(frozen=True)
class SliceSql:
    """How a query finds the slice of a row: it groups by ``number`` and turns that, as ``q``, into the ``end`` in ms.

    One division a row: the arithmetic that gives milliseconds is left for the groups. Shifted so that the dividend is
    positive for every year from 0 on, because DuckDB's ``//`` rounds toward zero.
    """

    number: str
    end: str

    @classmethod
    def of(cls, local_us: str, slice_ms: int, offset_ms: int) -> SliceSql:
        """Slices over a wall-clock microsecond expression."""
        slice_us = slice_ms * 1000
        skipped = YEAR_ZERO_US // slice_us + 1
        shift = skipped * slice_us - offset_ms * 1000
        return cls(
            f"(({local_us}) + {shift}) // {slice_us}", f"(q - {skipped - 1}) * {slice_ms} + {offset_ms}"
        )


def local_us_sql(column: str, *, ltz: bool, zone: str) -> str:
    """SQL of the wall-clock microseconds of a time column."""
    return f"epoch_us({_local(column, ltz=ltz, zone=zone)})"


def local_ms_sql(column: str, *, ltz: bool, zone: str) -> str:
    """SQL of the wall-clock milliseconds of a time column, rounded down."""
    return floor_ms(_local(column, ltz=ltz, zone=zone))


def _local(column: str, *, ltz: bool, zone: str) -> str:
    return f"timezone('{zone}', {column})" if ltz and zone != "UTC" else column
