"""Set operation nodes to operators."""

from __future__ import annotations

from streamsql.planner import physical as p

from .build_calc import Fusion
from .engine import internal_schema
from .operators.set_operation import SetOperation, SetOperationConfig


def set_operation(node: p.SetOperation, _: Fusion) -> SetOperation:
    """INTERSECT and EXCEPT."""
    return SetOperation(SetOperationConfig(node.kind, node.all, internal_schema(node.schema)))
