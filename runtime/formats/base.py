"""What a format promises: message bytes to rows, and back, a batch at a time.

One bad message never drags its batch along: ``decode`` reports it by index and decodes the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.changelog import ChangelogBatch
from streamsql.schema import Schema


@dataclass(frozen=True)
class Decoded:
    """Rows of a batch of messages.

    ``rows``: columns of the decoder's schema (then the requested format metadata columns). ``weights``: None for append
    formats. ``source_index``: for each row the index of the message it came from; None means row i is message i.
    ``errors``: message index → what was found and expected; such messages have no row. In a CDC format one message
    may give two rows (−1 then +1).
    """

    rows: pa.RecordBatch
    weights: npt.NDArray[np.int64] | None = None
    source_index: npt.NDArray[np.int64] | None = None
    errors: Mapping[int, str] = field(default_factory=dict[int, str])

    def changelog(self) -> ChangelogBatch:
        return ChangelogBatch(self.rows, self.weights)


class Decoder(ABC):
    """Bytes to rows of ``schema``. Constructed with its typed options; not thread-safe (one per reader thread)."""

    schema: Schema

    @abstractmethod
    def decode(self, messages: pa.BinaryArray) -> Decoded:
        """Decode all messages; a NULL message is an error unless the format says otherwise (see each format)."""

    def close(self) -> None:
        """Free handles (a DuckDB connection)."""


class Encoder(ABC):
    """Rows of ``schema`` to bytes."""

    schema: Schema

    @abstractmethod
    def encode(self, batch: ChangelogBatch) -> tuple[pa.BinaryArray, npt.NDArray[np.int64]]:
        """Messages, and for each the index of the row it came from. Raises DataError for what cannot be written.

        Append formats receive batches without weights. CDC formats write deletions and insertions in order.
        """

    def close(self) -> None:
        """Free handles."""


def insert_rows(batch: ChangelogBatch) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
    """The rows an append format writes, each as often as its weight says, and their indexes in the batch."""
    index = np.arange(batch.num_rows, dtype=np.int64)
    if batch.weights is None or bool((batch.weights == 1).all()):
        return batch.rows, index
    assert (batch.weights >= 0).all(), "an append format was given deletions"
    index = np.repeat(index, batch.weights)
    return batch.rows.take(pa.array(index)), index


Part = tuple[pa.RecordBatch, npt.NDArray[np.int64]]
"""Rows, and for each the index of its message."""


def merge_parts(
    parts: Sequence[Part], schema: pa.Schema, count: int, has_errors: bool
) -> tuple[pa.RecordBatch, npt.NDArray[np.int64] | None]:
    """Rows read in several ways, in the order of their messages; no index where row i is message i of ``count``."""
    parts = [p for p in parts if p[0].num_rows]
    if not parts:
        return empty_batch(schema), np.zeros(0, np.int64) if count else None
    rows, index = parts[0]
    if len(parts) > 1:
        index = np.concatenate([i for _, i in parts])
        order = np.argsort(index, kind="stable")
        rows = pa.concat_batches([r for r, _ in parts]).take(pa.array(order))
        index = index[order]
    return rows, None if len(index) == count and not has_errors else index


def empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in schema], schema=schema)


__all__ = ["Decoded", "Decoder", "Encoder", "Part", "Sequence", "empty_batch", "insert_rows", "merge_parts"]
