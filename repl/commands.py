"""Client commands: they need no semicolon and never reach the engine. ``HELP`` prints itself from this
table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Shell(Protocol):
    """What a command may do."""

    def write(self, text: str) -> None: ...
    def clear(self) -> None: ...
    def leave(self) -> None: ...


@dataclass(frozen=True)
class Command:
    """``names``: the first is the one that HELP shows."""

    names: tuple[str, ...]
    help: str
    run: Callable[[Shell], None]


COMMANDS: list[Command] = []


def command(*names: str, help: str) -> Callable[[Callable[[Shell], None]], Callable[[Shell], None]]:
    """Registers a function as a client command."""

    def register(run: Callable[[Shell], None]) -> Callable[[Shell], None]:
        COMMANDS.append(Command(names, help, run))
        return run

    return register


def find(text: str) -> Command | None:
    """The command that is the whole text, in any case, with or without a semicolon.

    >>> find(" Quit; ").names[0], find("quit now")
    ('QUIT', None)
    """
    word = text.strip().rstrip(";").rstrip().upper()
    return next((c for c in COMMANDS if word in c.names), None)


@command("HELP", "\\?", "\\H", "?", help="this page")
def _help(shell: Shell) -> None:
    shell.write(help_text())


@command("QUIT", "EXIT", "\\Q", help="stop the session's jobs and leave; so does Ctrl-D")
def _quit(shell: Shell) -> None:
    shell.leave()


@command("CLEAR", "\\C", help="clear the screen")
def _clear(shell: Shell) -> None:
    shell.clear()


STATEMENTS = (
    ("SELECT … FROM …", "a query; a continuous one is shown live until you quit it"),
    ("INSERT INTO t SELECT …", "start a job that writes the query's result to a table"),
    ("EXECUTE STATEMENT SET BEGIN … END", "several INSERTs as one job"),
    ("CREATE TABLE t (…) WITH (…)", "declare a topic, a directory or a generator as a table"),
    ("CREATE VIEW v AS SELECT …", "name a query"),
    ("SHOW TABLES | VIEWS | FUNCTIONS | JOBS", "list what there is"),
    ("DESCRIBE t", "the columns of a table"),
    ("SHOW CREATE TABLE t", "the statement that makes it"),
    ("EXPLAIN [CHANGELOG_MODE] SELECT …", "the plan of a query"),
    ("SET ['key' = 'value'], RESET ['key']", "session options"),
    ("STOP JOB 'id'", "end a job"),
)
KEYS = (
    ("Enter", "run the statement when it ends with ; and a new line else (Esc Enter: always a new line)"),
    ("Tab", "complete tables, columns, functions, options"),
    ("Right, Ctrl-E", "take over the suggestion from the history"),
    ("Ctrl-R", "search the history"),
    ("Ctrl-C", "drop what is typed; on a running query: end the query"),
    ("Ctrl-D", "leave"),
    ("F4", "switch between emacs and vi keys"),
    ("Ctrl-X Ctrl-E", "edit the statement in $EDITOR (vi keys: v)"),
)
MODES = (
    ("table", "the result as of now, updating in place (default)"),
    ("changelog", "the changes, the latest 1000, with +I -U +U -D"),
    ("tableau", "the changes printed line by line"),
)


def help_text() -> str:
    """The page that HELP prints."""
    commands = [(", ".join(c.names[:2]) if c.names[1].isalpha() else c.names[0], c.help) for c in COMMANDS]
    sections = (
        ("Client commands", commands),
        ("Statements, each ends with ;", STATEMENTS),
        ("Keys", KEYS),
        ("Result modes: SET 'sql-client.execution.result-mode' = '…';", MODES),
    )
    lines: list[str] = []
    for title, entries in sections:
        lines += ["", title]
        lines += [f"  {name:<38} {text}" for name, text in entries]
    return "\n".join(lines[1:])
