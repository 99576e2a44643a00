"""Where an attempt begins: which checkpoint holds, and what of it each part of the new job takes."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from streamsql.errors import ConfigError, ConnectorError, StateError

from ..connectors.base import Prepared, Transaction
from .found import Found
from .location import open_location
from .options import CheckpointOptions
from .savepoints import load_savepoint
from .snapshot import JobSnapshot, SinkSnapshot, SourceSnapshot
from .store import CheckpointStore

log = logging.getLogger("streamsql.checkpoint")


@dataclass(frozen=True)
class CheckpointSetup:
    """How a job keeps checkpoints and what it begins with.

    ``directory``: ``execution.checkpointing.dir``; None: a temporary one, which serves restarts within the process.
    ``resume``: begin with the latest checkpoint under ``directory``, if there is one. ``path``:
    ``execution.state-recovery.path``, taken instead where there is nothing to resume. ``exactly_once``: sinks show
    their output when a checkpoint is complete.
    """

    options: CheckpointOptions = field(default_factory=CheckpointOptions)
    directory: str | None = None
    resume: bool = False
    path: str | None = None
    ignore_unclaimed: bool = False
    exactly_once: bool = True
    retained: int = 1

    @property
    def enabled(self) -> bool:
        """Whether checkpoints are taken at all."""
        return self.options.interval_ms is not None


@dataclass
class Recovery:
    """``saved``: what the job goes on from; None: it begins afresh. ``own``: ``saved`` is a checkpoint of this job's
    directory, so its sinks commit what it prepared."""

    run: str
    store: CheckpointStore | None
    transaction: Transaction | None
    saved: JobSnapshot | None = None
    own: bool = False
    first: int = 1
    found: Found | None = None

    def source(self, fingerprint: str, occurrence: int) -> SourceSnapshot | None:
        """What the n-th source of that fingerprint goes on from."""
        return _nth(self.saved.sources if self.saved is not None else (), fingerprint, occurrence)

    def sink(self, fingerprint: str, occurrence: int) -> SinkSnapshot | None:
        """What the n-th sink of that fingerprint has prepared."""
        return _nth(self.saved.sinks if self.saved is not None else (), fingerprint, occurrence)

    def prepared(self, fingerprint: str, occurrence: int) -> Prepared | None:
        """What :meth:`Sink.recover` is given; of a savepoint what it kept."""
        found = self.sink(fingerprint, occurrence)
        return None if found is None else found.prepared

    def settled(self) -> None:
        """The sinks have committed what the checkpoint prepared. Raises ConnectorError where that cannot be noted."""
        if self.store is not None and self.found is not None and not self.found.complete:
            try:
                self.store.complete(self.found.number)
            except OSError as e:
                raise ConnectorError(
                    f"checkpoint {self.found.number} cannot be marked complete: {e}",
                    hint="make room or mend the directory of 'execution.checkpointing.dir'",
                ) from None

    def close(self) -> None:
        """Free everything; for an attempt that was not built."""
        if self.transaction is not None:
            self.transaction.close()
        if self.store is not None:
            self.store.close()


P = TypeVar("P", SourceSnapshot, SinkSnapshot)


def _nth(parts: Sequence[P], fingerprint: str, occurrence: int) -> P | None:
    same = [p for p in parts if p.fingerprint == fingerprint]
    return same[occurrence] if occurrence < len(same) else None


def recover(
    setup: CheckpointSetup,
    transaction: Transaction | None,
    *,
    job_id: str,
    job_name: str,
    attempt: int,
    expected: int | None,
    directory: str | None,
    now_ms: Callable[[], int],
    copy: str = "",
) -> Recovery:
    """Decide what an attempt begins with, and make it the only one that writes.

    ``directory``: where this job's checkpoints are. ``attempt`` counts from 1; a later one goes on from the job's own
    checkpoints, of which ``expected`` was the last. ``copy``: names the copy of the job, the same for each of its
    attempts. Raises StateError where the checkpoint expected is gone, and for a savepoint that is damaged; JobError
    where the job runs already, FencedError where another copy was started after an earlier attempt failed.
    """
    result = Recovery(uuid.uuid4().hex, None, transaction)
    try:
        if setup.enabled:
            assert directory is not None
            result.store = CheckpointStore(
                directory,
                job_name,
                retained=setup.retained,
                compression=setup.options.compression,
                run=result.run,
                copy=copy,
                now_ms=now_ms,
            )
        _choose(result, setup, job_id, attempt)
        if expected is not None and (result.saved is None or result.saved.number < expected):
            raise StateError(
                f"checkpoint {expected} of job '{job_name}' was complete and cannot be read any more"
                + "".join(f"; {p}" for p in ([] if result.store is None else result.store.problems)),
                hint="bring it back, or start the job anew and accept that it reads and writes from its beginning",
            )
    except OSError as e:
        result.close()
        raise ConnectorError(
            f"the checkpoints of job '{job_name}' cannot be read: {e}",
            hint="mend the directory of 'execution.checkpointing.dir'",
        ) from None
    except ConfigError as e:
        result.close()
        if attempt == 1:
            raise
        raise ConnectorError(e.message, hint=e.hint) from None  # what could be opened before is away
    except BaseException:
        result.close()
        raise
    return result


def _choose(result: Recovery, setup: CheckpointSetup, job_id: str, attempt: int) -> None:
    store, transaction = result.store, result.transaction
    candidates: list[Found] = []
    if store is not None:
        store.take_over(again=attempt > 1)
        result.first = store.next_number()
        if setup.resume or attempt > 1:
            candidates = store.candidates()
            for problem in store.problems:
                log.warning("%s", problem)
    if attempt > 1:
        candidates = [found for found in candidates if found.manifest.content["job_id"] == job_id]
    recorded = _recorded(candidates[0]) if candidates else None
    decided = None if transaction is None else transaction.open(recorded)
    chosen = _holding(candidates, transaction is not None, decided, store)
    if chosen is not None:
        assert store is not None
        if decided is not None and decided[0] > chosen.number:
            raise StateError(
                f"checkpoint {decided[0]} was committed to Kafka, but the newest that can be read is {chosen.number}"
                + "".join(f"; {problem}" for problem in store.problems),
                hint="bring it back, or give the older one as 'execution.state-recovery.path' and accept that output "
                "is written twice",
            )
        result.saved, result.own, result.found = store.load(chosen), True, chosen
    elif setup.path is not None:
        result.saved = _savepoint(setup.path)
        result.first = max(result.first, result.saved.number + 1)
    elif setup.resume and attempt == 1 and decided is not None and decided[0] > 0:
        raise StateError(
            f"there is no checkpoint to resume from, but checkpoint {decided[0]} of this job was committed to Kafka: "
            "beginning afresh would write its output a second time",
            hint="bring back the directory 'execution.checkpointing.dir', or choose another "
            "'sink.transactional-id-prefix' to begin afresh",
        )
    if store is not None:
        store.release()


def _savepoint(path: str) -> JobSnapshot:
    try:
        return load_savepoint(path)
    except OSError as e:
        place = open_location(path, "execution.state-recovery.path").text()
        raise ConnectorError(
            f"the savepoint {place} cannot be read: {e}", hint="see 'execution.state-recovery.path'"
        ) from None


def _recorded(found: Found) -> Mapping[str, Any] | None:
    """What the checkpoint keeps of the outside commit."""
    recorded: Mapping[str, Any] | None = found.manifest.content["transaction"]
    return recorded


def _holding(
    candidates: list[Found],
    transactional: bool,
    decided: tuple[int, str] | None,
    store: CheckpointStore | None,
) -> Found | None:
    """The newest checkpoint whose output is committed, or will be by its sinks. Those after it are discarded."""
    for found in candidates:
        if found.complete or not transactional or _recorded(found) is None:
            return found
        if decided == (found.number, found.run):
            return found
        if decided is None:
            raise StateError(
                f"checkpoint {found.number} is written, but Kafka no longer knows whether its output was committed",
                hint=f"remove {found.path} to go on from the checkpoint before it",
            )
        assert store is not None
        store.discard(found.number)
    return None
