"""The command ``streamsql`` as a program: what it writes where, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys

NO_BROKER = """CREATE TABLE orders (id BIGINT) WITH ('connector'='kafka', 'topic'='orders', 'format'='json',
  'scan.startup.mode'='earliest-offset', 'properties.bootstrap.servers'='127.0.0.1:9');"""


def streamsql(*arguments: str) -> subprocess.Popen[str]:
    """The command, running."""
    command = [sys.executable, "-m", "streamsql", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_query_without_its_broker_says_what_it_waits_for() -> None:
    with streamsql("sql", "-o", "json", f"{NO_BROKER} SELECT id FROM orders") as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("[WARN] collect waits: broker 127.0.0.1:9 is away since ")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 130


def test_a_script_ended_by_sigterm_is_silent() -> None:
    script = """CREATE TABLE numbers (v BIGINT) WITH ('connector'='datagen', 'rows-per-second'='10');
    CREATE TABLE nothing (v BIGINT) WITH ('connector'='blackhole');
    INSERT INTO nothing SELECT v FROM numbers;"""
    with streamsql("sql", script + "SELECT v FROM numbers") as process:
        assert process.stdout is not None
        assert process.stdout.readline()  # the query runs
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (143, "")
