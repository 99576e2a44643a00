"""A job whose state is larger than its memory limit gives the answers of one without a limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamsql import TableEnvironment
from streamsql.errors import ConfigError
from streamsql.runtime import build
from streamsql.runtime.state.memory import StateMemory

KEYS = 60_000
SQL = """
SELECT COUNT(*) AS c, SUM(n) AS n, SUM(d) AS d, SUM(l) AS l FROM (
  SELECT a.k AS k, COUNT(*) AS n, COUNT(DISTINCT b.v) AS d, CHAR_LENGTH(MAX(b.v)) AS l
  FROM t AS a JOIN t AS b ON a.k = b.k GROUP BY a.k)
"""


def answer(env: TableEnvironment) -> list[dict[str, Any]]:
    env.execute_sql(
        "CREATE TABLE s (i BIGINT) WITH ('connector' = 'datagen', 'fields.i.kind' = 'sequence', "
        f"'fields.i.start' = '1', 'fields.i.end' = '{2 * KEYS}')"
    )
    env.execute_sql(f"CREATE VIEW t AS SELECT MOD(i, {KEYS}) AS k, 'value ' || CAST(i AS STRING) AS v FROM s")
    rows: list[dict[str, Any]] = env.execute_sql(SQL).to_arrow().to_pylist()
    return rows


def test_a_small_limit_changes_no_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[StateMemory] = []

    def remembered(limit: int, directories: tuple[str, ...]) -> StateMemory:
        made.append(StateMemory(limit, directories))
        return made[-1]

    monkeypatch.setattr(build, "StateMemory", remembered)
    with TableEnvironment() as env:
        env.execute_sql("SET 'state.backend.memory.limit' = '2 mb'")
        env.execute_sql(f"SET 'io.tmp.dirs' = '{tmp_path}'")
        env.execute_sql("SET 'streamsql.step.max-rows' = '10000'")
        rows = answer(env)
    assert [m.limit for m in made] == [2 << 20]
    assert made[0].files_made > 10
    assert list(tmp_path.iterdir()) == []
    lengths = sum(len(f"value {max(str(i), str(i + KEYS))}") for i in range(1, KEYS + 1))
    assert rows == [{"c": KEYS, "n": 4 * KEYS, "d": 2 * KEYS, "l": lengths}]


def test_a_limit_that_is_no_size() -> None:
    with TableEnvironment() as env, pytest.raises(ConfigError, match=r"state\.backend\.memory\.limit"):
        env.execute_sql("SET 'state.backend.memory.limit' = 'much'")
