"""Sinks and the client."""

from __future__ import annotations

from .. import logical as l
from .. import physical as p
from .converter import Converter


def sink(node: l.Sink, c: Converter) -> p.PhysicalNode:
    source = c.convert(node.input)
    names = [c.name for c in node.table.sink_columns]
    key = tuple(names.index(k) for k in node.table.primary_key) if node.table.primary_key else None
    return p.Sink(
        schema=node.schema, inputs=(source,), mode=source.mode, upsert_key=source.upsert_key,
        table=node.table, options=node.options, primary_key=key,
    )  # fmt: skip


def collect(node: l.Collect, c: Converter) -> p.PhysicalNode:
    source = c.convert(node.input)
    return p.Collect(schema=node.schema, inputs=(source,), mode=source.mode, upsert_key=source.upsert_key)
