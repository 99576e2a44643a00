"""``sink_table``: keeps what INSERTs write, as a changelog of Python rows and as the table it amounts to."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from streamsql.catalog.table import TableDefinition
from streamsql.changelog import ChangelogBatch, Row, RowKind, row_kinds
from streamsql.errors import JobError
from streamsql.runtime.connectors.base import Sink, SinkContext
from streamsql.runtime.connectors.in_process import InProcessSink, InProcessTable
from streamsql.schema import Schema
from streamsql.session import TableEnvironment

from .clock import attach, settle
from .tables import create, declared, physical_schema
from .values import frozen, python_column

_INSERT, _BEFORE, _AFTER, _DELETE = RowKind
_KIND = tuple(RowKind)


def sink_table(env: TableEnvironment, ddl: str) -> SinkTable:
    """Register a table that keeps what is written to it, from a whole ``CREATE TABLE`` statement without WITH.

    Without a primary key the changelog has the kinds that the query gives: ``+I -U +U -D``. With one it is a sequence
    of upserts, as Flink's upsert sinks get them: ``+I`` the first time, ``+U`` from then on, ``-D``, and no ``-U``.
    """
    key = declared(env, ddl, {}).primary_key
    definition = declared(env, ddl, {"changelog-mode": "I,UA,D" if key else "I,UB,UA,D"})
    schema = physical_schema(definition)
    data = CollectingTable(schema, tuple(schema.index(k) for k in key) if key else None)
    table = SinkTable(env, create(env, definition, data), data)
    attach(env)
    return table


class SinkTable:
    """A table made by :func:`sink_table`. Looking into it waits until the running jobs have nothing left to do."""

    def __init__(self, env: TableEnvironment, definition: TableDefinition, data: CollectingTable) -> None:
        self._env = env
        self._data = data
        self.definition = definition

    @property
    def name(self) -> str:
        """The table's name without its database."""
        return self.definition.path.name

    @property
    def schema(self) -> Schema:
        """The columns that are written: computed ones left out."""
        return self._data.schema

    def changelog(self) -> list[Row]:
        """Every change in the order of emission. A row is a tuple of Python values with ``kind`` and ``names``."""
        self._rest()
        return self._data.changes()

    def rows(self) -> list[Row]:
        """The table that the changes amount to, in order of first insertion.

        With a primary key the last row of each key; without one the rows inserted and not deleted.
        """
        return final_rows(self.changelog(), self._data.key)

    def clear(self) -> None:
        """Forget the changes so far: :meth:`changelog` tells what follows."""
        self._rest()
        self._data.clear()

    def _rest(self) -> None:
        with contextlib.suppress(JobError):  # a job that fails says so where it is waited for
            settle(self._env)

    def __repr__(self) -> str:
        return f"SinkTable({self.definition.path}, {self._data.num_rows} changes)"


def final_rows(changes: list[Row], key: tuple[int, ...] | None) -> list[Row]:
    """The rows that a changelog leaves, as inserts. ``key``: changes are upserts and deletions by these columns."""
    if key is not None:
        by_key: dict[Any, Row] = {}
        for change in changes:
            identity = tuple(frozen(change[i]) for i in key)
            if change.kind in (_INSERT, _AFTER):
                by_key[identity] = change
            else:
                by_key.pop(identity, None)
        return [_inserted(row) for row in by_key.values()]
    counts: dict[Any, int] = {}
    rows: dict[Any, Row] = {}
    for change in changes:
        identity = frozen(tuple(change))
        sign = 1 if change.kind in (_INSERT, _AFTER) else -1
        counts[identity] = counts.get(identity, 0) + sign
        rows.setdefault(identity, change)
        if not counts[identity]:
            del counts[identity], rows[identity]
    return [_inserted(rows[i]) for i, n in counts.items() for _ in range(n)]


def _inserted(row: Row) -> Row:
    return Row(tuple(row), row.names)


class CollectingTable(InProcessTable):
    """Keeps the changes written to it as rows, beside the batches that can be read as a table."""

    def __init__(self, schema: Schema, key: tuple[int, ...] | None) -> None:
        super().__init__(schema)
        self.key = key
        self._changes: list[Row] = []
        self._changing = threading.Lock()
        self._alive: dict[Any, list[Row]] = {}

    def open_sink(self, context: SinkContext) -> Sink:
        return CollectingSink(context, self)

    def changes(self) -> list[Row]:
        """A copy of the changes so far."""
        with self._changing:
            return list(self._changes)

    def clear(self) -> None:
        """Forget them."""
        with self._changing:
            self._changes.clear()

    def write(self, batch: ChangelogBatch, query_key: tuple[int, ...] | None, *, upsert: bool) -> None:
        """Take the changes of a step. ``query_key`` tells which deletion and insertion are one update."""
        order, kinds = row_kinds(batch, query_key, upsert=upsert)
        taken = batch.rows.take(pa.array(order))
        columns = [python_column(c, t) for c, t in zip(taken.columns, self.schema.types, strict=True)]
        names = tuple(self.schema.names)
        rows = [Row(v, names, _KIND[k]) for v, k in zip(zip(*columns, strict=True), kinds, strict=True)]
        with self._changing:
            if self.key is None:
                self._changes += rows
            elif upsert:
                self._changes += self._upserts(rows, self.key)
            else:
                self._changes += self._materialised(rows, self.key)

    def _upserts(self, rows: list[Row], key: tuple[int, ...]) -> Iterator[Row]:
        """+I where the key is new, +U where it is known."""
        for row in rows:
            identity = tuple(frozen(row[i]) for i in key)
            if row.kind is _DELETE:
                if self._alive.pop(identity, None) is not None:
                    yield row
            else:
                row.kind = _AFTER if identity in self._alive else _INSERT
                self._alive[identity] = [row]
                yield row

    def _materialised(self, rows: list[Row], key: tuple[int, ...]) -> Iterator[Row]:
        """Upserts from full changes whose keys are others: of each key the last row that is still there.

        Source: Flink's SinkUpsertMaterializer.
        """
        keys = [tuple(frozen(row[i]) for i in key) for row in rows]
        replaced: Any = None
        for n, (row, identity) in enumerate(zip(rows, keys, strict=True)):
            alive = self._alive.setdefault(identity, [])
            if row.kind in (_INSERT, _AFTER):
                row.kind = _AFTER if alive or replaced == identity else _INSERT
                alive.append(row)
                replaced = None
                yield row
                continue
            twins = [i for i, other in enumerate(alive) if frozen(tuple(other)) == frozen(tuple(row))]
            if not twins:
                continue
            last = twins[-1] == len(alive) - 1
            alive.pop(twins[-1])
            if not last:
                continue
            if alive:
                yield Row(tuple(alive[-1]), row.names, _AFTER)
            elif n + 1 < len(rows) and keys[n + 1] == identity and rows[n + 1].kind in (_INSERT, _AFTER):
                replaced = identity  # by the next change
            else:
                del self._alive[identity]
                yield Row(tuple(row), row.names, _DELETE)


class CollectingSink(InProcessSink):
    """Hands what one INSERT of a job writes to the table."""

    def __init__(self, context: SinkContext, table: CollectingTable) -> None:
        super().__init__(context)
        self._collecting = table
        self._query_key = context.query_key
        self._upsert = context.upsert

    def show(self, batch: ChangelogBatch) -> None:
        self._collecting.write(batch, self._query_key, upsert=self._upsert)
        super().show(batch)
