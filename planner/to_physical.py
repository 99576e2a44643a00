"""Logical to physical: chooses an operator per node, merges projections and filters into Calc, shares equal sub-plans.

Modes are filled in afterwards by :mod:`.changelog_mode`; here every updating node is RETRACT and upsert sources UPSERT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from streamsql.changelog import ChangelogMode
from streamsql.errors import UnsupportedError
from streamsql.schema import Field, Schema

from . import logical as l
from . import physical as p
from .expressions import Expr, InputRef, input_refs, is_deterministic, substitute
from .functions import conjunction
from .windows import WindowColumns, window_columns

Merged = tuple[l.LogicalNode, tuple[Expr, ...], Expr | None]


@dataclass(frozen=True)
class PhysicalOptions:
    """Session options that choose operators. ``early_fire``: window aggregates emit as they change."""

    early_fire: bool = False
    time_zone: str = "UTC"


def to_physical(
    root: l.LogicalNode, options: PhysicalOptions, memo: dict[str, p.PhysicalNode]
) -> p.PhysicalNode:
    """The physical tree of one root.

    ``memo`` is shared by the roots of a job, so that equal sub-plans become one node.
    """
    return _Converter(options, memo).convert(root)


_REFUSED: dict[type[l.LogicalNode], str] = {
    l.Join: "a join in a streaming query",
    l.Sort: "ORDER BY or LIMIT in a streaming query",
    l.Over: "an OVER aggregate in a streaming query",
    l.SetOperation: "INTERSECT or EXCEPT in a streaming query",
}


class _Converter:
    def __init__(self, options: PhysicalOptions, memo: dict[str, p.PhysicalNode]) -> None:
        self.options = options
        self.memo = memo

    def convert(self, node: l.LogicalNode) -> p.PhysicalNode:
        digest = node.digest()
        if isinstance(node, l.Sink | l.Collect):
            digest += f"#{len(self.memo)}"  # two equal INSERTs write twice
        if digest not in self.memo:
            method = getattr(self, f"_{type(node).__name__.lower()}", None)
            if method is None:
                raise UnsupportedError(
                    f"{_REFUSED.get(type(node), type(node).__name__)} is not supported yet",
                    hint="batch mode can, over tables that end: SET 'execution.runtime-mode' = 'BATCH'",
                )
            self.memo[digest] = method(node)
        return self.memo[digest]

    # -- leaves ----------------------------------------------------------------------------------------------------
    def _scan(self, node: l.Scan) -> p.PhysicalNode:
        names = node.schema.names
        key = node.table.primary_key
        upsert_key = tuple(names.index(k) for k in key) if key and all(k in names for k in key) else None
        return p.TableSourceScan(
            schema=node.schema,
            mode=node.options.source_mode,
            upsert_key=upsert_key,
            table=node.table,
            options=node.options,
            metadata=node.metadata,
            overrides=node.overrides,
        )

    def _values(self, node: l.Values) -> p.PhysicalNode:
        return p.Values(schema=node.schema, rows=node.rows)

    # -- projections and filters -----------------------------------------------------------------------------------
    def _project(self, node: l.Project) -> p.PhysicalNode:
        return self._calc(node)

    def _filter(self, node: l.Filter) -> p.PhysicalNode:
        return self._calc(node)

    def _calc(self, node: l.LogicalNode) -> p.PhysicalNode:
        base, exprs, condition = self._merge(node)
        source = self.convert(base)
        if condition is None and _is_identity(exprs, base.schema, node.schema):
            return source
        return p.Calc(
            schema=node.schema,
            inputs=(source,),
            mode=source.mode,
            upsert_key=_project_key(source.upsert_key, exprs),
            exprs=exprs,
            condition=condition,
        )

    def _merge(self, node: l.LogicalNode) -> Merged:
        """Fold a chain of Project and Filter into one projection and condition over the first other node."""
        if isinstance(node, l.Project):
            base, inner, condition = self._merge(node.input)
            if all(is_deterministic(e) for e in inner) or _is_refs(inner):
                return base, tuple(substitute(e, inner) for e in node.exprs), condition
            return node.input, node.exprs, None
        if isinstance(node, l.Filter):
            base, inner, condition = self._merge(node.input)
            if all(is_deterministic(e) for e in inner) or _is_refs(inner):
                return base, inner, _and(condition, substitute(node.condition, inner))
            return node.input, _refs(node.input.schema), node.condition
        return node, _refs(node.schema), None

    def _watermark(self, node: l.Watermark) -> p.PhysicalNode:
        source = self.convert(node.input)
        return p.WatermarkAssigner(
            schema=node.schema,
            inputs=(source,),
            mode=source.mode,
            upsert_key=source.upsert_key,
            column=node.column,
            expression=node.expression,
        )

    def _view(self, node: l.View) -> p.PhysicalNode:
        source = self.convert(node.input)
        return p.Calc(
            schema=node.schema, inputs=(source,), mode=source.mode, upsert_key=source.upsert_key,
            exprs=_refs(node.schema), views=(node.name,),
        )  # fmt: skip

    # -- windows and groups ----------------------------------------------------------------------------------------
    def _windowtable(self, node: l.WindowTable) -> p.PhysicalNode:
        source = self.convert(node.input)
        if source.updating and node.window.kind == "SESSION":
            raise UnsupportedError(
                "SESSION windows over an updating table are not supported",
                hint="aggregate an insert-only table",
            )
        return p.WindowTableFunction(
            schema=node.schema, inputs=(source,), mode=source.mode, window=node.window
        )

    def _aggregate(self, node: l.Aggregate) -> p.PhysicalNode:
        columns = window_columns(node.input)
        keys = {k: columns[k] for k in node.keys if k in columns}
        roles = {c.role for c in keys.values()}
        if not {"start", "end"} <= roles:
            return self._group(node)
        origin = next(iter(keys.values())).origin
        if self.options.early_fire and not _is_session(origin):
            return self._early(node, keys)
        if isinstance(origin, l.WindowTable):
            below = self._over_time(node, keys, origin)
            if below is not None:
                return below
        return self._attached(node, keys)

    def _group(self, node: l.Aggregate, window_end: int | None = None) -> p.GroupAggregate:
        source = self.convert(node.input)
        return p.GroupAggregate(
            schema=node.schema,
            inputs=(source,),
            mode=ChangelogMode.RETRACT,
            upsert_key=tuple(range(len(node.keys))),
            keys=node.keys,
            calls=node.calls,
            window_end=window_end,
        )

    def _early(self, node: l.Aggregate, keys: Mapping[int, WindowColumns]) -> p.PhysicalNode:
        end = next(k for k, c in keys.items() if c.role == "end")
        grouped = replace(self._group(node, window_end=node.keys.index(end)), clock=keys[end].clock)
        origin = keys[end].origin
        if isinstance(origin, l.WindowTable) and origin.window.kind in ("TUMBLE", "HOP"):
            # the start of a window gives its end, so the key is shorter by one
            return replace(grouped, upsert_key=tuple(i for i, k in enumerate(node.keys) if k != end))
        return grouped

    def _over_time(
        self, node: l.Aggregate, keys: Mapping[int, WindowColumns], origin: l.WindowTable
    ) -> p.PhysicalNode | None:
        """Aggregate straight over the window function's input, where nothing between reads the window columns."""
        base, exprs, condition = self._merge(node.input)
        if base is not origin or (condition is not None and not _passes_below(condition, origin)):
            return None
        used = {k for k in node.keys if k not in keys} | {
            i for c in node.calls for e in c.inputs for i in input_refs(e)
        }
        if any(_reads_window(exprs[i], origin) for i in used):
            return None
        time = origin.window.time_column
        width = len(origin.input.schema)
        # the aggregate's input: its columns (window columns replaced by the time column), then the time column
        source = self.convert(origin.input)
        filler = InputRef(time, origin.input.schema[time].name, origin.input.schema[time].type)
        columns = [e if i in used else filler for i, e in enumerate(exprs)]
        partition = [
            InputRef(i, f.name, f.type) for i in origin.window.partition for f in [origin.input.schema[i]]
        ]
        assert all(r < width for e in columns for r in input_refs(e))
        names = [f.name if i in used else f"${f.name}" for i, f in enumerate(node.input.schema)]
        fields = [Field(n, e.type) for n, e in zip(names, columns, strict=True)]
        fields += [origin.input.schema[time], *(origin.input.schema[i] for i in origin.window.partition)]
        calc = p.Calc(
            schema=Schema(tuple(fields)),
            inputs=(source,),
            mode=source.mode,
            exprs=(*columns, filler, *partition),
            condition=condition,
        )
        window = replace(
            origin.window,
            time_column=len(columns),
            partition=tuple(len(columns) + 1 + n for n in range(len(partition))),
        )
        return self._windowed(node, keys, calc, window=window)

    def _attached(self, node: l.Aggregate, keys: Mapping[int, WindowColumns]) -> p.PhysicalNode:
        source = self.convert(node.input)
        start = next(k for k, c in keys.items() if c.role == "start")
        end = next(k for k, c in keys.items() if c.role == "end")
        return self._windowed(node, keys, source, attached=(start, end))

    def _windowed(
        self,
        node: l.Aggregate,
        keys: Mapping[int, WindowColumns],
        source: p.PhysicalNode,
        *,
        window: l.WindowSpec | None = None,
        attached: tuple[int, int] | None = None,
    ) -> p.PhysicalNode:
        if source.updating and window is not None and window.kind == "SESSION":
            raise UnsupportedError(
                "SESSION windows over an updating table are not supported",
                hint="aggregate an insert-only table",
            )
        bounds: list[str | None] = [keys[k].role if k in keys else None for k in node.keys]
        bounds += [None] * len(node.calls)
        return p.WindowAggregate(
            schema=node.schema,
            inputs=(source,),
            mode=ChangelogMode.INSERT_ONLY,
            upsert_key=tuple(range(len(node.keys))),
            keys=tuple(k for k in node.keys if k not in keys),
            calls=node.calls,
            bounds=tuple(bounds),
            window=window,
            attached=attached,
            clock=next(c.clock for c in keys.values() if c.role == "end"),
        )

    def _unnest(self, node: l.Unnest) -> p.PhysicalNode:
        source = self.convert(node.input)
        return p.Correlate(schema=node.schema, inputs=(source,), mode=source.mode, unnest=node)

    # -- several inputs, roots -------------------------------------------------------------------------------------
    def _union(self, node: l.Union) -> p.PhysicalNode:
        inputs = tuple(self.convert(i) for i in node.inputs)
        updating = any(i.updating for i in inputs)
        return p.Union(
            schema=node.schema,
            inputs=inputs,
            mode=ChangelogMode.RETRACT if updating else ChangelogMode.INSERT_ONLY,
        )

    def _sink(self, node: l.Sink) -> p.PhysicalNode:
        source = self.convert(node.input)
        names = [c.name for c in node.table.sink_columns]
        key = tuple(names.index(k) for k in node.table.primary_key) if node.table.primary_key else None
        return p.Sink(
            schema=node.schema, inputs=(source,), mode=source.mode, upsert_key=source.upsert_key,
            table=node.table, options=node.options, primary_key=key,
        )  # fmt: skip

    def _collect(self, node: l.Collect) -> p.PhysicalNode:
        source = self.convert(node.input)
        return p.Collect(schema=node.schema, inputs=(source,), mode=source.mode, upsert_key=source.upsert_key)


def _is_session(origin: l.LogicalNode) -> bool:
    return isinstance(origin, l.WindowTable) and origin.window.kind == "SESSION"


def _reads_window(e: Expr, origin: l.WindowTable) -> bool:
    return any(i >= len(origin.input.schema) for i in input_refs(e))


def _passes_below(condition: Expr, origin: l.WindowTable) -> bool:
    """Whether a filter over a window's rows may be applied before it: a row taken out can split a session in two."""
    if origin.window.kind == "SESSION":
        return input_refs(condition) <= set(origin.window.partition)
    return not _reads_window(condition, origin)


def _refs(schema: Schema) -> tuple[Expr, ...]:
    return tuple(InputRef(i, f.name, f.type) for i, f in enumerate(schema))


def _is_refs(exprs: tuple[Expr, ...]) -> bool:
    return all(isinstance(e, InputRef) for e in exprs)


def _is_identity(exprs: tuple[Expr, ...], base: Schema, out: Schema) -> bool:
    same = all(isinstance(e, InputRef) and e.index == i for i, e in enumerate(exprs))
    return same and len(exprs) == len(base) and base.names == out.names


def _and(a: Expr | None, b: Expr) -> Expr:
    return b if a is None else conjunction([a, b])


def _project_key(key: p.Key, exprs: tuple[Expr, ...]) -> p.Key:
    if key is None:
        return None
    place = {e.index: i for i, e in reversed(list(enumerate(exprs))) if isinstance(e, InputRef)}
    return tuple(place[k] for k in key) if all(k in place for k in key) else None
