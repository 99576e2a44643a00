"""The arguments of ``streamsql demo``, its greeting, and whether a shell or three answers follow."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from random import SystemRandom
from textwrap import indent

from prompt_toolkit.history import FileHistory

from ..console import Console
from ..session_loop import open_shell
from .playing import Playing, playing
from .queries import EXAMPLES, show_answers
from .traders import traders

SEED_MAX = 10_000
"""A seed that is drawn is below: short enough to type again."""
TICK_MIN_S = 0.01

DESCRIPTION = """\
A market of bananas to try streaming SQL on: share prices that walk at random, gibbs whose words push them,
traders who send orders. All of it is JSON on Kafka topics, registered as tables.

On a terminal it opens the shell. Without one (a pipe, CI) it prints what three queries answer, and ends.
"""


def main(argv: Sequence[str]) -> int:
    """Runs the demo; the exit code."""
    args = parser().parse_args(argv)
    seed: int = SystemRandom().randrange(SEED_MAX) if args.seed is None else args.seed
    console = Console(verbose=args.verbose)
    tick_ms = round(args.tick * 1000)
    with playing(args.bootstrap_servers, seed, repeatable=args.seed is not None, tick_ms=tick_ms) as market:
        if sys.stdin.isatty() and sys.stdout.isatty():
            text = greeting(market, seed, args.tick, own=args.bootstrap_servers is None, shell=True)
            with history() as path:
                code = open_shell(market.env, console, path, text)
        else:
            console.line(greeting(market, seed, args.tick, own=args.bootstrap_servers is None, shell=False))
            show_answers(market.env, console, args.seconds)
            code = 0
    if market.feed.failure is not None:
        console.warning(f"some of the market's messages were lost: {market.feed.failure}")
    return code


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


def greeting(market: Playing, seed: int, tick_s: float, *, own: bool, shell: bool) -> str:
    """What is there, and what to try."""
    place = "in this process" if own else "yours"
    lines = [
        f"streamsql {version('streamsql')}: a market of bananas on Kafka at {market.bootstrap} ({place}).",
        f"A price every {tick_s:g} s, gibbs that move it, {len(traders())} traders; seed {seed}.",
    ]
    if not shell:
        return "\n".join([*lines, ""])
    tries = [f"  -- {e.about}\n{indent(e.sql + ';', '  ')}" for e in EXAMPLES]
    return "\n".join(
        [
            *lines,
            "Try these; the Up key brings them to the prompt, Q ends a query that goes on:",
            "",
            "\n\n".join(tries),
            "",
            "SHOW TABLES; lists the topics, SHOW JOBS; what runs. HELP lists keys, QUIT leaves.",
            "",
        ]
    )


@contextmanager
def history() -> Iterator[Path]:
    """A history for one run with the examples in it, the first one nearest."""
    with tempfile.TemporaryDirectory(prefix="streamsql-demo-") as folder:
        path = Path(folder) / "history"
        kept = FileHistory(path)
        for example in reversed(EXAMPLES):
            kept.store_string(example.sql + ";")
        yield path
