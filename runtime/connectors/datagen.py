"""The ``datagen`` connector: made-up rows, a second's worth at a time, made in columns.

A *random* field draws from its range; a *sequence* counts from ``start`` to ``end`` and ends the table. DATE and TIME
are the moment's, timestamps lie up to ``max-past`` before now. The one split is ``rows``, its position the number of
rows made.

Random values follow from a seed, wherever a batch begins (times follow the clock). With the option ``seed`` they are
the same in every run; else the seed is drawn at the first start and kept in checkpoints, so that a resumed run makes
the rows it had made.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from streamsql.catalog.descriptors_files import datagen_field_options
from streamsql.changelog import ChangelogBatch

from .base import Source, SourceBatch, SourceContext
from .datagen_values import Maker, column_maker
from .reader_thread import end_reader

_SPLIT = "rows"
_QUEUE_ROWS_MAX = 262_144
"""Rows made ahead of the job at most."""
_PIECES_PER_SECOND = 10
"""Rows come in so many pieces a second, so that they do not arrive in bursts."""


class DatagenSource(Source):
    """Makes rows in its own thread at the wanted pace.

    The pace is real time; a test may hand in ``sleep`` to run it by hand.
    """

    def __init__(
        self,
        context: SourceContext,
        sleep: Callable[[float], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context = context
        options = context.options.options
        fields = datagen_field_options(options)
        kept = int(context.memory.get("seed", secrets.randbits(63)))
        self._seed: int = kept if options["seed"] is None else options["seed"]
        self._makers: list[Maker] = [
            column_maker(f.name, f.type, fields, options.owner, self._seed, context.now_ms)
            for f in context.physical
        ]
        limits = [m.rows_max for m in self._makers if m.rows_max is not None]
        if options["number-of-rows"] is not None:
            limits.append(options["number-of-rows"])
        self._rows_max: int | None = min(limits) if limits else None
        self.bounded = self._rows_max is not None
        self._rate: int = options["rows-per-second"]
        self._made = int(context.positions.get(_SPLIT, "0"))
        self._polled = self._made
        self._ended = False
        self._ready: list[pa.RecordBatch] = []
        self._ready_rows = 0
        self._error: BaseException | None = None
        self._paused = False
        self._lock = threading.Condition()
        self._closed = threading.Event()
        self._sleep = sleep or self._closed.wait
        self._clock = clock
        self._thread = threading.Thread(target=self._run, name="datagen", daemon=True)

    def start(self) -> None:
        self._thread.start()

    # -- the maker's thread ------------------------------------------------------------------------------------------
    def _run(self) -> None:
        try:
            self._make_all()
        except BaseException as e:  # handed to the job by poll()
            with self._lock:
                self._error = e
        self._context.wake()

    def _make_all(self) -> None:
        began, first = self._clock(), self._made
        piece = max(1, self._rate // _PIECES_PER_SECOND)
        while not self._closed.is_set() and not self._at_end():
            due = first + int((self._clock() - began) * self._rate) + piece
            count = min(due - self._made, self._context.batch_rows_max, *self._left())
            if count <= 0:
                self._sleep(max(0.001, (self._made + 1 - due) / self._rate))
                continue
            batch = self.make(self._made, count)
            with self._lock:
                while self._ready_rows >= _QUEUE_ROWS_MAX and not self._closed.is_set():
                    self._lock.wait()
                if self._paused:
                    self._lock.wait_for(lambda: not self._paused or self._closed.is_set())
                self._ready.append(batch)
                self._ready_rows += count
                self._made += count
            self._context.wake()
            if not self._at_end():
                self._sleep(max(0.0, (self._made - first) / self._rate - (self._clock() - began)))

    def _at_end(self) -> bool:
        return self._rows_max is not None and self._made >= self._rows_max

    def _left(self) -> list[int]:
        return [] if self._rows_max is None else [self._rows_max - self._made]

    def make(self, start: int, count: int) -> pa.RecordBatch:
        """Rows ``start`` to ``start + count`` of the table."""
        arrays = [m.make(start, count) for m in self._makers]
        return pa.RecordBatch.from_arrays(arrays, schema=self._context.physical.arrow)

    # -- the job's thread --------------------------------------------------------------------------------------------
    def poll(self, max_rows: int) -> SourceBatch | None:
        with self._lock:
            if self._error is not None:
                raise self._error
            taken: list[pa.RecordBatch] = []
            rows = 0
            while self._ready and rows < max_rows:
                batch = self._ready[0]
                if batch.num_rows > max_rows - rows:
                    taken.append(batch.slice(0, max_rows - rows))
                    self._ready[0] = batch.slice(max_rows - rows)
                else:
                    taken.append(self._ready.pop(0))
                rows += taken[-1].num_rows
            self._ready_rows -= rows
            self._polled += rows
            finished = self._rows_max is not None and self._polled >= self._rows_max
            self._lock.notify_all()
        if not rows and (not finished or self._ended):
            return None
        self._ended = finished
        return SourceBatch(
            ChangelogBatch.concat([ChangelogBatch(b) for b in taken]),
            [_SPLIT],
            positions={_SPLIT: str(self._polled)},
            finished=frozenset({_SPLIT}) if finished else frozenset[str](),
        )

    def splits(self) -> Sequence[str]:
        return [_SPLIT]

    def pause(self, splits: frozenset[str]) -> None:
        with self._lock:
            self._paused = _SPLIT in splits
            self._lock.notify_all()

    def memory(self) -> Mapping[str, str]:
        """The seed, whether it was given or drawn."""
        return {"seed": str(self._seed)}

    def lag(self) -> int | None:
        return self._made - self._polled

    def close(self) -> None:
        end_reader(self._thread, self._closed, self._lock)


def create_source(context: SourceContext) -> Source:
    return DatagenSource(context)
