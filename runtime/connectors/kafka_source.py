"""Reads Kafka topics, fetching and decoding ahead of the job.

::

    librdkafka → Reader's thread (columns of bytes) → decoding thread (rows) → short queue → poll() by the job

Fetching holds Python's lock and decoding mostly does not, so the two threads use two cores. The offsets are
the job's: partitions are assigned, never subscribed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from streamsql.catalog.kafka_properties import commits_offsets
from streamsql.errors import DataError

from .base import BadRecord, Position, Source, SourceBatch, SourceContext
from .kafka_client import Health, create_consumer, owner_of, properties_of
from .kafka_fetch import Fetched
from .kafka_metadata import wanted_parts
from .kafka_offsets import scan_plan
from .kafka_queue import Handover, Ready, ReadyQueue
from .kafka_reader import ENDS, Reader
from .kafka_rows import Built, RowBuilder

CLOSE_TIMEOUT_S = 10.0
"""How long ``close`` waits for the threads; they end by themselves later."""
SHOWN_VALUE_MAX = 200
"""Characters of an unreadable value in a message."""

Builder = Callable[[SourceContext], RowBuilder]


class KafkaSource(Source):
    """The source of a ``kafka`` table, and with another ``builder`` of an ``upsert-kafka`` table."""

    def __init__(self, context: SourceContext, builder: Builder = RowBuilder) -> None:
        """Raises ConfigError or UnsupportedError for options and columns that cannot be."""
        self._owner = owner_of(context)
        self._mode = str(context.options.options["error-handling.mode"])
        self._plan = scan_plan(context)
        self.bounded = self._plan.is_bounded
        self.commits = commits_offsets(properties_of(context))
        self._health = Health(self._owner, properties_of(context)["bootstrap.servers"])
        self._rows = builder(context)
        wanted = wanted_parts(
            [key for _, key in context.metadata],
            message_keys=self._rows.key is not None,
            timestamps=self._mode == "log",
        )
        consumer = create_consumer(context, self._health, bounded=self.bounded, reset=self._plan.reset)
        self._fetched: Handover[Fetched] = Handover()
        self._queue = ReadyQueue(context.wake)
        self._reader = Reader(
            context, self._plan, self._health, consumer, wanted, self._fetched, self._on_assigned
        )
        self._polled: dict[str, int] = {}
        self._thread = threading.Thread(
            target=self._decode, name=f"kafka-decode-{context.table.path.name}", daemon=True
        )

    # -- the job's side ---------------------------------------------------------------------------
    def start(self) -> None:
        self._reader.start()
        self._thread.start()

    def poll(self, max_rows: int) -> SourceBatch | None:
        ready = self._queue.take(max_rows, self.splits())
        if ready is None:
            return None
        self._polled.update((split, int(offset)) for split, offset in ready.positions.items())
        return SourceBatch(
            batch=ready.rows,
            splits=self.splits(),
            split_ids=ready.split_ids,
            positions=ready.positions,
            finished=ready.finished,
            bad_records=ready.bad_records,
        )

    def splits(self) -> Sequence[str]:
        return tuple(p.split for p in self._reader.partitions)

    def pause(self, splits: frozenset[str]) -> None:
        self._reader.paused = splits

    def commit(self, positions: Mapping[str, Position]) -> None:
        self._reader.commit(positions)

    def memory(self) -> Mapping[str, str]:
        ends = self._reader.ends
        return {ENDS: json.dumps(ends)} if ends else {}

    def status(self) -> str | None:
        pattern = self._plan.pattern
        if pattern is not None and self._reader.opened and not self._reader.partitions:
            return self._health.status() or f"no topic matches '{pattern.pattern}' yet"
        return self._health.status()

    def lag(self) -> int | None:
        ends = self._reader.known_ends
        if not ends:
            return None
        return sum(max(0, end - self._polled.get(split, end)) for split, end in ends.items())

    def close(self) -> None:
        self._queue.stop()
        self._fetched.stop()
        self._reader.join(CLOSE_TIMEOUT_S)
        if self._thread.ident is None:
            self._rows.close()
        elif self._thread is not threading.current_thread():
            self._thread.join(CLOSE_TIMEOUT_S)

    # -- the decoding thread ---------------------------------------------------------------------------
    def _decode(self) -> None:
        try:
            while (fetched := self._fetched.get()) is not None:
                self._deliver(fetched)
        except BaseException as e:
            self._queue.fail(e)
        finally:
            self._fetched.stop()
            self._rows.close()

    def _on_assigned(self, starts: Mapping[str, Position]) -> None:
        """The reader's thread: from now on these splits exist, and stand there."""
        self._queue.put(Ready(positions=starts))

    def _deliver(self, fetched: Fetched) -> None:
        """Decode, and queue for the job. Raises DataError in mode ``fail``; the rows before are queued."""
        names = self.splits()
        positions = {names[i]: str(offset) for i, offset in fetched.positions.items()}
        finished = frozenset(names[i] for i in fetched.finished)
        if not len(fetched.offsets):
            self._queue.put(Ready(positions=positions, finished=finished))
            return
        built = self._rows.build(fetched, self._reader.partitions)
        if built.errors and self._mode == "fail":
            self._deliver_before_error(fetched, built, names)
        bad = [self._bad_record(fetched, i, built.errors[i]) for i in sorted(built.errors)]
        rows = built.rows if built.rows.num_rows else None
        places = fetched.split_ids[built.messages], fetched.offsets[built.messages]
        self._queue.put(Ready(rows, *places, positions, finished, bad))

    def _deliver_before_error(self, fetched: Fetched, built: Built, names: Sequence[str]) -> None:
        """The rows before the first message that cannot be read; then raises its DataError."""
        first = min(built.errors)
        rows = np.arange(np.searchsorted(built.messages, first))
        ids, offsets = fetched.split_ids[:first], fetched.offsets[:first]
        positions = {names[i]: str(int(offsets[ids == i][-1]) + 1) for i in map(int, np.unique(ids))}
        if positions:
            before = built.messages[rows]
            self._queue.put(
                Ready(
                    built.rows.take(rows) if len(rows) else None,
                    fetched.split_ids[before],
                    fetched.offsets[before],
                    positions,
                )
            )
        record = self._bad_record(fetched, first, built.errors[first])
        raise DataError(
            f"{self._owner}: cannot read the message at {record.origin}: {record.message}; "
            f"value: {shown(record.value)}",
            hint="'error-handling.mode'='ignore' or 'log' passes over such messages",
        )

    def _bad_record(self, fetched: Fetched, message: int, why: str) -> BadRecord:
        partition = self._reader.partitions[int(fetched.split_ids[message])]
        offset = int(fetched.offsets[message])
        origin = f"topic {partition.topic}, partition {partition.number}, offset {offset}"
        timestamp = None if fetched.timestamps is None else int(fetched.timestamps[message])
        of_key = why.startswith("key: ") and fetched.keys is not None
        source = fetched.keys if of_key else fetched.values
        assert source is not None
        return BadRecord(origin, why, source[message].as_py(), timestamp)


def shown(value: bytes | None) -> str:
    """A value as a person reads it, shortened.

    >>> shown(b'{"a": 1'), shown(None)
    ('{"a": 1', 'NULL')
    """
    if value is None:
        return "NULL"
    text = value[: 4 * SHOWN_VALUE_MAX].decode("utf-8", "backslashreplace")
    if len(text) <= SHOWN_VALUE_MAX:
        return text
    return f"{text[:SHOWN_VALUE_MAX]}… ({len(value)} bytes)"
