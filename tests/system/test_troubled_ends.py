"""What may go wrong with checkpoints and at the end of a job, with a sink that shows its rows at once (blackhole)."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from streamsql.errors import ConnectorError, StateError
from streamsql.runtime.checkpoint import coordinator
from streamsql.runtime.checkpoint.location import LocalLocation
from streamsql.runtime.checkpoint.savepoints import write_savepoint
from streamsql.runtime.connectors.blackhole import BlackholeSink
from streamsql.runtime.connectors.in_process import InProcessSource
from streamsql.runtime.job import Job
from streamsql.session import TableEnvironment

from .summing import Session, eventually

COUNT = "INSERT INTO hole SELECT k, COUNT(*) FROM readings GROUP BY k"


@pytest.fixture
def hole(session: Session) -> Session:
    """The session with a sink that keeps nothing, so that no output waits for a checkpoint."""
    session.env.execute_sql(
        "CREATE TABLE hole (k STRING PRIMARY KEY NOT ENFORCED, n BIGINT) WITH ('connector' = 'blackhole')"
    )
    return session


def checkpoints(session: Session) -> list[str]:
    return sorted(p.name for p in (session.folder / "checkpoints").glob("*/chk-*"))


def read(job: Job, rows: int) -> None:
    eventually(lambda: job.metrics().records_in == rows)


def resumed(session: Session, sql: str = COUNT) -> Job:
    session.env.resumes = True
    return session.start(sql)


# -- what is a reason for a checkpoint -----------------------------------------------------------------------------
def test_a_checkpoint_that_failed_is_made_up_for(hole: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {"timeout": "50 ms", "tolerable-failed-checkpoints": "1000"}.items():
        hole.env.config.set(f"execution.checkpointing.{key}", value)
    hole.feed(("a", 1))
    job = hole.start(COUNT)
    eventually(lambda: job.metrics().checkpoint is not None)
    put, full = LocalLocation.put, threading.Event()

    def put_if_there_is_room(self: LocalLocation, path: str, data: bytes) -> None:
        if full.is_set() and path.endswith("_metadata"):
            raise OSError(28, "No space left on device")
        put(self, path, data)

    monkeypatch.setattr(LocalLocation, "put", put_if_there_is_room)
    full.set()
    before = job.metrics().checkpoint or 0
    hole.feed(("b", 1))
    eventually(lambda: any("cannot be written" in line for line in job.metrics().status_lines))
    time.sleep(0.2)
    full.clear()
    eventually(lambda: (job.metrics().checkpoint or 0) > before)
    job.stop()
    again = resumed(hole)
    assert again.metrics().total("stateRows") == 2


def test_files_that_vanish_under_the_job_are_written_again(hole: Session) -> None:
    hole.feed(("a", 1))
    job = hole.start(COUNT)
    eventually(lambda: job.metrics().checkpoint is not None)
    for pack in (hole.folder / "checkpoints").glob("*/shared/*.pack"):
        pack.unlink()
    before = job.metrics().checkpoint or 0
    hole.feed(("b", 1))
    eventually(lambda: (job.metrics().checkpoint or 0) > before)
    assert (job.status, job.metrics().restarts) == ("RUNNING", 0)
    job.stop()
    again = resumed(hole)
    assert again.metrics().total("stateRows") == 2


def test_a_last_checkpoint_that_fails_is_taken_again(hole: Session) -> None:
    hole.env.config.set("execution.checkpointing.interval", "1 h")
    hole.feed(("a", 1))
    job = hole.start(COUNT)
    eventually(lambda: job.metrics().checkpoint is not None)
    read(job, 1)
    hole.feed(("b", 1))
    read(job, 2)
    for pack in (hole.folder / "checkpoints").glob("*/shared/*.pack"):
        pack.unlink()
    job.stop()
    assert job.status == "CANCELED"
    assert resumed(hole).metrics().total("stateRows") == 2


def write_lines(path: Path, *lines: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def bad_records(env: TableEnvironment, folder: Path) -> None:
    """A watched folder of JSON files whose unreadable lines go to the files of another table."""
    common = "'connector' = 'filesystem', 'format' = 'json'"
    env.execute_sql(
        f"CREATE TABLE src (n BIGINT) WITH ({common}, 'path' = '{folder}/in', 'source.monitor-interval' = '20 ms', "
        "'error-handling.mode' = 'log', 'error-handling.log.target' = 'bad')"
    )
    env.execute_sql(
        f"CREATE TABLE bad (origin STRING, record BYTES) WITH ({common}, 'path' = '{folder}/bad')"
    )
    env.execute_sql("CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'blackhole')")


def logged(folder: Path) -> int:
    """How many records the readers of the log see."""
    return sum(len(p.read_text().splitlines()) for p in (folder / "bad").glob("[!.]*"))


NUMBERS = "INSERT INTO numbers SELECT * FROM src"


def test_positions_that_move_without_rows_are_kept(session: Session) -> None:
    bad_records(session.env, session.folder)
    write_lines(session.folder / "in" / "a.json", '{"n": 1}')
    job = session.start(NUMBERS)
    read(job, 1)
    write_lines(session.folder / "in" / "b.json", "{broken")
    eventually(lambda: job.metrics().bad_records == 1)
    job.stop()
    again = resumed(session, NUMBERS)
    write_lines(session.folder / "in" / "c.json", '{"n": 2}')
    read(again, 1)
    assert again.metrics().bad_records == 0


def test_bad_records_of_the_last_step_are_logged(session: Session) -> None:
    bad_records(session.env, session.folder)
    session.env.config.set("streamsql.step.max-rows", "1")
    write_lines(session.folder / "in" / "a.json", *['{"n": 1}', "{broken"] * 30)
    job = session.start(NUMBERS)
    job.stop(drain=True)
    assert logged(session.folder) == job.metrics().bad_records


KILLED = """
import os, sys, time
from pathlib import Path
from streamsql.session import TableEnvironment
from tests.system.test_troubled_ends import NUMBERS, bad_records

folder = Path(sys.argv[1])
env = TableEnvironment()
for key, value in {"interval": "20 ms", "dir": str(folder / "checkpoints")}.items():
    env.config.set(f"execution.checkpointing.{key}", value)
env.config.set("pipeline.name", "sums")
bad_records(env, folder)
job = env.execute_sql(NUMBERS).job
while job.metrics().bad_records == 0:
    time.sleep(0.01)
number = job.metrics().checkpoint or 0
while (job.metrics().checkpoint or 0) <= number and job.metrics().checkpoint_ms is None:
    time.sleep(0.01)
time.sleep(0.2)
os.kill(os.getpid(), 9)
"""


def test_bad_records_before_a_checkpoint_outlive_a_kill(session: Session) -> None:
    write_lines(session.folder / "in" / "a.json", '{"n": 1}', "{broken", '{"n": 2}')
    died = subprocess.run([sys.executable, "-c", KILLED, str(session.folder)], check=False, timeout=60)
    assert died.returncode == -9
    bad_records(session.env, session.folder)
    again = resumed(session, NUMBERS)
    time.sleep(0.1)
    again.stop()
    assert (again.metrics().bad_records, logged(session.folder)) == (0, 1)


# -- checkpoints that are deleted at the end -----------------------------------------------------------------------
@pytest.fixture
def deleting(hole: Session) -> Session:
    hole.env.config.set("execution.checkpointing.externalized-checkpoint-retention", "DELETE_ON_CANCELLATION")
    hole.feed(("a", 1))
    return hole


def idle(session: Session) -> Job:
    """A job all of whose rows are in a checkpoint."""
    job = session.start(COUNT)
    read(job, 1)
    eventually(lambda: job.metrics().checkpoint is not None)
    time.sleep(0.1)
    return job


def test_a_job_that_is_stopped_deletes_them(deleting: Session) -> None:
    job = idle(deleting)
    assert checkpoints(deleting)
    job.stop()
    assert not checkpoints(deleting)


def test_a_job_that_is_suspended_keeps_them(deleting: Session) -> None:
    idle(deleting).suspend()
    assert checkpoints(deleting)


def test_a_job_whose_savepoint_fails_keeps_them_and_goes_on(deleting: Session) -> None:
    (deleting.folder / "file").touch()
    job = idle(deleting)
    with pytest.raises(StateError):
        job.stop_with_savepoint(str(deleting.folder / "file"))
    assert checkpoints(deleting)
    assert job.status == "RUNNING"


# -- savepoints ----------------------------------------------------------------------------------------------------
def test_a_place_that_is_none_is_refused_and_the_job_goes_on(hole: Session) -> None:
    job = hole.start(COUNT)
    with pytest.raises(StateError, match="foo://bar"):
        job.stop_with_savepoint("foo://bar")
    hole.feed(("a", 1))
    read(job, 1)


def test_a_query_whose_rows_go_to_a_client_takes_none(session: Session) -> None:
    session.feed(("a", 1))
    result = session.env.execute_sql("SELECT k, v FROM readings")
    assert result.job is not None
    for ask in (result.job.savepoint, result.job.stop_with_savepoint):
        with pytest.raises(StateError, match="takes no savepoints"):
            ask(str(session.folder / "savepoints"))
    assert next(iter(result.collect())) == ("a", 1)


def test_a_second_one_with_which_the_job_is_to_end_is_refused(
    hole: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, go_on = threading.Event(), threading.Event()

    def slow(directory: str, snapshot: Any, *, compression: bool) -> str:
        under_way.set()
        assert go_on.wait(30)
        return directory

    monkeypatch.setattr(coordinator, "write_savepoint", slow)
    job = hole.start(COUNT)
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(job.stop_with_savepoint("one")))
    thread.start()
    assert under_way.wait(30)
    with pytest.raises(StateError, match="another savepoint"):
        job.stop_with_savepoint("two")
    go_on.set()
    thread.join(30)
    assert found == ["one"]


def test_a_stop_outlives_a_savepoint_that_fails(hole: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, go_on = threading.Event(), threading.Event()

    def slow(directory: str, snapshot: Any, *, compression: bool) -> str:
        under_way.set()
        assert go_on.wait(30)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(coordinator, "write_savepoint", slow)
    job = hole.start(COUNT)
    errors: list[BaseException] = []

    def save() -> None:
        try:
            job.stop_with_savepoint(str(hole.folder))
        except StateError as e:
            errors.append(e)

    saving = threading.Thread(target=save)
    saving.start()
    assert under_way.wait(30)
    job.cancel_nowait()
    go_on.set()
    saving.join(30)
    assert len(errors) == 1
    assert job.wait(30)
    assert job.status == "CANCELED"


def test_without_checkpoints_it_is_no_place_to_begin_again_from(
    hole: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed: list[str] = []
    monkeypatch.setattr(InProcessSource, "commits", True)
    monkeypatch.setattr(
        InProcessSource, "commit", lambda self, positions: committed.append(json.dumps(positions))
    )
    begun, go_on = threading.Event(), threading.Event()

    def slow(directory: str, snapshot: Any, *, compression: bool) -> str:
        begun.set()
        assert go_on.wait(30)
        return write_savepoint(directory, snapshot)

    monkeypatch.setattr(coordinator, "write_savepoint", slow)
    hole.env.config.reset("execution.checkpointing.interval")
    hole.env.config.set("restart-strategy.type", "fixed-delay")
    hole.env.config.set("restart-strategy.fixed-delay.delay", "1 ms")
    hole.feed(("a", 1))
    job = hole.start(COUNT)
    eventually(lambda: len(committed) == 1)
    paths: list[str] = []
    saving = threading.Thread(target=lambda: paths.append(job.savepoint(str(hole.folder / "savepoints"))))
    saving.start()
    assert begun.wait(30)
    hole.feed(("b", 1))
    eventually(lambda: len(committed) == 2)
    go_on.set()
    saving.join(30)
    assert len(paths) == 1
    assert job.metrics().checkpoint is None
    assert len(committed) == 2, "positions of the savepoint are older than those committed since"
    job.between_steps(lambda plan: plan.sinks[0].sink.__setattr__("write", _fails))
    hole.feed(("c", 1))
    eventually(lambda: job.metrics().restarts == 1 and job.status == "RUNNING")
    read(job, 3)


def _fails(batch: object) -> None:
    raise ConnectorError("a failure of the test")


# -- closing -------------------------------------------------------------------------------------------------------
def test_what_cannot_be_closed_does_not_keep_the_rest_open(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad_records(session.env, session.folder)
    write_lines(session.folder / "in" / "a.json", '{"n": 1}')
    job = session.start(NUMBERS)
    read(job, 1)

    def close(self: BlackholeSink, *, finished: bool) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(BlackholeSink, "close", close)
    job.stop()
    assert job.status == "FAILED"
    assert not [t.name for t in threading.enumerate() if t.name.startswith("filesystem")]


def test_a_job_that_is_not_built_leaves_no_thread(session: Session) -> None:
    bad_records(session.env, session.folder)
    write_lines(session.folder / "in" / "a.json", '{"n": 1}')
    (session.folder / "file").touch()
    session.env.execute_sql(
        f"CREATE TABLE no (n BIGINT) WITH ('connector' = 'filesystem', 'path' = '{session.folder}/file', "
        "'format' = 'json')"
    )
    with pytest.raises(Exception, match="/file'"):
        session.start("INSERT INTO no SELECT * FROM src")
    assert not [t.name for t in threading.enumerate() if t.name.startswith("filesystem")]


def test_jobs_of_one_name_with_checkpoints_in_two_places_leave_each_other_alone(session: Session) -> None:
    session.env.execute_sql(
        f"CREATE TABLE files (k STRING, v BIGINT) WITH ('connector' = 'filesystem', "
        f"'path' = '{session.folder}/out', 'format' = 'json')"
    )
    session.env.config.set("execution.checkpointing.interval", "1 h")
    one = session.start("INSERT INTO files SELECT * FROM readings")
    eventually(lambda: one.metrics().checkpoint is not None)
    session.feed(("a", 1))
    read(one, 1)
    eventually(lambda: bool(list((session.folder / "out").glob(".*"))))
    with TableEnvironment() as env:
        env.config.set("pipeline.name", "sums")
        env.config.set("execution.checkpointing.interval", "1 h")
        env.config.set("execution.checkpointing.dir", str(session.folder / "elsewhere"))
        env.create_in_process_table("readings", session.readings.schema)
        env.execute_sql(
            f"CREATE TABLE files (k STRING, v BIGINT) WITH ('connector' = 'filesystem', "
            f"'path' = '{session.folder}/out', 'format' = 'json')"
        )
        env.execute_sql("INSERT INTO files SELECT * FROM readings")
        one.stop()
    assert [p.read_text() for p in (session.folder / "out").glob("[!.]*")] == ['{"k":"a","v":1}\n']
