"""EXPLAIN: which details there are, and the text of all of them."""

from __future__ import annotations

from collections.abc import Sequence

from . import guarantees, job_options
from .config import Configuration
from .errors import UnsupportedError
from .planner import logical as l
from .planner import pipeline

DETAILS = ("CHANGELOG_MODE", "VERBOSE", "GUARANTEES")


def check_details(details: Sequence[str]) -> None:
    """Raises UnsupportedError for a detail that cannot be shown."""
    for detail in details:
        if detail in ("PLAN_ADVICE", "ESTIMATED_COST"):
            raise UnsupportedError(f"EXPLAIN {detail} is not supported: plans here carry no cost")
        if detail not in DETAILS:
            raise UnsupportedError(
                f"EXPLAIN {detail} is not supported", hint=f"there are {', '.join(DETAILS)}"
            )


def explain(roots: Sequence[l.LogicalNode], details: Sequence[str], config: Configuration) -> str:
    """The text for statements that run as one job."""
    options = job_options.physical_options(config)
    text = pipeline.explain(roots, options, details)
    if "GUARANTEES" in details:
        text += f"\n== Guarantees ==\n{guarantees.text(pipeline.plan(roots, options), config)}\n"
    return text
