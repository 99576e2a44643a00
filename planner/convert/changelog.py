"""TO_CHANGELOG and FROM_CHANGELOG."""

from __future__ import annotations

from streamsql.changelog import ChangelogMode
from streamsql.errors import ValidationError

from .. import physical as p
from ..logical_changelog import FromChangelog, ToChangelog
from .converter import Converter


def to_changelog(node: ToChangelog, c: Converter) -> p.PhysicalNode:
    return p.ToChangelog(schema=node.schema, inputs=(c.convert(node.input),), logical=node)


def from_changelog(node: FromChangelog, c: Converter) -> p.PhysicalNode:
    source = c.convert(node.input)
    if source.updating:
        raise ValidationError(
            "FROM_CHANGELOG reads rows that are only inserted, but its input changes rows it has given before",
            hint="read the table as it is: it is a changelog already",
        )
    key = tuple(range(len(node.partition))) if node.by_key else None
    return p.FromChangelog(
        schema=node.schema,
        inputs=(source,),
        mode=ChangelogMode.UPSERT if node.by_key else ChangelogMode.RETRACT,
        upsert_key=key,
        logical=node,
    )
