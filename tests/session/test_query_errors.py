"""Wrong queries and inserts, each with the whole message, in ``tests/errors/queries*.txt``.

``STREAMSQL_UPDATE_GOLDEN=1`` writes the messages anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamsql import StreamSqlError, TableEnvironment
from streamsql.planner.parsing import split_statements

FOLDER = Path(__file__).parents[1]
FILES = sorted((FOLDER / "errors").glob("queries*.txt"))
ARROW = "\n=>\n"
RULE = "\n\n" + "-" * 80 + "\n\n"


def cases(file: Path) -> list[tuple[str, str]]:
    """Pairs of a statement and the message it fails with."""
    blocks = file.read_text().removesuffix("\n").split(RULE)
    return [tuple(b.partition(ARROW)[::2]) for b in blocks]  # type: ignore[misc]


@pytest.fixture(scope="module")
def env() -> Iterator[TableEnvironment]:
    with TableEnvironment() as made:
        for sql, _ in split_statements((FOLDER / "plans" / "tables.sql").read_text()):
            made.execute_sql(sql)
        yield made


CASES = [(f, sql, expected) for f in FILES for sql, expected in cases(f)]


@pytest.mark.parametrize(
    ("file", "sql", "expected"), CASES, ids=[" ".join(sql.split())[:60] for _, sql, _ in CASES]
)
def test_message(env: TableEnvironment, file: Path, sql: str, expected: str) -> None:
    with pytest.raises(StreamSqlError) as raised:
        env.execute_sql(sql)
    found = f"{type(raised.value).__name__}: {raised.value}"
    if os.environ.get("STREAMSQL_UPDATE_GOLDEN") == "1":
        changed = [(s, found if s == sql else e) for s, e in cases(file)]
        file.write_text(RULE.join(f"{s}{ARROW}{e}" for s, e in changed) + "\n")
    else:
        assert found == expected
