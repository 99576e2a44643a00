"""Jobs with checkpoints: they begin again, resume, stop with savepoints, and go on with a changed query."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from streamsql.errors import ConfigError, JobError, StateError, StreamSqlError
from streamsql.runtime.checkpoint.store import CheckpointStore
from streamsql.testing.crashes import CrashSchedule, crash_at

from .summing import OUT, Session, eventually


def test_rows_show_when_their_checkpoint_is_complete(session: Session) -> None:
    session.feed(("a", 1), ("b", 2), ("a", 3))
    job = session.start()
    eventually(lambda: session.final() == [("a", 2, 4), ("b", 1, 2)])
    eventually(lambda: job.metrics().checkpoint is not None)
    session.feed(("a", 10))
    eventually(lambda: session.final() == [("a", 3, 14), ("b", 1, 2)])
    session.readings.finish()
    assert job.wait(30)


def test_an_idle_job_takes_no_checkpoints(session: Session) -> None:
    session.feed(("a", 1))
    job = session.start()
    eventually(lambda: job.metrics().checkpoint is not None)
    number = job.metrics().checkpoint
    time.sleep(0.3)
    assert job.metrics().checkpoint == number


def test_a_job_that_fails_begins_again(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    schedule = crash_at(session.env, CrashSchedule())
    for i in range(30):
        session.feed(("a", i), ("b", 1))
    session.readings.finish()
    session.env.config.set("streamsql.step.max-rows", "4")
    job = session.start()
    assert job.wait(60)
    assert len(schedule.crashes) == 7
    assert job.metrics().restarts == 7
    assert caplog.text.count(f"job {job.name} failed and begins again in ") == 7
    row = session.env.execute_sql(f"DESCRIBE JOB '{job.id}'").to_arrow().to_pylist()[0]
    assert (row["status"], row["message"]) == ("FINISHED", None)
    assert row["last failure"].startswith("a crash of the test, ")
    assert row["start time"] < row["last failure time"]
    assert session.final() == [("a", 30, sum(range(30))), ("b", 30, 30)]


def test_a_record_that_cannot_be_computed_ends_the_job_at_once(session: Session) -> None:
    job = session.start("INSERT INTO sums SELECT k, CAST(k AS BIGINT), v FROM readings")
    session.feed(("7", 1))
    eventually(lambda: session.final() == [("7", 7, 1)])
    session.feed(("x", 1))
    with pytest.raises(JobError, match="cannot cast 'x'"):
        job.wait(30)
    assert (job.status, job.metrics().restarts) == ("FAILED", 0)


def test_while_it_waits_it_is_restarting_and_says_why(session: Session) -> None:
    crash_at(session.env, CrashSchedule(points=["before-prepare"]))
    session.env.config.set("restart-strategy.fixed-delay.delay", "60 s")
    session.feed(("a", 1))
    job = session.start()
    eventually(lambda: job.metrics().checkpoint is not None)
    session.feed(("a", 1))
    eventually(lambda: job.status == "RESTARTING")
    row = session.env.execute_sql(f"DESCRIBE JOB '{job.id}'").to_arrow().to_pylist()[0]
    assert (row["status"], row["message"]) == ("RESTARTING", "a crash of the test, before-prepare")
    with pytest.raises(JobError, match="is restarting"):
        job.between_steps(lambda plan: None)
    with pytest.raises(StateError, match="is restarting"):
        job.stop_with_savepoint(str(session.folder / "savepoints"))
    job.stop()
    assert job.status == "CANCELED"
    assert job.wait(0)


def test_metrics_may_be_asked_for_from_any_thread(session: Session) -> None:
    job = session.start(
        "INSERT INTO sums SELECT k, MAX(c), SUM(c) FROM "
        "(SELECT k, v, COUNT(*) AS c FROM readings GROUP BY k, v) GROUP BY k"
    )
    errors: list[BaseException] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                job.metrics()
            except BaseException as e:
                errors.append(e)
                return

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(60):
        session.feed(*((f"k{j}", i * j % 7) for j in range(50)))
    session.readings.finish()
    assert job.wait(60)
    done.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert job.metrics().records_in == 3000


# -- stopping and going on -----------------------------------------------------------------------------------------
def test_stopped_and_resumed(session: Session) -> None:
    session.feed(("a", 1), ("b", 2))
    first = session.start()
    eventually(lambda: first.metrics().records_in == 2)
    first.stop()
    assert session.final() == [("a", 1, 1), ("b", 1, 2)], "a job that is stopped commits what it has read"
    session.feed(("a", 5))
    session.readings.finish()
    session.env.resumes = True
    again = session.start()
    assert again.id == first.id
    assert any("keeps its state" in line for line in again.notes)
    assert again.wait(30)
    assert session.final() == [("a", 2, 6), ("b", 1, 2)]
    finished = session.start()
    assert finished.wait(30)
    assert "nothing is left to do" in finished.notes[0]
    assert session.final() == [("a", 2, 6), ("b", 1, 2)]


def test_stop_job_with_savepoint(session: Session) -> None:
    session.feed(("a", 1))
    job = session.start()
    eventually(lambda: job.metrics().records_in == 1)
    result = session.env.execute_sql(f"STOP JOB '{job.id}' WITH SAVEPOINT").to_arrow()
    (path,) = result.column("savepoint path").to_pylist()
    assert job.status == "CANCELED"
    session.feed(("a", 2))
    session.readings.finish()
    session.env.config.set("execution.state-recovery.path", path)
    assert session.start().wait(30)
    assert session.final() == [("a", 2, 3)]


def test_a_savepoint_of_a_job_that_goes_on(session: Session) -> None:
    session.feed(("a", 1))
    job = session.start()
    eventually(lambda: job.metrics().records_in == 1)
    path = job.savepoint(str(session.folder / "savepoints"))
    assert Path(path, "_metadata").exists()
    session.feed(("a", 2))
    eventually(lambda: session.final() == [("a", 2, 3)])
    assert job.status == "RUNNING"


def test_a_job_without_checkpoints_takes_savepoints(session: Session) -> None:
    session.env.config.reset("execution.checkpointing.interval")
    session.feed(("a", 1))
    job = session.start()
    eventually(lambda: session.final() == [("a", 1, 1)])
    path = job.stop_with_savepoint(str(session.folder / "savepoints"))
    session.feed(("a", 2))
    session.readings.finish()
    session.env.config.set("execution.state-recovery.path", path)
    assert session.start().wait(30)
    assert session.final() == [("a", 2, 3)]


def test_a_savepoint_that_cannot_be_written_does_not_stop_the_job(session: Session) -> None:
    (session.folder / "file").touch()
    session.env.config.set("execution.checkpointing.timeout", "100 ms")
    session.feed(("a", 1))
    job = session.start()
    eventually(lambda: job.metrics().records_in == 1)
    with pytest.raises(StateError):
        job.stop_with_savepoint(str(session.folder / "file" / "savepoints"))
    session.feed(("a", 2))
    eventually(lambda: session.final() == [("a", 2, 3)])


def test_stop_with_savepoint_needs_a_directory(session: Session) -> None:
    session.env.config.reset("execution.checkpointing.savepoint-dir")
    job = session.start()
    with pytest.raises(ConfigError, match="needs a directory"):
        session.env.execute_sql(f"STOP JOB '{job.id}' WITH SAVEPOINT")


def test_resuming_needs_to_know_where(session: Session) -> None:
    session.env.resumes = True
    session.env.config.reset("execution.checkpointing.dir")
    with pytest.raises(ConfigError, match=r"execution\.checkpointing\.dir"):
        session.start()


# -- another query -------------------------------------------------------------------------------------------------
def test_a_filter_downstream_keeps_the_state(session: Session) -> None:
    session.feed(("a", 1), ("b", 2))
    job = session.start()
    eventually(lambda: job.metrics().records_in == 2)
    path = job.stop_with_savepoint(str(session.folder / "savepoints"))
    session.feed(("a", 10))
    session.readings.finish()
    session.env.config.set("execution.state-recovery.path", path)
    session.env.config.set("pipeline.name", "others")
    changed = session.start(
        "INSERT INTO sums SELECT * FROM (SELECT k, COUNT(*) AS n, SUM(v) AS s FROM readings GROUP BY k) WHERE s > 5"
    )
    assert changed.wait(30)
    assert ("a", 2, 11) in session.final()


def test_state_that_would_be_lost_is_refused_and_named(session: Session) -> None:
    session.feed(("a", 1))
    job = session.start()
    eventually(lambda: job.metrics().records_in == 1)
    path = job.stop_with_savepoint(str(session.folder / "savepoints"))
    session.env.config.set("execution.state-recovery.path", path)
    other = "INSERT INTO sums SELECT k, COUNT(*), MAX(v) FROM readings GROUP BY k"
    with pytest.raises(StateError, match="GroupAggregate") as raised:
        session.start(other)
    assert "ignore-unclaimed-state" in str(raised.value)
    session.env.config.set("execution.state-recovery.ignore-unclaimed-state", "true")
    session.feed(("a", 9))
    session.readings.finish()
    accepted = session.start(other)
    assert any("state is lost" in line for line in accepted.notes)
    assert accepted.wait(30)
    assert ("a", 1, 9) in session.final()


def test_another_job_of_the_same_name_is_not_taken_for_it(session: Session) -> None:
    session.feed(("a", 1))
    session.readings.finish()
    assert session.start().wait(30)
    session.env.create_in_process_table("elsewhere", OUT)
    session.env.resumes = True
    with pytest.raises(StateError, match="writes other tables"):
        session.start("INSERT INTO elsewhere SELECT k, COUNT(*), SUM(v) FROM readings GROUP BY k")


def test_checkpoints_that_are_removed_under_the_job_are_missed(session: Session) -> None:
    session.feed(("a", 1))
    job = session.start()
    eventually(lambda: job.metrics().checkpoint is not None)
    shutil.rmtree(session.folder / "checkpoints")
    session.feed(("a", 2))
    with pytest.raises(JobError, match="cannot be read any more"):
        job.wait(60)
    assert session.final() == [("a", 1, 1)]


def test_a_checkpoint_thread_that_fails_at_its_housekeeping_is_a_failure_of_the_job(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.feed(("a", 1))
    job = session.start()
    eventually(lambda: job.metrics().checkpoint is not None)

    def compact(self: CheckpointStore) -> None:
        monkeypatch.undo()
        raise MemoryError("no room to merge")

    monkeypatch.setattr(CheckpointStore, "compact", compact)
    session.feed(("a", 2))
    eventually(lambda: job.metrics().restarts == 1 and job.status == "RUNNING")
    assert job.last_failure is not None and "no room to merge" in job.last_failure.error.message
    session.feed(("a", 3))
    eventually(lambda: session.final() == [("a", 3, 6)])


def test_who_asked_first_for_a_drain_has_it(session: Session) -> None:
    session.feed(("a", 1))
    job = session.start()
    job._signals.drain = True
    job.stop()
    assert job.status == "FINISHED"


def test_a_stop_that_differs_from_the_savepoint_under_way_is_refused(session: Session) -> None:
    job = session.start()
    job._signals.savepoint = (str(session.folder), Future())
    with pytest.raises(StateError, match="is ending with a savepoint"):
        job.stop(drain=True)


def test_jobs_that_restart_hide_no_others(session: Session) -> None:
    crash_at(session.env, CrashSchedule(points=["before-prepare"]))
    session.env.config.set("restart-strategy.fixed-delay.delay", "60 s")
    session.feed(("a", 1))
    away = session.start()
    eventually(lambda: away.metrics().checkpoint is not None)
    session.feed(("a", 1))
    eventually(lambda: away.status == "RESTARTING")
    session.env.config.set("pipeline.name", "other")
    session.env.execute_sql("CREATE TEMPORARY VIEW totals AS SELECT k, SUM(v) AS s FROM readings GROUP BY k")
    session.env.execute_sql("INSERT INTO sums SELECT k, s, s FROM totals")
    tables = session.env.execute_sql("SHOW TABLES IN jobs").to_arrow().column(0).to_pylist()
    assert "totals" in tables
    with pytest.raises(StreamSqlError, match="nosuch"):
        session.env.execute_sql("SELECT * FROM jobs.nosuch")
