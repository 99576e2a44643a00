"""The documentation holds: examples in docstrings run, links lead somewhere, code blocks are valid."""

import ast
import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlglot

from docs.generate import PAGES as GENERATED
from tests.project import LINKED, OUTSIDE, ROOT, product_modules

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
WITH_DOCTESTS = [m.name for m in product_modules() if ">>> " in m.path.read_text()]
TOP_FOLDERS = ("streamsql", *LINKED, *OUTSIDE)

LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?\)")
CODE_PATH = re.compile(rf"`((?:{'|'.join(TOP_FOLDERS)})/[\w./-]+\.\w+)`")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of code and where it begins."""

    where: str
    language: str
    text: str


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return FENCE.sub("", page.read_text())


def blocks(*languages: str) -> Iterator[Block]:
    """The code blocks of all pages in one of the languages."""
    for page in PAGES:
        text = page.read_text()
        for match in FENCE.finditer(text):
            if match[1] in languages:
                line = text.count("\n", 0, match.start()) + 1
                yield Block(f"{page.relative_to(ROOT)}:{line}", match[1], match[2])


def anchors(page: Path) -> set[str]:
    """The names that links may use after '#', as GitHub makes them from the headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.*)$", prose(page), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"`|\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
        name = plain.strip().replace(" ", "-")
        again = 1
        while name in found:
            name = f"{plain.strip().replace(' ', '-')}-{again}"
            again += 1
        found.add(name)
    return found


def broken_links(page: Path) -> Iterator[str]:
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue  # another site
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            yield target


def test_the_scan_sees_the_documentation() -> None:
    """Guards the tests below against passing because they look at nothing."""
    assert {"README.md", "CONTRIBUTING.md"} <= {p.name for p in PAGES}
    assert WITH_DOCTESTS
    assert [*blocks("sh")]


@pytest.mark.parametrize("name", WITH_DOCTESTS)
def test_examples_in_docstrings_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name.removesuffix(".__init__")))
    assert result.attempted > 0
    assert result.failed == 0, "see the report above"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert not [*broken_links(page)]
    lost = [path for path in CODE_PATH.findall(prose(page)) if not (ROOT / path).exists()]
    assert not lost, "files that are named and not there"


@pytest.mark.parametrize("name", GENERATED)
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == GENERATED[name](), "run `make docs`"


def test_python_in_pages_is_valid_and_imports_what_exists() -> None:
    for block in blocks("python"):
        for node in ast.walk(ast.parse(block.text, block.where)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "streamsql":
                module = importlib.import_module(node.module or "")
                lacking = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                assert not lacking, f"{block.where}: {node.module} has no {lacking}"


def test_sql_in_pages_parses() -> None:
    for block in blocks("sql"):
        try:
            sqlglot.parse(block.text, read="flink")
        except sqlglot.ParseError as error:
            pytest.fail(f"{block.where}: {error}")


def test_make_targets_in_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        n for page in PAGES for n in re.findall(r"(?:^|`|&& )make ([a-z]+)", page.read_text(), re.MULTILINE)
    }
    assert named
    assert named <= targets


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    described = set(re.findall(r"^([a-z]+):.*## ", text, re.MULTILINE))
    assert set(phony.split()) == described
