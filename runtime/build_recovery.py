"""What a job begins with: opens its checkpoints, puts saved state into built operators, makes the coordinator."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

from streamsql.errors import ConfigError, StateError
from streamsql.planner import physical as p

from .checkpoint.coordinator import Coordinator
from .checkpoint.matching import NewOperator, NewPart, match
from .checkpoint.recovery import Recovery, recover
from .connectors.base import Transaction
from .connectors.transactions import transaction_of
from .graph import Graph
from .operators.collect import ResultQueue
from .operators.sink import Sink
from .source_task import SourceTask

if TYPE_CHECKING:
    from .build import BuildOptions
    from .error_log import ErrorLog
    from .job import Job


def begin(
    plan: p.PhysicalPlan, job: Job, options: BuildOptions, queue: ResultQueue | None
) -> Recovery | None:
    """Open the job's checkpoints and decide where it begins; None for a job that keeps no state beyond its life.

    A query whose rows go to a client takes no checkpoints: nobody could take back the rows that it has read.
    """
    setup = options.checkpoints
    transaction = _transaction(plan, job, options)
    if setup is None or queue is not None:
        return None
    directory = setup.directory
    if setup.enabled and directory is None:
        job.scratch = job.scratch or tempfile.TemporaryDirectory(prefix="streamsql-checkpoints-")
        directory = job.scratch.name
    recovery = recover(
        setup,
        transaction,
        job_id=job.id,
        job_name=job.name,
        attempt=job.attempt,
        expected=job.last_checkpoint,
        directory=directory,
        now_ms=job.now_ms,
        copy=job.copy,
    )
    if recovery.own and recovery.saved is not None:
        job.id, job.last_checkpoint = recovery.saved.job_id, recovery.saved.number
    return recovery


def _transaction(plan: p.PhysicalPlan, job: Job, options: BuildOptions) -> Transaction | None:
    """What the exactly-once sinks of the job write in. Raises ConfigError where they need checkpoints."""
    tables = [(n.table, n.options) for n in plan.nodes() if isinstance(n, p.Sink)]
    setup = options.checkpoints
    interval_ms = None if setup is None else setup.options.interval_ms
    transaction = transaction_of(tables, job.name, interval_ms)
    if transaction is not None and (setup is None or not setup.enabled or not setup.exactly_once):
        wrong = "execution.checkpointing.interval" if setup is None or not setup.enabled else None
        raise ConfigError(
            "'sink.delivery-guarantee' = 'exactly-once' commits its output with checkpoints"
            + (", and the job takes none" if wrong else ", whose mode is AT_LEAST_ONCE"),
            hint="SET 'execution.checkpointing.interval' = '1 s'"
            if wrong
            else "SET 'execution.checkpointing.mode' = 'EXACTLY_ONCE'",
        )
    return transaction


def restore(
    recovery: Recovery, graph: Graph, sources: Sequence[SourceTask], job: Job, options: BuildOptions
) -> bool:
    """Put the saved state into the operators, which are open; returns whether the job had come to its end.

    Raises StateError where state would be lost that nobody said may be.
    """
    setup, saved = options.checkpoints, recovery.saved
    if setup is not None and setup.enabled:
        for vertex in graph.vertices:
            for state in vertex.context.states.values():
                state.track_changes()
    if saved is None or setup is None:
        return False
    complete = recovery.found is None or recovery.found.complete
    restoration = match(
        saved,
        [NewPart(s.fingerprint, s.name) for s in sources],
        [
            NewOperator(v.fingerprint, v.name, v.description, tuple(v.context.states), v.inputs)
            for v in graph.vertices
        ],
        [NewPart(v.fingerprint, v.description) for v in graph.vertices if isinstance(v.operator, Sink)],
        complete=complete,
    )
    if recovery.own and saved.sinks and not any(restoration.sinks) and not setup.ignore_unclaimed:
        raise StateError(
            f"checkpoint {saved.number} of a job '{job.name}' writes other tables than this job",
            hint="SET 'pipeline.name' to a name of its own for this job",
        )
    if not (saved.finished and complete):
        restoration.check(setup.ignore_unclaimed)
    if saved.finished:
        job.notes = [f"the job had finished with checkpoint {saved.number}; nothing is left to do"]
        recovery.settled()
        return True
    job.notes = restoration.report()
    for vertex, found in zip(graph.vertices, restoration.operators, strict=True):
        if found is not None:
            vertex.set_clocks(found.clocks)
            for name, state in vertex.context.states.items():
                state.restore(found.states[name])
    if recovery.own and recovery.store is not None:
        for fingerprint, occurrence in restoration.forgotten:
            recovery.store.forget(fingerprint, occurrence)
    recovery.settled()
    return False


def coordinate(
    recovery: Recovery,
    graph: Graph,
    sources: Sequence[SourceTask],
    job: Job,
    options: BuildOptions,
    logs: Sequence[ErrorLog] = (),
) -> Coordinator:
    """What takes the checkpoints of this attempt."""
    assert options.checkpoints is not None
    return Coordinator(
        graph,
        sources,
        recovery.store,
        recovery.transaction,
        options.checkpoints.options,
        run=recovery.run,
        job_id=job.id,
        job_name=job.name,
        first=recovery.first,
        now_ms=job.now_ms,
        wake=job.wake,
        logs=logs,
    )


def writer_name(job_name: str, home: str, fingerprint: str, occurrence: int) -> str:
    """Names a sink of a job, the same in every run and fit for a file name. ``home``: where its checkpoints are.

    >>> writer_name("market", "/var/checkpoints", "c0ffee" * 5, 1)
    'market-de953fa6'
    """
    readable = re.sub(r"[^A-Za-z0-9]+", "-", job_name)[:40].strip("-") or "job"
    digest = hashlib.sha256(f"{job_name}\0{home}\0{fingerprint}\0{occurrence}".encode()).hexdigest()
    return f"{readable}-{digest[:8]}"
