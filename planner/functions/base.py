"""What a built-in function is: name, signatures, result type, DuckDB form, documentation, as one record.

The documentation page, completion and the binder read the same records. A function is written once, in the
file of its category.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamsql.datatypes import DataType

if TYPE_CHECKING:
    from ..expressions import Call, Expr


class TypeMismatch(Exception):
    """Arguments that a function does not take; the binder adds position and signatures."""


@dataclass(frozen=True)
class CompileContext:
    """What compiled SQL refers to besides its columns.

    ``now_sql`` yields the step's clock reading as TIMESTAMPTZ. ``watermark_sql`` maps the SQL of a rowtime
    column to the SQL of the current watermark (same type, NULL before the first one). ``time_zone`` is the
    session zone (``table.local-time-zone``); DuckDB's TimeZone setting must be the same.
    """

    time_zone: str = "UTC"
    now_sql: str = "now()"
    watermark_sql: Callable[[str], str] | None = None


Infer = Callable[[Sequence["Expr"]], DataType]
Compile = Callable[["Invocation"], str]


@dataclass(frozen=True)
class Invocation:
    """One call being compiled: the call, the SQL of each argument, and the context."""

    call: Call
    args: tuple[str, ...]
    ctx: CompileContext

    @property
    def types(self) -> tuple[DataType, ...]:
        return tuple(a.type for a in self.call.args)

    @property
    def type(self) -> DataType:
        return self.call.type


@dataclass(frozen=True, eq=False)
class FunctionDef:
    """One scalar function or operator.

    ``infer`` gets the bound arguments and returns the result type or raises TypeMismatch; ``coerce`` may put
    casts around arguments before that. ``compile`` returns DuckDB SQL; the compiler casts its value to the
    result type unless ``exact`` says that it already has it.
    """

    name: str
    category: str
    signatures: tuple[str, ...]
    result: str
    description: str
    infer: Infer
    compile: Compile
    aliases: tuple[str, ...] = ()
    coerce: Callable[[Sequence[Expr]], Sequence[Expr]] | None = None
    arity: tuple[int, int | None] = (0, None)
    deterministic: bool = True
    exact: bool = False
    form: str = "call"  # call, infix, prefix, postfix or special: how EXPLAIN writes it
    render: Callable[[Call], str] | None = None
    user_defined: bool = False

    def text(self, call: Call) -> str:
        """Flink-like text of a call."""
        if self.render is not None:
            return self.render(call)
        args = [a.text() for a in call.args]
        if self.form == "infix":
            return "(" + f" {self.name} ".join(args) + ")"
        if self.form == "prefix":
            return f"{self.name}({args[0]})" if self.name.isalpha() else f"{self.name}{args[0]}"
        if self.form == "postfix":
            return f"{args[0]} {self.name}"
        return f"{self.name}({', '.join(args)})"


@dataclass(frozen=True)
class BatchAggregate:
    """One aggregate being compiled over whole groups. ``order`` is the SQL of the arrival order, if known."""

    args: tuple[str, ...]
    arg_types: tuple[DataType, ...]
    type: DataType
    distinct: bool = False
    filter: str | None = None
    order: str | None = None
    options: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class AggregateDef:
    """One aggregate or window function.

    ``compile_batch`` returns DuckDB SQL whose value is Flink's answer over all rows of a group. ``kind`` is
    ``aggregate`` or ``window`` (the latter only with OVER).
    """

    name: str
    category: str
    signatures: tuple[str, ...]
    result: str
    description: str
    infer: Infer
    compile_batch: Callable[[BatchAggregate], str]
    aliases: tuple[str, ...] = ()
    coerce: Callable[[Sequence[Expr]], Sequence[Expr]] | None = None
    arity: tuple[int, int | None] = (1, 1)
    kind: str = "aggregate"
    deterministic: bool = True
