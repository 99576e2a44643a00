"""EXPLAIN GUARANTEES: what holds for sources, sinks and state, and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamsql import TableEnvironment
from streamsql.catalog.connectors import CONNECTORS, table_options
from streamsql.catalog.guarantees import (
    AT_LEAST_ONCE,
    EXACTLY_ONCE,
    NONE,
    Checkpointing,
    sink_guarantee,
    source_guarantee,
)
from streamsql.catalog.table import Column, ObjectPath, TableDefinition
from streamsql.datatypes import STRING
from streamsql.guarantees import checkpointing

ON, LOOSE, OFF = Checkpointing(True), Checkpointing(True, exactly_once=False), Checkpointing()
KAFKA = {"topic": "t", "properties.bootstrap.servers": "b:9092"}
WITH = {
    "kafka": {**KAFKA, "format": "json"},
    "upsert-kafka": {**KAFKA, "key.format": "json", "value.format": "json"},
    "filesystem": {"path": "/tmp/files", "format": "json"},
}


def table(connector: str, **options: str) -> TableDefinition:
    given = {"connector": connector, **WITH.get(connector, {})}
    given |= {k.replace("_", "-"): v for k, v in options.items()}
    columns = (Column("k", STRING()), Column("v", STRING()))
    return TableDefinition(
        ObjectPath("c", "d", "t"), columns, given, primary_key=("k",) if connector == "upsert-kafka" else ()
    )


def level(connector: str, checkpoints: Checkpointing = ON, **options: str) -> str:
    given = {k.replace("sink_", "sink."): v for k, v in options.items()}
    return sink_guarantee(table_options(table(connector, **given)), checkpoints).level


@pytest.mark.parametrize("connector", ["filesystem", "print"])
def test_nothing_holds_without_checkpoints(connector: str) -> None:
    assert level(connector, OFF) == NONE


def test_what_a_sink_promises() -> None:
    assert level("filesystem") == EXACTLY_ONCE
    assert level("filesystem", LOOSE) == AT_LEAST_ONCE
    assert level("print") == AT_LEAST_ONCE
    assert level("blackhole") == NONE
    assert level("kafka") == AT_LEAST_ONCE
    assert level("kafka", sink_delivery_guarantee="none") == NONE
    assert (
        level("kafka", sink_delivery_guarantee="exactly-once", sink_transactional_id_prefix="p")
        == EXACTLY_ONCE
    )
    assert level("upsert-kafka") == AT_LEAST_ONCE


def test_every_connector_that_is_read_says_what_it_is() -> None:
    needed = {"jdbc": {"url": "jdbc:postgresql://h/d", "table-name": "t"}}
    for name, descriptor in CONNECTORS.items():
        if descriptor.scan and name not in needed:
            found = source_guarantee(table_options(table(name)))
            assert "does not say" not in found.why, name


@pytest.fixture
def env(tmp_path: Path) -> Iterator[TableEnvironment]:
    with TableEnvironment() as made:
        made.execute_sql(
            "CREATE TABLE orders (fruit STRING, kilos INT, t TIMESTAMP(3), WATERMARK FOR t AS t) "
            "WITH ('connector'='datagen', 'number-of-rows'='1')"
        )
        files = f"'connector'='filesystem', 'path'='{tmp_path}', 'format'='json'"
        made.execute_sql(f"CREATE TABLE files (a STRING, b BIGINT) WITH ({files})")
        made.execute_sql("CREATE TABLE shown (a STRING, b BIGINT) WITH ('connector'='print')")
        yield made


def guarantees(env: TableEnvironment, sql: str) -> list[str]:
    text = env.explain_sql(sql, "GUARANTEES")
    assert "== Optimized Physical Plan ==" in text
    return text.split("== Guarantees ==\n")[1].rstrip().split("\n")


SUMS = "SELECT fruit, COUNT(*) FROM orders GROUP BY fruit"
WINDOWS = (
    "SELECT fruit, COUNT(*) FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(t), INTERVAL '1' MINUTE)) "
    "GROUP BY window_start, window_end, fruit"
)


def test_a_statement_set(env: TableEnvironment) -> None:
    env.execute_sql("SET 'table.exec.state.ttl' = '1 d'")
    found = guarantees(env, f"STATEMENT SET BEGIN INSERT INTO shown {SUMS}; INSERT INTO files {WINDOWS}; END")
    assert found == [
        "Checkpoints: none; SET 'execution.checkpointing.interval' = '10 s' takes them, and",
        "SET 'execution.checkpointing.dir' = '…' keeps them where a later process finds them",
        "Sources:",
        "  default_catalog.default_database.orders (datagen): replayable",
        "    rows follow from a seed that checkpoints hold; times among them follow the clock",
        "State:",
        "  GroupAggregate(groupBy=[fruit], select=[fruit, COUNT(*) AS EXPR$1])",
        "    a row of values a group, or the rows of a group, freed by deletions and a time to live alone: "
        "kept for 1 d after its last change",
        "  WindowAggregate(groupBy=[fruit], window=[TUMBLE(time_col=[t], size=[60000 ms])], "
        "select=[fruit, COUNT(*) AS EXPR$1, window_start, window_end])",
        "    partial results of open windows, freed as event time (or the clock) passes it",
        "Sinks:",
        "  default_catalog.default_database.shown (print): none",
        "    without checkpoints a job that failed begins afresh, as its tables' options say; with them: at-least-once",
        "  default_catalog.default_database.files (filesystem): none",
        "    without checkpoints a job that failed begins afresh, as its tables' options say; with them: exactly-once",
    ]


def test_a_query_without_state(env: TableEnvironment) -> None:
    assert guarantees(env, "SELECT fruit FROM orders")[2:] == [
        "Sources:",
        "  default_catalog.default_database.orders (datagen): replayable",
        "    rows follow from a seed that checkpoints hold; times among them follow the clock",
        "Sinks:",
        "  the client: none",
        "    a query that is shown is not resumed; INSERT INTO a table to keep it",
    ]


def test_a_join_with_a_time_to_live_for_one_side(env: TableEnvironment) -> None:
    found = guarantees(
        env, "SELECT /*+ STATE_TTL('a' = '1 h') */ a.fruit FROM orders a JOIN orders b ON a.fruit = b.fruit"
    )
    assert any("left kept for 1 h after its last change, right kept for ever" in line for line in found)


def test_a_session_without_checkpoints_has_none(env: TableEnvironment) -> None:
    assert checkpointing(env.config) == Checkpointing()


def test_a_session_with_checkpoints(env: TableEnvironment, tmp_path: Path) -> None:
    env.execute_sql("SET 'execution.checkpointing.interval' = '5 s'")
    found = guarantees(env, f"INSERT INTO files {SUMS.replace('COUNT(*)', 'kilos').split(' GROUP')[0]}")
    assert found[:2] == [
        "Checkpoints: every 5 s, exactly-once",
        "they end with this process; SET 'execution.checkpointing.dir' = '…' keeps them",
    ]
    assert found[-2:] == [
        "  default_catalog.default_database.files (filesystem): exactly-once",
        "    files are named by a checkpoint and renamed into sight once it is durable",
    ]
    env.execute_sql(f"SET 'execution.checkpointing.dir' = '{tmp_path}'")
    env.execute_sql("SET 'execution.checkpointing.mode' = 'AT_LEAST_ONCE'")
    found = guarantees(env, f"INSERT INTO files {SUMS.replace('COUNT(*)', 'kilos').split(' GROUP')[0]}")
    assert found[:2] == [
        "Checkpoints: every 5 s, at-least-once",
        "SET 'execution.checkpointing.mode' = 'EXACTLY_ONCE' lets sinks write each row once",
    ]
    assert found[-2] == "  default_catalog.default_database.files (filesystem): at-least-once"


def test_a_table_that_is_asked(env: TableEnvironment, tmp_path: Path) -> None:
    options = f"'connector'='filesystem', 'path'='{tmp_path}', 'format'='json'"
    reload = "'lookup.full-cache.periodic-reload.interval'='1 h'"
    env.execute_sql(f"CREATE TABLE known (name STRING, colour STRING) WITH ({options}, {reload})")
    env.execute_sql("CREATE VIEW timed AS SELECT fruit, PROCTIME() AS pt FROM orders")
    found = guarantees(
        env,
        "SELECT fruit, colour FROM timed n JOIN known FOR SYSTEM_TIME AS OF n.pt AS k ON k.name = n.fruit",
    )
    at = found.index("  default_catalog.default_database.known (filesystem): asked")
    assert found[at + 1] == "    rows that come again after a failure get the answers of that time"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("", "must stay as they are"),
        (", 'error-handling.mode'='ignore'", "; records that cannot be read are left out"),
        (
            ", 'error-handling.mode'='log', 'error-handling.log.target'='shown'",
            "; records that cannot be read go into shown, at-least-once",
        ),
    ],
)
def test_what_becomes_of_unreadable_records(
    env: TableEnvironment, tmp_path: Path, options: str, what: str
) -> None:
    files = f"'connector'='filesystem', 'path'='{tmp_path}', 'format'='json'"
    env.execute_sql(f"CREATE TABLE read (a STRING, b BIGINT) WITH ({files}{options})")
    found = guarantees(env, "INSERT INTO shown SELECT a, b FROM read")
    at = found.index("  default_catalog.default_database.read (filesystem): replayable")
    assert found[at + 1].endswith(what)
