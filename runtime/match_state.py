"""The state of a Match operator: its partial matches and the rows they have taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .match_partials import Matcher, Start, Taken
from .match_values import Row
from .state.base import State

Int64 = npt.NDArray[np.int64]

_SPARE_ROWS = 1024
"""Rows held beyond twice those in use before the unused ones are freed: freeing looks at all partial matches."""

_NODES = pa.schema(
    [("before", pa.int64()), ("variable", pa.int64()), ("row", pa.int64()), ("time", pa.int64())]
)
_STARTS = pa.schema([("slot", pa.int64()), ("row", pa.int64()), ("time", pa.int64()), ("best", pa.int64())])
_THREADS = pa.schema([("start", pa.int64()), ("state", pa.int64()), ("taken", pa.int64())])


class PartialMatches(State):
    """The starts of ``matcher`` and the rows they hold, of ``schema``; the last ``computed`` columns are conditions'.

    Rows are numbered in the order they are matched. Rows that no partial match holds are freed in bulk.
    """

    def __init__(self, matcher: Matcher, schema: pa.Schema, computed: int) -> None:
        self.matcher = matcher
        self.schema = schema
        self._computed = computed
        self._reset()

    def _reset(self) -> None:
        self.next_row = 0
        self._numbers: list[Int64] = []
        self._batches: list[pa.RecordBatch] = []
        self._held = 0
        self._in_use = 0

    # -- rows ------------------------------------------------------------------------------------------------------
    def append(self, rows: pa.RecordBatch) -> Int64:
        """Hold rows; returns their numbers."""
        numbers = np.arange(self.next_row, self.next_row + rows.num_rows)
        self.next_row += rows.num_rows
        self._numbers.append(numbers)
        self._batches.append(rows)
        self._held += rows.num_rows
        return numbers

    def rows(self, numbers: Int64) -> pa.Table:
        """The rows of these numbers, which are held."""
        starts = np.array([n[0] for n in self._numbers])
        parts, which = np.unique(np.searchsorted(starts, numbers, side="right") - 1, return_inverse=True)
        places = np.empty(len(numbers), np.int64)
        offset = 0
        for i, part in enumerate(parts):
            here = which == i
            places[here] = offset + np.searchsorted(self._numbers[part], numbers[here])
            offset += len(self._numbers[part])
        return pa.Table.from_batches([self._batches[p] for p in parts], self.schema).take(pa.array(places))

    def free(self) -> None:
        """Forget the rows that nothing holds, once they are many."""
        if not self.matcher.starts:
            self._keep(np.zeros(0, np.int64))
        elif self._held > 2 * self._in_use + _SPARE_ROWS:
            self._compact()

    def _compact(self) -> None:
        rows = {t.row for t in _shared(self._heads())}
        self._keep(np.array(sorted(rows), np.int64))

    def _keep(self, numbers: Int64) -> None:
        self._held = self._in_use = len(numbers)
        if not len(numbers):
            self._numbers, self._batches = [], []
            return
        table = self.rows(numbers).combine_chunks()
        self._numbers, self._batches = [numbers], table.to_batches()
        assert len(self._batches) == 1

    def _heads(self) -> Iterator[Taken]:
        for start in self._starts():
            for _, taken in start.threads:
                if taken is not None:
                    yield taken
            if start.best is not None:
                yield start.best

    def _starts(self) -> Iterator[Start]:
        for starts in self.matcher.starts.values():
            yield from starts

    # -- snapshots -------------------------------------------------------------------------------------------------
    def snapshot(self) -> dict[str, pa.Table]:
        """``nodes``: rows taken, after the one ``before``; ``starts`` with their ``threads``; ``rows`` by number."""
        if self.matcher.starts:
            self._compact()
        nodes = _shared(self._heads())
        number = {id(t): i for i, t in enumerate(nodes)}
        starts: list[tuple[int, int, int, int | None]] = []
        threads: list[tuple[int, int, int | None]] = []
        for slot, of_slot in self.matcher.starts.items():
            for s in of_slot:
                threads += [
                    (len(starts), state, None if t is None else number[id(t)]) for state, t in s.threads
                ]
                starts.append((slot, s.row, s.time, None if s.best is None else number[id(s.best)]))
        befores = [None if t.before is None else number[id(t.before)] for t in nodes]
        taken = [(b, t.variable, t.row, t.time) for b, t in zip(befores, nodes, strict=True)]
        numbers = np.concatenate([np.zeros(0, np.int64), *self._numbers])
        rows = pa.Table.from_batches(self._batches, self.schema)
        return {
            "nodes": _table(taken, _NODES),
            "starts": _table(starts, _STARTS),
            "threads": _table(threads, _THREADS),
            "rows": rows.append_column("number", pa.array(numbers)),
            "counter": pa.table({"next_row": [self.next_row]}),
        }

    def restore(self, tables: Mapping[str, pa.Table]) -> None:
        self._reset()
        self.next_row = int(tables["counter"]["next_row"][0].as_py())
        held = tables["rows"]
        if held.num_rows:
            self._numbers = [np.array(held["number"].to_numpy(), np.int64)]
            self._batches = held.drop_columns(["number"]).cast(self.schema).combine_chunks().to_batches()
        self._held = self._in_use = held.num_rows
        values = dict(zip(held["number"].to_pylist(), self.computed(self._batches), strict=True))
        trackers = self.matcher.rules.trackers
        nodes: list[Taken] = []
        for n in tables["nodes"].to_pylist():
            before = None if n["before"] is None else nodes[n["before"]]
            known = trackers.initial if before is None else before.values
            after = trackers.after(known, n["variable"], values[n["row"]])
            nodes.append(Taken(before, n["variable"], n["row"], n["time"], after))
        starts: list[Start] = []
        self.matcher.starts.clear()
        for s in tables["starts"].to_pylist():
            starts.append(Start(s["row"], s["time"], []))
            starts[-1].best = None if s["best"] is None else nodes[s["best"]]
            self.matcher.starts.setdefault(s["slot"], []).append(starts[-1])
        for t in tables["threads"].to_pylist():
            taken = None if t["taken"] is None else nodes[t["taken"]]
            starts[t["start"]].threads.append((t["state"], taken))
        self.matcher.restart()

    def computed(self, batches: Sequence[pa.RecordBatch]) -> list[Row]:
        """The computed columns of rows as Python values, a tuple a row."""
        if not self._computed:
            return [()] * sum(b.num_rows for b in batches)
        width = len(self.schema) - self._computed
        return [row for b in batches for row in zip(*(c.to_pylist() for c in b.columns[width:]), strict=True)]

    # -- measures --------------------------------------------------------------------------------------------------
    @property
    def nbytes(self) -> int:
        """Of the rows; a partial match costs about 100 bytes a row more."""
        return sum(int(b.nbytes) for b in self._batches) + 100 * self._held

    @property
    def row_count(self) -> int:
        """Rows held, those counted that are no longer used but not yet freed."""
        return self._held

    def read(self) -> pa.Table:
        """The rows held, in the order they are matched."""
        table = pa.Table.from_batches(self._batches, self.schema)
        return table.select(list(range(len(self.schema) - self._computed)))


def _shared(heads: Iterator[Taken]) -> list[Taken]:
    """All nodes that lead to ``heads``, each once and after the one before it."""
    known: set[int] = set()
    found: list[Taken] = []
    for head in heads:
        path: list[Taken] = []
        at: Taken | None = head
        while at is not None and id(at) not in known:
            path.append(at)
            at = at.before
        known.update(id(t) for t in path)
        found += reversed(path)
    return found


def _table(rows: Sequence[tuple[int | None, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
