"""What the shell tells of jobs that wait."""

import io

import pytest

from streamsql.repl import troubles
from streamsql.repl.console import Console
from streamsql.repl.troubles import Troubles, waiting_for

from .fake import FakeJob, FakeMetrics

AWAY = "broker k:9092 is away since 2 s (connection refused)"


def test_a_wait_is_told_once_and_its_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(troubles, "LOOK_EVERY_S", 0)
    notices = io.StringIO()
    watch = Troubles(Console(io.StringIO(), notices))
    job = FakeJob(numbers=FakeMetrics(status_lines=[AWAY, AWAY]))  # the source's and the sink's
    watch.look([job])
    job.numbers.status_lines = [AWAY.replace("2 s", "3 s")]
    watch.look([job])
    job.numbers.status_lines = []
    watch.look([job])
    assert notices.getvalue().splitlines() == [f"[WARN] counting waits: {AWAY}", "[INFO] counting goes on"]


def test_an_ended_job_waits_for_nothing() -> None:
    assert waiting_for(FakeJob(status="CANCELED", numbers=FakeMetrics(status_lines=[AWAY]))) == ""
