"""Grouping sets."""

from __future__ import annotations

from .. import logical as l
from .. import physical as p
from .converter import Converter


def expand(node: l.Expand, c: Converter) -> p.PhysicalNode:
    source = c.convert(node.input)
    key = source.upsert_key
    kept = key is not None and not set(key) & set(node.keys)
    return p.Expand(
        schema=node.schema,
        inputs=(source,),
        mode=source.mode,
        upsert_key=(*key, len(node.schema) - 1) if key is not None and kept else None,
        expand=node,
    )
