"""What DEFINE computes in Python against DuckDB, which computes everything else: the same expression both ways."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from streamsql.datatypes import (
    BIGINT,
    BOOLEAN,
    DECIMAL,
    DOUBLE,
    FLOAT,
    INT,
    STRING,
    TIMESTAMP,
    TINYINT,
    DataType,
)
from streamsql.planner.compile import compile_aggregate, compile_expr
from streamsql.planner.expression_binder import ExpressionBinder
from streamsql.planner.expressions import AggregateCall, Expr, InputRef
from streamsql.planner.functions import FunctionRegistry
from streamsql.planner.parsing import parse_expression
from streamsql.runtime.engine import Engine
from streamsql.runtime.match_python import Evaluate, compile_condition
from streamsql.runtime.match_values import running

NAN = float("nan")
VALUES: dict[DataType, Sequence[Any]] = {
    INT(): (None, 0, 1, -7, 2**31 - 1),
    BIGINT(): (None, 1, -7, 2**63 - 1),
    DECIMAL(9, 2): (None, Decimal("1.50"), Decimal("-0.25")),
    DOUBLE(): (None, 0.0, -0.0, 1.5, NAN, float("inf")),
    STRING(): (None, "", "a", "ü", "Z"),
    BOOLEAN(): (None, True, False),
    TIMESTAMP(3): (None, dt.datetime(2024, 1, 1), dt.datetime(1969, 12, 31, 23, 59, 59, 999000)),
}
COMPARISONS = [f"a {op} b" for op in ("=", "<>", "<", "<=", ">", ">=")]
EXPRESSIONS = {
    INT(): [
        *COMPARISONS, "a + b", "a - b", "a * b", "a BETWEEN b AND 5", "COALESCE(a, b, 3)",
        "CASE WHEN a > b THEN a ELSE b END", "CAST(a AS BIGINT) + CAST(b AS BIGINT)",
        "CAST(a AS DOUBLE) < CAST(b AS DOUBLE)",
    ],
    BIGINT(): [*COMPARISONS, "a + b", "a * b"],
    DECIMAL(9, 2): COMPARISONS,
    DOUBLE(): [*COMPARISONS, "a + b", "a * b", "a BETWEEN b AND 2.5E0"],
    STRING(): [*COMPARISONS, "a < 'b'", "a IS NULL OR b = 'a'"],
    BOOLEAN(): ["a AND b", "a OR b", "NOT a", "a IS TRUE", "a IS NOT TRUE", "a IS FALSE AND b IS UNKNOWN", "a = b"],
    TIMESTAMP(3): COMPARISONS,
}  # fmt: skip


class Names:
    def __init__(self, type_: DataType) -> None:
        self.type = type_

    def resolve(self, parts: Sequence[str], node: object = None) -> Expr | None:
        return InputRef("ab".index(parts[0]), parts[0], self.type)

    def suggest(self) -> list[str]:
        return []


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(threads=1)
    yield made
    made.close()


def in_python(expr: Expr) -> Evaluate:
    def leaf(e: Expr) -> Evaluate | None:
        return (lambda vals, row: row[e.index]) if isinstance(e, InputRef) else None

    def fallback(e: Expr) -> Evaluate:
        raise AssertionError(f"{e.text()} is not computed in Python")

    return compile_condition(expr, leaf, fallback)


CASES = [(t, text) for t, texts in EXPRESSIONS.items() for text in texts]


@pytest.mark.parametrize(("type_", "text"), CASES, ids=[f"{t.root.name} {text}" for t, text in CASES])
def test_expression(engine: Engine, type_: DataType, text: str) -> None:
    expr = ExpressionBinder(Names(type_), FunctionRegistry(), text).bind(parse_expression(text))
    pairs = list(itertools.product(VALUES[type_], repeat=2))
    columns = [pa.array(c, type_.arrow) for c in zip(*pairs, strict=True)]
    table = pa.table([*columns, pa.array(range(len(pairs)))], names=["a", "b", "i"])
    sql = f"SELECT {compile_expr(expr, ['a', 'b'])} AS x FROM t ORDER BY i"
    expected = engine.query(sql, {"t": table})["x"].cast(expr.type.arrow).to_pylist()
    evaluate = in_python(expr)
    rows = zip(*(c.to_pylist() for c in columns), strict=True)
    assert [repr(evaluate((), row)) for row in rows] == [repr(x) for x in expected]


AGGREGATED: list[tuple[DataType, Sequence[Any]]] = [
    (TINYINT(), (100, 27, None, 100)), (INT(), (2**31 - 1, 5)), (BIGINT(), (2**63 - 1, 1, -3)), (INT(), (-3, -4)),
    (DECIMAL(9, 2), (Decimal("1.00"), Decimal("1.01"), Decimal("0.50"))),
    (DECIMAL(9, 2), (Decimal("-1.00"), Decimal("0.00"), None)),
    (DOUBLE(), (0.5, NAN, 2.0)), (DOUBLE(), (0.5, -0.25)), (FLOAT(), (0.1, 0.2)),
    (INT(), (None,)), (STRING(), ("b", None, "a")), (INT(), ()),
]  # fmt: skip


@pytest.mark.parametrize("name", ["COUNT", "SUM", "AVG", "MIN", "MAX"])
@pytest.mark.parametrize(("type_", "values"), AGGREGATED, ids=str)
def test_aggregate(engine: Engine, name: str, type_: DataType, values: Sequence[Any]) -> None:
    if not type_.is_numeric and name in ("SUM", "AVG"):
        return
    function = FunctionRegistry().aggregate(name)
    assert function is not None
    column = InputRef(0, "a", type_)
    call = AggregateCall(function, (column,), function.infer([column]))
    kept = running(name, type_, call.type)
    state = kept.initial
    array = pa.array(values, type_.arrow)
    for value in array.to_pylist():
        state = kept.add(state, value)
    sql = f"SELECT {compile_aggregate(call, ['a'])} AS x FROM t"
    (expected,) = (
        engine.query(sql, {"t": pa.table([array], names=["a"])})["x"].cast(call.type.arrow).to_pylist()
    )
    assert repr(kept.read(state)) == repr(expected)
