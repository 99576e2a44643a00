"""Single messages to Kafka topics, without a table: what programs around the engine (the demo) need."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from streamsql.errors import ConnectorError

from .kafka_client import LINGER_MS, LOG, RECONNECT_BACKOFF_MAX_MS, exception_reason, reason

SEND_TIMEOUT_S = 5.0
"""How long a message may wait for a place in the local queue."""
DELIVERY_TIMEOUT_MS = 30_000
"""How long librdkafka tries to deliver a message."""


class MessageWriter:
    """Sends text messages in order. For one thread, but for :attr:`failure`. Usable as a context manager."""

    def __init__(self, bootstrap: str) -> None:
        self.failure: ConnectorError | None = None
        """The first message that could not be delivered, once that is known."""
        self._lock = threading.Lock()
        configuration: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": LINGER_MS,
            "reconnect.backoff.max.ms": RECONNECT_BACKOFF_MAX_MS,
            "message.timeout.ms": DELIVERY_TIMEOUT_MS,
            "partitioner": "murmur2_random",
            "delivery.report.only.error": True,
            "on_delivery": self._on_delivery,
            "error_cb": self._on_error,
        }
        try:
            self._producer: Any = Producer(configuration, logger=LOG)
        except KafkaException as e:
            raise ConnectorError(f"cannot write to Kafka at {bootstrap}: {exception_reason(e)}") from None

    def send(self, topic: str, key: str | None, value: str | None) -> None:
        """Queue a message. Raises ConnectorError when the queue stays full."""
        try:
            self._producer.produce(topic, value=value, key=key)
        except BufferError:
            if self._producer.flush(SEND_TIMEOUT_S):
                raise ConnectorError(
                    f"messages for topic '{topic}' are not accepted: is the broker away?"
                ) from None
            self._producer.produce(topic, value=value, key=key)
        self._producer.poll(0)

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is delivered; False after the timeout."""
        return not self._producer.flush(timeout_s)

    def close(self, timeout_s: float = 1.0) -> None:
        """Deliver what waits, for at most ``timeout_s``; the rest is dropped."""
        if not self.flush(timeout_s):
            self._producer.purge()
            self._producer.flush(timeout_s)

    def _on_delivery(self, error: KafkaError | None, message: Any) -> None:
        """Called for failed messages only."""
        if error is not None and error.code() != KafkaError._PURGE_QUEUE:
            self._fail(f"a message for topic '{message.topic()}' was not delivered: {reason(error)}")

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fail(f"the Kafka producer has failed: {reason(error)}")

    def _fail(self, text: str) -> None:
        with self._lock:
            self.failure = self.failure or ConnectorError(text)

    def __enter__(self) -> MessageWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
