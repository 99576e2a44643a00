"""What a source and a sink promise the driver.

A *source* fetches and decodes ahead in its own thread into a bounded queue, and hands over what has arrived
when the driver asks. A *sink* takes the changelog of each step and flushes when told. Neither knows SQL.

Rows of a source carry the table's physical columns followed by the requested metadata columns, in declared
order and with declared Arrow types.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.catalog.connectors import TableOptions
from streamsql.catalog.table import TableDefinition
from streamsql.changelog import ChangelogBatch
from streamsql.errors import DataError
from streamsql.schema import Schema

Position = str
"""Where to read next in a split, as text (an offset, a file and row, a sequence number). Opaque to the driver."""


@dataclass(frozen=True)
class BadRecord:
    """A record that could not be read, for ``error-handling.mode`` = ``log``."""

    origin: str
    message: str
    value: bytes | None
    timestamp_ms: int | None = None


@dataclass(frozen=True)
class SourceBatch:
    """What a source hands over: decoded rows with the split each row came from.

    ``split_ids`` has one entry a row and indexes ``splits`` (None: all rows are of ``splits[0]``).
    ``positions``: per split, where reading goes on after this batch. ``finished``: splits that have ended
    (bounded reads). ``bad_records`` were skipped under mode ``ignore`` or ``log``. ``watermarks``: per
    split, the source's own watermark in epoch ms, where the source has one. ``idle``: splits that hold
    nobody back from now on until they have rows or a watermark, where the source knows.
    """

    batch: ChangelogBatch | None
    splits: Sequence[str]
    split_ids: npt.NDArray[np.int32] | None = None
    positions: Mapping[str, Position] = field(default_factory=dict[str, Position])
    finished: frozenset[str] = frozenset()
    bad_records: Sequence[BadRecord] = ()
    watermarks: Mapping[str, int] = field(default_factory=dict[str, int])
    idle: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SourceContext:
    """What the driver gives a source when it opens.

    ``physical`` and ``metadata`` are the columns to deliver: names and types, and the metadata key of each
    metadata column. ``positions``: where to resume each split (empty at a first start). ``wake``: call it
    when rows are ready or an error happened, from any thread. ``now_ms``: the job's clock. ``time_zone``:
    the session's zone name. ``batch_rows_max``: rows per SourceBatch at most. ``bounded``: the job runs in
    batch mode and the source must end. ``memory``: what :meth:`Source.memory` gave at the checkpoint that is
    resumed; empty at a first start. ``stopping``: whether the job is to end, so that waiting is given up.
    """

    table: TableDefinition
    options: TableOptions
    physical: Schema
    metadata: Sequence[tuple[str, str]]
    metadata_schema: Schema
    positions: Mapping[str, Position]
    wake: Callable[[], None]
    now_ms: Callable[[], int]
    time_zone: str = "UTC"
    batch_rows_max: int = 131_072
    bounded: bool = False
    job_name: str = ""
    memory: Mapping[str, str] = field(default_factory=dict[str, str])
    stopping: Callable[[], bool] = lambda: False


class Source(ABC):
    """Reads a table. Constructed by ``create_source`` of its module with a SourceContext; owns its threads."""

    bounded: bool = False
    commits: bool = False
    """Whether :meth:`commit` tells anybody outside: then the sinks must have settled before."""

    @abstractmethod
    def start(self) -> None:
        """Begin reading. Raises ConnectorError where the user can mend it (topic missing); a broker that is away is
        not an error: keep trying and tell through ``status``."""

    @abstractmethod
    def poll(self, max_rows: int) -> SourceBatch | None:
        """What has arrived, without waiting; None for nothing. Raises the reader's error, DataError included.

        A SourceBatch may hold more than ``max_rows`` rows only if one message did.
        """

    @abstractmethod
    def splits(self) -> Sequence[str]:
        """All splits known now (topic partitions as ``topic-0``); new ones may appear later."""

    @abstractmethod
    def close(self) -> None:
        """Stop threads and free handles; idempotent."""

    def begin_step(self) -> None:
        """The job begins a step: the polls that follow belong to it."""

    @property
    def ready(self) -> bool:
        """Whether rows wait that were kept for the next step, which then comes at once."""
        return False

    def pause(self, splits: frozenset[str]) -> None:
        """Stop reading exactly these splits (watermark alignment); an empty set resumes all."""

    def commit(self, positions: Mapping[str, Position]) -> None:
        """What was read before these positions is written and acknowledged. Any thread."""

    def memory(self) -> Mapping[str, str]:
        """What a resumed reader must know beside the positions (where a bounded read ends); kept in checkpoints."""
        return {}

    def status(self) -> str | None:
        """A sentence when something is wrong but being retried (``broker … is away since 3 s``), else None."""
        return None

    def lag(self) -> int | None:
        """Records known to exist that have not been polled; None where unknown."""
        return None


@dataclass(frozen=True)
class SinkContext:
    """What the driver gives a sink.

    ``schema``: the columns written, in order: physical columns, then writable metadata columns whose keys
    are in ``metadata`` (pairs of column name and key). ``upsert_key``: indexes of the table's primary key,
    or None. ``query_key``: indexes of the upsert key of the query (pairs −U/+U for display), or None.
    ``upsert``: batches come in upsert mode. ``checkpointed``: the job takes checkpoints in mode EXACTLY_ONCE, so a
    sink that can waits with what it shows until :meth:`Sink.commit`. ``transaction``: where all sinks with
    ``sink.delivery-guarantee`` = ``exactly-once`` write. ``writer``: names this sink of this job, the same every run.
    ``stopping``: whether the job is to end.
    """

    table: TableDefinition
    options: TableOptions
    schema: Schema
    metadata: Sequence[tuple[str, str]]
    upsert_key: tuple[int, ...] | None
    query_key: tuple[int, ...] | None
    upsert: bool
    now_ms: Callable[[], int]
    time_zone: str = "UTC"
    job_name: str = ""
    wake: Callable[[], None] = lambda: None
    checkpointed: bool = False
    transaction: Transaction | None = None
    writer: str = ""
    stopping: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Prepared:
    """What a sink needs to commit the output up to a cut, also in another process: JSON values, and Arrow tables."""

    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tables: Mapping[str, pa.Table] = field(default_factory=dict[str, pa.Table])


class Transaction(ABC):
    """The one outside commit that decides whether a checkpoint holds: it covers the output up to the cut.

    A job has at most one. Order of calls: ``open``, then per checkpoint ``prepare`` (job's thread) and ``commit``
    (checkpoint's thread, once the checkpoint is durable), then ``close``. Between ``prepare`` and ``commit`` sinks
    already write into the next transaction.
    """

    @abstractmethod
    def record(self) -> Mapping[str, Any]:
        """JSON that a checkpoint keeps, so that a later process finds where the decision stands."""

    @abstractmethod
    def open(self, recorded: Mapping[str, Any] | None) -> tuple[int, str] | None:
        """Fence every earlier run, abort what it left open, and read the decision.

        ``recorded``: :meth:`record` of the newest checkpoint found. Returns number and run of the checkpoint that was
        committed last, None where none is known. Waits for a broker that is away; raises ConnectorError for what
        cannot be mended by waiting.
        """

    @abstractmethod
    def prepare(self, checkpoint: int) -> None:
        """The cut. All sinks have settled; what they write from now on belongs to the next checkpoint."""

    @abstractmethod
    def commit(self, checkpoint: int, run: str) -> None:
        """Commit the output up to the cut of ``checkpoint`` and, in one with it, its number and ``run``.

        Retries what can be retried. Raises FencedError where a newer run has taken over.
        """

    @property
    def outstanding(self) -> int:
        """Messages on their way; one number for as long as none is acknowledged."""
        return 0

    def status(self) -> str | None:
        """A sentence when something is wrong but being retried, else None."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Abort what is open and free handles; idempotent. Ends a :meth:`commit` that waits in another thread."""


class Sink(ABC):
    """Writes a table. ``write`` may buffer; ``flush`` returns when everything written is with the outside world.

    With checkpoints: the driver calls ``settle`` until it is true, then ``prepare`` at the cut, and ``commit`` once the
    checkpoint is durable. After a crash a new sink of the same table gets ``recover`` before ``start``.
    """

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def write(self, batch: ChangelogBatch) -> None:
        """The changes of one step, in order. Raises DataError for a row that cannot be encoded."""

    @abstractmethod
    def flush(self) -> None:
        """End of a step: hand over what is buffered (need not wait for acknowledgement at-least-once)."""

    @abstractmethod
    def close(self, *, finished: bool) -> None:
        """End: with ``finished`` everything must be durable (pending files committed), else drop what is pending."""

    def settle(self, timeout_s: float) -> bool:
        """Whether everything written so far is acknowledged, waiting up to ``timeout_s`` for it."""
        return True

    @property
    def wants_commit(self) -> bool:
        """Whether a checkpoint would show something although nothing was written since the last (a file's time is
        over)."""
        return False

    def prepare(self, checkpoint: int) -> Prepared:
        """The cut of a checkpoint: what was written belongs to it, what comes after does not. Job's thread; quick."""
        return Prepared()

    def commit(self, checkpoint: int, prepared: Prepared) -> None:
        """The checkpoint is durable: show what ``prepare`` named. Checkpoint's thread.

        Called again after a crash, by a sink of a later run: what was shown already stays as it is.
        """

    def in_savepoint(self, prepared: Prepared) -> Prepared:
        """What of ``prepared`` a savepoint keeps, whose output is committed already: what the sink must remember."""
        return Prepared()

    def recover(self, checkpoint: int, prepared: Prepared | None) -> None:
        """The job goes on from ``checkpoint``: show what its ``prepare`` named, drop what earlier runs wrote after it.

        ``prepared``: None where the job begins afresh (checkpoint 0), or the sink is new to it.
        """
        if prepared is not None:
            self.commit(checkpoint, prepared)

    def on_watermark(self, watermark_ms: int) -> None:
        """Event time of what has been written reached ``watermark_ms``; called after the step's ``write``."""

    def status(self) -> str | None:
        """A sentence when something is wrong but being retried, else None."""
        return None


__all__ = [
    "BadRecord", "DataError", "Position", "Prepared", "Sink", "SinkContext", "Source", "SourceBatch",
    "SourceContext", "Transaction",
]  # fmt: skip
