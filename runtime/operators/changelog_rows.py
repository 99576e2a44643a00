"""ToChangelog and FromChangelog: changes as rows with a code for their operation, and back.

::

    ToChangelog     −U a 1, +U a 2            →  +I a UPDATE_BEFORE 1, +I a UPDATE_AFTER 2
    FromChangelog   +I a UPDATE_BEFORE 1, …   →  −U a 1, …

Neither has state. A kind without a code is left out; a code without a kind fails the job, or is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.changelog import ChangelogBatch, RowKind, row_kinds
from streamsql.errors import DataError

from ..accumulators import numpy
from .base import Operator, StepTime
from .updates import without_equal_updates

WEIGHTS = {"INSERT": 1, "UPDATE_BEFORE": -1, "UPDATE_AFTER": 1, "DELETE": -1}


@dataclass(frozen=True)
class ToChangelogConfig:
    """``columns``: the input's columns in the order of the output, None for the code. ``codes`` by kind.

    ``upserts``: the input does not tell insertions from updates.
    """

    columns: tuple[int | None, ...]
    codes: Mapping[str, str]
    upsert_key: tuple[int, ...] | None
    output: pa.Schema
    upserts: bool = False


class ToChangelog(Operator):
    """See the module's text."""

    def __init__(self, config: ToChangelogConfig) -> None:
        self.config = config
        self._codes = pa.array([config.codes.get(kind.name) for kind in RowKind], pa.string())

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        batch = None if inputs[0] is None else without_equal_updates(inputs[0])
        if batch is None or batch.num_rows == 0:
            return None
        order, kinds = row_kinds(batch, self.config.upsert_key, upsert=self.config.upserts)
        if self.config.upserts:
            kinds[kinds == RowKind.INSERT.value] = RowKind.UPDATE_AFTER.value
        codes = self._codes.take(pa.array(kinds))
        kept = np.flatnonzero(numpy(codes.is_valid(), np.bool_))
        if not len(kept):
            return None
        rows, codes = batch.rows.take(pa.array(order[kept])), codes.take(pa.array(kept))
        columns = [codes if i is None else rows.column(i) for i in self.config.columns]
        return ChangelogBatch(pa.RecordBatch.from_arrays(columns, schema=self.config.output))


@dataclass(frozen=True)
class FromChangelogConfig:
    """``op``: the column of the code. ``columns``: the input's columns in the order of the output."""

    op: int
    columns: tuple[int, ...]
    codes: Mapping[str, str]
    skip: bool
    output: pa.Schema


class FromChangelog(Operator):
    """See the module's text."""

    def __init__(self, config: FromChangelogConfig) -> None:
        self.config = config
        self._known = pa.array(config.codes.keys(), pa.string())
        self._weights = np.array([WEIGHTS[kind] for kind in config.codes.values()], np.int64)

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        batch = inputs[0]
        if batch is None or batch.num_rows == 0:
            return None
        codes = batch.rows.column(self.config.op)
        found = pc.index_in(codes.cast(pa.string()), self._known)
        unknown = numpy(found.is_null(), np.bool_)
        if unknown.any() and not self.config.skip:
            code = codes[int(np.flatnonzero(unknown)[0])].as_py()
            known = ", ".join(map(repr, self.config.codes))
            raise DataError(
                f"FROM_CHANGELOG: a row has the operation {code!r}, expected one of {known}",
                hint="add it to op_mapping, or leave such rows out with error_handling => 'SKIP'",
            )
        kept = np.flatnonzero(~unknown)
        if not len(kept):
            return None
        rows = batch.rows.take(pa.array(kept))
        columns = [rows.column(i) for i in self.config.columns]
        weights = self._weights[numpy(found.take(pa.array(kept)), np.int64)]
        return ChangelogBatch(pa.RecordBatch.from_arrays(columns, schema=self.config.output), weights)
