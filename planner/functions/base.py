"""What a built-in function is: name, signatures, result type, DuckDB form and documentation, as one record.

The documentation page, completion and the binder read the same records. A function is written once, in the
file of its category, with ``scalar(...)`` or ``aggregate(...)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streamsql.datatypes import DataType
from streamsql.errors import UnsupportedError

from .signatures import Signature

if TYPE_CHECKING:
    from ..expressions import Call, Expr


class TypeMismatch(Exception):
    """Arguments that a function does not take; the binder adds position and signatures."""


@dataclass(frozen=True)
class CompileContext:
    """What compiled SQL refers to besides its columns.

    ``now_sql`` yields the step's clock reading as TIMESTAMPTZ. ``watermark_sql`` yields the current watermark in
    epoch milliseconds, NULL before the first one; None where it is not known. ``time_zone`` is the session zone
    (``table.local-time-zone``); DuckDB's TimeZone setting must be the same.
    """

    time_zone: str = "UTC"
    now_sql: str = "now()"
    watermark_sql: str | None = None


@dataclass(frozen=True)
class Invocation:
    """One call being compiled: the call, the SQL of each argument, and the context."""

    call: Call
    args: Sequence[str]
    ctx: CompileContext

    @property
    def types(self) -> tuple[DataType, ...]:
        return tuple(a.type for a in self.call.args)

    @property
    def type(self) -> DataType:
        return self.call.type

    @property
    def volatile(self) -> bool:
        """Whether DuckDB would evaluate an argument anew at each mention, or refuse TRY around it."""
        return any(is_volatile(a) for a in self.call.args)

    def constant(self, i: int) -> object:
        """The value of argument ``i`` if it is a literal, else None."""
        return literal_value(self.call.args[i]) if i < len(self.args) else None

    def text(self, i: int, what: str) -> str:
        """Argument ``i``, which must be a string constant. Raises UnsupportedError naming ``what``."""
        value = self.constant(i)
        if not isinstance(value, str):
            raise UnsupportedError(
                f"{self.call.function.name} needs a constant {what}", hint="write it as a literal"
            )
        return value


Infer = Callable[[Sequence["Expr"]], DataType]
Compile = Callable[[Invocation], str]
Coerce = Callable[[Sequence["Expr"]], Sequence["Expr"]]


@dataclass(frozen=True, eq=False)
class FunctionDef:
    """One scalar function or operator.

    The binder matches the arguments against ``signatures``, lets ``coerce`` put casts around them, and asks
    ``infer`` for the result type; both may raise TypeMismatch. ``compile`` returns DuckDB SQL; the compiler casts
    its value to the result type unless ``exact`` says that it already has it. ``form`` is how EXPLAIN writes it.
    """

    name: str
    category: str
    signatures: tuple[Signature, ...]
    result: str
    description: str
    infer: Infer
    compile: Compile
    aliases: tuple[str, ...] = ()
    coerce: Coerce | None = None
    deterministic: bool = True
    volatile: bool = False  # DuckDB evaluates it at each mention
    exact: bool = False
    form: str = "call"
    render: Callable[[Call], str] | None = None
    syntax: tuple[str, ...] = ()  # as documented, where a signature does not say it
    user_defined: bool = False
    origin: str = ""  # where the code of a user's function is

    def usage(self) -> tuple[str, ...]:
        """The ways to write it, for documentation and error texts."""
        return self.syntax or tuple(f"{self.name}{s}" for s in self.signatures)

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
    """One aggregate being compiled over whole groups, or over a window.

    ``order`` is the SQL of the arrival order, if known; ``window`` what stands in the parentheses of OVER.
    """

    args: Sequence[str]
    arg_types: Sequence[DataType]
    type: DataType
    distinct: bool = False
    filter: str | None = None
    order: str | None = None
    options: dict[str, object] = field(default_factory=dict[str, object])
    window: str | None = None

    def over(self, condition: str | None = None) -> str:
        """What follows each aggregate: FILTER with one more condition, and OVER of a window."""
        conditions = [c for c in (self.filter, condition) if c]
        filtered = f" FILTER (WHERE {' AND '.join(f'({c})' for c in conditions)})" if conditions else ""
        return filtered if self.window is None else f"{filtered} OVER ({self.window})"

    @property
    def distinct_sql(self) -> str:
        return "DISTINCT " if self.distinct else ""

    def ordered(self, key: str | None = None) -> str:
        """An ORDER BY inside the aggregate by arrival, or an empty text."""
        order = key or self.order
        return f" ORDER BY {order}" if order else ""


@dataclass(frozen=True, eq=False)
class AggregateDef:
    """One aggregate or window function.

    ``compile_batch`` returns DuckDB SQL whose value is Flink's answer over all rows of a group. ``kind`` is
    ``aggregate`` or ``window`` (the latter only with OVER).
    """

    name: str
    category: str
    signatures: tuple[Signature, ...]
    result: str
    description: str
    infer: Infer
    compile_batch: Callable[[BatchAggregate], str]
    aliases: tuple[str, ...] = ()
    coerce: Coerce | None = None
    kind: str = "aggregate"
    deterministic: bool = True
    syntax: tuple[str, ...] = ()
    user_defined: bool = False
    origin: str = ""  # where the code of a user's function is

    def usage(self) -> tuple[str, ...]:
        """The ways to write it, for documentation and error texts."""
        return self.syntax or tuple(f"{self.name}{s}" for s in self.signatures)


# -- writing records -------------------------------------------------------------------------------------------


def any_nullable(args: Sequence[Expr]) -> bool:
    """Whether one of the arguments may be NULL."""
    return any(a.type.nullable for a in args)


def result_type(result: DataType | Infer, nullable: str) -> Infer:
    """The inference for a fixed type, or for a rule, with nullability ``args``, ``always``, ``never`` or ``rule``."""

    def infer(args: Sequence[Expr]) -> DataType:
        found = result if isinstance(result, DataType) else result(args)
        if nullable == "rule":
            return found
        return found.with_nullable({"always": True, "never": False}.get(nullable, any_nullable(args)))

    return infer


def template(sql: str) -> Compile:
    """Compile by filling ``{0}``, ``{1}`` … of a SQL text; ``{args}`` is all of them."""
    return lambda inv: sql.format(*inv.args, args=", ".join(inv.args))


def scalar(
    name: str,
    category: str,
    signature: str | Sequence[str],
    result: DataType | Infer,
    sql: str | Compile,
    description: str,
    *,
    nullable: str = "args",
    result_text: str | None = None,
    **options: Any,
) -> FunctionDef:
    """A function record. ``signature`` as ``(STRING, INT[, INT])``; ``sql`` is a template or a callable."""
    signatures = (signature,) if isinstance(signature, str) else tuple(signature)
    text = result_text or (
        result.sql(nullability=False) if isinstance(result, DataType) else "type of the arguments"
    )
    return FunctionDef(
        name,
        category,
        tuple(Signature.parse(s) for s in signatures),
        text,
        description,
        result_type(result, nullable),
        template(sql) if isinstance(sql, str) else sql,
        **options,
    )


def literal_value(expr: Expr) -> object:
    """The value of a literal, also below casts that keep it (a typed string or number), else None."""
    from ..expressions import Cast, Literal

    while isinstance(expr, Cast) and expr.type.is_string == expr.arg.type.is_string:
        expr = expr.arg
    return expr.value if isinstance(expr, Literal) else None


def is_volatile(expr: Expr) -> bool:
    """Whether the tree holds a function that DuckDB evaluates at each mention (RAND, UUID)."""
    from ..expressions import Call, walk

    return any(isinstance(e, Call) and e.function.volatile for e in walk(expr))
