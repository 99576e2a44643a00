"""The whole market as messages: a function of the seed, the start and the number of the tick. Pure.

The same three give the same bytes, so that a run can be repeated and tested. Between two ticks gibbs come in,
a burst may take its steps, and traders react to the last price; each tick publishes the next price.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from .gibber import draw_gibbs
from .hype import BURST_STEP_MS, Bubble, hype_pieces
from .prices import Price, PriceWalk, draw_mult
from .traders import Operation, Trader, traders

CONSTANT_KEY = '"GNOU"'
"""The key of messages that belong to nobody, as JSON."""


@dataclass(frozen=True)
class Message:
    """A Kafka message; ``time_ms`` is when it is sent, and the ``time`` inside its value."""

    topic: str
    key: str
    value: str
    time_ms: int


class Market:
    """A market from its first tick on: ``tick`` gives the messages up to and with the next one."""

    def __init__(self, seed: int, start_ms: int, tick_ms: int) -> None:
        """``start_ms``: epoch milliseconds of tick 0, which publishes nothing."""
        self.ticks = 0
        self._seed = seed
        self._time_ms = start_ms
        self._tick_ms = tick_ms
        self._walk = PriceWalk()
        self._bubble = Bubble()
        self._burst_ms: int | None = None  # when the running burst takes its next step
        self._price: Price | None = None
        self._traders = traders()

    def tick(self) -> list[Message]:
        """The messages after the last tick, this one's price included, in order of time."""
        self.ticks += 1
        before, self._time_ms = self._time_ms, self._time_ms + self._tick_ms
        found = [*self._orders(before), *self._gibbs(before)]
        found.sort(key=lambda m: m.time_ms)  # stable: a gibb stays before its pieces
        return [*found, *self._publish()]

    def _random(self, part: str) -> Random:
        """Each part draws from its own numbers in each tick: none depends on how many another drew."""
        return Random(f"{self._seed}:{self.ticks}:{part}")

    # -- gibbs and their hype --------------------------------------------------------------------------------
    def _gibbs(self, before_ms: int) -> Iterator[Message]:
        random, bursts = self._random("gibber"), self._random("burst")
        for gibb in draw_gibbs(random, self._tick_ms):
            time_ms = before_ms + gibb.offset_ms
            fields = {"id": gibb.id, "time": iso(time_ms), "text": gibb.text}
            yield _message("gibber-gibbs", time_ms, fields)
            self._burst_until(time_ms)
            for piece in hype_pieces(gibb.text):
                if self._bubble.add(piece.influence, bursts.random()):
                    self._burst_ms = time_ms + BURST_STEP_MS
                hype: dict[str, Any] = {
                    "time": iso(time_ms),
                    "gibbId": gibb.id,
                    "word": piece.word,
                    "positive": piece.influence > 0,
                    "influence": piece.influence,
                }
                yield _message("share-hype", time_ms, hype)

    def _burst_until(self, time_ms: int) -> None:
        """The steps of a burst that are due."""
        while self._burst_ms is not None and self._burst_ms <= time_ms:
            self._bubble.burst()
            self._burst_ms = self._burst_ms + BURST_STEP_MS if self._bubble.step is not None else None

    # -- prices ----------------------------------------------------------------------------------------------
    def _publish(self) -> Iterator[Message]:
        self._burst_until(self._time_ms)
        mult = draw_mult(self._random("price"))
        self._price = self._walk.tick(mult, self._bubble.component)
        time = iso(self._time_ms)
        yield _message("share-price-outside-evolution-meter", self._time_ms, {"time": time, "mult": mult})
        fields = {"time": time, "coins": self._price.coins, "forecast": self._price.forecast}
        yield _message("share-price", self._time_ms, fields)

    # -- traders ---------------------------------------------------------------------------------------------
    def _orders(self, before_ms: int) -> Iterator[Message]:
        random = self._random("traders")
        for trader in self._traders:
            time_ms = before_ms + random.randint(1, self._tick_ms)
            done = [trader.bootstrap()] if self._price is None else trader.act(random, self._price)
            for operation, txn_id in done:
                yield _order(trader, operation, txn_id, time_ms)


def _order(trader: Trader, operation: Operation, txn_id: str, time_ms: int) -> Message:
    fields = {"time": iso(time_ms), "txnId": txn_id, **operation.fields}
    key = compact({"team": trader.team, "name": trader.name})
    return Message(operation.topic, key, compact(fields), time_ms)


def _message(topic: str, time_ms: int, fields: dict[str, Any]) -> Message:
    return Message(topic, CONSTANT_KEY, compact(fields), time_ms)


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def iso(time_ms: int) -> str:
    """
    >>> iso(1_521_190_800_007)
    '2018-03-16T09:00:00.007Z'
    """
    seconds, ms = divmod(time_ms, 1000)
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"
