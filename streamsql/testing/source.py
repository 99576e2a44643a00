"""``source_table``: rows that enter a job in steps of a given size, several sources in turn."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from streamsql.catalog.table import TableDefinition
from streamsql.changelog import Row, RowKind
from streamsql.errors import ValidationError
from streamsql.runtime.connectors.base import Source, SourceBatch, SourceContext
from streamsql.runtime.connectors.in_process import InProcessSource, InProcessTable
from streamsql.schema import Schema
from streamsql.session import TableEnvironment

from .clock import attach, epoch_ms, settle
from .tables import create, declared, physical_schema
from .values import MisfitError, to_arrow

RowLike = Sequence[Any]
"""The kind, then a value for each column that is not computed: ``("+I", "a", 1)``."""

_KINDS = {k.short: k for k in RowKind}
_LETTERS = {"I": "+I", "UB": "-U", "UA": "+U", "D": "-D"}
_numbers = itertools.count()


def source_table(
    env: TableEnvironment,
    ddl: str,
    rows: Iterable[RowLike] | None = (),
    changelog_mode: str = "I",
    step_rows: int = 1,
    bounded: bool = True,
    *,
    splits: Sequence[str] = ("rows",),
) -> SourceTable:
    """Register a table that the program holds, from a whole ``CREATE TABLE`` statement without WITH.

    ``rows`` carry their kind first: ``("+I", "a", 1)``; computed columns take no value. ``changelog_mode`` says which
    kinds may occur, in Flink's notation: ``I``, ``I,UB,UA,D``, or ``I,UA,D`` for upserts by the primary key, where a
    deletion may leave all but the key None. ``step_rows`` rows enter per step and the watermark follows; the sources of
    a job take turns in the order in which they were registered, and the end of a source is a step of its own.
    With ``bounded=False`` the table never ends unless told to: see :class:`SourceTable`. ``splits`` have a watermark
    each; rows are dealt to them in turn.

    Raises ValidationError naming table, row, column and expected type where a row does not fit.
    """
    if type(step_rows) is not int or step_rows < 1:
        raise ValidationError(f"step_rows is a number of rows above 0, found {step_rows!r}")
    if not splits or len(set(splits)) < len(splits):
        raise ValidationError(f"splits are names that differ, found {list(splits)!r}")
    mode, kinds = _mode(changelog_mode)
    options = {"bounded": str(bool(bounded)).lower(), "changelog-mode": mode}
    definition = declared(env, ddl, options)
    if mode == "I,UA,D" and not definition.primary_key:
        raise ValidationError(
            f"table {definition.path}: changelog_mode '{changelog_mode}' says upserts, which need a primary key",
            hint="declare PRIMARY KEY (…) NOT ENFORCED, or use 'I,UB,UA,D'",
        )
    data = StepTable(physical_schema(definition), step_rows, tuple(splits))
    reader = _RowReader(definition, data.schema, kinds, str(env.config.get("table.local-time-zone")))
    table = SourceTable(env, definition, data, reader)
    table._add(() if rows is None else rows, None)
    if bounded:
        data.finish()
    create(env, definition, data)
    attach(env, table)
    return table


def _mode(text: str) -> tuple[str, frozenset[str]]:
    """The connector's changelog mode, and the kinds that rows may have."""
    parts = [part.strip().upper() for part in str(text).split(",")]
    if not set(parts) <= set(_LETTERS) or "I" not in parts or ("UB" in parts and "UA" not in parts):
        raise ValidationError(
            f"changelog_mode '{text}' is none",
            hint="'I' (inserts), 'I,UB,UA,D' (all changes) or 'I,UA,D' (upserts by the primary key)",
        )
    kinds = frozenset(_LETTERS[p] for p in parts)
    if len(kinds) == 1:
        return "I", kinds
    return "I,UA,D" if "UA" in parts and "UB" not in parts else "I,UB,UA,D", kinds


# -- the handle ----------------------------------------------------------------------------------------------------


class SourceTable:
    """A table made by :func:`source_table`. What is added by hand is processed when the call returns."""

    def __init__(
        self, env: TableEnvironment, definition: TableDefinition, data: StepTable, reader: _RowReader
    ) -> None:
        self._env = env
        self._data = data
        self._reader = reader
        self.definition = definition

    @property
    def name(self) -> str:
        """The table's name without its database."""
        return self.definition.path.name

    def add(self, *rows: RowLike, split: str | None = None) -> None:
        """More rows, of one split or dealt to all; waits until the running jobs are done with them."""
        self._add(rows, split)
        settle(self._env)

    def advance_watermark(self, to: int | dt.datetime, split: str | None = None) -> None:
        """The watermark of a split (all of them, if none is named) is ``to``, epoch ms or a time, from here on."""
        self._data.mark(_Mark(watermark=epoch_ms(to), splits=self._splits(split)))
        settle(self._env)

    def idle(self, split: str | None = None) -> None:
        """A split (all of them, if none is named) holds no watermark back until it has rows or a watermark again."""
        self._data.mark(_Mark(idle=True, splits=self._splits(split)))
        settle(self._env)

    def finish(self) -> None:
        """Nothing more comes: windows fire, and jobs whose sources have all ended end."""
        self._data.finish()
        settle(self._env)

    def _add(self, rows: Iterable[RowLike], split: str | None) -> None:
        batch, weights = self._reader.read(rows)
        self._data.deal(batch.num_rows, self._splits(split))
        self._data.append(batch, weights)

    def _splits(self, split: str | None) -> tuple[str, ...]:
        known = self._data.splits
        if split is not None and split not in known:
            raise ValidationError(
                f"table {self.definition.path} has no split '{split}'", hint=f"splits: {', '.join(known)}"
            )
        return known if split is None else (split,)

    def __repr__(self) -> str:
        return f"SourceTable({self.definition.path}, {self._data.num_rows} rows)"


class _RowReader:
    """Checks rows and turns them into Arrow."""

    def __init__(self, definition: TableDefinition, schema: Schema, kinds: frozenset[str], zone: str) -> None:
        self._table = definition
        self._schema = schema
        self._kinds = kinds
        self._zone = ZoneInfo(zone)
        self._seen = 0

    def read(self, rows: Iterable[RowLike]) -> tuple[pa.Table, np.ndarray | None]:
        """The values, and +1 or −1 per row (None: all +1). Raises ValidationError for a row that does not fit."""
        columns: list[list[Any]] = [[] for _ in self._schema]
        weights: list[int] = []
        for i, row in enumerate(rows):
            where = f"table {self._table.path}, row {self._seen + i + 1} (rows[{self._seen + i}])"
            kind, values = self._parts(row, where)
            by_key = kind == "-D" and "+U" in self._kinds and "-U" not in self._kinds
            for column, field, value in zip(columns, self._schema, values, strict=True):
                if (
                    value is None
                    and not field.type.nullable
                    and not (by_key and field.name not in self._table.primary_key)
                ):
                    raise ValidationError(
                        f"{where}, column '{field.name}': expected {field.type}, found None"
                    )
                try:
                    column.append(to_arrow(value, field.type, self._zone))
                except MisfitError as e:
                    raise ValidationError(f"{where}, column '{field.name}'{e.path}: {e.message}") from None
            weights.append(1 if kind in ("+I", "+U") else -1)
        self._seen += len(weights)
        arrays = [pa.array(c, f.type.arrow) for c, f in zip(columns, self._schema, strict=True)]
        table = pa.Table.from_arrays(arrays, schema=self._schema.arrow)
        return table, None if all(w > 0 for w in weights) else np.array(weights, np.int64)

    def _parts(self, row: Any, where: str) -> tuple[str, Sequence[Any]]:
        """The kind and the values of a row; the kind of a bare Row is its own."""
        if isinstance(row, Row) and len(row) == len(self._schema):
            row = (row.kind, *row)
        if isinstance(row, str | bytes) or not isinstance(row, Sequence) or not row:
            raise ValidationError(f"{where}: expected a kind and values, found {row!r}", hint=self._form())
        kind = row[0].short if isinstance(row[0], RowKind) else row[0]
        if kind not in _KINDS:
            raise ValidationError(
                f"{where}: expected a kind (+I, -U, +U or -D) first, found {row[0]!r}", hint=self._form()
            )
        if kind not in self._kinds:
            allowed = ", ".join(k for k in _KINDS if k in self._kinds)
            raise ValidationError(
                f"{where}: the kind {kind} is not in the table's changelog_mode, which allows {allowed}",
                hint="changelog_mode='I,UB,UA,D' allows all kinds, 'I,UA,D' upserts and deletions by key",
            )
        if len(row) - 1 != len(self._schema):
            computed = [c.name for c in self._table.columns if c.is_computed]
            note = f"; computed columns ({', '.join(computed)}) take none" if computed else ""
            raise ValidationError(
                f"{where}: expected {len(self._schema)} values after the kind, found {len(row) - 1}{note}",
                hint=self._form(),
            )
        return kind, row[1:]

    def _form(self) -> str:
        return f'a row is ("+I", {", ".join(self._schema.names)})'


# -- what a job reads ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Mark:
    """What is told between two rows: a watermark, or that splits are idle."""

    splits: tuple[str, ...]
    watermark: int | None = None
    idle: bool = False


class StepTable(InProcessTable):
    """Rows, and marks at places between them. ``number``: its turn among the sources of a job."""

    def __init__(self, schema: Schema, step_rows: int, splits: tuple[str, ...]) -> None:
        super().__init__(schema)
        self.step_rows = step_rows
        self.splits = splits
        self.number = next(_numbers)
        self._dealt: list[int] = []
        self._mark_places: list[int] = []
        self._marks: list[_Mark] = []
        self._wake_all: list[Callable[[], None]] = []

    def deal(self, rows: int, splits: Sequence[str]) -> None:
        """The splits of the rows that are appended next."""
        if len(self.splits) > 1:
            ids = [self.splits.index(s) for s in splits]
            start = self.num_rows if len(ids) > 1 else 0
            self._dealt += [ids[(start + i) % len(ids)] for i in range(rows)]

    def mark(self, mark: _Mark) -> None:
        """Tell ``mark`` after the rows that are there now."""
        if self.finished:
            raise ValidationError("the table is finished; nothing follows its last row")
        self._mark_places.append(self.num_rows)
        self._marks.append(mark)

    def mark_at(self, number: int) -> tuple[int, _Mark] | None:
        """The mark of that number with its place; None where there is none yet."""
        return (self._mark_places[number], self._marks[number]) if number < len(self._marks) else None

    def split_ids(self, start: int, rows: int) -> np.ndarray | None:
        """The split of each of some rows; None where there is one only."""
        return np.array(self._dealt[start : start + rows], np.int32) if len(self.splits) > 1 else None

    def open_source(self, context: SourceContext) -> Source:
        return StepSource(context, self)


class StepSource(InProcessSource):
    """Reads a :class:`StepTable`, a step of it when it is its turn. In batch mode everything at once."""

    def __init__(self, context: SourceContext, table: StepTable) -> None:
        super().__init__(context)
        self.table = table
        told = context.memory.get("marks")
        self._next_mark = bisect_right(table._mark_places, self._position - 1) if told is None else int(told)
        self._batch_mode = context.bounded
        self._budget = 0
        self._turns: Turns | None = None

    def start(self) -> None:
        if not self._batch_mode:
            self._turns = Turns.of(self._context.wake)
            self._turns.join(self)
            if (left := self._context.memory.get("left")) is not None:
                self._budget = int(left)
                self._turns.resume(self)
        super().start()

    def memory(self) -> Mapping[str, str]:
        """The marks that were told; of the table whose turn was last, also the rows left of its step."""
        memory = {"marks": str(self._next_mark)}
        if self._turns is not None and self._turns.is_last(self):
            memory["left"] = str(self._budget)
        return memory

    def close(self) -> None:
        super().close()
        if self._turns is not None:
            self._turns.leave(self)

    def splits(self) -> Sequence[str]:
        return self.table.splits

    @property
    def ready(self) -> bool:
        """Whether there are rows, a mark or the end to be told."""
        if self._ended:
            return False
        more = self._position < self.table.num_rows or self.table.mark_at(self._next_mark) is not None
        return more or self.table.finished

    @property
    def in_step(self) -> bool:
        """Whether its step is not over: the job took fewer rows than it has."""
        return self._budget > 0 and self.ready

    def begin_step(self) -> None:
        if self._turns is not None:
            self._turns.begin(self)

    def begin_turn(self) -> None:
        """Its step begins."""
        self._budget = self.table.step_rows

    def poll(self, max_rows: int) -> SourceBatch | None:
        if self._batch_mode:
            found = super().poll(max_rows)
            return found and SourceBatch(found.batch, self.table.splits, finished=self._finished())
        if self._turns is None or not self._turns.has(self) or not self._budget or self._ended:
            return None
        mark = self.table.mark_at(self._next_mark)
        if mark is not None and mark[0] <= self._position:
            self._next_mark += 1
            self._budget = 0
            return self._told(mark[1])
        rows = min(self._budget, max_rows, self.table.num_rows if mark is None else mark[0] - self._position)
        if self._position >= self.table.num_rows:
            rows = 1  # nothing but the end is left
        start = self._position
        found = super().poll(rows)
        taken = self._position - start
        self._budget = self._budget - taken if taken else 0
        if self._ended and taken:  # the end is a step of its own
            self._ended = False
        if found is None or (found.batch is None and not self._ended):
            return None
        batch, ids = found.batch, self.table.split_ids(start, taken)
        return SourceBatch(batch, self.table.splits, ids, found.positions, self._finished())

    def _finished(self) -> frozenset[str]:
        return frozenset(self.table.splits) if self._ended else frozenset()

    def _told(self, mark: _Mark) -> SourceBatch:
        watermarks = {} if mark.watermark is None else dict.fromkeys(mark.splits, mark.watermark)
        idle = frozenset(mark.splits) if mark.idle else frozenset[str]()
        return SourceBatch(None, self.table.splits, watermarks=watermarks, idle=idle)


class Turns:
    """Which table's step it is in a job; tables take turns by their numbers. All calls but ``of`` are the job's."""

    _of: dict[Callable[[], None], Turns] = {}  # noqa: RUF012  (by the job's wake, as long as it reads)
    _lock = threading.Lock()

    def __init__(self, key: Callable[[], None]) -> None:
        self._key = key
        self._members: list[StepSource] = []
        self._begun: list[StepSource] = []
        self._last = -1
        self._current: StepTable | None = None

    @classmethod
    def of(cls, wake: Callable[[], None]) -> Turns:
        """Those of the job that is woken with ``wake``."""
        with cls._lock:
            return cls._of.setdefault(wake, Turns(wake))

    def join(self, source: StepSource) -> None:
        self._members.append(source)

    def leave(self, source: StepSource) -> None:
        if source in self._members:
            self._members.remove(source)
        if not self._members:
            with self._lock:
                self._of.pop(self._key, None)

    def has(self, source: StepSource) -> bool:
        """Whether it is the turn of the source's table."""
        return source.table is self._current

    def is_last(self, source: StepSource) -> bool:
        """Whether the source's table had the last turn."""
        return source.table.number == self._last

    def resume(self, source: StepSource) -> None:
        """The source's table had the last turn when the job was stopped."""
        self._last, self._current = source.table.number, source.table

    def begin(self, source: StepSource) -> None:
        """The job's step reaches a source; the first to be reached again begins the next step."""
        if not self._begun or source in self._begun:
            self._begun = []
            self._choose()
        self._begun.append(source)

    def _choose(self) -> None:
        if any(s.in_step for s in self._members if self.has(s)):
            return
        waiting = sorted({s.table.number for s in self._members if s.ready})
        self._current = None
        if waiting:
            number = next((n for n in waiting if n > self._last), waiting[0])
            self._last = number
            for source in self._members:
                if source.table.number == number:
                    self._current = source.table
                    source.begin_turn()
