"""``run_every_way``: one query streamed in steps of several sizes and several orders of arrival, against batch mode."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.changelog import Row, RowKind
from streamsql.errors import StreamSqlError, ValidationError
from streamsql.planner.statements import Query, parse_statement
from streamsql.runtime.checkpoint.points import POINTS
from streamsql.session import EnvironmentSettings, TableEnvironment

from .clock import VirtualClock
from .compare import Row as Values
from .compare import difference, plain
from .crashes import CrashSchedule, rows_despite_crashes
from .rules import ChangelogError, replay
from .source import RowLike, SourceTable, source_table
from .values import rows_of

STEPS = (1, 7, None)
"""Rows per step: each row alone, steps that cut groups and windows, everything at once."""

ROWS_SHUFFLED_MAX = 5_000
"""Looking for an order in which no row is late takes the square of the rows; more keep their order."""

_CRASHING_STEPS = 8
"""So many steps a job takes that is to die in between."""

Setup: TypeAlias = str | Callable[[TableEnvironment], object]
Inputs: TypeAlias = "Mapping[str, Iterable[RowLike]] | Sequence[Input | tuple[Any, ...]] | Input"


@dataclass(frozen=True)
class Input:
    """A source of :func:`run_every_way`, as :func:`source_table` takes it; ``rows`` in their order of arrival."""

    ddl: str
    rows: Sequence[RowLike]
    changelog_mode: str = "I"

    def register(self, env: TableEnvironment, step_rows: int | None) -> SourceTable:
        """The table in a session."""
        return source_table(
            env, self.ddl, self.rows, self.changelog_mode, step_rows or max(1, len(self.rows))
        )

    def shuffled(self, seed: int) -> Input:
        """Another order of arrival in which no row is late that was not, and the changes of a key keep their order."""
        if not 1 < len(self.rows) <= ROWS_SHUFFLED_MAX:
            return self
        with TableEnvironment(EnvironmentSettings.in_batch_mode()) as env:
            table = self.register(env, None).definition
            times = marks = np.zeros(len(self.rows), np.int64)
            if table.watermark is not None:
                if self.changelog_mode != "I":
                    return self
                column = f"`{table.watermark.column}`"
                found = env.execute_sql(
                    f"SELECT {column}, {table.watermark.expression} FROM {table.path.quoted()}"
                ).to_arrow()
                times, marks = _ms(found.column(0), _LAST), _ms(found.column(1), _FIRST)
            else:
                times = times + 1
        names = [c.name for c in table.columns if c.is_physical]
        places = [names.index(k) + 1 for k in table.primary_key] or range(1, len(names) + 1)
        insert_only = self.changelog_mode == "I"
        groups = [i if insert_only else repr([row[p] for p in places]) for i, row in enumerate(self.rows)]
        order = _other_order(times, marks, groups, random.Random(seed))
        return replace(self, rows=[self.rows[i] for i in order])


_FIRST, _LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def _ms(column: pa.ChunkedArray, null: int) -> npt.NDArray[np.int64]:
    ms = pc.fill_null(column.cast(pa.timestamp("us")).cast(pa.int64()), null)
    return np.asarray(ms.to_numpy(), np.int64)


def _other_order(
    times: npt.NDArray[np.int64], marks: npt.NDArray[np.int64], groups: Sequence[object], rng: random.Random
) -> list[int]:
    """A random order of rows in which the times of all that follow a row are above its watermark."""
    left = np.arange(len(times))
    order: list[int] = []
    while len(left):
        rest = times[left]
        smallest = np.sort(rest)[:2]
        others = np.where(rest == smallest[0], smallest[-1], smallest[0]) if len(left) > 1 else rest
        free = np.flatnonzero((marks[left] < others) | (len(left) == 1))
        heads = _heads([groups[row] for row in left.tolist()])
        choice = sorted(heads & set(free.tolist())) or [0]
        taken = rng.choice(choice)
        order.append(int(left[taken]))
        left = np.delete(left, taken)
    return order


def _heads(groups: Sequence[object]) -> set[int]:
    """The first place of each group."""
    first: dict[object, int] = {}
    for place, group in enumerate(groups):
        first.setdefault(group, place)
    return set(first.values())


def run_every_way(
    sql: str,
    inputs: Inputs,
    *,
    setup: Setup | Sequence[Setup] = (),
    steps: Sequence[int | None] = STEPS,
    shuffles: Sequence[int] = (1, 2),
    order_matters: bool = False,
    in_batch: bool = True,
    crashes: bool = True,
) -> list[Row]:
    """Run a query in every way; raises AssertionError where two answers differ, and returns the rows of the answer.

    Ways: streamed with each of ``steps`` rows per step (None: all at once), streamed in another order of arrival for
    each seed of ``shuffles``, and in batch mode. Every changelog is checked while it is applied. With ``crashes`` also
    as an INSERT whose job takes a checkpoint after every step, dies at each of the named points of one, and goes on
    from the last that holds; where it has too few steps for all of them, further jobs die at the others.

    ``inputs``: ``{ddl: rows}``, or a list of :class:`Input` or of tuples ``(ddl, rows[, changelog_mode])``; ``setup``:
    statements before (views, SET), or functions of the session. ``order_matters``: the answer may depend on the order
    of arrival (FIRST_VALUE), so that another order is compared with batch mode over that order. Without ``in_batch``
    the first streamed answer is the one to equal: for queries whose answer depends on the clock.
    """
    if not isinstance(parse_statement(sql), Query):
        raise ValidationError("run_every_way takes a query", hint="leave INSERT INTO out, or run it in setup")
    tables = _inputs(inputs)
    prepare = [setup] if isinstance(setup, str) or callable(setup) else list(setup)
    answer = _batch(sql, tables, prepare) if in_batch else None
    for step in steps:
        way = "all rows in one step" if step is None else f"steps of {step} row{'s' * (step > 1)}"
        streamed = _streamed(sql, tables, prepare, step, way)
        answer = streamed if answer is None else answer
        _same(way, streamed, answer, in_batch)
    for seed in shuffles:
        others = [table.shuffled(seed) for table in tables]
        random.Random(seed).shuffle(others)
        way = f"another order of arrival (shuffle {seed})"
        wanted = _batch(sql, others, prepare) if order_matters and in_batch else answer
        if not order_matters or in_batch:
            streamed = _streamed(sql, others, prepare, 1, way)
            _same(way, streamed, streamed if wanted is None else wanted, in_batch)
    if crashes and answer is not None:
        way = "an INSERT that dies at every point of a checkpoint"
        for found in _despite_crashes(sql, tables, prepare, way):
            _same_values(way, found, _plain(answer), in_batch)
    assert answer is not None, "nothing was run: steps and shuffles are empty, and batch mode is left out"
    return answer


def _inputs(inputs: Inputs) -> list[Input]:
    if isinstance(inputs, Input):
        return [inputs]
    if isinstance(inputs, Mapping):
        return [Input(ddl, list(rows)) for ddl, rows in inputs.items()]
    found = [i if isinstance(i, Input) else Input(i[0], list(i[1]), *i[2:]) for i in inputs]
    return [replace(i, rows=list(i.rows)) for i in found]


def _prepare(
    env: TableEnvironment, tables: Sequence[Input], step: int | None, setup: Sequence[Setup]
) -> None:
    env.config.set("streamsql.duckdb.threads", "1")
    for table in tables:
        table.register(env, step)
    for part in setup:
        if isinstance(part, str):
            env.execute_sql(part)
        else:
            part(env)


def _batch(sql: str, tables: Sequence[Input], setup: Sequence[Setup]) -> list[Row]:
    with VirtualClock().environment(EnvironmentSettings.in_batch_mode()) as env:
        _prepare(env, tables, None, setup)
        result = env.execute_sql(sql)
        return rows_of(result.to_arrow(), result.schema)


def _streamed(
    sql: str, tables: Sequence[Input], setup: Sequence[Setup], step: int | None, way: str
) -> list[Row]:
    """The final rows of the streamed query; its changelog is checked on the way."""
    with VirtualClock().environment() as env:
        _prepare(env, tables, step, setup)
        result = env.execute_sql(sql)
        try:
            values = replay(result.collect(), result.upsert_key)
        except (ChangelogError, StreamSqlError) as e:
            e.add_note(f"streamed: {way}")
            raise
        return [Row(v, result.schema.names, RowKind.INSERT) for v in values]


def _despite_crashes(
    sql: str, tables: Sequence[Input], setup: Sequence[Setup], way: str
) -> Iterator[list[Values]]:
    """The final rows of jobs that die, until there was a death at every point; of one that cannot die, once.

    A job dies as often as it has steps for: less often where rows are few. Where it begins depends on the query.
    """
    longest = max((len(t.rows) for t in tables), default=0)
    first = zlib.crc32(sql.encode()) % len(POINTS)
    left = [*POINTS[first:], *POINTS[:first]]
    while left:
        schedule = CrashSchedule(points=left)
        with VirtualClock().environment() as env:
            _prepare(env, tables, max(1, longest // _CRASHING_STEPS), setup)
            try:
                rows = rows_despite_crashes(env, sql, schedule)
            except StreamSqlError as e:
                e.add_note(f"streamed: {way}, after {schedule.crashes}")
                raise
        yield rows
        left = left[len(schedule.crashes) :] if schedule.crashes else []


def _same(way: str, found: Sequence[Row], expected: Sequence[Row], in_batch: bool) -> None:
    _same_values(way, _plain(found), _plain(expected), in_batch)


def _same_values(way: str, found: Sequence[Values], expected: Sequence[Values], in_batch: bool) -> None:
    text = difference(found, expected)
    if text is not None:
        other = "batch mode" if in_batch else "the first way"
        raise AssertionError(f"{way} and {other} differ; streamed rows are\n{text}")


def _plain(rows: Iterable[Row]) -> list[Values]:
    return [plain(tuple(row)) for row in rows]
