"""What a source task keeps at a cut: positions, watermarks, and rows that it has polled but not given to a step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from streamsql.changelog import ChangelogBatch
from streamsql.errors import StateError
from streamsql.runtime.connectors.base import Source, SourceBatch
from streamsql.runtime.source_task import SourceTask

SCHEMA = pa.schema([("c0", pa.int64()), ("c1", pa.string())])


class OneBatch(Source):
    """Hands over one batch that is larger than a step, whatever it is asked for; then nothing more."""

    bounded = True

    def __init__(self, batches: Sequence[SourceBatch]) -> None:
        self._batches = list(batches)

    def start(self) -> None: ...

    def poll(self, max_rows: int) -> SourceBatch | None:
        return self._batches.pop(0) if self._batches else None

    def splits(self) -> Sequence[str]:
        return ["a", "b"]

    def close(self) -> None: ...


def batch() -> SourceBatch:
    rows = pa.RecordBatch.from_pydict({"id": [1, 2, 3, 4, 5], "name": list("vwxyz")})
    weights = np.array([1, -1, 1, 1, -1])
    ids = np.array([0, 1, 0, 1, 1], np.int32)
    return SourceBatch(
        ChangelogBatch(rows, weights), ["a", "b"], ids, {"a": "7", "b": "9"}, frozenset("a"), (), {"b": 70}
    )


def task(*batches: SourceBatch) -> SourceTask:
    made = SourceTask(OneBatch(batches), SCHEMA, None, now_ms=0)
    made.columns = ("id", "name")
    return made


def taken(made: SourceTask, rows: int) -> list[tuple[int, str, int]]:
    found = made.step(rows, 0).batch
    if found is None:
        return []
    return list(zip(*(c.to_pylist() for c in found.rows.columns), found.weight_array().tolist(), strict=True))


def test_rows_that_were_polled_are_given_once_and_reading_goes_on_behind_them() -> None:
    first = task(batch())
    assert taken(first, 2) == [(1, "v", 1), (2, "w", -1)]
    saved = first.snapshot()
    assert saved.positions == {"a": "7", "b": "9"}, "a resumed source reads on after the batch"
    second = task()
    second.restore(saved, 5)
    assert taken(second, 10) == [(3, "x", 1), (4, "y", 1), (5, "z", -1)]
    assert second.positions == {"a": "7", "b": "9"}
    after = second.snapshot()
    assert (after.carry, after.clocks["carry"]) == ({}, None)
    assert after.clocks["splits"]["b"]["watermark"] == 70
    assert after.clocks["splits"]["a"]["finished"]


def test_a_cut_without_rows_in_between() -> None:
    first = task(batch())
    assert len(taken(first, 10)) == 5
    second = task()
    second.restore(first.snapshot(), 5)
    assert taken(second, 10) == []
    assert second.positions == {"a": "7", "b": "9"}


def test_other_columns_are_read_now() -> None:
    first = task(batch())
    taken(first, 2)
    saved = first.snapshot()
    fewer = SourceTask(OneBatch([]), pa.schema([("c0", pa.string())]), None, now_ms=0)
    fewer.columns = ("name",)
    fewer.restore(saved, 5)
    edge = fewer.step(10, 0)
    assert edge.batch is not None
    assert edge.batch.rows.column(0).to_pylist() == ["x", "y", "z"]
    more = SourceTask(OneBatch([]), SCHEMA, None, now_ms=0)
    more.columns = ("id", "name", "price")
    with pytest.raises(StateError, match="'price'"):
        more.restore(saved, 5)


def test_the_rest_of_a_batch_is_taken_without_a_new_one() -> None:
    made = task(batch(), batch())
    assert not made.half_taken
    taken(made, 2)
    assert made.half_taken
    rest = made.step(1, 0, rest=True).batch
    assert rest is not None and rest.num_rows == 3
    assert not made.half_taken
    nothing = made.step(1, 0, rest=True).batch
    assert nothing is None or nothing.num_rows == 0
    assert len(taken(made, 5)) == 5
