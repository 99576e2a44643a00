"""What every operator promises the driver.

In each step the driver calls ``process`` once per operator in topological order, with at most one batch per
input, and hands the output on. Event time advances at the end of a step: a row is late against
``time.watermark_before``, and after the rows the operator fires what ``time.watermark`` completes.
Operators know no SQL and contain no checkpoint code: they declare their state in ``open`` and the engine
snapshots, restores, measures and shows it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from ..engine import Engine
from ..state.base import State
from ..state.memory import StateMemory

MIN_WATERMARK = -(2**63)
MAX_WATERMARK = 2**63 - 1

S = TypeVar("S", bound=State)


@dataclass(frozen=True)
class StepTime:
    """The clocks of one step in epoch ms: the operator's input watermark before and after, and processing time.

    ``inputs``: the watermark of each input by itself; the highest says that it has ended. ``last``: the job is drained,
    no step follows.
    """

    watermark_before: int
    watermark: int
    now_ms: int
    inputs: tuple[int, ...] = ()
    last: bool = False


@dataclass
class OperatorMetrics:
    """Counters with Flink's names.

    ``num_null_key_dropped``: rows of a join whose key is NULL and that thus come to nothing.
    ``num_null_value_dropped``: rows left out of a sink because a column is NOT NULL. ``num_cache_hits`` and
    ``num_cache_misses``: keys that a lookup found in its cache, and others.
    """

    num_records_in: int = 0
    num_records_out: int = 0
    num_late_records_dropped: int = 0
    num_null_time_dropped: int = 0
    num_null_key_dropped: int = 0
    num_null_value_dropped: int = 0
    num_state_entries_expired: int = 0
    num_cache_hits: int = 0
    num_cache_misses: int = 0
    busy_ns: int = 0


@dataclass
class OperatorContext:
    """What the engine gives an operator when it opens.

    ``ttls``: per input, how long its state is kept without being written, in ms of processing time; 0 for ever.
    ``memory``: the limit of the job's state, None for none.
    """

    engine: Engine
    metrics: OperatorMetrics = field(default_factory=OperatorMetrics)
    time_zone: str = "UTC"
    states: dict[str, State] = field(default_factory=dict[str, State])
    ttls: tuple[int, ...] = ()
    memory: StateMemory | None = None

    def ttl_ms(self, side: int = 0) -> int | None:
        """The time to live of what one input leaves in the state; None for ever."""
        return (self.ttls[side] or None) if side < len(self.ttls) else None

    def state(self, name: str, state: S) -> S:
        """Declare a piece of state under a name unique in the operator."""
        assert name not in self.states, name
        self.states[name] = state
        if self.memory is not None:
            state.limit_memory(self.memory)
        return state


class Operator(ABC):
    """One node of a running job. ``name`` is that of its plan node."""

    name: str = ""
    timed_inputs: int | None = None
    """How many of the inputs, from the first on, hold the watermark back; None for all."""

    def open(self, ctx: OperatorContext) -> None:
        """Bind fragments and declare state. Called once, before the first step."""
        self.ctx = ctx

    @abstractmethod
    def process(self, inputs: Sequence[ChangelogBatch | None], time: StepTime) -> ChangelogBatch | None:
        """One step: consume the inputs' changes, fire what the watermark completes, return the changes (or None)."""

    def output_watermark(self, input_watermark: int) -> int:
        """The watermark downstream operators see after this step."""
        return input_watermark

    @property
    def holds(self) -> bool:
        """Whether rows wait here that come out later without further input: neither idle nor at the end."""
        return False

    def expire(self, now_ms: int) -> int:
        """Forget the state whose time to live is over, and return how many entries that was.

        The driver calls it before every :meth:`process`, which thus never sees an expired entry.
        """
        return 0

    def next_timer_ms(self) -> int | None:
        """Processing time at which the operator wants a step even without input; None for never."""
        times = [t for s in self.ctx.states.values() if (t := s.next_expiry_ms()) is not None]
        return min(times, default=None)

    def content(self) -> pa.Table | None:
        """The rows the operator's output amounts to right now, where its state holds them; None where it does not.

        Columns as its output's, named by position. Called between steps; cost is proportional to the state.
        """
        return None

    @property
    def satisfied(self) -> bool:
        """Whether no input can add to what the operator has emitted: it needs no more."""
        return False

    def close(self) -> None:
        """Free handles."""
