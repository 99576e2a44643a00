"""Window nodes to operators: slices with partial aggregates, slices with rows, sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from streamsql.changelog import ChangelogMode
from streamsql.planner import physical as p
from streamsql.planner.expressions import input_refs
from streamsql.planner.logical import WindowSpec
from streamsql.planner.sql_parts import floor_ms
from streamsql.schema import Schema

from .build_aggregates import Partial, batch_sql, final_sql, needs_order, slice_partials
from .build_calc import Fusion, weight_column, what, window_table
from .build_groups import row_count
from .engine import internal_schema
from .expressions import sliced
from .operators.base import Operator
from .operators.changes import Emit
from .operators.expiry import WindowExpiry
from .operators.session_window import SessionWindow, SessionWindowConfig
from .operators.slot_merge import SlotMerge
from .operators.window_aggregate import WindowAggregate, WindowAggregateConfig
from .operators.window_emit import WindowEmit, WindowEmitConfig
from .windows import SlicedWindow, SliceSql


def window_table_function(node: p.WindowTableFunction, fusion: Fusion) -> Operator:
    """The operator of a window table function whose rows are read one by one."""
    if node.window.kind != "SESSION":
        return window_table(node, fusion)
    width = len(node.inputs[0].schema)
    values = [f"c{i} AS v{i}" for i in range(width)]
    final = f"SELECT s, {', '.join(values)} FROM {{input}}"
    return _session(node, node.window, fusion, final, (*([None] * width), "start", "end", "time"))


def window_aggregate(node: p.WindowAggregate, fusion: Fusion) -> Operator:
    """The operator of GROUP BY window_start, window_end."""
    if node.window is not None and node.window.kind == "SESSION":
        return _session_aggregate(node, node.window, fusion)
    source = node.inputs[0]
    weighted = source.updating
    window, slices = _window(node, source.schema, fusion)
    rows = _SliceRows(fusion.rows(source, [*weight_column(source), "i"]), slices, weighted)
    compile_ = fusion.compiler(source.schema)
    partials: list[list[Partial]] = []
    for call in node.calls:
        found = slice_partials(call, compile_, weighted=weighted)
        if found is not None:
            partials.append(found)
    # A call without partials needs the rows, and then all calls read them.
    whole = len(partials) < len(node.calls)
    stages = _row_stages(node, rows, fusion) if whole else _partial_stages(node, rows, partials)
    return WindowAggregate(
        WindowAggregateConfig(
            partial_sql=stages.partial_sql,
            merge_sql=stages.merge_sql,
            final_sql=stages.final_sql,
            slot_sql=stages.slot_sql,
            keys=len(_final_keys(node)),
            input=internal_schema(fusion.base(node).schema),
            partial=stages.partial,
            output=internal_schema(node.schema),
            bounds=_bounds(node),
            weighted=weighted,
            window=window,
            what=what(node),
            proctime=node.clock.proctime,
        )
    )


def window_emit(node: p.WindowEmit, _: Fusion) -> Operator:
    """What holds the changes of windows back."""
    return WindowEmit(
        WindowEmitConfig(
            rows=internal_schema(node.schema),
            keys=node.keys,
            end=WindowExpiry(node.end, node.clock.zone, node.clock.proctime),
            lateness_ms=node.emit.lateness_ms,
            early_ms=node.emit.early,
            late_ms=node.emit.late,
            emit=Emit(node.upsert_key, upsert=node.mode is ChangelogMode.UPSERT),
        )
    )


@dataclass(frozen=True)
class _SliceRows:
    """The rows of a step as SQL, and the SQL of the slice each falls in."""

    sql: str
    slices: SliceSql
    weighted: bool

    def grouped(self, items: Sequence[str], by: Sequence[str]) -> str:
        """The rows grouped by their slice and ``by``; yields the slice's end, then ``items``."""
        columns = ", ".join([f"{self.slices.number} AS q", *items])
        grouped = f"SELECT {columns} FROM {self.sql} GROUP BY {', '.join(['q', *by])}"
        return f"SELECT {self.slices.end} AS slice, * EXCLUDE (q) FROM ({grouped})"

    @property
    def count(self) -> str:
        return row_count(weighted=self.weighted)


@dataclass(frozen=True)
class _Stages:
    """The queries of a sliced window; see :class:`WindowAggregateConfig`."""

    partial_sql: str
    merge_sql: str
    final_sql: str
    partial: pa.Schema
    slot_sql: str | None = None


def _window(node: p.WindowAggregate, schema: Schema, fusion: Fusion) -> tuple[SlicedWindow, SliceSql]:
    if node.window is not None:
        return sliced(node.window), fusion.sql.slice(node.window, schema)
    assert node.attached is not None
    # every window of an earlier window table function is a slice of its own, known by its end
    return SlicedWindow("TUMBLE", 1, 1, 0, node.clock.zone), SliceSql(floor_ms(f"c{node.attached[1]}"), "q")


def _bounds(node: p.WindowAggregate) -> tuple[str | None, ...]:
    if node.attached is None:
        return node.bounds
    # the start of an attached window is a key; only its end is known to the operator
    return tuple(None if b == "start" else b for b in node.bounds)


def _final_keys(node: p.WindowAggregate) -> list[int]:
    """Key columns of the input in output order: with attached windows the start is among them."""
    keys = iter(node.keys)
    ordered: list[int] = []
    for bound in node.bounds[: len(node.bounds) - len(node.calls)]:
        if bound is None:
            ordered.append(next(keys))
        elif bound == "start" and node.attached is not None:
            ordered.append(node.attached[0])
    return ordered


def _partial_stages(
    node: p.WindowAggregate, rows: _SliceRows, partials: Sequence[Sequence[Partial]]
) -> _Stages:
    """Keep the slice's partial aggregates; the window is their merge."""
    source = node.inputs[0].schema
    keys = _final_keys(node)
    names = [f"k{i}" for i in range(len(keys))]
    flat = [
        (f"p{i}_{j}", column, f"p{i}_{j + 1}")
        for i, columns in enumerate(partials)
        for j, column in enumerate(columns)
    ]
    # the row count tells a group whose rows were all retracted
    partial = pa.schema(
        [
            *(pa.field(n, source[k].type.arrow) for n, k in zip(names, keys, strict=True)),
            pa.field("n", pa.int64()),
            *(pa.field(n, c.type) for n, c, _ in flat),
        ]
    )
    first = [
        "count(*) AS rows",
        *(f"c{k} AS {n}" for n, k in zip(names, keys, strict=True)),
        f"{rows.count} AS n",
        *(f"{c.sql} AS {n}" for n, c, _ in flat),
    ]
    merged = [
        "win",
        *names,
        "sum(n)::BIGINT AS n",
        *(f"{c.merge.format(p=n, next=following)} AS {n}" for n, c, following in flat),
    ]
    values = [
        f"{final_sql(call, [f'p{i}_{j}' for j in range(len(partials[i]))])} AS v{i}"
        for i, call in enumerate(node.calls)
    ]
    merge_sql = f"SELECT {', '.join(merged)} FROM {{input}} GROUP BY {', '.join(['win', *names])}"
    final = ", ".join(["win", *names, *values])
    order = f"ORDER BY {', '.join(['win', *names])}"
    by_slot = all(c.sums for _, c, _ in flat) and SlotMerge.takes([source[k].type.arrow for k in keys])
    return _Stages(
        rows.grouped(first, names),
        merge_sql,
        f"SELECT {final} FROM ({merge_sql}) WHERE n > 0 {order}",
        partial,
        f"SELECT {final} FROM {{input}} {order}" if by_slot else None,
    )


def _row_stages(node: p.WindowAggregate, rows: _SliceRows, fusion: Fusion) -> _Stages:
    """Keep the slice's rows (equal ones merged) and aggregate them whole when the window fires."""
    source = node.inputs[0].schema
    compile_ = fusion.compiler(source)
    keys = _final_keys(node)
    used = sorted({i for c in node.calls for a in c.inputs for i in input_refs(a)} | set(keys))
    columns = [f"c{i}" for i in used]
    # equal insertions are kept once where nothing depends on their order; their place is that of the first
    each = needs_order(node.calls) and not rows.weighted
    by = [*columns, "i"] if each else columns
    place = "i" if each else "min(i) AS i"
    partial = pa.schema(
        [
            *(pa.field(f"c{i}", source[i].type.arrow) for i in used),
            pa.field("w", pa.int64()),
            pa.field("i", pa.int64()),
        ]
    )
    first = ["count(*) AS rows", *columns, f"{rows.count} AS w", place]
    items = ["win", *columns, "sum(w)::BIGINT AS w", place]
    merged = f"SELECT {', '.join(items)} FROM {{input}} GROUP BY {', '.join(['win', *by])} HAVING sum(w) <> 0"
    expanded = f"SELECT * EXCLUDE (w), unnest(range(w)) FROM ({merged}) WHERE w > 0"
    values = [f"{batch_sql(c, compile_, 'i')} AS v{j}" for j, c in enumerate(node.calls)]
    final = ["win", *(f"c{k} AS k{i}" for i, k in enumerate(keys)), *values]
    final_by = ", ".join(["win", *(f"c{k}" for k in keys)])
    return _Stages(
        rows.grouped(first, by),
        merged,
        f"SELECT {', '.join(final)} FROM ({expanded}) GROUP BY {final_by} ORDER BY {final_by}",
        partial,
    )


def _session_aggregate(node: p.WindowAggregate, window: WindowSpec, fusion: Fusion) -> Operator:
    compile_ = fusion.compiler(node.inputs[0].schema)
    names = [f"c{k} AS k{i}" for i, k in enumerate(node.keys)]
    calls = [f"{batch_sql(c, compile_, 'i')} AS v{j}" for j, c in enumerate(node.calls)]
    by = ", ".join(["s", *(f"c{k}" for k in node.keys)])
    final = f"SELECT {', '.join(['s', *names, *calls])} FROM {{input}} GROUP BY {by}"
    return _session(node, window, fusion, final, node.bounds)


def _session(
    node: p.PhysicalNode, window: WindowSpec, fusion: Fusion, final: str, bounds: tuple[str | None, ...]
) -> Operator:
    source = node.inputs[0]
    return SessionWindow(
        SessionWindowConfig(
            prepare_sql=fusion.prepared(source, weight_column(source)),
            input=internal_schema(fusion.base(node).schema),
            rows=internal_schema(source.schema),
            keys=window.partition,
            time_sql=fusion.sql.local_time(window, source.schema),
            gap_ms=window.size_ms,
            zone=window.zone,
            final_sql=final,
            output=internal_schema(node.schema),
            bounds=bounds,
            proctime=window.proctime,
            what=what(node),
            weighted=source.updating,
            growing=isinstance(node, p.WindowTableFunction) and node.growing,
            lateness_ms=node.lateness_ms if isinstance(node, p.WindowTableFunction) else 0,
        )
    )
