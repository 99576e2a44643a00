"""Golden plans: every statement of ``plans/*.sql`` with its EXPLAIN CHANGELOG_MODE text (or its refusal).

``STREAMSQL_UPDATE_GOLDEN=1`` rewrites the ``.txt`` beside each of them; the diff is the review. ``tables.sql`` holds
the tables.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamsql import StreamSqlError, TableEnvironment
from streamsql.planner.parsing import split_statements

FOLDER = Path(__file__).parent / "plans"
FILES = sorted(f for f in FOLDER.glob("*.sql") if f.name != "tables.sql")
RULE = "=" * 100


def statements(file: Path) -> list[tuple[str, str]]:
    """Title and statement of each case."""
    cases = [part.split("\n", 1) for part in file.read_text().split("-- title: ")[1:]]
    return [(title, sql.strip().removesuffix(";")) for title, sql in cases]


CASES = [(f, title, sql) for f in FILES for title, sql in statements(f)]


def golden(file: Path) -> dict[str, str]:
    if not file.with_suffix(".txt").exists():
        return {}
    parts = file.with_suffix(".txt").read_text().split(RULE + "\n")
    return dict(part.split("\n", 1) for part in parts if part.strip())


@pytest.fixture(scope="module")
def env() -> Iterator[TableEnvironment]:
    with TableEnvironment() as made:
        for sql, _ in split_statements((FOLDER / "tables.sql").read_text()):
            made.execute_sql(sql)
        yield made


def explained(env: TableEnvironment, sql: str) -> str:
    try:
        text = env.explain_sql(sql, "CHANGELOG_MODE")
    except StreamSqlError as e:
        return f"{type(e).__name__}: {e}\n"
    sections = text.split("== Optimized Physical Plan ==\n")[1]
    return sections.replace("== Optimized Execution Plan ==", "== Execution ==")


@pytest.mark.parametrize(("file", "title", "sql"), CASES, ids=[t for _, t, _ in CASES])
def test_plan(env: TableEnvironment, file: Path, title: str, sql: str) -> None:
    found = explained(env, sql)
    assert found == explained(env, sql), "planning twice gives the same text"
    if os.environ.get("STREAMSQL_UPDATE_GOLDEN"):
        kept = {t: golden(file).get(t, "") for t, _ in statements(file)} | {title: f"{sql}\n\n{found}"}
        file.with_suffix(".txt").write_text("".join(f"{RULE}\n{t}\n{text}" for t, text in kept.items()))
    assert golden(file).get(title) == f"{sql}\n\n{found}"


def test_every_golden_has_its_statement() -> None:
    for file in FILES:
        assert list(golden(file)) == [t for t, _ in statements(file)]


def test_verbose_shows_the_plan_per_rule(env: TableEnvironment) -> None:
    text = env.explain_sql("SELECT id FROM orders", "VERBOSE")
    assert "== after prune_columns ==" in text
    assert "== after to_physical ==" in text
