"""Input tables of oracle tests: rows as they arrive, with what the session must know about them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.catalog.table import Column, TableDefinition, WatermarkSpec
from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import from_arrow
from streamsql.runtime.connectors.in_process import InProcessTable
from streamsql.runtime.operators.base import MAX_WATERMARK, MIN_WATERMARK
from streamsql.schema import Field, Schema
from streamsql.session import TableEnvironment

BASE = dt.datetime(2024, 1, 1)

INSERT_ONLY, UPSERT, RETRACT = "I", "I,UA,D", "I,UB,UA,D"


@dataclass(frozen=True, eq=False)
class Input:
    """A table: ``rows`` in order of arrival, ``time`` its event-time column, ``delay_s`` the watermark's bound.

    ``weights``: +1 or −1 per row of a changelog (``mode`` RETRACT, or UPSERT by ``key``).
    """

    name: str
    rows: pa.Table
    time: str | None = None
    delay_s: float = 0
    weights: tuple[int, ...] | None = None
    mode: str = INSERT_ONLY
    key: tuple[str, ...] = ()

    def register(self, env: TableEnvironment) -> None:
        """Make it a finite in-process table of the session."""
        data = InProcessTable(Schema.of([Field(f.name, from_arrow(f.type)) for f in self.rows.schema]))
        if self.rows.num_rows:
            data.append(self.rows, None if self.weights is None else np.array(self.weights, np.int64))
        data.finish()
        spec = None
        if self.time is not None:
            delay = f"INTERVAL '{self.delay_s}' SECOND"
            spec = WatermarkSpec(self.time, f"`{self.time}` - {delay}" if self.delay_s else f"`{self.time}`")
        options = {"connector": "in-process", "bounded": "true", "changelog-mode": self.mode}
        env.catalog.create(
            TableDefinition(
                env.catalog.resolve([self.name]),
                tuple(_columns(self.rows, self.key)),
                options,
                primary_key=self.key,
                watermark=spec,
                temporary=True,
                data=data,
            )
        )

    def slice(self, start: int, count: int) -> ChangelogBatch:
        """Rows ``start`` to ``start + count`` with their weights."""
        rows = self.rows.slice(start, count).combine_chunks()
        weights = None if self.weights is None else np.array(self.weights[start : start + count], np.int64)
        found = rows.to_batches()
        return ChangelogBatch(
            found[0] if found else pa.RecordBatch.from_pylist([], schema=rows.schema), weights
        )

    def watermark_ms(self, count: int) -> int:
        """The watermark after ``count`` rows; the highest once they are all read."""
        if count >= self.rows.num_rows:
            return MAX_WATERMARK
        if self.time is None:
            return MIN_WATERMARK
        times = self.rows[self.time].slice(0, count).cast(pa.timestamp("ms")).cast(pa.int64())
        highest = pc.max(times).as_py()
        return MIN_WATERMARK if highest is None else highest - int(self.delay_s * 1000)

    def final(self) -> pa.Table:
        """The table that the rows amount to: of a changelog, what is left at its end."""
        if self.weights is None:
            return self.rows
        alive: list[int] = []
        for i, weight in enumerate(self.weights):
            equal = [j for j in alive if self._same(i, j)]
            if self.mode == UPSERT or weight < 0:
                for j in equal[:1]:
                    alive.remove(j)
            if weight > 0:
                alive.append(i)
        return self.rows.take(pa.array(alive, pa.int64()))

    def _same(self, i: int, j: int) -> bool:
        names = self.key if self.mode == UPSERT else self.rows.schema.names
        return all(self.rows[n][i].as_py() == self.rows[n][j].as_py() for n in names)

    def shuffled(self, seed: int) -> Input:
        """Another order of arrival in which no row is late: each is delayed by less than the bound."""
        if self.weights is not None or self.rows.num_rows == 0:
            return self
        rng = np.random.default_rng(seed)
        n = self.rows.num_rows
        if self.time is None:
            order = rng.permutation(n)
        else:
            ms = self.rows[self.time].combine_chunks().cast(pa.timestamp("ms")).cast(pa.int64())
            times = ms.fill_null(0).to_numpy(zero_copy_only=False)
            jitter = rng.integers(0, max(int(self.delay_s * 1000), 1), n)
            order = np.argsort(times + jitter, kind="stable")
        return replace(self, rows=self.rows.take(pa.array(order)))


def _columns(rows: pa.Table, key: Sequence[str] = ()) -> list[Column]:
    found = []
    for field in rows.schema:
        type_ = from_arrow(field.type)
        found.append(Column(field.name, type_.not_null() if field.name in key else type_))
    return found


def at(seconds: float | None) -> dt.datetime | None:
    """So many seconds after the tests' midnight."""
    return None if seconds is None else BASE + dt.timedelta(seconds=seconds)


def table(columns: dict[str, pa.DataType], *rows: Sequence[Any]) -> pa.Table:
    """A table of tuples; numbers in a timestamp column are seconds after midnight."""
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    arrays = []
    for column, type_ in zip(values, columns.values(), strict=True):
        items = [at(v) if pa.types.is_timestamp(type_) else v for v in column]
        arrays.append(pa.array(items, type_))
    return pa.table(dict(zip(columns, arrays, strict=True)))


MILLIS = pa.timestamp("ms")
