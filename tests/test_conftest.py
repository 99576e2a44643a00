"""STREAMSQL_REQUIRE turns a skip into a failure, and the skip says why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT

A_KAFKA_TEST = "tests/kafka/test_broker.py::test_offsets_for_times"
REASON = "a Kafka broker needs Java 17, and JAVA_HOME="


def run_without_java(require: str, home: Path) -> subprocess.CompletedProcess[str]:
    """One test that needs Kafka, on a machine that has no Java."""
    here = {k: v for k, v in os.environ.items() if k != "STREAMSQL_TEST_BOOTSTRAP"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rs", A_KAFKA_TEST]
    env = here | {"JAVA_HOME": str(home), "STREAMSQL_REQUIRE": require, "COLUMNS": "300"}
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
    assert "STREAMSQL_REQUIRE names ['kafak']; known parts are ['kafka']" in done.stderr
