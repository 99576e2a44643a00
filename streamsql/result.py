"""TableResult: the answer to one statement, finite or running."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from .changelog import ChangelogBatch, Row, to_rows
from .errors import ValidationError
from .runtime.engine import Engine, internal_names
from .runtime.job import Job
from .runtime.operators.collect import ResultQueue
from .schema import Schema

SUCCESS = "SUCCESS"
SUCCESS_WITH_CONTENT = "SUCCESS_WITH_CONTENT"
_BATCH_ROWS = 16_384


class TableResult:
    """What ``execute_sql`` returns.

    A query's rows come with their kind (``row.kind``); of an unbounded query they never end: ``close()`` stops its job.
    ``job`` is the running job of a query or INSERT, else None. ``message`` is ``OK`` for a statement without rows.
    ``bounded``: the result ends by itself. ``limited``: a LIMIT ends it, once so many rows have come.
    ``upsert_key``: columns that identify a result row, where known.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        rows: Sequence[Sequence[Any]] | None = None,
        table: pa.Table | None = None,
        job: Job | None = None,
        queue: ResultQueue | None = None,
        message: str = "",
        insert_only: bool = True,
        upsert_key: tuple[int, ...] | None = None,
        bounded: bool = True,
        limited: bool = False,
    ) -> None:
        self.schema = schema
        self.job = job
        self.message = message
        self.insert_only = insert_only
        self.upsert_key = upsert_key
        self.bounded = bounded
        self.limited = limited
        self.time_zone = "UTC"
        """In which zone :meth:`print` shows TIMESTAMP_LTZ: that of the session when the statement ran."""
        self._queue = queue
        self._table = table
        self._pending: deque[Row] = deque()
        self._waiting: deque[ChangelogBatch] = deque()
        self._done = queue is None
        self._kept: list[ChangelogBatch] = []
        if rows is not None:
            self._pending.extend(Row(tuple(r), schema.names) for r in rows)
        elif table is not None:
            batches = table.rename_columns(schema.names).to_batches(max_chunksize=_BATCH_ROWS)
            self._waiting.extend(map(ChangelogBatch, batches))

    # -- what it is ------------------------------------------------------------------------------------------------
    @property
    def result_kind(self) -> str:
        """``SUCCESS`` for OK, ``SUCCESS_WITH_CONTENT`` for rows (Flink's ResultKind)."""
        return SUCCESS if self.message and self._queue is None else SUCCESS_WITH_CONTENT

    @property
    def is_query(self) -> bool:
        """Whether the rows come from a query (not from SHOW, DESCRIBE or EXPLAIN)."""
        return self._queue is not None or self._table is not None

    def get_job_client(self) -> Job | None:
        """PyFlink's name for :attr:`job`."""
        return self.job

    def get_result_kind(self) -> str:
        """PyFlink's name for :attr:`result_kind`."""
        return self.result_kind

    def get_table_schema(self) -> Schema:
        """PyFlink's name for :attr:`schema`."""
        return self.schema

    # -- rows as they come -----------------------------------------------------------------------------------------
    def poll(self, timeout_s: float | None) -> list[Row] | None:
        """Rows that have arrived, waiting up to ``timeout_s``; an empty list for none yet, None at the end.

        Raises JobError where the query's job failed.
        """
        if self._pending:
            rows = list(self._pending)
            self._pending.clear()
            return rows
        batch = self.next_batch(timeout_s)
        if batch is not None:
            return list(to_rows(batch, self.upsert_key))
        return None if self._done else []

    @property
    def running(self) -> bool:
        """Whether more may come."""
        return not self._done

    def next_batch(self, timeout_s: float | None) -> ChangelogBatch | None:
        """The next step's changes as Arrow rows with weights: the fast way to take a query's result.

        None after the timeout, and at the end (then :attr:`running` is False). Columns carry the query's names.
        """
        if self._waiting:
            return self._waiting.popleft()
        batch = self._next_batch(timeout_s)
        return None if batch is None else self._named(batch)

    def _next_batch(self, timeout_s: float | None) -> ChangelogBatch | None:
        if self._queue is None or self._done:
            return None
        assert self.job is not None
        alive = self.job.is_alive()
        batch = self._queue.get(timeout_s if alive else 0)
        if batch is None and not alive:
            self._done = True
            self.job.wait()
        return batch

    def _named(self, batch: ChangelogBatch) -> ChangelogBatch:
        columns = [
            c if c.type == f.type.arrow else c.cast(f.type.arrow)
            for c, f in zip(batch.rows.columns, self.schema, strict=True)
        ]
        return ChangelogBatch(pa.RecordBatch.from_arrays(columns, names=self.schema.names), batch.weights)

    def collect(self) -> Iterator[Row]:
        """Every change, one :class:`Row` at a time; endless for an unbounded query."""
        while (rows := self.poll(0.5)) is not None:
            yield from rows

    def __iter__(self) -> Iterator[Row]:
        return self.collect()

    def __enter__(self) -> TableResult:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the final table -------------------------------------------------------------------------------------------
    def to_arrow(self) -> pa.Table:
        """The final table of a bounded result, changelog applied. Raises ValidationError for an unbounded one."""
        if self._table is not None:
            self._waiting.clear()
            return self._table.rename_columns(self.schema.names)
        if not (self.bounded or self.limited):
            raise ValidationError(
                "the query never ends: its sources are unbounded",
                hint="iterate over collect(), or stop it with close()",
            )
        if self._queue is None:
            columns = list(zip(*self._pending, strict=True)) if self._pending else [()] * len(self.schema)
            self._pending.clear()
            arrays = [pa.array(list(c), f.type.arrow) for c, f in zip(columns, self.schema, strict=True)]
            return pa.Table.from_arrays(arrays, names=self.schema.names)
        while self._waiting or not self._done:
            batch = self.next_batch(0.5)
            if batch is not None:
                self._kept.append(batch)
        return final_table(self._kept, self.schema)

    def to_pandas(self) -> Any:
        """The final table as a pandas DataFrame (needs pandas)."""
        return self.to_arrow().to_pandas()

    def print(self) -> None:
        """Write the result to stdout as the SQL client does."""
        from .repl.render import print_result

        print_result(self, self.time_zone)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the job to end; False after the timeout. Raises JobError where it failed."""
        if self.job is None:
            return True
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while self._queue is not None and not self._done:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if left == 0.0:
                return False
            batch = self._next_batch(0.2 if left is None else min(0.2, left))
            if batch is not None:
                self._waiting.append(self._named(batch))
        return self.job.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Stop the query's job and forget its rows. An INSERT's job goes on."""
        if self._queue is not None:
            self._queue.close()
            if self.job is not None:
                self.job.stop()
        self._done = True


def final_table(batches: Sequence[ChangelogBatch], schema: Schema) -> pa.Table:
    """The table that a changelog amounts to. Rows in order of their first insertion."""
    total = ChangelogBatch.concat(list(batches))
    names = schema.names
    if total is None:
        return pa.Table.from_arrays([pa.array([], f.type.arrow) for f in schema], names=names)
    if total.weights is None:
        return pa.Table.from_batches([total.rows])
    columns = internal_names(len(names))
    table = pa.Table.from_batches([total.rows]).rename_columns(columns)
    table = table.append_column("w", pa.array(total.weights)).append_column(
        "o", pa.array(range(total.num_rows))
    )
    engine = Engine(threads=1)
    try:
        items = ", ".join(columns)
        summed = f"SELECT {items}, sum(w)::BIGINT AS w, max(o) AS o FROM changes GROUP BY {items} HAVING sum(w) > 0"
        rows = engine.query(
            f"SELECT {items} FROM (SELECT *, unnest(range(w)) FROM ({summed})) ORDER BY o", {"changes": table}
        )
    finally:
        engine.close()
    arrays = [c.cast(f.type.arrow) for c, f in zip(rows.columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, names=names)
