"""Expand nodes to operators: grouping sets are a projection without state."""

from __future__ import annotations

from streamsql.planner import physical as p
from streamsql.planner.batch import expand_sql

from .build_calc import Fusion, weight_column, what
from .engine import internal_schema
from .operators.calc import Calc, CalcConfig


def expand(node: p.Expand, fusion: Fusion) -> Calc:
    """A row once per grouping set, with the Calcs fused below."""
    source, base = node.inputs[0], fusion.base(node)
    weight = weight_column(source)
    sql = expand_sql(node.expand, fusion.rows(source, weight), weight)
    schemas = internal_schema(base.schema), internal_schema(node.schema)
    return Calc(CalcConfig(sql, *schemas, source.updating, what(node)))
