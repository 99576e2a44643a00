"""Union: UNION ALL of its inputs; the watermark is the minimum of theirs."""

from __future__ import annotations

from collections.abc import Sequence

from streamsql.changelog import ChangelogBatch

from .base import Operator, StepTime


class Union(Operator):
    """All inputs' changes, in input order."""

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        return ChangelogBatch.concat([b for b in inputs if b is not None])
