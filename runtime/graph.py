"""A running job's operators as a graph, and the one loop that moves them: a step.

Sources feed their batches in, operators run in topological order, sinks and collectors take what arrives. Watermarks
travel with the step: an operator's input watermark is the minimum over its inputs.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streamsql.changelog import ChangelogBatch

from .operators.base import MAX_WATERMARK, MIN_WATERMARK, Operator, OperatorContext, StepTime


@dataclass
class Vertex:
    """An operator with its place in the graph. ``inputs``: indexes of vertices, ``-1 - n`` for source n."""

    name: str
    operator: Operator
    inputs: tuple[int, ...]
    context: OperatorContext
    watermark: int = MIN_WATERMARK
    output_watermark: int = MIN_WATERMARK
    idle: bool = False
    levels: tuple[int, ...] = ()
    fingerprint: str = ""
    description: str = ""

    @property
    def clocks(self) -> dict[str, Any]:
        """Its event time, as JSON that :meth:`set_clocks` takes."""
        return {
            "watermark": self.watermark,
            "output": self.output_watermark,
            "idle": self.idle,
            "levels": list(self.levels),
        }

    def set_clocks(self, clocks: Mapping[str, Any]) -> None:
        """Becomes as it was when :attr:`clocks` was read."""
        self.watermark, self.output_watermark = clocks["watermark"], clocks["output"]
        self.idle, self.levels = clocks["idle"], tuple(clocks["levels"])


@dataclass
class SourceEdge:
    """What a source hands the graph in one step. ``idle``: it holds nobody's watermark back."""

    batch: ChangelogBatch | None = None
    watermark: int = MIN_WATERMARK
    idle: bool = False


@dataclass
class Graph:
    """Vertices in topological order."""

    vertices: list[Vertex] = field(default_factory=list[Vertex])
    _active: bool = False

    def add(self, name: str, operator: Operator, inputs: Sequence[int], context: OperatorContext) -> int:
        """Append a vertex; returns its index. Names are made unique (``GroupAggregate``, ``GroupAggregate-2``)."""
        taken = {v.name for v in self.vertices}
        unique, n = name, 1
        while unique in taken:
            n += 1
            unique = f"{name}-{n}"
        self.vertices.append(Vertex(unique, operator, tuple(inputs), context))
        return len(self.vertices) - 1

    def open(self) -> None:
        for vertex in self.vertices:
            vertex.operator.open(vertex.context)

    def step(
        self,
        sources: Sequence[SourceEdge],
        now_ms: int,
        check: Callable[[], None] | None = None,
        *,
        last: bool = False,
    ) -> bool:
        """Push one micro-batch of each source through every operator. Returns whether any of them had to do.

        ``last``: the job is drained, what waits is not waited for.
        """
        self._active = False
        outputs: list[ChangelogBatch | None] = []
        for vertex in self.vertices:
            if check is not None:
                check()
            inputs: list[ChangelogBatch | None] = []
            marks: list[tuple[int, bool]] = []
            for i in vertex.inputs:
                if i < 0:
                    edge = sources[-1 - i]
                    inputs.append(edge.batch)
                    marks.append((edge.watermark, edge.idle))
                else:
                    inputs.append(outputs[i])
                    marks.append((self.vertices[i].output_watermark, self.vertices[i].idle))
            watermark, idle = _combined(marks[: vertex.operator.timed_inputs])
            watermark = max(watermark, vertex.watermark)  # never regresses
            levels = tuple(level for level, _ in marks)
            outputs.append(
                self._run(vertex, inputs, StepTime(vertex.watermark, watermark, now_ms, levels, last))
            )
            vertex.idle = idle and not vertex.operator.holds
        return self._active

    def _run(
        self, vertex: Vertex, inputs: list[ChangelogBatch | None], time: StepTime
    ) -> ChangelogBatch | None:
        """One operator's part in a step, if it has any."""
        timer = vertex.operator.next_timer_ms()
        due = (timer is not None and timer <= time.now_ms) or (time.last and vertex.operator.holds)
        has_rows = any(b is not None and b.num_rows for b in inputs)
        moved = time.watermark != vertex.watermark
        if vertex.operator.timed_inputs is not None:
            moved, vertex.levels = moved or time.inputs != vertex.levels, time.inputs
        if not has_rows and not moved and not due:
            return None
        self._active = True
        started = clock.perf_counter_ns()
        metrics = vertex.context.metrics
        metrics.num_records_in += sum(b.num_rows for b in inputs if b is not None)
        metrics.num_state_entries_expired += vertex.operator.expire(time.now_ms)
        out = vertex.operator.process(inputs, time)
        vertex.watermark = time.watermark
        mark = vertex.operator.output_watermark(time.watermark)
        vertex.output_watermark = max(vertex.output_watermark, mark)
        if out is not None:
            metrics.num_records_out += out.num_rows
        metrics.busy_ns += clock.perf_counter_ns() - started
        return out

    def next_timer_ms(self) -> int | None:
        """The earliest processing-time timer of any operator."""
        timers = [t for v in self.vertices if (t := v.operator.next_timer_ms()) is not None]
        return min(timers, default=None)

    @property
    def holds(self) -> bool:
        """Whether rows wait that come out later without further input."""
        return any(v.operator.holds for v in self.vertices)

    def satisfied(self) -> bool:
        """Whether nothing that may still come changes any result: all that reads the sources needs no more."""
        done: list[bool] = []
        for vertex in self.vertices:
            below = bool(vertex.inputs) and all(i >= 0 and done[i] for i in vertex.inputs)
            done.append(below or vertex.operator.satisfied)
        read = {i for v in self.vertices for i in v.inputs}
        ends = [i for i in range(len(done)) if i not in read]
        return bool(ends) and all(done[i] for i in ends)

    def close(self) -> None:
        for vertex in self.vertices:
            vertex.operator.close()


def _combined(marks: Sequence[tuple[int, bool]]) -> tuple[int, bool]:
    """The least watermark of the inputs that are not idle, and whether all that could move it are idle.

    Where the others have ended, an idle input may still bring rows: the watermark then stays as it is.
    """
    active = [watermark for watermark, idle in marks if not idle]
    least = min(active, default=MAX_WATERMARK)
    if len(active) < len(marks) and least == MAX_WATERMARK:
        return MIN_WATERMARK, True
    return least, False
