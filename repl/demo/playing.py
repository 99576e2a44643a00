"""Starts a market and a session on it, and ends both: a context in which everything runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from streamsql.errors import ConnectorError
from streamsql.runtime.connectors.kafka_messages import MessageWriter
from streamsql.runtime.connectors.mock_cluster import MockCluster, create_topics
from streamsql.session import TableEnvironment

from .feed import Feed
from .market import Market
from .topics import partitions, statements

SEEDED_START_MS = 1_521_190_800_000
"""2018-03-16 09:00 UTC, the morning of the first game: tick 0 of a market that is to be repeatable."""
HISTORY_MS = 60_000
HISTORY_TICKS_MIN, HISTORY_TICKS_MAX = 60, 600
"""A market has a past when it opens, so that queries answer at once: so long, and so many ticks."""
DELIVERY_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Playing:
    """A market that runs: the session on it, where its Kafka is, and what feeds it."""

    env: TableEnvironment
    bootstrap: str
    feed: Feed


@contextmanager
def playing(bootstrap: str | None, seed: int, *, repeatable: bool, tick_ms: int) -> Generator[Playing]:
    """Runs a market on the brokers at ``bootstrap``, else on a Kafka endpoint of its own.

    ``repeatable``: times depend on the seed alone too. The session's clock is the market's.
    """
    ticks = history_ticks(tick_ms)
    past_ms = ticks * tick_ms
    now_ms = clock(SEEDED_START_MS + past_ms if repeatable else None)
    start_ms = SEEDED_START_MS if repeatable else now_ms() - past_ms
    with ExitStack() as stack:
        if bootstrap is None:
            address, startup = stack.enter_context(MockCluster()).bootstrap, startup_options(None)
        else:
            address, startup = bootstrap, startup_options(int(time.time() * 1000))
        _create_topics(address)
        writer = stack.enter_context(MessageWriter(address))
        feed = Feed(Market(seed, start_ms, tick_ms), writer, now_ms)
        feed.prefill(ticks)
        env = stack.enter_context(TableEnvironment(now_ms=now_ms))
        for statement in statements(address, startup):
            env.execute_sql(statement)
        if not writer.flush(DELIVERY_TIMEOUT_S) or writer.failure is not None:
            raise writer.failure or ConnectorError(f"Kafka at {address} does not take the market's messages")
        stack.callback(feed.stop)
        feed.start()
        yield Playing(env, address, feed)


def _create_topics(address: str) -> None:
    try:
        create_topics(address, partitions())
    except ConnectorError as error:
        error.hint = error.hint or "without --bootstrap-servers, the demo brings a Kafka of its own"
        raise


def history_ticks(tick_ms: int) -> int:
    """How many ticks a market has behind it when it opens."""
    return min(max(HISTORY_MS // tick_ms, HISTORY_TICKS_MIN), HISTORY_TICKS_MAX)


def startup_options(since_ms: int | None) -> dict[str, str]:
    """Where tables begin: at this market's first message. ``since_ms`` None: the topics are new."""
    if since_ms is None:
        return {"scan.startup.mode": "earliest-offset"}
    return {"scan.startup.mode": "timestamp", "scan.startup.timestamp-millis": str(since_ms)}


def clock(start_ms: int | None) -> Callable[[], int]:
    """The machine's clock; or one that shows ``start_ms`` now, and goes on from there."""
    if start_ms is None:
        return lambda: int(time.time() * 1000)
    began = time.monotonic()
    return lambda: start_ms + int((time.monotonic() - began) * 1000)
