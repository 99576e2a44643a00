"""What the shell tells of jobs that wait."""

import io

import pytest

from streamsql.repl import troubles
from streamsql.repl.console import Console
from streamsql.repl.troubles import Troubles, waiting_for

from .fake import FakeFailure, FakeJob, FakeMetrics

AWAY = "broker k:9092 is away since 2 s (connection refused)"


@pytest.fixture
def notices() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def watch(notices: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Troubles:
    monkeypatch.setattr(troubles, "LOOK_EVERY_S", 0)
    return Troubles(Console(io.StringIO(), notices))


def test_a_wait_is_told_once_and_its_end_too(watch: Troubles, notices: io.StringIO) -> None:
    job = FakeJob(numbers=FakeMetrics(status_lines=[AWAY, AWAY]))  # the source's and the sink's
    watch.look([job])
    job.numbers.status_lines = [AWAY.replace("2 s", "3 s")]
    watch.look([job])
    job.numbers.status_lines = []
    watch.look([job])
    assert notices.getvalue().splitlines() == [f"[WARN] counting waits: {AWAY}", "[INFO] counting goes on"]


FAILED = "[WARN] counting failed and begins again from its last checkpoint:"


def test_a_restart_is_told_while_the_job_waits_for_it(watch: Troubles, notices: io.StringIO) -> None:
    job = FakeJob(status="RESTARTING", error=ValueError("x"), last_failure=FakeFailure(ValueError("x")))
    watch.look([job])
    watch.look([job])
    job.status, job.error = "RUNNING", None
    watch.look([job])
    watch.look([job])
    assert notices.getvalue().splitlines() == [f"{FAILED} x", "[INFO] counting goes on"]


def test_a_restart_that_was_too_short_to_be_seen_is_told(watch: Troubles, notices: io.StringIO) -> None:
    job = FakeJob()
    watch.look([job])
    job.last_failure = FakeFailure(ValueError("x"))
    watch.look([job])
    job.last_failure = FakeFailure(ValueError("x"))
    watch.look([job])
    assert notices.getvalue().splitlines() == [f"{FAILED} x", "[INFO] counting goes on"] * 2


def test_a_failure_that_ends_the_job_is_told_by_others(watch: Troubles, notices: io.StringIO) -> None:
    watch.look([FakeJob(status="FAILED", error=ValueError("x"), last_failure=FakeFailure(ValueError("x")))])
    assert notices.getvalue() == ""


def test_an_ended_job_waits_for_nothing() -> None:
    assert waiting_for(FakeJob(status="CANCELED", numbers=FakeMetrics(status_lines=[AWAY]))) == ""
