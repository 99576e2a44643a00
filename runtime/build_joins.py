"""Join nodes to operators."""

from __future__ import annotations

import pyarrow as pa

from streamsql.changelog import ChangelogMode
from streamsql.planner import physical as p
from streamsql.planner.compile import compile_expr
from streamsql.planner.expressions import Expr, InputRef, input_refs
from streamsql.planner.functions import conjunction, equals

from .boundedness import is_bounded
from .build_calc import Fusion, what
from .engine import internal_names, internal_schema
from .operators.expiry import WindowExpiry
from .operators.interval_join import IntervalJoin, IntervalJoinConfig
from .operators.join import Join, JoinConfig
from .operators.join_pairs import KeyRule, ResidualConfig
from .operators.latest_join import LatestJoin, LatestJoinConfig
from .operators.temporal_join import TemporalJoin, TemporalJoinConfig
from .operators.window_join import WindowJoin, WindowJoinConfig


def _left(node: p.JoinNode) -> KeyRule:
    return KeyRule(internal_schema(node.inputs[0].schema), node.left_keys, node.null_safe)


def _right(node: p.JoinNode) -> KeyRule:
    return KeyRule(internal_schema(node.inputs[1].schema), node.right_keys, node.null_safe)


def join(node: p.Join, fusion: Fusion) -> Join:
    """A regular join."""
    left, right = node.inputs
    return Join(
        JoinConfig(
            kind=node.kind,
            left=_left(node),
            right=_right(node),
            output=internal_schema(node.schema),
            residual=residual(node, node.residual, fusion),
            insert_only=not (left.updating or right.updating),
            emits_inserts=not node.updating,
            content_sql=join_sql(node, fusion),
            key=node.upsert_key,
            holds_watermark=node.holds_watermark,
        )
    )


def interval_join(node: p.IntervalJoin, fusion: Fusion) -> IntervalJoin:
    """A join with bounds on the difference of two times."""
    return IntervalJoin(
        IntervalJoinConfig(
            kind=node.kind,
            left=_left(node),
            right=_right(node),
            left_time=node.bounds.left_time,
            right_time=node.bounds.right_time,
            lower_ms=node.bounds.lower_ms,
            upper_ms=node.bounds.upper_ms,
            output=internal_schema(node.schema),
            residual=residual(node, node.residual, fusion),
            proctime=node.bounds.proctime,
        )
    )


def window_join(node: p.WindowJoin, fusion: Fusion) -> WindowJoin:
    """A join of equal windows."""
    left, right = node.inputs
    clock = node.match.clock
    return WindowJoin(
        WindowJoinConfig(
            sql=join_sql(node, fusion, "{l}", "{r}"),
            left=internal_schema(left.schema),
            right=internal_schema(right.schema),
            left_end=WindowExpiry(node.match.left[1], clock.zone, clock.proctime, clock.lateness_ms),
            right_end=WindowExpiry(node.match.right[1], clock.zone, clock.proctime, clock.lateness_ms),
            output=internal_schema(node.schema),
            what=what(node),
        )
    )


def temporal_join(node: p.TemporalJoin, fusion: Fusion) -> TemporalJoin | LatestJoin:
    """A join with the versions of a table, or with its present rows."""
    left, right = node.inputs
    schemas = internal_schema(left.schema), internal_schema(right.schema)
    if node.version is None or node.time is None:
        return LatestJoin(
            LatestJoinConfig(
                kind=node.kind,
                left=_left(node),
                right=_right(node),
                output=internal_schema(node.schema),
                residual=residual(node, node.residual, fusion),
                loads_first=all(ends(n) for n in p.PhysicalPlan((right,)).nodes()),
                updating=right.updating,
            )
        )
    assert right.upsert_key is not None
    width = len(left.schema)
    pairs = dict(zip(node.right_keys, node.left_keys, strict=True))
    others = [
        equals(_column(node, a), _column(node, width + b))
        for a, b in zip(node.left_keys, node.right_keys, strict=True)
        if b not in right.upsert_key or pairs[b] != a
    ]
    rest = [*others, *([] if node.residual is None else [node.residual])]
    return TemporalJoin(
        TemporalJoinConfig(
            kind=node.kind,
            left=schemas[0],
            right=pa.schema(list(schemas[1])[: len(right.schema) - node.marked]),
            marked=node.marked,
            left_keys=tuple(pairs[k] for k in right.upsert_key),
            right_keys=right.upsert_key,
            left_time=node.time,
            right_time=node.version,
            output=internal_schema(node.schema),
            residual=residual(node, conjunction(rest) if rest else None, fusion),
            tombstones=right.mode is ChangelogMode.UPSERT,
            weighted=left.updating,
            lateness_ms=node.lateness_ms,
        )
    )


def _column(node: p.JoinNode, i: int) -> InputRef:
    field = [*node.inputs[0].schema, *node.inputs[1].schema][i]
    return InputRef(i, field.name, field.type)


def ends(node: p.PhysicalNode) -> bool:
    """Whether the node is no source, or one that is read once and ends."""
    return not isinstance(node, p.TableSourceScan) or is_bounded(node.table, node.options)


def residual(node: p.PhysicalNode, condition: Expr | None, fusion: Fusion) -> ResidualConfig | None:
    """The query of a condition over pairs of rows of the node's two inputs."""
    if condition is None:
        return None
    columns = tuple(sorted(input_refs(condition)))
    width = sum(len(i.schema) for i in node.inputs)
    sql = compile_expr(condition, internal_names(width), fusion.sql.context)
    return ResidualConfig(f"SELECT i FROM {{input}} WHERE {sql}", columns, what(node))


def join_sql(node: p.JoinNode, fusion: Fusion, left: str = "l", right: str = "r") -> str:
    """The join as one query over the relations of both inputs."""
    width, wide = (len(i.schema) for i in node.inputs)
    names = [f"l.c{i}" for i in range(width)] + [f"r.c{i}" for i in range(wide)]
    equal = [
        f"l.c{a} {'IS NOT DISTINCT FROM' if safe else '='} r.c{b}"
        for a, b, safe in zip(node.left_keys, node.right_keys, node.null_safe, strict=True)
    ]
    if node.residual is not None:
        equal.append(f"({compile_expr(node.residual, names, fusion.sql.context)})")
    on = " AND ".join(equal) or "TRUE"
    if node.one_sided:
        negation = "NOT " if node.kind == "ANTI" else ""
        items = ", ".join(f"l.c{i} AS c{i}" for i in range(width))
        return f"SELECT {items} FROM {left} l WHERE {negation}EXISTS (SELECT 1 FROM {right} r WHERE {on})"
    items = ", ".join(f"{n} AS c{i}" for i, n in enumerate(names))
    return f"SELECT {items} FROM {left} l {node.kind} JOIN {right} r ON {on}"
