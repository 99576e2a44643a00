"""The job of the soak: a windowed, a grouped and a joined query over made-up rows, all of which forget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streamsql.runtime.job import Job
from streamsql.session import TableEnvironment

TTL = "30 s"
"""State is as large as it gets after this long."""


@dataclass(frozen=True)
class Folders:
    """Where the job writes; all below one folder, which is empty before."""

    root: Path

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"


def statements(folders: Folders, rows_per_second: int) -> Iterator[str]:
    """The whole job. Three in four rows are orders, one in four is a payment."""
    orders, payments = rows_per_second * 3 // 4, rows_per_second // 4
    settings = {
        "pipeline.name": "soak",
        "execution.checkpointing.interval": "1 s",
        "execution.checkpointing.dir": str(folders.checkpoints),
        "io.tmp.dirs": str(folders.temporary),
        "table.exec.state.ttl": TTL,
        "streamsql.step.min-interval": "50 ms",
    }
    yield from (f"SET '{key}' = '{value}'" for key, value in settings.items())
    yield (
        "CREATE TABLE orders (id BIGINT, customer BIGINT, item INT, note STRING, amount DOUBLE, ts TIMESTAMP(3), "
        "WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH ('connector'='datagen', "
        f"'rows-per-second'='{orders}', 'fields.id.min'='0', 'fields.id.max'='20000000', "
        "'fields.customer.min'='0', 'fields.customer.max'='1000000000', 'fields.item.min'='0', "
        "'fields.item.max'='999', 'fields.note.length'='20', 'fields.ts.max-past'='1 s')"
    )
    yield (
        "CREATE TABLE payments (order_id BIGINT, paid DOUBLE) WITH ('connector'='datagen', "
        f"'rows-per-second'='{payments}', 'fields.order_id.min'='0', 'fields.order_id.max'='20000000')"
    )
    yield (
        "CREATE TABLE per_item (item INT, until TIMESTAMP(3), n BIGINT, total DOUBLE) WITH ("
        f"'connector'='filesystem', 'path'='{folders.output / 'per_item'}', 'format'='json', "
        "'sink.rolling-policy.rollover-interval'='1 min', 'sink.rolling-policy.check-interval'='10 s')"
    )
    yield (
        "CREATE TABLE per_customer (customer BIGINT PRIMARY KEY NOT ENFORCED, n BIGINT, first_note STRING, "
        "total DOUBLE) WITH ('connector'='blackhole')"
    )
    yield (
        "CREATE TABLE paid (id BIGINT, note STRING, paid DOUBLE) WITH ("
        f"'connector'='filesystem', 'path'='{folders.output / 'paid'}', 'format'='parquet', "
        "'sink.rolling-policy.rollover-interval'='1 min', 'sink.rolling-policy.check-interval'='10 s')"
    )
    yield (
        "EXECUTE STATEMENT SET BEGIN "
        "INSERT INTO per_item SELECT item, window_end, COUNT(*), SUM(amount) FROM TABLE(HOP(TABLE orders, "
        "DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY item, window_start, window_end; "
        "INSERT INTO per_customer SELECT customer, COUNT(*), MIN(note), SUM(amount) FROM orders GROUP BY customer; "
        "INSERT INTO paid SELECT o.id, o.note, p.paid FROM orders AS o JOIN payments AS p ON o.id = p.order_id; "
        "END"
    )


def start(env: TableEnvironment, folders: Folders, rows_per_second: int) -> Job:
    """Run it."""
    for folder in (folders.checkpoints, folders.output, folders.temporary):
        folder.mkdir()
    *before, last = statements(folders, rows_per_second)
    for statement in before:
        env.execute_sql(statement)
    job = env.execute_sql(last).job
    assert job is not None
    return job
