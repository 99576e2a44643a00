"""Tables, and contexts of sources and sinks, as the driver would make them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from streamsql.catalog.connectors import table_options
from streamsql.catalog.table import Column, ObjectPath, TableDefinition
from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import DataType
from streamsql.runtime.connectors.base import SinkContext, Source, SourceBatch, SourceContext
from streamsql.schema import Schema


def table(
    columns: Mapping[str, DataType],
    options: Mapping[str, str],
    *,
    partition_keys: Sequence[str] = (),
    metadata: Mapping[str, DataType] | None = None,
    data: Any = None,
) -> TableDefinition:
    """A table; ``metadata``: key → type, the column is named as its key."""
    found = [Column(n, t) for n, t in columns.items()]
    found += [Column(k, t, metadata_key=k, virtual=True) for k, t in (metadata or {}).items()]
    path = ObjectPath("default_catalog", "default_database", "t")
    return TableDefinition(path, tuple(found), options, partition_keys=tuple(partition_keys), data=data)


def source_context(
    definition: TableDefinition,
    *,
    columns: Sequence[str] | None = None,
    positions: Mapping[str, str] | None = None,
    now_ms: Callable[[], int] = lambda: 1_700_000_000_000,
    bounded: bool = False,
    batch_rows_max: int = 131_072,
    wake: Callable[[], None] = lambda: None,
    memory: Mapping[str, str] | None = None,
) -> SourceContext:
    physical = [(c.name, c.type) for c in definition.physical_columns if c.type is not None]
    if columns is not None:
        physical = [next(c for c in physical if c[0] == name) for name in columns]
    metadata = [c for c in definition.metadata_columns if c.type is not None]
    return SourceContext(
        table=definition,
        options=table_options(definition),
        physical=Schema.of(physical),
        metadata=[(c.name, c.metadata_key or "") for c in metadata],
        metadata_schema=Schema.of([(c.name, c.type) for c in metadata if c.type is not None]),
        positions=positions or {},
        wake=wake,
        now_ms=now_ms,
        batch_rows_max=batch_rows_max,
        bounded=bounded,
        memory=memory or {},
    )


def sink_context(
    definition: TableDefinition,
    *,
    query_key: tuple[int, ...] | None = None,
    now_ms: Callable[[], int] = lambda: 1_700_000_000_000,
    checkpointed: bool = False,
    writer: str = "",
    upsert: bool = False,
) -> SinkContext:
    columns = [(c.name, c.type) for c in definition.physical_columns if c.type is not None]
    return SinkContext(
        table=definition,
        options=table_options(definition),
        schema=Schema.of(columns),
        metadata=[],
        upsert_key=None,
        query_key=query_key,
        upsert=upsert,
        now_ms=now_ms,
        checkpointed=checkpointed,
        writer=writer,
    )


def poll_one(source: Source, max_rows: int = 1_000_000, timeout_s: float = 10.0) -> SourceBatch:
    """The next batch. Fails after the timeout."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = source.poll(max_rows)
        if found is not None:
            return found
        time.sleep(0.001)
    raise AssertionError("the source gave nothing in time")


def read_all(source: Source, max_rows: int = 1_000_000) -> list[SourceBatch]:
    """Start, read until every split has ended, close."""
    source.start()
    try:
        batches: list[SourceBatch] = []
        ended: set[str] = set()
        while not ended or not set(source.splits()) <= ended:
            batches.append(poll_one(source, max_rows))
            ended |= batches[-1].finished
        return batches
    finally:
        source.close()


def rows_of(batches: Sequence[SourceBatch]) -> list[dict[str, Any]]:
    return [row for b in batches if b.batch is not None for row in b.batch.rows.to_pylist()]


def batch_of(definition: TableDefinition, *rows: Sequence[Any]) -> ChangelogBatch:
    """An insert-only batch of the table's physical columns."""
    schema = Schema.of([(c.name, c.type) for c in definition.physical_columns if c.type is not None]).arrow
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    return ChangelogBatch(pa.RecordBatch.from_arrays(arrays, schema=schema))
