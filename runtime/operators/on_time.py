"""Rows of an event-time operator: late ones and those without a time are counted and left out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..accumulators import numpy
from .base import OperatorMetrics

I64 = npt.NDArray[np.int64]


def times_ms(column: pa.Array) -> I64:
    """Epoch milliseconds of timestamps; 0 for NULL."""
    us: I64 = numpy(column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()), np.int64)
    return us // 1000


def on_time(
    rows: pa.RecordBatch, column: int, watermark: int, metrics: OperatorMetrics
) -> tuple[pa.RecordBatch, I64]:
    """The rows whose time is later than ``watermark``, and their times."""
    times = times_ms(rows.column(column))
    null = numpy(rows.column(column).is_null(), np.bool_)
    late = ~null & (times <= watermark)
    if not (null.any() or late.any()):
        return rows, times
    metrics.num_null_time_dropped += int(null.sum())
    metrics.num_late_records_dropped += int(late.sum())
    keep = ~null & ~late
    return rows.filter(pa.array(keep)), times[keep]
