"""The metadata columns of Kafka tables: read from messages, and written with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.datatypes import DataType, Root
from streamsql.errors import UnsupportedError

from .kafka_fetch import Fetched, Headers, Wanted, timestamp_type_name
from .kafka_offsets import Partition

VALUE_PREFIX = "value."
"""Metadata keys of the value's format begin with this."""
_HEADER_LIST = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
_HEADER_MAP = pa.map_(pa.string(), pa.binary())

Rows = npt.NDArray[np.int64]


def wanted_parts(keys: Sequence[str], *, message_keys: bool, timestamps: bool) -> Wanted:
    """What must be taken out of messages for these metadata keys."""
    return Wanted(
        keys=message_keys,
        timestamps=timestamps or "timestamp" in keys or "timestamp-type" in keys,
        headers="headers" in keys or "header-list" in keys,
        leader_epochs="leader-epoch" in keys,
    )


def metadata_column(
    key: str,
    fetched: Fetched,
    rows: Rows,
    partitions: Sequence[Partition],
    declared: DataType,
    time_zone: str,
) -> pa.Array:
    """One metadata column with its declared type; ``rows`` has for each row the index of its message."""
    return convert(_READERS[key](fetched, rows, partitions), declared, time_zone)


def _topic(fetched: Fetched, rows: Rows, partitions: Sequence[Partition]) -> pa.Array:
    names = pa.array([p.topic for p in partitions], pa.string())
    return names.take(pa.array(fetched.split_ids[rows]))


def _partition(fetched: Fetched, rows: Rows, partitions: Sequence[Partition]) -> pa.Array:
    return pa.array(np.array([p.number for p in partitions], np.int32)[fetched.split_ids[rows]])


def _offset(fetched: Fetched, rows: Rows, partitions: Sequence[Partition]) -> pa.Array:
    return pa.array(fetched.offsets[rows])


def _timestamp(fetched: Fetched, rows: Rows, partitions: Sequence[Partition]) -> pa.Array:
    assert fetched.timestamps is not None
    return pa.array(fetched.timestamps[rows] * 1000).cast(pa.timestamp("us", "UTC"))


def _timestamp_type(fetched: Fetched, rows: Rows, partitions: Sequence[Partition]) -> pa.Array:
    assert fetched.timestamp_types is not None
    return pa.array([timestamp_type_name(int(c)) for c in fetched.timestamp_types[rows]], pa.string())


def _leader_epoch(fetched: Fetched, rows: Rows, partitions: Sequence[Partition]) -> pa.Array:
    assert fetched.leader_epochs is not None
    known = [fetched.leader_epochs[i] for i in rows]
    return pa.array([e if e is not None and e >= 0 else None for e in known], pa.int32())


def _headers(fetched: Fetched, rows: Rows, partitions: Sequence[Partition]) -> pa.Array:
    """As a map: of several headers with one name the last counts, as in Flink."""
    assert fetched.headers is not None
    return pa.array([list(dict(fetched.headers[i] or ()).items()) for i in rows], _HEADER_MAP)


def _header_list(fetched: Fetched, rows: Rows, partitions: Sequence[Partition]) -> pa.Array:
    assert fetched.headers is not None
    return pa.array(
        [[{"key": k, "value": v} for k, v in fetched.headers[i] or ()] for i in rows], _HEADER_LIST
    )


_READERS: dict[str, Callable[[Fetched, Rows, Sequence[Partition]], pa.Array]] = {
    "topic": _topic,
    "partition": _partition,
    "headers": _headers,
    "header-list": _header_list,
    "leader-epoch": _leader_epoch,
    "offset": _offset,
    "timestamp": _timestamp,
    "timestamp-type": _timestamp_type,
}


def convert(column: pa.Array, declared: DataType, time_zone: str) -> pa.Array:
    """The column in its declared type. A point in time becomes a local TIMESTAMP in the session's zone.

    Raises UnsupportedError for a type it cannot be declared as.
    """
    target = declared.arrow
    if column.type == target:
        return column
    try:
        if pa.types.is_timestamp(column.type) and declared.root is Root.TIMESTAMP:
            return pc.local_timestamp(column.cast(pa.timestamp("us", time_zone))).cast(target)
        return column.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as e:
        raise UnsupportedError(
            f"a metadata column of Arrow type {column.type} cannot be read as {declared}: {e}"
        ) from None


def written_headers(maps: pa.Array | None, lists: pa.Array | None, count: int) -> list[Headers]:
    """The headers of ``count`` messages from columns ``headers`` and ``header-list`` (those of both, in
    that order)."""
    found: list[list[tuple[str, bytes | None]]] = [[] for _ in range(count)]
    if maps is not None:
        for i, entries in enumerate(maps.to_pylist()):
            found[i].extend((k, v) for k, v in (entries or ()))
    if lists is not None:
        for i, entries in enumerate(lists.to_pylist()):
            found[i].extend((e["key"], e["value"]) for e in (entries or ()) if e is not None)
    return [headers or None for headers in found]


def written_timestamps(column: pa.Array, time_zone: str) -> list[Any]:
    """Epoch milliseconds of a ``timestamp`` column; None where NULL. A TIMESTAMP is local to the session's
    zone."""
    if pa.types.is_timestamp(column.type):
        if column.type.tz is None:
            column = pc.assume_timezone(column, time_zone, ambiguous="earliest", nonexistent="latest")
        column = column.cast(pa.timestamp("ms", "UTC"), safe=False)
    return list(column.cast(pa.int64()).to_pylist())
