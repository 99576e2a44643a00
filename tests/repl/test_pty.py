"""The real program on a real terminal: what a person would do first."""

import io
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

PATIENCE_S = 60
CONTROL_C, CONTROL_D = "\x03", "\x04"
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()][A-Z0-9]|\][^\x07]*\x07|[=>78])")

NUMBERS = """CREATE TABLE numbers (n BIGINT, word AS CONCAT('w', CAST(n AS STRING)))
WITH ('connector' = 'datagen', 'rows-per-second' = '50',
'fields.n.min' = '1', 'fields.n.max' = '9');"""


class Program:
    """``streamsql`` in a pty of fixed size, with its own history and configuration folder."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._log = io.StringIO()
        environment = {
            **{k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "STREAMSQL_HISTORY")},
            "TERM": "xterm",
            "LINES": "24",
            "COLUMNS": "100",
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "XDG_CONFIG_HOME": str(folder),
        }
        self._child = pexpect.spawn(
            sys.executable,
            ["-m", "streamsql", *arguments],
            env=environment,
            dimensions=(24, 100),
            encoding="utf-8",
            timeout=PATIENCE_S,
        )
        self._child.logfile_read = self._log

    def sees(self, text: str) -> None:
        """Reads until the text appears after what was seen before; shows the whole log if it does not."""
        pattern = r"(?:\x1b\[[0-9;?]*[a-zA-Z])*".join(re.escape(c) for c in text)
        try:
            self._child.expect(pattern)
        except (pexpect.TIMEOUT, pexpect.EOF):
            pytest.fail(f"expected {text!r}, the screen log is:\n{self.log()}")

    def prompt(self) -> None:
        self.sees("streamsql>")

    def type(self, text: str) -> None:
        self._child.send(text)

    def enter(self, statement: str) -> None:
        """Types a statement, whose lines are ended by Enter."""
        self._child.send(statement.replace("\n", "\r") + "\r")

    def log(self) -> str:
        return ESCAPES.sub("", self._log.getvalue())

    def ends(self) -> int | None:
        """Waits for the end; the exit code."""
        try:
            self._child.expect(pexpect.EOF)
        except pexpect.TIMEOUT:
            pytest.fail(f"the program does not end, the screen log is:\n{self.log()}")
        self._child.close()
        code: int | None = self._child.exitstatus
        return code

    def kill(self) -> None:
        if self._child.isalive():
            self._child.kill(signal.SIGKILL)
            self._child.wait()
        self._child.close()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    started = Program(tmp_path)
    try:
        started.sees("Flink SQL, continuous queries")
        started.prompt()
        yield started
    finally:
        started.kill()


def test_statements_errors_and_leaving(program: Program) -> None:
    program.enter(NUMBERS)  # three lines
    program.sees("[INFO] Execute statement succeeded.")
    program.prompt()
    program.enter("SHOW TABLES;")
    program.sees("| table name |")
    program.sees("|    numbers |")
    program.sees("1 row in set")
    program.prompt()
    program.enter("SELECT wrd FROM numbers;")
    program.sees("[ERROR]")
    program.sees("line 1: SELECT wrd FROM numbers")
    program.sees("^^^")
    program.prompt()
    program.enter("help")
    program.sees("Client commands")
    program.prompt()
    program.enter("QUIT;")
    assert program.ends() == 0
    assert "Traceback" not in program.log()


def test_control_d_leaves(program: Program) -> None:
    program.type(CONTROL_D)
    assert program.ends() == 0


def test_a_finite_query(program: Program) -> None:
    program.enter(
        "SELECT word, CHAR_LENGTH(word) AS len FROM (VALUES ('kiwi'), ('日本'), (NULL)) AS t (word);"
    )
    program.sees("|   kiwi |      4 |")
    program.sees("|   日本 |      2 |")
    program.sees("| <NULL> | <NULL> |")
    program.sees("3 rows in set (")
    program.prompt()


def test_tableau_and_control_c(program: Program) -> None:
    program.enter(NUMBERS)
    program.prompt()
    program.enter("SET 'sql-client.execution.result-mode' = 'tableau';")
    program.sees("succeeded")
    program.prompt()
    program.enter("SELECT * FROM numbers;")
    program.sees("| op |")
    program.sees("| +I |")
    program.type(CONTROL_C)
    program.sees("Query terminated, received a total of")
    program.prompt()
    program.enter("SHOW JOBS;")
    program.sees("CANCELED")
    program.prompt()


def test_table_mode(program: Program) -> None:
    program.enter(NUMBERS)
    program.prompt()
    program.enter("SELECT COUNT(*) AS counted FROM numbers;")
    program.sees("SQL Query Result (Table)")
    program.sees("counted")
    program.sees("running")
    program.type("q")
    program.sees("| counted |")
    program.sees("Query terminated, received a total of")
    program.prompt()


def test_changelog_mode(program: Program) -> None:
    program.enter(NUMBERS)
    program.prompt()
    program.enter("SET 'sql-client.execution.result-mode' = 'changelog';")
    program.prompt()
    program.enter("SELECT COUNT(*) AS counted FROM numbers;")
    program.sees("SQL Query Result (Changelog)")
    program.sees("+U")
    program.type(CONTROL_C)
    program.sees("Query terminated, received a total of")
    program.prompt()


def test_a_background_job(program: Program) -> None:
    program.enter(NUMBERS)
    program.prompt()
    program.enter("CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole');")
    program.prompt()
    program.enter("INSERT INTO nowhere SELECT n FROM numbers;")
    program.sees("[INFO] Submitting SQL update statement...")
    program.sees("Job ID: ")
    program.prompt()
    program.enter("SHOW JOBS;")
    program.sees("RUNNING")
    program.enter("QUIT")
    assert program.ends() == 0
