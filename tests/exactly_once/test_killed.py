"""SIGKILL at random moments and at every named one, against real Kafka: what is committed is the batch answer."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamsql.runtime.checkpoint.points import POINTS
from tests.conftest import TopicFactory, unique_name
from tests.kafka.client import Cluster

from .market import Market

KILLS = 56
ORDERS = 60_000
ATTEMPTS_MAX = 400


class Forker:
    """The process that runs attempts; see forker.py."""

    def __init__(self, script: Path, log: Path) -> None:
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.exactly_once.forker", str(script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def attempt(self, death: str, kill_after_s: float | None) -> int:
        """One attempt: its exit code. ``kill_after_s``: so long after its job began it is killed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(death + "\n")
        self._process.stdin.flush()
        child = int(self._process.stdout.readline())
        timer: threading.Timer | None = None
        while (line := self._process.stdout.readline().strip()) == "running":
            if kill_after_s is not None:
                timer = threading.Timer(kill_after_s, _kill, [child])
                timer.start()
        if timer is not None:
            timer.cancel()
        return int(line)

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


@pytest.fixture
def market(kafka: Cluster, topic: TopicFactory) -> Market:
    return Market.open(kafka, topic, unique_name("market"))


@contextlib.contextmanager
def forker(market: Market, folder: Path, **options: str) -> Iterator[Forker]:
    script = folder / "job.sql"
    script.write_text(market.script(str(folder / "checkpoints"), options=options))
    found = Forker(script, folder / "log")
    try:
        yield found
    finally:
        found.close()


@pytest.mark.timeout(600)
def test_killed_again_and_again_each_row_is_written_once(market: Market, tmp_path: Path) -> None:
    market.fill(ORDERS)
    rng = random.Random(20240101)
    # small steps: the job must not be through before it has been killed often enough
    options = {"streamsql.step.max-rows": "400", "streamsql.step.min-interval": "5 ms"}
    kills = 0
    with forker(market, tmp_path, **options) as runner:
        for _ in range(ATTEMPTS_MAX):
            last = kills >= KILLS
            at_a_point = kills % 2 == 0
            death = f"{POINTS[kills // 2 % len(POINTS)]} {rng.randrange(1, 4)}" if at_a_point else "-"
            code = runner.attempt("-" if last else death, None if last or at_a_point else rng.uniform(0, 0.6))
            if code == 0:
                break
            assert code == -signal.SIGKILL, (code, (tmp_path / "log").read_text()[-2000:])
            kills += 1
        assert code == 0, "it never came to its end"
        assert kills >= KILLS, f"the job was through after {kills} kills: give it more rows"
        assert runner.attempt("-", None) == 0, "a job that has finished is left alone"
    assert market.differences() == ""


def test_an_attempt_that_is_never_killed(market: Market, tmp_path: Path) -> None:
    market.fill(3000)
    began = time.monotonic()
    with forker(market, tmp_path) as runner:
        assert runner.attempt("-", None) == 0, (tmp_path / "log").read_text()[-3000:]
    assert market.differences() == "", time.monotonic() - began
