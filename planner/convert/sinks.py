"""Sinks and the client."""

from __future__ import annotations

from dataclasses import replace

from streamsql.changelog import ChangelogMode

from .. import logical as l
from .. import physical as p
from .converter import Converter


def sink(node: l.Sink, c: Converter) -> p.PhysicalNode:
    source = c.convert(node.input)
    names = [c.name for c in node.table.sink_columns]
    key = tuple(names.index(k) for k in node.table.primary_key) if node.table.primary_key else None
    made = p.Sink(
        schema=node.schema, inputs=(source,), mode=source.mode, upsert_key=source.upsert_key,
        table=node.table, options=node.options, primary_key=key,
    )  # fmt: skip
    if key is None or not _materialised(node, made, c.options.upsert_materialize):
        return made
    conflict = node.on_conflict or "DEDUPLICATE"
    grows = conflict != "DEDUPLICATE" and not source.updating
    one = p.SinkUpsertMaterializer(
        schema=node.schema,
        inputs=(source,),
        mode=ChangelogMode.INSERT_ONLY if grows else ChangelogMode.RETRACT,
        upsert_key=key,
        key=key,
        conflict=conflict,
    )
    return replace(made, inputs=(one,), mode=one.mode, upsert_key=key)


def _materialised(node: l.Sink, made: p.Sink, option: str) -> bool:
    """Whether the rows of a key must be told apart before they are written.

    AUTO: where the query updates rows that the sink tells apart by another key than the query does.
    """
    source = made.inputs[0]
    if node.on_conflict is not None:
        unique = source.upsert_key is not None and set(source.upsert_key) <= set(made.primary_key or ())
        latest = node.on_conflict == "DEDUPLICATE" and not source.updating
        return not (latest or (unique and source.updating and made.takes_upserts_of(source)))
    modes = made.options.connector.sink_modes
    by_key = ChangelogMode.UPSERT in modes and not made.is_cdc
    if option == "FORCE":
        return by_key
    needed = source.updating and by_key and ChangelogMode.RETRACT not in modes
    return option == "AUTO" and needed and not made.takes_upserts_of(source)


def collect(node: l.Collect, c: Converter) -> p.PhysicalNode:
    source = c.convert(node.input)
    return p.Collect(schema=node.schema, inputs=(source,), mode=source.mode, upsert_key=source.upsert_key)
