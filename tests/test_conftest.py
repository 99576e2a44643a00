"""STREAMSQL_REQUIRE turns a skip into a failure, and the skip says why; long tests come first."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from tests.conftest import long_ones_first
from tests.project import ROOT

A_KAFKA_TEST = "tests/kafka/test_broker.py::test_offsets_for_times"
A_POSTGRES_TEST = "tests/jdbc/test_server.py::test_it_answers"
REASON = "a Kafka broker needs Java 17, and JAVA_HOME="


def run_without_java(require: str, home: Path) -> subprocess.CompletedProcess[str]:
    """One test that needs Kafka, on a machine that has no Java."""
    here = {k: v for k, v in os.environ.items() if k != "STREAMSQL_TEST_BOOTSTRAP"}
    return run(A_KAFKA_TEST, here | {"JAVA_HOME": str(home), "STREAMSQL_REQUIRE": require})


def run_without_postgres(require: str) -> subprocess.CompletedProcess[str]:
    """One test that needs PostgreSQL, on a machine that has none."""
    code = (
        "import sys, pytest, tests.jdbc.server as server; server._FOLDERS = (); "
        "server.shutil.which = lambda name: None; "
        f"sys.exit(pytest.main(['-p', 'no:cacheprovider', '-q', '-rs', '{A_POSTGRES_TEST}']))"
    )
    env = dict(os.environ) | {"STREAMSQL_REQUIRE": require, "COLUMNS": "300"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def run(test: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rs", test]
    env = env | {"COLUMNS": "300"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_without_kafka_its_tests_are_skipped_with_the_reason(tmp_path: Path) -> None:
    done = run_without_java("", tmp_path)
    assert done.returncode == pytest.ExitCode.OK
    assert "1 skipped" in done.stdout
    assert f"{REASON}{tmp_path}" in done.stdout


def test_a_required_part_fails_instead(tmp_path: Path) -> None:
    done = run_without_java("kafka", tmp_path)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert f"STREAMSQL_REQUIRE=kafka, but the test was to be skipped: Skipped: {REASON}" in done.stdout


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    done = run_without_java("kafak", tmp_path)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "STREAMSQL_REQUIRE names ['kafak']; known parts are ['kafka', 'postgres']" in done.stderr


def test_without_postgres_its_tests_are_skipped_with_the_reason() -> None:
    done = run_without_postgres("kafka")
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    assert "1 skipped" in done.stdout
    assert "a PostgreSQL server needs initdb, postgres and psql, and they are not installed" in done.stdout


def test_required_postgres_fails_instead() -> None:
    done = run_without_postgres("postgres")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "STREAMSQL_REQUIRE=postgres, but the test was to be skipped" in done.stdout


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_long_tests_begin_first_in_every_process(workers: int) -> None:
    """As pytest-xdist cuts the list: in runs of equal length."""
    items = [FakeItem(n, long=n % 9 == 8) for n in range(40)]
    order: list[Any] = list(long_ones_first(cast("list[pytest.Item]", items), workers))
    assert sorted(item.number for item in order) == list(range(40))
    if workers == 1:
        assert order == items
        return
    left = order
    for worker in range(workers):
        share, left = left[: len(left) // (workers - worker)], left[len(left) // (workers - worker) :]
        longs = [item.long for item in share]
        assert longs == sorted(longs, reverse=True)


def test_more_long_tests_than_processes_have_room_for() -> None:
    items = [FakeItem(n, long=True) for n in range(5)]
    order = long_ones_first(cast("list[pytest.Item]", items), 8)
    assert len(order) == 5


@dataclass(frozen=True)
class FakeItem:
    number: int
    long: bool

    def get_closest_marker(self, name: str) -> object:
        return name if self.long and name == "long" else None
