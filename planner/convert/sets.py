"""Set operations: several inputs with equal column types become one."""

from __future__ import annotations

from streamsql.changelog import ChangelogMode

from .. import logical as l
from .. import physical as p
from .converter import Converter


def union(node: l.Union, c: Converter) -> p.PhysicalNode:
    inputs = tuple(c.convert(i) for i in node.inputs)
    updating = any(i.updating for i in inputs)
    return p.Union(
        schema=node.schema,
        inputs=inputs,
        mode=ChangelogMode.RETRACT if updating else ChangelogMode.INSERT_ONLY,
    )


def set_operation(node: l.SetOperation, c: Converter) -> p.PhysicalNode:
    inputs = (c.convert(node.left), c.convert(node.right))
    grows = node.kind == "Intersect" and not any(i.updating for i in inputs)
    return p.SetOperation(
        schema=node.schema,
        inputs=inputs,
        mode=ChangelogMode.INSERT_ONLY if grows else ChangelogMode.RETRACT,
        upsert_key=None if node.all else tuple(range(len(node.schema))),
        kind=node.kind,
        all=node.all,
    )
