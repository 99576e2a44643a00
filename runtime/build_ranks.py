"""LIMIT, ORDER BY, Top-N and deduplication nodes to operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamsql.changelog import ChangelogMode
from streamsql.planner import physical as p
from streamsql.schema import Schema

from .build_calc import Fusion, what
from .engine import internal_names, internal_schema
from .operators.base import Operator
from .operators.changes import Emit
from .operators.deduplicate import KeepFirst, KeepFirstByTime, KeepLast
from .operators.expiry import WindowExpiry
from .operators.limit import Limit
from .operators.partition_recompute import PartitionRecompute, PartitionRecomputeConfig
from .operators.rank import TopN
from .operators.rank_config import RankConfig
from .operators.rank_retract import RetractTopN
from .operators.sort import FinalSort, SortConfig, TemporalSort
from .operators.window_rank import WindowRank, WindowRankConfig

HEAD_ROWS_MORE, HEAD_ROWS_MORE_OF_ALL = 16, 1000
"""Rows that are kept at hand beside those asked for: of a partition, and where there is only one."""


def limit(node: p.Limit, _: Fusion) -> Operator:
    """LIMIT without ORDER BY."""
    if not node.inputs[0].updating:
        return Limit(node.offset, node.fetch)
    end = None if node.fetch is None else node.offset + node.fetch
    return _ranked(node, _Ranking(p.RankRange(node.offset + 1, end)))


def sort(node: p.Sort, _: Fusion) -> Operator:
    """ORDER BY of an input that ends."""
    return FinalSort(_sort_config(node, node.order))


def temporal_sort(node: p.TemporalSort, _: Fusion) -> Operator:
    """ORDER BY a time attribute."""
    time = node.order[0].column
    return TemporalSort(_sort_config(node, node.order), None if node.proctime else time)


def sort_limit(node: p.SortLimit, _: Fusion) -> Operator:
    """ORDER BY with LIMIT."""
    end = None if node.fetch is None else node.offset + node.fetch
    return _ranked(node, _Ranking(p.RankRange(node.offset + 1, end), node.order))


def rank(node: p.Rank, _: Fusion) -> Operator:
    """Top-N."""
    return _ranked(node, _Ranking(node.range, node.order, node.partition, node.function, node.with_rank))


def deduplicate(node: p.Deduplicate, _: Fusion) -> Operator:
    """One row a key, by a time attribute."""
    schema = internal_schema(node.schema)
    if node.keep_last:
        return KeepLast(schema, node.key, None if node.proctime else node.time, emit(node))
    return KeepFirst(schema, node.key) if node.proctime else KeepFirstByTime(schema, node.key, node.time)


def window_rank(node: p.WindowRank, _: Fusion) -> Operator:
    """Top-N and deduplication within windows."""
    source = node.inputs[0].schema
    value = rank_sql(node.function, node.order, source, ["g"])
    end = "" if node.range.end is None else f" WHERE r <= {node.range.end}"
    config = WindowRankConfig(
        sql=f"SELECT p, r FROM (SELECT p, {value} AS r FROM {{input}}){end}",
        rows=internal_schema(source),
        keys=node.partition,
        order=tuple(k.column for k in node.order),
        start=node.range.start,
        with_rank=node.with_rank,
        output=internal_schema(node.schema),
        expiry=WindowExpiry(node.end, node.clock.zone, node.clock.proctime),
        what=what(node),
    )
    return WindowRank(config)


def order_sql(order: p.Order) -> list[str]:
    """ORDER BY items over ``c0 …``."""
    return [
        f"c{k.column} {'DESC' if k.descending else 'ASC'} NULLS {'FIRST' if k.nulls_first else 'LAST'}"
        for k in order
    ]


def rank_sql(function: str, order: p.Order, schema: Schema, partition: Sequence[str]) -> str:
    """The rank of a row as SQL.

    Equal rows are numbered by arrival; of the same time attribute, newest first, the last to arrive is first.
    """
    by = _row_order(order, schema) if function == "ROW_NUMBER" else order_sql(order)
    ordered = f" ORDER BY {', '.join(by)}" if by else ""
    return f"{function.lower()}() OVER (PARTITION BY {', '.join(partition)}{ordered})"


def _row_order(order: p.Order, schema: Schema) -> list[str]:
    """The order with that of arrival last."""
    newest_first = len(order) == 1 and order[0].descending and schema[order[0].column].time is not None
    return [*order_sql(order), "i DESC" if newest_first else "i"]


def has_head(function: str) -> bool:
    """Whether so many ranks are so many rows: then the first rows of a partition can be kept apart."""
    return function == "ROW_NUMBER"


def is_append_only(source: p.PhysicalNode) -> bool:
    """Whether rows only come: then those beyond the rank asked for need not be kept."""
    return not source.updating


def _sort_config(node: p.PhysicalNode, order: p.Order) -> SortConfig:
    columns = ", ".join(internal_names(len(node.schema)))
    sql = f"SELECT {columns} FROM {{input}} ORDER BY {', '.join([*order_sql(order), 'i'])}"
    return SortConfig(sql, internal_schema(node.schema), what(node))


@dataclass(frozen=True)
class _Ranking:
    """The ranks of rows that are wanted: by ``function`` in ``order``, of each ``partition``."""

    range: p.RankRange
    order: p.Order = ()
    partition: tuple[int, ...] = ()
    function: str = "ROW_NUMBER"
    with_rank: bool = False


def _ranked(node: p.PhysicalNode, ranking: _Ranking) -> Operator:
    source = node.inputs[0]
    function, end = ranking.function, ranking.range.end
    if end is None or not (is_append_only(source) or has_head(function)):
        return _recompute(node, ranking)
    if not is_append_only(source):
        row_order = ", ".join(["g", *_row_order(ranking.order, source.schema)])
        config = _rank_config(node, ranking, f"SELECT p FROM {{input}} ORDER BY {row_order}", end)
        return RetractTopN(config, end + (HEAD_ROWS_MORE if ranking.partition else HEAD_ROWS_MORE_OF_ALL))
    among_all = rank_sql(function, ranking.order, source.schema, ["g"])
    among_old = rank_sql(function, ranking.order, source.schema, ["g", "old"])
    inner = f"SELECT p, {among_all} AS r, CASE WHEN old = 1 THEN {among_old} END AS q FROM {{input}}"
    sql = f"SELECT p, r, q FROM ({inner}) WHERE r <= {end} OR q IS NOT NULL"
    return TopN(_rank_config(node, ranking, sql, end))


def _rank_config(node: p.PhysicalNode, ranking: _Ranking, sql: str, end: int) -> RankConfig:
    return RankConfig(
        sql=sql,
        rows=internal_schema(node.inputs[0].schema),
        keys=ranking.partition,
        order=tuple(k.column for k in ranking.order),
        start=ranking.range.start,
        end=end,
        with_rank=ranking.with_rank,
        output=internal_schema(node.schema),
        what=what(node),
        emit=emit(node),
    )


def _recompute(node: p.PhysicalNode, ranking: _Ranking) -> Operator:
    source = node.inputs[0]
    columns = internal_names(len(source.schema))
    start, end = ranking.range.start, ranking.range.end
    until = "" if end is None else f" AND r <= {end}"
    value = rank_sql(ranking.function, ranking.order, source.schema, ["side", "g"])
    inner = f"SELECT *, {value} AS r FROM {{input}}"
    items = ["g", "side", *columns, *(["r"] if ranking.with_rank else [])]
    sql = f"SELECT {', '.join(items)} FROM ({inner}) WHERE r >= {start}{until} ORDER BY g, side, r, i"
    config = PartitionRecomputeConfig(
        sql=sql,
        rows=internal_schema(source.schema),
        keys=ranking.partition,
        output=internal_schema(node.schema),
        what=what(node),
        emit=emit(node),
    )
    return PartitionRecompute(config)


def emit(node: p.PhysicalNode) -> Emit:
    """How the node's changes are sent."""
    return Emit(node.upsert_key, node.mode is ChangelogMode.UPSERT)
