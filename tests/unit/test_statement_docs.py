"""The examples of docs/statements run: those on names and options are executed, the others parsed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streamsql.ddl import execute
from streamsql.planner.parsing import split_statements
from streamsql.planner.statements import parse_statement
from tests.unit.ddl_session import DdlSession

PAGES = sorted((Path(__file__).parents[2] / "docs" / "statements").glob("*.md"))
BLOCK = re.compile(r"^```sql\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [p for p in PAGES if p.stem != "README"], ids=lambda p: p.stem)
def test_examples_run(page: Path) -> None:
    session = DdlSession()
    blocks = BLOCK.findall(page.read_text())
    assert blocks
    for sql, _ in split_statements("".join(blocks)):
        execute(parse_statement(sql), session.context)


def test_the_index_names_every_page() -> None:
    index = next(p for p in PAGES if p.stem == "README").read_text()
    assert {p.name for p in PAGES if p.stem != "README"} == set(re.findall(r"\((\w+\.md)\)", index))
