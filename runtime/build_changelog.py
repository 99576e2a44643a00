"""TO_CHANGELOG and FROM_CHANGELOG nodes to operators."""

from __future__ import annotations

from streamsql.changelog import ChangelogMode
from streamsql.planner import physical as p

from .build_calc import Fusion
from .engine import internal_schema
from .operators.changelog_rows import FromChangelog, FromChangelogConfig, ToChangelog, ToChangelogConfig


def to_changelog(node: p.ToChangelog, _: Fusion) -> ToChangelog:
    """Changes as rows."""
    partition, width = node.logical.partition, len(node.inputs[0].schema)
    columns = (*partition, None, *(i for i in range(width) if i not in partition))
    codes = {kind: code for code, kind in node.logical.codes}
    return ToChangelog(
        ToChangelogConfig(
            columns,
            codes,
            node.inputs[0].upsert_key,
            internal_schema(node.schema),
            upserts=node.inputs[0].mode is ChangelogMode.UPSERT,
        )
    )


def from_changelog(node: p.FromChangelog, _: Fusion) -> FromChangelog:
    """Rows as changes."""
    made = node.logical
    return FromChangelog(
        FromChangelogConfig(made.op, made.columns, dict(made.codes), made.skip, internal_schema(node.schema))
    )
