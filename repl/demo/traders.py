"""Simple traders: each looks at the newest price and sends orders. They hold no state but a counter.

Their operations are what the topics of orders carry; whether a market would accept them is not their
concern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from .prices import Price

MARKET_ORDERS = "market-orders"
INVESTMENT_ORDERS = "investment-orders"
FEED_MONKEYS = "feed-monkeys"
_WORDS = {MARKET_ORDERS: "Order", INVESTMENT_ORDERS: "Investment", FEED_MONKEYS: "Feed"}


@dataclass(frozen=True)
class Operation:
    """A message without its time and transaction id, which :class:`Trader` gives."""

    topic: str
    fields: dict[str, Any]


Strategy = Callable[[Random, Price], Iterable[Operation]]


@dataclass
class Trader:
    """One trader; ``next_number`` counts its operations, for their ids."""

    team: str
    name: str
    strategy: Strategy
    next_number: int = 2

    def bootstrap(self) -> tuple[Operation, str]:
        """The first operation, and its id: a trader learns its state from the result of feeding a monkey."""
        return feed(1), f"bootstrap_{self.name}"

    def act(self, random: Random, price: Price) -> list[tuple[Operation, str]]:
        """What it does at a price: operations with their ids."""
        done: list[tuple[Operation, str]] = []
        for operation in self.strategy(random, price):
            done.append((operation, f"{self.name}_{_WORDS[operation.topic]}_{self.next_number}"))
            self.next_number += 1
        return done


def order(side: str, shares: int) -> Operation:
    return Operation(MARKET_ORDERS, {"type": side, "shares": shares})


def invest(coins: float) -> Operation:
    return Operation(INVESTMENT_ORDERS, {"invested": round(coins, 2)})


def feed(monkeys: int) -> Operation:
    return Operation(FEED_MONKEYS, {"monkeys": monkeys})


# -- strategies ----------------------------------------------------------------------------------------------
def follower(random: Random, price: Price) -> Iterable[Operation]:
    """Believes the forecast, always."""
    yield order("BUY" if price.forecast > 1 else "SELL", 1)


def gambler(random: Random, price: Price) -> Iterable[Operation]:
    """Tosses coins."""
    if random.random() < 0.3:
        yield order(random.choice(("BUY", "SELL")), random.randint(1, 5))


def investor(random: Random, price: Price) -> Iterable[Operation]:
    """Prefers a sure return, most of all when the price is to fall."""
    if random.random() < (0.3 if price.forecast < 1 else 0.1):
        yield invest(random.uniform(0.5, 10.0))


def feeder(random: Random, price: Price) -> Iterable[Operation]:
    """Buys shares to feed monkeys, which is what wins."""
    if random.random() < 0.25:
        monkeys = random.randint(1, 3)
        yield order("BUY", monkeys)
        yield feed(monkeys)


def traders() -> list[Trader]:
    """Two in each of the four teams."""
    return [
        Trader("ALOUATE", "dummy", follower),
        Trader("ALOUATE", "maud", feeder),
        Trader("BONOBO", "bob", gambler),
        Trader("BONOBO", "lola", investor),
        Trader("CAPUCIN", "foobar", feeder),
        Trader("CAPUCIN", "zoe", gambler),
        Trader("DRILL", "kong", follower),
        Trader("DRILL", "ines", investor),
    ]
