"""The arguments of ``streamsql demo``. Imports nothing heavy, so that ``--help`` is quick."""

from __future__ import annotations

import argparse
from collections.abc import Callable

TICK_MIN_S = 0.01

DESCRIPTION = """\
A market of bananas to try streaming SQL on: share prices that walk at random, gibbs whose words push them,
traders who send orders. All of it is JSON on Kafka topics, registered as tables.

On a terminal it opens the shell. Without one (a pipe, CI) it prints what three queries answer, and ends.
"""


def parser() -> argparse.ArgumentParser:
    """The options of the demo."""
    found = argparse.ArgumentParser(
        prog="streamsql demo", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument(
        "--bootstrap-servers",
        metavar="HOST:PORT",
        help="use these Kafka brokers; missing topics are created, and the market writes to them. "
        "Without it, Kafka runs inside the demo's process",
    )
    found.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="make the market repeatable: the same seed and tick send the same messages byte for byte, and the "
        "clock begins on 2018-03-16 at 09:00 UTC",
    )
    found.add_argument(
        "--tick", type=at_least(TICK_MIN_S), default=1.0, metavar="SECONDS", help="between prices (default 1)"
    )
    found.add_argument(
        "--seconds",
        type=at_least(0.0),
        default=5.0,
        metavar="SECONDS",
        help="how long queries run without a terminal (default 5)",
    )
    found.add_argument("-v", "--verbose", action="store_true", help="show the stack of errors")
    return found


def at_least(least: float) -> Callable[[str], float]:
    """The type of an option that is a number with a lower bound."""

    def number(text: str) -> float:
        value = float(text)
        if not least <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"found {text}, expected a number of at least {least:g}")
        return value

    return number
