"""Scripts: statements from a file, from stdin or from the command line, without a person at the keyboard."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from streamsql.errors import ConfigError, JobError, StreamSqlError, ValidationError

from .console import Console
from .engine import Environment, Job, Result
from .interrupts import Interrupts
from .output import Printer, Shown, job_line
from .rate import Rate
from .runner import Placed, Runner, first_word, job_failure, placed_statements
from .settings import Settings
from .terminal import beside_status
from .troubles import Troubles

OK, FAILED = 0, 1
JOB_WAIT_S = 0.5  # how soon a signal is seen while jobs run, and how often the status line moves on
NOT_IN_INIT = frozenset({"SELECT", "WITH", "VALUES", "INSERT", "EXECUTE", "BEGIN", "EXPLAIN"})


def read_script(file: str) -> tuple[str, str]:
    """Name and text of a script; ``-`` is stdin. Raises ConfigError when it cannot be read."""
    try:
        if file == "-":
            return "<stdin>", sys.stdin.read()
        return file, Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is not UTF-8 text ({error})"
        raise ConfigError(f"cannot read the script '{file}': {reason}") from None


def run_init(env: Environment, console: Console, file: str) -> None:
    """Runs an init file. Raises the first error, with its place before the message."""
    name, text = read_script(file)
    for statement in placed_statements(text):
        try:
            if first_word(statement.text) in NOT_IN_INIT:
                raise ValidationError(
                    f"an init file takes no {first_word(statement.text)} statement",
                    hint="it is for CREATE, ALTER, DROP, USE, SET and RESET; put the rest into the script",
                )
            env.execute_sql(statement.padded()).close()
        except StreamSqlError as error:
            statement.relocate(error)
            error.message = where(name, statement, error) + error.message
            raise


def run_script(env: Environment, console: Console, name: str, text: str) -> int:
    """Runs a script to its end and waits for its jobs; the exit code. Stops at the first error."""
    settings = Settings(env.config)
    printer = Printer(console, settings, _signals)

    def show(result: Result, started: float) -> Shown:
        as_table = settings.batch or (settings.result_mode_is_set and settings.result_mode == "table")
        if result.bounded and as_table:
            return printer.table(result, started)
        return printer.tableau(result, started)

    return _run(Runner(env, console, settings, printer, show), name, text)


def run_statements(env: Environment, console: Console, text: str, output: str) -> int:
    """Runs statements of the command line; the exit code. ``output`` is ``table``, ``json`` or ``csv``."""
    settings = Settings(env.config)
    printer = Printer(console, settings, _signals, encoding=None if output == "table" else output)

    def show(result: Result, started: float) -> Shown:
        if output != "table":
            return printer.encoded(result, output)
        return (printer.table if result.bounded else printer.tableau)(result, started)

    return _run(Runner(env, console, settings, printer, show), "", text)


def _run(runner: Runner, name: str, text: str) -> int:
    statement = Placed("", 1, 1, "")
    try:
        for statement in placed_statements(text):
            shown = runner.run(statement)
            if shown.signal is not None:
                return 128 + shown.signal
    except BrokenPipeError:
        raise
    except Exception as error:
        verbose = runner.settings.verbose
        runner.console.error(error, place=where(name, statement, error), verbose=verbose)
        return FAILED
    return wait_for_jobs(runner.started_jobs, runner.console, runner.settings)


def wait_for_jobs(jobs: Sequence[Job], console: Console, settings: Settings, *, together: bool = True) -> int:
    """Waits until all jobs have ended. A failed one stops the others if they are ``together``, a signal stops all.

    Returns the exit code.
    """
    code = OK
    waiting = list(jobs)
    rates = {job.id: Rate() for job in waiting}
    troubles = Troubles(console)
    with _signals() as interrupts, beside_status(console):
        while waiting:
            for job in [j for j in waiting if j.status not in ("RUNNING", "RESTARTING")]:
                waiting.remove(job)
                if job.status == "FAILED":
                    console.error(job_failure(job), verbose=settings.verbose)
                    code = FAILED
                    if together:
                        _suspend(waiting)  # nobody asked them to end
                        return FAILED
            if interrupts.received:
                console.info(f"stopping {len(waiting)} {'job' if len(waiting) == 1 else 'jobs'}")
                if together and interrupts.received == signal.SIGINT:
                    _stop(waiting)
                else:
                    _suspend(waiting)
                return 128 + interrupts.received
            troubles.look(waiting)
            if waiting:
                with contextlib.suppress(JobError):  # the next turn tells of it
                    waiting[0].wait(JOB_WAIT_S)
                console.status("  ".join(job_line(job, rates[job.id], settings) for job in waiting))
    console.clear_status()
    return code


def _stop(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.cancel_nowait()
    for job in jobs:
        job.stop()


def _suspend(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.suspend_nowait()
    for job in jobs:
        job.stop()


def _signals() -> Interrupts:
    return Interrupts(signal.SIGINT, signal.SIGTERM)


def where(name: str, statement: Placed, error: BaseException) -> str:
    """``job.sql:12: ``, the line of the error if it is known, else of the statement."""
    if not name:
        return ""
    position = error.position if isinstance(error, StreamSqlError) else None
    return f"{name}:{position.line if position is not None else statement.line}: "
