"""Sources that stop anywhere and go on: every row, mark and bad record once."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsql.catalog.table import TableDefinition
from streamsql.datatypes import BIGINT, DOUBLE, STRING, DataType
from streamsql.errors import ConnectorError
from streamsql.runtime.connectors import create_source
from streamsql.runtime.connectors.base import Source, SourceBatch
from streamsql.runtime.connectors.in_process import InProcessTable
from streamsql.runtime.connectors.values import ValuesSource
from streamsql.schema import Schema
from streamsql.testing.source import StepTable, _Mark

from .contexts import rows_of, source_context, table
from .file_tables import files

Kept = tuple[Mapping[str, str], Mapping[str, str]]
"""Positions and memory."""
Make = Callable[[Kept], Source]

STOPS = st.lists(st.integers(0, 6), max_size=6)
SIZES = st.lists(st.integers(1, 7), min_size=1, max_size=5)


def asleep() -> None:
    """Sources of one job have one of these."""


def read(make: Make, stops: Sequence[int], sizes: Sequence[int]) -> list[SourceBatch]:
    """All batches; after so many of them, each time, the source is closed and another goes on."""
    found: list[SourceBatch] = []
    positions: dict[str, str] = {}
    memory: Mapping[str, str] = {}
    ended: set[str] = set()
    polls = 0
    for stop in [*stops, 10_000]:
        source = make((dict(positions), json.loads(json.dumps(dict(memory)))))
        source.start()
        try:
            deadline = time.monotonic() + 10
            while stop and not (ended and set(source.splits()) <= ended):
                source.begin_step()
                batch = source.poll(sizes[polls % len(sizes)])
                assert time.monotonic() < deadline, "the source does not come to its end"
                if batch is None:
                    time.sleep(0.0005)
                    continue
                polls, stop = polls + 1, stop - 1
                found.append(batch)
                positions.update(batch.positions)
                ended |= batch.finished
            memory = source.memory()
        finally:
            source.close()
    return found


def both(make: Make, stops: Sequence[int], sizes: Sequence[int]) -> tuple[list[Any], list[Any]]:
    """The rows read in one go, and with stops."""
    return rows_of(read(make, [], [1_000_000])), rows_of(read(make, stops, sizes))


@settings(max_examples=50)
@given(stops=STOPS, sizes=SIZES, count=st.integers(1, 20))
def test_values(stops: list[int], sizes: list[int], count: int) -> None:
    rows = pa.table({"n": pa.array(range(count))})
    whole, parts = both(lambda k: ValuesSource(lambda: rows, rows.schema, k[0]), stops, sizes)
    assert whole == parts and len(whole) == count


COLUMNS: dict[str, DataType] = {"id": BIGINT(), "s": STRING(), "x": DOUBLE()}


@settings(max_examples=25)
@given(stops=STOPS, sizes=SIZES)
def test_datagen(stops: list[int], sizes: list[int]) -> None:
    """Without an option for it the seed is drawn once, so rows that are made again are the same."""
    options = {
        "connector": "datagen",
        "number-of-rows": "30",
        "rows-per-second": "100000",
        "fields.s.length": "5",
        "fields.id.kind": "sequence",
        "fields.id.start": "1",
        "fields.id.end": "40",
    }
    definition = table(COLUMNS, options)
    memory: dict[str, str] = {}

    def make(kept: Kept) -> Source:
        source = create_source(source_context(definition, positions=kept[0], memory=memory))
        memory.update(source.memory())
        assert not kept[1] or kept[1] == memory
        return source

    whole, parts = both(make, stops, sizes)
    assert whole == parts and [r["id"] for r in parts] == list(range(1, 31))


@settings(max_examples=50)
@given(stops=STOPS, sizes=SIZES, appends=st.lists(st.integers(0, 6), max_size=5))
def test_in_process(stops: list[int], sizes: list[int], appends: list[int]) -> None:
    held = InProcessTable(Schema.of([("n", BIGINT())]))
    for count in appends:
        start = held.num_rows
        held.append(pa.table({"n": range(start, start + count)}))
    held.finish()
    definition = table({"n": BIGINT()}, {"connector": "in-process"}, data=held)
    whole, parts = both(
        lambda k: create_source(source_context(definition, positions=k[0], memory=k[1])), stops, sizes
    )
    assert whole == parts == [{"n": n} for n in range(sum(appends))]


@settings(max_examples=50)
@given(
    stops=STOPS,
    sizes=SIZES,
    step_rows=st.integers(1, 4),
    told=st.lists(st.sampled_from(["row", "row", "mark", "idle"]), max_size=15),
    splits=st.sampled_from([("rows",), ("a", "b")]),
)
def test_steps_and_marks(
    stops: list[int], sizes: list[int], step_rows: int, told: list[str], splits: tuple[str, ...]
) -> None:
    held = StepTable(Schema.of([("n", BIGINT())]), step_rows, splits)
    for i, kind in enumerate(told):
        if kind == "row":
            held.deal(1, splits)
            held.append(pa.table({"n": [i]}))
        else:
            held.mark(_Mark(splits, watermark=i if kind == "mark" else None, idle=kind == "idle"))
    held.finish()
    definition = table({"n": BIGINT()}, {"connector": "in-process"}, data=held)

    def make(kept: Kept) -> Source:
        return create_source(source_context(definition, positions=kept[0], memory=kept[1], wake=asleep))

    def events(batches: list[SourceBatch]) -> list[Any]:
        found: list[Any] = []
        for b in batches:
            if b.batch is not None:
                ids = [0] * b.batch.num_rows if b.split_ids is None else b.split_ids.tolist()
                found += zip(b.batch.rows.column("n").to_pylist(), ids, strict=True)
            found += [dict(b.watermarks)] if b.watermarks else []
            found += [sorted(b.idle)] if b.idle else []
        return found

    whole, parts = events(read(make, [], [1_000_000])), events(read(make, stops, sizes))
    assert whole == parts and len(whole) == len(told)


def test_turns_go_on() -> None:
    """Two tables that take turns by two rows; a job that is resumed in the middle of a turn ends it first."""
    tables = []
    for name in ("a", "b"):
        held = StepTable(Schema.of([("n", STRING())]), 2, ("rows",))
        held.append(pa.table({"n": [f"{name}{i}" for i in range(4)]}))
        held.finish()
        tables.append(table({"n": STRING()}, {"connector": "in-process"}, data=held))
    orders = []
    for stop in range(9):
        kept: list[Kept] = [({}, {}), ({}, {})]
        order: list[str] = []
        for polls in (stop, 100):
            sources = [
                create_source(source_context(t, positions=k[0], memory=k[1], wake=asleep))
                for t, k in zip(tables, kept, strict=True)
            ]
            places = [dict(k[0]) for k in kept]
            for s in sources:
                s.start()
            while polls and any(s.lag() for s in sources):
                for i, s in enumerate(sources):
                    s.begin_step()
                    if (batch := s.poll(1)) is not None:
                        order += [r["n"] for r in rows_of([batch])]
                        places[i].update(batch.positions)
                        polls -= 1
            kept = [(p, s.memory()) for p, s in zip(places, sources, strict=True)]
            for s in sources:
                s.close()
        orders.append(order)
    assert all(o == ["a0", "a1", "b0", "b1", "a2", "a3", "b2", "b3"] for o in orders)


# -- files -------------------------------------------------------------------------------------------------------------


def write(path: Path, kind: str, start: int, count: int) -> None:
    ids = range(start, start + count)
    match kind:
        case "parquet":
            pq.write_table(pa.table({"id": ids, "name": [f"n{i}" for i in ids]}), path, row_group_size=3)
        case "csv":
            path.write_text("".join(f'{i},"n\n{i}"\n' if i % 3 else "x,y\n\n" for i in ids))
        case "json":
            path.write_text("".join(f'{{"id": {i}, "name": "n"}}\n' if i % 3 else "{oops\n" for i in ids))
        case _:
            change = (
                '{{"before": {{"id": {0}, "name": "b"}}, "after": {{"id": {0}, "name": "a"}}, "op": "u"}}\n'
            )
            path.write_text("".join(change.format(i) for i in ids))


@settings(max_examples=30)
@given(
    stops=STOPS,
    sizes=SIZES,
    counts=st.lists(st.integers(0, 8), max_size=4),
    kind=st.sampled_from(["parquet", "csv", "json", "debezium-json"]),
)
def test_files(
    tmp_path_factory: pytest.TempPathFactory, stops: list[int], sizes: list[int], counts: list[int], kind: str
) -> None:
    path = tmp_path_factory.mktemp("files")
    for n, count in enumerate(counts):
        write(path / f"{n}.x", kind, 100 * n, count)
    definition = files(path, kind, options={"error-handling.mode": "ignore"})

    def make(kept: Kept) -> Source:
        if kept[1]:
            (path / f"later-{len(list(path.iterdir()))}.x").write_text("not of this read")
        return create_source(source_context(definition, positions=kept[0], memory=kept[1], batch_rows_max=5))

    whole = read(lambda k: create_source(source_context(definition)), [], [1_000_000])
    parts = read(make, stops, sizes)
    assert rows_of(whole) == rows_of(parts)
    bad = [[b.origin for batch in batches for b in batch.bad_records] for batches in (whole, parts)]
    assert bad[0] == bad[1]
    assert all(len([0 for b in parts if n in b.finished]) >= 1 for b in whole for n in b.finished)


def stopped(definition: TableDefinition, polls: int) -> Kept:
    """Where a reader of single rows is after some polls."""
    source = create_source(source_context(definition))
    source.start()
    positions: dict[str, str] = {}
    while polls:
        if (batch := source.poll(1)) is not None:
            positions.update(batch.positions)
            polls -= 1
    source.close()
    return positions, source.memory()


def resumed(definition: TableDefinition, kept: Kept) -> Source:
    source = create_source(source_context(definition, positions=kept[0], memory=kept[1]))
    source.start()
    source.close()
    return source


def test_files_that_changed_or_vanished(tmp_path: Path) -> None:
    for n in range(3):
        write(tmp_path / f"{n}.json", "json", 30 * n + 1, 2)
    definition = files(tmp_path)
    kept = stopped(definition, 4)  # a file with its end, and a row of the next
    assert kept[0] == {"0.json": "2 end", "1.json": "1"}
    assert list(json.loads(kept[1]["files"])) == ["1.json", "2.json"]
    at_the_end = stopped(definition, 3)[1]
    assert list(json.loads(at_the_end["files"])) == [
        "0.json",
        "1.json",
        "2.json",
    ]  # a job may hold the end back
    (tmp_path / "0.json").unlink()  # it was read
    (tmp_path / "2.json").write_text("{}\n")  # it was not yet
    resumed(definition, kept)
    os.utime(tmp_path / "1.json", (1, 1))
    with pytest.raises(ConnectorError, match=r"1\.json has changed: 1 of its records were read before"):
        resumed(definition, kept)
    (tmp_path / "1.json").unlink()
    with pytest.raises(ConnectorError, match=r"1\.json is gone: 1 of its records were read before"):
        resumed(definition, kept)
    kept = ({"1.json": "2 end"}, at_the_end)
    with pytest.raises(ConnectorError, match=r"0\.json is gone: it was to be read before"):
        resumed(definition, kept)


def test_a_watched_directory_is_watched_on(tmp_path: Path) -> None:
    for n in range(2):
        write(tmp_path / f"{n}.json", "json", 30 * n + 1, 2)
    definition = files(tmp_path, options={"source.monitor-interval": "5 ms"})
    kept = stopped(definition, 4)
    write(tmp_path / "2.json", "json", 61, 2)
    source = create_source(source_context(definition, positions=kept[0], memory=kept[1]))
    source.start()
    found: list[SourceBatch] = []
    late = False
    while {b for f in found for b in f.finished} < {f"{n}.json" for n in range(4)}:
        if (batch := source.poll(10)) is not None:
            found.append(batch)
        if len(found) > 3 and not late:
            write(tmp_path / ".3", "json", 91, 1)
            (tmp_path / ".3").rename(tmp_path / "3.json")
            late = True
    source.close()
    assert [r["id"] for r in rows_of(found)] == [32, 61, 62, 91]
    assert json.loads(source.memory()["files"]).keys() <= {"3.json"}
