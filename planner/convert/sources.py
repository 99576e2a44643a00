"""Scans, constants, watermarks and views."""

from __future__ import annotations

from .. import logical as l
from .. import physical as p
from .calc import refs
from .converter import Converter


def scan(node: l.Scan, c: Converter) -> p.PhysicalNode:
    names = node.schema.names
    key = node.table.primary_key
    upsert_key = tuple(names.index(k) for k in key) if key and all(k in names for k in key) else None
    return p.TableSourceScan(
        schema=node.schema,
        mode=node.options.source_mode,
        upsert_key=upsert_key,
        table=node.table,
        options=node.options,
        metadata=node.metadata,
        overrides=node.overrides,
    )


def values(node: l.Values, _: Converter) -> p.PhysicalNode:
    return p.Values(schema=node.schema, rows=node.rows)


def watermark(node: l.Watermark, c: Converter) -> p.PhysicalNode:
    source = c.convert(node.input)
    return p.WatermarkAssigner(
        schema=node.schema,
        inputs=(source,),
        mode=source.mode,
        upsert_key=source.upsert_key,
        column=node.column,
        expression=node.expression,
    )


def view(node: l.View, c: Converter) -> p.PhysicalNode:
    source = c.convert(node.input)
    return p.Calc(
        schema=node.schema, inputs=(source,), mode=source.mode, upsert_key=source.upsert_key,
        exprs=refs(node.schema), views=(node.name,),
    )  # fmt: skip
