"""Reading a table of a database once: a thread streams it ahead into a bounded queue.

The table is one split, or one for each ``scan.partition``, read one after the other. With a PRIMARY KEY rows come in
its order and a position is the key of the last row, so that a resumed reading goes on behind it, whatever has changed
in between; without one it is a count of rows, which holds as long as the database gives them in the same order.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import DataType, Root
from streamsql.errors import DataError
from streamsql.schema import Schema

from .base import Source, SourceBatch, SourceContext
from .jdbc_connection import Database, column_of
from .jdbc_types import DbColumn, from_database, literal, quoted, read_sql
from .reader_thread import end_reader
from .waiting import Waiting

_QUEUED_ROWS_MAX = 262_144
"""Rows read ahead of the job at most, beside the batch in the making."""
_END = "end"


@dataclass
class _Piece:
    """``keys``: per row its primary key as texts; ``first``: the number of the first row, where there is no key."""

    split: str
    rows: pa.RecordBatch
    keys: pa.RecordBatch | None
    first: int
    finished: bool = False


@dataclass(frozen=True)
class _Part:
    """``where`` keeps the rows of a split."""

    split: str
    where: str = ""


class JdbcSource(Source):
    """See the module's text."""

    bounded = True

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._options = context.options.options
        self._closed = threading.Event()
        waiting = Waiting(context.now_ms, self._ending)
        self._database = Database(
            context.options, self._options["lookup.max-retries"], "lookup.max-retries", waiting
        )
        types = {c.name: c.type for c in context.table.physical_columns}
        self._types: list[tuple[str, DataType]] = [(f.name, f.type) for f in context.physical]
        self._key = [(name, types[name]) for name in context.table.primary_key]
        self._parts = _parts(context)
        self._positions = dict(context.positions)
        self._queue: deque[_Piece] = deque()
        self._queued_rows = 0
        self._error: BaseException | None = None
        self._lock = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="jdbc", daemon=True)

    def start(self) -> None:
        columns = self._database.columns()
        place = self._database.place
        self._select = [read_sql(column_of(columns, n, place), t, place) for n, t in self._types]
        self._key_names = [quoted(column_of(columns, n, place).name) for n, _ in self._key]
        self._where_column: DbColumn | None = None
        if self._options["scan.partition.column"] is not None:
            self._where_column = column_of(columns, self._options["scan.partition.column"], place)
        self._thread.start()

    def _ending(self) -> bool:
        """Whether waiting is given up. The reader goes on until it is closed: a job that is to end may yet go on."""
        return self._closed.is_set() or (self._thread.ident is None and self._context.stopping())

    # -- the reader's thread -----------------------------------------------------------------------------------------
    def _run(self) -> None:
        try:
            for part in self._parts:
                if self._positions.get(part.split) != _END:
                    self._read(part)
                self._put(_Piece(part.split, _no_rows(self._context.physical), None, 0, finished=True))
        except BaseException as e:  # handed to the job by poll()
            with self._lock:
                self._error = e
        finally:
            self._database.close()
            self._context.wake()

    def _read(self, part: _Part) -> None:
        """All rows of a split; after a break it goes on behind the last row that was put into the queue."""
        position = self._positions.get(part.split)

        def attempt(connection: Any) -> None:
            nonlocal position
            with connection.cursor() as cursor:
                cursor.execute(self._sql(part, position))
                for batch in cursor.fetch_record_batch():
                    for piece in self._pieces(part, batch, position):
                        self._put(piece)
                        if self._closed.is_set():
                            return
                        position = self._after(piece, piece.rows.num_rows)
                        self._database.progress()

        self._database.run(attempt)

    def _sql(self, part: _Part, position: str | None) -> str:
        items = [f"{e} AS c{i}" for i, e in enumerate(self._select)]
        items += [f"t.{n}::text AS k{i}" for i, n in enumerate(self._key_names)]
        conditions = (
            [part.where.replace("{column}", f"t.{quoted(self._where_column.name)}")]
            if (self._where_column is not None and part.where)
            else []
        )
        order = ", ".join(f"t.{n}" for n in self._key_names)
        if self._key_names and position is not None:
            last = ", ".join(literal(v) for v in json.loads(position))
            conditions.append(f"({order}) > ({last})")
        sql = f"SELECT {', '.join(items) or '1'} FROM {self._database.table} AS t"
        if conditions:
            sql += " WHERE " + " AND ".join(conditions)
        if self._key_names:
            return f"{sql} ORDER BY {order}"
        return sql if position is None else f"{sql} OFFSET {int(position)}"

    def _pieces(self, part: _Part, batch: pa.RecordBatch, position: str | None) -> list[_Piece]:
        """A batch cut to the rows that are handed on at once."""
        width = len(self._types)
        names = [f"k{i}" for i in range(len(self._key_names))]
        keys = pa.RecordBatch.from_arrays(batch.columns[width:], names=names) if names else None
        for (name, _), key in zip(self._key, batch.columns[width:], strict=True):
            if key.null_count:
                raise DataError(
                    f"column '{name}' of {self._database.place} is NULL in a row, "
                    "and the table is declared with it in its PRIMARY KEY",
                    hint="declare the key that the rows have, or none",
                )
        table = pa.Table.from_arrays(batch.columns[:width], names=[n for n, _ in self._types])
        if width:
            rows = from_database(table, self._types, self._database.place)
        else:
            rows = pa.RecordBatch.from_struct_array(pa.array([{}] * batch.num_rows, pa.struct([])))
        size = min(
            self._options["scan.fetch-size"] or self._context.batch_rows_max, self._context.batch_rows_max
        )
        first = 0 if self._key_names or position is None else int(position)
        return [
            _Piece(
                part.split, rows.slice(i, size), keys.slice(i, size) if keys is not None else None, first + i
            )
            for i in range(0, batch.num_rows, size)
        ]

    def _after(self, piece: _Piece, rows: int) -> str:
        """The position behind so many rows of a piece."""
        if piece.keys is None:
            return str(piece.first + rows)
        return json.dumps([c[rows - 1].as_py() for c in piece.keys.columns])

    def _put(self, piece: _Piece) -> None:
        with self._lock:
            self._lock.wait_for(lambda: self._queued_rows < _QUEUED_ROWS_MAX or self._closed.is_set())
            self._queue.append(piece)
            self._queued_rows += piece.rows.num_rows
        self._context.wake()

    # -- the job's thread --------------------------------------------------------------------------------------------
    def poll(self, max_rows: int) -> SourceBatch | None:
        with self._lock:
            if not self._queue:
                if self._error is not None:
                    raise self._error
                return None
            piece = self._queue[0]
            if piece.rows.num_rows > max_rows:
                keys = piece.keys
                self._queue[0] = _Piece(
                    piece.split,
                    piece.rows.slice(max_rows),
                    keys.slice(max_rows) if keys is not None else None,
                    piece.first + max_rows,
                )
                piece = _Piece(piece.split, piece.rows.slice(0, max_rows), keys, piece.first)
            else:
                self._queue.popleft()
            self._queued_rows -= piece.rows.num_rows
            self._lock.notify_all()
        if piece.finished:
            return SourceBatch(
                None, [piece.split], positions={piece.split: _END}, finished=frozenset({piece.split})
            )
        position = self._after(piece, piece.rows.num_rows)
        return SourceBatch(ChangelogBatch(piece.rows), [piece.split], positions={piece.split: position})

    def splits(self) -> Sequence[str]:
        return [part.split for part in self._parts]

    def commit(self, positions: Mapping[str, str]) -> None:
        """A database keeps no positions."""

    def status(self) -> str | None:
        return self._database.status()

    def close(self) -> None:
        end_reader(self._thread, self._closed, self._lock, self._database.cancel)
        self._database.close()


def _no_rows(schema: Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in schema.arrow], schema=schema.arrow)


def _parts(context: SourceContext) -> list[_Part]:
    """The splits: the whole table, or ranges of the partition column as Flink cuts them."""
    options = context.options.options
    count: int | None = options["scan.partition.num"]
    if count is None:
        return [_Part("table")]
    low, high = options["scan.partition.lower-bound"], options["scan.partition.upper-bound"]
    column = context.table.column(options["scan.partition.column"])
    assert column is not None and column.type is not None
    count = min(count, high - low + 1)
    size, more = divmod(high - low + 1, count)
    parts: list[_Part] = []
    start = low
    for i in range(count):
        end = start + size - 1 + (1 if i < more else 0)
        last = i == count - 1  # elsewhere what lies between two whole numbers belongs to the lower part
        upper = f"<= {_bound(end, column.type)}" if last else f"< {_bound(end + 1, column.type)}"
        where = f"{{column}} >= {_bound(start, column.type)} AND {{column}} {upper}"
        parts.append(_Part(f"part-{i}", where))
        start = end + 1
    return parts


def _bound(value: int, t: DataType) -> str:
    if t.root is Root.DATE:
        return literal((dt.date(1970, 1, 1) + dt.timedelta(days=value)).isoformat())
    if t.is_timestamp:
        instant = dt.datetime(1970, 1, 1) + dt.timedelta(milliseconds=value)
        return literal(instant.isoformat(sep=" ") + ("+00" if t.root is Root.TIMESTAMP_LTZ else ""))
    return str(Decimal(value))
