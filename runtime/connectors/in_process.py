"""Tables that live in the program: rows handed in from Python, read by any number of jobs.

``env.from_arrow`` and ``env.create_in_process_table`` make them. Rows are held once, as the Arrow batches that were
handed in; every reader keeps its own position (a count of rows), so a table can be read many times and from the middle.

A job with checkpoints adds its rows when a checkpoint is durable. The table remembers how many rows of each run it has
got, so that a checkpoint that is committed again, by whichever run, adds what is missing and nothing twice.
"""

from __future__ import annotations

import threading
import uuid
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from streamsql.changelog import ChangelogBatch, Weights
from streamsql.datatypes import from_arrow
from streamsql.errors import ConnectorError, ValidationError
from streamsql.schema import Field, Schema

from .base import Prepared, Sink, SinkContext, Source, SourceBatch, SourceContext

_SPLIT = "rows"


class InProcessTable:
    """An append-only list of Arrow batches, with weights where rows carry kinds. Thread-safe.

    ``finish()`` says that nothing more comes: readers end, and windows fire.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._lock = threading.Lock()
        self._batches: list[ChangelogBatch] = []
        self._starts: list[int] = []
        self._rows = 0
        self._finished = False
        self._wakers: list[Callable[[], None]] = []
        self._delivering = threading.Lock()
        self._delivered: dict[str, int] = {}

    def append(self, data: Any, weights: Weights | None = None) -> None:
        """Add rows: Arrow, pandas, polars, or anything with ``__arrow_c_stream__``; columns are matched by name.

        ``weights``: +1 per inserted, −1 per deleted row; all inserted if not given. Raises ValidationError where a
        column is missing or does not convert, or the table is finished.
        """
        rows = self._conformed(as_arrow(data))
        if weights is not None and len(weights) != rows.num_rows:
            raise ValidationError(f"{len(weights)} weights for {rows.num_rows} rows")
        with self._lock:
            if self._finished:
                raise ValidationError("the table is finished; nothing can be appended")
            offset = 0
            for batch in rows.to_batches():
                if batch.num_rows:
                    part = (
                        None
                        if weights is None
                        else np.asarray(weights[offset : offset + batch.num_rows], np.int64)
                    )
                    self._batches.append(ChangelogBatch(batch, part))
                    self._starts.append(self._rows)
                    self._rows += batch.num_rows
                    offset += batch.num_rows
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    def _conformed(self, table: pa.Table) -> pa.Table:
        arrow = self.schema.arrow
        missing = [n for n in arrow.names if n not in table.schema.names]
        if missing:
            raise ValidationError(
                f"the data has no column '{missing[0]}'; it has {', '.join(table.schema.names)}",
                hint=f"the table's columns are {', '.join(arrow.names)}",
            )
        table = table.select(arrow.names)
        if table.schema.equals(arrow):
            return table
        try:
            return table.cast(arrow)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as e:
            raise ValidationError(f"the data does not fit the table {self.schema}: {e}") from None

    def finish(self) -> None:
        """Nothing more will be appended."""
        with self._lock:
            self._finished = True
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        return self._finished

    @property
    def num_rows(self) -> int:
        """How many rows were appended."""
        return self._rows

    def read(self, position: int, max_rows: int) -> tuple[ChangelogBatch | None, int, bool]:
        """Rows from ``position`` on: (rows, next position, whether that is the end). Zero-copy."""
        with self._lock:
            if position >= self._rows:
                return None, position, self._finished
            first = bisect_right(self._starts, position) - 1
            taken: list[ChangelogBatch] = []
            rows = 0
            for i in range(first, len(self._batches)):
                batch = self._batches[i]
                skip = max(0, position - self._starts[i])
                take = min(batch.num_rows - skip, max_rows - rows)
                weights = None if batch.weights is None else batch.weights[skip : skip + take]
                taken.append(ChangelogBatch(batch.rows.slice(skip, take), weights))
                rows += take
                if rows >= max_rows:
                    break
            end = position + rows
            return ChangelogBatch.concat(taken), end, self._finished and end >= self._rows

    def deliver(
        self,
        run: str,
        first: int,
        steps: Sequence[ChangelogBatch],
        show: Callable[[ChangelogBatch], None],
    ) -> None:
        """``show`` the steps that ``run`` has not delivered yet. ``first``: how many rows of it lie before them."""
        with self._delivering:
            for step in steps:
                if first >= self._delivered.get(run, 0):
                    show(step)
                    self._delivered[run] = first + step.num_rows
                first += step.num_rows

    def open_source(self, context: SourceContext) -> Source:
        """A new reader for one scan of the table in one job."""
        return InProcessSource(context)

    def open_sink(self, context: SinkContext) -> Sink:
        """A new writer for one INSERT of one job."""
        return InProcessSink(context)

    def add_waker(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` after every append, from the thread that appends."""
        with self._lock:
            self._wakers.append(wake)

    def remove_waker(self, wake: Callable[[], None]) -> None:
        """Undo :meth:`add_waker`."""
        with self._lock:
            if wake in self._wakers:
                self._wakers.remove(wake)


class InProcessSource(Source):
    """Reads an :class:`InProcessTable`; its one split is ``rows``, its position a row count."""

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._table: InProcessTable = context.table.data
        names = self._table.schema.names
        self._columns = [names.index(f.name) for f in context.physical]
        self._position = int(context.positions.get(_SPLIT, "0"))
        self._ended = False

    @property
    def bounded(self) -> bool:  # type: ignore[override]
        return self._table.finished

    def start(self) -> None:
        self._table.add_waker(self._context.wake)
        self._context.wake()

    def poll(self, max_rows: int) -> SourceBatch | None:
        if self._ended:
            return None
        if self._table.finished and self._position > self._table.num_rows:
            raise ConnectorError(
                f"table {self._context.table.path} has {self._table.num_rows} rows, and {self._position} were read "
                "from it before the job was resumed",
                hint="give the table the rows it had, in their order",
            )
        batch, self._position, self._ended = self._table.read(self._position, max_rows)
        if batch is None and not self._ended:
            return None
        if batch is not None:
            columns = [batch.rows.column(i) for i in self._columns]
            rows = pa.RecordBatch.from_arrays(columns, schema=self._context.physical.arrow)
            batch = ChangelogBatch(rows, batch.weights)
        finished = frozenset({_SPLIT}) if self._ended else frozenset[str]()
        return SourceBatch(batch, [_SPLIT], positions={_SPLIT: str(self._position)}, finished=finished)

    def splits(self) -> Sequence[str]:
        return [_SPLIT]

    def lag(self) -> int | None:
        return self._table.num_rows - self._position

    def close(self) -> None:
        self._table.remove_waker(self._context.wake)


class InProcessSink(Sink):
    """Appends what it is given to the table's :class:`InProcessTable`, with weights; with checkpoints, at their commit.

    A checkpoint keeps the rows, so that a run in another process can append them.
    """

    def __init__(self, context: SinkContext) -> None:
        self._table: InProcessTable = context.table.data
        self._schema = context.schema.arrow
        self._checkpointed = context.checkpointed
        self._run = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._held: list[ChangelogBatch] = []
        self._first = 0

    def start(self) -> None:
        """Nothing to open."""

    def write(self, batch: ChangelogBatch) -> None:
        if not self._checkpointed:
            self.show(batch)
        elif batch.num_rows:
            with self._lock:
                self._held.append(batch)

    def show(self, batch: ChangelogBatch) -> None:
        """Let readers have the changes of a step."""
        self._table.append(pa.Table.from_batches([batch.rows]), batch.weights)

    def flush(self) -> None:
        """Nothing is buffered but what waits for its checkpoint."""

    def prepare(self, checkpoint: int) -> Prepared:
        """All rows that no commit has shown: those of a checkpoint that came to nothing are in the next."""
        with self._lock:
            values = {"run": self._run, "first": self._first}
            return Prepared(values, {"rows": _packed(self._held)} if self._held else {})

    def commit(self, checkpoint: int, prepared: Prepared) -> None:
        """Show what the table has not got yet."""
        if "rows" not in prepared.tables:
            return
        run, first = prepared.values["run"], prepared.values["first"]
        steps = _unpacked(prepared.tables["rows"], self._schema)
        self._table.deliver(run, first, steps, self.show)
        if run == self._run:
            end = first + sum(s.num_rows for s in steps)
            with self._lock:
                while self._held and self._first < end:
                    self._first += self._held.pop(0).num_rows

    def close(self, *, finished: bool) -> None:
        """The table outlives the job; what waits for a checkpoint does not."""
        with self._lock:
            self._held.clear()


def _packed(steps: Sequence[ChangelogBatch]) -> pa.Table:
    """The changes of some steps as a table: columns by number, then weight and step."""
    rows = pa.Table.from_batches([s.rows for s in steps]).columns
    weights = np.concatenate([s.weight_array() for s in steps])
    numbers = np.repeat(np.arange(len(steps)), [s.num_rows for s in steps])
    return pa.table([*rows, weights, numbers], names=[*(f"c{i}" for i in range(len(rows))), "weight", "step"])


def _unpacked(table: pa.Table, schema: pa.Schema) -> list[ChangelogBatch]:
    """The inverse of :func:`_packed`."""
    rows = table.select(range(table.num_columns - 2))
    weights = np.array(table.column("weight").to_numpy(), np.int64)
    steps = table.column("step").to_numpy()
    found = []
    for start, end in pairwise([0, *(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(steps)]):
        (step,) = rows.slice(start, end - start).combine_chunks().to_batches()
        part = weights[start:end]
        found.append(
            ChangelogBatch(
                pa.RecordBatch.from_arrays(step.columns, schema=schema),
                None if bool((part == 1).all()) else part,
            )
        )
    return found


def create_source(context: SourceContext) -> Source:
    table: InProcessTable = context.table.data
    return table.open_source(context)


def create_sink(context: SinkContext) -> Sink:
    table: InProcessTable = context.table.data
    return table.open_sink(context)


def as_arrow(data: Any) -> pa.Table:
    """Arrow, pandas, polars or an Arrow stream as one table. Raises ValidationError for anything else."""
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if hasattr(data, "__arrow_c_stream__"):
        return pa.table(data)
    if type(data).__module__.startswith("pandas"):
        return pa.Table.from_pandas(data, preserve_index=False)
    if isinstance(data, list) and data and isinstance(data[0], dict):
        return pa.Table.from_pylist(data)
    raise ValidationError(
        f"cannot read rows from {type(data).__name__}",
        hint="hand in an Arrow table, a pandas or polars frame, or a list of dicts",
    )


def schema_of(arrow: pa.Schema) -> Schema:
    """The table schema of Arrow columns."""
    return Schema(tuple(Field(f.name, from_arrow(f.type)) for f in arrow))
