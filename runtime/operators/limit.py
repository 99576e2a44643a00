"""Limit: the first rows by arrival of an insert-only input.

Rows ``offset`` + 1 to ``offset`` + ``fetch`` pass, in order. Then the operator wants no more: it lets the
watermark go to its end, and a job whose results all hang on such operators is finished.

State: how many rows were seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from streamsql.changelog import ChangelogBatch

from ..state.scalars import Scalars
from .base import MAX_WATERMARK, Operator, OperatorContext, StepTime
from .changes import spread


class Limit(Operator):
    """``fetch`` None: all rows after the first ``offset``."""

    def __init__(self, offset: int, fetch: int | None) -> None:
        self.offset = offset
        self.fetch = fetch

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        self._seen = ctx.state("seen", Scalars())

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        batch = inputs[0]
        if batch is None or self.satisfied:
            return None
        rows = spread(batch)
        seen = self._seen.get_int("rows")
        end = rows.num_rows if self.fetch is None else min(rows.num_rows, self.offset + self.fetch - seen)
        start = max(0, self.offset - seen)
        self._seen.set("rows", seen + end)
        return ChangelogBatch(rows.slice(start, end - start)) if end > start else None

    @property
    def satisfied(self) -> bool:
        return self.fetch is not None and self._seen.get_int("rows") >= self.offset + self.fetch

    def output_watermark(self, input_watermark: int) -> int:
        return MAX_WATERMARK if self.satisfied else input_watermark
