"""The testing kit: what people test their own pipelines with, and we ours. ``docs/testing.md`` is its manual.

In: a session, ``CREATE TABLE`` statements without WITH, rows as Python tuples. Out: changelogs and tables as Python
rows, and AssertionErrors that show what differs.

Read ``tables.py`` (a declaration becomes a table), ``values.py`` (Python values in and out), ``source.py``,
``sink.py``, ``clock.py`` (time by hand), ``text.py`` (changelogs as text tables), ``rules.py`` and ``compare.py``
(what a changelog must keep, equality), ``every_way.py``, ``plugin.py`` (the same as pytest fixtures). Names are
imported when first used: pytest loads the plugin in every run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .clock import VirtualClock, settle
    from .every_way import Input, run_every_way
    from .rules import ChangelogError, replay
    from .sink import SinkTable, sink_table
    from .source import SourceTable, source_table
    from .text import assert_changelog, assert_rows

_HOMES = {
    "ChangelogError": "rules",
    "Input": "every_way",
    "SinkTable": "sink",
    "SourceTable": "source",
    "VirtualClock": "clock",
    "assert_changelog": "text",
    "assert_rows": "text",
    "replay": "rules",
    "run_every_way": "every_way",
    "settle": "clock",
    "sink_table": "sink",
    "source_table": "source",
}

__all__ = [
    "ChangelogError",
    "Input",
    "SinkTable",
    "SourceTable",
    "VirtualClock",
    "assert_changelog",
    "assert_rows",
    "replay",
    "run_every_way",
    "settle",
    "sink_table",
    "source_table",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'streamsql.testing' has no attribute '{name}'")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
