"""Savepoints of jobs with a lookup join: the system that it asks is not asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from streamsql import TableEnvironment
from streamsql.errors import StateError
from streamsql.job_options import physical_options
from streamsql.job_resumption import make_again
from streamsql.planner import pipeline
from streamsql.planner.statements import Insert, parse_statement
from streamsql.runtime.checkpoint.savepoints import write_savepoint
from streamsql.runtime.checkpoint.snapshot import JobSnapshot, OperatorSnapshot
from streamsql.runtime.saved_job import reopen

DEFINITION = {
    "version": 1,
    "statements": [
        "CREATE TABLE src (k STRING, p AS PROCTIME()) WITH ('connector' = 'datagen')",
        "CREATE TABLE dim (k STRING, v BIGINT) WITH ('connector' = 'jdbc', 'url' = 'jdbc:postgresql://localhost:1/x', "
        "'table-name' = 'dim')",
        "CREATE TABLE counts (k STRING, c BIGINT) WITH ('connector' = 'blackhole')",
        "CREATE VIEW counted AS SELECT d.k, COUNT(*) AS c FROM src AS s JOIN dim FOR SYSTEM_TIME AS OF s.p AS d "
        "ON s.k = d.k GROUP BY d.k",
    ],
    "options": {},
    "sql": "INSERT INTO counts SELECT * FROM counted",
    "catalog": "default_catalog",
    "database": "default_database",
}


def written(folder: Path, *, other: str = "") -> str:
    """A savepoint of the job before it has read anything; ``other`` changes what its operators compute."""
    with TableEnvironment() as env:
        make_again(env, DEFINITION)
        statement = parse_statement(str(DEFINITION["sql"]))
        assert isinstance(statement, Insert)
        plan = pipeline.plan(
            [pipeline.bind_root(statement, env.bind_context())], physical_options(env.config)
        )
        empty = JobSnapshot(1, "r", "abcdefgh", "j", 0, (), (), (), definition=DEFINITION)
        job = reopen(plan, empty, env.build_options())
        operators = [
            OperatorSnapshot(
                v.fingerprint + other,
                v.name,
                v.description,
                {},
                {n: s.snapshot() for n, s in v.context.states.items()},
            )
            for v in job.built.plan.graph.vertices
        ]
        job.close()
    (lookup,) = (o for o in operators if o.name == "LookupJoin")
    waiting = {"waiting": {"run-0": pa.table({"c0": ["apple"]})}}
    operators[operators.index(lookup)] = OperatorSnapshot(
        lookup.fingerprint, lookup.name, lookup.description, {}, waiting
    )
    return write_savepoint(
        str(folder), JobSnapshot(1, "r", "abcdefgh", "j", 0, (), tuple(operators), (), definition=DEFINITION)
    )


def rows(path: str, *arguments: str) -> list[dict[str, Any]]:
    given = ", ".join(f"'{a}'" for a in (path, *arguments))
    with TableEnvironment() as env:
        found: list[dict[str, Any]] = (
            env.execute_sql(f"SELECT * FROM savepoint_state({given})").to_arrow().to_pylist()
        )
        return found


def test_what_is_above_it_is_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert rows(path, "counted") == rows(path, "GroupAggregate") == rows(path, "GroupAggregate", "keys") == []


def test_itself_piece_by_piece(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert rows(path, "LookupJoin", "waiting") == [{"c0": "apple"}]
    with pytest.raises(StateError) as caught:
        rows(path, "LookupJoin")
    assert "what LookupJoin yields is not known without the system that it asks" in caught.value.message
    assert "savepoint_state('…', 'LookupJoin', 'waiting')" in (caught.value.hint or "")


def test_an_operator_that_is_planned_in_another_way_is_read_as_it_is_stored(tmp_path: Path) -> None:
    path = written(tmp_path, other="x")
    assert rows(path, "GroupAggregate", "keys") == []
    with pytest.raises(StateError, match="this version plans it in another way"):
        rows(path, "GroupAggregate")
