"""Sink: writes the changes of each step into a table's connector, after the checks that Flink makes at a sink.

In: the sink's persisted columns. NULL in a NOT NULL column: ``table.exec.sink.not-null-enforcer`` = ERROR
fails the job, DROP drops and counts the row. Too long CHAR/VARCHAR/BINARY:
``table.exec.sink.type-length-enforcer`` = IGNORE, TRIM_PAD or ERROR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import MAX_LENGTH, Root
from streamsql.errors import DataError
from streamsql.schema import Schema

from ..accumulators import numpy
from ..connectors.base import Sink as TableSink
from .base import Operator, OperatorContext, StepTime
from .updates import without_equal_updates


@dataclass(frozen=True)
class SinkConfig:
    """``not_null``: ERROR or DROP; ``length``: IGNORE, TRIM_PAD or ERROR; ``table`` names the sink in errors.

    ``upsert``: deletions may hold no more than the key.
    """

    schema: Schema
    table: str
    not_null: str = "ERROR"
    length: str = "IGNORE"
    upsert: bool = False


class Sink(Operator):
    """See the module's text."""

    def __init__(self, config: SinkConfig, sink: TableSink) -> None:
        self.config = config
        self.sink = sink

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        self.sink.start()

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        batch = inputs[0]
        if batch is not None and not self.config.upsert:
            batch = without_equal_updates(batch)
        if batch is not None and batch.num_rows:
            batch = self._enforce_length(self._enforce_not_null(batch))
            rows = pa.RecordBatch.from_arrays(batch.rows.columns, schema=self.config.schema.arrow)
            self.sink.write(ChangelogBatch(rows, batch.weights))
        if time.watermark > time.watermark_before:
            self.sink.on_watermark(time.watermark)
        return None

    def flush(self) -> None:
        """End of the step."""
        self.sink.flush()

    def _enforce_not_null(self, batch: ChangelogBatch) -> ChangelogBatch:
        bad = np.zeros(batch.num_rows, np.bool_)
        for column, f in zip(batch.rows.columns, self.config.schema, strict=True):
            if f.type.nullable or not column.null_count:
                continue
            nulls = numpy(column.is_null(), np.bool_)
            if self.config.upsert and batch.weights is not None:
                nulls &= batch.weights > 0  # a deletion need not say more than the key
                if not nulls.any():
                    continue
            if self.config.not_null == "ERROR":
                row = batch.rows.slice(int(np.flatnonzero(nulls)[0]), 1).to_pylist()[0]
                values = ", ".join(map(repr, row.values()))
                raise DataError(
                    f"column '{f.name}' of {self.config.table} is NOT NULL, but a row has NULL there: ({values})",
                    hint="filter such rows, or SET 'table.exec.sink.not-null-enforcer'='DROP' to drop them",
                )
            bad |= nulls
        if not bad.any():
            return batch
        self.ctx.metrics.num_null_value_dropped += int(bad.sum())
        return batch.take(np.flatnonzero(~bad))

    def _enforce_length(self, batch: ChangelogBatch) -> ChangelogBatch:
        if self.config.length == "IGNORE":
            return batch
        columns = list(batch.rows.columns)
        for i, f in enumerate(self.config.schema):
            t = f.type
            if not (t.is_string or t.is_binary) or t.length >= MAX_LENGTH:
                continue
            lengths = pc.utf8_length(columns[i]) if t.is_string else pc.binary_length(columns[i])
            fixed = t.root in (Root.CHAR, Root.BINARY)
            wrong = pc.not_equal(lengths, t.length) if fixed else pc.greater(lengths, t.length)
            if not pc.any(wrong).as_py():
                continue
            if self.config.length == "ERROR":
                value = columns[i].filter(pc.fill_null(wrong, False))[0].as_py()
                raise DataError(
                    f"column '{f.name}' of {self.config.table} is {t}, but a row has the value {value!r}",
                    hint="SET 'table.exec.sink.type-length-enforcer'='TRIM_PAD' to cut and pad",
                )
            columns[i] = _trim_pad(columns[i], t.length, is_string=t.is_string, pad=fixed)
        return ChangelogBatch(pa.RecordBatch.from_arrays(columns, schema=batch.rows.schema), batch.weights)


def _trim_pad(column: pa.Array, length: int, *, is_string: bool, pad: bool) -> pa.Array:
    if not is_string:
        cut = pc.binary_slice(column, 0, length)
        if not pad:
            return cut
        return pa.array([None if v is None else v.ljust(length, b"\0") for v in cut.to_pylist()], pa.binary())
    cut = pc.utf8_slice_codeunits(column, 0, length)
    return pc.utf8_rpad(cut, length) if pad else cut
