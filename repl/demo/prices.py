"""The share price without its hype: a random walk, its moving average and the forecast.

In: one draw per tick and the hype component of the moment. Out: price and forecast. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

DRIFT = 0.0001
VOLATILITY = 0.01
"""Mean and standard deviation of a tick's logarithmic change: a slow way up, about 1 % of noise a tick."""
SMOOTHING = 0.1
"""Weight of the newest price in the moving average."""
PRICE_MIN = 0.01
"""Enough bad words would push the price below zero, and then buying would pay."""


@dataclass(frozen=True)
class Price:
    """What a tick publishes. A forecast above 1 says: below its average, expect a rise."""

    coins: float
    forecast: float


@dataclass
class PriceWalk:
    """The walk so far. ``base`` knows nothing of hype; ``average`` is None before the first tick.

    >>> walk = PriceWalk()
    >>> walk.tick(1.01, 0.0)
    Price(coins=1.01, forecast=1.0)
    """

    base: float = 1.0
    average: float | None = None

    def tick(self, mult: float, component: float) -> Price:
        """One step: the base times ``mult``, plus ``component`` coins of hype."""
        self.base *= mult
        coins = max(self.base + component, PRICE_MIN)
        if self.average is None:
            self.average = coins
        else:
            self.average = (1 - SMOOTHING) * self.average + SMOOTHING * coins
        return Price(coins, self.average / coins)


def draw_mult(random: Random) -> float:
    """What the world outside does to the price in one tick: a log-normal factor."""
    return math.exp(DRIFT + VOLATILITY * random.gauss())
