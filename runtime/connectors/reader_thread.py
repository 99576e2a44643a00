"""The end of a thread that reads ahead for a source."""

from __future__ import annotations

import threading


def end_reader(thread: threading.Thread, closed: threading.Event, lock: threading.Condition) -> None:
    """Has a source's thread end, which looks at ``closed`` and may wait for ``lock``."""
    closed.set()
    with lock:
        lock.notify_all()
    if thread.is_alive() and thread is not threading.current_thread():
        thread.join()
