"""One source of a running job: takes what has arrived, keeps watermarks per split, pauses splits that run ahead.

The source's watermark is the minimum over its splits that are not idle and not finished; it advances at the end of a
step, so a row is late only against earlier steps. When every split has ended it is MAX_WATERMARK.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.changelog import ChangelogBatch
from streamsql.errors import StateError

from .accumulators import numpy
from .checkpoint.snapshot import SourceSnapshot
from .connectors.base import BadRecord, Source, SourceBatch
from .engine import Fragment
from .graph import SourceEdge
from .operators.base import MAX_WATERMARK, MIN_WATERMARK

DEFAULT_MAX_DRIFT_MS = 60 * 60 * 1000
"""A split may be this far ahead of the slowest before it is paused: wide enough not to disturb reading, narrow enough
that replaying an old topic does not make the slow partitions' rows late."""

CATCHING_UP_MS = 1000
"""Only a split that had rows this recently holds others back: a quiet partition must not stop the others."""


@dataclass(frozen=True)
class WatermarkPlan:
    """How a source's watermark is made. ``fragment`` yields one BIGINT column of epoch ms per source row (NULL: none).

    ``column``: where the watermark rises with one timestamp column, that column; ``fragment`` then takes only its
    highest value per split, as ``c0``, and the step's rows are not evaluated one by one.
    ``idle_ms``: a split without rows so long is left out (0: never). ``max_drift_ms``: see alignment.
    """

    fragment: Fragment
    column: int | None = None
    idle_ms: int = 0
    max_drift_ms: int = DEFAULT_MAX_DRIFT_MS
    alignment_group: str | None = None


@dataclass
class _Split:
    watermark: int = MIN_WATERMARK
    last_row_ms: int = 0
    finished: bool = False
    idle: bool = False
    said_idle: bool = False


class SourceTask:
    """Drives one Source for the job's thread; see the module's text."""

    def __init__(
        self, source: Source, schema: pa.Schema, watermark: WatermarkPlan | None, *, now_ms: int
    ) -> None:
        self.source = source
        self._schema = schema
        self._plan = watermark
        self._splits: dict[str, _Split] = {}
        self._started_ms = now_ms
        self._paused: frozenset[str] = frozenset()
        self.watermark = MIN_WATERMARK
        self.records_in = 0
        self.bad_records: list[BadRecord] = []
        """Those of the last step: the driver logs them or lets them go."""
        self.bad_record_count = 0
        self.positions: dict[str, str] = {}
        self.finished = False
        self.fingerprint = ""
        self.name = ""
        self.columns: Sequence[str] = ()
        """What the source delivers, by its names."""
        self._carry: SourceBatch | None = None

    def snapshot(self) -> SourceSnapshot:
        """Where reading goes on, and what event time it has; between two steps."""
        splits = {name: asdict(split) for name, split in self._splits.items()}
        clocks = {"splits": splits, "watermark": self.watermark}
        carry: dict[str, pa.Table] = {}
        rest: dict[str, Any] | None = None
        ahead: Mapping[str, str] = {}
        if self._carry is not None:
            carry, rest = _kept(self._carry)
            ahead = self._carry.positions
        return SourceSnapshot(
            self.fingerprint,
            self.name,
            {**self.positions, **ahead},
            dict(self.source.memory()),
            {**clocks, "carry": rest},
            carry,
        )

    def restore(self, saved: SourceSnapshot, now_ms: int) -> None:
        """Goes on from ``saved``; the source itself was made with its positions. Before the first step."""
        self.positions = dict(saved.positions)
        self.watermark = saved.clocks["watermark"]
        for name, split in saved.clocks["splits"].items():
            self._splits[name] = replace(_Split(**split), last_row_ms=now_ms)
        if saved.clocks["carry"] is not None:
            self._carry = _carried(saved.carry["rows"], saved.clocks["carry"], self.columns)

    @property
    def half_taken(self) -> bool:
        """Whether the last step ended within a batch: a row of an update may be without the other."""
        return self._carry is not None

    def step(self, max_rows: int, now_ms: int, *, rest: bool = False) -> SourceEdge:
        """Take up to ``max_rows`` rows; returns them with the watermark at the end of the step.

        ``rest``: only what is left of a batch that is half taken, all of it.
        """
        if rest:
            held = None if self._carry is None else self._carry.batch
            max_rows = 0 if held is None else held.num_rows
        taken: list[ChangelogBatch] = []
        self.bad_records = []
        rows = 0
        self.source.begin_step()
        while rows < max_rows and (found := self._next(max_rows - rows)) is not None:
            if found.batch is not None and found.batch.num_rows:
                renamed = found.batch.rows.rename_columns(self._schema.names)
                batch = ChangelogBatch(renamed, found.batch.weights)
                taken.append(batch)
                rows += batch.num_rows
                self._observe(found, batch, now_ms)
            self.positions.update(found.positions)
            self.bad_records.extend(found.bad_records)
            for split, watermark in found.watermarks.items():
                state = self._splits.setdefault(split, _Split(last_row_ms=now_ms))
                state.watermark, state.said_idle = max(state.watermark, watermark), False
            for split in found.idle:
                self._splits.setdefault(split, _Split(last_row_ms=now_ms)).said_idle = True
            for split in found.finished:
                self._splits.setdefault(split, _Split(last_row_ms=now_ms)).finished = True
        self.records_in += rows
        self.bad_record_count += len(self.bad_records)
        self._advance(now_ms)
        return SourceEdge(ChangelogBatch.concat(taken), self.watermark, self._idle())

    def _next(self, max_rows: int) -> SourceBatch | None:
        """The next batch, at most ``max_rows`` rows of it; the rest waits for the next step."""
        found, self._carry = (
            (self._carry, None) if self._carry is not None else (self.source.poll(max_rows), None)
        )
        if found is None or found.batch is None or found.batch.num_rows <= max_rows:
            return found
        head, tail = found.batch.rows.slice(0, max_rows), found.batch.rows.slice(max_rows)
        weights, ids = found.batch.weights, found.split_ids
        self._carry = SourceBatch(
            ChangelogBatch(tail, None if weights is None else weights[max_rows:]),
            found.splits,
            None if ids is None else ids[max_rows:],
            found.positions,
            found.finished,
            (),
            found.watermarks,
            found.idle,
        )
        return SourceBatch(
            ChangelogBatch(head, None if weights is None else weights[:max_rows]),
            found.splits,
            None if ids is None else ids[:max_rows],
            {},
            frozenset(),
            found.bad_records,
            {},
        )

    def _observe(self, found: SourceBatch, batch: ChangelogBatch, now_ms: int) -> None:
        """Raise the watermark candidates of the splits that had rows."""
        ids = found.split_ids
        touched = [0] if ids is None else np.unique(ids).tolist()
        for i in touched:
            state = self._splits.setdefault(found.splits[i], _Split())
            state.last_row_ms, state.idle, state.said_idle = now_ms, False, False
        if self._plan is None:
            return
        if self._plan.column is None:
            marks = self._plan.fragment.run(input=batch.rows).column(0)
            best = _highest(marks, ids, len(found.splits))
        else:
            times = batch.rows.column(self._plan.column)
            top = _highest(times.cast(pa.int64()), ids, len(found.splits)).cast(times.type)
            best = self._plan.fragment.run(input=pa.record_batch([top], names=["c0"])).column(0)
        for i in touched:
            self._raise(found.splits[i], best[i].as_py())

    def _raise(self, split: str, mark: int | None) -> None:
        if mark is not None:
            state = self._splits[split]
            state.watermark = max(state.watermark, mark)

    def _advance(self, now_ms: int) -> None:
        known = self.source.splits()
        for split in known:
            self._splits.setdefault(split, _Split(last_row_ms=self._started_ms))
        states = self._splits
        self.finished = (
            self.source.bounded
            and self._carry is None
            and bool(states)
            and all(s.finished for s in states.values())
        )
        if self.finished:
            self.watermark = MAX_WATERMARK
            return
        idle_ms = self._plan.idle_ms if self._plan is not None else 0
        for state in states.values():
            silent = bool(idle_ms) and now_ms - max(state.last_row_ms, self._started_ms) >= idle_ms
            state.idle = state.said_idle or silent
        active = [s.watermark for s in states.values() if not s.finished and not s.idle]
        if active:
            self.watermark = max(self.watermark, min(active))

    def _idle(self) -> bool:
        """Whether every split that has not ended is idle."""
        open_splits = [s for s in self._splits.values() if not s.finished]
        return bool(open_splits) and all(s.idle for s in open_splits)

    def _active(self) -> dict[str, _Split]:
        """The splits whose event time is known and still moves."""
        return {
            n: s
            for n, s in self._splits.items()
            if not s.finished and not s.idle and s.watermark > MIN_WATERMARK
        }

    def slowest(self, now_ms: int) -> int:
        """The event time of the slowest split that is catching up; MAX_WATERMARK where none is."""
        if self._plan is None:
            return MAX_WATERMARK
        held = [s.watermark for s in self._active().values() if now_ms - s.last_row_ms < CATCHING_UP_MS]
        return min(held, default=MAX_WATERMARK)

    def align(self, slowest: int) -> None:
        """Pause the splits that are more than the allowed drift ahead of ``slowest``, resume the others."""
        if self._plan is None:
            return
        limit = min(slowest, MAX_WATERMARK - self._plan.max_drift_ms) + self._plan.max_drift_ms
        ahead = frozenset(n for n, s in self._active().items() if s.watermark > limit)
        if ahead != self._paused:
            self._paused = ahead
            self.source.pause(ahead)

    @property
    def alignment_group(self) -> str | None:
        """Tables that name one group are aligned together; a table without a group by itself."""
        return None if self._plan is None else self._plan.alignment_group

    def next_timer_ms(self) -> int | None:
        """When a split becomes idle or may be resumed, so that the watermark can move without input."""
        if self._paused and not self.finished:
            return max(s.last_row_ms for s in self._splits.values()) + CATCHING_UP_MS
        if self._plan is None or not self._plan.idle_ms or self.finished:
            return None
        waiting = [s.last_row_ms for s in self._splits.values() if not s.idle and not s.finished]
        return min((max(t, self._started_ms) + self._plan.idle_ms for t in waiting), default=None)


def _kept(carry: SourceBatch) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """A batch as a table and JSON. Its columns go by number; the last two are weight and split."""
    assert carry.batch is not None
    rows, ids = carry.batch.rows, carry.split_ids
    splits = np.zeros(rows.num_rows, np.int32) if ids is None else ids
    columns = [*rows.columns, pa.array(carry.batch.weight_array()), pa.array(splits)]
    rest = {
        "weighted": carry.batch.weights is not None,
        "names": list(rows.schema.names),
        "splits": list(carry.splits),
        "positions": dict(carry.positions),
        "finished": sorted(carry.finished),
        "watermarks": dict(carry.watermarks),
        "idle": sorted(carry.idle),
    }
    return {"rows": pa.table(columns, names=[f"c{i}" for i in range(len(columns))])}, rest


def _carried(table: pa.Table, rest: Mapping[str, Any], columns: Sequence[str]) -> SourceBatch:
    """The inverse of :func:`_kept`, with the columns that are read now.

    Raises StateError where one of them was not read then.
    """
    batch = table.combine_chunks().to_batches()[0]
    weights = np.array(batch.column(batch.num_columns - 2).to_numpy(), np.int64) if rest["weighted"] else None
    rows = pa.RecordBatch.from_arrays(batch.columns[:-2], names=rest["names"])
    if missing := [name for name in columns if name not in rest["names"]]:
        raise StateError(
            f"rows that were read and not yet processed are without the column '{missing[0]}', which is read now",
            hint="let the job go on as it was for a moment, stop it with a savepoint again, and change it then",
        )
    rows = rows.select(list(columns)) if columns else rows
    return SourceBatch(
        ChangelogBatch(rows, weights),
        rest["splits"],
        np.array(batch.column(batch.num_columns - 1).to_numpy(), np.int32),
        rest["positions"],
        frozenset(rest["finished"]),
        (),
        rest["watermarks"],
        frozenset(rest["idle"]),
    )


def _highest(values: pa.Array, ids: np.ndarray[Any, np.dtype[np.int32]] | None, splits: int) -> pa.Array:
    """The highest value per split; NULL for a split without any. Without ``ids`` all rows are of split 0."""
    if ids is None:
        top = [pc.max(values).as_py()]
        return pa.array(top + [None] * (splits - 1), pa.int64())
    highest = np.full(splits, MIN_WATERMARK, np.int64)
    np.maximum.at(highest, ids, numpy(pc.fill_null(values, MIN_WATERMARK), np.int64))
    return pa.array(highest, pa.int64(), mask=highest == MIN_WATERMARK)


def align(tasks: Sequence[SourceTask], now_ms: int) -> None:
    """Keep the splits of each alignment group close in event time."""
    groups: dict[object, list[SourceTask]] = {}
    for task in tasks:
        groups.setdefault(task.alignment_group or id(task), []).append(task)
    for members in groups.values():
        slowest = min(t.slowest(now_ms) for t in members)
        for task in members:
            task.align(slowest)


def pending(tasks: Sequence[SourceTask]) -> int | None:
    """Records known to wait in all sources; None where unknown."""
    lags = [t.source.lag() for t in tasks]
    return None if any(lag is None for lag in lags) else sum(lag for lag in lags if lag is not None)
