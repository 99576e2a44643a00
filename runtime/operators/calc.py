"""Calc: filter and projection fused into one DuckDB query.

In: any changelog. Out: the same changes through the projection; a row whose condition is not TRUE is
dropped, with its weight, so an update that stops passing becomes a deletion.

    before → after    in            out
    pass   → pass     −old +new     −old +new
    pass   → fail     −old +new     −old
    fail   → pass     −old +new           +new
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..engine import WEIGHT, split_weights, with_weights
from .base import MAX_WATERMARK, MIN_WATERMARK, Operator, OperatorContext, StepTime


@dataclass(frozen=True)
class CalcConfig:
    """``sql`` selects ``c0 …`` (and ``w`` if ``weighted``) from ``{input}``; schemas are without the weight column.

    ``time``: the input column without which ``sql`` leaves a row out; such rows are counted.
    """

    sql: str
    input: pa.Schema
    output: pa.Schema
    weighted: bool
    what: str
    identity: bool = False
    time: int | None = None


class Calc(Operator):
    """See the module's text."""

    def __init__(self, config: CalcConfig) -> None:
        self.config = config

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        if c.identity:
            return
        extra = [pa.field(WEIGHT, pa.int64())] if c.weighted else []
        self._fragment = ctx.engine.fragment(
            c.sql, {"input": pa.schema([*c.input, *extra])}, pa.schema([*c.output, *extra]), c.what
        )

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        batch = inputs[0]
        if batch is None or self.config.identity:
            return batch
        before = time.watermark_before
        self.ctx.engine.set_watermark(None if before in (MIN_WATERMARK, MAX_WATERMARK) else before)
        if self.config.time is not None and (nulls := batch.rows.column(self.config.time).null_count):
            self.ctx.metrics.num_null_time_dropped += nulls
        if not self.config.weighted:
            rows = self._fragment.run(input=batch.rows)
            return ChangelogBatch(rows) if rows.num_rows else None
        rows = self._fragment.run(input=with_weights(batch))
        return split_weights(rows, self.config.output) if rows.num_rows else None
