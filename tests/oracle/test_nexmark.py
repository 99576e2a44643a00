"""Nexmark q0 to q23: the stream's final table is the batch answer."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest

from streamsql import TableEnvironment
from tests.bench.nexmark.generator import Streams, streams
from tests.bench.nexmark.queries import queries, register

EVENTS = 4_000
STEP_ROWS = 450


@pytest.fixture(scope="module")
def auction_house() -> Streams:
    return streams(EVENTS, events_per_second=200)


@pytest.fixture
def env(auction_house: Streams) -> Iterator[TableEnvironment]:
    with TableEnvironment() as made:
        register(made, auction_house)
        yield made


@pytest.mark.parametrize("name", queries())
def test_stream_equals_batch(env: TableEnvironment, name: str) -> None:
    sql = queries()[name]
    env.execute_sql(f"SET 'streamsql.step.max-rows' = '{STEP_ROWS}'")
    streamed = env.execute_sql(sql).to_arrow()
    env.execute_sql("SET 'execution.runtime-mode' = 'BATCH'")
    batch = env.execute_sql(sql).to_arrow()
    assert batch.num_rows > 0
    assert_equal(streamed, batch)


def assert_equal(a: pa.Table, b: pa.Table) -> None:
    """The same rows, each as often."""
    assert a.schema.names == b.schema.names
    with duckdb.connect() as con:
        con.register("a", a)
        con.register("b", b)
        for one, other in (("a", "b"), ("b", "a")):
            sql = f"SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other} LIMIT 5"
            assert con.sql(sql).fetchall() == [], f"in {one} and not in {other}"
