"""A lookup table that is held whole: read when the job starts, and again now and then by a thread.

Rows of a new reading take over between two steps, all at once. Where a reading fails the old rows stay, the status says
so, and it is tried again.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import replace
from zoneinfo import ZoneInfo

from streamsql.catalog.lookup import Reload
from streamsql.changelog import ChangelogBatch
from streamsql.errors import StreamSqlError

from .base import Source, SourceContext
from .rowless import RowlessSource
from .waiting import StoppedError

RETRY_MS = 60_000
"""After a reading that failed the next one comes no later than this."""


class WholeTable(RowlessSource):
    """See the module's text. ``open_source`` makes a reader of the table; ``stopping``: whether the job is to end."""

    def __init__(
        self,
        context: SourceContext,
        reload: Reload | None,
        open_source: Callable[[SourceContext], Source],
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._context = context
        self._reload = reload
        self._open = open_source
        self._stopping = stopping
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._found: ChangelogBatch | StreamSqlError | None = None
        self._begun_ms = 0
        self._status: str | None = None
        self.next_ms: int | None = None
        """When the table is to be read again; None for never, and while that goes on."""
        self.rows: ChangelogBatch | None = None
        """All rows and their weights; None for none."""
        self.reading = 0
        """Which reading they are of, counted from 1; 0 before the first."""

    def start(self) -> None:
        """Read the table. Raises what reading raises."""
        self._begun_ms = self._context.now_ms()
        self._take(self._read())

    def refresh(self, now_ms: int) -> None:
        """Take over what was read, and begin to read where that is due."""
        if self._thread is not None and not self._thread.is_alive():
            self._thread.join()
            self._thread = None
            if isinstance(self._found, StreamSqlError):
                self._status = (
                    f"table {self._context.table.path}: reading it again failed, the rows read before are used: "
                    f"{self._found.message}"
                )
                self.next_ms = min(self._after(now_ms), now_ms + RETRY_MS)
            else:
                self._take(self._found)
        if self._thread is None and self.next_ms is not None and self.next_ms <= now_ms:
            self.next_ms = None
            self._begun_ms = now_ms
            self._thread = threading.Thread(target=self._read_again, name="lookup-reload", daemon=True)
            self._thread.start()

    def _take(self, rows: ChangelogBatch | None) -> None:
        self.rows = rows
        self.reading += 1
        self._status = None
        self.next_ms = None if self._reload is None else self._after(self._context.now_ms())

    def _after(self, now_ms: int) -> int:
        """When the reading after one that ended at ``now_ms`` is due."""
        assert self._reload is not None
        if self._reload.time_of_day_ms is not None:
            return next_time_of_day(self._reload, now_ms, self._context.time_zone, first=not self.reading)
        return (self._begun_ms if self._reload.fixed_rate else now_ms) + self._reload.interval_ms

    def _read_again(self) -> None:
        try:
            self._found = self._read()
        except StreamSqlError as e:
            self._found = e
        except Exception as e:
            self._found = StreamSqlError(f"{type(e).__name__}: {e}")
        self._context.wake()

    def _read(self) -> ChangelogBatch | None:
        ready = threading.Event()
        source = self._open(replace(self._context, wake=ready.set, positions={}, bounded=True))
        batches: list[ChangelogBatch] = []
        finished: set[str] = set()
        try:
            source.start()
            while not self._closed.is_set():
                if self._stopping():
                    raise StoppedError("stopped while a table was read")
                ready.clear()
                found = source.poll(self._context.batch_rows_max)
                if found is None:
                    self._status = source.status() or self._status
                    if finished and set(source.splits()) <= finished:
                        break
                    ready.wait(0.1)
                    continue
                finished |= found.finished
                if found.batch is not None:
                    batches.append(found.batch)
        finally:
            source.close()
        return ChangelogBatch.concat(batches)

    def status(self) -> str | None:
        return self._status

    def close(self) -> None:
        self._closed.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()


def next_time_of_day(reload: Reload, now_ms: int, time_zone: str, *, first: bool) -> int:
    """The next moment of that time of day, in epoch ms; after the first one ``days`` days later.

    >>> next_time_of_day(Reload(time_of_day_ms=3_600_000, offset_ms=0), 0, "UTC", first=True)
    3600000
    >>> next_time_of_day(Reload(time_of_day_ms=3_600_000, days=2), 3_600_000, "Europe/Berlin", first=False)
    172800000
    """
    assert reload.time_of_day_ms is not None
    zone = (
        ZoneInfo(time_zone)
        if reload.offset_ms is None
        else dt.timezone(dt.timedelta(milliseconds=reload.offset_ms))
    )
    now = dt.datetime.fromtimestamp(now_ms / 1000, zone)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    moment = midnight + dt.timedelta(milliseconds=reload.time_of_day_ms)
    days = (1 if moment <= now else 0) + (0 if first else reload.days - 1)
    return int((moment + dt.timedelta(days=days)).timestamp() * 1000)
