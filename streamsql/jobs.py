"""The jobs of a session: submitting plans, naming jobs, and reading running jobs as tables of ``jobs``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from . import python_tables
from .catalog.table import ObjectPath, TableDefinition
from .errors import CatalogError, JobError, did_you_mean
from .job_resumption import note_status
from .planner.physical import PhysicalNode, PhysicalPlan
from .runtime import live
from .runtime.build import BuildOptions, BuiltJob, build
from .runtime.job import Job, JobPlan, suspend_all
from .runtime.operators.collect import ResultQueue
from .runtime.restart import RestartStrategy
from .schema import Schema


class EndNote:
    """Tells how a job ended to one listener, who may come before or after the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._status: str | None = None
        self._listener: Callable[[str], None] = lambda status: None

    def ended(self, status: str) -> None:
        """The job's thread says it, once."""
        with self._lock:
            self._status, listener = status, self._listener
        listener(status)

    def tell(self, listener: Callable[[str], None]) -> None:
        """Call ``listener`` with the final status: at once, if it is known."""
        with self._lock:
            self._listener, status = listener, self._status
        if status is not None:
            listener(status)


@dataclass
class RunningJob:
    """A job with its plan; ``built`` is there once it runs."""

    job: Job
    plan: PhysicalPlan
    time_zone: str
    built: BuiltJob | None = None
    end: EndNote = field(default_factory=EndNote)

    def forget(self, job: Job) -> None:
        """The job has ended: its operators and their state are not needed any more."""
        self.built = None


class Jobs:
    """All jobs of a session in order of submission."""

    def __init__(self, now_ms: Callable[[], int] | None = None) -> None:
        self._now_ms = now_ms or (lambda: int(time.time() * 1000))
        self._jobs: dict[str, RunningJob] = {}
        self._lock = threading.Lock()
        self.names_are_kept = False
        """Whether a name stays taken after its job's end: the n-th job of a name is then the same in every run."""

    def submit(
        self,
        name: str,
        plan: PhysicalPlan,
        options: BuildOptions,
        queue: ResultQueue | None,
        *,
        rows_max: int,
        interval_ms: int,
        restart: RestartStrategy | None = None,
    ) -> Job:
        """Build and start a job. Raises what building raises."""
        running: RunningJob

        def build_plan(job: Job) -> JobPlan:
            running.built = build(plan, job, options, queue)
            return running.built.plan

        with self._lock:
            name = self._unique(name)
            job = Job(
                name,
                build_plan,
                now_ms=self._now_ms,
                step_rows_max=rows_max,
                step_interval_ms=interval_ms,
                restart=restart,
            )
            running = RunningJob(job, plan, options.time_zone)
            self._jobs[job.id] = running
        job.note = running.end.ended
        job.on_end(running.forget)
        if queue is not None:
            job.on_end(lambda _: queue.wake())
            job.release = queue.release
        try:
            job.start()
        except BaseException:
            with self._lock:
                self._jobs = {key: r for key, r in self._jobs.items() if r is not running}
            raise
        with self._lock:  # a resumed job has taken its earlier id
            self._jobs = {r.job.id: r for r in self._jobs.values()}
        return job

    def _unique(self, name: str) -> str:
        taken = {r.job.name for r in self._jobs.values() if self.names_are_kept or r.job.is_alive()}
        unique, n = name, 1
        while unique in taken:
            n += 1
            unique = f"{name}-{n}"
        return unique

    def all(self) -> list[Job]:
        return [r.job for r in list(self._jobs.values())]

    def get(self, id_or_name: str) -> Job:
        """Raises CatalogError for an unknown job."""
        for running in reversed(list(self._jobs.values())):
            if id_or_name in (running.job.id, running.job.name):
                return running.job
        names = [n for r in list(self._jobs.values()) for n in (r.job.id, r.job.name)]
        raise CatalogError(
            f"job '{id_or_name}' does not exist",
            hint=did_you_mean(id_or_name, names) or "SHOW JOBS lists them",
        )

    def note_status(self, job: Job, directory: str, definition: Mapping[str, Any]) -> None:
        """Keep in the directory of checkpoints how the job stands, now and when it ends."""
        note_status(directory, job, definition, "RUNNING")

        def ended(status: str) -> None:
            # A job that its process ends while it waits for a sink, or to begin again, ends by an error, too.
            suspended = job.suspended and job.stopping and status in ("CANCELED", "FAILED")
            note_status(directory, job, definition, "SUSPENDED" if suspended else status)

        self._jobs[job.id].end.tell(ended)

    def stop_all(self) -> None:
        """End all jobs with the session; those that run are noted as ones to be taken up again."""
        suspend_all([r.job for r in list(self._jobs.values()) if r.job.is_alive()])

    # -- running jobs as tables ------------------------------------------------------------------------------------
    def table(self, parts: tuple[str, ...]) -> TableDefinition | None:
        """The contents of ``jobs.<view>`` or ``jobs.<job>.<operator>`` as a finite table, read now."""
        found = self._find(parts)
        if found is None:
            return None
        schema, content = found
        path = ObjectPath("jobs", "jobs" if len(parts) == 1 else parts[0], parts[-1])
        return python_tables.finite(path, schema, content)

    def _find(self, parts: tuple[str, ...]) -> tuple[Schema, pa.Table] | None:
        away: JobError | None = None
        for running in self._alive():
            nodes = running.plan.nodes()
            node = _view(nodes, parts[0]) if len(parts) == 1 else None
            try:
                if len(parts) == 2 and parts[0] in (running.job.name, running.job.id):
                    node = self._operators(running).get(parts[1])
                if node is None:
                    continue
                table = running.job.between_steps(_reader(running, node))
            except JobError as e:  # it restarts, or has just ended: another may answer
                away = e
                continue
            if table is None:
                raise CatalogError(
                    f"'{'.'.join(parts)}' is an endless stream: the running job holds no table of it",
                    hint="ask for a view with GROUP BY, or SELECT from the view without 'jobs.'",
                )
            return node.schema, live.named(table, node.schema)
        if away is not None:
            raise away
        return None

    def _alive(self) -> list[RunningJob]:
        return [r for r in list(self._jobs.values()) if r.job.is_alive() and r.built is not None]

    @staticmethod
    def _operators(running: RunningJob) -> dict[str, PhysicalNode]:
        return running.job.between_steps(
            lambda plan: live.operators(_built(running, plan), running.plan.nodes())
        )

    def names(self) -> Iterable[tuple[str, ...]]:
        """Everything that :meth:`table` answers for now."""
        for running in self._alive():
            try:
                operators = self._operators(running)
            except JobError:
                continue
            for node in running.plan.nodes():
                for view in node.views:
                    yield (view,)
            for operator in operators:
                yield (running.job.name, operator)


def _reader(running: RunningJob, node: PhysicalNode) -> Callable[[JobPlan], pa.Table | None]:
    """What reads the content of ``node``, to be run between two steps."""
    return lambda plan: live.view_content(_built(running, plan), node, running.time_zone)


def _built(running: RunningJob, plan: JobPlan) -> BuiltJob:
    """The operators of a plan that runs. Raises JobError where another attempt has begun to build its own."""
    built = running.built
    if built is None or built.plan is not plan:
        raise JobError(f"job '{running.job.name}' is restarting", hint="ask again when it runs")
    return built


def _view(nodes: list[PhysicalNode], name: str) -> PhysicalNode | None:
    return next((n for n in nodes if name in n.views), None)
