"""The interactive shell: read a statement, run it, show its answer, until QUIT or Ctrl-D."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import ThreadedCompleter
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition, completion_is_selected, has_completions
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout.processors import ConditionalProcessor, HighlightMatchingBracketProcessor
from prompt_toolkit.output import ColorDepth, Output
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.shortcuts import CompleteStyle

from . import commands
from .completer import SqlCompleter
from .console import Console, wants_colour
from .engine import Environment, Result
from .highlighting import STYLE, SqlLexer
from .live_view import LiveView
from .output import Printer, Shown
from .render import count_rows, plain_table
from .runner import Runner, job_failure, placed_statements
from .settings import Settings
from .statement_buffer import is_ready
from .terminal import held_back, quiet_logs
from .troubles import Restarts, waiting_for

PROMPT = "streamsql> "
CONTINUATION = "> ".rjust(len(PROMPT))
TOOLBAR_REFRESH_S = 1.0  # jobs in the toolbar may end while nothing is typed


class Shell:
    """One interactive session on a terminal. ``input`` and ``output`` are given by tests."""

    def __init__(
        self,
        env: Environment,
        console: Console,
        history: Path | None = None,
        greeting: str | None = None,
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        self.env = env
        self.console = console
        self.settings = Settings(env.config)
        self._input, self._output = input, output
        self._printer = Printer(console, self.settings)
        self._runner = Runner(env, console, self.settings, self._printer, self._show_query)
        self._leaving = False
        self._greeting = banner() if greeting is None else greeting
        self._announced: set[str] = set()
        self._restarts = Restarts()
        self._prompt = self._build_prompt(open_history(history, console))

    # -- the loop --------------------------------------------------------------------------------------------
    def run(self) -> int:
        """Reads and runs until the user leaves; the exit code."""
        self.write(self._greeting)
        while not self._leaving:
            self._announce_failures()
            try:
                with patch_stdout(raw=True):  # what jobs print appears above the prompt
                    text = self._prompt.prompt()
            except KeyboardInterrupt:
                continue
            except EOFError:
                break
            self.execute(text)
        return 0

    def execute(self, text: str) -> None:
        """Runs a client command or statements; the first error ends the rest of the text."""
        command = commands.find(text)
        if command is not None:
            command.run(self)
            return
        try:
            for statement in placed_statements(text):
                shown = self._runner.run(statement)
                self.write("")
                if shown.signal is not None:
                    break
        except KeyboardInterrupt:
            self.console.warning("interrupted")
        except Exception as error:
            self.console.error(error, verbose=self.settings.verbose)
            self.write("")

    # -- what commands may do --------------------------------------------------------------------------------
    def write(self, text: str) -> None:
        self.console.line(text)

    def clear(self) -> None:
        self._prompt.output.erase_screen()
        self._prompt.output.cursor_goto(0, 0)
        self._prompt.output.flush()

    def leave(self) -> None:
        self._leaving = True

    # -- results ---------------------------------------------------------------------------------------------
    def _show_query(self, result: Result, started: float) -> Shown:
        if result.job is not None:
            self._announced.add(result.job.id)  # its failures are shown with its result
        mode = self.settings.result_mode
        if result.bounded and (mode == "table" or self.settings.batch):
            return self._printer.table(result, started)
        if result.bounded or mode == "tableau":
            return self._printer.tableau(result, started)
        return self._show_live(result, mode, started)

    def _show_live(self, result: Result, mode: str, started: float) -> Shown:
        view = LiveView(result, self.settings, mode)
        with held_back():
            ending = view.run(self._prompt.input, self._prompt.output, colour=wants_colour(self.console.out))
        page = ending.page
        names, texts = page.names, page.texts
        if mode == "changelog":
            names = ["op", *names]
            texts = [[row.kind.short, *cells] for row, cells in zip(page.rows, texts, strict=True)]
        if texts:
            self.console.lines(plain_table(names, texts, self.settings.column_width_max))
        if ending.error is not None:
            raise ending.error
        cost = self._printer.cost(started)
        self.write(f"Query terminated, received a total of {count_rows(ending.changes)}{cost}")
        return Shown(ending.changes)

    def _announce_failures(self) -> None:
        """Tells once of each job that failed in the background, and of each failure after which one began again."""
        for job in self.env.jobs():
            if job.id in self._announced:
                continue
            if began_again := self._restarts.news(job):
                self.console.warning(began_again)
                self.write("")
            if job.status == "FAILED":
                self._announced.add(job.id)
                self.console.error(job_failure(job), verbose=self.settings.verbose)
                self.write("")

    # -- the prompt ------------------------------------------------------------------------------------------
    def _build_prompt(self, history: History) -> PromptSession[str]:
        session: PromptSession[str] = PromptSession(
            message=[("class:prompt", PROMPT)],
            multiline=True,
            prompt_continuation=[("class:prompt.continuation", CONTINUATION)],
            lexer=SqlLexer(),
            completer=ThreadedCompleter(SqlCompleter(self.env.completion_source)),
            complete_while_typing=True,
            complete_style=CompleteStyle.COLUMN,
            auto_suggest=AutoSuggestFromHistory(),
            history=history,
            enable_open_in_editor=True,
            tempfile_suffix=".sql",
            enable_suspend=True,
            input_processors=[
                ConditionalProcessor(
                    HighlightMatchingBracketProcessor("[](){}"), ~Condition(lambda: get_app().is_done)
                )
            ],
            key_bindings=self._bindings(),
            bottom_toolbar=self._toolbar,
            refresh_interval=TOOLBAR_REFRESH_S,
            style=STYLE,
            color_depth=None if wants_colour(self.console.out) else ColorDepth.DEPTH_1_BIT,
            editing_mode=EditingMode.EMACS,
            input=self._input,
            output=self._output,
        )
        return session

    def _bindings(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("enter", filter=~completion_is_selected)
        def _enter(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            if is_ready(buffer.text):
                buffer.validate_and_handle()
            else:
                buffer.newline(copy_margin=False)

        @keys.add("enter", filter=has_completions & completion_is_selected)
        def _choose(event: KeyPressEvent) -> None:
            event.current_buffer.complete_state = None

        @keys.add("escape", "enter")
        def _new_line(event: KeyPressEvent) -> None:
            event.current_buffer.newline(copy_margin=False)

        @keys.add("f4")
        def _switch(event: KeyPressEvent) -> None:
            vi = event.app.editing_mode is EditingMode.VI
            event.app.editing_mode = EditingMode.EMACS if vi else EditingMode.VI

        return keys

    def _toolbar(self) -> StyleAndTextTuples:
        jobs = self.env.jobs()
        running = sum(1 for job in jobs if job.status == "RUNNING")
        unseen = sum(1 for job in jobs if job.status == "FAILED" and job.id not in self._announced)
        keys = "vi" if get_app().editing_mode is EditingMode.VI else "emacs"
        parts: StyleAndTextTuples = [("", f" {self._place()}  │  {count_jobs(running)} running")]
        if unseen:
            parts.append(("class:toolbar.failed", f"  │  {count_jobs(unseen)} failed"))
        if waiting := [reason for job in jobs if (reason := waiting_for(job))]:
            reason = waiting[0].split(" (")[0]  # DESCRIBE JOB tells all
            parts.append(("class:toolbar.failed", f"  │  {count_jobs(len(waiting))} waiting: {reason}"))
        parts.append(("", f"  │  F4 {keys}  │  HELP"))
        return parts

    def _place(self) -> str:
        catalog = self.env.catalog
        return f"{catalog.current_catalog}.{catalog.current_database}"


def open_shell(
    env: Environment, console: Console, history: Path | None = None, greeting: str | None = None
) -> int:
    """Runs a shell on a session that its caller owns; the exit code. ``greeting`` replaces the banner."""
    if not console.verbose:
        quiet_logs()
    return Shell(env, console, history, greeting).run()


def count_jobs(n: int) -> str:
    return f"{n} job" if n == 1 else f"{n} jobs"


def banner() -> str:
    """Two lines: what this is, and how to go on."""
    return (
        f"streamsql {version('streamsql')}: Flink SQL, continuous queries in this process.\n"
        "Statements end with ;   HELP lists commands and keys, QUIT leaves.\n"
    )


def history_path() -> Path:
    """$STREAMSQL_HISTORY, or ``history`` in the user's configuration folder of the platform."""
    given = os.environ.get("STREAMSQL_HISTORY")
    if given:
        return Path(given).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "streamsql" / "history"
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home()) / "streamsql" / "history"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "streamsql" / "history"


def open_history(path: Path | None, console: Console) -> History:
    """The history file, readable by its owner only because statements may hold passwords."""
    path = path or history_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        with path.open("a"):
            pass
    except OSError as error:
        console.warning(f"the history is not kept: {error}")
        return InMemoryHistory()
    return FileHistory(path)
