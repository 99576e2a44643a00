"""Bound expression nodes, their rewriting and their text."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from itertools import pairwise

import pytest

from streamsql.datatypes import (
    BIGINT,
    BOOLEAN,
    BYTES,
    DATE,
    DECIMAL,
    DOUBLE,
    INT,
    INTERVAL_MONTH,
    INTERVAL_SECOND,
    ROW,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_LTZ,
    DataType,
)  # fmt: skip
from streamsql.planner.compile import compile_expr, compile_sort_key
from streamsql.planner.expression_binder import ExpressionBinder
from streamsql.planner.expressions import (
    TRUE,
    AggregateCall,
    Cast,
    Expr,
    FieldAccess,
    InputRef,
    Literal,
    SortKey,
    conjuncts,
    input_refs,
    is_constant,
    is_deterministic,
    remap,
    shift,
    sql_text,
    substitute,
    transform,
    walk,
)  # fmt: skip
from streamsql.planner.functions import FunctionRegistry, conjunction, equals
from streamsql.planner.parsing import parse_expression
from streamsql.planner.scope import Scope
from streamsql.schema import Schema

SCHEMA = Schema.of([("a", INT()), ("b", BIGINT()), ("s", STRING()), ("r", ROW([("x", INT())]))])
A, B, S, R = (InputRef(i, f.name, f.type) for i, f in enumerate(SCHEMA))
REGISTRY = FunctionRegistry()


def bind(text: str) -> Expr:
    return ExpressionBinder(Scope.of(SCHEMA), REGISTRY, text).bind(parse_expression(text))


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("a + 1", "(a + 1)"),
        ("b * 2 - a", "((b * 2) - CAST(a AS BIGINT))"),
        ("upper(s)", "UPPER(s)"),
        ("substr(s, 2)", "SUBSTRING(s, 2)"),
        ("cast(a as bigint)", "CAST(a AS BIGINT)"),
        ("try_cast(s as int)", "TRY_CAST(s AS INT)"),
        ("a > 5 and b < 3 and s = 'x'", "((a > 5) AND (b < 3) AND (s = 'x'))"),
        ("not (a > 5)", "NOT((a > 5))"),
        ("s is not null", "s IS NOT NULL"),
        ("a in (1, 2)", "(a IN (1, 2))"),
        ("s like 'a%'", "(s LIKE 'a%')"),
        ("s = 'it''s'", "(s = 'it''s')"),
        ("case when a > 1 then 'x' end", "CASE WHEN (a > 1) THEN 'x' ELSE null:CHAR(1) END"),
        ("r.x", "r.x"),
        ("extract(year from date '2020-01-31')", "EXTRACT(YEAR FROM 2020-01-31)"),
        ("array[a, 1][2]", "ARRAY[a, 1][2]"),
        ("map['k', a]", "MAP['k', a]"),
        ("-a", "-(a)"),
    ],
)
def test_text(sql: str, text: str) -> None:
    assert sql_text(bind(sql)) == text


@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        (None, INT(), "null:INT"),
        (True, BOOLEAN(), "TRUE"),
        (Decimal("1.50"), DECIMAL(3, 2), "1.50"),
        (1.5, DOUBLE(), "1.5"),
        (b"\x0a", BYTES(), "X'0A'"),
        (dt.date(2020, 1, 2), DATE(), "2020-01-02"),
        (dt.time(1, 2, 3, 400000), TIME(1), "01:02:03.4"),
        (dt.datetime(2020, 1, 2, 3, 4, 5), TIMESTAMP(0), "2020-01-02 03:04:05"),
        (dt.datetime(2020, 1, 2, 3, 4, 5, 600000), TIMESTAMP(3), "2020-01-02 03:04:05.600"),
        (dt.datetime(2020, 1, 2, 3, tzinfo=dt.UTC), TIMESTAMP_LTZ(3), "2020-01-02 03:00:00.000"),
        (14, INTERVAL_MONTH(), "14:INTERVAL YEAR TO MONTH"),
        (5000, INTERVAL_SECOND(), "5000:INTERVAL SECOND"),
    ],
)
def test_text_of_literals(value: object, type_: DataType, text: str) -> None:
    assert sql_text(Literal(value, type_)) == text


def test_text_of_aggregates() -> None:
    count, total = REGISTRY.aggregate("COUNT"), REGISTRY.aggregate("SUM")
    assert count is not None and total is not None
    assert AggregateCall(count, (), BIGINT()).text() == "COUNT(*)"
    call = AggregateCall(total, (A,), INT(), distinct=True, filter=bind("a > 1"))
    assert call.text() == "SUM(DISTINCT a) FILTER (a > 1)"
    assert call.inputs == (A, call.filter)
    assert call.map_inputs(lambda e: shift(e, 3)).text() == call.text()
    assert call.map_inputs(lambda e: shift(e, 3)) != call


def test_walk_is_parents_first() -> None:
    expr = bind("UPPER(s) || 'x'")
    assert [sql_text(e) for e in walk(expr)] == ["(UPPER(s) || 'x')", "UPPER(s)", "s", "'x'"]


def test_equal_trees_are_equal_and_hash_alike() -> None:
    assert bind("a + 1") == bind("a  +  1")
    assert hash(bind("a + 1")) == hash(bind("a + 1"))
    assert bind("a + 1") != bind("a + 2")
    assert bind("1") != bind("TRUE")
    assert bind("SUBSTR(s, 1)") == bind("SUBSTRING(s, 1)")


def test_columns_move() -> None:
    expr = bind("a + b")
    assert input_refs(expr) == {0, 1}
    assert input_refs(shift(expr, 5)) == {5, 6}
    assert shift(expr, 0) is expr
    assert input_refs(remap(expr, {0: 9, 1: 4})) == {9, 4}
    with pytest.raises(KeyError):
        remap(expr, {0: 9})
    assert compile_expr(remap(bind("s"), {2: 0}), ['"z"']) == '"z"'


def test_a_projection_is_merged() -> None:
    merged = substitute(bind("a * 2"), [bind("a + 1"), B, S, R])
    assert merged == bind("(a + 1) * 2")


def test_transform_is_children_first_and_keeps_what_does_not_change() -> None:
    expr = bind("UPPER(s) || 'x'")
    assert transform(expr, lambda e: e) is expr
    seen: list[str] = []

    def note(e: Expr) -> Expr:
        seen.append(sql_text(e))
        return e

    transform(expr, note)
    assert seen[-1] == sql_text(expr)
    assert transform(expr, lambda e: A if e == S else e) != expr


def test_constants() -> None:
    assert is_constant(bind("1 + 1")) and not is_constant(bind("a + 1"))
    assert not is_constant(bind("RAND()")) and not is_deterministic(bind("a + RAND()"))


def test_conjunctions() -> None:
    expr = bind("a > 1 AND (b > 2 AND s = 'x')")
    assert [sql_text(c) for c in conjuncts(expr)] == ["(a > 1)", "(b > 2)", "(s = 'x')"]
    assert conjunction([]) == TRUE
    assert conjunction([bind("a > 1")]) == bind("a > 1")
    assert sql_text(conjunction([bind("a > 1"), expr])) == "((a > 1) AND (a > 1) AND (b > 2) AND (s = 'x'))"
    assert equals(A, B).type == BOOLEAN()
    assert sql_text(equals(A, B)) == "(a = b)"


def test_sort_keys() -> None:
    assert SortKey(A).effective_nulls_first and not SortKey(A, descending=True).effective_nulls_first
    assert SortKey(A, True).text() == "a DESC"
    assert compile_sort_key(SortKey(A), ['"a"']) == '"a" ASC NULLS FIRST'
    assert compile_sort_key(SortKey(A, True), ['"a"']) == '"a" DESC NULLS LAST'
    assert compile_sort_key(SortKey(A, True, True), ['"a"']) == '"a" DESC NULLS FIRST'


def test_nodes_with_other_children() -> None:
    cast, field = Cast(A, BIGINT(), safe=True), FieldAccess(R, "x", INT())
    assert cast.with_children((B,)) == Cast(B, BIGINT(), safe=True)
    assert field.with_children((A,)) == FieldAccess(A, "x", INT())
    assert A.children == () and A.with_children(()) is A


def test_the_text_of_deep_expressions_stays_short() -> None:
    """Operands that compiled SQL mentions several times are named, so the text grows with the query and not faster."""
    lengths = []
    text = "s"
    for _ in range(8):
        text = f"SUBSTRING(INITCAP({text}), a - 3)"
        lengths.append(len(compile_expr(bind(text), ['"a"', '"b"', '"s"', '"r"'])))
    steps = [b - a for a, b in pairwise(lengths[2:])]
    assert max(steps) < 2 * min(steps)
