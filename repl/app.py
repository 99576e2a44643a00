"""The command ``streamsql``: its arguments, and which part runs. Imports nothing heavy, so that ``--help``
is quick."""

from __future__ import annotations

import argparse
import io
import logging
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from streamsql.session import TableEnvironment

    from .console import Console

    Commands = argparse._SubParsersAction["_Parser"]

OK, FAILED, USAGE, INTERRUPTED, TERMINATED, PIPE_CLOSED = 0, 1, 2, 130, 143, 141

DESCRIPTION = "Flink SQL over Kafka in one Python process. Without a command: an interactive shell."
EPILOG = """\
examples:
  streamsql                                  the interactive shell
  streamsql run job.sql                      run a script, wait for its jobs
  streamsql sql -i tables.sql --output json "SELECT * FROM orders"
  streamsql demo                             a market of bananas to try things on

exit codes: 0 finished, 1 error, 2 wrong usage, 130 ended by Ctrl-C, 143 ended by SIGTERM
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit code. Never lets a traceback out unless ``--verbose`` asks for it."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    before = signal.getsignal(signal.SIGTERM)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character the terminal cannot show is no reason to stop
            stream.reconfigure(errors="replace")
    logging.getLogger("streamsql.job").addHandler(logging.NullHandler())  # commands tell what becomes of jobs
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:  # they are for developers, who ask with -W
                warnings.simplefilter("ignore")
            return _dispatch(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except _TerminatedError:
        return TERMINATED
    except BrokenPipeError:
        # The reader of our output has gone. Python would complain once more while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except Exception as error:
        from .console import Console

        Console(sys.stderr).error(error, verbose="-v" in arguments or "--verbose" in arguments)
        return FAILED
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _dispatch(arguments: list[str]) -> int:
    if arguments[:1] == ["demo"]:
        from . import demo

        code: int = demo.main(arguments[1:])
        return code
    args = parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = args.run
    return run(args)


# -- arguments -----------------------------------------------------------------------------------------------
class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        unknown = re.search(r"invalid choice: '(\S+)'", message)
        hint = ""
        if unknown and unknown[1].endswith(".sql"):
            hint = f"\nHint: to run a script, use: streamsql run {unknown[1]}"
        self.exit(USAGE, f"{self.format_usage()}{self.prog}: {message}{hint}\n")


def parser() -> _Parser:
    """All commands and options."""
    settings = _Parser(add_help=False)
    settings.add_argument(
        "-D", dest="options", metavar="KEY=VALUE", action="append", default=argparse.SUPPRESS,
        help="set a session option before anything runs, like SET 'KEY' = 'VALUE'",
    )  # fmt: skip
    settings.add_argument(
        "-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help="show the stack of errors"
    )
    common = _Parser(add_help=False, parents=[settings])
    common.add_argument(
        "-i", "--init", metavar="FILE", action="append", default=argparse.SUPPRESS,
        help="run a file of CREATE, USE, SET … statements first (no queries, no INSERT)",
    )  # fmt: skip
    main_parser = _Parser(
        prog="streamsql",
        description=DESCRIPTION,
        epilog=EPILOG,
        parents=[common],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main_parser.add_argument(
        "-f", "--file", metavar="FILE", help="run a script and leave, as 'run' does; - is stdin"
    )
    main_parser.add_argument(
        "--history", metavar="FILE", help="where the shell keeps its history ($STREAMSQL_HISTORY)"
    )
    main_parser.add_argument("--version", action="store_true", help="print the version")
    main_parser.set_defaults(run=_shell)
    commands = main_parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    _add_run(commands, common)
    _add_sql(commands, common)
    _add_serve(commands, settings)
    commands.add_parser("demo", add_help=False, help="a running market on Kafka topics, and the shell on it")
    return main_parser


def _add_run(commands: Commands, common: _Parser) -> None:
    run = commands.add_parser(
        "run",
        parents=[common],
        help="run a script and wait for the jobs it starts",
        description="Runs the statements of a file in order and stops at the first error. Then waits for the "
        "jobs that INSERT started; when one of them fails, the others are stopped. Query results are printed "
        "as they come; notices go to stderr.",
    )
    run.add_argument("file", metavar="FILE", help="the script; - is stdin")
    run.add_argument(
        "--resume",
        action="store_true",
        help="go on from the latest checkpoint of each job under execution.checkpointing.dir, where there is one",
    )
    run.add_argument(
        "--set",
        dest="options",
        metavar="KEY=VALUE",
        action="append",
        default=argparse.SUPPRESS,
        help="the same as -D",
    )
    run.set_defaults(run=_run)


def _add_serve(commands: Commands, settings: _Parser) -> None:
    serve = commands.add_parser(
        "serve",
        parents=[settings],
        help="take up the jobs that are stored with their checkpoints",
        description="Takes up the jobs whose checkpoints are under a directory, each from its latest one, and runs "
        "them until they end or a signal comes: after a crash of the process or the machine. Jobs that were stopped, "
        "or that failed for good, are left alone. Options of -D win over those that a job was started with.",
    )
    serve.add_argument(
        "--dir", metavar="URI", help="the directory of checkpoints; else -D execution.checkpointing.dir=URI"
    )
    serve.set_defaults(run=_serve)


def _add_sql(commands: Commands, common: _Parser) -> None:
    sql = commands.add_parser(
        "sql",
        parents=[common],
        help="run statements given on the command line",
        description="Runs statements and prints what they answer: the final rows of a finite query, the "
        "changes of a continuous one as they come, until Ctrl-C.",
    )
    sql.add_argument("statements", metavar="SQL", help="one or more statements; the last needs no semicolon")
    sql.add_argument(
        "-o",
        "--output",
        choices=("table", "json", "csv"),
        default="table",
        help="table (default); json, one object a line; csv, with a header. A continuous query that updates "
        "has the column op: +I -U +U -D",
    )
    sql.set_defaults(run=_sql)


# -- commands ------------------------------------------------------------------------------------------------
def _shell(args: argparse.Namespace) -> int:
    if args.version:
        from importlib.metadata import version

        print(f"streamsql {version('streamsql')}")
        return OK
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    if args.file is not None or not interactive:
        return _script(args, args.file or "-")
    from .console import Console
    from .session_loop import open_shell

    console = Console(verbose=_verbose(args))
    env = _environment(args, console)
    try:
        return open_shell(env, console, Path(args.history) if args.history else None)
    finally:
        env.close()


def _run(args: argparse.Namespace) -> int:
    return _script(args, args.file, resume=args.resume)


def _serve(args: argparse.Namespace) -> int:
    from streamsql.errors import ConfigError

    from .console import Console
    from .serve import serve

    if getattr(args, "init", []):
        raise ConfigError(
            f"serve takes no init file, found -i {args.init[0]}: each job brings its own tables and options",
            hint="set options with -D",
        )
    _raise_on_sigterm()
    console = Console(sys.stdout, sys.stderr, verbose=_verbose(args))
    options = dict(_options(args))
    return serve(args.dir or options.get("execution.checkpointing.dir"), options, console)


def _script(args: argparse.Namespace, file: str, *, resume: bool = False) -> int:
    from .console import Console
    from .script import read_script, run_script

    name, text = read_script(file)
    _raise_on_sigterm()
    console = Console(sys.stdout, sys.stderr, verbose=_verbose(args))
    env = _environment(args, console)
    env.keep_job_names(resume=resume)
    try:
        return run_script(env, console, name, text)
    finally:
        env.close()


def _sql(args: argparse.Namespace) -> int:
    from .console import Console
    from .script import run_statements

    _raise_on_sigterm()
    console = Console(sys.stdout, sys.stderr, verbose=_verbose(args), quiet=True)
    env = _environment(args, console)
    try:
        return run_statements(env, console, args.statements, args.output)
    finally:
        env.close()


def _options(args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """What ``-D`` gives. Raises ConfigError for one without a value."""
    from streamsql.errors import ConfigError

    for pair in getattr(args, "options", []):
        key, found, value = pair.partition("=")
        if not found:
            raise ConfigError(f"-D {pair}: expected KEY=VALUE")
        yield key.strip(), value.strip()


def _environment(args: argparse.Namespace, console: Console) -> TableEnvironment:
    """A session with the options of the command line and the init files applied."""
    from streamsql.session import TableEnvironment

    from .script import run_init

    env = TableEnvironment()
    try:
        for key, value in _options(args):
            env.config.set(key, value)
        for file in getattr(args, "init", []):
            run_init(env, console, file)
    except BaseException:
        env.close()
        raise
    return env


def _verbose(args: argparse.Namespace) -> bool:
    return bool(getattr(args, "verbose", False))


class _TerminatedError(BaseException):
    """SIGTERM came; like KeyboardInterrupt it passes every ``except Exception``."""


def _raise_on_sigterm() -> None:
    """Lets ``finally`` blocks stop the jobs when the process is asked to end."""

    def terminate(number: int, frame: FrameType | None) -> NoReturn:
        raise _TerminatedError

    signal.signal(signal.SIGTERM, terminate)
