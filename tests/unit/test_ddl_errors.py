"""Wrong statements on names and options, each with the whole message, in ``tests/errors/ddl.txt``.

``STREAMSQL_UPDATE_GOLDEN=1`` writes the messages anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streamsql.errors import StreamSqlError
from tests.unit.ddl_session import DdlSession

FILE = Path(__file__).parents[1] / "errors" / "ddl.txt"
ARROW = "\n=>\n"
RULE = "\n\n" + "-" * 80 + "\n\n"

SETUP = (
    """CREATE TABLE orders (
         id BIGINT, price INT, ts TIMESTAMP(3), note STRING, twice AS price * 2, p AS PROCTIME(),
         WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
       ) WITH ('connector'='kafka', 'topic'='o', 'properties.bootstrap.servers'='b:9092', 'format'='json')""",
    """CREATE TABLE users (id BIGINT, name STRING, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector'='kafka',
         'topic'='u', 'properties.bootstrap.servers'='b:9092', 'format'='debezium-json')""",
    "CREATE VIEW cheap AS SELECT id, price FROM orders",
    "CREATE TEMPORARY TABLE scratch (a INT) LIKE users (INCLUDING OPTIONS EXCLUDING CONSTRAINTS)",
    "CREATE DATABASE archive",
    "CREATE TABLE archive.old LIKE orders",
    "CREATE FUNCTION tidy AS 'json.dumps' LANGUAGE PYTHON",
)


def cases() -> list[tuple[str, str]]:
    """Pairs of a statement and the message it fails with."""
    blocks = FILE.read_text().removesuffix("\n").split(RULE)
    return [tuple(b.partition(ARROW)[::2]) for b in blocks]  # type: ignore[misc]


def message_of(sql: str) -> str:
    """The class and the text of the error."""
    session = DdlSession()
    for statement in SETUP:
        session.run(statement)
    with pytest.raises(StreamSqlError) as raised:
        session.run(sql)
    return f"{type(raised.value).__name__}: {raised.value}"


@pytest.mark.parametrize(("sql", "expected"), cases(), ids=lambda text: " ".join(text.split())[:60])
def test_message(sql: str, expected: str) -> None:
    found = message_of(sql)
    if os.environ.get("STREAMSQL_UPDATE_GOLDEN") == "1":
        changed = [(s, found if s == sql else e) for s, e in cases()]
        FILE.write_text(RULE.join(f"{s}{ARROW}{e}" for s, e in changed) + "\n")
    else:
        assert found == expected


def test_no_statement_is_there_twice() -> None:
    statements = [sql for sql, _ in cases()]
    assert len(statements) == len(set(statements))
