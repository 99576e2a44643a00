"""What a sink with a key is sent: upserts and deletions that amount to the query's rows, −U left out where nobody needs it."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pytest

from streamsql.changelog import ChangelogBatch
from streamsql.errors import StreamSqlError
from streamsql.runtime.connectors.base import Sink, SinkContext
from streamsql.session import TableEnvironment
from streamsql.testing.compare import difference, plain

from .data import CHANGES, EVENTS, OTHER, UPSERTS
from .run import STEPS, batch, session

INPUTS = [EVENTS, OTHER, CHANGES, UPSERTS]
SINK = """
    CREATE TABLE s (k STRING NOT NULL, n BIGINT, v BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH (
        'connector' = 'upsert-kafka', 'topic' = 'x', 'properties.bootstrap.servers' = 'nowhere:1',
        'key.format' = 'json', 'value.format' = 'json')
"""
KEYED = "SELECT COALESCE(k, '?') AS k, v FROM t"


class Captured(Sink):
    """Keeps what it is sent, and the table that it amounts to."""

    def __init__(self, context: SinkContext) -> None:
        self.context = context
        self.changes: list[tuple[int, tuple[object, ...]]] = []
        self.rows: dict[object, tuple[object, ...]] = {}

    def start(self) -> None:
        """Nothing to open."""

    def write(self, batch: ChangelogBatch) -> None:
        for weight, row in zip(batch.weight_array().tolist(), batch.rows.to_pylist(), strict=True):
            values = tuple(map(plain, row.values()))
            self.changes.append((weight, values))
            if weight > 0:
                self.rows[values[0]] = values
            else:
                self.rows.pop(values[0], None)

    def flush(self) -> None:
        """Everything is there."""

    def close(self, *, finished: bool) -> None:
        """Nothing to free."""


@pytest.fixture
def sinks(monkeypatch: pytest.MonkeyPatch) -> list[Captured]:
    """The sinks that jobs open instead of their connectors'."""
    made: list[Captured] = []

    def create_sink(context: SinkContext) -> Sink:
        made.append(Captured(context))
        return made[-1]

    monkeypatch.setattr("streamsql.runtime.build.create_sink", create_sink)
    return made


def insert(env: TableEnvironment, sql: str) -> None:
    env.execute_sql(SINK)
    job = env.execute_sql(f"INSERT INTO s {sql}").job
    assert job is not None
    assert job.wait(60)


QUERIES = {
    "aggregate": (f"SELECT k, COUNT(*), SUM(v) FROM ({KEYED}) GROUP BY k", True),
    "projected": (f"SELECT k, n * 2, s - 1 FROM (SELECT k, COUNT(*) AS n, SUM(v) AS s FROM ({KEYED}) GROUP BY k)", True),
    "constant columns": (f"SELECT k, COUNT(*), CAST(NULL AS BIGINT) FROM ({KEYED}) GROUP BY k", True),
    "having": (f"SELECT k, COUNT(*), SUM(v) FROM ({KEYED}) GROUP BY k HAVING MOD(COUNT(*), 2) = 0", False),
    "filtered": (f"SELECT k, n, s FROM (SELECT k, COUNT(*) AS n, SUM(v) AS s FROM ({KEYED}) GROUP BY k) WHERE s < 8", False),
    "recomputed": (f"SELECT k, COUNT(*), COUNT(DISTINCT v) FROM ({KEYED}) GROUP BY k", True),
    "over a changelog": ("SELECT COALESCE(k, '?') AS k, COUNT(*), MAX(v) FROM c GROUP BY COALESCE(k, '?')", True),
    "over upserts": ("SELECT COALESCE(k, '?') AS k, COUNT(*), MIN(v) FROM p GROUP BY COALESCE(k, '?')", True),
    "over an aggregate": (f"SELECT CAST(n AS STRING) AS k, COUNT(*), SUM(n) FROM (SELECT k, COUNT(*) AS n FROM ({KEYED}) GROUP BY k) GROUP BY CAST(n AS STRING)", True),
}  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("sql", "upserts"), QUERIES.values(), ids=QUERIES)
def test_the_sink_ends_with_the_rows_of_the_query(
    sinks: list[Captured], sql: str, upserts: bool, step: int
) -> None:
    with session(INPUTS, step=step) as env:
        insert(env, sql)
    (sink,) = sinks
    assert difference(sink.rows.values(), batch(sql, INPUTS)) is None
    if upserts:
        assert sink.context.upsert
        deleted = [values[0] for weight, values in sink.changes if weight < 0]
        gone = {values[0] for _, values in sink.changes} - set(sink.rows)
        assert gone <= set(deleted)
        if sql.endswith(f"FROM ({KEYED}) GROUP BY k"):
            assert not deleted  # groups of inserted rows never go


def test_an_aggregate_read_twice_serves_both_readers(sinks: list[Captured]) -> None:
    """One reader needs −U, the other does not: the node is shared and gives full retractions."""
    counts = f"SELECT k, COUNT(*) AS n, SUM(v) AS s FROM ({KEYED}) GROUP BY k"
    over = f"SELECT CAST(n AS STRING) AS k, COUNT(*), SUM(s) FROM ({counts}) GROUP BY CAST(n AS STRING)"
    with session(INPUTS, step=3) as env:
        env.execute_sql(SINK)
        env.execute_sql(SINK.replace("TABLE s", "TABLE s2"))
        inserts = f"INSERT INTO s {counts}; INSERT INTO s2 {over}"
        job = env.execute_sql(f"EXECUTE STATEMENT SET BEGIN {inserts}; END").job
        assert job is not None
        assert job.wait(60)
    for sink, sql in zip(sinks, (counts, over), strict=True):
        assert difference(sink.rows.values(), batch(sql, INPUTS)) is None


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (f"SELECT k, COUNT(*), v FROM ({KEYED}) GROUP BY k, v", "primary key"),
        ("SELECT COALESCE(k, '?'), COUNT(*), 1 FROM t GROUP BY k", "primary key"),
        (f"SELECT CAST(COUNT(*) AS STRING), COUNT(*), 1 FROM ({KEYED}) GROUP BY k", "primary key"),
    ],
)
def test_a_key_that_is_not_the_querys_is_refused(sinks: list[Captured], sql: str, message: str) -> None:
    with session(INPUTS) as env, pytest.raises(StreamSqlError, match=message):
        insert(env, sql)
    assert not sinks
