"""A multiset of rows per key hash: the indexed input of joins, Top-N, OVER and whatever recomputes per key.

    append ──▶ sorted run ─┐ merged like the digits of a binary counter
                           ▼
    runs   [ 8 M rows ][ 3 M ][ 500 k ][ 40 k ]     old ──▶ new
    probe  ──▶ one vectorised binary search per run; a skewed key is a longer range, not a chain

Runs are immutable: a snapshot is a list of references, and a checkpoint need not write a run twice. A row is
copied O(log n) times in all. A large merge goes on a bit with each append (``run_merge``), twice as many rows as
come; until it ends the runs it is made of answer, and a snapshot knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from .base import IMMUTABLE_PREFIX, State, fresh_name
from .buffers import I64, U64, as_array
from .consolidate import cancel, group_ids, sort_order
from .equality import rows_equal
from .memory import StateMemory
from .run_merge import RunMerge
from .runs import Run, concat, merge

# Runs are not merged beyond this: Arrow's 32-bit offsets end at 2 GiB.
_RUN_BYTES = 3 << 29
SMALL_RUN_BYTES = 1 << 18
"""Smaller runs stay in memory: they soon merge."""
# Runs of so many rows together are merged at once; a merge of more advances by so many rows at least per append.
_AT_ONCE_ROWS = 1 << 15


@dataclass(frozen=True)
class RunProbe:
    """Rows found. ``probe_index[i]`` says which probed hash row i belongs to; ``times`` are those of a timed store."""

    rows: pa.RecordBatch
    weights: I64
    seq: I64
    probe_index: I64
    times: I64 | None = None


class RunStore(State):
    """Rows with weights, found by hash and key.

    ``seq`` orders rows by arrival and never decreases from one append to the next. k retractions of equal
    rows cancel the k earliest insertions, so a row inserted n times keeps its n − k latest; they cancel when
    runs merge or when a probe asks for it. ``timed``: every row has a time, and :meth:`drop_until` frees rows
    by it.
    """

    def __init__(self, schema: pa.Schema, key_columns: Sequence[int] = (), *, timed: bool = False) -> None:
        assert len(schema), "rows need at least one column"
        self.schema = schema
        self.key_columns = tuple(key_columns)
        self.timed = timed
        self._memory: StateMemory | None = None
        self._reset()

    def _reset(self) -> None:
        self._runs: list[Run] = []
        self._merges: list[RunMerge] = []
        self._next_seq = 0
        self._horizon: int | None = None

    def limit_memory(self, memory: StateMemory) -> None:
        self._memory = memory
        memory.watch(self)

    @property
    def _run_bytes_max(self) -> int:
        """Runs are not merged beyond this: while they merge they are in memory."""
        return _RUN_BYTES if self._memory is None else min(_RUN_BYTES, self._memory.at_once)

    def append(
        self,
        hashes: U64,
        rows: pa.RecordBatch,
        weights: I64 | None = None,
        seq: I64 | None = None,
        times: I64 | None = None,
    ) -> None:
        """Adds rows. Without ``weights`` each is inserted once; without ``seq`` they are numbered on."""
        assert (times is not None) == self.timed, "times are needed exactly in a store with time"
        n = rows.num_rows
        numbers: I64 = np.arange(self._next_seq, self._next_seq + n) if seq is None else seq
        self._next_seq = max(self._next_seq, int(numbers.max(initial=-1)) + 1)
        weights = np.ones(n, np.int64) if weights is None else weights
        dead = weights == 0
        if times is not None and self._horizon is not None:
            dead |= times <= self._horizon
        order = sort_order(hashes)
        order = order[~dead[order]]
        if len(order):
            columns = [as_array(c, f.type) for c, f in zip(rows.columns, self.schema, strict=True)]
            batch = pa.RecordBatch.from_arrays(columns, schema=self.schema)
            self._push(Run("", hashes, batch, weights, numbers, times).take(fresh_name(), order))

    def _push(self, run: Run) -> None:
        """Adds the newest run; merges in progress move on, and others start."""
        self._runs.append(run)
        for merging in list(self._merges):
            at = self._runs.index(merging.runs[0])
            rows = max(_AT_ONCE_ROWS, 2 * len(run))
            made = merging.advance(rows, self._runs[:at], self._horizon)
            if made is not None:
                self._merges.remove(merging)
                self._runs[at : at + len(merging.runs)] = [made] if len(made) else []
        self._merge_when_due()
        self._relieve(run.nbytes)

    def _relieve(self, added: int) -> None:
        """Where memory is limited, puts runs into files, the largest first, those left alone that are merging."""
        if self._memory is None:
            return
        excess = self._memory.excess(added)
        if excess:
            busy = {run.name for merging in self._merges for run in merging.runs}
            in_memory = [i for i, run in enumerate(self._runs) if not run.mapped and run.name not in busy]
            for at in sorted(in_memory, key=lambda i: -self._runs[i].nbytes):
                size = self._runs[at].nbytes
                if excess <= 0 or size < SMALL_RUN_BYTES:
                    break
                self._runs[at] = self._runs[at].in_file(self._memory, self.schema)
                excess -= size
        self._memory.ease()

    def _merge_when_due(self) -> None:
        """Merges neighbours of which the older one is less than twice as long, those already merging left alone."""
        busy = {run.name for merging in self._merges for run in merging.runs}
        last = len(self._runs)
        while last > 0:
            first = last - 1
            size, nbytes = len(self._runs[first]), self._runs[first].nbytes
            if self._runs[first].name not in busy:
                while first and self._runs[first - 1].name not in busy:
                    older = self._runs[first - 1]
                    nbytes += older.nbytes
                    if len(older) >= 2 * size or nbytes > self._run_bytes_max:
                        break
                    first -= 1
                    size += len(older)
            group = self._runs[first:last]
            if len(group) > 1 and size > _AT_ONCE_ROWS:
                self._merges.append(RunMerge(group))
            elif len(group) > 1:
                made = merge(fresh_name(), group, self._runs[:first], self._horizon)
                self._runs[first:last] = [made] if len(made) else []
            last = first

    def probe(
        self, hashes: U64, keys: Sequence[pa.Array] | None = None, *, consolidate: bool = False
    ) -> RunProbe:
        """The rows of these hashes. Given ``keys``, only rows whose key columns equal the probe's (NULL
        equals NULL).

        Hashes are distinct, or, with ``keys``, the pairs of hash and key are. Rows come in no particular
        order, and a retraction may stand beside the insertion it cancels. With ``consolidate`` they do not,
        and rows are sorted by ``probe_index``, then ``seq``.
        """
        if self._memory is not None:
            self._memory.ease()
        order = sort_order(hashes)
        ordered = hashes[order]
        parts: list[tuple[Run, I64]] = []
        for run in self._runs:
            rows, which = run.ranges(ordered)
            if self._horizon is not None and run.times is not None:
                alive = run.times[rows] > self._horizon
                rows, which = rows[alive], which[alive]
            if len(rows):
                parts.append((run.take(run.name, rows), order[which]))
        found = self._join([run for run, _ in parts])
        probe_index = np.concatenate([which for _, which in parts]) if parts else np.zeros(0, np.int64)
        result = RunProbe(found.rows, found.weights, found.seq, probe_index, found.times)
        if keys is not None:
            result = self._with_keys(result, keys)
        return _consolidated(result) if consolidate else result

    def _with_keys(self, probe: RunProbe, keys: Sequence[pa.Array]) -> RunProbe:
        assert len(keys) == len(self.key_columns), f"{len(keys)} keys, {len(self.key_columns)} key columns"
        indices = pa.array(probe.probe_index)
        wanted = [
            as_array(key, self.schema.field(c).type).take(indices)
            for c, key in zip(self.key_columns, keys, strict=True)
        ]
        held = [probe.rows.column(c) for c in self.key_columns]
        same = rows_equal(held, wanted, len(indices))
        return probe if same.all() else _take(probe, np.flatnonzero(same))

    def _join(self, runs: list[Run]) -> Run:
        if len(runs) == 1:
            return runs[0]
        if runs:
            return concat("", runs)
        none = np.zeros(0, np.int64)
        empty = pa.RecordBatch.from_arrays([pa.array([], f.type) for f in self.schema], schema=self.schema)
        return Run("", none.view(np.uint64), empty, none, none, none if self.timed else None)

    def drop_until(self, time: int) -> None:
        """Frees the rows with time ≤ ``time``; later appends of such rows are ignored.

        A run is dropped when all its rows are expired and rewritten when more than half are; until then they
        are hidden.
        """
        assert self.timed, "a store without time"
        if self._horizon is not None and time <= self._horizon:
            return
        self._horizon = time
        kept: list[Run] = []
        rewritten = set[str]()
        for run in self._runs:
            count = run.expired_count(time)
            if 2 * count > len(run):
                rewritten.add(run.name)
                run = run.take(fresh_name(), np.sort(run.by_time[count:]))
            if len(run):
                kept.append(run)
        self._runs = kept
        # a merge of runs that are no longer held is given up; the next append starts another
        self._merges = [m for m in self._merges if rewritten.isdisjoint(run.name for run in m.runs)]

    def take_until(self, time: int) -> RunProbe:
        """The rows that :meth:`drop_until` frees: consolidated, by ``seq``, ``probe_index`` all 0."""
        parts = []
        for run in self._runs if self._horizon is None or time > self._horizon else []:
            first = 0 if self._horizon is None else run.expired_count(self._horizon)
            rows = run.by_time[first : run.expired_count(time)]
            if len(rows):
                parts.append(run.take("", np.sort(rows)))
        found = self._join(parts)
        self.drop_until(time)
        return _consolidated(RunProbe(found.rows, found.weights, found.seq, np.zeros(len(found), np.int64)))

    @property
    def horizon(self) -> int | None:
        """The time up to which rows were freed, and are not taken any more; None before the first."""
        return self._horizon

    def first_time(self) -> int | None:
        """The earliest time of a row, one that a retraction cancels included."""
        horizon = -(2**63) if self._horizon is None else self._horizon
        firsts = ((run, run.expired_count(horizon)) for run in self._runs)
        return min((int(run.sorted_times[n]) for run, n in firsts if n < len(run)), default=None)

    def snapshot(self) -> dict[str, pa.Table]:
        """Every run by reference under its own name; ``runs`` names them, oldest first."""
        names = pa.array([run.name for run in self._runs], pa.string())
        store = {"next_seq": [self._next_seq]}
        tables = {f"{IMMUTABLE_PREFIX}{run.name}": run.table() for run in self._runs}
        tables["runs"] = pa.table({"name": names})
        horizon = pa.array([self._horizon], pa.int64())
        tables["store"] = pa.table(store).append_column("horizon", horizon)
        return tables

    def restore(self, tables: Mapping[str, pa.Table]) -> None:
        self._reset()
        store = tables["store"].to_pylist()[0]
        self._next_seq = store["next_seq"]
        self._horizon = store["horizon"]
        for name in tables["runs"]["name"].to_pylist():
            self._runs.append(Run.of_table(name, tables[f"{IMMUTABLE_PREFIX}{name}"], self.schema))
            self._relieve(self._runs[-1].nbytes)

    @property
    def nbytes(self) -> int:
        return sum(run.nbytes for run in self._runs) + sum(m.nbytes for m in self._merges)

    @property
    def row_count(self) -> int:
        """Rows held, those counted that are cancelled or expired but not yet dropped."""
        return sum(map(len, self._runs))

    @property
    def run_count(self) -> int:
        return len(self._runs)

    def read(self) -> pa.Table:
        """The rows, each as often as its weight says, in order of ``seq``."""
        runs = []
        for run in self._runs:
            alive = run.by_time[run.expired_count(self._horizon) :] if self._horizon is not None else None
            runs.append(run if alive is None else run.take("", np.sort(alive)))
        found = self._join(runs)
        probe = RunProbe(found.rows, found.weights, found.seq, np.zeros(len(found), np.int64))
        probe = _consolidated(probe)
        copies = np.repeat(np.arange(len(probe.weights)), np.maximum(probe.weights, 0))
        return pa.Table.from_batches([probe.rows.take(pa.array(copies))], self.schema)


def _take(probe: RunProbe, rows: I64) -> RunProbe:
    batch = probe.rows.take(pa.array(rows))
    times = None if probe.times is None else probe.times[rows]
    return RunProbe(batch, probe.weights[rows], probe.seq[rows], probe.probe_index[rows], times)


def _consolidated(probe: RunProbe) -> RunProbe:
    """Retractions cancelled, sorted by probe and seq. Only probes that have retractions are compared."""
    weights = probe.weights
    if (weights < 0).any():
        touched = np.zeros(int(probe.probe_index.max()) + 1, np.bool_)
        touched[probe.probe_index[weights < 0]] = True
        rows = np.flatnonzero(touched[probe.probe_index])
        groups = group_ids(probe.rows.take(pa.array(rows)).columns, len(rows))
        weights = weights.copy()
        weights[rows] = cancel(groups, weights[rows], probe.seq[rows])
    order = np.lexsort((probe.seq, probe.probe_index))
    order = order[weights[order] != 0]
    return _take(replace(probe, weights=weights), order)
