"""The contract of declared state: what the engine may do with a state without knowing what it means."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from itertools import count

import pyarrow as pa

from .memory import StateMemory

IMMUTABLE_PREFIX = "run-"
"""A snapshot table whose name begins so never changes its content: a checkpoint writes it once.

No two tables ever have one name (:func:`fresh_name`), whatever is restored or thrown away.
"""

KEYED_PREFIX = "slots-"
"""A snapshot table whose name begins so has one row a slot: columns ``slot`` (int64), ``live`` (bool), then values.

:meth:`State.changes` gives only the rows of slots written since the last cut, ``live`` false where a slot was
emptied; later rows replace earlier ones of the same slot. :meth:`State.restore` is given one row per live slot.
"""


_names: dict[int, tuple[str, Iterator[int]]] = {}


def fresh_name() -> str:
    """A name that no other process and no other call gives; later ones of a process sort later. Any thread."""
    # a forked process has names of its own
    tag, numbers = _names.setdefault(os.getpid(), (os.urandom(6).hex(), count()))
    return f"{tag}-{next(numbers):012d}"


class State(ABC):
    """One named piece of an operator's state.

    A state is used by one thread at a time; the engine snapshots and reads it between two steps.
    """

    @abstractmethod
    def snapshot(self) -> dict[str, pa.Table]:
        """All that :meth:`restore` needs, as tables that later changes of the state do not touch.

        Immutable data is handed out by reference; only mutable arrays are copied.
        """

    def limit_memory(self, memory: StateMemory) -> None:
        """From now on what grows may lie in files; called once, before anything else. Some states stay in memory."""

    def track_changes(self) -> None:
        """From now on remember what :meth:`changes` needs; called once, before the first step or restore."""

    def changes(self) -> dict[str, pa.Table]:
        """As :meth:`snapshot`, but tables named :data:`KEYED_PREFIX` hold what changed since the last call.

        The first call after :meth:`track_changes` gives everything, the first after :meth:`restore` what differs
        from what was restored. Cost is proportional to the change. What one call has given, the next does not
        repeat: whoever loses it must merge (``keyed.merge_keyed``) or take a :meth:`snapshot`.
        """
        return self.snapshot()

    @abstractmethod
    def restore(self, tables: Mapping[str, pa.Table]) -> None:
        """Becomes the state that gave ``tables``; what was held before is dropped."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes held, spare capacity included."""

    @property
    @abstractmethod
    def row_count(self) -> int:
        """Entries held: keys, values, rows; what a state size metric counts."""

    def next_expiry_ms(self) -> int | None:
        """Processing time at which it pays to free entries whose time to live is over; None for never."""
        return None

    @abstractmethod
    def read(self) -> pa.Table:
        """The content in readable form, for ``SELECT … FROM jobs.<job>.<operator>``."""
