"""Is what has been typed ready to run? Pure functions on text."""

from __future__ import annotations

from streamsql.planner.parsing import is_complete

from .commands import find


def is_ready(text: str) -> bool:
    """Whether Enter runs the text instead of opening a new line: nothing, a client command, or whole
    statements.

    >>> is_ready("SELECT 1"), is_ready("SELECT 1;"), is_ready("quit"), is_ready("SELECT ';'")
    (False, True, True, False)
    """
    return not text.strip() or find(text) is not None or is_complete(text)
