"""Messages of the assigned partitions as columns: what one read of a Kafka source brings, before decoding.

Work for each message is Python's share of the cost, so only what the table needs is taken out of it: value,
partition and offset always, the rest on request. Order within a partition is kept; a message is handed over
once, also across pauses and lost connections.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, KafkaError, Message

from streamsql.errors import ConnectorError

from .kafka_client import LOG, Health, reason
from .kafka_offsets import Partition, Span

CHUNK_MESSAGES = 500
"""Messages taken from librdkafka at once: their objects are freed while still in the processor's cache, and
before Python's garbage collector wakes (at 700 objects; it took a fifth of the time of chunks of 2,000)."""
PACE_S = 0.01
"""Time between two batches at least, for whose sake messages are gathered. Each batch costs a millisecond or
more to decode and a step of the job; the first message after a pause of this length goes out at once."""
BATCH_MESSAGES_MAX = 65_536
"""A batch ends at so many messages: the stages behind begin early and little memory is held, while the two
milliseconds a batch costs are spread over enough of them."""
BATCH_BYTES_MAX = 64 * 1024 * 1024
"""A batch ends when its values exceed this, however few they are."""
NO_END = np.iinfo(np.int64).max

Headers = Sequence[tuple[str, bytes | None]] | None


@dataclass(frozen=True)
class Wanted:
    """Which parts of a message the table needs besides value, partition and offset."""

    keys: bool = False
    timestamps: bool = False
    headers: bool = False
    leader_epochs: bool = False


@dataclass(frozen=True)
class Fetched:
    """Columns of the messages of one read, in order of arrival. All have ``len(offsets)`` entries or are
    None.

    ``split_ids`` index the fetcher's partitions. ``positions``: partition index → next offset, for the
    partitions that moved. ``finished``: indexes of partitions that have ended.
    """

    values: pa.BinaryArray
    split_ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    positions: Mapping[int, int]
    finished: frozenset[int]
    keys: pa.BinaryArray | None = None
    timestamps: npt.NDArray[np.int64] | None = None
    timestamp_types: npt.NDArray[np.int32] | None = None
    headers: Sequence[Headers] | None = None
    leader_epochs: Sequence[int | None] | None = None


@dataclass
class _Chunk:
    """The same columns of one ``consume``, unfiltered."""

    values: pa.BinaryArray
    split_ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    keys: pa.BinaryArray | None
    stamps: npt.NDArray[np.int64] | None
    headers: list[Headers] | None
    epochs: list[int | None] | None


class Fetcher:
    """Reads the assigned partitions of a consumer. Belongs to the reader's thread."""

    def __init__(self, consumer: Any, health: Health, wanted: Wanted, owner: str) -> None:
        self._consumer = consumer
        self._health = health
        self._wanted = wanted
        self._owner = owner
        self.partitions: list[Partition] = []
        self._ids: dict[Partition, int] = {}
        self._next = np.zeros(0, np.int64)
        self._end = np.zeros(0, np.int64)
        self._high = np.zeros(0, np.int64)
        self._assigned: set[int] = set()
        self._finished: set[int] = set()
        self._newly_finished: set[int] = set()
        self._at_end: set[int] = set()
        self._paused: frozenset[int] = frozenset()
        self._last_batch = 0.0
        self._topic_base: dict[str, int] = {}
        self._lookup = np.zeros(0, np.int32)

    @property
    def done(self) -> bool:
        """Whether every partition has ended, and ``fetch`` has said so."""
        return len(self._finished) == len(self.partitions) and not self._newly_finished

    def assign(self, spans: Sequence[Span]) -> None:
        """Begin to read these partitions as well. An empty span is finished at once."""
        begin = len(self.partitions)
        self.partitions.extend(s.partition for s in spans)
        for i, span in enumerate(spans, begin):
            self._ids[span.partition] = i
            if span.end is not None and span.start >= span.end:
                self._finish(i)
        self._next = np.concatenate([self._next, np.array([s.start for s in spans], np.int64)])
        ends = [NO_END if s.end is None else s.end for s in spans]
        self._end = np.concatenate([self._end, np.array(ends, np.int64)])
        self._high = np.concatenate([self._high, np.array([s.high for s in spans], np.int64)])
        self._index_topics()
        reading = {i: s.partition.at(s.start) for i, s in enumerate(spans, begin) if i not in self._finished}
        if reading:
            self._consumer.incremental_assign(list(reading.values()))
            self._assigned |= reading.keys()

    def _index_topics(self) -> None:
        """``_lookup[_topic_base[topic] + partition number]`` is the partition's index."""
        self._topic_base = {}
        size = 0
        for topic in dict.fromkeys(p.topic for p in self.partitions):
            self._topic_base[topic] = size
            size += 1 + max(p.number for p in self.partitions if p.topic == topic)
        self._lookup = np.full(size, -1, np.int32)
        for i, p in enumerate(self.partitions):
            self._lookup[self._topic_base[p.topic] + p.number] = i

    def pause(self, splits: frozenset[str]) -> None:
        """Read all partitions but these."""
        wanted = frozenset(i for i, p in enumerate(self.partitions) if p.split in splits) - self._finished
        stop, go = wanted - self._paused, self._paused - wanted - self._finished
        if stop:
            self._consumer.pause([self.partitions[i].at(-1) for i in stop])
        if go:
            self._consumer.resume([self.partitions[i].at(-1) for i in go])
        self._paused = wanted

    def known_ends(self) -> dict[str, int]:
        """Per split, the offset up to which messages are known to exist and will be read."""
        known: dict[str, int] = {}
        for i, p in enumerate(self.partitions):
            marks = self._consumer.get_watermark_offsets(p.at(-1), cached=True)
            high = max(int(self._high[i]), marks[1] if marks is not None else 0)
            known[p.split] = min(high, int(self._end[i]))
        return known

    def fetch(self, wait_s: float, messages_max: int) -> Fetched | None:
        """What has arrived, waiting ``wait_s`` for the first message; None for nothing.

        A message goes out at once, with whatever stands behind it, unless the last batch was less than PACE_S
        ago: few when they trickle, many under load. Raises ConnectorError for what no waiting can mend.
        """
        chunks: list[_Chunk] = []
        first = None if self._newly_finished else self._consumer.poll(wait_s)
        messages = [] if first is None else [first]
        count = size = 0
        while messages:
            chunk = self._extract(messages)
            if chunk is not None:
                chunks.append(chunk)
                count += len(chunk.offsets)
                size += chunk.values.nbytes
            if count >= messages_max or size >= BATCH_BYTES_MAX:
                break
            gather_s = max(0.0, self._last_batch + PACE_S - time.monotonic())
            messages = self._consumer.consume(min(CHUNK_MESSAGES, messages_max - count), gather_s)
        self._health.raise_failure()
        if not chunks and not self._newly_finished:
            return None
        self._last_batch = time.monotonic()
        return self._admitted(chunks)

    def _extract(self, messages: list[Any]) -> _Chunk | None:
        """The wanted columns of messages; errors among them are events."""
        if any(map(Message.error, messages)):
            self._events([m for m in messages if m.error()])
            messages = [m for m in messages if not m.error()]
        n = len(messages)
        if n == 0:
            return None
        wanted = self._wanted
        return _Chunk(
            values=pa.array(list(map(Message.value, messages)), pa.binary()),
            split_ids=self._split_ids(messages),
            offsets=np.fromiter(map(Message.offset, messages), np.int64, n),
            keys=pa.array(list(map(Message.key, messages)), pa.binary()) if wanted.keys else None,
            stamps=np.array(list(map(Message.timestamp, messages)), np.int64) if wanted.timestamps else None,
            headers=[m.headers() for m in messages] if wanted.headers else None,
            epochs=list(map(Message.leader_epoch, messages)) if wanted.leader_epochs else None,
        )

    def _split_ids(self, messages: list[Any]) -> npt.NDArray[np.int32]:
        n = len(messages)
        if len(self.partitions) == 1:
            return np.zeros(n, np.int32)
        numbers = np.fromiter(map(Message.partition, messages), np.int32, n)
        if len(self._topic_base) > 1:
            base = (self._topic_base[m.topic()] for m in messages)
            numbers = numbers + np.fromiter(base, np.int32, n)
        return self._lookup[numbers]

    def _events(self, events: Iterable[Any]) -> None:
        """End of a partition, or something librdkafka has to say about one."""
        for event in events:
            error = event.error()
            if error.code() == KafkaError._PARTITION_EOF:
                self._health.on_answer()
                i = self._ids.get(Partition(event.topic(), event.partition()))
                if i is not None and event.offset() >= self._end[i]:
                    self._at_end.add(i)
                    self._finish(i)
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise ConnectorError(
                    f"{self._owner}: {event.topic()}-{event.partition()}: {reason(error)}",
                    hint="set 'properties.auto.offset.reset' to 'earliest' or 'latest' to go on from there",
                )
            else:
                LOG.warning("%s: %s", self._owner, error)
                self._health.on_error(error)

    def _finish(self, i: int) -> None:
        if i not in self._finished:
            self._finished.add(i)
            self._newly_finished.add(i)

    def _admitted(self, chunks: Sequence[_Chunk]) -> Fetched:
        """The chunks as one, without what was handed over before and what lies past the end."""
        if chunks:
            self._health.on_answer()
        ids = np.concatenate([c.split_ids for c in chunks]) if chunks else np.zeros(0, np.int32)
        offsets = np.concatenate([c.offsets for c in chunks]) if chunks else np.zeros(0, np.int64)
        keep, moved = self._advance(ids, offsets)
        finished = frozenset(self._newly_finished)
        self._newly_finished.clear()
        gone = finished & self._assigned
        if gone:
            self._consumer.incremental_unassign([self.partitions[i].at(-1) for i in gone])
            self._assigned -= gone
        stamps = _joined([c.stamps for c in chunks], keep)
        return Fetched(
            values=_binary([c.values for c in chunks], keep),
            split_ids=ids if keep is None else ids[keep],
            offsets=offsets if keep is None else offsets[keep],
            positions=moved,
            finished=finished,
            keys=_binary([c.keys for c in chunks], keep) if self._wanted.keys else None,
            timestamps=None if stamps is None else stamps[:, 1],
            timestamp_types=None if stamps is None else stamps[:, 0].astype(np.int32),
            headers=_listed([c.headers for c in chunks], keep) if self._wanted.headers else None,
            leader_epochs=_listed([c.epochs for c in chunks], keep) if self._wanted.leader_epochs else None,
        )

    def _advance(
        self, ids: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64] | None, dict[int, int]]:
        """Move the positions over these messages. Returns the messages to keep (None: all) and the new
        positions."""
        # Of several values for one place numpy keeps the last: first and last offset per partition.
        first = np.full(len(self.partitions), -1, np.int64)
        last = first.copy()
        first[ids[::-1]] = offsets[::-1]
        last[ids] = offsets
        present = np.flatnonzero(last >= 0)
        keep: npt.NDArray[np.int64] | None = None
        if (first[present] < self._next[present]).any() or (last[present] >= self._end[present]).any():
            keep = np.flatnonzero((offsets >= self._next[ids]) & (offsets < self._end[ids]))
            if len(keep) == len(offsets):
                keep = None
        moved: dict[int, int] = {}
        for i in present.tolist():
            after = min(int(last[i]) + 1, int(self._end[i]))
            if after > self._next[i]:
                self._next[i] = moved[i] = after
            if last[i] + 1 >= self._end[i]:
                self._finish(i)
        for i in self._at_end:  # the last records are no messages: marks of transactions, or aborted
            if self._next[i] < self._end[i]:
                self._next[i] = moved[i] = int(self._end[i])
        self._at_end.clear()
        return keep, moved


def timestamp_type_name(code: int) -> str:
    """Flink's name of a message's kind of timestamp."""
    return {TIMESTAMP_CREATE_TIME: "CreateTime", TIMESTAMP_LOG_APPEND_TIME: "LogAppendTime"}.get(
        code, "NoTimestampType"
    )


def _binary(parts: Sequence[pa.BinaryArray | None], keep: npt.NDArray[np.int64] | None) -> pa.BinaryArray:
    whole = pa.concat_arrays(parts) if parts else pa.array([], pa.binary())
    return whole if keep is None else whole.take(pa.array(keep))


def _joined(
    parts: Sequence[npt.NDArray[np.int64] | None], keep: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.int64] | None:
    present = [p for p in parts if p is not None]
    if not present:
        return None
    whole = np.concatenate(present)
    return whole if keep is None else whole[keep]


def _listed(parts: Sequence[list[Any] | None], keep: npt.NDArray[np.int64] | None) -> list[Any]:
    whole = [item for part in parts if part is not None for item in part]
    return whole if keep is None else [whole[i] for i in keep]
