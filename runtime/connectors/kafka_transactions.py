"""Exactly-once output into Kafka: what all sinks of a job write between two checkpoints is one transaction.

Two producers take turns. While the transaction up to the cut of a checkpoint waits for the checkpoint to become
durable, what is written after the cut goes into the other one, so steps go on. The transaction carries the checkpoint's
number (``kafka_decision``), which makes Kafka's commit the only one: there is nothing to make up afterwards.

A run that opens takes over both transactional ids, always in the same order, and begins with the first. Whoever took
the first one last is the only one that can commit, so two runs that start at the same time never both do. It takes the
second one again once it has committed with the first: the other run may have come in between, and cannot any more.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from streamsql.catalog.kafka_properties import transaction_timeout_ms
from streamsql.errors import ConfigError, ConnectorError, FencedError, StreamSqlError

from .base import Transaction
from .kafka_client import LOG, Health, create_producer, error_of, is_hopeless, reason
from .kafka_decision import Decision, DecisionReader, Place
from .kafka_send import CHUNK_MESSAGES, QUEUE_MESSAGES_MAX, Outlet, undelivered

ANSWER_S = 2.0
"""How long one request waits before it looks whether it is still wanted; then it is resumed."""
REQUEST_TIMEOUT_MS = 30_000
"""How long librdkafka waits for an answer; adding an offset to a transaction cannot be left before."""
CLOSE_S = 5.0
"""How long ``close`` takes for aborting what is open; else the next run does it, or the broker after a while."""
TAKEOVER_S = 3.0
"""How long a second run that is behind the end of a transaction may take to show itself."""
LANES = 2

_FENCED = (
    KafkaError._FENCED,
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
)

_PASSING = (
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._WAIT_COORD,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.UNSTABLE_OFFSET_COMMIT,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
)
"""librdkafka marks only the errors of transactions as ones that pass."""


@dataclass
class _Lane:
    """One of the two producers. ``begun``: when its open transaction began, by two clocks; None for none."""

    producer: Any
    begun: tuple[float, float] | None = None
    busy: threading.Lock = field(default_factory=threading.Lock)

    def age_s(self) -> float:
        """How old the transaction is at most; one of the clocks stands still while a machine sleeps."""
        begun = self.begun
        return 0.0 if begun is None else max(time.monotonic() - begun[0], time.time() - begun[1])


class KafkaTransaction(Transaction, Outlet):
    """The transaction of a job; its sinks write into it as their outlet."""

    shared = True

    def __init__(self, place: Place, properties: Mapping[str, str], job_name: str = "") -> None:
        """``properties``: the client's, without prefix. Raises ConfigError for values that cannot be."""
        self._place = place
        self._properties = dict(properties)
        self._owner = f"job '{job_name}'" if job_name else f"transaction '{place.prefix}'"
        self._timeout_ms = transaction_timeout_ms(properties, self._owner)
        self._me = uuid.uuid4().hex
        self.health = Health(self._owner, properties["bootstrap.servers"])
        self._failure: StreamSqlError | None = None
        self._lost: str | None = None
        self._lock = threading.Lock()
        self._asked: float | None = None
        self._closed = False
        self._opened = False
        self._anew = False
        self._current = 0
        self._prepared: tuple[int, _Lane] | None = None
        self._lanes: list[_Lane] = []  # the clients are made by ``open``
        self._readers: dict[str, DecisionReader] = {}

    def _create_producer(self, prefix: str, number: int) -> Any:
        return create_producer(
            self._properties,
            self._owner,
            self.health,
            {
                "transactional.id": f"{prefix}-{number}",
                "transaction.timeout.ms": self._timeout_ms,
                "socket.timeout.ms": min(REQUEST_TIMEOUT_MS, self._timeout_ms),
                "queue.buffering.max.messages": QUEUE_MESSAGES_MAX + 10 * CHUNK_MESSAGES,
                "on_delivery": self._on_delivery,
            },
        )

    # -- the job's side ------------------------------------------------------------------------------------------------
    def record(self) -> Mapping[str, Any]:
        return self._place.as_json()

    def open(self, recorded: Mapping[str, Any] | None) -> tuple[int, str] | None:
        place = self._place if recorded is None else Place.of(recorded)
        # A run of the time when the job had another prefix must not write either.
        if place.prefix != self._place.prefix:
            self._fence(place.prefix, range(LANES))
        self._lanes = [self._taken(0)]
        self._fence(self._place.prefix, range(1, LANES))
        found = self._read(place)
        number, run = (None, "") if found is None else (found.checkpoint, found.run)
        # Nothing committed yet is one thing; to have forgotten it another, which must not look the same next time.
        forgotten = number is None and recorded is not None
        self._anew = forgotten or (recorded is None and bool(number))
        claimed = 0 if number is None and not forgotten else number
        self._decide(self._lanes[0], Decision(claimed, run, self._me))
        self._lanes += [self._taken(i) for i in range(1, LANES)]
        self._opened = True
        return None if number is None else (number, run)

    def _taken(self, number: int) -> _Lane:
        """A lane that is ours: who had its transactional id before is fenced."""
        lane = _Lane(self._create_producer(self._place.prefix, number))
        self._until_answered("opening", lane.producer.init_transactions)
        return lane

    def _fence(self, prefix: str, numbers: Iterable[int]) -> None:
        """End what earlier runs have open under these ids, so that it is not committed any more."""
        for number in numbers:
            producer = self._create_producer(prefix, number)
            self._until_answered("opening", producer.init_transactions)

    def _reader(self, prefix: str) -> DecisionReader:
        if prefix not in self._readers:
            self._readers[prefix] = DecisionReader(self._properties, self._owner, self.health, prefix)
        return self._readers[prefix]

    def _read(self, place: Place) -> Decision | None:
        reader = self._reader(place.prefix)
        answers: list[Decision | None] = []
        self._until_answered("opening", lambda wait_s: answers.append(reader.read(place, wait_s)))
        return answers[0]

    def prepare(self, checkpoint: int) -> None:
        lane = self._begun()
        if self._prepared is not None:
            raise ConnectorError(
                f"{self._owner}: the output up to checkpoint {self._prepared[0]} is not committed yet, "
                f"so checkpoint {checkpoint} cannot be taken"
            )
        self.flush(CLOSE_S)  # the sinks have settled: there is nothing to wait for
        self.raise_failure()
        if len(lane.producer) > 0:
            raise ConnectorError(f"{self._owner}: messages are not acknowledged at checkpoint {checkpoint}")
        with self._lock:
            self._prepared = (checkpoint, lane)
            self._current = (self._current + 1) % LANES
            self.queued_bytes = 0

    def commit(self, checkpoint: int, run: str) -> None:
        self.raise_failure()
        if self._prepared is None or self._prepared[0] != checkpoint:
            raise ConnectorError(f"{self._owner}: checkpoint {checkpoint} is not the one that was prepared")
        self._finish(self._prepared[1], Decision(checkpoint, run, self._me))
        self._prepared = None

    @property
    def outstanding(self) -> int:
        return sum(len(lane.producer) for lane in self._lanes)

    def status(self) -> str | None:
        asked = self._asked
        if asked is not None and time.monotonic() - asked > ANSWER_S:
            self.health.on_silence("it does not answer")
        return self.health.status()

    def close(self) -> None:
        closed, self._closed = self._closed, True
        if closed:
            return
        for lane in self._lanes:
            if not lane.busy.acquire(timeout=ANSWER_S + 1):  # a commit hangs on a broker that is away
                continue
            with contextlib.suppress(KafkaException):
                if lane.begun is not None and self._failure is None and not self.health.away:
                    lane.producer.abort_transaction(CLOSE_S)
                lane.producer.purge()
                lane.producer.flush(0)
            lane.busy.release()
        for reader in self._readers.values():
            reader.close()

    # -- the sinks' side -----------------------------------------------------------------------------------------------
    @property
    def client(self) -> Any:
        return self._lanes[self._current].producer

    @property
    def producer(self) -> Any:
        return self._begun().producer

    def _begun(self) -> _Lane:
        """The lane that is written, in a transaction. Raises what has failed."""
        self.raise_failure()
        with self._lock:
            if self._closed or not self._opened:
                state = "closed" if self._closed else "not open yet"
                raise ConnectorError(f"{self._owner}: its transaction is {state}")
            lane = self._lanes[self._current]
            if lane.begun is not None:
                return lane
            # The decision is forgotten, or an earlier job's, and the job goes on in spite of that.
            if self._anew:
                self._decide(lane, Decision(0, "", self._me))
                self._anew = False
            self._begin(lane)
            return lane

    def poll(self, wait_s: float = 0) -> None:
        if self._closed:
            return
        other = self._lanes[(self._current + 1) % LANES].producer
        try:
            other.poll(0)  # a commit waits there; what it hears of brokers is told here
        except KafkaException as e:
            raise self.failed("writing", error_of(e)) from None
        super().poll(wait_s)

    def flush(self, wait_s: float) -> None:
        try:
            super().flush(wait_s)
        except SystemError:
            # The client's, where it reports a delivery after it has raised what ends the producer.
            self.raise_failure()
            raise

    def raise_failure(self) -> None:
        if self._failure is None and self.health.failure is not None:
            self._failure = self.health.failure
        if self._failure is None and self._lost is not None:
            # A delivery fails for a reason of its own, or because the transaction is no longer ours.
            self._failure = self._cause() or ConnectorError(self._lost)
        if self._failure is not None:
            raise self._failure

    def _on_delivery(self, error: KafkaError | None, message: Any) -> None:
        """Called for failed messages only (``delivery.report.only.error``)."""
        purged = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)
        if error is not None and not (self._closed and error.code() in purged):
            self._lost = self._lost or f"{self._owner}: {undelivered(message)}: {reason(error)}"

    # -- transactions --------------------------------------------------------------------------------------------------
    def _begin(self, lane: _Lane) -> None:
        try:
            lane.producer.begin_transaction()
        except KafkaException as e:
            raise self.failed("beginning a transaction", error_of(e)) from None
        lane.begun = (time.monotonic(), time.time())

    def _decide(self, lane: _Lane, decision: Decision) -> None:
        """Commit a decision without output."""
        self._begin(lane)
        self._finish(lane, decision)

    def _finish(self, lane: _Lane, decision: Decision) -> None:
        offsets, group = [decision.offset(self._place)], self._reader(self._place.prefix).group
        with lane.busy:
            self._until_answered(
                "committing",
                lambda wait_s: lane.producer.send_offsets_to_transaction(offsets, group, wait_s),
            )
            self._until_answered("committing", lane.producer.commit_transaction)
            lane.begun = None

    def _until_answered(self, doing: str, ask: Callable[[float], object]) -> None:
        """Ask until a broker answers: all these requests may be made again, and go on where they were."""
        while True:
            if self._closed:
                raise ConnectorError(f"{self._owner} was closed while {doing}")
            try:
                self._asked = time.monotonic() if self._asked is None else self._asked
                ask(ANSWER_S)
            except KafkaException as e:
                error = error_of(e)
                if error.fatal() or is_hopeless(e) or not _passes(error):
                    self._asked = None
                    raise self.failed(doing, error) from None
                self.health.on_silence(reason(error))
                if error.code() != KafkaError._TIMED_OUT:
                    time.sleep(0.1)
                continue
            self._asked = None
            self.health.on_answer()
            return

    # -- errors --------------------------------------------------------------------------------------------------------
    def failed(self, what: str, error: KafkaError) -> StreamSqlError:
        if self._failure is None:
            known = self._cause() if error.code() in (KafkaError._FATAL, KafkaError._STATE) else None
            self._failure = known or self._diagnosed(what, error)
        return self._failure

    def _cause(self) -> StreamSqlError | None:
        """Why a producer is broken: it says so when asked to begin a transaction. None for one that is not."""
        for lane in self._lanes:
            if lane.begun is None:
                continue
            try:
                lane.producer.begin_transaction()
            except KafkaException as e:
                error = error_of(e)
                if error.fatal():
                    return self._diagnosed("writing", error)
        return None

    def _diagnosed(self, what: str, error: KafkaError) -> StreamSqlError:
        if error.code() == KafkaError.INVALID_TRANSACTION_TIMEOUT:
            return ConfigError(
                f"{self._owner}: the broker does not allow transactions of {self._timeout_ms} ms",
                hint="set 'properties.transaction.timeout.ms' to at most the broker's transaction.max.timeout.ms",
            )
        if error.code() not in _FENCED:
            return ConnectorError(f"{self._owner}: {what} failed: {reason(error)}")
        expired = self._expired()
        if self._taken_over() if expired else not self._keeps_first():
            return FencedError(
                f"{self._owner}: another run with 'sink.transactional-id-prefix' = '{self._place.prefix}' "
                "has taken over; nothing of this one was committed since",
                hint="run a job once, and give each job a prefix of its own",
            )
        if not expired:
            return ConnectorError(
                f"{self._owner}: another run with 'sink.transactional-id-prefix' = '{self._place.prefix}' began at the "
                "same time and gave up, but has ended a transaction of this one",
                hint="run a job once; this one goes on from its last checkpoint where it may begin again",
            )
        return ConnectorError(
            f"{self._owner}: the broker ended a transaction that was open for more than {self._timeout_ms} ms",
            hint="take checkpoints more often, or raise 'properties.transaction.timeout.ms'",
        )

    def _expired(self) -> bool:
        """Whether the broker may have ended a transaction for its age, which fences the producer as well."""
        return any(lane.age_s() * 1000 >= self._timeout_ms for lane in self._lanes)

    def _taken_over(self) -> bool:
        """Whether another run has written the decision since; a broker that does not say is taken for a no."""
        deadline = time.monotonic() + TAKEOVER_S
        while time.monotonic() < deadline and not self._closed:
            with contextlib.suppress(KafkaException):
                found = self._reader(self._place.prefix).read(self._place, ANSWER_S)
                if found is not None and found.owner != self._me:
                    return True
            time.sleep(0.2)
        LOG.warning("%s: a transaction ran out, and nobody has taken over", self._owner)
        return False

    def _keeps_first(self) -> bool:
        """Whether the first transactional id, which decides, is still ours: the broker takes part of a transaction.

        What cannot be asked is taken for a no. For a run that has failed: nothing is committed here.
        """
        lane, reader = self._lanes[0], self._reader(self._place.prefix)
        if not lane.busy.acquire(blocking=False):  # it is the one that failed, or is asked right now
            return False
        deadline = time.monotonic() + TAKEOVER_S
        try:
            while time.monotonic() < deadline and not self._closed:
                try:
                    found = reader.read(self._place, ANSWER_S)
                    if found is None or found.owner != self._me:
                        return False
                    if lane.begun is None:
                        lane.producer.begin_transaction()
                        lane.begun = (time.monotonic(), time.time())
                    offsets = [found.offset(self._place)]
                    lane.producer.send_offsets_to_transaction(offsets, reader.group, ANSWER_S)
                except KafkaException as e:
                    if error_of(e).fatal() or not _passes(error_of(e)):
                        return False
                else:
                    return True
            return False
        finally:
            lane.busy.release()


def _passes(error: KafkaError) -> bool:
    """Whether trying again helps."""
    if error.txn_requires_abort():
        return False
    return bool(error.retriable()) or error.code() in _PASSING
