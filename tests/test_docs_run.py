"""The pages of the manual run: their code blocks in order, and what they print is what the page shows.

A block of ``text`` right below a block of ``sql`` or ``python`` is its output. SQL runs in one session a page, as in
the shell's tableau mode; a statement that is refused prints its error. The session of a page is ``env`` in its Python.
Of a block that begins with ```sql kafka, queries are planned only.
"""

import contextlib
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from streamsql.errors import StreamSqlError
from streamsql.planner.parsing import split_statements
from streamsql.result import TableResult
from streamsql.session import TableEnvironment
from tests.project import ROOT
from tests.test_docs import FENCE

PAGES = (
    "README.md",
    "docs/queries.md",
    "docs/joins.md",
    "docs/subqueries.md",
    "docs/sets.md",
    "docs/ranks.md",
    "docs/over.md",
    "docs/match_recognize.md",
    "docs/time.md",
    "docs/state.md",
    "docs/jobs.md",
    "docs/savepoints.md",
    "docs/python.md",
    "docs/testing.md",
)
INSERT_S_MAX = 1.0


class Example(NamedTuple):
    """A block of code with the output that the page shows for it (None: none is shown)."""

    where: str
    language: str
    code: str
    output: str | None
    plan_only: bool


def examples(page: str) -> Iterator[Example]:
    """The blocks of a page that run."""
    text = (ROOT / page).read_text()
    found = list(FENCE.finditer(text))
    for i, match in enumerate(found):
        if match[1] in ("sql", "python"):
            below = found[i + 1] if i + 1 < len(found) else None
            adjacent = (
                below is not None and below[1] == "text" and not text[match.end() : below.start()].strip()
            )
            output = below[2] if below is not None and adjacent else None
            where = f"{page}:{text.count(chr(10), 0, match.start()) + 1}"
            yield Example(where, match[1], match[2], output, match[0].startswith("```sql kafka"))


def show(result: TableResult) -> None:
    """Print a result as the shell does; the job of an INSERT has a while to end."""
    if result.job is not None and not result.is_query:
        result.wait(INSERT_S_MAX)
    elif result.message != "OK":
        result.print()


def run_sql(env: TableEnvironment, code: str, *, plan_only: bool = False) -> None:
    for statement, _ in split_statements(code):
        try:
            if plan_only and statement.startswith(("SELECT", "INSERT")):
                env.explain_sql(statement)
            else:
                show(env.execute_sql(statement))
        except StreamSqlError as error:
            print(f"[ERROR] {error}")


def settle(text: str) -> str:
    """Output without what differs from run to run."""
    text = re.sub(r"\b[0-9a-f]{32}\b", "<job id>", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", "<time>", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


@pytest.mark.parametrize("page", PAGES)
def test_the_page_runs_and_prints_what_it_shows(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = list(examples(page))
    assert blocks, "nothing to run"
    with TableEnvironment() as env:
        names: dict[str, object] = {"env": env, "__name__": "page", "time": time}
        for block in blocks:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                if block.language == "sql":
                    run_sql(env, block.code, plan_only=block.plan_only)
                else:
                    exec(compile(block.code, block.where, "exec"), names)
            if block.output is not None:
                assert settle(printed.getvalue()) == settle(block.output), block.where
            else:
                assert "[ERROR]" not in printed.getvalue(), f"{block.where}: {printed.getvalue()}"
        made = names["env"]  # a page may make a session of its own
        assert isinstance(made, TableEnvironment)
        made.close()
