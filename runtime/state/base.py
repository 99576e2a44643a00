"""The contract of declared state: what the engine may do with a state without knowing what it means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import pyarrow as pa

IMMUTABLE_PREFIX = "run-"
"""A snapshot table whose name begins so keeps its content while the state lives: a checkpoint writes it once.

A restored state goes on from the names it found, so such a file of a checkpoint other than the one restored
may hold something else.
"""

KEYED_PREFIX = "slots-"
"""A snapshot table whose name begins so has one row a slot: columns ``slot`` (int64), ``live`` (bool), then values.

:meth:`State.changes` gives only the rows of slots written since the last cut, ``live`` false where a slot was
emptied; later rows replace earlier ones of the same slot. :meth:`State.restore` is given one row per live slot.
"""


class State(ABC):
    """One named piece of an operator's state.

    A state is used by one thread at a time; the engine snapshots and reads it between two steps.
    """

    @abstractmethod
    def snapshot(self) -> dict[str, pa.Table]:
        """All that :meth:`restore` needs, as tables that later changes of the state do not touch.

        Immutable data is handed out by reference; only mutable arrays are copied.
        """

    def track_changes(self) -> None:
        """From now on remember what :meth:`changes` needs; called once, before the first step or restore."""

    def changes(self) -> dict[str, pa.Table]:
        """As :meth:`snapshot`, but tables named :data:`KEYED_PREFIX` hold what changed since the last call.

        The first call after :meth:`track_changes` or :meth:`restore` gives everything, or everything that
        differs from what was restored. Cost is proportional to the change.
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
