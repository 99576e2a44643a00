"""A merge of runs that takes a bounded time at a time, so that no step waits for the merge of millions of rows.

::

    runs   ───────┃──────      the hashes up to ┃ are merged; each call moves ┃ on by about as many rows
           ────┃────           as it is told. Equal hashes are never parted. Until the last call
    made   ──── ─── ──         the runs themselves answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from .base import fresh_name
from .buffers import I64
from .runs import Run, merge

# Copying a value is so many times as fast as merging a row of it.
_COPIES_PER_ROW = 16


class RunMerge:
    """Makes one run of ``runs``, which are neighbours, oldest first."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = tuple(runs)
        self._at = [0] * len(runs)  # rows taken of each run
        self._left = sum(map(len, runs))
        self._pieces: list[Run] = []
        self._joins: list[Callable[[], Any]] = []
        self._joined: list[Any] = []

    def advance(self, rows: int, older: Sequence[Run], horizon: int | None) -> Run | None:
        """Merges about ``rows`` rows more; the run when it is done. ``older``, ``horizon``: as of :func:`merge`."""
        while self._left and rows > 0:
            ends = self._ends(rows)
            parts = [
                run.slice(at, end) for run, at, end in zip(self.runs, self._at, ends, strict=True) if end > at
            ]
            taken = sum(map(len, parts))
            piece = merge("", parts, older, horizon)
            if len(piece):
                self._pieces.append(piece)
            self._at = ends
            self._left -= taken
            rows -= taken
        if self._left:
            return None
        if not self._joins:
            self._joins = self._columns()
        while len(self._joined) < len(self._joins):
            if rows <= 0:
                return None
            self._joined.append(self._joins[len(self._joined)]())
            rows -= 1 + sum(map(len, self._pieces)) // _COPIES_PER_ROW
        return self._run()

    def _ends(self, rows: int) -> list[int]:
        """Where to cut each run, so that about so many rows are before the cuts and equal hashes on one side."""
        if self._left <= rows:
            return [len(run) for run in self.runs]
        shares = [(len(run) - at) * rows // self._left for run, at in zip(self.runs, self._at, strict=True)]
        if not any(shares):  # fewer rows than runs
            shares[max(range(len(shares)), key=lambda i: len(self.runs[i]) - self._at[i])] = 1
        cut = min(
            run.hashes[at + share - 1]
            for run, at, share in zip(self.runs, self._at, shares, strict=True)
            if share
        )
        return [
            at + int(np.searchsorted(run.hashes[at:], cut, side="right"))
            for run, at in zip(self.runs, self._at, strict=True)
        ]

    def _columns(self) -> list[Callable[[], Any]]:
        """What joins each column of the pieces; a column at a time bounds the pause."""
        pieces = self._pieces
        if not pieces:
            return []

        def numbers(name: str) -> Callable[[], I64]:
            return lambda: np.concatenate([getattr(p, name) for p in pieces])

        def column(i: int) -> Callable[[], pa.Array]:
            return lambda: pa.concat_arrays([p.rows.column(i) for p in pieces])

        own = ["hashes", "weights", "seq"] + ([] if pieces[0].times is None else ["times"])
        return [*map(numbers, own), *map(column, range(pieces[0].rows.num_columns))]

    def _run(self) -> Run:
        if not self._pieces:
            return self.runs[0].slice(0, 0)
        timed = self._pieces[0].times is not None
        hashes, weights, seq, *rest = self._joined
        times = rest.pop(0) if timed else None
        rows = pa.RecordBatch.from_arrays(rest, schema=self._pieces[0].rows.schema)
        return Run(fresh_name(), hashes, rows, weights, seq, times)

    @property
    def nbytes(self) -> int:
        """Of what is made so far."""
        return sum(piece.nbytes for piece in self._pieces)
