"""Runs statements against a session and shows what they answer; the shell and scripts share it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from streamsql.errors import StreamSqlError
from streamsql.planner.highlight import tokens
from streamsql.planner.parsing import split_statements

from .console import Console
from .engine import Environment, Job, Result
from .output import Printer, Shown
from .settings import Settings

UPDATES = frozenset({"INSERT", "EXECUTE", "BEGIN"})  # first words of statements that start a job
ShowQuery = Callable[[Result, float], Shown]


@dataclass(frozen=True)
class Placed:
    """One statement of a text and where it begins there."""

    text: str
    line: int
    column: int
    whole: str

    def padded(self) -> str:
        """The statement with empty lines before it, so that an error's position is one in the whole text."""
        return "\n" * (self.line - 1) + " " * (self.column - 1) + self.text

    def relocate(self, error: BaseException) -> None:
        """Lets an error about the padded statement show the line of the whole text."""
        if isinstance(error, StreamSqlError) and error.position and error.position.sql == self.padded():
            error.position = replace(error.position, sql=self.whole)


def placed_statements(text: str) -> list[Placed]:
    """The statements of a text, without their semicolons."""
    return [
        Placed(part, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at), text)
        for part, at in split_statements(text)
    ]


class Runner:
    """``show_query`` shows continuous and finite queries; everything else is printed the same way
    everywhere."""

    def __init__(
        self, env: Environment, console: Console, settings: Settings, printer: Printer, show_query: ShowQuery
    ) -> None:
        self.env = env
        self.console = console
        self.settings = settings
        self.started_jobs: list[Job] = []
        self._printer = printer
        self._show_query = show_query

    def run(self, statement: Placed) -> Shown:
        """Executes one statement and shows its answer. Errors are the caller's."""
        try:
            return self._run(statement.padded())
        except StreamSqlError as error:
            statement.relocate(error)
            raise

    def _run(self, sql: str) -> Shown:
        started = time.monotonic()
        update = first_word(sql) in UPDATES
        if update:
            self.console.info("Submitting SQL update statement...")
        result = self.env.execute_sql(sql)
        if result.is_query:
            return self._show_query(result, started)
        if result.job is not None:
            self.started_jobs.append(result.job)
            self.console.info("SQL update statement has been successfully submitted:")
            if not self.console.quiet:
                self.console.note(f"Job ID: {result.job.id}")
                for line in result.job.notes:
                    self.console.note(f"  {line}")
            return Shown(0)
        if result.result_kind == "SUCCESS_WITH_CONTENT":
            return self._printer.listing(result, started)
        message = result.message
        self.console.info("Execute statement succeeded." if message in ("", "OK") else message)
        return Shown(0)


def first_word(sql: str) -> str:
    """
    >>> first_word("-- a comment" + chr(10) + "insert into t select 1")
    'INSERT'
    """
    for token in tokens(sql):
        if token.kind not in ("comment", "hint"):
            return sql[token.start : token.end].upper()
    return ""


def job_failure(job: Job) -> StreamSqlError:
    """The failure of a job as an error to show: which job, and why."""
    error = job.error
    text = str(error) if isinstance(error, StreamSqlError) else f"{type(error).__name__}: {error}"
    found = StreamSqlError(f"job '{job.name}' ({job.id}) failed: {text}")
    found.__cause__ = error
    return found
