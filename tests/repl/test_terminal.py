"""What jobs write does not disturb the shell."""

import io
import logging
import sys

import pytest

from streamsql.repl import terminal
from streamsql.repl.console import Console
from streamsql.repl.terminal import beside_status, held_back, quiet_logs


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_writing_during_a_view_appears_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    with held_back():
        print("+I[1]")
        print("trouble", file=sys.stderr)
        assert capsys.readouterr() == ("", "")
    assert capsys.readouterr() == ("+I[1]\ntrouble\n", "")


def test_only_the_latest_writing_is_held(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "HELD_WRITES_MAX", 2)
    with held_back():
        for i in range(5):
            sys.stdout.write(f"{i}\n")
    assert (
        capsys.readouterr().out
        == "[WARN] 3 earlier writes of jobs were dropped while the view was open\n3\n4\n"
    )


def test_lines_of_jobs_stand_above_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Tty()
    monkeypatch.setattr(sys, "stdout", screen)
    console = Console(screen, screen)
    console._status_width = 7  # "running" stands there
    with beside_status(console):
        print("+I[1]", flush=True)
    assert screen.getvalue() == "\r       \r+I[1]\n"


def test_logs_stay_away_from_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("streamsql")
    before = list(logger.handlers)
    try:
        quiet_logs()
        logging.getLogger("streamsql.kafka").warning("connection refused")
    finally:
        logger.handlers = before
    assert capsys.readouterr().err == ""
