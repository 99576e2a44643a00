"""One attempt of a job: the loop that moves its graph in steps, until it ends, is stopped, or fails.

Between two steps the state is a consistent cut: requests, checkpoints, commits and metrics happen there and only there.
An idle attempt takes no steps; sources, timers and requests wake it. With input a step starts at once, but not sooner
than ``step_interval_ms`` after the last, so that a trickle of rows does not burn a core on fixed costs.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial

from streamsql.errors import StateError

from .checkpoint.coordinator import Coordinator
from .commits import Committer
from .engine import Engine
from .error_log import ErrorLog
from .graph import Graph, SourceEdge
from .memory import FreeMemory
from .metrics import JobMetrics, read_metrics
from .operators.base import MAX_WATERMARK
from .operators.sink import Sink
from .rate import RateMeter
from .source_task import SourceTask, align

IDLE_CHECK_MS = 500
"""How often a job without input looks at its sources' status and flushes: nothing else polls."""

METRICS_SPACING_S = 0.05
"""A busy job refreshes its metrics so often; one that goes to sleep does it before."""


@dataclass
class JobPlan:
    """What the build step hands over: everything an attempt runs.

    ``logs``: by source, where its unreadable records go. ``coordinator``: takes checkpoints; None where none are
    wanted. ``ended``: the job had come to its end before, nothing is to be done.
    """

    graph: Graph
    sources: list[SourceTask]
    engine: Engine
    logs: Mapping[int, ErrorLog] = field(default_factory=dict[int, ErrorLog])
    coordinator: Coordinator | None = None
    ended: bool = False
    committer: Committer = field(init=False)

    def __post_init__(self) -> None:
        self.committer = Committer(self.sources, [*(s.sink for s in self.sinks), *self.logs.values()])

    @property
    def commits_by_itself(self) -> bool:
        """Whether positions are committed without checkpoints, once the sinks have settled."""
        return self.coordinator is None or not self.coordinator.takes_checkpoints

    @property
    def sinks(self) -> list[Sink]:
        return [v.operator for v in self.graph.vertices if isinstance(v.operator, Sink)]


@dataclass(frozen=True)
class Pace:
    """``rows_max``: rows of a source in one step. ``interval_ms``: the least time between two steps."""

    rows_max: int = 131_072
    interval_ms: int = 10


class Signals:
    """What other threads tell the job's thread."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.woken = False
        self.cancelled = False
        self.suspended = False
        """Whether the job is to be taken up again when it has ended."""
        self.drain = False
        self.savepoint: tuple[str, Future[str]] | None = None
        """Where a savepoint is written with which the job is to end, and who waits for its path."""
        self.requests: deque[Callable[[], None]] = deque()

    @property
    def stopping(self) -> bool:
        """Whether the job is to end."""
        return self.cancelled or self.savepoint is not None

    def wake(self) -> None:
        """Something happened: look at the sources."""
        with self.changed:
            self.woken = True
            self.changed.notify_all()

    def take(self) -> list[Callable[[], None]]:
        """The requests so far; the job is awake."""
        with self.changed:
            self.woken = False
            taken = list(self.requests)
            self.requests.clear()
        return taken

    def sleep(self, seconds: float) -> None:
        """Until something happens, or so long."""
        with self.changed:
            if not (self.woken or self.stopping or self.requests):
                self.changed.wait(seconds)

    def pause_until(self, end: float) -> None:
        """Let rows gather until ``end`` (monotonic s); only a request or the end of the job cuts it short."""
        while (left := end - time.monotonic()) > 0:
            with self.changed:
                if self.stopping or self.requests:
                    return
                self.changed.wait(left)


class Attempt:
    """Runs a plan on the job's thread; ``metrics`` may be read by anybody."""

    def __init__(self, plan: JobPlan, signals: Signals, now_ms: Callable[[], int], pace: Pace) -> None:
        self.plan = plan
        self.metrics = JobMetrics()
        self._signals = signals
        self._now_ms = now_ms
        self._pace = pace
        self._full = False  # the last step took all the rows it may, or a source kept some back
        self._steps = 0
        self._rate = RateMeter()
        self._measured = 0.0

    # -- the loop --------------------------------------------------------------------------------------------------
    def run(self) -> str:
        """Until the end: FINISHED or CANCELED. Raises what fails."""
        plan, last = self.plan, 0.0
        memory = FreeMemory(time.monotonic())
        if plan.ended:
            return "FINISHED"
        while True:
            self._await_work(last)
            for request in self._signals.take():
                request()
            if self._signals.stopping and (status := self._stop()) is not None:
                return status
            last = time.monotonic()
            rows = self._step()
            self._full = rows >= self._pace.rows_max or any(s.source.ready for s in plan.sources)
            if self._full or (rows and len(plan.sources) > 1):
                self._signals.woken = True  # more is probably waiting
            self._rate.observe(sum(s.records_in for s in plan.sources))
            if last - self._measured >= METRICS_SPACING_S:
                self.measure()
            memory.give_back(last)
            ended = all(s.finished for s in plan.sources) and not plan.graph.holds
            if ended or plan.graph.satisfied():
                if plan.coordinator is not None:
                    plan.coordinator.last(self._now_ms(), finished=True, look=self._look)
                return "FINISHED"

    def _stop(self) -> str | None:
        """The end that was asked for. None: the savepoint it was to end with failed, so the job goes on."""
        drain, wanted = self._signals.drain, self._signals.savepoint
        coordinator, path = self.plan.coordinator, None
        drained = False
        try:
            if wanted is not None and coordinator is None:
                raise StateError("the job takes no savepoints", hint="only jobs of INSERT statements do")
            if drain:
                drained = True
                self._drain_all()
            if coordinator is not None:
                path = coordinator.last(
                    self._now_ms(),
                    finished=drain,
                    savepoint=wanted and wanted[0],
                    keep=self._signals.suspended,
                    look=self._look,
                )
            if wanted is not None:
                wanted[1].set_result(path or "")
        except StateError as e:
            if wanted is None or drained:
                raise
            with self._signals.changed:
                self._signals.savepoint = None
                self._signals.drain = drain and self._signals.cancelled
            wanted[1].set_exception(e)
            return None
        return "FINISHED" if drain else "CANCELED"

    def _look(self) -> bool:
        """While the last checkpoint is waited for: answer who asks. Whether the job is to stop."""
        for request in self._signals.take():
            request()
        self.measure()
        return self._signals.stopping

    def _await_work(self, last: float) -> None:
        """Sleep until something wakes the job, a timer is due, or it is time to look around."""
        plan = self.plan
        if not self._full:
            self._signals.pause_until(last + self._pace.interval_ms / 1000)
        now = self._now_ms()
        timers = [plan.graph.next_timer_ms(), *(s.next_timer_ms() for s in plan.sources)]
        if plan.coordinator is not None:
            timers.append(plan.coordinator.next_ms(now))
        wait_ms = min([IDLE_CHECK_MS, *(max(0, t - now) for t in timers if t is not None)])
        if wait_ms and not self._signals.woken:
            self.measure()
        self._signals.sleep(wait_ms / 1000)

    def _step(self) -> int:
        plan, now = self.plan, self._now_ms()
        before = sum(s.records_in for s in plan.sources)
        edges = self._taken(now)
        align(plan.sources, now)
        plan.engine.set_now(now)
        moved = plan.graph.step(edges, now)
        for sink in plan.sinks:
            sink.flush()
        rows = sum(s.records_in for s in plan.sources) - before
        if rows:
            self._steps += 1
        if plan.coordinator is not None:
            plan.coordinator.step(now, moved=moved or rows > 0)
        if plan.commits_by_itself:
            plan.committer.step(now)
        return rows

    def _taken(self, now: int) -> list[SourceEdge]:
        """What the sources have for a step; records that cannot be read go to their logs."""
        edges = []
        for i, source in enumerate(self.plan.sources):
            edges.append(source.step(self._pace.rows_max, now))
            if source.bad_records and i in self.plan.logs:
                self.plan.logs[i].write(source.bad_records)
        return edges

    def _drain_all(self) -> None:
        """One last step with every source at MAX_WATERMARK. What is half taken is taken to its end before."""
        now = self._now_ms()
        edges = self._taken(now)
        while any(s.half_taken for s in self.plan.sources):
            self.plan.engine.set_now(now)
            self.plan.graph.step(edges, now)
            edges = [s.step(self._pace.rows_max, now, rest=True) for s in self.plan.sources]
        for edge in edges:
            edge.watermark, edge.idle = MAX_WATERMARK, False
        self.plan.engine.set_now(now)
        self.plan.graph.step(edges, now, last=True)
        for sink in self.plan.sinks:
            sink.flush()

    # -- metrics ---------------------------------------------------------------------------------------------------
    def measure(self) -> None:
        """Take a reading for other threads."""
        self._measured = time.monotonic()
        found = read_metrics(self.plan.graph, self.plan.sources, steps=self._steps)
        rate = self._rate.per_second(found.records_in)
        self.metrics = replace(found, rows_per_second=rate)
        if self.plan.coordinator is not None:
            self.metrics = self.plan.coordinator.measured(self.metrics)

    # -- the end ---------------------------------------------------------------------------------------------------
    def shut(self, *, failed: bool) -> None:
        """Close everything. A failed attempt drops what its sinks have not committed; others keep what they wrote.

        Raises the first error of what cannot be closed, after it has closed the rest.
        """
        plan = self.plan
        self.measure()
        self.metrics = replace(self.metrics, lag=None)
        errors: list[Exception] = []

        def close(part: Callable[[], object]) -> None:
            try:
                part()
            except Exception as e:
                errors.append(e)

        if plan.coordinator is not None:
            close(plan.coordinator.close)
        for sink in plan.sinks:
            close(partial(sink.sink.close, finished=not failed))
        if not errors and not failed and plan.commits_by_itself:
            close(lambda: plan.committer.step(self._now_ms(), final=True))
        for source in plan.sources:
            close(source.source.close)
        for part in (plan.graph.close, *(log.close for log in plan.logs.values()), plan.engine.close):
            close(part)
        if errors:
            raise errors[0]
