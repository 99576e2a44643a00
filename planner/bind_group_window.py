"""GROUP BY TUMBLE(ts, …), HOP and SESSION: the older form of window aggregates, rewritten to the window table function.

::

    SELECT k, TUMBLE_START(ts, INTERVAL '1' HOUR) FROM t GROUP BY k, TUMBLE(ts, INTERVAL '1' HOUR)

is ``SELECT k, window_start FROM TUMBLE(TABLE t, …) GROUP BY k, window_start, window_end``; the sessions of ``SESSION``
are those of each key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.datatypes import Root
from streamsql.errors import UnsupportedError
from streamsql.schema import PROCTIME, ROWTIME, Schema

from .bind_nodes import project, refs
from .bind_windows import check_lengths, milliseconds
from .expression_binder import ExpressionBinder
from .expressions import Expr, InputRef
from .logical import LogicalNode, WindowSpec, WindowTable, window_fields

if TYPE_CHECKING:
    from .binder import QueryBinder

_LENGTHS = {"TUMBLE": ("SIZE",), "HOP": ("SLIDE", "SIZE"), "SESSION": ("GAP",)}
_PARTS = {"START": 0, "END": 1, "ROWTIME": 2, "PROCTIME": 2}
PART_FUNCTIONS = frozenset(f"{kind}_{part}" for kind in _LENGTHS for part in _PARTS)
"""``TUMBLE_START`` … ``SESSION_PROCTIME``."""


def is_group_window(item: exp.Expr) -> bool:
    """Whether an item of GROUP BY is a window."""
    return isinstance(item, exp.Anonymous) and item.name.upper() in _LENGTHS


class GroupWindow:
    """The window of one GROUP BY: its columns come after those of ``source``."""

    def __init__(
        self, binder: QueryBinder, plain: ExpressionBinder, source: LogicalNode, item: exp.Anonymous
    ) -> None:
        self._binder = binder
        self.source = source
        self.spec = self._spec(plain, item)
        field = source.schema[self.spec.time_column]
        self.fields = window_fields(field, proctime=self.spec.proctime)

    def _spec(self, plain: ExpressionBinder, call: exp.Anonymous) -> WindowSpec:
        """The window of TUMBLE(ts, size), or of TUMBLE_START with the same arguments."""
        kind = call.name.upper().split("_")[0]
        names = _LENGTHS[kind]
        usage = f"{kind}(time, {', '.join(names)})"
        if len(call.expressions) == len(names) + 2:
            raise UnsupportedError(
                f"the offset of {usage} is not supported",
                hint=f"FROM TABLE({kind}(TABLE t, DESCRIPTOR(time), …)) takes one",
                position=self._binder.position(call.expressions[-1]),
            )
        if len(call.expressions) != len(names) + 1:
            raise self._binder.error(call, f"found {len(call.expressions)} arguments, expected {usage}")
        time = plain.bind(call.expressions[0])
        field = self.source.schema[time.index] if isinstance(time, InputRef) else None
        if not isinstance(time, InputRef) or field is None or field.time not in (ROWTIME, PROCTIME):
            raise self._binder.error(
                call.expressions[0],
                f"{time.text()} of type {time.type} is not a time attribute",
                "declare WATERMARK FOR ts AS ts - INTERVAL '5' SECOND in the table",
            )
        lengths = {
            n: milliseconds(self._binder, e, n) for n, e in zip(names, call.expressions[1:], strict=True)
        }
        size = lengths.get("SIZE", lengths.get("GAP", 0))
        step = lengths.get("SLIDE", 0)
        check_lengths(self._binder, call, kind, size, step)
        zone = self._binder.context.time_zone if field.type.root is Root.TIMESTAMP_LTZ else "UTC"
        return WindowSpec(kind, time.index, size, step, proctime=field.time == PROCTIME, zone=zone)

    def column(self, part: int) -> InputRef:
        """Start (0), end (1) or time (2) as a column of the windowed rows."""
        f = self.fields[part]
        return InputRef(-1 - part, f.name, f.type)

    def part(self, plain: ExpressionBinder, call: exp.Anonymous) -> int:
        """Which column TUMBLE_START and its like name. Raises ValidationError for those of another window."""
        name = call.name.upper()
        if name.split("_")[0] != self.spec.kind:
            raise self._binder.error(call, f"{name} needs GROUP BY {name.split('_')[0]}(…)")
        if self._spec(plain, call) != self.spec:
            raise self._binder.error(
                call, f"{name} has other arguments than the window of GROUP BY", "repeat those of GROUP BY"
            )
        if name.endswith("_ROWTIME") and self.spec.proctime:
            raise self._binder.error(
                call, f"{name} needs a window over event time", f"use {name.replace('ROW', 'PROC')}"
            )
        return _PARTS[name.rpartition("_")[2]]

    def windowed(self, keys: Sequence[Expr]) -> WindowTable:
        """The source's rows with their windows; sessions are those of each value of ``keys``."""
        source = self.source
        partition: tuple[int, ...] = ()
        if self.spec.kind == "SESSION":
            source, partition = _with_columns(source, [k for k in keys if not is_window_column(k)])
        schema = Schema((*source.schema, *self.fields))
        return WindowTable(schema, source, replace(self.spec, partition=partition))


def is_window_column(e: Expr) -> bool:
    """Whether ``e`` is a :meth:`GroupWindow.column` that has no place yet."""
    return isinstance(e, InputRef) and e.index < 0


def place(e: Expr, width: int) -> Expr:
    """``e`` where the window's columns begin at ``width``."""
    if isinstance(e, InputRef):
        return replace(e, index=width - 1 - e.index) if e.index < 0 else e
    return e.with_children(tuple(place(c, width) for c in e.children)) if e.children else e


def _with_columns(source: LogicalNode, exprs: Sequence[Expr]) -> tuple[LogicalNode, tuple[int, ...]]:
    """The source with a column for each expression that is none, and where each of them is."""
    made = [e for e in exprs if not isinstance(e, InputRef)]
    width = len(source.schema)
    at = tuple(e.index if isinstance(e, InputRef) else width + made.index(e) for e in exprs)
    if made:
        names = [*source.schema.names, *(f"$k{i}" for i in range(len(made)))]
        source = project(source, [*refs(source.schema), *made], names)
    return source, at
