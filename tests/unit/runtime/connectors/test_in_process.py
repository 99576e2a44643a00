"""In-process tables: appended from Python, read by several readers, finished."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import BIGINT, INT, STRING
from streamsql.errors import ConnectorError, ValidationError
from streamsql.runtime.connectors import create_sink, create_source
from streamsql.runtime.connectors.base import Prepared, Sink
from streamsql.runtime.connectors.in_process import InProcessTable
from streamsql.schema import Schema

from .contexts import batch_of, poll_one, read_all, rows_of, sink_context, source_context, table

COLUMNS = {"k": STRING(), "n": BIGINT()}


def make(**options: str) -> tuple[InProcessTable, Any]:
    data = InProcessTable(Schema.of(list(COLUMNS.items())))
    return data, table(COLUMNS, {"connector": "in-process", **options}, data=data)


ROWS = {"k": ["a", "b"], "n": [1, 2]}


@pytest.mark.parametrize(
    "data",
    [
        pa.table(ROWS),
        pa.RecordBatch.from_pydict(ROWS),
        pd.DataFrame(ROWS),
        pa.RecordBatchReader.from_batches(pa.table(ROWS).schema, pa.table(ROWS).to_batches()),
        pa.table(
            {"n": pa.array([1, 2], pa.int32()), "more": [0, 0], "k": pa.array(["a", "b"], pa.large_string())}
        ),
        [{"k": "a", "n": 1}, {"k": "b", "n": 2}],
    ],
    ids=lambda d: type(d).__name__,
)
def test_takes_what_carries_arrow(data: Any) -> None:
    held, definition = make()
    held.append(data)
    held.finish()
    found = read_all(create_source(source_context(definition)))
    assert rows_of(found) == [{"k": "a", "n": 1}, {"k": "b", "n": 2}]


def test_rows_come_without_a_copy() -> None:
    held, definition = make()
    rows = pa.table({"k": ["a"] * 1000, "n": range(1000)})
    held.append(rows)
    source = create_source(source_context(definition, columns=["n"]))
    source.start()
    part = poll_one(source, 600)
    assert part.batch is not None and part.split_ids is None and part.batch.num_rows == 600
    assert part.batch.rows.column(0).buffers()[1].address == rows.column(1).chunk(0).buffers()[1].address
    source.close()


def test_readers_keep_their_own_places() -> None:
    held, definition = make()
    held.append(pa.table({"k": ["a", "b", "c"], "n": [1, 2, 3]}))
    first = create_source(source_context(definition))
    late = create_source(source_context(definition, positions={"rows": "2"}))
    for s in (first, late):
        s.start()
    assert [r["n"] for r in rows_of([poll_one(first, 2)])] == [1, 2]
    assert [r["n"] for r in rows_of([poll_one(late, 2)])] == [3]
    assert (first.lag(), late.lag()) == (1, 0)
    held.append(pa.table({"k": ["d"], "n": [4]}))
    batch = poll_one(first, 10)
    assert [r["n"] for r in rows_of([batch])] == [3, 4] and batch.positions == {"rows": "4"}
    assert not batch.finished
    assert late.poll(10) is not None and late.poll(10) is None
    held.finish()
    assert poll_one(late).finished == poll_one(first).finished == {"rows"}
    for s in (first, late):
        s.close()


def test_a_finished_table_is_bounded_and_takes_no_more() -> None:
    held, definition = make()
    assert not create_source(source_context(definition)).bounded
    held.finish()
    assert create_source(source_context(definition)).bounded
    assert rows_of(read_all(create_source(source_context(definition)))) == []
    with pytest.raises(ValidationError, match="finished"):
        held.append(pa.table(ROWS))


def test_an_append_wakes_the_reader() -> None:
    held, definition = make()
    woken = threading.Event()
    source = create_source(source_context(definition, wake=woken.set))
    source.start()
    woken.clear()
    held.append(pa.table(ROWS))
    assert woken.is_set()
    source.close()
    woken.clear()
    held.append(pa.table(ROWS))
    assert not woken.is_set()


def test_weights_travel_with_the_rows() -> None:
    held, definition = make(**{"changelog-mode": "I,UB,UA,D"})
    held.append(pa.table(ROWS), np.array([1, -1]))
    source = create_source(source_context(definition))
    source.start()
    batch = poll_one(source, 10).batch
    assert batch is not None and batch.weights is not None and batch.weights.tolist() == [1, -1]
    source.close()
    with pytest.raises(ValidationError, match="1 weights for 2 rows"):
        held.append(pa.table(ROWS), np.array([1]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pa.table({"k": ["a"]}), "no column 'n'"),
        (pa.table({"k": ["a"], "n": ["x"]}), "does not fit"),
        (5, "cannot read rows from int"),
    ],
)
def test_data_that_does_not_fit(data: Any, message: str) -> None:
    held, _ = make()
    with pytest.raises(ValidationError, match=message):
        held.append(data)


def test_a_sink_collects_changes() -> None:
    held, definition = make()
    sink = create_sink(sink_context(definition))
    sink.start()
    sink.write(batch_of(definition, ("a", 1), ("b", 2)))
    sink.flush()
    sink.close(finished=True)
    assert held.num_rows == 2
    held.finish()
    assert rows_of(read_all(create_source(source_context(definition)))) == [
        {"k": "a", "n": 1},
        {"k": "b", "n": 2},
    ]


def test_many_appends_from_threads_lose_nothing() -> None:
    held = InProcessTable(Schema.of([("n", INT())]))
    definition = table({"n": INT()}, {"connector": "in-process"}, data=held)

    def append(start: int) -> None:
        for i in range(50):
            held.append(pa.table({"n": pa.array([start + i], pa.int32())}))

    threads = [threading.Thread(target=append, args=(t * 50,)) for t in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    held.finish()
    found = [r["n"] for r in rows_of(read_all(create_source(source_context(definition)), max_rows=7))]
    assert sorted(found) == list(range(200))
    for writer in range(4):
        mine = [n for n in found if n // 50 == writer]
        assert mine == sorted(mine)


# -- checkpoints -------------------------------------------------------------------------------------------------------


def stored(prepared: Prepared) -> Prepared:
    """As a checkpoint keeps it."""
    tables = {}
    for name, kept in prepared.tables.items():
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, kept.schema) as writer:
            writer.write_table(kept, max_chunksize=2)
        tables[name] = pa.ipc.open_file(sink.getvalue()).read_all()
    return Prepared(json.loads(json.dumps(prepared.values)), tables)


def numbers(held: InProcessTable) -> list[int]:
    found, _, _ = held.read(0, 1_000_000)
    return [] if found is None else found.rows.column("n").to_pylist()


def start_sink(definition: Any) -> Sink:
    sink = create_sink(sink_context(definition, checkpointed=True, writer="job/t"))
    sink.start()
    return sink


def test_rows_wait_for_their_checkpoint() -> None:
    held, definition = make()
    sink = start_sink(definition)
    sink.write(batch_of(definition, ("a", 1), ("b", 2)))
    sink.flush()
    assert held.num_rows == 0
    first = stored(sink.prepare(1))
    sink.write(batch_of(definition, ("c", 3)))
    sink.commit(1, first)
    assert numbers(held) == [1, 2]
    sink.commit(1, first)
    sink.commit(2, stored(sink.prepare(2)))
    assert numbers(held) == [1, 2, 3] and not sink.prepare(3).tables
    sink.close(finished=True)
    assert numbers(held) == [1, 2, 3]


def test_a_checkpoint_that_came_to_nothing_leaves_its_rows_to_the_next() -> None:
    held, definition = make()
    sink = start_sink(definition)
    sink.write(batch_of(definition, ("a", 1)))
    sink.prepare(1)
    sink.write(batch_of(definition, ("b", 2)))
    second = stored(sink.prepare(2))
    assert second.tables["rows"].num_rows == 2
    sink.commit(2, second)
    assert numbers(held) == [1, 2]


def test_weights_and_steps_survive() -> None:
    held, definition = make(**{"changelog-mode": "I,UB,UA,D"})
    sink = start_sink(definition)
    for rows, weights in (((("a", 1), ("a", 1)), [1, -1]), ((("b", 2),), None), ((("b", 2),), [-1])):
        given = batch_of(definition, *rows)
        sink.write(ChangelogBatch(given.rows, None if weights is None else np.array(weights)))
    sink.commit(1, stored(sink.prepare(1)))
    assert [b.weight_array().tolist() for b in held._batches] == [[1, -1], [1], [-1]]


def test_recovery_adds_what_is_missing() -> None:
    held, definition = make()
    sink = start_sink(definition)
    sink.recover(0, None)
    for n in (1, 2):
        sink.write(batch_of(definition, ("a", n)))
        first = stored(sink.prepare(1)) if n == 1 else stored(sink.prepare(2))
        if n == 1:
            sink.commit(1, first)
    sink.close(finished=False)
    assert numbers(held) == [1]
    start_sink(definition).recover(2, first)  # which dies at once
    again = start_sink(definition)
    again.recover(2, first)
    assert numbers(held) == [1, 2]
    again.write(batch_of(definition, ("a", 3)))
    again.commit(3, stored(again.prepare(3)))
    assert numbers(held) == [1, 2, 3]
    # another process has a table of its own
    other, definition = make()
    start_sink(definition).recover(2, first)
    assert numbers(other) == [2]


def test_runs_that_begin_afresh_count_for_themselves() -> None:
    held, definition = make()
    for n in range(3):
        sink = start_sink(definition)
        sink.recover(0, None)
        sink.write(batch_of(definition, ("a", n)))
        sink.commit(1, stored(sink.prepare(1)))
    assert numbers(held) == [0, 1, 2]


@settings(max_examples=100)
@given(st.lists(st.sampled_from(["write", "prepare", "durable", "commit", "die"]), max_size=30))
def test_whatever_happens_each_row_is_added_once(events: list[str]) -> None:
    held, definition = make()
    sink, number, row = start_sink(definition), 0, 0
    cut: tuple[int, int, Prepared] = (0, 0, Prepared())
    durable = cut
    for event in [*events, "die"]:
        match event:
            case "write":
                sink.write(batch_of(definition, ("a", row)))
                row += 1
            case "prepare":
                number += 1
                cut = (number, row, stored(sink.prepare(number)))
            case "durable":
                durable = cut
            case "commit" if durable is cut:
                sink.commit(cut[0], cut[2])
            case "die":
                sink.close(finished=False)
                sink, (number, row, _) = start_sink(definition), durable
                sink.recover(number, durable[2])
                cut = durable
            case _:
                pass
    assert numbers(held) == list(range(row))


def test_a_table_that_lost_rows_cannot_be_read_on() -> None:
    held, definition = make()
    held.append(pa.table(ROWS))
    source = create_source(source_context(definition, positions={"rows": "3"}))
    assert source.poll(10) is None  # they may still be appended
    held.finish()
    with pytest.raises(ConnectorError, match="has 2 rows, and 3 were read"):
        source.poll(10)
