"""Where messages go: results to stdout, ``[INFO]``, ``[WARN]`` and ``[ERROR]`` beside them or to stderr."""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from typing import TextIO

from streamsql.errors import StreamSqlError

RED, YELLOW, GREY, BOLD, OFF = "\x1b[31m", "\x1b[33m", "\x1b[90m", "\x1b[1m", "\x1b[0m"


def is_tty(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # closed, or something without a terminal
        return False


def wants_colour(stream: TextIO) -> bool:
    """Colour only on a terminal, and not with NO_COLOR or TERM=dumb (https://no-color.org)."""
    return is_tty(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Console:
    """The two output streams. Notices go to ``messages``; ``quiet`` leaves out the OK of a statement."""

    def __init__(
        self,
        out: TextIO | None = None,
        messages: TextIO | None = None,
        *,
        verbose: bool = False,
        quiet: bool = False,
    ) -> None:
        self.out = out or sys.stdout
        self.messages = messages or self.out
        self.verbose = verbose
        self.quiet = quiet
        self._status_width = 0

    def line(self, text: str = "") -> None:
        self.clear_status()
        self.out.write(text + "\n")
        self.out.flush()

    def lines(self, texts: list[str]) -> None:
        """Many lines with one write."""
        if texts:
            self.line("\n".join(texts))

    @property
    def columns(self) -> int | None:
        """How wide a line of results may be; None where they do not go to a terminal."""
        return shutil.get_terminal_size().columns if is_tty(self.out) else None

    def info(self, text: str) -> None:
        if not self.quiet:
            self._message("[INFO] " + text, "")

    def note(self, text: str) -> None:
        """Text beside the results, without a label."""
        self._message(text, "")

    def warning(self, text: str) -> None:
        self._message("[WARN] " + text, YELLOW)

    def error(self, error: BaseException, *, place: str = "", verbose: bool = False) -> None:
        """An error as a person should see it; the stack only when asked for."""
        if isinstance(error, StreamSqlError):
            text = str(error)
            cause = error.__cause__
            if cause is not None and str(cause) and str(cause) not in text:
                text += f"\nCause: {_named(cause)}"
        else:
            text = f"unexpected error: {_named(error)}"
            if not (verbose or self.verbose):
                text += "\nHint: run with --verbose, or SET 'sql-client.verbose' = 'true', to see the stack"
        self._message(f"[ERROR] {place}{text}", RED)
        if verbose or self.verbose:
            self._message("".join(traceback.format_exception(error)).rstrip(), GREY)

    def _message(self, text: str, colour: str) -> None:
        self.clear_status()
        if colour and wants_colour(self.messages):
            text = "\n".join(f"{colour}{part}{OFF}" for part in text.split("\n"))
        self.messages.write(text + "\n")
        self.messages.flush()

    # -- a status line that is overwritten in place ----------------------------------------------------------
    def status(self, text: str) -> None:
        """Shows ``text`` on the last line of the terminal until the next output; nothing without a
        terminal."""
        if not is_tty(self.messages):
            return
        columns = shutil.get_terminal_size().columns
        shown = text[: max(columns - 1, 0)]
        self.messages.write("\r" + shown.ljust(min(self._status_width, columns - 1)))
        self.messages.flush()
        self._status_width = len(shown)

    def clear_status(self) -> None:
        if self._status_width:
            self.messages.write("\r" + " " * self._status_width + "\r")
            self.messages.flush()
            self._status_width = 0


def _named(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, StreamSqlError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
