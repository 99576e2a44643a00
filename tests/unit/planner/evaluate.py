"""Runs an expression the way a job does: parsed, bound, compiled, computed by DuckDB."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from streamsql.datatypes import Root
from streamsql.planner.compile import CompileContext, compile_aggregate, compile_expr
from streamsql.planner.expression_binder import EmptyScope, ExpressionBinder, ExpressionScope
from streamsql.planner.expressions import Expr
from streamsql.planner.functions import FunctionRegistry, support
from streamsql.planner.parsing import parse_expression
from streamsql.planner.scope import Scope
from streamsql.schema import Schema

REGISTRY = FunctionRegistry()


@dataclass(frozen=True)
class Value:
    """What came out: the value, Flink's type, and whether DuckDB's value has exactly that type."""

    value: object
    type: str
    exact: bool


class Evaluator:
    """One DuckDB connection with the support functions; columns come from ``table``, if given."""

    def __init__(self, time_zone: str = "UTC", table: tuple[Schema, pa.Table] | None = None) -> None:
        self.connection = duckdb.connect()
        self.connection.execute(f"SET TimeZone = '{time_zone}'; SET threads = 1")
        support.register(self.connection)
        self.context = CompileContext(time_zone, "make_timestamptz(1700000000123000)", "1699913600123")
        self.schema = table[0] if table else Schema(())
        if table:
            self.connection.register("rows", table[1])
        self.source = " FROM rows" if table else ""

    @property
    def scope(self) -> ExpressionScope:
        return Scope.of(self.schema, "t") if len(self.schema) else EmptyScope()

    @property
    def columns(self) -> list[str]:
        return [f'"{n}"' for n in self.schema.names]

    def bind(self, text: str, registry: FunctionRegistry = REGISTRY) -> Expr:
        return ExpressionBinder(self.scope, registry, text).bind(parse_expression(text))

    def rows(self, text: str, registry: FunctionRegistry = REGISTRY) -> list[object]:
        """The values of an expression, one a row."""
        expr = self.bind(text, registry)
        sql = compile_expr(expr, self.columns, self.context)
        return self._column(f"SELECT {sql} AS v{self.source}")

    def value(self, text: str) -> Value:
        """A constant expression."""
        expr = self.bind(text)
        sql = compile_expr(expr, [], self.context)
        relation = self.connection.sql(f"SELECT {sql} AS v, CAST(NULL AS {expr.type.duckdb}) AS wanted")
        exact = expr.type.root is Root.NULL or relation.types[0] == relation.types[1]
        return Value(relation.to_arrow_table()["v"][0].as_py(), expr.type.sql(), exact)

    def aggregate(
        self, text: str, *, order: str | None = None, where: str = "true", window: str | None = None
    ) -> list[object]:
        """An aggregate over all rows, or one value a row with ``window``."""
        binder = ExpressionBinder(self.scope, REGISTRY, text)
        call = binder.bind_aggregate(parse_expression(text))
        sql = compile_aggregate(call, self.columns, self.context, order=order, window=window)
        in_order = " ORDER BY o" if window is not None else ""
        typed = f"CAST(NULL AS {call.type.duckdb}) AS wanted"
        relation = self.connection.sql(f"SELECT {sql} AS v, {typed}{self.source} WHERE {where}{in_order}")
        assert relation.types[0] == relation.types[1]
        found: list[object] = relation.to_arrow_table()["v"].to_pylist()
        return found

    def aggregate_type(self, text: str) -> str:
        binder = ExpressionBinder(self.scope, REGISTRY, text)
        return binder.bind_aggregate(parse_expression(text)).type.sql()

    def _column(self, query: str) -> list[object]:
        found: list[object] = self.connection.sql(query).to_arrow_table()["v"].to_pylist()
        return found


@contextlib.contextmanager
def evaluator(time_zone: str = "UTC", table: tuple[Schema, pa.Table] | None = None) -> Generator[Evaluator]:
    """An evaluator whose connection is closed at the end."""
    made = Evaluator(time_zone, table)
    try:
        yield made
    finally:
        made.connection.close()


def same(found: object, wanted: object) -> bool:
    """Equal values of equal kinds: 1 is not 1.0 and not TRUE."""
    if isinstance(wanted, Sequence) and not isinstance(wanted, str | bytes) and isinstance(found, Sequence):
        return len(found) == len(wanted) and all(same(f, w) for f, w in zip(found, wanted, strict=True))
    if isinstance(wanted, float) and math.isnan(wanted):
        return isinstance(found, float) and math.isnan(found)
    if isinstance(wanted, dt.datetime) and wanted.tzinfo is not None:
        return found == wanted
    return found == wanted and type(found) is type(wanted)


def utc(*parts: int) -> dt.datetime:
    """A point in time in UTC."""
    year, month, day, hour, minute, second, microsecond = parts
    return dt.datetime(year, month, day, hour, minute, second, microsecond, tzinfo=dt.UTC)
