"""Files of a changelog format: updates and deletions are written as such, and read again as such."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamsql import TableEnvironment

OPTIONS = "'connector'='filesystem', 'path'='{path}', 'format'='debezium-json'"


@pytest.mark.parametrize("step_rows", [1, 2, 100])
def test_there_and_back(tmp_path: Path, step_rows: int) -> None:
    with TableEnvironment() as env:
        env.execute_sql(f"SET 'streamsql.step.max-rows' = '{step_rows}'")
        env.execute_sql(f"CREATE TABLE log (k STRING, n BIGINT) WITH ({OPTIONS.format(path=tmp_path)})")
        env.execute_sql(
            "INSERT INTO log SELECT k, COUNT(*) FROM (VALUES ('a'), ('b'), ('a'), ('a')) AS t (k) GROUP BY k"
        ).wait()
        messages = [
            json.loads(line) for p in tmp_path.rglob("part-*.json") for line in p.read_text().splitlines()
        ]
        assert {m["op"] for m in messages} <= {"c", "d"}
        assert sum(m["op"] == "d" for m in messages) == (2 if step_rows == 1 else 1 if step_rows == 2 else 0)
        rows = env.execute_sql("SELECT k, n FROM log").to_arrow().sort_by("k").to_pylist()
        assert rows == [{"k": "a", "n": 3}, {"k": "b", "n": 1}]
        total = env.execute_sql("SELECT SUM(n) AS n FROM log").to_arrow().to_pylist()
        assert total == [{"n": 4}]


def test_partitions_keep_deletions(tmp_path: Path) -> None:
    with TableEnvironment() as env:
        env.execute_sql("SET 'streamsql.step.max-rows' = '1'")
        env.execute_sql(
            f"CREATE TABLE log (k STRING, n BIGINT) PARTITIONED BY (k) WITH ({OPTIONS.format(path=tmp_path)})"
        )
        env.execute_sql(
            "INSERT INTO log SELECT k, COUNT(*) FROM (VALUES ('a'), ('b'), ('a')) AS t (k) GROUP BY k"
        ).wait()
        assert {p.parent.name for p in tmp_path.rglob("part-*")} == {"k=a", "k=b"}
        assert env.execute_sql("SELECT k, n FROM log").to_arrow().num_rows == 2
