"""Sends the market's messages when their time comes, from a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from streamsql.errors import ConnectorError
from streamsql.runtime.connectors.kafka_messages import MessageWriter

from .market import Market, Message


class Feed:
    """A market played to Kafka. ``now_ms`` is the market's clock."""

    def __init__(self, market: Market, writer: MessageWriter, now_ms: Callable[[], int]) -> None:
        self.failure: ConnectorError | None = None
        self._market = market
        self._writer = writer
        self._now_ms = now_ms
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._play, name="demo-feed", daemon=True)

    def prefill(self, ticks: int) -> None:
        """Sends the first ticks at once: a history to look at. Raises ConnectorError."""
        for _ in range(ticks):
            self._send(self._market.tick())
        self._raise_failure()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Sends no more. What went wrong meanwhile is in ``failure``."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self.failure = self.failure or self._writer.failure

    def _play(self) -> None:
        while not self._stopped.is_set():
            for message in self._market.tick():
                if self._stopped.wait(max(0, message.time_ms - self._now_ms()) / 1000):
                    return
                self._send([message])

    def _send(self, messages: Iterable[Message]) -> None:
        """A message that cannot be sent is lost, like one nobody listens to; the next may go through."""
        for message in messages:
            try:
                self._writer.send(message.topic, message.key, message.value)
            except ConnectorError as error:
                self.failure = self.failure or error

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure
