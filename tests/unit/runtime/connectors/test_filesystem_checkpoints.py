"""Writing files with checkpoints: nothing is seen before its checkpoint is durable, and nothing twice."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsql.catalog.table import TableDefinition
from streamsql.datatypes import BIGINT, DATE, DataType
from streamsql.errors import ConnectorError
from streamsql.runtime.connectors import create_source
from streamsql.runtime.connectors.base import Prepared
from streamsql.runtime.connectors.filesystem_sink import FilesystemSink

from .contexts import batch_of, read_all, rows_of, sink_context, source_context
from .faulty_files import FaultyHandler
from .file_tables import Clock, files, names, visible

BY_DAY: dict[str, DataType] = {"day": DATE(), "id": BIGINT()}


def make_sink(
    definition: TableDefinition,
    clock: Clock | None = None,
    *,
    writer: str = "job-0a1b2c3d",
    checkpointed: bool = True,
    handler: FaultyHandler | None = None,
) -> FilesystemSink:
    context = sink_context(definition, now_ms=clock or Clock(), checkpointed=checkpointed, writer=writer)
    return FilesystemSink(
        context, timer=False, file_system=pafs.PyFileSystem(handler) if handler is not None else None
    )


def started(definition: TableDefinition, *given: Any, **more: Any) -> FilesystemSink:
    sink = make_sink(definition, *given, **more)
    sink.recover(0, None)
    sink.start()
    return sink


def write(sink: FilesystemSink, definition: TableDefinition, *ids: int) -> None:
    sink.write(batch_of(definition, *((i, f"row {i}") for i in ids)))
    sink.flush()


def stored(prepared: Prepared) -> Prepared:
    """As a checkpoint keeps it."""
    values: Mapping[str, Any] = json.loads(json.dumps(prepared.values))
    return Prepared(values, prepared.tables)


def ids_in(definition: TableDefinition) -> list[int]:
    return sorted(r["id"] for r in rows_of(read_all(create_source(source_context(definition)))))


@pytest.mark.parametrize("kind", ["json", "csv", "parquet", "raw", "debezium-json"])
def test_a_commit_shows_what_its_cut_closed(tmp_path: Path, kind: str) -> None:
    definition = files(tmp_path, kind, {"id": BIGINT()})
    sink = started(definition)
    sink.write(batch_of(definition, (1,), (2,)))
    sink.flush()
    prepared = stored(sink.prepare(1))
    sink.write(batch_of(definition, (3,)))
    sink.flush()
    assert visible(tmp_path) == [] and len(names(tmp_path)) == 2
    sink.commit(1, prepared)
    assert len(visible(tmp_path)) == 1 and ids_in(definition) == [1, 2]
    sink.commit(1, prepared)
    sink.commit(2, stored(sink.prepare(2)))
    sink.close(finished=True)
    assert ids_in(definition) == [1, 2, 3] and names(tmp_path) == visible(tmp_path)


def test_the_rolling_policy_closes_and_does_not_show(tmp_path: Path) -> None:
    definition = files(tmp_path, options={"sink.rolling-policy.file-size": "30b"})
    sink = started(definition)
    for i in range(4):
        write(sink, definition, i)
    assert visible(tmp_path) == [] and len(names(tmp_path)) == 2
    prepared = sink.prepare(1)
    assert len(prepared.values["files"]) == 2
    sink.commit(1, prepared)
    assert ids_in(definition) == [0, 1, 2, 3]


def test_what_the_next_run_does(tmp_path: Path) -> None:
    """It shows what the checkpoint names, and deletes later cuts, dropped cuts and files that were still written."""
    definition = files(tmp_path)
    sink = started(definition)
    write(sink, definition, 1)
    sink.commit(1, sink.prepare(1))
    write(sink, definition, 2)
    second = stored(sink.prepare(2))
    write(sink, definition, 3)
    sink.prepare(3)
    write(sink, definition, 4)
    assert len(names(tmp_path)) == 4  # and here the process dies
    again = make_sink(definition)
    again.recover(2, second)
    again.start()
    assert names(tmp_path) == visible(tmp_path) and ids_in(definition) == [1, 2]
    again.recover(2, second)
    write(again, definition, 3)
    again.commit(3, again.prepare(3))
    assert ids_in(definition) == [1, 2, 3]


@pytest.mark.parametrize("other_writer", ["job-0a1b2c3d-0a1b2c3d", "job", "part", "job/t 2"])
def test_a_fresh_run_deletes_what_an_earlier_one_left(tmp_path: Path, other_writer: str) -> None:
    definition = files(tmp_path)
    sink, other = started(definition), started(definition, writer=other_writer)
    unnamed = started(definition, writer="", checkpointed=False)
    for each in (sink, other, unnamed):
        write(each, definition, 1)
    sink.prepare(1)
    before = names(tmp_path)
    make_sink(definition).recover(0, None)
    assert len(before) == 3 and len(names(tmp_path)) == 2
    other.commit(1, other.prepare(1))
    unnamed.close(finished=True)
    assert ids_in(definition) == [1, 1]


def test_names_of_two_runs_differ(tmp_path: Path) -> None:
    definition = files(tmp_path)
    for number in (1, 2):
        sink = started(definition)
        write(sink, definition, 1)
        sink.commit(number, sink.prepare(number))
    assert ids_in(definition) == [1, 1]
    first, second = visible(tmp_path)
    assert first.rsplit("-", 2)[0] == second.rsplit("-", 2)[0] == "part-job-0a1b2c3d"


def test_a_checkpoint_that_came_to_nothing_leaves_its_files_to_the_next(tmp_path: Path) -> None:
    definition = files(tmp_path)
    sink = started(definition)
    write(sink, definition, 1)
    sink.prepare(1)
    write(sink, definition, 2)
    second = stored(sink.prepare(2))
    assert len(second.values["files"]) == 2
    sink.commit(2, second)
    assert ids_in(definition) == [1, 2] and sink.prepare(3).values["files"] == []


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_a_job_that_fails_keeps_what_a_checkpoint_names(tmp_path: Path, kind: str) -> None:
    definition = files(tmp_path, kind)
    sink = started(definition)
    write(sink, definition, 1)
    first = stored(sink.prepare(1))
    write(sink, definition, 2)
    sink.close(finished=False)
    assert len(names(tmp_path)) == 1 and visible(tmp_path) == []
    make_sink(definition).recover(1, first)
    assert ids_in(definition) == [1]


def test_without_exactly_once_a_checkpoint_shows_all_files(tmp_path: Path) -> None:
    definition = files(tmp_path)
    sink = started(definition, checkpointed=False)
    write(sink, definition, 1)
    first = stored(sink.prepare(1))
    assert ids_in(definition) == [1] and first.values["files"] == []
    write(sink, definition, 2)
    again = make_sink(definition, checkpointed=False)  # the process has died
    again.recover(1, first)
    assert names(tmp_path) == visible(tmp_path) and ids_in(definition) == [1]


@pytest.mark.parametrize(
    ("fault", "copies"), [("move", False), ("move", True), ("between", True), ("write", False)]
)
def test_a_commit_that_failed_is_made_again(tmp_path: Path, fault: str, copies: bool) -> None:
    options = {"sink.partition-commit.policy.kind": "success-file"}
    definition = files(tmp_path, "json", BY_DAY, partition_keys=["day"], options=options)
    handler = FaultyHandler(copies=copies)
    sink = started(definition, handler=handler)
    sink.write(batch_of(definition, *((date(2024, 5, d), d) for d in (1, 2, 3))))
    sink.flush()
    prepared = stored(sink.prepare(1))
    handler.failing = [(fault, "day=2024-05-02")] * 2
    for _ in range(2):
        with pytest.raises(ConnectorError, match="the network is away"):
            sink.commit(1, prepared)
    sink.commit(1, prepared)
    assert handler.failing == [] and ids_in(definition) == [1, 2, 3]
    assert len(list(tmp_path.rglob("_SUCCESS"))) == 3 and len(names(tmp_path)) == 6


def test_a_commit_that_failed_is_made_by_the_next_run(tmp_path: Path) -> None:
    definition = files(tmp_path, "json", BY_DAY, partition_keys=["day"])
    handler = FaultyHandler(copies=True)
    sink = started(definition, handler=handler)
    sink.write(batch_of(definition, *((date(2024, 5, d), d) for d in (1, 2, 3))))
    prepared = stored(sink.prepare(1))
    handler.failing = [("between", "day=2024-05-02")]
    with pytest.raises(ConnectorError, match="cannot be renamed"):
        sink.commit(1, prepared)
    sink.close(finished=False)
    handler.failing = [("delete", "part-")]
    again = make_sink(definition, handler=handler)
    again.recover(1, prepared)
    assert ids_in(definition) == [1, 2, 3] and names(tmp_path) == visible(tmp_path)


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_a_full_disk(tmp_path: Path, kind: str) -> None:
    definition, handler = files(tmp_path, kind), FaultyHandler()
    sink = started(definition, handler=handler)
    write(sink, definition, 1)
    first = stored(sink.prepare(1))
    handler.full = True
    with pytest.raises(ConnectorError, match=r"cannot be written: .*No space left on device"):
        write(sink, definition, 2)
        sink.prepare(2)
    sink.close(finished=False)
    handler.full = False
    again = make_sink(definition, handler=handler)
    again.recover(1, first)
    write(again, definition, 2)
    again.commit(2, again.prepare(2))
    assert ids_in(definition) == [1, 2]


def test_a_deletion_that_fails_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    definition, handler = files(tmp_path), FaultyHandler()
    write(started(definition, handler=handler), definition, 1)
    handler.failing = [("delete", "part-")]
    with caplog.at_level(logging.WARNING):
        make_sink(definition, handler=handler).recover(0, None)
    assert "cannot be deleted" in caplog.text and len(names(tmp_path)) == 1
    handler.failing = [("list", "")]
    with pytest.raises(ConnectorError, match="cannot be listed"):
        make_sink(definition, handler=handler).recover(0, None)


def test_files_that_their_readers_took_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    definition = files(tmp_path)
    sink = started(definition)
    write(sink, definition, 1)
    first = stored(sink.prepare(1))
    sink.commit(1, first)
    (tmp_path / visible(tmp_path)[0]).unlink()
    with caplog.at_level(logging.WARNING):
        make_sink(definition).recover(1, first)
    assert "1 files of checkpoint 1 are not in" in caplog.text and names(tmp_path) == []


def test_a_hidden_file_that_is_lost_is_an_error(tmp_path: Path) -> None:
    definition = files(tmp_path)
    sink = started(definition)
    write(sink, definition, 1)
    prepared = sink.prepare(1)
    (tmp_path / names(tmp_path)[0]).unlink()
    with pytest.raises(ConnectorError, match="the rows of it are lost"):
        sink.commit(1, prepared)


def test_the_path_may_change_and_the_file_system_not(tmp_path: Path) -> None:
    old, new = files(tmp_path / "old"), files(tmp_path / "new")
    sink = started(old)
    write(sink, old, 1)
    prepared = stored(sink.prepare(1))
    write(sink, old, 2)
    again = make_sink(new)
    again.recover(1, prepared)
    assert ids_in(old) == [1] and len(names(tmp_path)) == 1
    with pytest.raises(ConnectorError, match=r"file system of type 'local'.*'py::faulty'"):
        make_sink(old, handler=FaultyHandler()).recover(1, prepared)


def test_files_are_on_the_disk_before_the_checkpoint_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda handle: forced.add(os.fstat(handle).st_ino))
    definition = files(tmp_path, "json", BY_DAY, partition_keys=["day"])
    sink = started(definition)
    sink.write(batch_of(definition, *((date(2024, 5, d), d) for d in (1, 2))))
    everything = {p.stat().st_ino for p in [tmp_path, *tmp_path.rglob("*")]}
    prepared = sink.prepare(1)
    assert forced == everything and len(forced) == 5
    forced.clear()
    sink.commit(1, prepared)
    assert forced == {p.stat().st_ino for p in [tmp_path, *tmp_path.glob("day=*")]}


def test_a_savepoint_names_nothing(tmp_path: Path) -> None:
    definition = files(tmp_path)
    write(started(definition), definition, 1)
    make_sink(definition).recover(7, Prepared())
    assert names(tmp_path) == []


# -- partitions ------------------------------------------------------------------------------------------------------

BY_TIME = {
    "sink.partition-commit.policy.kind": "success-file",
    "sink.partition-commit.trigger": "partition-time",
    "sink.partition-commit.delay": "1 d",
}
BY_CLOCK = {"sink.partition-commit.policy.kind": "success-file", "sink.partition-commit.delay": "10 s"}
DAY_MS = 86_400_000
MAY_1 = 1_714_521_600_000


def successes(path: Path) -> list[str]:
    return sorted(p.parent.name[-2:] for p in path.rglob("_SUCCESS"))


def test_partitions_are_committed_by_checkpoints(tmp_path: Path) -> None:
    definition, clock = files(tmp_path, "json", BY_DAY, partition_keys=["day"], options=BY_CLOCK), Clock()
    sink = started(definition, clock)
    sink.write(batch_of(definition, (date(2024, 5, 1), 1)))
    sink.flush()
    clock.now += 9_999
    assert not sink.wants_commit
    first = stored(sink.prepare(1))
    sink.commit(1, first)
    clock.now += 1
    sink.flush()
    assert successes(tmp_path) == [] and sink.wants_commit
    second = stored(sink.prepare(2))
    assert successes(tmp_path) == [] and not sink.wants_commit
    sink.commit(2, second)
    assert successes(tmp_path) == ["01"]
    # a run that goes on from the first checkpoint knows the partition and when its rows came
    again = make_sink(definition, clock)
    (tmp_path / "day=2024-05-01" / "_SUCCESS").unlink()
    again.recover(1, first)
    again.start()
    assert again.wants_commit
    again.commit(2, again.prepare(2))
    assert successes(tmp_path) == ["01"]
    # and one from the second that it is committed, until rows come again
    again = make_sink(definition, clock)
    again.recover(2, second)
    assert not again.wants_commit and successes(tmp_path) == ["01"]
    again.write(batch_of(definition, (date(2024, 5, 1), 2)))
    assert not again.wants_commit
    clock.now += 10_000
    assert again.wants_commit


def test_the_watermark_survives(tmp_path: Path) -> None:
    definition = files(tmp_path, "json", BY_DAY, partition_keys=["day"], options=BY_TIME)
    sink = started(definition)
    sink.write(batch_of(definition, (date(2024, 5, 1), 1), (date(2024, 5, 2), 2)))
    sink.on_watermark(MAY_1 + DAY_MS)
    sink.flush()
    first = stored(sink.prepare(1))
    assert len(first.values["openPartitions"]) == 1
    again = make_sink(definition)
    again.recover(1, first)
    again.start()
    assert successes(tmp_path) == ["01"] and len(visible(tmp_path)) == 2
    again.write(batch_of(definition, (date(2024, 5, 1), 3)))
    again.flush()
    again.commit(2, again.prepare(2))
    assert successes(tmp_path) == ["01"] and len(visible(tmp_path)) == 3
    again.on_watermark(2**63 - 1)
    again.commit(3, again.prepare(3))
    assert successes(tmp_path) == ["01", "02"]


def test_a_stopped_job_leaves_partitions_open(tmp_path: Path) -> None:
    definition = files(tmp_path, "json", BY_DAY, partition_keys=["day"], options=BY_CLOCK)
    sink = started(definition)
    sink.write(batch_of(definition, (date(2024, 5, 1), 1)))
    sink.commit(1, sink.prepare(1))
    sink.close(finished=True)
    assert successes(tmp_path) == [] and ids_in(definition) == [1]


# -- any order of events -----------------------------------------------------------------------------------------------

EVENTS = ["write", "write", "prepare", "durable", "commit", "fail", "die"]


class Model:
    """A job with one sink: what its checkpoints cover must be what a reader sees once the last is committed."""

    def __init__(self, path: Path, *, copies: bool) -> None:
        self.definition = files(path, "json", BY_DAY, partition_keys=["day"])
        self.handler = FaultyHandler(copies=copies)
        self.number, self.next_row = 0, 0
        self.cut: tuple[int, int, Prepared] | None = None
        self.held: tuple[int, int, Prepared | None] = (0, 0, None)
        self.begin()

    def begin(self) -> None:
        """A run from the last durable checkpoint."""
        self.number, self.next_row, prepared = self.held
        self.cut = None
        self.sink = make_sink(self.definition, handler=self.handler)
        self.sink.recover(self.number, prepared)
        self.sink.start()

    def apply(self, event: str) -> None:
        match event:
            case "write":
                row = (date(2024, 5, 1 + self.next_row % 3), self.next_row)
                self.next_row += 1
                self.sink.write(batch_of(self.definition, row))
                self.sink.flush()
            case "prepare":
                self.number += 1
                self.cut = (self.number, self.next_row, stored(self.sink.prepare(self.number)))
            case "durable" if self.cut is not None:
                self.held = self.cut
            case "commit" if self.cut is not None and self.held is self.cut:
                self.sink.commit(self.number, self.cut[2])
            case "fail" if self.cut is not None and self.held is self.cut and self.cut[2].values["files"]:
                self.handler.failing = [("between" if self.handler.copies else "move", "part-")]
                with contextlib.suppress(ConnectorError):
                    self.sink.commit(self.number, self.cut[2])
                self.handler.failing = []
            case "die":
                self.begin()
            case _:
                pass


@settings(max_examples=40)
@given(events=st.lists(st.sampled_from(EVENTS), max_size=25), copies=st.booleans())
def test_whatever_happens_each_row_is_seen_once(
    tmp_path_factory: pytest.TempPathFactory, events: list[str], copies: bool
) -> None:
    path = tmp_path_factory.mktemp("files")
    model = Model(path, copies=copies)
    for event in events:
        model.apply(event)
    model.begin()
    assert ids_in(model.definition) == list(range(model.next_row))
    assert names(path) == visible(path)
