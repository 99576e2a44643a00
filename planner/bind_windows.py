"""TUMBLE, HOP, CUMULATE and SESSION in FROM: arguments by position or by name, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.datatypes import Root
from streamsql.errors import did_you_mean
from streamsql.schema import PROCTIME, ROWTIME, Schema

from .bind_arguments import bind_rows, partition_columns
from .dialect.nodes import Descriptor, TableArgument
from .logical import LogicalNode, WindowSpec, WindowTable, window_fields
from .typing import interval_ms

if TYPE_CHECKING:
    from .binder import QueryBinder


@dataclass(frozen=True)
class _Signature:
    """Names of the arguments after DATA and TIMECOL, in order; the last ``optional`` of them may be left out."""

    names: tuple[str, ...]
    optional: int = 1


WINDOW_FUNCTIONS: dict[str, _Signature] = {
    "TUMBLE": _Signature(("SIZE", "OFFSET")),
    "HOP": _Signature(("SLIDE", "SIZE", "OFFSET")),
    "CUMULATE": _Signature(("STEP", "SIZE", "OFFSET")),
    "SESSION": _Signature(("GAP",), optional=0),
}


def bind_window(binder: QueryBinder, call: exp.Anonymous, kind: str) -> LogicalNode:
    """The window table of ``call``. Raises ValidationError for arguments that do not make a window."""
    arguments = _arguments(binder, call, kind)
    source, partition_by = _data(binder, arguments["DATA"], kind)
    time = _time_column(binder, source, arguments["TIMECOL"])
    lengths = {
        n: milliseconds(binder, arguments[n], n) for n in WINDOW_FUNCTIONS[kind].names if n in arguments
    }
    size = lengths.get("SIZE", lengths.get("GAP", 0))
    step = lengths.get("SLIDE", lengths.get("STEP", 0))
    check_lengths(binder, call, kind, size, step)
    field = source.schema[time]
    proctime = field.time == PROCTIME
    zone = binder.context.time_zone if field.type.root is Root.TIMESTAMP_LTZ else "UTC"
    window = WindowSpec(kind, time, size, step, lengths.get("OFFSET", 0), partition_by, proctime, zone)
    schema = Schema((*source.schema, *window_fields(field, proctime=proctime)))
    return WindowTable(schema, source, window)


def _arguments(binder: QueryBinder, call: exp.Anonymous, kind: str) -> dict[str, exp.Expr]:
    signature = WINDOW_FUNCTIONS[kind]
    names = ("DATA", "TIMECOL", *signature.names)
    usage = f"{kind}(TABLE t, DESCRIPTOR(time), {', '.join(signature.names)})"
    found: dict[str, exp.Expr] = {}
    for i, argument in enumerate(call.expressions):
        if isinstance(argument, exp.Kwarg):
            name = argument.this.name.upper()
            if name not in names:
                raise binder.error(
                    argument, f"{kind} has no argument {name}", f"arguments: {', '.join(names)}"
                )
            found[name] = argument.expression
        elif i < len(names):
            found[names[i]] = argument
        else:
            raise binder.error(argument, f"{kind} takes at most {len(names)} arguments", usage)
    required = names[: len(names) - signature.optional]
    missing = [n for n in required if n not in found]
    if missing:
        raise binder.error(call, f"{kind} needs the argument {', '.join(missing)}", usage)
    return found


def _data(binder: QueryBinder, argument: exp.Expr, kind: str) -> tuple[LogicalNode, tuple[int, ...]]:
    inner = argument.this if isinstance(argument, TableArgument) else argument
    if not isinstance(argument, TableArgument) and not isinstance(inner, exp.Subquery):
        raise binder.error(
            argument, f"the first argument of {kind} must be TABLE t", f"write {kind}(TABLE t, …)"
        )
    node = bind_rows(binder, inner)
    partition = partition_columns(binder, argument, node)
    if partition and kind != "SESSION":
        raise binder.error(argument, f"{kind} takes no PARTITION BY", "group by the column instead")
    return node, partition


def _time_column(binder: QueryBinder, source: LogicalNode, argument: exp.Expr) -> int:
    if not isinstance(argument, Descriptor) or len(argument.expressions) != 1:
        raise binder.error(argument, "the time column must be given as DESCRIPTOR(column)")
    name = argument.expressions[0].name
    if name not in source.schema.names:
        raise binder.error(
            argument, f"the table has no column '{name}'", did_you_mean(name, source.schema.names)
        )
    i = source.schema.index(name)
    field = source.schema[i]
    if field.time not in (ROWTIME, PROCTIME):
        raise binder.error(
            argument,
            f"column '{name}' of type {field.type} is not a time attribute",
            f"declare WATERMARK FOR {name} AS {name} - INTERVAL '5' SECOND in the table",
        )
    return i


def milliseconds(binder: QueryBinder, argument: exp.Expr, name: str) -> int:
    """The length that a constant interval stands for. Raises ValidationError for anything else."""
    value = interval_ms(argument)
    if value is None:
        raise binder.error(argument, f"{name} expects a constant interval such as INTERVAL '10' SECOND")
    if value <= 0 and name != "OFFSET":
        raise binder.error(argument, f"{name} must be positive")
    return value


def check_lengths(binder: QueryBinder, call: exp.Anonymous, kind: str, size: int, step: int) -> None:
    """Raises ValidationError for a size that its steps do not fill."""
    if kind == "HOP" and size % step:
        raise binder.error(call, f"HOP: the size ({size} ms) must be a multiple of the slide ({step} ms)")
    if kind == "CUMULATE" and size % step:
        raise binder.error(call, f"CUMULATE: the size ({size} ms) must be a multiple of the step ({step} ms)")
