"""Jobs over files that die at every named point of their checkpoints: each row is in one visible file, once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from streamsql.runtime.checkpoint.points import POINTS
from streamsql.session import TableEnvironment
from streamsql.testing import sink_table
from streamsql.testing.crashes import CrashSchedule, crash_at

FILES, ROWS = 12, 4
OUT = """CREATE TABLE out (id BIGINT, name STRING, part BIGINT) PARTITIONED BY (part) WITH (
  'connector' = 'filesystem', 'path' = '{}', 'format' = '{}', 'sink.partition-commit.policy.kind' = 'success-file',
  'sink.partition-commit.delay' = '1 d')"""


@pytest.mark.parametrize(("first", "kind"), [(0, "json"), (3, "parquet"), (5, "csv")])
def test_rows_of_files_are_in_files_once(tmp_path: Path, first: int, kind: str) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for f in range(FILES):
        lines = [json.dumps({"id": f * ROWS + i, "name": f"n{i}"}) for i in range(ROWS)]
        (source / f"{f:02}.json").write_text("\n".join(lines))
    with TableEnvironment() as env:
        env.config.set("streamsql.step.max-rows", "3")
        env.execute_sql(
            "CREATE TABLE t (id BIGINT, name STRING) WITH "
            f"('connector' = 'filesystem', 'path' = '{source}', 'format' = 'json')"
        )
        env.execute_sql(OUT.format(out, kind))
        kept = sink_table(env, "CREATE TABLE kept (id BIGINT, name STRING)")
        schedule = crash_at(env, CrashSchedule(first))
        statements = env.create_statement_set()
        statements.add_insert_sql("INSERT INTO out SELECT id, name, id % 3 FROM t")
        statements.add_insert_sql("INSERT INTO kept SELECT id, name FROM t")
        statements.execute().wait()
        assert set(schedule.crashes) == set(POINTS)
        assert Counter(r[0] for r in kept.changelog()) == Counter(range(FILES * ROWS))
        env.config.set("execution.runtime-mode", "batch")
    with TableEnvironment() as env:
        env.execute_sql(OUT.format(out, kind))
        found = Counter(r[0] for r in env.execute_sql("SELECT id FROM out").collect())
    assert found == Counter(range(FILES * ROWS))
    left = [p.name for p in out.rglob("*") if p.is_file()]
    assert not [n for n in left if n.startswith(".")] and left.count("_SUCCESS") == 3
