"""What a sink with a key is sent by ranks, deduplication and OVER: upserts that amount to the query's rows."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pytest

from streamsql.testing.compare import difference

from .run import STEPS, batch, session
from .test_upsert_sinks import INPUTS, Captured, insert
from .test_upsert_sinks import sinks as sinks

KEYED = "SELECT COALESCE(k, '?') AS k, v, big, ts FROM t WHERE ts IS NOT NULL"
GROUPED = "SELECT COALESCE(k, '?') AS k, COUNT(*) AS n, SUM(v) AS s FROM c GROUP BY COALESCE(k, '?')"


def top(order: str, source: str = KEYED, key: str = "k", shown: str = "k, v, big") -> str:
    ranked = f"SELECT *, ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {order}) AS rn FROM ({source})"
    return f"SELECT {shown} FROM ({ranked}) WHERE rn = 1"


QUERIES = {
    "the best": (top("v DESC, big, ts"), True),
    "the best of a changelog": (top("v DESC", "SELECT COALESCE(k, '?') AS k, v FROM c", shown="k, v, v"), True),
    "a computed key": (top("v DESC, big, ts", "SELECT * FROM t", "COALESCE(k, '?')", "COALESCE(k, '?'), v, big"), True),
    "the first": (top("ts"), False),
    "the last": (top("ts DESC"), True),
    "leaders": (f"{GROUPED} ORDER BY n DESC, k LIMIT 2", True),
    "leaders without their place": (f"SELECT k, n, s FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY n DESC, k) AS rn FROM ({GROUPED})) WHERE rn <= 3", True),
    "shares": (f"SELECT k, n, SUM(n) OVER () FROM ({GROUPED})", True),
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
    assert sink.context.upsert == upserts
    gone = {values[0] for _, values in sink.changes} - set(sink.rows)
    assert gone <= {values[0] for weight, values in sink.changes if weight < 0}
