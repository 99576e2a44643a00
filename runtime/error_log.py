"""``error-handling.mode`` = ``log``: records that cannot be read go into the table ``error-handling.log.target``.

The target is an ordinary table with any of these columns, matched by name: ``error_time`` TIMESTAMP_LTZ(3), ``origin``
STRING (topic, partition and offset, or file and line), ``message`` STRING, ``record`` BYTES (the record as it was).

With checkpoints they are written at least once: a checkpoint waits until those before its cut are with the target, and
a job that goes on from it writes those again that it reads again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from streamsql.catalog.connectors import TableOptions
from streamsql.catalog.descriptors_kafka import delivery_guarantee
from streamsql.catalog.table import TableDefinition
from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import BYTES, STRING, TIMESTAMP_LTZ, DataType
from streamsql.errors import ConfigError, ValidationError
from streamsql.schema import Field, Schema

from .connectors import create_sink
from .connectors.base import BadRecord, Sink, SinkContext

COLUMNS: dict[str, DataType] = {
    "error_time": TIMESTAMP_LTZ(3),
    "origin": STRING(),
    "message": STRING(),
    "record": BYTES(),
}


class ErrorLog:
    """Writes bad records into a sink; one per source table in mode ``log``."""

    def __init__(
        self,
        table: TableDefinition,
        options: TableOptions,
        now_ms: Callable[[], int],
        time_zone: str,
        job_name: str,
        writer: str = "",
    ) -> None:
        """``writer``: names this log of this job where it takes checkpoints; what an earlier run left hidden goes.

        Raises ValidationError where the target has a column that is none of ours, ConfigError where it is exactly-once.
        """
        if (
            options.options.declares("sink.delivery-guarantee")
            and delivery_guarantee(options) == "exactly-once"
        ):
            raise ConfigError(
                f"the error log {table.path} is exactly-once, and unreadable records are logged at-least-once",
                hint="'sink.delivery-guarantee' = 'at-least-once'",
            )
        columns = table.sink_columns
        for c in columns:
            wanted = COLUMNS.get(c.name)
            if wanted is None or c.type is None or c.type.arrow != wanted.arrow:
                described = ", ".join(f"{n} {t}" for n, t in COLUMNS.items())
                raise ValidationError(
                    f"the error log {table.path} has the column '{c.name}' {c.type}, which is not one it can fill",
                    hint=f"its columns may be: {described}",
                )
        self._now_ms = now_ms
        self._schema = Schema(tuple(Field(c.name, COLUMNS[c.name]) for c in columns))
        self.sink: Sink = create_sink(
            SinkContext(
                table=table,
                options=options,
                schema=self._schema,
                metadata=(),
                upsert_key=None,
                query_key=None,
                upsert=False,
                now_ms=now_ms,
                time_zone=time_zone,
                job_name=job_name,
                writer=writer,
            )
        )
        if writer:
            self.sink.recover(0, None)
        self.sink.start()

    def write(self, records: Sequence[BadRecord]) -> None:
        """Append one row per record."""
        now = self._now_ms()
        values = {
            "error_time": pa.array([now * 1000] * len(records), pa.int64()).cast(COLUMNS["error_time"].arrow),
            "origin": pa.array([r.origin for r in records], pa.string()),
            "message": pa.array([r.message for r in records], pa.string()),
            "record": pa.array([r.value for r in records], pa.binary()),
        }
        columns = [values[f.name] for f in self._schema]
        self.sink.write(ChangelogBatch(pa.RecordBatch.from_arrays(columns, schema=self._schema.arrow)))
        self.sink.flush()

    def settle(self, timeout_s: float) -> bool:
        """Whether the target has acknowledged everything, waiting up to ``timeout_s`` for it."""
        return self.sink.settle(timeout_s)

    def prepare(self, checkpoint: int) -> None:
        """The cut of a checkpoint: what was written so far is shown."""
        prepared = self.sink.prepare(checkpoint)
        self.sink.commit(checkpoint, prepared)

    def close(self) -> None:
        self.sink.close(finished=True)
