"""Made-up gibbs: short texts in which people praise or damn the banana."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

GIBBS_PER_TICK = 0.7
"""On average."""
MKTD_CHANCE = 0.08
"""How often a gibb carries the hashtag that is worth a whole coin; more, and bursts never end."""
_LOUD_CHANCE = 0.08
"""How often BANANA is shouted, which has no effect on the price."""
_OFF_TOPIC_CHANCE = 0.08

_PRAISE = (
    "such a good day for the banana",
    "buy buy buy, my banana only goes up!",
    "merci for this sweet banana",
    "a solid banana, nice and safe",
    "I love my banana, thanks ALOUATE!!",
    "happy monkeys, super banana",
    "yes! the banana is better than ever",
    "banana: high, certain, great",
)
_BLAME = (
    "sell your banana before it is too late",
    "sad news, the banana goes down",
    "a sour banana is a bad banana",
    "no more banana for me, too low!",
    "this banana is a bubble, and it will burst",
    "dangerous to hold a banana tonight",
    "the worst banana since 2009",
    "insane prices, I hate this banana",
)
_MURMUR = (
    "banana",
    "who has seen my banana?",
    "one banana, two monkeys",
    "BONOBO trades banana again",
)
_OFF_TOPIC = ("good coffee this morning", "sad to miss the train", "what a nice talk!")


@dataclass(frozen=True)
class Gibb:
    """A message on Gibber; ``offset_ms`` after the tick before it."""

    id: str
    offset_ms: int
    text: str


def draw_gibbs(random: Random, tick_ms: int) -> list[Gibb]:
    """What is gibbed between two ticks, in order of time."""
    count = (random.random() < GIBBS_PER_TICK / 2) + (random.random() < GIBBS_PER_TICK / 2)
    offsets = sorted(random.randint(1, tick_ms) for _ in range(count))
    return [Gibb(f"{random.getrandbits(64):016x}", offset, draw_text(random)) for offset in offsets]


def draw_text(random: Random) -> str:
    """The text of one gibb."""
    if random.random() < _OFF_TOPIC_CHANCE:
        return random.choice(_OFF_TOPIC)
    text = random.choice(random.choices((_PRAISE, _BLAME, _MURMUR), weights=(5, 4, 1))[0])
    if random.random() < _LOUD_CHANCE:
        text = text.upper()
    if random.random() < MKTD_CHANCE:
        text += " #mktd"
    return text
