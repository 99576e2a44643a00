"""How a job takes its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .points import Reach, passes


@dataclass(frozen=True)
class CheckpointOptions:
    """``execution.checkpointing.*`` of one job, in ms. ``interval_ms`` None: only savepoints and the last one.

    ``definition``: what the job is, kept with every checkpoint. ``delete_at_end``: of a job that ends without failing
    no checkpoint stays. ``compression``: of what is written. ``waits``: the job waits for each checkpoint, which makes
    what it does repeatable.
    """

    interval_ms: int | None = None
    min_pause_ms: int = 0
    timeout_ms: int = 600_000
    tolerable_failures: int = 0
    definition: Mapping[str, Any] = field(default_factory=dict[str, Any])
    delete_at_end: bool = False
    compression: bool = False
    waits: bool = False
    reach: Reach = passes
