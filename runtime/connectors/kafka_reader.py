"""The fetching thread of a Kafka source: finds and assigns partitions, reads, looks around, commits group
offsets.

It owns the consumer. A broker that is away is waited for, at the start and later.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streamsql.catalog.kafka_properties import commits_offsets
from streamsql.errors import ConnectorError

from .base import Position, SourceContext
from .kafka_client import LOG, Health, exception_reason, is_hopeless, owner_of, properties_of, reason
from .kafka_fetch import BATCH_MESSAGES_MAX, Fetched, Fetcher, Wanted
from .kafka_offsets import Partition, ScanPlan, find_partitions, spans
from .kafka_queue import Handover

WAIT_S = 0.2
"""How long the reader sleeps for a first message before it looks for requests to stop, pause or commit."""
ANSWER_TIMEOUT_S = 1.0
"""How long ``start`` waits for a broker before it leaves the waiting to the reader."""
PROBE_INTERVAL_S = 1.0
"""How often a broker that was away is asked whether it is back."""
COMMIT_INTERVAL_S = 1.0
"""Group offsets only show progress to others; once a second is enough."""
MISSING_TOPIC_PROBES = 5
"""So often, once a second, must a topic be missing to count as deleted: a starting broker may not know it."""

ENDS = "ends"
"""The key in a source's memory for where a bounded read ends."""

OnAssigned = Callable[[Mapping[str, Position]], None]


class Reader:
    """Fetches into ``out`` in its own thread. ``partitions`` only grows; a split's id is its index there.

    ``on_assigned`` is told the first offset of new partitions, in the reader's thread. ``ends``: where a bounded
    read ends, once that is known.
    """

    def __init__(
        self,
        context: SourceContext,
        plan: ScanPlan,
        health: Health,
        consumer: Any,
        wanted: Wanted,
        out: Handover[Fetched],
        on_assigned: OnAssigned,
    ) -> None:
        self._context = context
        self._owner = owner_of(context)
        self._plan = plan
        self._health = health
        self._consumer = consumer
        self._fetcher = Fetcher(consumer, health, wanted, self._owner)
        self._out = out
        self._on_assigned = on_assigned
        self.partitions: tuple[Partition, ...] = ()
        self.known_ends: Mapping[str, int] = {}
        self._remembered = remembered_ends(context.memory) if plan.is_bounded else {}
        self.ends: Mapping[str, int] = self._remembered
        self.paused: frozenset[str] = frozenset()
        self._commits = commits_offsets(properties_of(context))
        self._to_commit: dict[str, Position] = {}
        self._last_commit = self._last_look = self._last_probe = time.monotonic()
        self._missing_probes = 0
        self._opened = threading.Event()  # a broker has answered, or is known to be away
        self._open_error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"kafka-fetch-{context.table.path.name}", daemon=True
        )

    # -- any thread ---------------------------------------------------------------------------
    def start(self) -> None:
        """Returns when the partitions are known, or that no broker answers now. Raises ConnectorError."""
        self._thread.start()
        self._opened.wait()
        if self._open_error is not None and not self.partitions:
            raise self._open_error

    @property
    def opened(self) -> bool:
        return self._opened.is_set()

    def commit(self, positions: Mapping[str, Position]) -> None:
        """Have these committed to the group soon."""
        if self._commits and positions:
            self._to_commit = {**self._to_commit, **positions}
            self._out.notify()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the thread; of one that never began, free the consumer."""
        if self._thread.ident is None:
            self._consumer.close()
        elif self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    # -- its own thread ---------------------------------------------------------------------------
    def _run(self) -> None:
        try:
            if self._open():
                self._read()
                self._stay_for_commits()
        except KafkaException as e:
            self._end_with(ConnectorError(f"{self._owner}: {exception_reason(e)}"))
        except BaseException as e:
            self._end_with(e)
        finally:
            self._opened.set()
            self._consumer.close()

    def _end_with(self, error: BaseException) -> None:
        self._open_error = error
        self._out.fail(error)

    def _open(self) -> bool:
        """Find and assign the partitions; keeps trying while no broker answers. False when asked to stop."""
        while not self._out.stopped:
            try:
                partitions = find_partitions(self._consumer, self._plan, ANSWER_TIMEOUT_S)
                ends = self._remembered
                if ends:  # a bounded read that goes on ends where it would have ended
                    partitions = [p for p in partitions if p.split in ends]
                if not partitions and (self._plan.is_bounded or not self._plan.discovery_ms):
                    pattern = self._plan.pattern.pattern if self._plan.pattern is not None else ""
                    raise ConnectorError(f"{self._owner}: no topic matches '{pattern}'")
                self._assign(partitions, self._context.positions, new=False)
            except KafkaException as e:
                self._wait_for_broker(e)
                continue
            self._health.on_answer()
            self._opened.set()
            return True
        return False

    def _wait_for_broker(self, exception: KafkaException) -> None:
        self._consumer.poll(0)  # runs the error callback
        self._health.raise_failure()
        if is_hopeless(exception):
            raise exception
        self._health.on_silence(exception_reason(exception))
        self._opened.set()
        self._context.wake()
        self._out.wait(PROBE_INTERVAL_S)

    def _assign(self, partitions: list[Partition], positions: Mapping[str, Position], *, new: bool) -> None:
        found = spans(self._consumer, self._plan, partitions, positions, self._remembered, new=new)
        self._fetcher.assign(found)
        if self._plan.is_bounded:
            self.ends = {s.partition.split: s.end for s in found if s.end is not None}
        self.partitions = tuple(self._fetcher.partitions)
        self.known_ends = self._fetcher.known_ends()
        self._on_assigned({s.partition.split: str(s.start) for s in found})

    def _read(self) -> None:
        """Until asked to stop, or every partition of a bounded read has ended."""
        while not self._out.stopped and not (self._plan.is_bounded and self._fetcher.done):
            self._fetcher.pause(self.paused)
            fetched = self._fetcher.fetch(WAIT_S, min(self._context.batch_rows_max, BATCH_MESSAGES_MAX))
            if fetched is not None:
                self._missing_probes = 0
                self.known_ends = self._fetcher.known_ends()
                self._out.put(fetched)
            if self._to_commit and time.monotonic() - self._last_commit >= COMMIT_INTERVAL_S:
                self._commit_now(wait=False)
            self._look_around()

    def _look_around(self) -> None:
        """What is done once in a while: probes of a broker or topic that is away, new partitions."""
        now = time.monotonic()
        if (self._health.away or self._health.topics_in_doubt) and now - self._last_probe >= PROBE_INTERVAL_S:
            self._probe()
            self._last_probe = time.monotonic()
        if self._plan.discovery_ms and (now - self._last_look) * 1000 >= self._plan.discovery_ms:
            self._discover()
            self._last_look = time.monotonic()

    def _probe(self) -> None:
        """Ask whether a broker that was away is back, and whether a topic that seems gone is."""
        mine = {p.topic for p in self.partitions}
        try:
            known = self._consumer.list_topics(timeout=ANSWER_TIMEOUT_S).topics
        except KafkaException:
            return
        self._health.on_answer()
        gone = sorted(mine - known.keys())
        self._missing_probes = self._missing_probes + 1 if gone else 0
        self._health.topics_in_doubt = bool(gone)
        if self._missing_probes >= MISSING_TOPIC_PROBES:
            raise ConnectorError(f"{self._owner}: topic '{gone[0]}' is gone")

    def _discover(self) -> None:
        """Begin to read partitions that have appeared."""
        try:
            found = find_partitions(self._consumer, self._plan, ANSWER_TIMEOUT_S)
            if fresh := [p for p in found if p not in self.partitions]:
                LOG.info("%s: new partitions %s", self._owner, ", ".join(p.split for p in fresh))
                self._assign(fresh, {}, new=True)
        except (KafkaException, ConnectorError) as e:
            LOG.warning("%s: cannot look for new partitions: %s", self._owner, e)

    def _commit_now(self, *, wait: bool) -> None:
        positions, self._to_commit = self._to_commit, {}
        self._last_commit = time.monotonic()
        if not positions or self._health.away:
            return
        offsets = []
        for split, offset in positions.items():
            topic, _, number = split.rpartition("-")
            offsets.append(TopicPartition(topic, int(number), int(offset)))
        try:
            self._consumer.commit(offsets=offsets, asynchronous=not wait)
        except KafkaException as e:
            error = e.args[0]
            if isinstance(error, KafkaError) and error.code() != KafkaError._NO_OFFSET:
                LOG.warning("%s: cannot commit group offsets: %s", self._owner, reason(error))

    def _stay_for_commits(self) -> None:
        """After the last partition: the job may still commit what it polls."""
        while not self._out.stopped:
            self._commit_now(wait=False)
            self._out.wait(None, until=lambda: bool(self._to_commit))
        self._commit_now(wait=True)


def remembered_ends(memory: Mapping[str, str]) -> Mapping[str, int]:
    """Per split, the end that was fixed at the first start; empty where there is none."""
    found: dict[str, int] = json.loads(memory.get(ENDS, "{}"))
    return found
