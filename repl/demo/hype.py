"""What words do to the share price: pieces of hype, the bubble they blow, and its burst. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

COINS_PER_INFLUENCE = 0.01
BURST_CHANCE_PER_COIN = 0.01
"""How likely a new piece starts a burst, for each coin in the bubble: more hype, more risk."""
BURST_FACTORS = (0.95, 0.9, 0.8, 0.7, 0.7, 0.8, 0.9, 0.95, 1.2, 1.1)
"""What a step of a burst leaves of the bubble; the last two are a small rebound. All ten leave 30.26 %."""
BURST_STEP_MS = 5_000

FRUIT = "banana"
"""Only gibbs that name it count, and only in lower case."""

_POSITIVE = """
    yes happy good best up safe buy like love high nice certain sure solid
    great better sane sweet thank thanks merci super
"""
_NEGATIVE = "no sad bad worst down dangerous danger sell dislike hate low bubble burst risk worse insane sour"
LEXICON = {**dict.fromkeys(_POSITIVE.split(), 1), **dict.fromkeys(_NEGATIVE.split(), -1), "mktd": 100}
"""Word -> influence."""

_DROPPED = re.compile(r"[^a-z\s]")


class HypePiece(NamedTuple):
    """One word of the lexicon, found in a gibb."""

    word: str
    influence: int


def words(text: str) -> list[str]:
    """The words of a gibb, cleaned.

    >>> words("Buy #MKTD6! t.co/x")
    ['buy', 'mktd', 'tcox']
    """
    return _DROPPED.sub("", text.lower()).split()


def hype_pieces(text: str) -> list[HypePiece]:
    """The pieces of hype in a gibb, in order; a repeated word counts again.

    >>> hype_pieces("good good banana #mktd")
    [HypePiece(word='good', influence=1), HypePiece(word='good', influence=1), HypePiece(word='mktd', influence=100)]
    >>> hype_pieces("good BANANA")
    []
    """
    if FRUIT not in text:
        return []
    return [HypePiece(word, LEXICON[word]) for word in words(text) if word in LEXICON]


@dataclass
class Bubble:
    """Hype that has piled up, less what bursts have taken away.

    ``influence`` is the sum over all pieces and never decays; ``lost`` are the coins of bursts; ``step`` is
    the next step of the burst that runs, None without one.
    """

    influence: int = 0
    lost: float = 0.0
    step: int | None = None

    @property
    def component(self) -> float:
        """The coins of hype in the price."""
        return self.influence * COINS_PER_INFLUENCE - self.lost

    @property
    def burst_chance(self) -> float:
        return min(max(self.component * BURST_CHANCE_PER_COIN, 0.0), 1.0)

    def add(self, influence: int, draw: float) -> bool:
        """Takes a piece; whether it starts a burst. ``draw`` is uniform in [0, 1)."""
        self.influence += influence
        if self.step is not None or draw >= self.burst_chance:
            return False
        self.step = 0
        return True

    def burst(self) -> None:
        """One step of the burst that runs."""
        assert self.step is not None, "no burst runs"
        self.lost += self.component * (1 - BURST_FACTORS[self.step])
        self.step = self.step + 1 if self.step + 1 < len(BURST_FACTORS) else None
