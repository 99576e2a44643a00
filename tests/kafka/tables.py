"""Tables over Kafka for connector tests: a source or a sink made from options, without SQL and without a job."""

import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from streamsql.catalog.connectors import table_options
from streamsql.catalog.table import Column, ObjectPath, TableDefinition
from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import BIGINT, STRING, DataType
from streamsql.runtime.connectors import create_sink, create_source
from streamsql.runtime.connectors.base import (
    BadRecord,
    Sink,
    SinkContext,
    Source,
    SourceBatch,
    SourceContext,
    Transaction,
)
from streamsql.runtime.connectors.transactions import transaction_of
from streamsql.schema import Field, Schema
from tests.kafka.client import Cluster, Record

WAIT_S = 30.0  # a loaded machine may need seconds; more than this is a failure
COLUMNS: Sequence[tuple[str, DataType]] = (("id", BIGINT()), ("name", STRING()))


EARLIEST = {"scan_startup_mode": "earliest-offset"}
LATEST_END = {**EARLIEST, "scan_bounded_mode": "latest-offset"}


def json_row(i: int, name: str = "x") -> str:
    """The message of row ``(i, name)``."""
    return json.dumps({"id": i, "name": name})


def fill(kafka: Cluster, topic: str, partition: int, ids: range, step_ms: int = 1_000) -> None:
    """Message `i` has the time `1 + i * step_ms`."""
    kafka.produce(topic, [Record(None, json_row(i), 1 + i * step_ms, None, partition) for i in ids])


def definition(
    bootstrap: str,
    topic: str,
    columns: Sequence[tuple[str, DataType]] = COLUMNS,
    metadata: Sequence[tuple[str, str, DataType]] = (),
    primary_key: tuple[str, ...] = (),
    /,
    **options: str,
) -> TableDefinition:
    """A table ``t``; options have _ for '.' and __ for '-'. ``metadata``: column name, key, type."""
    given = {k.replace("__", "-").replace("_", "."): v for k, v in options.items()}
    defaults = {"connector": "kafka", "topic": topic, "properties.bootstrap.servers": bootstrap}
    if not given.keys() & {"format", "value.format"}:
        defaults["value.format" if given.get("connector") == "upsert-kafka" else "format"] = "json"
    if given.get("topic-pattern"):
        del defaults["topic"]
    return TableDefinition(
        ObjectPath("default_catalog", "default_database", "t"),
        (
            *(Column(name, declared) for name, declared in columns),
            *(Column(name, declared, metadata_key=key) for name, key, declared in metadata),
        ),
        {**defaults, **given},
        primary_key=primary_key,
    )


def source_of(
    table: TableDefinition,
    *,
    positions: Mapping[str, str] | None = None,
    memory: Mapping[str, str] | None = None,
    bounded: bool = False,
    wake: Callable[[], None] = lambda: None,
    batch_rows_max: int = 131_072,
    only: Sequence[str] | None = None,
) -> Source:
    """Its source, not started. ``only``: the physical columns to deliver."""
    physical = [c for c in table.physical_columns if only is None or c.name in only]
    return create_source(
        SourceContext(
            table=table,
            options=table_options(table),
            physical=_schema(physical),
            metadata=[(c.name, str(c.metadata_key)) for c in table.metadata_columns],
            metadata_schema=_schema(table.metadata_columns),
            positions=positions or {},
            memory=memory or {},
            wake=wake,
            now_ms=lambda: int(time.time() * 1000),
            batch_rows_max=batch_rows_max,
            bounded=bounded,
        )
    )


def sink_of(table: TableDefinition, *, upsert: bool = False, transaction: Transaction | None = None) -> Sink:
    """Its sink, not started."""
    columns = table.sink_columns
    schema = _schema(columns)
    return create_sink(
        SinkContext(
            table=table,
            options=table_options(table),
            schema=schema,
            metadata=[(c.name, str(c.metadata_key)) for c in columns if c.is_metadata],
            upsert_key=tuple(schema.index(name) for name in table.primary_key) or None,
            query_key=None,
            upsert=upsert,
            now_ms=lambda: int(time.time() * 1000),
            transaction=transaction,
            checkpointed=transaction is not None,
        )
    )


def exactly_once(
    bootstrap: str, topic: str, prefix: str, primary_key: tuple[str, ...] = (), /, **options: str
) -> TableDefinition:
    """A table whose sink writes in a transaction."""
    guarantee = {"sink_delivery__guarantee": "exactly-once", "sink_transactional__id__prefix": prefix}
    return definition(bootstrap, topic, COLUMNS, (), primary_key, **guarantee, **options)


def transaction_for(*tables: TableDefinition, job_name: str = "test") -> Transaction:
    """The transaction of a job that writes these tables, not open."""
    found = transaction_of([(table, table_options(table)) for table in tables], job_name)
    assert found is not None
    return found


def _schema(columns: Sequence[Column]) -> Schema:
    fields = []
    for column in columns:
        assert column.type is not None
        fields.append(Field(column.name, column.type))
    return Schema(tuple(fields))


@contextmanager
def started(source: Source) -> Generator["Reading"]:
    """Starts the source, and closes it at the end."""
    try:
        source.start()
        yield Reading(source)
    finally:
        source.close()


class Reading:
    """Polls a source and keeps what came."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.rows: list[tuple[Any, ...]] = []
        self.weights: list[int] = []
        self.splits: list[str] = []
        self.positions: dict[str, str] = {}
        self.finished: set[str] = set()
        self.bad: list[BadRecord] = []
        self.batches: list[SourceBatch] = []

    def poll(self, max_rows: int = 1_000_000) -> bool:
        """Takes one batch; False for nothing."""
        batch = self.source.poll(max_rows)
        if batch is None:
            return False
        self.batches.append(batch)
        self.positions.update(batch.positions)
        self.finished |= batch.finished
        self.bad.extend(batch.bad_records)
        if batch.batch is not None:
            self._add(batch, batch.batch)
        return True

    def _add(self, batch: SourceBatch, changes: ChangelogBatch) -> None:
        columns = [c.to_pylist() for c in changes.rows.columns]
        self.rows.extend(zip(*columns, strict=True))
        self.weights.extend(changes.weight_array().tolist())
        assert batch.split_ids is not None and len(batch.split_ids) == changes.num_rows
        self.splits.extend(batch.splits[int(i)] for i in batch.split_ids)

    def until(
        self, done: Callable[[], bool], max_rows: int = 1_000_000, timeout_s: float = WAIT_S
    ) -> "Reading":
        """Polls until ``done``; raises TimeoutError with what came."""
        deadline = time.monotonic() + timeout_s
        while not done():
            if not self.poll(max_rows):
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"after {timeout_s} s: {len(self.rows)} rows, {self.rows[-3:]}, {self.source.status()}"
                    )
                time.sleep(0.005)
        return self

    def take(self, count: int) -> list[tuple[Any, ...]]:
        """Waits for so many rows in all, and returns all that came."""
        return self.until(lambda: len(self.rows) >= count).rows

    def ids(self) -> list[int]:
        """The first column, sorted."""
        return sorted(r[0] for r in self.rows)

    def to_the_end(self, max_rows: int = 1_000_000) -> list[tuple[Any, ...]]:
        """Reads a bounded source until each of its splits has ended."""
        self.until(
            lambda: bool(self.source.splits()) and self.finished == set(self.source.splits()), max_rows
        )
        return self.rows

    def nothing_more(self, wait_s: float = 0.4) -> None:
        """Asserts that no row comes for a while."""
        before, deadline = len(self.rows), time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if not self.poll():
                time.sleep(0.01)
        assert self.rows[before:] == []
