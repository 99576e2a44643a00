"""A running job: one thread that moves the graph in steps.

Between two steps the state is a consistent cut: live queries (:meth:`Job.between_steps`), metrics and commits happen
there and only there. An idle job takes no steps; sources, timers and requests wake it. With input a step starts at
once, but not sooner than ``step_interval_ms`` after the last, so that a trickle of rows does not burn a core on fixed
costs.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from streamsql.errors import JobError, StreamSqlError

from .commits import Committer
from .connectors.base import BadRecord
from .engine import Engine
from .graph import Graph
from .operators.base import MAX_WATERMARK, MIN_WATERMARK, OperatorContext
from .operators.sink import Sink
from .rate import RateMeter
from .source_task import SourceTask, align, pending

log = logging.getLogger("streamsql.job")
T = TypeVar("T")

OnBadRecords = Callable[[Sequence[BadRecord]], None]

REQUEST_TIMEOUT_S = 30
"""A live query waits so long for the step in hand: longer than any step should take, shorter than for ever."""

IDLE_CHECK_MS = 500
"""How often a job without input looks at its sources' status and flushes: nothing else polls."""


@dataclass(frozen=True)
class JobMetrics:
    """A reading of a job's counters. ``watermark_ms`` is the lowest of its sources, None before the first."""

    watermark_ms: int | None
    rows_per_second: float
    lag: int | None
    records_in: int
    records_out: int
    steps: int
    late_records_dropped: int
    bad_records: int
    status_lines: list[str] = field(default_factory=list[str])
    operators: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])

    def total(self, counter: str) -> int:
        """A counter summed over the operators: ``stateBytes``, ``numStateEntriesExpired``, …"""
        return sum(counters[counter] for counters in self.operators.values())


@dataclass
class JobPlan:
    """What the build step hands over: everything a job runs.

    ``on_bad_records``: per source that logs them, what takes its skipped records.
    """

    graph: Graph
    sources: list[SourceTask]
    engine: Engine
    on_finish: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    on_bad_records: dict[int, OnBadRecords] = field(default_factory=dict[int, OnBadRecords])
    committer: Committer = field(init=False)

    def __post_init__(self) -> None:
        sinks = [v.operator.sink for v in self.graph.vertices if isinstance(v.operator, Sink)]
        self.committer = Committer(self.sources, sinks)


class Job:
    """See the module's text. ``status`` is RUNNING, FINISHED, FAILED or CANCELED (Flink's names)."""

    def __init__(
        self,
        name: str,
        build: Callable[[Job], JobPlan],
        *,
        now_ms: Callable[[], int],
        step_rows_max: int = 131_072,
        step_interval_ms: int = 10,
    ) -> None:
        """``build`` runs on the job's own thread, so that DuckDB objects live and die there."""
        self.id = uuid.uuid4().hex
        self.name = name
        self.status = "RUNNING"
        self.error: StreamSqlError | None = None
        self._build_error: StreamSqlError | None = None
        self.now_ms = now_ms
        self.started_ms = now_ms()
        self.statement = ""
        self.release: Callable[[], None] = lambda: None
        """Frees a step that waits for its client; set by who reads the results."""
        self._build = build
        self._rows_max = step_rows_max
        self._interval_s = step_interval_ms / 1000
        self._wake = threading.Condition()
        self._woken = False
        self._stopping = False
        self._drain = False
        self._requests: deque[Callable[[], None]] = deque()
        self._done = threading.Event()
        self._built = threading.Event()
        self._full = False  # the last step took all the rows it may, or a source kept some back
        self._steps = 0
        self._rate = RateMeter()
        self._plan: JobPlan | None = None
        self._last_metrics: JobMetrics | None = None
        self._listeners: list[Callable[[Job], None]] = []
        self._thread = threading.Thread(target=self._main, name=f"streamsql-job-{name}", daemon=True)

    # -- for the client --------------------------------------------------------------------------------------------
    def start(self) -> Job:
        """Start the thread and wait until the job is built. Raises what building raised (topic missing, bad option)."""
        try:
            self._thread.start()
            self._built.wait()
        except BaseException:  # Ctrl-C, or SIGTERM: nobody would know of the job any more
            self.cancel_nowait()
            if self._thread.ident is not None:
                self._done.wait()
            raise
        if self._build_error is not None:
            raise self._build_error
        return self

    def stop(self, *, drain: bool = False) -> None:
        """End the job; with ``drain`` the watermark goes to the maximum first, which fires every window. Waits."""
        with self._wake:
            self._drain = drain
        self.cancel_nowait()
        if threading.current_thread() is not self._thread:
            self._done.wait()

    def cancel_nowait(self) -> None:
        """Ask the job to end without waiting for it."""
        with self._wake:
            self._stopping, self._woken = True, True
            self._wake.notify_all()
        self.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; False after the timeout. Raises JobError where the job failed."""
        if not self._done.wait(timeout):
            return False
        if self.error is not None:
            raise JobError(
                f"job '{self.name}' failed: {self.error.message}", hint=self.error.hint
            ) from self.error
        return True

    def is_alive(self) -> bool:
        """Whether the job has not ended yet."""
        return not self._done.is_set()

    def on_end(self, listener: Callable[[Job], None]) -> None:
        """Call ``listener`` when the job ends, from its thread (at once if it has ended)."""
        with self._wake:
            if not self._done.is_set():
                self._listeners.append(listener)
                return
        listener(self)

    def wake(self) -> None:
        """Something happened: look at the sources. Any thread."""
        with self._wake:
            self._woken = True
            self._wake.notify_all()

    def between_steps(self, request: Callable[[JobPlan], T]) -> T:
        """Run ``request`` on the job's thread between two steps and return its answer.

        Raises JobError once the job has ended.
        """
        future: Future[T] = Future()

        def run() -> None:
            try:
                if self._plan is None:
                    raise JobError(f"job '{self.name}' is {self.status.lower()}: its state is gone")
                future.set_result(request(self._plan))
            except BaseException as e:
                future.set_exception(e)

        with self._wake:
            if self._done.is_set():
                raise JobError(f"job '{self.name}' is {self.status.lower()}: its state is gone")
            self._requests.append(run)
            self._woken = True
            self._wake.notify_all()
        try:
            return future.result(REQUEST_TIMEOUT_S)
        except TimeoutError:
            raise JobError(
                f"job '{self.name}' has not ended its step within {REQUEST_TIMEOUT_S} s",
                hint="its client may not be reading the result; close that query, or ask again",
            ) from None

    def metrics(self) -> JobMetrics:
        """A reading of the counters; after the end the last one."""
        plan = self._plan
        if self._last_metrics is not None or plan is None:
            return self._last_metrics or JobMetrics(None, 0.0, None, 0, 0, 0, 0, 0)
        return self._read_metrics(plan)

    # -- the job's thread ------------------------------------------------------------------------------------------
    def _main(self) -> None:
        plan: JobPlan | None = None
        status = "FAILED"
        try:
            plan = self._build(self)
            self._plan = plan
            self._built.set()
            status = self._loop(plan)
        except StreamSqlError as e:
            self.error = e
        except Exception as e:
            log.debug("job %s failed", self.name, exc_info=True)
            self.error = JobError(
                f"{type(e).__name__}: {e}", hint="this is a defect of streamsql; please report it"
            )
            self.error.__cause__ = e
        if not self._built.is_set():
            self._build_error = self.error
        try:
            self._shut(plan, finished=status == "FINISHED")
        except StreamSqlError as e:
            self.error, status = self.error or e, "FAILED"
        except Exception as e:
            self.error, status = self.error or JobError(f"{type(e).__name__}: {e}"), "FAILED"
        with self._wake:
            self.status = status
            self._done.set()
            listeners = list(self._listeners)
            requests = list(self._requests)
            self._requests.clear()
        self._built.set()
        for request in requests:
            request()
        for listener in listeners:
            with contextlib.suppress(Exception):
                listener(self)

    def _loop(self, plan: JobPlan) -> str:
        last = 0.0
        while True:
            self._await_work(plan, last)
            with self._wake:
                self._woken = False
                stopping, drain = self._stopping, self._drain
                requests = list(self._requests)
                self._requests.clear()
            for request in requests:
                request()
            if stopping:
                if drain:
                    self._drain_all(plan)
                return "FINISHED" if drain else "CANCELED"
            last = time.monotonic()
            rows = self._step(plan)
            self._full = rows >= self._rows_max or any(s.source.ready for s in plan.sources)
            if self._full or (rows and len(plan.sources) > 1):
                self._woken = True  # more is probably waiting
            self._rate.observe(sum(s.records_in for s in plan.sources))
            if all(s.finished for s in plan.sources) or plan.graph.satisfied():
                return "FINISHED"

    def _await_work(self, plan: JobPlan, last: float) -> None:
        """Sleep until something wakes the job, a timer is due, or it is time to look around."""
        if not self._full:
            self._pause_until(last + self._interval_s)
        timers = [
            t
            for t in (plan.graph.next_timer_ms(), *(s.next_timer_ms() for s in plan.sources))
            if t is not None
        ]
        wait_ms = min([IDLE_CHECK_MS, *(max(0, t - self.now_ms()) for t in timers)])
        with self._wake:
            if not (self._woken or self._stopping or self._requests):
                self._wake.wait(wait_ms / 1000)

    def _pause_until(self, end: float) -> None:
        """Let rows gather; only a request or the end of the job cuts it short."""
        while (left := end - time.monotonic()) > 0:
            with self._wake:
                if self._stopping or self._requests:
                    return
                self._wake.wait(left)

    def _step(self, plan: JobPlan) -> int:
        now = self.now_ms()
        before = sum(s.records_in for s in plan.sources)
        edges = []
        for i, source in enumerate(plan.sources):
            edges.append(source.step(self._rows_max, now))
            if source.bad_records and i in plan.on_bad_records:
                plan.on_bad_records[i](source.bad_records)
        align(plan.sources, now)
        plan.engine.set_now(now)
        plan.graph.step(edges, now)
        for vertex in plan.graph.vertices:
            if isinstance(vertex.operator, Sink):
                vertex.operator.flush()
        rows = sum(s.records_in for s in plan.sources) - before
        if rows:
            self._steps += 1
        plan.committer.step(now)
        return rows

    def _drain_all(self, plan: JobPlan) -> None:
        """One last step with every source at MAX_WATERMARK."""
        now = self.now_ms()
        edges = [s.step(self._rows_max, now) for s in plan.sources]
        for edge in edges:
            edge.watermark = MAX_WATERMARK
        plan.engine.set_now(now)
        plan.graph.step(edges, now)

    def _shut(self, plan: JobPlan | None, *, finished: bool) -> None:
        if plan is None:
            return
        self._last_metrics = self._read_metrics(plan)
        errors: list[StreamSqlError] = []
        for vertex in plan.graph.vertices:
            if isinstance(vertex.operator, Sink):
                try:
                    # a stopped job keeps what it has written; only a failed one drops what is pending
                    vertex.operator.sink.close(finished=finished or self.error is None)
                except StreamSqlError as e:
                    errors.append(e)
        if not errors and self.error is None:
            plan.committer.step(self.now_ms(), final=True)
        for source in plan.sources:
            source.source.close()
        plan.graph.close()
        for callback in plan.on_finish:
            callback()
        self._plan = None
        plan.engine.close()
        if errors:
            raise errors[0]

    def _read_metrics(self, plan: JobPlan) -> JobMetrics:
        vertices = plan.graph.vertices
        watermark = min((s.watermark for s in plan.sources), default=MIN_WATERMARK)
        lines = [line for s in plan.sources if (line := s.source.status())]
        lines += [
            line for v in vertices if isinstance(v.operator, Sink) and (line := v.operator.sink.status())
        ]
        read_by = {i for v in vertices for i in v.inputs}
        return JobMetrics(
            watermark_ms=watermark if MIN_WATERMARK < watermark < MAX_WATERMARK else None,
            rows_per_second=self._rate.per_second(sum(s.records_in for s in plan.sources)),
            lag=pending(plan.sources) if self._last_metrics is None and self.is_alive() else None,
            records_in=sum(s.records_in for s in plan.sources),
            records_out=sum(
                v.context.metrics.num_records_in for i, v in enumerate(vertices) if i not in read_by
            ),
            steps=self._steps,
            late_records_dropped=sum(v.context.metrics.num_late_records_dropped for v in vertices),
            bad_records=sum(s.bad_record_count for s in plan.sources),
            status_lines=lines,
            operators={v.name: _counters(v.context) for v in vertices},
        )


def _counters(context: OperatorContext) -> dict[str, int]:
    """What one operator counts, under Flink's names where it has one."""
    m = context.metrics
    return {
        "numRecordsIn": m.num_records_in,
        "numRecordsOut": m.num_records_out,
        "numLateRecordsDropped": m.num_late_records_dropped,
        "numNullTimeDropped": m.num_null_time_dropped,
        "numNullKeyDropped": m.num_null_key_dropped,
        "numNullValueDropped": m.num_null_value_dropped,
        "numStateEntriesExpired": m.num_state_entries_expired,
        "stateRows": max((s.row_count for s in context.states.values()), default=0),
        "stateBytes": sum(s.nbytes for s in context.states.values()),
        "busyTimeMs": m.busy_ns // 1_000_000,
    }
