"""How a job stands in the directory of its checkpoints: what says whether it is taken up again."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamsql import jobs
from streamsql.changelog import ChangelogBatch
from streamsql.errors import ConfigError, ConnectorError, JobError
from streamsql.job_resumption import note_status
from streamsql.runtime.checkpoint import job_store, patience
from streamsql.runtime.connectors.blackhole import BlackholeSink
from tests.session.stored import Folder, eventually, started


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    found = Folder(tmp_path)
    yield found
    found.close()


def away(self: BlackholeSink, batch: ChangelogBatch) -> None:
    raise ConnectorError("the sink is away")


def never_acknowledged(self: BlackholeSink, timeout_s: float) -> bool:
    return False


@pytest.mark.parametrize("by", ["suspend", "close"])
def test_a_job_that_waits_to_begin_again_is_taken_up(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr(BlackholeSink, "write", away)
    env = folder.prepared(restart_strategy_type="fixed-delay", restart_strategy_fixed_delay_delay="1 h")
    job = started(env)
    eventually(lambda: job.status == "RESTARTING")
    job.suspend() if by == "suspend" else env.close()
    assert (job.status, folder.stored().status) == ("CANCELED", "SUSPENDED")
    assert folder.stored().goes_on


def test_a_job_whose_sink_is_away_at_its_end_is_taken_up(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BlackholeSink, "settle", never_acknowledged)
    monkeypatch.setattr(patience, "LAST_S", 0.1)
    job = started(folder.prepared())
    eventually(lambda: job.metrics().records_in == 2)
    job.suspend()
    assert (job.status, folder.stored().status) == ("FAILED", "SUSPENDED")


def test_a_job_that_failed_before_its_session_ended_has_failed(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BlackholeSink, "write", away)
    env = folder.prepared(restart_strategy_type="none")
    job = started(env)
    eventually(lambda: not job.is_alive())
    env.close()
    assert folder.stored().status == "FAILED"


def test_the_end_is_noted_after_the_start_however_soon_it_comes(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job ends while the note of its start is being written."""
    ending = threading.Event()

    def slowly(directory: str, job: Any, definition: Any, status: str) -> None:
        if status == "RUNNING":
            job.cancel_nowait()
            assert ending.wait(30)
        note_status(directory, job, definition, status)

    def ended(self: jobs.EndNote, status: str) -> None:
        told(self, status)
        ending.set()

    told = jobs.EndNote.ended
    monkeypatch.setattr("streamsql.jobs.note_status", slowly)
    monkeypatch.setattr(jobs.EndNote, "ended", ended)
    job = started(folder.prepared())
    job.stop()
    assert folder.stored().status == "CANCELED"


def test_a_job_of_a_savepoint_without_a_checkpoint_goes_on_from_the_savepoint(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = folder.prepared()
    counts = "INSERT INTO copied SELECT COUNT(*) FROM numbers"
    job = started(env, counts)
    eventually(lambda: job.metrics().records_in == 2)
    savepoint = job.stop_with_savepoint(str(folder.path / "savepoints"))
    shutil.rmtree(folder.checkpoints)
    monkeypatch.setattr(BlackholeSink, "settle", never_acknowledged)
    monkeypatch.setattr(patience, "LAST_S", 0.1)
    env.config.set("execution.state-recovery.path", savepoint)
    job = started(env, counts)
    job.suspend()
    assert not list(Path(folder.checkpoints).rglob("chk-*"))
    monkeypatch.undo()
    notes = folder.taken_up().notes
    assert [n for n in notes if n.startswith("GroupAggregate") and n.endswith("keeps its state")], notes


def test_a_job_ends_although_its_end_cannot_be_noted(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(status: str) -> None:
        raise RuntimeError("no room for a note")

    job = started(folder.prepared())
    job.note = cannot
    job.stop()
    assert job.status == "CANCELED"


def test_a_store_that_cannot_be_named_is_no_reason_to_fail(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(directory: str, option: str) -> None:
        raise ConfigError("its region is not known")

    job = started(folder.prepared())
    monkeypatch.setattr(job_store, "open_location", away)
    note_status("s3://bucket", job, {}, "RUNNING")
    assert "its region is not known" in caplog.text


def test_a_job_that_was_stopped_is_not_taken_up_after_its_session(folder: Folder) -> None:
    env = folder.prepared()
    job = started(env)
    job.cancel_nowait()
    env.close()
    assert (job.status, folder.stored().status) == ("CANCELED", "CANCELED")


def test_what_an_earlier_attempt_built_is_not_read(folder: Folder) -> None:
    env = folder.prepared()
    job = started(env)
    running = env._jobs._jobs[job.id]
    plan = job.between_steps(lambda plan: plan)
    assert jobs._built(running, plan).plan is plan
    with pytest.raises(JobError, match="is restarting"):
        jobs._built(running, replace(plan))
    job.stop()
    with pytest.raises(JobError):
        jobs._built(running, plan)
