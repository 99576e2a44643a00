"""SessionWindow: windows ``[first, last + gap)`` per key, merged as rows arrive, emitted when they are complete.

::

    gap 5      |--a----b|     |c-------|          c arrives
    rows       1    4   9     12      17
               a and b are 3 apart: one session [1, 9); c starts another, 12 > 9

In: any changelog. Out: insert-only, once a session (and group within it) at watermark ≥ end − 1 ms. Rows
exactly one gap apart share a session, as windows that touch merge in Flink; a row that is taken back may
leave two sessions, or none. A row is late when the session it falls in, merged with the open ones of its
key, ends at or before the watermark; late rows and rows with a NULL time are counted and dropped.

``growing``: sessions come out as they stand at the end of each step, as retractions and insertions, and are then freed
without a word; a session takes rows for ``lateness_ms`` after its end.

State: key → rows of open sessions; per session one timer, at the earliest time it could end. Freed when the
session is emitted.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.changelog import ChangelogBatch

from ..accumulators import numpy
from ..engine import WEIGHT, split_weights, with_weights
from ..state.hashing import hash_columns
from ..state.key_index import KeyIndex
from ..state.run_store import RunProbe, RunStore
from ..state.scalars import Scalars
from ..state.slot_column import SlotColumn
from ..windows import to_utc
from .base import MAX_WATERMARK, MIN_WATERMARK, Operator, OperatorContext, StepTime
from .changes import Emit, difference
from .expiry import earlier
from .group_recompute import GroupRecompute

Int64 = npt.NDArray[np.int64]
NEVER = MAX_WATERMARK


@dataclass(frozen=True)
class SessionWindowConfig:
    """``prepare_sql`` makes the kept rows from ``{input}`` (None: they are the input).

    ``time_sql``: a kept row's wall-clock ms. ``keys``: what sessions are kept apart by. ``final_sql``: over
    ``{input}`` with ``s`` (session number), ``c0 …``, ``i``; yields ``s`` and the output columns whose
    ``bounds`` entry is None.
    """

    prepare_sql: str | None
    input: pa.Schema
    rows: pa.Schema
    keys: tuple[int, ...]
    time_sql: str
    gap_ms: int
    zone: str
    final_sql: str
    output: pa.Schema
    bounds: tuple[str | None, ...]
    proctime: bool
    what: str
    weighted: bool = False
    growing: bool = False
    lateness_ms: int = 0


class SessionWindow(Operator):
    """See the module's text."""

    def __init__(self, config: SessionWindowConfig) -> None:
        self.config = config

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        c = self.config
        self._prepare = None
        if c.prepare_sql is not None:
            extra = [pa.field(WEIGHT, pa.int64())] if c.weighted else []
            self._prepare = ctx.engine.fragment(
                c.prepare_sql, {"input": pa.schema([*c.input, *extra])}, pa.schema([*c.rows, *extra]), c.what
            )
        columns = ", ".join(c.rows.names)
        timed = pa.schema([*c.rows, pa.field("t", pa.int64())])
        timed_sql = f"SELECT {columns}, {c.time_sql} AS t FROM {{input}}"
        self._timed = ctx.engine.fragment(timed_sql, {"input": c.rows}, timed, c.what)
        numbered = pa.schema([pa.field("s", pa.int64()), *c.rows, pa.field("i", pa.int64())])
        values = [f for f, b in zip(c.output, c.bounds, strict=True) if b is None]
        final = pa.schema([pa.field("s", pa.int64()), *values])
        self._final = ctx.engine.fragment(c.final_sql, {"input": numbered}, final, c.what)
        self._rows = ctx.state("rows", RunStore(timed, c.keys))
        self._keys = ctx.state("keys", KeyIndex([c.rows.field(k).type for k in c.keys]))
        self._due = ctx.state("due", SlotColumn(pa.int64()))
        self._flags = ctx.state("flags", Scalars())
        self._timers: list[tuple[int, int]] | None = None

    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        before, after = time.watermark_before, time.watermark
        if self.config.proctime:
            before = self._flags.get_int("fired", MIN_WATERMARK)
            after = MAX_WATERMARK if time.watermark == MAX_WATERMARK else time.now_ms - 1
            self._flags.set("fired", after)
        before, after = (earlier(w, self.config.lateness_ms) for w in (before, after))
        changes = None
        if inputs[0] is not None and inputs[0].num_rows:
            changes = self._append(inputs[0], before)
        complete = self._fire(after) if after > before else None
        return changes if self.config.growing else complete

    # -- rows in ---------------------------------------------------------------------------------------------------
    def _append(self, batch: ChangelogBatch, watermark: int) -> ChangelogBatch | None:
        """Takes rows in; returns how that changes the sessions of their keys, where that is to be seen."""
        batch = self._prepared(batch)
        timed = self._timed.run(input=batch.rows)
        kept = np.flatnonzero(numpy(timed.column(timed.num_columns - 1).is_valid(), np.bool_))
        self.ctx.metrics.num_null_time_dropped += timed.num_rows - len(kept)
        kept = kept[self._on_time(timed.take(pa.array(kept)), watermark)]
        if not len(kept):
            return None
        timed, weights = timed.take(pa.array(kept)), batch.weight_array()[kept]
        keys = [timed.column(k) for k in self.config.keys]
        hashes = hash_columns(keys, timed.num_rows)
        old = self._sessions_of(hashes, keys) if self.config.growing else None
        self._rows.append(hashes, timed, weights)
        slots, _ = self._keys.lookup_or_insert(hashes, keys)
        ends = self._utc(numpy(timed.column(timed.num_columns - 1), np.int64) + self.config.gap_ms) - 1
        unique, inverse = np.unique(slots, return_inverse=True)
        earliest = np.full(len(unique), NEVER, np.int64)
        np.minimum.at(earliest, inverse, ends)
        self._schedule(unique, earliest)
        return None if old is None else difference(old, self._sessions_of(hashes, keys), Emit())

    def _sessions_of(self, hashes: npt.NDArray[np.uint64], keys: Sequence[pa.Array]) -> pa.RecordBatch:
        """The rows of the sessions of these keys as they stand."""
        touched = GroupRecompute._distinct(hashes, keys)
        probe = self._rows.probe(hashes[touched], [k.take(pa.array(touched)) for k in keys], consolidate=True)
        alive = np.flatnonzero(probe.weights > 0)
        times = numpy(probe.rows.column(probe.rows.num_columns - 1), np.int64)
        numbers, first, last = _sessions(probe.probe_index[alive], times[alive], self.config.gap_ms)
        session = np.full(len(times), -1, np.int64)
        session[alive] = numbers
        return self._emit(probe, alive, session, first, last)

    def _prepared(self, batch: ChangelogBatch) -> ChangelogBatch:
        if self._prepare is None:
            return batch
        if not self.config.weighted:
            return ChangelogBatch(self._prepare.run(input=batch.rows))
        return split_weights(self._prepare.run(input=with_weights(batch)), self.config.rows)

    def _on_time(self, timed: pa.RecordBatch, watermark: int) -> npt.NDArray[np.bool_]:
        """False for rows whose whole session has passed.

        Only rows that would end before the watermark alone need a look.
        """
        times = numpy(timed.column(timed.num_columns - 1), np.int64)
        doubtful = self._utc(times + self.config.gap_ms) - 1 <= watermark
        if not doubtful.any():
            return ~doubtful
        keys = [timed.column(k) for k in self.config.keys]
        hashes = hash_columns(keys, timed.num_rows)
        touched = GroupRecompute._distinct(hashes, keys)
        open_rows = self._rows.probe(
            hashes[touched], [k.take(pa.array(touched)) for k in keys], consolidate=True
        )
        group = _row_groups(hashes, keys)
        n = timed.num_rows
        all_times = np.concatenate(
            [times, numpy(open_rows.rows.column(open_rows.rows.num_columns - 1), np.int64)]
        )
        all_groups = np.concatenate([group, open_rows.probe_index])
        session, _, last = _sessions(all_groups, all_times, self.config.gap_ms)
        late: npt.NDArray[np.bool_] = (self._utc(last[session] + self.config.gap_ms) - 1 <= watermark)[:n]
        self.ctx.metrics.num_late_records_dropped += int(late.sum())
        return ~late

    def _utc(self, local_ms: Int64) -> Int64:
        if self.config.zone == "UTC":
            return local_ms
        unique, inverse = np.unique(local_ms, return_inverse=True)
        return np.array([to_utc(int(x), self.config.zone) for x in unique], np.int64)[inverse]

    # -- timers ----------------------------------------------------------------------------------------------------
    def _heap(self) -> list[tuple[int, int]]:
        """(due, slot), rebuilt from the declared state after a restore; stale entries are skipped when popped."""
        if self._timers is None:
            slots = self._keys.live_slots()
            slots = slots[self._due.is_set(slots)]  # keys of this step have no timer yet
            self._timers = [(int(d), int(s)) for d, s in zip(self._due.values(slots), slots, strict=True)]
            heapq.heapify(self._timers)
        return self._timers

    def _schedule(self, slots: Int64, due: Int64) -> None:
        """Set each key's timer to the earlier of the old and the new."""
        heap = self._heap()
        held = np.where(numpy(self._due.get(slots).is_null(), np.bool_), NEVER, self._due.values(slots))
        sooner = due < held
        if sooner.any():
            self._due.set(slots[sooner], pa.array(due[sooner]))
            for d, s in zip(due[sooner].tolist(), slots[sooner].tolist(), strict=True):
                heapq.heappush(heap, (d, s))

    # -- sessions out ----------------------------------------------------------------------------------------------
    def _fire(self, watermark: int) -> ChangelogBatch | None:
        heap = self._heap()
        due: set[int] = set()
        while heap and heap[0][0] <= watermark:
            at, slot = heapq.heappop(heap)
            one = np.array([slot])
            if self._due.is_set(one)[0] and self._due.values(one)[0] == at:
                due.add(slot)
        if not due:
            return None
        slots = np.array(sorted(due), np.int64)
        keys = self._keys.keys(slots)
        hashes = self._keys.hashes(slots)
        probe = self._rows.probe(hashes, keys, consolidate=True)
        times = numpy(probe.rows.column(probe.rows.num_columns - 1), np.int64)
        # a deletion whose row came too late finds nothing: it makes no session and goes with its time
        alive = np.flatnonzero(probe.weights > 0)
        numbers, first, last = _sessions(probe.probe_index[alive], times[alive], self.config.gap_ms)
        row_ends = self._utc(times + self.config.gap_ms) - 1
        row_ends[alive] = (self._utc(last + self.config.gap_ms) - 1)[numbers]
        done = row_ends <= watermark
        self._reschedule(slots, probe, row_ends, done)
        if not done.any():
            return None
        gone = np.flatnonzero(done)
        taken = probe.rows.take(pa.array(gone))
        self._rows.append(hashes[probe.probe_index[gone]], taken, -probe.weights[gone], seq=probe.seq[gone])
        if self.config.growing:
            return None
        session = np.full(len(times), -1, np.int64)
        session[alive] = numbers
        chosen = gone[probe.weights[gone] > 0]
        return ChangelogBatch(self._emit(probe, chosen, session, first, last)) if len(chosen) else None

    def _reschedule(self, slots: Int64, probe: RunProbe, ends: Int64, done: npt.NDArray[np.bool_]) -> None:
        """Next timer of the keys that keep rows; keys without rows are forgotten."""
        heap = self._heap()
        next_due = np.full(len(slots), NEVER, np.int64)
        keep = ~done
        np.minimum.at(next_due, probe.probe_index[keep], ends[keep])
        stay = next_due != NEVER
        if stay.any():
            self._due.set(slots[stay], pa.array(next_due[stay]))
            for d, s in zip(next_due[stay].tolist(), slots[stay].tolist(), strict=True):
                heapq.heappush(heap, (d, s))
        gone = slots[~stay]
        if len(gone):
            self._due.clear(gone)
            self._keys.remove(gone)

    def _emit(
        self, probe: RunProbe, chosen: Int64, session: Int64, first: Int64, last: Int64
    ) -> pa.RecordBatch:
        index = np.repeat(chosen, probe.weights[chosen])
        rows = probe.rows.take(pa.array(index))
        arrays = [pa.array(session[index]), *rows.columns[:-1], pa.array(probe.seq[index])]
        schema = pa.schema([pa.field("s", pa.int64()), *self.config.rows, pa.field("i", pa.int64())])
        final = self._final.run(input=pa.RecordBatch.from_arrays(arrays, schema=schema))
        number = numpy(final.column(0), np.int64)
        order = np.argsort(last[number], kind="stable")
        final, number = final.take(pa.array(order)), number[order]
        end = last[number] + self.config.gap_ms
        values = iter(final.columns[1:])
        columns = []
        for f, bound in zip(self.config.output, self.config.bounds, strict=True):
            if bound is None:
                columns.append(next(values))
            else:
                instant = self._utc(end) - 1 if f.type.tz else end - 1
                ms = {"start": first[number], "end": end, "time": instant}[bound]
                columns.append(pc.multiply(pa.array(ms), 1000).cast(f.type))
        return pa.RecordBatch.from_arrays(columns, schema=self.config.output)

    def next_timer_ms(self) -> int | None:
        if not self.config.proctime or not self._heap():
            return None
        return self._heap()[0][0] + 1


def _row_groups(hashes: npt.NDArray[np.uint64], keys: Sequence[pa.Array]) -> Int64:
    """The number of each row's key among the distinct keys in order of first appearance."""
    from ..state.consolidate import group_ids

    ids = group_ids(list(keys), len(hashes)) if keys else np.zeros(len(hashes), np.int64)
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def _sessions(groups: Int64, times: Int64, gap_ms: int) -> tuple[Int64, Int64, Int64]:
    """Per row its session number; per session its first and last time."""
    order = np.lexsort((times, groups))
    g, t = groups[order], times[order]
    starts = np.ones(len(g), np.bool_)
    starts[1:] = (g[1:] != g[:-1]) | (t[1:] - t[:-1] > gap_ms)
    number = np.cumsum(starts) - 1
    session = np.empty(len(g), np.int64)
    session[order] = number
    first = t[starts]
    last = t[np.append(np.flatnonzero(starts)[1:] - 1, len(t) - 1)] if len(t) else t
    return session, first, last
