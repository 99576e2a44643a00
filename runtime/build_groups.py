"""GroupAggregate nodes to operators: accumulators where every call has one, else groups recomputed from their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamsql.changelog import ChangelogMode
from streamsql.planner import physical as p

from .accumulators import Accumulator, Sum
from .build_aggregates import (
    Compile,
    DistinctGroup,
    accumulator,
    batch_sql,
    distinct_groups,
    is_incremental,
)
from .build_calc import Fusion, weight_column, what
from .engine import internal_schema
from .operators.base import Operator
from .operators.expiry import WindowExpiry
from .operators.group_aggregate import DistinctArgs, GroupAggregate, GroupAggregateConfig
from .operators.group_recompute import GroupRecompute, GroupRecomputeConfig


def group_aggregate(node: p.GroupAggregate, fusion: Fusion) -> Operator:
    """The operator of GROUP BY without windows."""
    weighted = node.inputs[0].updating
    if all(is_incremental(c, weighted=weighted) for c in node.calls):
        return _incremental(node, fusion)
    return _recompute(node, fusion)


def row_count(*, weighted: bool) -> str:
    """SQL of how many rows there are."""
    return "sum(w)::BIGINT" if weighted else "count(*)"


@dataclass(frozen=True)
class _Step:
    """The rows of a step as SQL, and what is read from them."""

    rows: str
    keys: list[str]
    compile: Compile
    weighted: bool

    @property
    def count(self) -> str:
        return row_count(weighted=self.weighted)


def _incremental(node: p.GroupAggregate, fusion: Fusion) -> Operator:
    source = node.inputs[0]
    rows = fusion.rows(source, [*weight_column(source), "i"])
    step = _Step(rows, [f"c{k}" for k in node.keys], fusion.compiler(source.schema), source.updating)
    accumulators: list[Accumulator] = [
        accumulator(c, step.compile, weighted=step.weighted) for c in node.calls
    ]
    groups = distinct_groups(node.calls)
    config = GroupAggregateConfig(
        sql=_partials_sql(step, accumulators, groups),
        row_sql=_summands_sql(step, accumulators, groups),
        input=internal_schema(fusion.base(node).schema),
        key_types=tuple(source.schema[k].type.arrow for k in node.keys),
        output=internal_schema(node.schema),
        weighted=step.weighted,
        upsert=node.mode is ChangelogMode.UPSERT,
        what=what(node),
        distinct=tuple(_distinct(g, step, accumulators) for g in groups),
        expiry=None if node.window_end is None else _expiry(node, node.window_end),
    )
    return GroupAggregate(config, accumulators)


def _partials_sql(step: _Step, accumulators: Sequence[Accumulator], groups: Sequence[DistinctGroup]) -> str:
    """Per key of the step: hash, key, row count, place of arrival, and the partials of the accumulators."""
    fed = {i for g in groups for i in g.positions}
    partials = [
        f"{sql} AS p{i}_{j}"
        for i, a in enumerate(accumulators)
        if i not in fed
        for j, (sql, _) in enumerate(a.partials)
    ]
    keys = [f"{k} AS k{i}" for i, k in enumerate(step.keys)]
    items = [f"{_hash(step.keys)} AS h", *keys, f"{step.count} AS n", "min(i) AS o", *partials]
    by = f" GROUP BY {', '.join(step.keys)}" if step.keys else " HAVING count(*) > 0"
    return f"SELECT {', '.join(items)} FROM {step.rows}{by}"


def _summands_sql(
    step: _Step, accumulators: Sequence[Accumulator], groups: Sequence[DistinctGroup]
) -> str | None:
    """Per row of the step: hash, key, what it adds to the row count and to each partial of :func:`_partials_sql`."""
    fed = {i for g in groups for i in g.positions}
    summands: list[str] = []
    for i, a in enumerate(accumulators):
        if i in fed:
            continue
        if a.summands is None:
            return None
        summands += [f"{sql} AS p{i}_{j}" for j, sql in enumerate(a.summands)]
    if not step.keys:
        return None
    keys = [f"{k} AS k{i}" for i, k in enumerate(step.keys)]
    items = [f"{_hash(step.keys)} AS h", *keys, f"{'w' if step.weighted else '1::BIGINT'} AS n", *summands]
    return f"SELECT {', '.join(items)} FROM {step.rows}"


def _distinct(group: DistinctGroup, step: _Step, accumulators: Sequence[Accumulator]) -> DistinctArgs:
    """Per key and distinct value of the step: how many rows have it."""
    values = [step.compile(a) for a in group.args]
    conditions = [f"({v}) IS NOT NULL" for v in values]
    if group.filter is not None:
        conditions.append(f"({step.compile(group.filter)})")
    key_names = [f"k{i}" for i in range(len(step.keys))]
    value_names = [f"v{i}" for i in range(len(values))]
    names = [*key_names, *value_names]
    inner = [f"{sql} AS {n}" for sql, n in zip([*step.keys, *values], names, strict=True)]
    inner += ["w"] if step.weighted else []
    inner_sql = f"SELECT {', '.join(inner)} FROM {step.rows} WHERE {' AND '.join(conditions)}"
    outer = [
        f"{_hash(key_names)} AS h",
        *key_names,
        f"{_hash(names)} AS hv",
        *value_names,
        f"{step.count} AS n",
    ]
    sql = f"SELECT {', '.join(outer)} FROM ({inner_sql}) GROUP BY {', '.join(names)}"
    calls = tuple((i, 0 if isinstance(accumulators[i], Sum) else None) for i in group.positions)
    return DistinctArgs(sql, tuple(a.type.arrow for a in group.args), calls)


def _recompute(node: p.GroupAggregate, fusion: Fusion) -> Operator:
    """Any aggregate over any input: keep the rows per group, recompute the groups that a step touches."""
    source = node.inputs[0]
    compile_ = fusion.compiler(source.schema)
    width = len(node.keys)
    # any_value skips NULL, which is right: a NULL key is NULL in the whole group
    keys = [f"any_value(c{k}) AS c{i}" for i, k in enumerate(node.keys)]
    calls = [f"{batch_sql(c, compile_, 'i')} AS c{width + j}" for j, c in enumerate(node.calls)]
    config = GroupRecomputeConfig(
        prepare_sql=fusion.prepared(source, weight_column(source)),
        input=internal_schema(fusion.base(node).schema),
        rows=internal_schema(source.schema),
        keys=node.keys,
        group_sql=f"SELECT {', '.join(['g', *keys, *calls])} FROM {{input}} GROUP BY g",
        output=internal_schema(node.schema),
        weighted=source.updating,
        upsert=node.mode is ChangelogMode.UPSERT,
        what=what(node),
        expiry=None if node.window_end is None else _expiry(node, node.keys[node.window_end]),
    )
    return GroupRecompute(config)


def _expiry(node: p.GroupAggregate, column: int) -> WindowExpiry:
    return WindowExpiry(column, node.clock.zone, node.clock.proctime, node.clock.lateness_ms)


def _hash(columns: Sequence[str]) -> str:
    return f"hash({', '.join(columns)})" if columns else "0::UBIGINT"
