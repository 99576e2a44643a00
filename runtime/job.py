"""A job as its client sees it: name, status, metrics, stop, wait; and the thread on which its attempts run.

A job that fails begins again from its last checkpoint where its restart strategy says so, as a new attempt
(``attempt.py``). Status is RUNNING, RESTARTING, FINISHED, FAILED or CANCELED (Flink's names).
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TypeVar

from streamsql.errors import JobError, StateError, StreamSqlError

from .attempt import Attempt, JobPlan, Pace, Signals
from .checkpoint.coordinator import Coordinator
from .metrics import JobMetrics
from .restart import NoRestart, RestartStrategy

log = logging.getLogger("streamsql.job")
T = TypeVar("T")

REQUEST_TIMEOUT_S = 30
"""A live query waits so long for the step in hand: longer than any step should take, shorter than for ever."""

METRICS_TIMEOUT_S = 0.2
"""Who asks for metrics waits so long for the step in hand, then has those of the step before."""

SAVEPOINT_TIMEOUT_S = 600
"""A savepoint writes the whole state, and waits for a broker that is away."""

_DEFECT = "this is a defect of streamsql; please report it"


@dataclass(frozen=True)
class Failure:
    """What ended an attempt, and when by the job's clock."""

    at_ms: int
    error: StreamSqlError


class Job:
    """See the module's text."""

    def __init__(
        self,
        name: str,
        build: Callable[[Job], JobPlan],
        *,
        now_ms: Callable[[], int],
        step_rows_max: int = 131_072,
        step_interval_ms: int = 10,
        restart: RestartStrategy | None = None,
    ) -> None:
        """``build`` runs on the job's own thread, once an attempt, so that DuckDB objects live and die there."""
        self.id = uuid.uuid4().hex
        self.copy = uuid.uuid4().hex
        """Tells it from others that go on from its checkpoints, who have the same id."""
        self.name = name
        self.status = "RUNNING"
        self.error: StreamSqlError | None = None
        """Why it failed, or while it is RESTARTING, why the last attempt did."""
        self._build_error: StreamSqlError | None = None
        self.now_ms = now_ms
        self.started_ms = now_ms()
        self.statement = ""
        self.attempt = 0
        """Counts from 1."""
        self.last_failure: Failure | None = None
        """What ended the last attempt that failed, also when a later one runs."""
        self.restarts_at_ms = 0
        """While it is RESTARTING: when the next attempt begins."""
        self.last_checkpoint: int | None = None
        """The last that earlier attempts completed, or the one that was resumed."""
        self.notes: list[str] = []
        """What a user should know of how the job began: what state it goes on with."""
        self.release: Callable[[], None] = lambda: None
        """Frees a step that waits for its client; set by who reads the results."""
        self.note: Callable[[str], None] = lambda status: None
        """Called with the final status just before the job counts as ended; must not fail."""
        self.scratch: tempfile.TemporaryDirectory[str] | None = None
        """Where checkpoints are while the job lives, if they have no directory."""
        self._build = build
        self._pace = Pace(step_rows_max, step_interval_ms)
        self._restart = restart or NoRestart()
        self._signals = Signals()
        self._done = threading.Event()
        self._built = threading.Event()
        self._running: Attempt | None = None
        self._last_metrics = JobMetrics()
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
        """End the job; with ``drain`` the watermark goes to the maximum first, which fires every window. Waits.

        With checkpoints it takes a last one, so that what is written is committed and a resumed job goes on from there.
        """
        with self._signals.changed:
            if drain and self._signals.savepoint is not None:
                raise StateError(f"job '{self.name}' is ending with a savepoint", hint="wait for it")
            self._signals.drain = self._signals.drain or drain  # who asked first for it is to have it
        self.cancel_nowait()
        if threading.current_thread() is not self._thread:
            self._done.wait()

    def suspend(self) -> None:
        """As :meth:`stop`, for a process that ends: the job is noted as one to be taken up again."""
        self.suspend_nowait()
        self.stop()

    def suspend_nowait(self) -> None:
        """Ask the job to end with its process: it is noted as one to be taken up again, if nobody has stopped it."""
        with self._signals.changed:
            self._signals.suspended = self._signals.suspended or not self._signals.stopping
        self.cancel_nowait()

    def stop_with_savepoint(self, directory: str, *, drain: bool = False) -> str:
        """End the job with a savepoint below ``directory``; returns its path.

        Raises StateError where it cannot be written; the job then goes on running, or has failed.
        """
        answer: Future[str] = Future()
        if (running := self._running) is not None:
            self._check_savepoints(running.plan)
        with self._signals.changed:
            if self._done.is_set():
                raise JobError(f"job '{self.name}' is {self.status.lower()}")
            if self.status == "RESTARTING":
                raise StateError(f"job '{self.name}' is restarting", hint="ask again when it runs")
            if self._signals.cancelled:
                raise StateError(f"job '{self.name}' is being stopped")
            if self._signals.savepoint is not None:
                raise StateError(f"job '{self.name}' is ending with another savepoint", hint="wait for it")
            self._signals.drain, self._signals.savepoint = drain, (directory, answer)
            self._signals.woken = True
            self._signals.changed.notify_all()

        def ended(job: Job) -> None:
            if not answer.done():
                answer.set_exception(self._without_savepoint())

        self.on_end(ended)
        self.release()
        path = answer.result()
        self._done.wait()
        return path

    def _without_savepoint(self) -> StateError:
        why = self.error.message if self.error is not None else self.status.lower()
        return StateError(f"job '{self.name}' ended without the savepoint: {why}")

    def savepoint(self, directory: str) -> str:
        """Write a savepoint below ``directory`` while the job goes on; returns its path. Raises StateError."""
        future: Future[str] = Future()

        def begin(plan: JobPlan) -> None:
            self._check_savepoints(plan).savepoint(directory, future)

        self.between_steps(begin)
        self.wake()
        try:
            return future.result(SAVEPOINT_TIMEOUT_S)
        except TimeoutError:
            raise StateError(
                f"the savepoint of job '{self.name}' was not written within {SAVEPOINT_TIMEOUT_S} s",
                hint="DESCRIBE JOB says what the job waits for",
            ) from None

    def _check_savepoints(self, plan: JobPlan) -> Coordinator:
        if plan.coordinator is None:
            raise StateError(
                f"job '{self.name}' takes no savepoints", hint="only jobs of INSERT statements do"
            )
        return plan.coordinator

    def cancel_nowait(self) -> None:
        """Ask the job to end without waiting for it."""
        with self._signals.changed:
            self._signals.cancelled = self._signals.woken = True
            self._signals.changed.notify_all()
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

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._signals.stopping

    @property
    def suspended(self) -> bool:
        """Whether it is to be taken up again: its end is that of its process."""
        return self._signals.suspended

    def on_end(self, listener: Callable[[Job], None]) -> None:
        """Call ``listener`` when the job ends, from its thread (at once if it has ended)."""
        with self._signals.changed:
            if not self._done.is_set():
                self._listeners.append(listener)
                return
        listener(self)

    def wake(self) -> None:
        """Something happened: look at the sources. Any thread."""
        self._signals.wake()

    def between_steps(self, request: Callable[[JobPlan], T]) -> T:
        """Run ``request`` on the job's thread between two steps and return its answer.

        Raises JobError once the job has ended.
        """
        future: Future[T] = Future()

        def run() -> None:
            try:
                if self._running is None:
                    raise self._no_state()
                future.set_result(request(self._running.plan))
            except BaseException as e:
                future.set_exception(e)

        with self._signals.changed:
            if self._done.is_set():
                raise self._no_state()
            self._signals.requests.append(run)
            self._signals.woken = True
            self._signals.changed.notify_all()
        try:
            return future.result(REQUEST_TIMEOUT_S)
        except TimeoutError:
            raise JobError(
                f"job '{self.name}' has not ended its step within {REQUEST_TIMEOUT_S} s",
                hint="its client may not be reading the result; close that query, or ask again",
            ) from None

    def _no_state(self) -> JobError:
        if self.status == "RESTARTING":
            return JobError(f"job '{self.name}' is restarting", hint="ask again when it runs")
        return JobError(f"job '{self.name}' is {self.status.lower()}: its state is gone")

    def metrics(self) -> JobMetrics:
        """The reading that the job took last: at most some steps old, and exact when it is idle or has ended."""
        running = self._running
        if running is not None and threading.current_thread() is not self._thread:
            self._refresh(running)
        found = self._last_metrics if running is None else running.metrics
        return replace(found, restarts=max(0, self.attempt - 1))

    def _refresh(self, running: Attempt) -> None:
        """Ask for a reading between two steps, but do not wait for a long one."""
        read = threading.Event()

        def request() -> None:
            if self._running is running:
                running.measure()
            read.set()

        with self._signals.changed:
            if self._done.is_set():
                return
            self._signals.requests.append(request)
            self._signals.changed.notify_all()
        read.wait(METRICS_TIMEOUT_S)

    # -- the job's thread ------------------------------------------------------------------------------------------
    def _main(self) -> None:
        status = "FAILED"
        while True:
            self.attempt += 1
            self.error, status = self._try()
            failure = None if self.error is None else Failure(self.now_ms(), self.error)
            if failure is None or not self._begins_again(failure):
                break
            if not self._wait_to_begin():
                self.error, status = None, "CANCELED"
                break
        if not self._built.is_set():
            self._build_error = self.error
        self._leave(status)
        with self._signals.changed:
            self.status = status
            self.last_failure = failure or self.last_failure  # by now the status says that it ended
            self._done.set()
            listeners = list(self._listeners)
            requests = list(self._signals.requests)
            self._signals.requests.clear()
        self._built.set()
        for request in requests:
            request()
        for listener in listeners:
            with contextlib.suppress(Exception):
                listener(self)

    def _leave(self, status: str) -> None:
        """Note how it ended and tidy up: no reason not to end."""
        try:
            if self.scratch is not None:
                self.scratch.cleanup()
            self.note(status)
        except Exception:
            log.exception("the end of job %s cannot be noted", self.name)

    def _try(self) -> tuple[StreamSqlError | None, str]:
        """One attempt: its error, if any, and its status."""
        running: Attempt | None = None
        error: StreamSqlError | None = None
        status = "FAILED"
        try:
            running = Attempt(self._build(self), self._signals, self.now_ms, self._pace)
            running.measure()
            self.error = None
            self.status, self._running = "RUNNING", running
            self._built.set()
            status = running.run()
        except Exception as e:
            error = self._told(e)
        self._running, ended = None, running
        if ended is not None:
            try:
                ended.shut(failed=error is not None)
            except Exception as e:
                error = error or self._told(e)
            self._last_metrics = ended.metrics
            self.last_checkpoint = ended.metrics.checkpoint or self.last_checkpoint
        return error, "FAILED" if error is not None else status

    def _told(self, error: Exception) -> StreamSqlError:
        """What the user is told of an error."""
        if isinstance(error, StreamSqlError):
            return error
        told = JobError(f"{type(error).__name__}: {error}", hint=_DEFECT)
        told.__cause__ = error
        return told

    def _begins_again(self, failure: Failure) -> bool:
        """Whether there is to be another attempt."""
        error = failure.error
        if not self._built.is_set() or not self._restart.worth_it(error):
            return False
        now = self.now_ms()
        delay = self._restart.delay_ms(now)
        if delay is None or self._signals.cancelled:
            return False
        self._refuse_savepoint(error)
        defect = error.__cause__ if error.hint == _DEFECT else None
        log.warning(
            "job %s failed and begins again in %d ms: %s", self.name, delay, error.message, exc_info=defect
        )
        self.restarts_at_ms = now + delay
        self.status = "RESTARTING"
        self.last_failure = failure
        return True

    def _refuse_savepoint(self, error: StreamSqlError) -> None:
        """A job that fails before the savepoint is written which it is to end with goes on without it."""
        with self._signals.changed:
            wanted, self._signals.savepoint = self._signals.savepoint, None
            self._signals.drain = self._signals.drain and wanted is None
        if wanted is not None and not wanted[1].done():
            wanted[1].set_exception(
                StateError(
                    f"job '{self.name}' failed before the savepoint was written: {error.message}",
                    hint="it begins again from its last checkpoint; ask again when it runs",
                )
            )

    def _wait_to_begin(self) -> bool:
        """Until it is time for the next attempt; whether there is one still, or the job was stopped."""
        while not self._signals.stopping and (left := self.restarts_at_ms - self.now_ms()) > 0:
            for request in self._signals.take():
                request()
            self._signals.sleep(min(left, 500) / 1000)
        return not self._signals.stopping


def suspend_all(jobs: Sequence[Job]) -> None:
    """End jobs with their process, side by side; waits."""
    for job in jobs:
        job.suspend_nowait()
    for job in jobs:
        job.stop()


__all__ = ["Failure", "Job", "JobMetrics", "JobPlan", "suspend_all"]
