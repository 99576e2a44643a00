"""Match: MATCH_RECOGNIZE, rows in the order of time, one row out a match.

::

    rows ──▶ held until the watermark passes ──▶ sorted, computed columns ──▶ Matcher ──▶ measures of found matches

In: insert-only rows. Out: insert-only, as soon as a match is decided. By event time a row is late against
the watermark of earlier steps; late rows and rows without a time are counted and dropped. By processing time rows are
matched as they arrive.

State: ``held`` rows that wait for the watermark; ``partitions`` that have open starts; ``matches``, the starts and the
rows they took. A start is freed when its match is emitted, when it has none, or when another match skips it; WITHIN
decides old ones, and what is undecided at the end of the input is no match. Conditions and measures are DuckDB queries
a step; ``match_conditions.py`` says what is left a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.changelog import ChangelogBatch
from streamsql.errors import DataError

from ..accumulators import numpy
from ..engine import Fragment
from ..match_partials import Matcher, Rules, Taken
from ..match_state import PartialMatches
from ..match_values import Row, Unsure, Value
from ..state.buffers import distinct_values
from ..state.hashing import hash_columns
from ..state.key_index import KeyIndex
from ..state.run_store import RunStore
from .base import MAX_WATERMARK, Operator, OperatorContext, StepTime

Int64 = npt.NDArray[np.int64]
MakeQuery = Callable[[str, Sequence[pa.DataType], pa.DataType], Callable[[Row], Value]]
MakeRules = Callable[[Row, MakeQuery], Rules]


@dataclass(frozen=True)
class MatchConfig:
    """``time_sql``: a row's time in ms over ``{input}``, None by processing time.

    ``sort_sql``: over rows with ``i`` (arrival) and ``t`` (time), yields the input's columns, ``t``, then the
    ``computed`` columns, in order; ``cautious_sql`` the same with NULL for a value that cannot be computed, and
    ``computed_sql`` is each of those expressions. ``begins``: those of which one must be true where a match begins,
    None if that is not known. ``rules``: made of the computed columns over NULLs. ``measures_sql``: over matched rows
    with ``m`` (match), ``n`` (place in it) and ``v`` (variable), yields the output in order of ``m``. ``holds_time``:
    the output has the last row's time as event time.
    """

    input: pa.Schema
    computed: pa.Schema
    output: pa.Schema
    partition: tuple[int, ...]
    time_sql: str | None
    sort_sql: str
    cautious_sql: str
    computed_sql: tuple[str, ...]
    begins: tuple[str, ...] | None
    rules: MakeRules
    measures_sql: str
    holds_time: bool
    what: str


class MatchRecognize(Operator):
    """See the module's text."""

    def __init__(self, config: MatchConfig) -> None:
        self.config = config

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c, engine = self.config, ctx.engine
        number = pa.int64()
        self._width = len(c.input)
        self._rows = pa.schema([*c.input, pa.field("t", number), *c.computed])
        arrived = pa.schema([*c.input, pa.field("t", number), pa.field("i", number)])
        self._arrived_schema = arrived
        self._sort = engine.fragment(c.sort_sql, {"input": arrived}, self._rows, c.what)
        self._cautious: Fragment | None = None
        self._exact: dict[int, Fragment] = {}
        self._time = None
        if c.time_sql is not None:
            columns = ", ".join(c.input.names)
            sql = f"SELECT {columns}, {c.time_sql} AS t FROM {{input}}"
            timed = pa.schema([*c.input, pa.field("t", number)])
            self._time = engine.fragment(sql, {"input": c.input}, timed, c.what)
            self._held = ctx.state("held", RunStore(c.input, timed=True))
        self._matched = pa.schema([*c.input, *(pa.field(n, number) for n in ("v", "m", "n"))])
        self._measures = engine.fragment(c.measures_sql, {"input": self._matched}, c.output, c.what)
        nulls = pa.RecordBatch.from_arrays([pa.nulls(1, f.type) for f in arrived], schema=arrived)
        missing = self._sort.run(input=nulls).columns[self._width + 1 :]
        self._matcher = Matcher(c.rules([column[0].as_py() for column in missing], self._query))
        self._unsure = False
        self._partials = PartialMatches(self._matcher, self._rows, len(c.computed))
        self._partials.restored_values = self._restored_values
        ctx.state("matches", self._partials)
        self._keys = ctx.state("partitions", KeyIndex([c.input.field(k).type for k in c.partition]))

    def _query(self, sql: str, types: Sequence[pa.DataType], output: pa.DataType) -> Callable[[Row], Value]:
        """An expression over ``c0 …`` of these types as a function of their values."""
        schema = pa.schema([pa.field(f"c{i}", t) for i, t in enumerate(types)])
        result = pa.schema([pa.field("c0", output)])
        query = f"SELECT {sql} AS c0 FROM {{input}}"
        fragment = self.ctx.engine.fragment(query, {"input": schema}, result, self.config.what)

        def compute(values: Row) -> Value:
            arrays = [pa.array([v], f.type) for v, f in zip(values, schema, strict=True)]
            return fragment.run(input=pa.RecordBatch.from_arrays(arrays, schema=schema)).column(0)[0].as_py()

        return compute

    # -- a step ----------------------------------------------------------------------------------------------------
    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        rows = inputs[0].rows if inputs[0] is not None and inputs[0].num_rows else None
        if self._time is None:
            passed = time.now_ms - 1
            ready = None if rows is None else self._arrived(rows, time.now_ms)
        else:
            passed = time.watermark
            ready = self._released(rows, time)
        slots = self._match(ready)
        ended = time.watermark == MAX_WATERMARK
        self._matcher.pass_time(MAX_WATERMARK if ended else passed)
        if ended:
            self._matcher.end()
        out = self._emit()
        self._free(slots)
        return out

    def _arrived(self, rows: pa.RecordBatch, now_ms: int) -> pa.RecordBatch:
        """By processing time: rows of one step have one time, and their order of arrival."""
        n = rows.num_rows
        return self._sorted(rows, np.full(n, now_ms), np.arange(n))

    def _released(self, rows: pa.RecordBatch | None, time: StepTime) -> pa.RecordBatch | None:
        """By event time: the rows that the watermark has passed, sorted; new ones are held first."""
        if rows is not None:
            self._hold(rows, time.watermark_before)
        if time.watermark <= time.watermark_before:
            return None
        found = self._held.take_until(time.watermark)
        if not found.rows.num_rows:
            return None
        index = pa.array(np.repeat(np.arange(found.rows.num_rows), found.weights))
        rows = found.rows.take(index)
        assert self._time is not None
        times = self._time.run(input=rows).column(self._width)
        return self._sorted(rows, numpy(times, np.int64), np.repeat(found.seq, found.weights))

    def _hold(self, rows: pa.RecordBatch, watermark: int) -> None:
        assert self._time is not None
        timed = self._time.run(input=rows)
        times = timed.column(self._width)
        null = numpy(times.is_null(), np.bool_)
        self.ctx.metrics.num_null_time_dropped += int(null.sum())
        late = ~null & (numpy(times.fill_null(0), np.int64) <= watermark)
        self.ctx.metrics.num_late_records_dropped += int(late.sum())
        timed = timed.filter(pa.array(~(null | late)))
        n = timed.num_rows
        if n:
            kept = pa.RecordBatch.from_arrays(timed.columns[: self._width], schema=self.config.input)
            self._held.append(np.zeros(n, np.uint64), kept, times=numpy(timed.column(self._width), np.int64))

    def _sorted(self, rows: pa.RecordBatch, times: Int64, arrival: Int64) -> pa.RecordBatch:
        columns = [*rows.columns, pa.array(times), pa.array(arrival)]
        batch = pa.RecordBatch.from_arrays(columns, schema=self._arrived_schema)
        self._unsure = False
        try:
            return self._sort.run(input=batch)
        except DataError:
            # perhaps of a row that no condition asks for it: see _computed
            self._unsure = True
        if self._cautious is None:
            sql, inputs = self.config.cautious_sql, {"input": self._arrived_schema}
            self._cautious = self.ctx.engine.fragment(sql, inputs, self._rows, self.config.what)
        with self.ctx.engine.without_shared_expressions():
            return self._cautious.run(input=batch)

    def _computed(self, ready: pa.RecordBatch) -> list[Row]:
        """The computed columns a row. After a failure, a NULL may stand for it: it is computed again if it is read."""
        return self._doubted(ready) if self._unsure else self._partials.computed([ready])

    def _restored_values(self, rows: pa.RecordBatch) -> list[Row]:
        """The same of rows that a cut has kept: their NULLs are values if none of the expressions fails for any row."""
        try:
            for column in range(len(self.config.computed)):
                if rows.column(self._width + 1 + column).null_count:
                    self._exactly(rows, column)
        except DataError:
            return self._doubted(rows)
        return self._partials.computed([rows])

    def _doubted(self, ready: pa.RecordBatch) -> list[Row]:
        def value(n: int, i: int, v: Value) -> Value:
            return Unsure(partial(self._once_more, ready, n, i)) if v is None else v

        rows = self._partials.computed([ready])
        return [tuple(value(n, i, v) for i, v in enumerate(row)) for n, row in enumerate(rows)]

    def _once_more(self, ready: pa.RecordBatch, n: int, column: int) -> Value:
        return self._exactly(ready.slice(n, 1), column)[0].as_py()

    def _exactly(self, ready: pa.RecordBatch, column: int) -> pa.Array:
        """A computed column. Raises DataError where its expression fails."""
        if column not in self._exact:
            result = pa.schema([pa.field("c0", self.config.computed.field(column).type)])
            sql = f"SELECT {self.config.computed_sql[column]} AS c0 FROM {{input}}"
            inputs = {"input": self.config.input}
            self._exact[column] = self.ctx.engine.fragment(sql, inputs, result, self.config.what)
        rows = pa.RecordBatch.from_arrays(ready.columns[: self._width], schema=self.config.input)
        return self._exact[column].run(input=rows).column(0)

    def _match(self, ready: pa.RecordBatch | None) -> Int64:
        """Take the rows in order; returns the partitions they belong to."""
        if ready is None:
            return np.zeros(0, np.int64)
        numbers = self._partials.append(ready)
        keys = [ready.column(k) for k in self.config.partition]
        slots, _ = self._keys.lookup_or_insert(hash_columns(keys, ready.num_rows), keys)
        times = ready.column(self._width).to_pylist()
        values = self._computed(ready)
        begins = self._may_begin(ready)
        take, open_ = self._matcher.take, self._matcher.starts
        rows = zip(slots.tolist(), numbers.tolist(), times, values, begins, strict=True)
        for slot, number, at, value, begin in rows:
            if begin or slot in open_:
                take(slot, number, at, value, begin)
        return distinct_values(slots)

    def _may_begin(self, ready: pa.RecordBatch) -> list[bool]:
        """Rows that the first variables' conditions let through, as far as they read nothing but the row."""
        if self.config.begins is None:
            return [True] * ready.num_rows
        found = np.zeros(ready.num_rows, np.bool_)
        for name in self.config.begins:
            found |= numpy(ready.column(name).fill_null(self._unsure), np.bool_)
        return [bool(b) for b in found]

    def _emit(self) -> ChangelogBatch | None:
        """The measures of the matches that the step decided."""
        found, self._matcher.found = self._matcher.found, []
        if not found:
            return None
        chains: list[list[Taken]] = [best.chain() for best in found]
        numbers = np.array([t.row for chain in chains for t in chain], np.int64)
        rows = self._partials.rows(numbers).select(list(range(self._width))).combine_chunks()
        sizes = [len(chain) for chain in chains]
        extra = [
            np.array([t.variable for chain in chains for t in chain], np.int64),
            np.repeat(np.arange(len(chains)), sizes),
            np.concatenate([np.arange(n) for n in sizes]),
        ]
        columns = [*(_one(c) for c in rows.columns), *(pa.array(e) for e in extra)]
        return ChangelogBatch(
            self._measures.run(input=pa.RecordBatch.from_arrays(columns, schema=self._matched))
        )

    def _free(self, slots: Int64) -> None:
        """Forget partitions without open starts, and rows that nothing holds."""
        open_ = self._matcher.starts
        gone = [s for s in {*slots.tolist(), *self._matcher.touched} if s not in open_]
        self._matcher.touched.clear()
        if gone:
            self._keys.remove(np.array(sorted(gone), np.int64))
        self._partials.free()

    # -- time ------------------------------------------------------------------------------------------------------
    def output_watermark(self, input_watermark: int) -> int:
        """Below the rows of matches that may still be emitted, where their time is an event time of the output."""
        if not self.config.holds_time or input_watermark == MAX_WATERMARK:
            return input_watermark
        held = self._matcher.held_since()
        return input_watermark if held is None else min(input_watermark, held - 1)

    def next_timer_ms(self) -> int | None:
        due = self._matcher.next_due() if self._time is None else None
        return None if due is None else due + 1


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
