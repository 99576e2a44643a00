"""Runs the demo: its greeting, and then the shell or three answers."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Generator
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


def run(args: argparse.Namespace) -> int:
    """Runs the demo; the exit code."""
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


def greeting(market: Playing, seed: int, tick_s: float, *, own: bool, shell: bool) -> str:
    """What is there, and what to try: 15 lines, which leave the shell its 9 on a terminal of 24."""
    place = "in this process" if own else "yours"
    lines = [
        f"streamsql {version('streamsql')}: a market of bananas on Kafka at {market.bootstrap} ({place}).",
        f"A price every {tick_s:g} s, gibbs that move it, {len(traders())} traders; seed {seed}.",
    ]
    if not shell:
        return "\n".join([*lines, ""])
    tries = [f"  -- {e.about}\n{indent(e.sql + ';', '  ')}" for e in EXAMPLES]
    lines.append("Try these; the Up key brings them to the prompt, Q ends a query that goes on:")
    lines.append("\n\n".join(tries))
    return "\n".join([*lines, "", "SHOW TABLES; lists the topics. HELP lists keys, QUIT leaves."])


@contextmanager
def history() -> Generator[Path]:
    """A history for one run with the examples in it, the first one nearest."""
    with tempfile.TemporaryDirectory(prefix="streamsql-demo-") as folder:
        path = Path(folder) / "history"
        kept = FileHistory(path)
        for example in reversed(EXAMPLES):
            kept.store_string(example.sql + ";")
        yield path
