"""PartitionRecompute: any function from the rows of a partition to rows, right under any changelog.

::

    step's rows ─┬─ touched partitions ─ old rows ─┐
                 └─ append ───────────── new rows ─┴─ f (one query) ─ difference ─▶ −old +new

It is the general form of ranks, limits and OVER aggregates: used as it is over inputs that are updated, and
as the twin that the special operators are tested against.

State: partition → its rows, until they are retracted, or by time to live, all rows of a partition that no step
touched for that long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..accumulators import numpy
from ..state.hashing import hash_columns
from ..state.run_store import RunProbe, RunStore
from .base import Operator, OperatorContext, StepTime
from .changes import Emit, difference, first_of_each
from .keys import keyed_ttl

HEAD = (pa.field("g", pa.int64()), pa.field("side", pa.int64()))


@dataclass(frozen=True)
class PartitionRecomputeConfig:
    """``sql``: over ``{input}`` with ``g`` (partition), ``side`` (0 before the step, 1 after it), ``c0 …``, ``i``
    (order of arrival), one row a live copy; computes each pair of ``g`` and ``side`` by itself and yields
    ``g``, ``side`` and the output columns. ``keys``: what partitions are told apart by, as columns of ``rows``.
    """

    sql: str
    rows: pa.Schema
    keys: tuple[int, ...]
    output: pa.Schema
    what: str
    emit: Emit


class PartitionRecompute(Operator):
    """See the module's text."""

    def __init__(self, config: PartitionRecomputeConfig) -> None:
        self.config = config

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        self._schema = pa.schema([*HEAD, *c.rows, pa.field("i", pa.int64())])
        self._function = ctx.engine.fragment(
            c.sql, {"input": self._schema}, pa.schema([*HEAD, *c.output]), c.what
        )
        self._rows = ctx.state("rows", RunStore(c.rows, c.keys))
        self._ttl = keyed_ttl(ctx, self._rows, c.rows, c.keys)

    def expire(self, now_ms: int) -> int:
        return self._ttl.expire(now_ms)

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        batch = inputs[0]
        if batch is None or batch.num_rows == 0:
            return None
        c = self.config
        keys = [batch.rows.column(k) for k in c.keys]
        hashes = hash_columns(keys, batch.num_rows)
        touched, _ = first_of_each(keys, batch.num_rows)
        probed = hashes[touched], [k.take(pa.array(touched)) for k in keys]
        before = self._rows.probe(*probed, consolidate=True)
        rows = pa.RecordBatch.from_arrays(batch.rows.columns, schema=c.rows)
        self._rows.append(hashes, rows, batch.weight_array())
        self._ttl.touch(*probed, time.now_ms)
        after = self._rows.probe(*probed, consolidate=True)
        self._ttl.settle(after, probed[0])
        found = self._compute([before, after])
        side = numpy(found.column(1), np.int64)
        table = pa.RecordBatch.from_arrays(found.columns[2:], schema=c.output)
        old, new = np.flatnonzero(side == 0), np.flatnonzero(side == 1)
        return difference(table.take(pa.array(old)), table.take(pa.array(new)), c.emit)

    def _compute(self, probes: Sequence[RunProbe]) -> pa.RecordBatch:
        """f over the rows of each side."""
        parts: list[pa.RecordBatch] = []
        for side, probe in enumerate(probes):
            index = np.repeat(np.arange(len(probe.weights)), np.maximum(probe.weights, 0))
            rows = probe.rows.take(pa.array(index))
            head = [pa.array(probe.probe_index[index]), pa.array(np.full(len(index), side, np.int64))]
            columns = [*head, *rows.columns, pa.array(probe.seq[index])]
            parts.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        return self._function.run(input=pa.concat_batches(parts))

    def content(self) -> pa.Table:
        """All partitions, computed anew: cost is that of the whole state."""
        table = self._rows.read().combine_chunks()
        if table.num_rows == 0:
            return pa.Table.from_batches([], self.config.output)
        rows = table.to_batches()[0]
        _, groups = first_of_each([rows.column(k) for k in self.config.keys], rows.num_rows)
        numbers = np.arange(rows.num_rows)
        probe = RunProbe(rows, np.ones(rows.num_rows, np.int64), numbers, groups)
        found = self._compute([probe])
        return pa.Table.from_arrays(found.columns[2:], schema=self.config.output)
