"""Time to live of rows: ``KeyedTtl``, all rows of a key together since it was last written; ``TtlRunStore``, each row
since it came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from .buffers import I64, U64, as_array, distinct_values
from .consolidate import group_ids
from .expiry import wake_ms
from .key_index import KeyIndex
from .run_store import RunProbe, RunStore


class KeyedTtl:
    """Watches the keys of ``store``; ``index`` is of its key columns and has the time to live, None for none.

    Expired rows are retracted from the store, which frees them when its runs are merged; the work is
    proportional to what expires.
    """

    def __init__(self, store: RunStore, index: KeyIndex | None) -> None:
        self._store = store
        self._index = index

    @property
    def active(self) -> bool:
        """Whether there is a time to live."""
        return self._index is not None

    def touch(self, hashes: U64, keys: Sequence[pa.Array], now_ms: int) -> None:
        """These keys are written now."""
        if self._index is not None:
            self._index.lookup_or_insert(hashes, keys, now_ms)

    def settle(self, after: RunProbe, hashes: U64) -> None:
        """Drops retractions that found no row, as theirs has expired; ``after``: the touched rows, consolidated.

        ``hashes``: of the probe that found them. A later insertion would otherwise be cancelled.
        """
        if self._index is None:
            return
        lost = np.flatnonzero(after.weights < 0)
        if len(lost):
            _retract(self._store, after, hashes, lost)

    def expire(self, now_ms: int) -> int:
        """Drops the rows of expired keys; returns how many there were."""
        if self._index is None:
            return 0
        slots = self._index.expired(now_ms)
        if not len(slots):
            return 0
        count = drop_keys(self._store, self._index.hashes(slots), self._index.keys(slots))
        self._index.remove(slots)
        return count


def drop_keys(store: RunStore, hashes: U64, keys: Sequence[pa.Array]) -> int:
    """Retracts all rows of these keys; returns how many there were."""
    found = store.probe(hashes, keys, consolidate=True)
    _retract(store, found, hashes, np.arange(len(found.weights)))
    return len(found.weights)


def _retract(store: RunStore, found: RunProbe, hashes: U64, at: I64) -> None:
    store.append(hashes[found.probe_index[at]], found.rows.take(pa.array(at)), -found.weights[at])


class TtlRunStore(RunStore):
    """Rows that go ``ttl_ms`` after they came.

    The clock is that of the last :meth:`expire`. A retraction has the time of the row that it takes back, so that
    both go at once; one that finds no row is ignored.
    """

    def __init__(self, schema: pa.Schema, key_columns: Sequence[int], ttl_ms: int) -> None:
        self._ttl_ms = ttl_ms
        self._now_ms = 0
        self._oldest: int | None = None  # no row is older
        super().__init__(schema, key_columns, timed=True)

    def append(
        self,
        hashes: U64,
        rows: pa.RecordBatch,
        weights: I64 | None = None,
        seq: I64 | None = None,
        times: I64 | None = None,
    ) -> None:
        assert seq is None and times is None, "the store numbers and times its rows"
        weights = np.ones(rows.num_rows, np.int64) if weights is None else weights
        gone = np.flatnonzero(weights < 0)
        if len(gone):
            self._take_back(hashes[gone], rows.take(pa.array(gone)), -weights[gone])
            come = np.flatnonzero(weights > 0)
            hashes, rows, weights = hashes[come], rows.take(pa.array(come)), weights[come]
        if len(weights):
            super().append(hashes, rows, weights, times=np.full(len(weights), self._now_ms))
            self._oldest = self._now_ms if self._oldest is None else self._oldest

    def _take_back(self, hashes: U64, rows: pa.RecordBatch, counts: I64) -> None:
        """Retracts rows, the earliest copies first."""
        columns = [as_array(c, f.type) for c, f in zip(rows.columns, self.schema, strict=True)]
        rows = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        distinct = distinct_values(hashes)
        found = self.probe(distinct, consolidate=True)
        held = found.rows.num_rows
        ids = group_ids(pa.concat_batches([found.rows, rows]).columns, held + rows.num_rows)
        wanted = np.zeros(int(ids.max(initial=-1)) + 1, np.int64)
        np.add.at(wanted, ids[held:], counts)
        order = np.lexsort((found.seq, ids[:held]))
        copies, of = np.maximum(found.weights[order], 0), ids[:held][order]
        before = np.cumsum(copies) - copies
        first = np.flatnonzero(np.append(True, of[1:] != of[:-1]))[: len(of)]
        before -= np.repeat(before[first], np.diff(np.append(first, len(of))))
        taken = np.clip(wanted[of] - before, 0, copies)
        at = np.flatnonzero(taken)
        if len(at):
            places = order[at]
            assert found.times is not None
            super().append(
                distinct[found.probe_index[places]],
                found.rows.take(pa.array(places)),
                -taken[at],
                times=found.times[places],
            )

    def expire(self, now_ms: int) -> RunProbe | None:
        """Drops the rows whose time is over and returns them, those taken back left out; None where none are."""
        self._now_ms = max(now_ms, self._now_ms)
        until = self._now_ms - self._ttl_ms
        if self._oldest is None or self._oldest > until:
            return None
        found = self.take_until(until)
        self._oldest = self.first_time()
        return found

    def next_expiry_ms(self) -> int | None:
        return None if self._oldest is None else wake_ms(self._oldest, self._ttl_ms)

    def restore(self, tables: Mapping[str, pa.Table]) -> None:
        super().restore(tables)
        self._oldest = self.first_time()
