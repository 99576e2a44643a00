"""How long the state of one node is kept, as the hint STATE_TTL says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class StateTtl:
    """``ms`` is 0 for ever; ``text`` as it was written."""

    ms: int
    text: str


Ttls = tuple[StateTtl | None, ...]
"""Per input; None as the session says. Empty where no hint is given."""


def ttl_text(ttls: Ttls) -> str:
    """What EXPLAIN shows in the brackets of ``stateTtlHints``."""
    names: Sequence[str] = ("LEFT", "RIGHT") if len(ttls) == 2 else ("INPUT",)
    given = [f"{n}={t.text}" for n, t in zip(names, ttls, strict=True) if t is not None]
    return f"[[STATE_TTL options:{{{', '.join(given)}}}]]"
