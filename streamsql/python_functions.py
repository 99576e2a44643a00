"""Python functions in SQL: declare types with :func:`udf`, or let annotations say them; :func:`udtf` yields rows.

    @udf(result_type="DOUBLE", input_types=["DOUBLE", "DOUBLE"])
    def discounted(price, percent):
        return price * (1 - percent / 100)

    env.create_temporary_function("discounted", discounted)

A function is called once a row with plain Python values, NULL as None. It must not change state that it shares with
others: it runs on the thread of the job. Source: PyFlink's ``udf`` (2.x).
"""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, get_type_hints, overload

from .catalog.objects import FunctionDefinition
from .datatypes import (
    ARRAY,
    BIGINT,
    BOOLEAN,
    BYTES,
    DATE,
    DECIMAL,
    DOUBLE,
    ROW,
    STRING,
    TIME,
    TIMESTAMP,
    DataType,
)
from .errors import UnsupportedError, ValidationError
from .planner.functions import FunctionDef, user_scalar
from .planner.parsing import parse_type
from .planner.typing import data_type

_ANNOTATIONS: dict[Any, DataType] = {
    bool: BOOLEAN(), int: BIGINT(), float: DOUBLE(), str: STRING(), bytes: BYTES(),
    Decimal: DECIMAL(38, 18), dt.date: DATE(), dt.time: TIME(3), dt.datetime: TIMESTAMP(6),
}  # fmt: skip


@dataclass(frozen=True)
class ScalarFunction:
    """A Python function with SQL types. It can still be called from Python."""

    function: Callable[..., Any]
    input_types: tuple[DataType, ...]
    result_type: DataType
    deterministic: bool = True

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)


@overload
def udf(
    function: Callable[..., Any],
    *,
    result_type: DataType | str | None = None,
    input_types: Sequence[DataType | str] | None = None,
    deterministic: bool = True,
    func_type: str = "general",
) -> ScalarFunction: ...


@overload
def udf(
    *,
    result_type: DataType | str | None = None,
    input_types: Sequence[DataType | str] | None = None,
    deterministic: bool = True,
    func_type: str = "general",
) -> Callable[[Callable[..., Any]], ScalarFunction]: ...


def udf(
    function: Callable[..., Any] | None = None,
    *,
    result_type: DataType | str | None = None,
    input_types: Sequence[DataType | str] | None = None,
    deterministic: bool = True,
    func_type: str = "general",
) -> ScalarFunction | Callable[[Callable[..., Any]], ScalarFunction]:
    """Make a Python function callable from SQL; also usable as a decorator.

    Types are :class:`DataType` or Flink's texts (``"DECIMAL(10, 2)"``); what is not given is read from annotations.
    Raises ValidationError where a type is neither given nor annotated, UnsupportedError for ``func_type="pandas"``.
    """
    if func_type != "general":
        raise UnsupportedError(
            f"udf(func_type='{func_type}') is not supported yet", hint="leave func_type out"
        )

    def wrap(f: Callable[..., Any]) -> ScalarFunction:
        inputs = input_types if input_types is not None else _annotated_inputs(f)
        result = result_type if result_type is not None else _annotated_result(f)
        return ScalarFunction(f, tuple(_type(t) for t in inputs), _type(result), deterministic)

    return wrap if function is None else wrap(function)


@overload
def udtf(
    function: Callable[..., Any],
    *,
    result_types: Sequence[DataType | str] | DataType | str,
    input_types: Sequence[DataType | str] | None = None,
    deterministic: bool = True,
) -> ScalarFunction: ...


@overload
def udtf(
    *,
    result_types: Sequence[DataType | str] | DataType | str,
    input_types: Sequence[DataType | str] | None = None,
    deterministic: bool = True,
) -> Callable[[Callable[..., Any]], ScalarFunction]: ...


def udtf(
    function: Callable[..., Any] | None = None,
    *,
    result_types: Sequence[DataType | str] | DataType | str,
    input_types: Sequence[DataType | str] | None = None,
    deterministic: bool = True,
) -> ScalarFunction | Callable[[Callable[..., Any]], ScalarFunction]:
    """Make a Python function that yields rows callable as ``LATERAL TABLE(f(x))``; also usable as a decorator.

    A row is a tuple, or a plain value where there is one column; None stands for no rows. ``result_types``: of the
    columns, named f0, f1 … unless an alias names them.
    """
    given = [result_types] if isinstance(result_types, DataType | str) else list(result_types)
    fields = [(f"f{i}", _type(t).with_nullable(True)) for i, t in enumerate(given)]
    row = ROW(fields)

    def wrap(f: Callable[..., Any]) -> ScalarFunction:
        inputs = input_types if input_types is not None else _annotated_inputs(f)
        return ScalarFunction(
            _rows(f, len(fields)), tuple(_type(t) for t in inputs), ARRAY(row), deterministic
        )

    return wrap if function is None else wrap(function)


def _rows(f: Callable[..., Any], width: int) -> Callable[..., list[dict[str, Any]]]:
    """``f`` with its rows as a list of named values, as DuckDB takes them."""

    def call(*args: Any) -> list[dict[str, Any]]:
        made = []
        for found in f(*args) or ():
            values = found if isinstance(found, tuple) else (found,)
            if len(values) != width:
                name = getattr(f, "__name__", str(f))
                raise ValueError(f"{name} yields a row of {len(values)} values, result_types names {width}")
            made.append({f"f{i}": v for i, v in enumerate(values)})
        return made

    call.__qualname__ = _origin(f)
    return call


def _type(given: DataType | str) -> DataType:
    if isinstance(given, DataType):
        return given
    return data_type(parse_type(given), given)


def _hints(f: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(f)
    except (NameError, TypeError):
        return {}


def _annotated_inputs(f: Callable[..., Any]) -> list[DataType]:
    hints = _hints(f)
    found: list[DataType] = []
    for name in inspect.signature(f).parameters:
        if hints.get(name) not in _ANNOTATIONS:
            raise ValidationError(
                f"function {getattr(f, '__name__', f)}: the type of parameter '{name}' is not known",
                hint="annotate it (int, float, str, …) or pass input_types to udf(…)",
            )
        found.append(_ANNOTATIONS[hints[name]])
    return found


def _annotated_result(f: Callable[..., Any]) -> DataType:
    found = _ANNOTATIONS.get(_hints(f).get("return"))
    if found is None:
        raise ValidationError(
            f"function {getattr(f, '__name__', f)}: the type of its result is not known",
            hint="annotate it (-> float) or pass result_type to udf(…)",
        )
    return found


def as_scalar(callable_: Any) -> ScalarFunction:
    """A :class:`ScalarFunction` as it is, or one made from a plain function's annotations."""
    if isinstance(callable_, ScalarFunction):
        return callable_
    return udf(callable_)


def planner_function(definition: FunctionDefinition) -> FunctionDef:
    """The planner's record of a user's function."""
    scalar = as_scalar(definition.callable)
    return user_scalar(
        definition.name,
        scalar.input_types,
        scalar.result_type,
        duckdb_name(definition),
        deterministic=scalar.deterministic,
        origin=_origin(scalar.function),
    )


def _origin(f: Callable[..., Any]) -> str:
    """The qualified name of a function, or of the class of what is called like one."""
    return str(getattr(f, "__qualname__", type(f).__qualname__))


def duckdb_name(definition: FunctionDefinition) -> str:
    """Under which name jobs register the function."""
    return f"udf_{definition.name}"


def register(connection: Any, definitions: Iterable[FunctionDefinition]) -> None:
    """Make the functions known to a DuckDB connection. NULL reaches them as None; an exception fails the query."""
    for d in definitions:
        scalar = as_scalar(d.callable)
        connection.create_function(
            duckdb_name(d), scalar.function, [t.duckdb for t in scalar.input_types], scalar.result_type.duckdb,
            null_handling="special", side_effects=not scalar.deterministic,
        )  # fmt: skip
