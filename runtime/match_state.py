"""The state of a Match operator: its partial matches and the rows they have taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .match_partials import Matcher, Start, Taken
from .match_values import Row
from .state.base import State
from .state.buffers import as_array
from .state.keyed import LIVE, SLOT

Int64 = npt.NDArray[np.int64]
_NONE: Int64 = np.zeros(0, np.int64)

_SPARE_ROWS = 1024
"""Rows held beyond twice those in use before the unused ones are freed: freeing looks at all partial matches."""

PARTITIONS, ROWS = "slots-partitions", "slots-rows"

_NODE = pa.struct([(n, pa.int64()) for n in ("before", "variable", "row", "time")])
_START = pa.struct([(n, pa.int64()) for n in ("row", "time", "best")])
_THREAD = pa.struct([(n, pa.int64()) for n in ("start", "state", "taken")])
_PARTITIONS = pa.schema(
    [
        (SLOT, pa.int64()),
        (LIVE, pa.bool_()),
        ("nodes", pa.list_(_NODE)),
        ("starts", pa.list_(_START)),
        ("threads", pa.list_(_THREAD)),
    ]
)


class PartialMatches(State):
    """The starts of ``matcher`` and the rows they hold, of ``schema``; the last ``computed`` columns are conditions'.

    Rows are numbered in the order they are matched. Rows that no partial match holds are freed in bulk. A cut writes
    the partitions that were touched, each whole, and the new rows they hold.
    """

    def __init__(self, matcher: Matcher, schema: pa.Schema, computed: int) -> None:
        self.matcher = matcher
        self.schema = schema
        self._computed = computed
        self.restored_values: Callable[[pa.RecordBatch], list[Row]] = lambda rows: self.computed([rows])
        """The computed columns of rows that come from a cut, a tuple a row."""
        self._tracked = False
        self._reset()

    def _reset(self) -> None:
        self.next_row = 0
        self._numbers: list[Int64] = []
        self._batches: list[pa.RecordBatch] = []
        self._held = 0
        self._in_use = 0
        self._nbytes = 0
        self._cut = 0  # rows below this number came before the last cut
        self._written: list[Int64] = []  # rows that earlier cuts have written and that are not freed
        self._freed: list[Int64] = []  # those freed since

    # -- rows ------------------------------------------------------------------------------------------------------
    def append(self, rows: pa.RecordBatch) -> Int64:
        """Hold rows; returns their numbers."""
        numbers = np.arange(self.next_row, self.next_row + rows.num_rows)
        self.next_row += rows.num_rows
        self._numbers.append(numbers)
        self._batches.append(rows)
        self._held += rows.num_rows
        self._nbytes += rows.nbytes
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
        if self._written:
            written = np.concatenate(self._written)
            kept = np.isin(written, numbers)
            self._written = [written[kept]] if kept.any() else []
            if not kept.all():
                self._freed.append(written[~kept])
        if not len(numbers):
            self._numbers, self._batches, self._nbytes = [], [], 0
            return
        table = self.rows(numbers).combine_chunks()
        self._numbers, self._batches = [numbers], table.to_batches()
        self._nbytes = self._batches[0].nbytes
        assert len(self._batches) == 1

    def _heads(self) -> Iterator[Taken]:
        for starts in self.matcher.starts.values():
            yield from _heads(starts)

    # -- snapshots -------------------------------------------------------------------------------------------------
    def snapshot(self) -> dict[str, pa.Table]:
        """``slots-partitions``: the partial matches of each; ``slots-rows``: the rows they hold, by number."""
        partitions, numbers = self._partitions(sorted(self.matcher.starts))
        return {PARTITIONS: partitions, ROWS: self._rows_of(numbers, _NONE), "counter": self._counter()}

    def track_changes(self) -> None:
        self._tracked = True
        self.matcher.changed = set()

    def changes(self) -> dict[str, pa.Table]:
        if self.matcher.changed is None:
            return self.snapshot()
        partitions, held = self._partitions(sorted(self.matcher.changed))
        new = held[held >= self._cut]
        rows = self._rows_of(new, np.concatenate([_NONE, *self._freed]))
        self.matcher.changed.clear()
        if len(new):
            self._written.append(new)
        self._freed, self._cut = [], self.next_row
        return {PARTITIONS: partitions, ROWS: rows, "counter": self._counter()}

    def _counter(self) -> pa.Table:
        return pa.table({"next_row": [self.next_row]})

    def _partitions(self, slots: Sequence[int]) -> tuple[pa.Table, Int64]:
        """The partial matches of partitions, one a row, and the numbers of the rows they hold, ascending."""
        found: list[dict[str, Any]] = []
        numbers = set[int]()
        for slot in slots:
            starts = self.matcher.starts.get(slot)
            if starts is None:
                found.append({SLOT: slot, LIVE: False})
                continue
            nodes = _shared(_heads(starts))
            numbers.update(t.row for t in nodes)
            found.append({SLOT: slot, LIVE: True, **_described(starts, nodes)})
        return pa.Table.from_pylist(found, _PARTITIONS), np.array(sorted(numbers), np.int64)

    def _rows_of(self, numbers: Int64, gone: Int64) -> pa.Table:
        own = pa.schema([(SLOT, pa.int64()), (LIVE, pa.bool_())])
        schema = pa.schema([*own, *(pa.field(f"c{i}", f.type) for i, f in enumerate(self.schema))])
        rows = self.rows(numbers) if len(numbers) else self.schema.empty_table()
        live = pa.array(np.ones(len(numbers), np.bool_))
        dead = [pa.array(gone), pa.array(np.zeros(len(gone), np.bool_))]
        dead += [pa.nulls(len(gone), f.type) for f in self.schema]
        return pa.concat_tables(
            [
                pa.Table.from_arrays([pa.array(numbers), live, *rows.columns], schema=schema),
                pa.Table.from_arrays(dead, schema=schema),
            ]
        )

    def restore(self, tables: Mapping[str, pa.Table]) -> None:
        self._reset()
        self.next_row = self._cut = int(tables["counter"]["next_row"][0].as_py())
        held = tables[ROWS].sort_by(SLOT).combine_chunks()
        numbers = np.array(held[SLOT].to_numpy(), np.int64)
        if held.num_rows:
            columns = [as_array(held[f"c{i}"], f.type) for i, f in enumerate(self.schema)]
            self._numbers = [numbers]
            self._batches = [pa.RecordBatch.from_arrays(columns, schema=self.schema)]
            self._nbytes = self._batches[0].nbytes
            self._written = [numbers] if self._tracked else []
        self._held = held.num_rows
        known = [row for batch in self._batches for row in self.restored_values(batch)]
        values = dict(zip(numbers.tolist(), known, strict=True))
        self.matcher.starts.clear()
        for partition in tables[PARTITIONS].sort_by(SLOT).to_pylist():
            self.matcher.starts[partition[SLOT]] = self._starts_of(partition, values)
        self.matcher.restart()
        self._compact()  # rows of matches that ended may have been kept

    def _starts_of(self, partition: Mapping[str, Any], values: Mapping[int, Row]) -> list[Start]:
        trackers = self.matcher.rules.trackers
        nodes: list[Taken] = []
        for n in partition["nodes"]:
            before = None if n["before"] is None else nodes[n["before"]]
            known = trackers.initial if before is None else before.values
            after = trackers.after(known, n["variable"], values[n["row"]])
            nodes.append(Taken(before, n["variable"], n["row"], n["time"], after))
        starts: list[Start] = []
        for s in partition["starts"]:
            starts.append(Start(s["row"], s["time"], []))
            starts[-1].best = None if s["best"] is None else nodes[s["best"]]
        for t in partition["threads"]:
            taken = None if t["taken"] is None else nodes[t["taken"]]
            starts[t["start"]].threads.append((t["state"], taken))
        return starts

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
        return self._nbytes + 100 * self._held

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


def _heads(starts: Sequence[Start]) -> Iterator[Taken]:
    for start in starts:
        for _, taken in start.threads:
            if taken is not None:
                yield taken
        if start.best is not None:
            yield start.best


def _described(starts: Sequence[Start], nodes: Sequence[Taken]) -> dict[str, list[dict[str, int | None]]]:
    """Starts and their threads, with the places of their last rows in ``nodes``."""
    number = {id(t): i for i, t in enumerate(nodes)}

    def place(taken: Taken | None) -> int | None:
        return None if taken is None else number[id(taken)]

    return {
        "nodes": [
            {"before": place(t.before), "variable": t.variable, "row": t.row, "time": t.time} for t in nodes
        ],
        "starts": [{"row": s.row, "time": s.time, "best": place(s.best)} for s in starts],
        "threads": [
            {"start": i, "state": state, "taken": place(t)}
            for i, s in enumerate(starts)
            for state, t in s.threads
        ],
    }
