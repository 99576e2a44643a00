"""The librdkafka client of a table: its configuration, its log, and whether the brokers answer.

Logs go to the logger ``streamsql.kafka``; librdkafka never writes to the terminal.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from streamsql.catalog.kafka_properties import PREFIX, Client, client_properties
from streamsql.errors import ConfigError, ConnectorError

from .base import SinkContext, SourceContext

LOG = logging.getLogger("streamsql.kafka")
LOG.addHandler(logging.NullHandler())  # without it, Python prints warnings of an application without logging

FETCH_QUEUE_BACKOFF_MS = 20
"""How long librdkafka waits after its queue was full; its default of 1 s leaves the reader without
messages."""
QUEUED_MESSAGES_MIN = 200_000
"""Messages fetched ahead: more than one batch, so that fetching goes on while a batch is decoded."""
RECONNECT_BACKOFF_MAX_MS = 1_000
"""A broker that comes back is found within a second; the default of 10 s is felt by whoever waits."""
RECOVERY = "none"
"""A client whose brokers are all away connects to them again, with pauses. librdkafka's default ``rebootstrap`` makes
and drops broker objects without a pause, which takes seconds longer to find a broker that is back."""
LINGER_MS = 5
"""How long a message waits for others: long enough to fill batches under load, too short to be seen."""

_AWAY = (
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
    KafkaError._SSL,
)
_NO_TOPIC = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
)
_HOPELESS = (
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
)
"""Waiting does not mend these."""


class Health:
    """Whether the brokers answer, as told by librdkafka's error callback. One writer thread, any readers."""

    def __init__(self, owner: str, bootstrap: str) -> None:
        self._owner = owner
        self._bootstrap = bootstrap
        self._away: tuple[float, str] | None = None
        self.failure: ConnectorError | None = None
        self.topics_in_doubt = False

    def on_error(self, error: KafkaError) -> None:
        """librdkafka's error callback."""
        if error.fatal() or error.code() in _HOPELESS:
            self.failure = self.failure or ConnectorError(f"{self._owner}: {reason(error)}")
        elif error.code() in _NO_TOPIC:
            self.topics_in_doubt = True
        elif error.code() in _AWAY:
            self.on_silence(reason(error))

    def on_silence(self, why: str) -> None:
        """A request was not answered; what was told first stays."""
        if self._away is None:
            self._away = (time.monotonic(), why)

    def on_answer(self) -> None:
        """Something came from a broker."""
        self._away = None

    @property
    def away(self) -> bool:
        return self._away is not None

    def status(self) -> str | None:
        """``broker h:9092 is away since 3 s (…)``, or None."""
        away = self._away
        if away is None:
            return None
        since, why = away
        return f"broker {self._bootstrap} is away since {time.monotonic() - since:.0f} s ({why})"

    def raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure


def reason(error: KafkaError) -> str:
    """librdkafka's text of an error, without its prefixes."""
    if error.code() == KafkaError._ALL_BROKERS_DOWN:
        return "no broker can be reached"
    return str(error.str()).removeprefix("Local: ").removeprefix("Broker: ")


def exception_reason(exception: KafkaException) -> str:
    """The same for an exception."""
    error = exception.args[0] if exception.args else None
    return reason(error) if isinstance(error, KafkaError) else str(exception)


def error_of(exception: KafkaException) -> KafkaError:
    """What an exception of the client carries."""
    error = exception.args[0] if exception.args else None
    return error if isinstance(error, KafkaError) else KafkaError(KafkaError._FAIL, str(exception))


def is_hopeless(exception: KafkaException) -> bool:
    """Whether trying again cannot help."""
    error = exception.args[0] if exception.args else None
    return isinstance(error, KafkaError) and (bool(error.fatal()) or error.code() in _HOPELESS)


def owner_of(context: SourceContext | SinkContext) -> str:
    """How messages call the table."""
    return f"table {context.table.path}"


def properties_of(context: SourceContext | SinkContext) -> dict[str, str]:
    """The ``properties.*`` options without their prefix."""
    return context.options.options.with_prefix(PREFIX)


def create_consumer(context: SourceContext, health: Health, *, bounded: bool, reset: str | None) -> Any:
    """A consumer whose offsets are the job's own. Raises ConfigError for a value librdkafka refuses."""
    given = client_properties(properties_of(context), Client.CONSUMER, owner_of(context))
    configuration: dict[str, Any] = {
        "group.id": f"streamsql.{context.table.path.name}",  # librdkafka wants one; it is never joined
        "metadata.recovery.strategy": RECOVERY,
        "queued.min.messages": QUEUED_MESSAGES_MIN,
        "fetch.queue.backoff.ms": FETCH_QUEUE_BACKOFF_MS,
        "reconnect.backoff.max.ms": RECONNECT_BACKOFF_MAX_MS,
        **given,
        "auto.offset.reset": reset or "error",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": bounded,
        "error_cb": health.on_error,
    }
    return create_client(Consumer, configuration, owner_of(context))


def create_producer(
    properties: Mapping[str, str], owner: str, health: Health, extra: Mapping[str, Any]
) -> Any:
    """A producer that keeps the order and doubles nothing on a retry. Raises ConfigError."""
    given = client_properties(properties, Client.PRODUCER, owner)
    idempotent = given.get("acks", given.get("request.required.acks", "all")) in ("all", "-1")
    configuration: dict[str, Any] = {
        "enable.idempotence": idempotent,
        "metadata.recovery.strategy": RECOVERY,
        "linger.ms": LINGER_MS,
        "reconnect.backoff.max.ms": RECONNECT_BACKOFF_MAX_MS,
        "partitioner": "murmur2_random",  # Java's: equal keys land where other producers put them
        "delivery.report.only.error": True,
        **extra,
        **given,
        "error_cb": health.on_error,
    }
    return create_client(Producer, configuration, owner)


def create_client(kind: Any, configuration: dict[str, Any], owner: str) -> Any:
    """A client of that class. Raises ConfigError for a value librdkafka refuses."""
    try:
        return kind(configuration, logger=LOG)
    except KafkaException as e:
        raise ConfigError(
            f"{owner}: the Kafka client refuses its properties: {exception_reason(e)}",
            hint="see the options 'properties.*' of the table",
        ) from None
