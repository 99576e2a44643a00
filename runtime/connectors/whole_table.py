"""A lookup table that is held whole: read when the job starts, and again now and then by a thread.

Rows of a new reading take over between two steps, all at once. Where a reading fails the old rows stay, the status says
so, and it is tried again.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from streamsql.catalog.lookup import Reload
from streamsql.changelog import ChangelogBatch
from streamsql.errors import StreamSqlError

from .base import BadRecord, Source, SourceContext
from .rowless import RowlessSource
from .waiting import StoppedError

RETRY_MS = 60_000
"""After a reading that failed the next one comes no later than this."""


@dataclass(frozen=True)
class _Reading:
    """What a reading found."""

    rows: ChangelogBatch | None
    unreadable: Sequence[BadRecord]


class WholeTable(RowlessSource):
    """See the module's text. ``open_source`` makes a reader of the table."""

    def __init__(
        self, context: SourceContext, reload: Reload | None, open_source: Callable[[SourceContext], Source]
    ) -> None:
        self._context = context
        self._reload = reload
        self._open = open_source
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._found: _Reading | StreamSqlError | None = None  # by the thread, once ``_ready``
        self._ready = False
        self._source: Source | None = None
        self._begun_ms = 0
        self._status: str | None = None
        self._next_ms: int | None = None
        self.rows: ChangelogBatch | None = None
        """All rows and their weights; None for none. Who has taken them over sets this to None."""
        self.reading = 0
        """Which reading they are of, counted from 1; 0 before the first."""

    def start(self) -> None:
        """Read the table. Raises what reading raises."""
        self._begun_ms = self._context.now_ms()
        self._take(self._read())

    @property
    def next_ms(self) -> int | None:
        """When :meth:`refresh` has something to do: at once where a reading has ended. None for never, or not yet."""
        return 0 if self._ready else self._next_ms

    def refresh(self, now_ms: int) -> None:
        """Take over what was read, and begin to read where that is due."""
        if self._ready and self._thread is not None:
            self._thread.join()
            self._thread, self._ready = None, False
            found, self._found = self._found, None
            if isinstance(found, _Reading):
                self._take(found)
            elif found is not None:
                self._status = (
                    f"table {self._context.table.path}: reading it again failed, the rows read before are used: "
                    f"{found.message}"
                )
                self._next_ms = min(self._after(now_ms), now_ms + RETRY_MS)
        if self._thread is None and self._next_ms is not None and self._next_ms <= now_ms:
            self._next_ms = None
            self._begun_ms = now_ms
            self._thread = threading.Thread(target=self._read_again, name="lookup-reload", daemon=True)
            self._thread.start()

    def _take(self, found: _Reading) -> None:
        self.rows, self.unreadable = found.rows, [*self.unreadable, *found.unreadable]
        self.reading += 1
        self._status = None
        self._next_ms = None if self._reload is None else self._after(self._context.now_ms())

    def _after(self, now_ms: int) -> int:
        """When the reading after one that ended at ``now_ms`` is due."""
        assert self._reload is not None
        if self._reload.time_of_day_ms is not None:
            return next_time_of_day(self._reload, now_ms, self._context.time_zone, first=self.reading <= 1)
        return (self._begun_ms if self._reload.fixed_rate else now_ms) + self._reload.interval_ms

    def _read_again(self) -> None:
        try:
            self._found = self._read()
        except StreamSqlError as e:
            self._found = e
        except Exception as e:
            self._found = StreamSqlError(f"{type(e).__name__}: {e}")
        self._ready = True
        self._context.wake()

    def _read(self) -> _Reading:
        ready = threading.Event()
        source = self._open(
            replace(self._context, wake=ready.set, positions={}, bounded=True, stopping=self._given_up)
        )
        batches: list[ChangelogBatch] = []
        unreadable: list[BadRecord] = []
        finished: set[str] = set()
        self._source = source
        try:
            source.start()
            while True:
                if self._given_up():
                    raise StoppedError("stopped while a table was read")
                ready.clear()
                found = source.poll(self._context.batch_rows_max)
                if found is None:
                    if finished and set(source.splits()) <= finished:
                        break
                    ready.wait(0.1)
                    continue
                finished |= found.finished
                unreadable += found.bad_records
                if found.batch is not None:
                    batches.append(found.batch)
        finally:
            self._source = None
            source.close()
        return _Reading(ChangelogBatch.concat(batches), unreadable)

    def _given_up(self) -> bool:
        """Whether nobody waits for the table any more."""
        return self._closed.is_set() or self._context.stopping()

    def status(self) -> str | None:
        source = self._source
        return (None if source is None else source.status()) or self._status

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
