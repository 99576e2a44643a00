"""A reading of a job's counters. The job's thread takes it between steps, anybody may look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .graph import Graph
from .operators.base import MAX_WATERMARK, MIN_WATERMARK, OperatorContext
from .operators.sink import Sink
from .source_task import SourceTask, pending


@dataclass(frozen=True)
class JobMetrics:
    """``watermark_ms`` is the lowest of the sources, None before the first. ``checkpoint``: the last complete one.

    ``checkpoint_ms``: how long that took from its cut on; ``checkpoint_bytes``: of state that it has written;
    ``restarts``: how often the job began again.
    """

    watermark_ms: int | None = None
    rows_per_second: float = 0.0
    lag: int | None = None
    records_in: int = 0
    records_out: int = 0
    steps: int = 0
    late_records_dropped: int = 0
    bad_records: int = 0
    status_lines: list[str] = field(default_factory=list[str])
    operators: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    checkpoint: int | None = None
    checkpoint_ms: int | None = None
    checkpoint_bytes: int | None = None
    restarts: int = 0

    def total(self, counter: str) -> int:
        """A counter summed over the operators: ``stateBytes``, ``numStateEntriesExpired``, …"""
        return sum(counters[counter] for counters in self.operators.values())


def read_metrics(graph: Graph, sources: Sequence[SourceTask], *, steps: int) -> JobMetrics:
    """The counters of a graph and its sources. Job's thread."""
    vertices = graph.vertices
    watermark = min((s.watermark for s in sources), default=MIN_WATERMARK)
    lines = [line for s in sources if (line := s.source.status())]
    lines += [line for v in vertices if isinstance(v.operator, Sink) and (line := v.operator.sink.status())]
    read_by = {i for v in vertices for i in v.inputs}
    return JobMetrics(
        watermark_ms=watermark if MIN_WATERMARK < watermark < MAX_WATERMARK else None,
        lag=pending(sources),
        records_in=sum(s.records_in for s in sources),
        records_out=sum(v.context.metrics.num_records_in for i, v in enumerate(vertices) if i not in read_by),
        steps=steps,
        late_records_dropped=sum(v.context.metrics.num_late_records_dropped for v in vertices),
        bad_records=sum(s.bad_record_count for s in sources),
        status_lines=lines,
        operators={v.name: _counters(v.context) for v in vertices},
    )


def _counters(context: OperatorContext) -> dict[str, int]:
    """What one operator counts, under Flink's names where it has one."""
    m = context.metrics
    return {
        "numRecordsIn": m.num_records_in,
        "numRecordsOut": m.num_records_out,
        "numLateRecordsDropped": m.num_late_records_dropped,
        "numNullTimeDropped": m.num_null_time_dropped,
        "numNullKeyDropped": m.num_null_key_dropped,
        "numNullValueDropped": m.num_null_value_dropped,
        "numStateEntriesExpired": m.num_state_entries_expired,
        "hitCount": m.num_cache_hits,
        "missCount": m.num_cache_misses,
        "stateRows": max((s.row_count for s in context.states.values()), default=0),
        "stateBytes": sum(s.nbytes for s in context.states.values()),
        "busyTimeMs": m.busy_ns // 1_000_000,
    }
