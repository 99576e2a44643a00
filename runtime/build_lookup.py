"""Lookup joins to operators, and the tables they ask."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from streamsql.catalog.lookup import FULL
from streamsql.planner import physical as p
from streamsql.planner.compile import compile_expr
from streamsql.planner.expressions import input_refs

from .build_calc import Fusion, what
from .connectors import create_lookup, create_source
from .connectors.base import Source, SourceContext
from .connectors.lookup import LookupContext, LookupTable
from .connectors.waiting import Waiting
from .connectors.whole_table import WholeTable
from .engine import WEIGHT, internal_names, internal_schema
from .operators.join_pairs import KeyRule, ResidualConfig
from .operators.lookup_join import ByKey, Holder, LookupJoin, LookupJoinConfig, Whole


def lookup_join(
    node: p.LookupJoin, fusion: Fusion, context: SourceContext, stopping: Callable[[], bool]
) -> tuple[LookupJoin, Source]:
    """The operator, and the table it asks as one of the job's sources. ``context``: how that would be scanned."""
    asked = LookupContext(context, node.lookup, stopping)
    table: LookupTable | WholeTable
    holder: Holder
    if node.cache.cache == FULL:
        table = WholeTable(context, node.cache.reload, create_source)
        holder = Whole(table)
    else:
        table = create_lookup(asked)
        holder = ByKey(table)
    return LookupJoin(_config(node, fusion), holder, Waiting(context.now_ms, stopping)), table


def _config(node: p.LookupJoin, fusion: Fusion) -> LookupJoinConfig:
    left, right = internal_schema(node.inputs[0].schema), internal_schema(node.right)
    scanned = p.Union(schema=node.scan)
    calc = p.Calc(schema=node.right, inputs=(scanned,), exprs=node.exprs, condition=node.condition)
    residual = None
    if node.residual is not None:
        columns = tuple(sorted(input_refs(node.residual)))
        sql = compile_expr(node.residual, internal_names(len(left) + len(right)), fusion.sql.context)
        residual = ResidualConfig(f"SELECT i FROM {{input}} WHERE {sql}", columns, what(node))
    return LookupJoinConfig(
        kind=node.kind,
        left=KeyRule(left, node.left_keys, node.null_safe),
        right=KeyRule(right, node.right_keys, node.null_safe),
        output=internal_schema(node.schema),
        residual=residual,
        calc=fusion.sql.calc(calc, "{input}", [WEIGHT]),
        scan=pa.schema([*internal_schema(node.scan), pa.field(WEIGHT, pa.int64())]),
        asked=node.asked,
        options=node.cache,
        retry=node.retry,
        what=what(node),
    )
