"""Writing a table of a database: changes are gathered, and written in one transaction.

They go into a temporary table by COPY and from there into the table. With a PRIMARY KEY the last change of each key
counts: ``INSERT … ON CONFLICT … DO UPDATE``, and ``DELETE`` by key. Without one rows are appended. A transaction whose
end was not heard of is written again: with a key nothing changes by that, without one rows may be there twice.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from streamsql.changelog import ChangelogBatch
from streamsql.errors import ConnectorError

from ..state.consolidate import group_ids
from .base import Sink, SinkContext
from .jdbc_connection import Database, column_of
from .jdbc_types import quoted, stage_type, write_sql
from .waiting import AwayError, StoppedError, Waiting

_BUFFER_ROWS_MAX = 262_144
"""Changes kept before they are written, whatever the options say: bounds memory."""
_STAGE = "streamsql_stage"
CLOSE_S = 10.0
"""How long a job that is to end waits for a database that is away, to write what is left."""
STOP_S = 30.0
"""How long a transaction may still take once the job is to end."""


class JdbcSink(Sink):
    """See the module's text."""

    def __init__(self, context: SinkContext) -> None:
        options = context.options.options
        self._context = context
        self._key = context.upsert_key
        most: int = options["sink.buffer-flush.max-rows"]
        self._interval_ms: int = options["sink.buffer-flush.interval"]
        if most == 0 and self._interval_ms == 0:
            most = 1
        self._rows_max = min(most or _BUFFER_ROWS_MAX, _BUFFER_ROWS_MAX)
        self._close_until_s: float | None = None
        waiting = Waiting(context.now_ms, self._ending)
        self._database = Database(context.options, options["sink.max-retries"], "sink.max-retries", waiting)
        self._buffer: list[ChangelogBatch] = []
        self._buffered = 0
        self._since_ms = 0
        self._retry_ms = 0
        self._retry_s = 0.0

    def _ending(self) -> bool:
        """Whether waiting is given up: the job is to end, and what is left had its time."""
        until = self._close_until_s
        return self._context.stopping() and (until is None or time.monotonic() >= until)

    def start(self) -> None:
        database = self._database
        database.watch(STOP_S)
        found = database.columns()
        fields = list(self._context.schema)
        columns = [column_of(found, f.name, database.place) for f in fields]
        names = [quoted(c.name) for c in columns]
        values = [
            write_sql(c, f.type, f"s.c{i}", database.place)
            for i, (c, f) in enumerate(zip(columns, fields, strict=True))
        ]
        types = [f"c{i} {stage_type(f.type)}" for i, f in enumerate(fields)]
        self._create = (
            f"CREATE TEMP TABLE IF NOT EXISTS {_STAGE} ({', '.join(types)}, gone boolean, n int8) "
            "ON COMMIT DELETE ROWS"
        )
        self._stage = pa.schema(
            [
                *(pa.field(f"c{i}", f.type.arrow) for i, f in enumerate(fields)),
                pa.field("gone", pa.bool_()),
                pa.field("n", pa.int64()),
            ]
        )
        table = database.table
        self._insert = (
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM {_STAGE} AS s "
            "WHERE NOT s.gone ORDER BY s.n"
        )
        self._delete: str | None = None
        if self._key is not None:
            self._check_key([columns[k].name for k in self._key])
            key = [names[k] for k in self._key]
            others = [n for n in names if n not in key]
            changes = ", ".join(f"{n} = EXCLUDED.{n}" for n in others)
            self._insert += f" ON CONFLICT ({', '.join(key)}) DO " + (
                f"UPDATE SET {changes}" if others else "NOTHING"
            )
            same = " AND ".join(f"t.{names[k]} = {values[k]}" for k in self._key)
            self._delete = f"DELETE FROM {table} AS t USING {_STAGE} AS s WHERE s.gone AND {same}"

    def _check_key(self, names: Sequence[str]) -> None:
        if set(names) in self._database.unique_keys():
            return
        columns = ", ".join(names)
        raise ConnectorError(
            f"{self._database.owner}: {self._database.place} does not keep ({columns}) unique, "
            "and rows cannot be found there by that key",
            hint=f"CREATE UNIQUE INDEX ON {self._database.table} ({columns}), or declare the key that it has",
        )

    def write(self, batch: ChangelogBatch) -> None:
        if not batch.num_rows:
            return
        if not self._buffer:
            self._since_ms = self._context.now_ms()
        self._buffer.append(batch)
        self._buffered += batch.num_rows

    def flush(self) -> None:
        old = self._interval_ms and self._context.now_ms() - self._since_ms >= self._interval_ms
        if not self._buffered or not (old or self._buffered >= self._rows_max):
            return
        if self._buffered >= _BUFFER_ROWS_MAX:
            with contextlib.suppress(StoppedError):  # it is kept, and written at the end
                self._write_out(self._database.run)  # no more fits: the job waits
        elif self._context.now_ms() >= self._retry_ms:
            self._try()

    def settle(self, timeout_s: float) -> bool:
        if self._buffered and time.monotonic() >= self._retry_s:
            self._try()
        if self._buffered:
            time.sleep(timeout_s)
        return not self._buffered

    def _try(self) -> None:
        """Write, if the database is there; else later, while the job goes on."""
        try:
            self._write_out(self._database.attempt)
        except AwayError as e:
            self._retry_ms = self._context.now_ms() + e.wait_ms
            self._retry_s = time.monotonic() + e.wait_ms / 1000

    def close(self, *, finished: bool) -> None:
        self._close_until_s = time.monotonic() + CLOSE_S
        try:
            if finished:
                self._write_out(self._database.run)
        except StoppedError:
            status = self._database.status()
            raise ConnectorError(
                f"{self._buffered} changes of {self._database.place} were not written before the end of the job"
                + (f": {status}" if status else ": the database did not answer in time"),
                hint="stop the job when the database answers; with checkpoints it goes on from the last one",
            ) from None
        finally:
            self._buffer, self._buffered = [], 0
            self._database.close()

    def status(self) -> str | None:
        return self._database.status()

    # -- one transaction ---------------------------------------------------------------------------------------------
    def _write_out(self, run: Callable[[Callable[[Any], None]], None]) -> None:
        changes = ChangelogBatch.concat(self._buffer)
        if changes is None:
            return
        rows, gone = self._reduced(changes)
        columns = [*rows.columns, pa.array(gone), pa.array(np.arange(rows.num_rows))]
        staged = pa.Table.from_arrays([_plain(c) for c in columns], schema=self._stage)
        deletes = self._delete if bool(gone.any()) else None

        def transaction(connection: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute(self._create)
                cursor.execute("BEGIN")
                try:
                    cursor.adbc_ingest(_STAGE, staged, mode="append", temporary=True)
                    if deletes is not None:
                        cursor.execute(deletes)
                    if not gone.all():
                        cursor.execute(self._insert)
                    cursor.execute("COMMIT")
                except BaseException:
                    cursor.close()
                    self._database.drop()  # which rolls back
                    raise

        run(transaction)
        self._buffer, self._buffered = [], 0

    def _reduced(self, changes: ChangelogBatch) -> tuple[pa.RecordBatch, np.ndarray[Any, np.dtype[np.bool_]]]:
        """What is to be written, and which rows are deletions: of each key the last change."""
        weights = changes.weight_array()
        if self._key is None:
            return changes.rows.take(pa.array(np.repeat(np.arange(len(weights)), weights))), np.zeros(
                int(weights.sum()), np.bool_
            )
        ids = group_ids([changes.rows.column(k) for k in self._key], changes.num_rows)
        _, behind = np.unique(ids[::-1], return_index=True)
        last = np.sort(changes.num_rows - 1 - behind)
        return changes.rows.take(pa.array(last)), weights[last] < 0


def _plain(column: pa.Array) -> pa.Array:
    return pa.concat_arrays([column]) if column.offset else column
