"""A job's definition: the job is made again from it, by a session that knows nothing else, and no secret is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from streamsql import TableEnvironment
from streamsql.definitions import HIDDEN, definition, is_secret, trouble
from streamsql.errors import StateError
from streamsql.job_resumption import make_again
from streamsql.planner.statements import Insert, StatementSet, parse_statement
from tests.session.stored import COPY, Folder, eventually, started

CREATE = (
    "CREATE TABLE {} (n BIGINT) WITH ('connector' = 'kafka', 'topic' = 't', 'properties.bootstrap.servers' = 'h:1', "
    "'format' = 'json', {})"
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    found = Folder(tmp_path)
    yield found
    found.close()


@pytest.fixture
def env(folder: Folder) -> TableEnvironment:
    return folder.prepared()


def defined(env: TableEnvironment, sql: str) -> dict[str, Any]:
    statement = parse_statement(sql)
    members = statement.statements if isinstance(statement, StatementSet) else (statement,)
    inserts = [m for m in members if isinstance(m, Insert)]
    assert len(inserts) == len(members)
    return definition(inserts, env.catalog, env.config)


def twice(n: int) -> int:
    return 2 * n


def remade(folder: Folder, made: dict[str, Any]) -> str:
    """The plan of the job in a fresh session."""
    env = folder.session()
    make_again(env, made)
    return env.explain_sql(made["sql"])


@pytest.mark.parametrize(
    ("before", "insert"),
    [
        ((), f"/* c */ EXECUTE STATEMENT SET BEGIN {COPY}; INSERT INTO copied SELECT n + 1 FROM numbers; END"),
        ((), f"-- c\nEXECUTE STATEMENT SET BEGIN {COPY} -- one\n; {COPY} -- two\n; END; -- three"),
        ((), f"{COPY} -- c"),
        (("CREATE VIEW z AS SELECT n FROM numbers", "CREATE VIEW a AS SELECT n FROM z"), COPY),
        (("CREATE DATABASE d", "USE d", "CREATE VIEW a AS SELECT n FROM default_database.numbers"),
         "INSERT INTO default_database.copied SELECT n FROM a"),
        (("CREATE CATALOG c WITH ('type' = 'generic_in_memory')", "CREATE DATABASE c.d",
          "CREATE VIEW c.d.a AS SELECT n FROM numbers"), "INSERT INTO copied SELECT n FROM c.d.a"),
        (("CREATE VIEW `a b` AS SELECT n AS `sel ect` FROM numbers",),
         "INSERT INTO copied SELECT `sel ect` FROM `a b`"),
        (("CREATE VIEW a AS SELECT n FROM numbers", "CREATE VIEW z AS SELECT n FROM a", "DROP VIEW a",
          "CREATE VIEW a AS SELECT n FROM numbers WHERE n > 0"), "INSERT INTO copied SELECT n FROM z"),
        (("CREATE VIEW a AS SELECT n FROM numbers", "CREATE VIEW z AS SELECT n FROM numbers",
          "ALTER VIEW a AS SELECT n FROM z"), "INSERT INTO copied SELECT n FROM a"),
        (("CREATE TEMPORARY VIEW a AS SELECT n FROM numbers", "CREATE VIEW z AS SELECT n FROM a"),
         "INSERT INTO copied SELECT n FROM z"),
        (("CREATE VIEW broken AS SELECT n FROM numbers", "CREATE TABLE other LIKE numbers", "DROP TABLE numbers",
          "ALTER TABLE other RENAME TO numbers_2"), "INSERT INTO copied SELECT n FROM numbers_2"),
        (("CREATE TEMPORARY SYSTEM FUNCTION more AS 'tests.session.stored.more' LANGUAGE PYTHON",
          "CREATE TABLE counted (n BIGINT, m AS More(n)) WITH ('connector' = 'datagen')"),
         "INSERT INTO copied SELECT m FROM counted"),
    ],
)  # fmt: skip
def test_the_job_is_made_again(
    folder: Folder, env: TableEnvironment, before: tuple[str, ...], insert: str
) -> None:
    for sql in before:
        env.execute_sql(sql)
    made = defined(env, insert)
    assert made["resumable"] and trouble(json.loads(json.dumps(made))) is None
    plan = remade(folder, made)
    assert plan == env.explain_sql(made["sql"])
    assert plan.endswith(
        env.explain_sql(insert.split("-- three")[0]).partition("== Optimized Execution Plan")[2]
    )


def test_a_set_that_makes_its_table(folder: Folder, env: TableEnvironment) -> None:
    into = "CREATE TABLE made WITH ('connector' = 'blackhole') AS SELECT n FROM numbers"
    job = started(env, f"EXECUTE STATEMENT SET BEGIN {into}; {COPY}; END")
    job.suspend()
    notes = folder.taken_up().notes
    assert notes == ["table default_catalog.default_database.numbers: goes on where it was"]


def test_what_the_job_does_not_use_is_no_hindrance(env: TableEnvironment) -> None:
    env.create_in_process_table("mine", pa.schema([("n", pa.int64())]))
    env.create_temporary_function("twice", twice)
    env.execute_sql("CREATE VIEW theirs AS SELECT n FROM mine")
    made = defined(env, COPY)
    assert made["resumable"] and len(made["statements"]) == 2
    assert defined(env, "INSERT INTO copied SELECT n FROM theirs")["why"] == (
        "table default_catalog.default_database.mine lives in the program that made it"
    )
    env.execute_sql("CREATE VIEW v AS SELECT Twice(n) AS n FROM numbers")
    assert defined(env, COPY)["resumable"]
    why = defined(env, "INSERT INTO copied SELECT n FROM v")["why"]
    assert why == "function twice lives in the program that made it"


def test_the_log_of_unreadable_records_is_used(env: TableEnvironment) -> None:
    env.execute_sql("CREATE TABLE bad (x STRING) WITH ('connector' = 'blackhole')")
    env.execute_sql(
        CREATE.format("src", "'error-handling.mode' = 'log', 'error-handling.log.target' = 'bad'")
    )
    made = defined(env, "INSERT INTO copied SELECT n FROM src")
    assert any("`bad`" in statement for statement in made["statements"])


@pytest.mark.parametrize(
    "option",
    [
        "'properties.ssl.key.pem' = 'HUSH'",
        "'properties.ssl.key.password' = 'HUSH'",
        "'properties.sasl.password' = 'x HUSH'",
        "'properties.sasl.oauthbearer.config' = 'principal=HUSH'",
    ],
)
def test_secrets_are_not_stored(env: TableEnvironment, option: str) -> None:
    env.execute_sql(CREATE.format("secret", option))
    env.execute_sql(CREATE.format("plain", "'properties.ssl.key.location' = '/etc/key'"))
    env.execute_sql(f"CREATE VIEW hinted AS SELECT n FROM plain /*+ OPTIONS({option}) */")
    key = option.split("'")[1]
    for sql in (
        "INSERT INTO copied SELECT n FROM secret",
        "INSERT INTO secret SELECT n FROM numbers",
        f"INSERT INTO copied SELECT n FROM plain /*+ OPTIONS({option}) */",
        f"INSERT INTO plain /*+ OPTIONS({option}) */ SELECT n FROM numbers",
        "INSERT INTO copied SELECT n FROM hinted",
    ):
        made = defined(env, sql)
        assert "HUSH" not in json.dumps(made) and HIDDEN in json.dumps(made)
        assert not made["resumable"]
        assert made["why"].startswith(f"option '{key}' of table ") and made["why"].endswith("is a secret")
    assert defined(env, "INSERT INTO copied SELECT n FROM plain")["resumable"]


@pytest.mark.parametrize(
    "value",
    [
        "jdbc:postgresql://h/d?sslpassword=x",
        "https://h/d?client_secret=x",
        "abfs://c@h/d;account_key=x",
        "abfs://c@h/d?sas_token=x",
        "s3://KEY:se/cret@bucket/d",
    ],
)
def test_values_that_hold_a_secret(value: str) -> None:
    assert is_secret("path", value)
    assert not is_secret("path", value.split("?")[0].split(";")[0].replace("KEY:se/cret@", ""))


def test_secrets_in_session_options(env: TableEnvironment) -> None:
    env.config.set("execution.checkpointing.dir", "s3://me:HUSH@bucket")
    made = defined(env, COPY)
    assert made["resumable"] and made["options"]["execution.checkpointing.dir"] == HIDDEN
    env.config.set("execution.state-recovery.path", "s3://me:HUSH@bucket/savepoint-1")
    made = defined(env, COPY)
    assert made["why"] == "option 'execution.state-recovery.path' is a secret"
    assert "HUSH" not in json.dumps(made)


def test_options_that_are_set_already_win(folder: Folder) -> None:
    job = started(folder.prepared())
    job.suspend()
    env = folder.session()
    env.config.set("execution.checkpointing.interval", "5 s")
    again = folder.taken_up(env)
    assert env.config.get("execution.checkpointing.interval") == 5000
    again.suspend()
    assert folder.stored().definition["options"]["execution.checkpointing.interval"] == "5 s"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"statements": None}, "statements"),
        ({"options": [], "sql": 3}, "options, sql"),
        ({"statements": [1]}, "statements and options"),
        ({"version": 2}, "of version 2"),
    ],
)
def test_a_damaged_definition_is_refused(
    folder: Folder, env: TableEnvironment, change: dict[str, Any], expected: str
) -> None:
    with pytest.raises(StateError, match=expected):
        make_again(folder.session(), {**defined(env, COPY), **change})


def test_the_taken_up_job_reads_on(folder: Folder) -> None:
    job = started(folder.prepared())
    eventually(lambda: job.metrics().records_in == 2)
    job.suspend()
    folder.add(7)
    again = folder.taken_up()
    eventually(lambda: again.metrics().records_in == 1)
