"""Rewrites of the logical plan, one a file; the order of :data:`RULES` is meaning."""

from __future__ import annotations

from collections.abc import Callable

from ..logical import LogicalNode
from .prune_columns import prune_columns

Rule = Callable[[LogicalNode], LogicalNode]

RULES: tuple[Rule, ...] = (prune_columns,)
"""Applied in order to each root: each takes the root and returns a root of the same schema."""
