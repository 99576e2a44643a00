"""``streamsql demo``: a market of bananas on Kafka topics, and a shell to query it.

In: the command line. Out: messages on the market's topics, tables over them, a running job and the shell.
Read :mod:`.market` for what is sent and when, then :mod:`.prices`, :mod:`.hype`, :mod:`.gibber` and
:mod:`.traders`, which are pure; :mod:`.topics` for the tables; :mod:`.playing` for how it all starts and ends.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Runs the demo with the arguments after ``demo``; the exit code."""
    from .arguments import parser

    args = parser().parse_args(argv)
    from .command import run

    return run(args)
