"""Time by hand: a clock that stands still until it is moved, and waiting until jobs have nothing left to do."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

from streamsql.errors import JobError, ValidationError
from streamsql.runtime.connectors.in_process import InProcessSource
from streamsql.runtime.job import Job, JobPlan
from streamsql.session import EnvironmentSettings, TableEnvironment

if TYPE_CHECKING:
    from .source import SourceTable

SETTLE_S_MAX = 60.0
"""Jobs that are not done after so long are not going to be: a source that never pauses, a client that does not read."""

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def epoch_ms(moment: int | dt.datetime) -> int:
    """Epoch milliseconds; a time without a zone is UTC."""
    if isinstance(moment, dt.datetime):
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
        return (aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
    if type(moment) is not int:
        raise ValidationError(f"a time is epoch milliseconds or a datetime, found {moment!r}")
    return moment


class VirtualClock:
    """Processing time that moves only when told. ``TableEnvironment(now_ms=clock)`` makes a session live in it.

    With a session given, the clock becomes that of the session's jobs from now on. Every call returns when the running
    jobs have nothing left to do.
    """

    def __init__(self, env: TableEnvironment | None = None, *, start: int | dt.datetime = START) -> None:
        self._now = epoch_ms(start)
        self._sessions: weakref.WeakSet[TableEnvironment] = weakref.WeakSet()
        self._sources: list[SourceTable] = []
        if env is not None:
            env._now_ms = env._jobs._now_ms = self
            self._sessions.add(env)

    def __call__(self) -> int:
        return self._now

    @property
    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return self._now

    def environment(self, settings: EnvironmentSettings | None = None) -> TableEnvironment:
        """A new session that lives in this clock."""
        env = TableEnvironment(settings, now_ms=self)
        self._sessions.add(env)
        return env

    def advance_time(self, by: int | dt.timedelta) -> None:
        """Move processing time forward, by milliseconds or a timedelta; timers fire on the way, each at its time."""
        ms = by // dt.timedelta(milliseconds=1) if isinstance(by, dt.timedelta) else by
        if type(ms) is not int or ms < 0:
            raise ValidationError(f"time moves forward by milliseconds or a timedelta, found {by!r}")
        target = self._now + ms
        self._settle()
        while (timer := self._next_timer()) is not None and timer <= target:
            self._now = max(self._now, timer)
            self._settle()
        self._now = target
        self._settle()

    def advance_watermark(self, to: int | dt.datetime, table: str | None = None) -> None:
        """Move event time of a source table (all of the clock's, if none is named) to epoch ms or a time."""
        for source in self._open(table):
            source.advance_watermark(to)

    def idle(self, split: str | None = None, table: str | None = None) -> None:
        """A split holds no watermark back until it has rows or a watermark again; see :meth:`SourceTable.idle`.

        ``split``: all, if none is named. ``table``: where several tables have a split of that name.
        """
        found = [s for s in self._open(table) if split is None or split in s._data.splits]
        if not found:
            raise ValidationError(f"no source table of this clock has a split '{split}'")
        for source in found:
            source.idle(split)

    def _open(self, table: str | None) -> list[SourceTable]:
        found = [s for s in self._sources if not s._data.finished and table in (None, s.name)]
        if not found:
            what = "no source table" if table is None else f"no source table '{table}'"
            raise ValidationError(
                f"this clock knows {what} that has not ended",
                hint="make the session with clock.environment() and the table with bounded=False",
            )
        return found

    def _settle(self) -> None:
        for env in list(self._sessions):
            settle(env)

    def _next_timer(self) -> int | None:
        """The next timer of any job, or its next attempt, that lies ahead."""
        jobs = [j for env in self._sessions for j in env.jobs() if j.is_alive()]
        timers: list[int] = []
        for job in jobs:
            with contextlib.suppress(JobError):
                timers += job.between_steps(_timers)
            if job.status == "RESTARTING":
                timers.append(job.restarts_at_ms)
        return min((t for t in timers if t > self._now), default=None)


def attach(env: TableEnvironment, source: SourceTable | None = None) -> None:
    """The session, and a source of it, belong to the session's clock, if that is a virtual one."""
    clock = env._now_ms
    if isinstance(clock, VirtualClock):
        clock._sessions.add(env)
        if source is not None:
            clock._sources.append(source)


def settle(env: TableEnvironment) -> None:
    """Wait until the running jobs of a session have read what there is and fired the timers that are due.

    Raises JobError where a job fails on the way, or never comes to rest.
    """
    jobs = [j for j in env.jobs() if j.is_alive()]
    deadline = time.monotonic() + SETTLE_S_MAX
    quiet = 0
    while quiet < 2:  # a step lies between two looks: what one job wrote, another has seen
        quiet = quiet + 1 if _look(jobs) else 0
        if time.monotonic() > deadline:
            raise JobError(f"the session's jobs have not come to rest within {SETTLE_S_MAX:.0f} s")
    for job in jobs:
        if job.status == "FAILED":
            job.wait()


def _look(jobs: Sequence[Job]) -> bool:
    """Whether all jobs have nothing to do. Each is asked, for asking makes it take a step."""
    answers = [_is_quiet(job) for job in jobs]
    return all(answers)


def _is_quiet(job: Job) -> bool:
    """Whether the job has nothing to do, or waits for its next attempt; asking makes it take a step."""
    try:
        return job.between_steps(lambda plan: _nothing_left(plan, job.now_ms()))
    except JobError:
        if job.status == "RESTARTING":
            return job.now_ms() < job.restarts_at_ms
        if job.is_alive():
            raise
        return True  # it has ended


def _nothing_left(plan: JobPlan, now_ms: int) -> bool:
    if any(t <= now_ms for t in _timers(plan)):
        return False
    if plan.coordinator is not None and plan.coordinator.busy(now_ms):
        return False
    for task in plan.sources:
        source = task.source
        if source.ready or (isinstance(source, InProcessSource) and source.lag()):
            return False
    return True


def _timers(plan: JobPlan) -> list[int]:
    found = [plan.graph.next_timer_ms(), *(s.next_timer_ms() for s in plan.sources)]
    return [t for t in found if t is not None]
