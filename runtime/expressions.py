"""Bound expressions to the SQL of fragments: projections, filters, windows, watermarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from streamsql.planner import physical as p
from streamsql.planner.compile import compile_expr
from streamsql.planner.expressions import Expr
from streamsql.planner.functions.base import CompileContext
from streamsql.planner.logical import WindowSpec
from streamsql.schema import Schema

from .engine import NOW, WATERMARK, internal_names
from .windows import SlicedWindow, SliceSql, local_ms_sql, local_us_sql, slice_end_sql


def compile_context(time_zone: str) -> CompileContext:
    """How compiled SQL reads the step's clock and zone."""
    return CompileContext(time_zone=time_zone, now_sql=f"{NOW}::TIMESTAMPTZ")


class FragmentCompiler:
    """SQL over the internal column names ``c0 …`` of one input."""

    def __init__(self, time_zone: str) -> None:
        self.context = compile_context(time_zone)
        self._calc = replace(self.context, watermark_sql=WATERMARK)

    def exprs(self, exprs: Sequence[Expr], schema: Schema) -> list[str]:
        """SQL of expressions over the columns of ``schema``."""
        names = internal_names(len(schema))
        return [compile_expr(e, names, self.context) for e in exprs]

    def expr(self, expr: Expr, schema: Schema) -> str:
        return self.exprs([expr], schema)[0]

    def calc(self, node: p.Calc, source: str, extra: Sequence[str] = ()) -> str:
        """The projection and filter of a Calc; ``extra`` columns are passed through."""
        names = internal_names(len(node.inputs[0].schema))
        items = [f"{compile_expr(e, names, self._calc)} AS c{i}" for i, e in enumerate(node.exprs)]
        condition = node.condition
        where = "" if condition is None else f" WHERE {compile_expr(condition, names, self._calc)}"
        return f"SELECT {', '.join([*items, *extra]) or '1 AS c0'} FROM {source}{where}"

    def window_table(self, node: p.WindowTableFunction, source: str, extra: Sequence[str] = ()) -> str:
        """TUMBLE, HOP and CUMULATE as a projection: a row once per window it is in."""
        width = len(node.inputs[0].schema)
        window = node.window
        local = self.local_time(window, node.inputs[0].schema)
        base = ", ".join([*internal_names(width), *extra])
        end_ms = window_ends_sql(window, local)
        columns = ", ".join(window_bounds_sql(window, "we", width, tz=self._tz(node)))
        start = f"SELECT {base}, unnest({end_ms}) AS we FROM {source} WHERE c{window.time_column} IS NOT NULL"
        return (
            f"SELECT {base}, {columns} FROM ({start})"
            if not extra
            else (f"SELECT {', '.join(internal_names(width))}, {columns}, {', '.join(extra)} FROM ({start})")
        )

    @staticmethod
    def _tz(node: p.WindowTableFunction) -> bool:
        return bool(node.schema[len(node.inputs[0].schema) + 2].type.arrow.tz)

    def local_time(self, window: WindowSpec, schema: Schema) -> str:
        """SQL of the window's time column in wall-clock milliseconds."""
        column = f"c{window.time_column}"
        if window.proctime:
            now = self.context.now_sql
            return local_ms_sql(now, ltz=True, zone=window.zone)
        return local_ms_sql(column, ltz=bool(schema[window.time_column].type.arrow.tz), zone=window.zone)

    def slice(self, window: WindowSpec, schema: Schema) -> SliceSql:
        """SQL of the slice a row falls in."""
        if window.proctime:
            local = local_us_sql(self.context.now_sql, ltz=True, zone=window.zone)
        else:
            ltz = bool(schema[window.time_column].type.arrow.tz)
            local = local_us_sql(f"c{window.time_column}", ltz=ltz, zone=window.zone)
        return SliceSql.of(local, window.slice_ms, window.offset_ms)


def sliced(window: WindowSpec) -> SlicedWindow:
    """The slice arithmetic of a planned window."""
    return SlicedWindow(window.kind, window.size_ms, window.slice_ms, window.offset_ms, window.zone)


def window_ends_sql(window: WindowSpec, local_ms: str) -> str:
    """SQL of the list of ends (wall-clock ms) of the windows a row is in, ascending."""
    first = slice_end_sql(local_ms, window.slice_ms, window.offset_ms)
    if window.kind == "TUMBLE":
        return f"[{first}]"
    if window.kind == "HOP":
        return f"range({first}, {first} + {window.size_ms}, {window.step_ms})"
    last = slice_end_sql(local_ms, window.size_ms, window.offset_ms)
    return f"range({first}, {last} + 1, {window.step_ms})"


def window_bounds_sql(window: WindowSpec, end_ms: str, first: int, *, tz: bool) -> list[str]:
    """SQL of window_start, window_end, window_time as columns ``c{first}`` on, from the end in wall-clock ms."""
    if window.kind == "CUMULATE":
        size, last_ms = window.size_ms, f"({end_ms} - {window.offset_ms}) - 1"
        start = f"({end_ms} - ((({last_ms}) % {size}) + {size}) % {size} - 1)"
    else:
        start = f"({end_ms} - {window.size_ms})"
    time = f"make_timestamp(({end_ms} - 1) * 1000)"
    if tz:
        time = f"timezone('{window.zone}', {time})"
    return [
        f"make_timestamp({start} * 1000) AS c{first}",
        f"make_timestamp({end_ms} * 1000) AS c{first + 1}",
        f"{time} AS c{first + 2}",
    ]
