"""Rewrites of the logical plan, one a file; the order of :data:`RULES` is meaning."""

from __future__ import annotations

from collections.abc import Callable

from ..logical import LogicalNode
from .prune_columns import prune_columns
from .push_filters import push_filters

Roots = tuple[LogicalNode, ...]
Rule = Callable[[Roots], Roots]

RULES: tuple[Rule, ...] = (push_filters, prune_columns)
"""Applied in order to all roots of a job at once; each root keeps its schema."""
