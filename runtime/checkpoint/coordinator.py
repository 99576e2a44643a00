"""Takes the checkpoints of one attempt and commits its output with them.

::

    job's thread         settle sinks · prepare them · take references       goes on with its steps
                                                │ JobSnapshot
    checkpoint's thread                         └─▶ write · outside commit · sinks' commit · complete · tidy

A checkpoint that is *written* but not *complete* is decided by the outside commit where there is one (Kafka), else it
holds. One checkpoint is under way at a time. Order and recovery: DESIGN.md, "Checkpoints".
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from streamsql.errors import ConnectorError, StateError, StreamSqlError

from ..connectors.base import Prepared, Transaction
from ..operators.sink import Sink
from .cut import changed_state, whole_state
from .options import CheckpointOptions
from .patience import LAST_S, Deadline, Progress
from .savepoints import write_savepoint
from .snapshot import JobSnapshot, OperatorSnapshot, SinkSnapshot

if TYPE_CHECKING:
    from ..error_log import ErrorLog
    from ..graph import Graph
    from ..metrics import JobMetrics
    from ..source_task import SourceTask
    from .store import CheckpointStore

log = logging.getLogger("streamsql.checkpoint")

ENGINE = {name: version(name) for name in ("streamsql", "duckdb", "pyarrow")}
SETTLE_S = 2.0
"""How long a cut waits for sinks' acknowledgements before it lets the job go on and tries again."""
AGAIN_MS = 200
"""How long after that; acknowledgements come soon, or not for a while."""
RETRY_S = 1.0
"""How long the writer waits before it tries again to write what could not be written."""


@dataclass
class _Task:
    """A checkpoint under way. ``whole``: a savepoint with all state, which goes to ``directory``."""

    snapshot: JobSnapshot
    began: float
    whole: JobSnapshot | None = None
    directory: str | None = None
    answer: Future[str] | None = None
    done: threading.Event = field(default_factory=threading.Event)


class _NotWrittenError(ConnectorError):
    """The store took nothing for as long as it was tried."""


class Coordinator:
    """See the module's text. Methods are the job's thread's; ``status`` may be asked by any."""

    def __init__(
        self,
        graph: Graph,
        sources: Sequence[SourceTask],
        store: CheckpointStore | None,
        transaction: Transaction | None,
        options: CheckpointOptions,
        *,
        run: str,
        job_id: str,
        job_name: str,
        first: int,
        now_ms: Callable[[], int],
        wake: Callable[[], None],
        logs: Sequence[ErrorLog] = (),
    ) -> None:
        """``first``: the number of the next checkpoint. Without ``store`` there are savepoints only.

        ``logs`` of unreadable records are settled with the sinks.
        """
        self._logs = logs
        self._graph = graph
        self._sources = sources
        self._sinks = [(v, v.operator.sink) for v in graph.vertices if isinstance(v.operator, Sink)]
        self._store = store
        self._transaction = transaction
        self._options = options
        self._names = (run, job_id, job_name)
        self._now_ms = now_ms
        self._wake = wake
        self._next = first
        # The first comes with the first step: a restart needs to know the start.
        self._due_ms: int | None = now_ms()
        self._dirty = True
        self._positions: list[Mapping[str, str]] = []
        self._current: _Task | None = None
        self._waiting: tuple[str, Future[str]] | None = None
        self._error: BaseException | None = None
        self._failures = 0
        self._lost = False  # the last cut is in no checkpoint
        self._progress = Progress(transaction)
        self._again_ms = 0
        self._ended_ms = 0
        self._trouble: str | None = None
        self._closed = threading.Event()
        self._last: tuple[int, int, int] | None = None
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._work, name=f"streamsql-checkpoint-{job_name}", daemon=True
        )
        self._thread.start()

    @property
    def takes_checkpoints(self) -> bool:
        """Whether there is more to it than savepoints: then positions are committed with checkpoints."""
        return self._store is not None

    # -- the job's thread ------------------------------------------------------------------------------------------
    def step(self, now_ms: int, *, moved: bool) -> None:
        """Between two steps: begin a checkpoint if one is due. Raises what ended the last one."""
        self._dirty = self._dirty or moved
        under_way = self._current is not None  # looked at first: who ends it leaves its error before
        self._raise_error()
        if under_way:
            return
        if now_ms < self._again_ms or not (self._waiting or self._wanted(now_ms)):
            return
        if not self._settled(SETTLE_S):
            self._again_ms = now_ms + AGAIN_MS
            return
        (directory, answer), self._waiting = self._waiting or (None, None), None
        task = self._begin(now_ms, directory=directory, answer=answer)
        if self._options.waits:
            task.done.wait()
            self._raise_error()

    def _wanted(self, now_ms: int) -> bool:
        if self._store is None or self._options.interval_ms is None or self._due_ms is None:
            return False
        return now_ms >= max(self._due_ms, self._ended_ms + self._options.min_pause_ms) and self._pays()

    def _pays(self) -> bool:
        """Whether a checkpoint would hold anything that the one before does not."""
        return self._changed() or any(sink.wants_commit for _, sink in self._sinks)

    def _changed(self) -> bool:
        """Whether anything is not in the last cut: positions move without rows, too."""
        return self._dirty or self._lost or [s.positions for s in self._sources] != self._positions

    def next_ms(self, now_ms: int) -> int | None:
        """When an idle job should take a step for a checkpoint; None for never."""
        if self._waiting is not None and self._current is None:
            return max(now_ms, self._again_ms)
        due = self._due_ms
        if (
            self._store is None
            or self._options.interval_ms is None
            or due is None
            or self._current is not None
        ):
            return None
        return max(due, self._again_ms, self._ended_ms + self._options.min_pause_ms) if self._pays() else None

    def busy(self, now_ms: int) -> bool:
        """Whether a checkpoint is under way, or due."""
        due = self.next_ms(now_ms)
        return self._current is not None or (due is not None and due <= now_ms)

    def savepoint(self, directory: str, answer: Future[str]) -> None:
        """Write a savepoint at the next occasion; ``answer`` gets its path."""
        if self._waiting is not None:
            answer.set_exception(
                StateError("another savepoint of the job is being written", hint="wait for it")
            )
            return
        self._waiting = (directory, answer)

    def last(
        self,
        now_ms: int,
        *,
        finished: bool,
        savepoint: str | None = None,
        keep: bool = False,
        look: Callable[[], bool] = lambda: True,
    ) -> str | None:
        """The last checkpoint of a job that ends, waited for; the path of the savepoint, if one is wanted.

        It waits for a broker that is away as long as the job would; once the job is to stop, 30 seconds more.
        ``look`` is called now and then and says whether it is. ``keep``: the job is to be taken up again, so its
        checkpoints stay although ``execution.checkpointing.externalized-checkpoint-retention`` says otherwise. Raises
        StateError where it cannot be taken in time: what was written since the one before is then dropped by sinks
        that commit with checkpoints.
        """
        deadline = Deadline(look)
        self._wait_for(self._current, deadline)
        self._raise_error()
        path = None
        if savepoint is not None or (
            self._store is not None and (finished or self._last is None or self._changed())
        ):
            path = self._take_last(now_ms, deadline, finished=finished, savepoint=savepoint)
        if self._store is not None and self._last is not None and self._options.delete_at_end and not keep:
            self._retried(self._store.delete, self._last[0])
        return path

    def _take_last(
        self, now_ms: int, deadline: Deadline, *, finished: bool, savepoint: str | None
    ) -> str | None:
        while True:
            while not self._settled(0.2):
                self._raise_error()
                if deadline.over():
                    raise self._late("sinks were not acknowledged")
            answer: Future[str] | None = Future() if savepoint is not None else None
            self._wait_for(
                self._begin(now_ms, finished=finished, directory=savepoint, answer=answer), deadline
            )
            self._raise_error()
            if answer is not None or not self._lost:
                return None if answer is None else answer.result(0)
            if deadline.over():  # a failure is tolerated for the sake of the next one: here there is none
                raise self._late(self._trouble or "it could not be written")

    def _wait_for(self, task: _Task | None, deadline: Deadline) -> None:
        while task is not None and not task.done.wait(0.2):
            if self._trouble is None and (self._transaction is None or self._transaction.status() is None):
                deadline.begin_anew()  # what is written takes as long as it takes
            elif deadline.over():
                raise self._late(self._trouble or "it takes too long")

    @staticmethod
    def _late(why: str) -> StateError:
        return StateError(
            f"the last checkpoint was not taken within {LAST_S:.0f} s: {why}",
            hint="the checkpoint before holds; a resumed job goes on from there",
        )

    def _settled(self, seconds: float) -> bool:
        settled = all(sink.settle(seconds) for _, sink in self._sinks) and all(
            log.settle(seconds) for log in self._logs
        )
        self._progress.look(settled=settled)
        return settled

    def _begin(
        self,
        now_ms: int,
        *,
        finished: bool = False,
        directory: str | None = None,
        answer: Future[str] | None = None,
    ) -> _Task:
        """The cut. Everything here is references and what changed since the last one."""
        try:
            task = self._cut(now_ms, finished=finished, directory=directory, answer=answer)
        except BaseException as e:
            if answer is not None:
                answer.set_exception(_as_state_error(e))
            raise
        self._dirty = self._lost = False
        self._positions = [dict(s.positions) for s in self._sources]
        interval = self._options.interval_ms
        self._due_ms = None if interval is None else now_ms + interval
        self._current = task
        self._tasks.put(task)
        return task

    def _cut(
        self, now_ms: int, *, finished: bool, directory: str | None, answer: Future[str] | None
    ) -> _Task:
        began = time.monotonic()
        number, self._next = self._next, self._next + 1
        reach = self._options.reach
        reach("before-prepare")
        sinks = tuple(
            SinkSnapshot(v.fingerprint, v.description, sink.prepare(number)) for v, sink in self._sinks
        )
        for error_log in self._logs:
            error_log.prepare(number)
        if self._transaction is not None:
            self._transaction.prepare(number)
        reach("after-prepare")
        snapshot = self._snapshot(number, now_ms, sinks, finished=finished)
        task = _Task(snapshot, began, directory=directory, answer=answer)
        if directory is not None:
            task.whole = replace(
                snapshot,
                operators=whole_state(self._graph),
                sinks=tuple(
                    replace(s, prepared=sink.in_savepoint(s.prepared))
                    for s, (_, sink) in zip(sinks, self._sinks, strict=True)
                ),
                transaction=None,
                changes=False,
            )
        return task

    def _snapshot(
        self, number: int, now_ms: int, sinks: tuple[SinkSnapshot, ...], *, finished: bool
    ) -> JobSnapshot:
        run, job_id, job_name = self._names
        full = self._store is None or self._store.wants_full
        if finished or self._store is None:
            operators: tuple[OperatorSnapshot, ...] = ()
        else:
            operators = changed_state(self._graph, whole=full)
        return JobSnapshot(
            number=number,
            run=run,
            job_id=job_id,
            job_name=job_name,
            time_ms=now_ms,
            sources=tuple(s.snapshot() for s in self._sources),
            operators=operators,
            sinks=sinks,
            engine=ENGINE,
            transaction=None if self._transaction is None else self._transaction.record(),
            definition=self._options.definition,
            changes=not full,
            finished=finished,
        )

    # -- the checkpoint's thread -----------------------------------------------------------------------------------
    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                path = self._complete(task)
                if task.answer is not None and not task.answer.done():
                    task.answer.set_result(path or "")
                self._failures = 0
            except BaseException as e:
                if task.answer is not None and not task.answer.done():
                    task.answer.set_exception(_as_state_error(e))
                self._lost = True
                if not (isinstance(e, _NotWrittenError) and self._tolerable(task)):
                    self._error = e
            self._ended_ms = self._now_ms()
            self._current = None
            task.done.set()
            self._wake()
            if self._error is None:
                self._tidy()

    def _tolerable(self, task: _Task) -> bool:
        """Whether the job may go on without this checkpoint: nothing waits for it, and it is not the last."""
        waits = self._transaction is not None or any(s.prepared != Prepared() for s in task.snapshot.sinks)
        if waits or task.snapshot.finished:
            return False
        if self._store is not None and not _helps(self._store, task.snapshot):
            return True  # what earlier ones had written is gone: only the job has it all, and the next holds it all
        self._failures += 1
        return self._failures <= self._options.tolerable_failures

    def _complete(self, task: _Task) -> str | None:
        """From references to a complete checkpoint; returns the path of its savepoint."""
        snapshot, reach, store = task.snapshot, self._options.reach, self._store
        reach("before-write")
        if store is not None:
            self._retried(lambda: store.write(snapshot), snapshot.number, lambda: _helps(store, snapshot))
        reach("after-write")
        if self._transaction is not None:
            self._transaction.commit(snapshot.number, snapshot.run)
        reach("after-transaction")
        for (_, sink), saved_sink in zip(self._sinks, snapshot.sinks, strict=True):
            sink.commit(snapshot.number, saved_sink.prepared)
        reach("after-commit")
        path = None
        if task.whole is not None and task.directory is not None:
            whole, directory = task.whole, task.directory
            path = self._savepoint(task, directory, whole)
        if store is not None:
            self._retried(lambda: store.complete(snapshot.number), snapshot.number)
            self._last = snapshot.number, round((time.monotonic() - task.began) * 1000), store.written_bytes
        reach("after-complete")
        if store is None:  # positions are committed between steps, and later ones may have been
            return path
        for source, saved in zip(self._sources, snapshot.sources, strict=True):
            if source.source.commits:
                source.source.commit(saved.positions)
        return path

    def _savepoint(self, task: _Task, directory: str, whole: JobSnapshot) -> str | None:
        """Write it once: who asked is told that it failed, and the job goes on."""
        try:
            return write_savepoint(directory, whole, compression=self._options.compression)
        except (OSError, StreamSqlError) as e:
            assert task.answer is not None
            task.answer.set_exception(_as_state_error(e))
            return None

    def _retried(
        self, attempt: Callable[[], Any], number: int, helps: Callable[[], bool] = lambda: True
    ) -> Any:
        """Until it works, or ``execution.checkpointing.timeout`` is over: a disk may be full for a while."""
        began = time.monotonic()
        while True:
            try:
                found = attempt()
            except OSError as e:
                waited = time.monotonic() - began
                self._trouble = f"checkpoint {number} cannot be written since {waited:.0f} s: {e}"
                over = waited * 1000 >= self._options.timeout_ms or self._closed.is_set()
                if over or not helps():
                    raise _NotWrittenError(
                        f"checkpoint {number} could not be written for {waited:.0f} s: {e}",
                        hint="make room or mend the directory of 'execution.checkpointing.dir'",
                    ) from None
                log.warning("%s", self._trouble)
                self._closed.wait(RETRY_S)
                continue
            self._trouble = None
            return found

    def _tidy(self) -> None:
        """Housekeeping of the store. What fails is tried again after the next checkpoint."""
        if self._store is None or self._closed.is_set():
            return
        try:
            self._store.compact()
        except OSError as e:
            log.warning("checkpoints cannot be tidied up: %s", e)
        except Exception as e:
            self._error = e
            self._wake()

    # -- any thread ------------------------------------------------------------------------------------------------
    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def measured(self, metrics: JobMetrics) -> JobMetrics:
        """The metrics with what is known of checkpoints."""
        lines = [*metrics.status_lines]
        trouble = self._trouble
        if trouble is not None:
            lines.append(trouble)
        if self._transaction is not None and (line := self._transaction.status()):
            lines.append(line)
        last = self._last
        if last is None:
            return replace(metrics, status_lines=lines)
        number, ms, size = last
        return replace(
            metrics, status_lines=lines, checkpoint=number, checkpoint_ms=ms, checkpoint_bytes=size
        )

    def close(self) -> None:
        """Wait for what is under way, but not for a disk that is full or a broker that is away."""
        self._closed.set()
        self._tasks.put(None)
        self._thread.join(SETTLE_S)
        if self._transaction is not None:
            with contextlib.suppress(StreamSqlError):
                self._transaction.close()
        self._thread.join()
        if self._waiting is not None:
            self._waiting[1].set_exception(StateError("the job ended before the savepoint was written"))
            self._waiting = None
        if self._store is not None:
            self._store.close()


def _helps(store: CheckpointStore, snapshot: JobSnapshot) -> bool:
    """Whether writing it again can help: not where what its changes belong to was removed."""
    return not (store.wants_full and snapshot.changes)


def _as_state_error(error: BaseException) -> BaseException:
    if isinstance(error, StateError):
        return error
    if isinstance(error, StreamSqlError):
        return StateError(f"the savepoint was not written: {error.message}", hint=error.hint)
    why = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    return StateError(
        f"the savepoint was not written: {why}",
        hint="see 'execution.checkpointing.savepoint-dir'; the job goes on",
    )
