"""The named moments of a checkpoint at which a process may die; tests let it die there."""

from __future__ import annotations

from collections.abc import Callable

POINTS = (
    "before-prepare",  # the cut is due, nothing is done yet
    "after-prepare",  # sinks have settled and drawn their line
    "before-write",  # the snapshot is taken, none of it is written
    "after-write",  # the checkpoint is durable, its output is not committed
    "after-transaction",  # the outside commit is done, files are still hidden
    "after-commit",  # all output is visible, the checkpoint is not yet marked complete
    "after-complete",  # nothing is left to do for it
)

Reach = Callable[[str], None]
"""Called at each point with its name; what it raises ends the attempt there."""


def passes(point: str) -> None:
    """The normal case: nothing happens."""
