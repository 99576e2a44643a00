"""The node that keeps rows apart before a sink with a key, as groups recomputed from their rows."""

from __future__ import annotations

from streamsql.changelog import ChangelogMode
from streamsql.planner import physical as p
from streamsql.planner.sql_parts import quote

from .build_calc import Fusion, weight_column, what
from .engine import internal_names, internal_schema
from .operators.base import Operator
from .operators.group_recompute import GroupRecompute, GroupRecomputeConfig


def sink_upsert_materializer(node: p.SinkUpsertMaterializer, fusion: Fusion) -> Operator:
    """Of the rows alive with one key the latest, or the earliest; or an error where there are two."""
    source = node.inputs[0]
    config = GroupRecomputeConfig(
        prepare_sql=fusion.prepared(source, weight_column(source)),
        input=internal_schema(fusion.base(node).schema),
        rows=internal_schema(source.schema),
        keys=node.key,
        group_sql=_one_of_each(node),
        output=internal_schema(node.schema),
        weighted=source.updating,
        upsert=node.mode is ChangelogMode.UPSERT,
        what=what(node),
    )
    return GroupRecompute(config)


def _one_of_each(node: p.SinkUpsertMaterializer) -> str:
    names = internal_names(len(node.schema))
    order = "ASC" if node.conflict == "NOTHING" else "DESC"
    numbered = f"SELECT *, row_number() OVER (PARTITION BY g ORDER BY i {order}) AS r FROM {{input}}"
    columns = ", ".join(["g", *names])
    if node.conflict != "ERROR":
        return f"SELECT {columns} FROM ({numbered}) WHERE r = 1"
    keys = ", ".join(node.schema[i].name for i in node.key)
    values = " || ', ' || ".join(f"coalesce(c{i}::VARCHAR, 'NULL')" for i in node.key)
    text = f"{quote(f'ON CONFLICT DO ERROR: two rows with the primary key ({keys}) = (')} || {values} || ')'"
    return (
        f"SELECT {columns} FROM ({numbered}) WHERE CASE WHEN r > 1 THEN error({text})::BOOLEAN ELSE true END"
    )
