"""The end of a thread that reads ahead for a source."""

from __future__ import annotations

import threading
from collections.abc import Callable

_GIVEN_S = 0.1
"""What the thread is in the middle of may end by itself for so long."""


def end_reader(
    thread: threading.Thread,
    closed: threading.Event,
    lock: threading.Condition,
    cancel: Callable[[], None] | None = None,
) -> None:
    """Has a source's thread end, which looks at ``closed`` and may wait for ``lock``.

    ``cancel``: called, perhaps several times, to end what it waits for elsewhere.
    """
    closed.set()
    with lock:
        lock.notify_all()
    while thread.is_alive() and thread is not threading.current_thread():
        thread.join(None if cancel is None else _GIVEN_S)
        if cancel is not None and thread.is_alive():
            cancel()
