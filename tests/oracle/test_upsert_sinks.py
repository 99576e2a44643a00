"""What a sink with a key is sent: upserts and deletions that amount to the query's rows, −U left out where nobody needs it."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pyarrow as pa
import pytest

from streamsql.changelog import ChangelogBatch
from streamsql.errors import StreamSqlError
from streamsql.runtime.connectors.base import Sink, SinkContext
from streamsql.session import TableEnvironment
from streamsql.testing.compare import difference, plain

from .data import CHANGES, EVENTS, OTHER, UPSERTS
from .run import STEPS, batch, in_duckdb, session
from .tables import RETRACT, Input, table

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


OTHER_KEYS = {
    "rows of several groups": f"SELECT k, COUNT(*), v FROM ({KEYED}) GROUP BY k, v",
    "a computed key": "SELECT COALESCE(k, '?'), COUNT(*), 1 FROM t GROUP BY k",
    "an aggregate as the key": f"SELECT CAST(COUNT(*) AS STRING), SUM(v), 1 FROM ({KEYED}) GROUP BY k",
    "a changelog": "SELECT COALESCE(g, '?'), v, v FROM c",
    "a join": "SELECT c.k, c.v, p.v FROM c JOIN p ON c.k = p.k",
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("sql", OTHER_KEYS.values(), ids=OTHER_KEYS)
def test_rows_of_another_key_are_told_apart(sinks: list[Captured], sql: str, step: int) -> None:
    """Each key shows one of its rows, and none of a key without rows."""
    with session(INPUTS, step=step) as env:
        insert(env, sql)
    (sink,) = sinks
    rows = batch(sql, INPUTS)
    assert set(sink.rows) == {row[0] for row in rows}
    assert set(sink.rows.values()) <= set(rows)


def test_the_latest_row_is_shown_and_the_one_before_it_when_it_goes(sinks: list[Captured]) -> None:
    rows = table(
        {"k": pa.string(), "n": pa.int64()}, ("a", 1), ("a", 2), ("b", 9), ("a", 2), ("a", 1), ("b", 9)
    )
    source = Input("x", rows, weights=(1, 1, 1, -1, -1, -1), mode=RETRACT)
    with session([source], step=1) as env:
        insert(env, "SELECT k, n, n FROM x")
    assert sinks[0].changes == [
        (1, ("a", 1, 1)),
        (1, ("a", 2, 2)),
        (1, ("b", 9, 9)),
        (1, ("a", 1, 1)),
        (-1, ("a", 1, 1)),
        (-1, ("b", 9, 9)),
    ]


def test_a_key_that_is_not_the_querys_is_refused_where_told_so(sinks: list[Captured]) -> None:
    setup = ["SET 'table.exec.sink.upsert-materialize' = 'NONE'"]
    with session(INPUTS, setup=setup) as env, pytest.raises(StreamSqlError, match="primary key"):
        insert(env, OTHER_KEYS["a computed key"])
    assert not sinks


def test_telling_rows_apart_can_be_forced(sinks: list[Captured]) -> None:
    sql = f"SELECT k, COUNT(*), SUM(v) FROM ({KEYED}) GROUP BY k"
    with session(INPUTS, setup=["SET 'table.exec.sink.upsert-materialize' = 'FORCE'"]) as env:
        insert(env, sql)
        assert "SinkUpsertMaterializer" in env.explain_sql(f"INSERT INTO s {sql}")
    assert difference(sinks[0].rows.values(), batch(sql, INPUTS)) is None


@pytest.mark.parametrize("in_batch", [False, True])
@pytest.mark.parametrize(("conflict", "edge"), [("NOTHING", "arg_min"), ("DEDUPLICATE", "arg_max")])
def test_on_conflict(sinks: list[Captured], conflict: str, edge: str, in_batch: bool) -> None:
    with session(INPUTS, step=3, batch=in_batch) as env:
        insert(env, f"SELECT COALESCE(k, '?'), big, v FROM t ON CONFLICT DO {conflict}")
    null = "CASE WHEN {0} IS NULL THEN -99 ELSE {0} END"
    columns = ", ".join(f"nullif({edge}({null.format(c)}, o), -99)" for c in ("big", "v"))
    wanted = in_duckdb(f"SELECT coalesce(k, '?') AS k, {columns} FROM t_o GROUP BY ALL", INPUTS)
    assert difference(sinks[0].rows.values(), wanted) is None


@pytest.mark.parametrize(
    "sql", ["SELECT COALESCE(k, '?'), big, v FROM t", OTHER_KEYS["rows of several groups"]]
)
def test_on_conflict_do_error(sinks: list[Captured], sql: str) -> None:
    with (
        session(INPUTS, step=3) as env,
        pytest.raises(StreamSqlError, match=r"two rows with the primary key .k. = "),
    ):
        insert(env, f"{sql} ON CONFLICT DO ERROR")


def test_on_conflict_do_error_without_conflicts(sinks: list[Captured]) -> None:
    with session(INPUTS, step=3) as env:
        insert(env, f"SELECT k, COUNT(*), SUM(v) FROM ({KEYED}) GROUP BY k ON CONFLICT DO ERROR")
    assert len(sinks[0].rows) == 6
