"""MATCH_RECOGNIZE against a matcher that backtracks: random patterns, conditions, rows, steps and orders of arrival."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsql.catalog.catalog import CatalogManager
from streamsql.errors import DataError
from streamsql.planner import logical as l
from streamsql.planner import pipeline
from streamsql.planner.binder import BindContext
from streamsql.planner.functions import FunctionRegistry
from streamsql.planner.logical_match import MatchRecognize
from streamsql.planner.statements import Query, parse_statement
from streamsql.runtime.build_match import match_operator
from streamsql.runtime.engine import Engine, internal_schema
from streamsql.runtime.expressions import FragmentCompiler
from streamsql.runtime.operators.base import MIN_WATERMARK, Operator, OperatorContext, StepTime
from streamsql.testing.compare import difference, rows_of
from tests.harness import Table

from .match_cases import COLUMNS, Case, input_of, random_case, random_rows
from .run import batch, final, restarted, stream
from .test_generated import profile

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(threads=1)
    yield made
    made.close()


def planned(case: Case) -> MatchRecognize:
    """The logical node of a case."""
    catalog = CatalogManager()
    context = BindContext(catalog, FunctionRegistry())
    catalog.create(pipeline.check_expressions(Table(COLUMNS, "t").define(catalog, "e"), context))
    statement = parse_statement(case.sql)
    assert isinstance(statement, Query)
    node: l.LogicalNode = pipeline.bind_root(statement, context)
    while not isinstance(node, MatchRecognize):
        (node,) = node.inputs
    return node


def operator_of(node: MatchRecognize, engine: Engine, before: Operator | None = None) -> Operator:
    """The operator, with the state of the one ``before``."""
    made = match_operator(node, FragmentCompiler("UTC"), "Match")
    made.open(OperatorContext(engine))
    for name, state in made.ctx.states.items():
        if before is not None:
            state.restore(before.ctx.states[name].snapshot())
    return made


def stepped(
    case: Case, rows: Sequence[dict[str, Any]], engine: Engine, rng: random.Random
) -> list[tuple[Any, ...]]:
    """The operator's answer to random steps, now and then restored from a snapshot."""
    node = planned(case)
    source = input_of(rows).shuffled(rng.randrange(100))
    schema = internal_schema(node.input.schema)
    operator = operator_of(node, engine)
    found: list[pa.RecordBatch] = []
    at, watermark = 0, MIN_WATERMARK
    while at < len(rows):
        if rng.random() < 0.3:
            operator = operator_of(node, engine, operator)
        size = rng.choice((1, 1, 2, 5))
        batch = source.slice(at, size)
        columns = [c.cast(f.type) for c, f in zip(batch.rows.columns, schema, strict=True)]
        at += size
        batch = type(batch)(pa.RecordBatch.from_arrays(columns, schema=schema))
        reached = max(watermark, source.watermark_ms(at))
        out = operator.process([batch], StepTime(watermark, reached, 0))
        watermark = reached
        found += [out.rows] if out is not None else []
    return rows_of(pa.Table.from_batches(found, internal_schema(node.schema)))


@profile(250)
@given(st.integers(0, 10**9), st.sampled_from((3, 8, 14, 20)))
def test_the_operator_equals_the_reference(engine: Engine, seed: int, size: int) -> None:
    rng = random.Random(seed)
    case, rows = random_case(rng), random_rows(rng, size)
    try:
        expected = case.expected(rows)
    except ValueError:
        with pytest.raises(DataError, match="AFTER MATCH SKIP"):
            stepped(case, rows, engine, rng)
        return
    text = difference(stepped(case, rows, engine, rng), expected)
    assert text is None, f"{case.sql}\n{text}"


WAYS = ("1", "7", "all", "shuffled", "batch", "restarted")


@profile(30)
@given(st.integers(0, 10**9), st.sampled_from((3, 8, 14, 20)), st.sampled_from(WAYS))
def test_every_way_equals_the_reference(seed: int, size: int, way: str) -> None:
    rng = random.Random(seed)
    case, rows = random_case(rng), random_rows(rng, size)
    source = input_of(rows)
    try:
        expected = case.expected(rows)
    except ValueError:
        with pytest.raises(DataError, match="AFTER MATCH SKIP"):
            batch(case.sql, [source])
        return
    runs: dict[str, Callable[[], Any]] = {
        "1": lambda: stream(case.sql, [source], step=1),
        "7": lambda: stream(case.sql, [source], step=7),
        "all": lambda: stream(case.sql, [source]),
        "shuffled": lambda: final(case.sql, [source.shuffled(seed)], step=4),
        "batch": lambda: batch(case.sql, [source]),
        "restarted": lambda: restarted(case.sql, [source], step=3),
    }
    text = difference(runs[way](), expected)
    assert text is None, f"{way}: {case.sql}\n{text}"
