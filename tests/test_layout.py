"""The layout rules that no tool checks: who may import whom, what is packaged, how long files are.

core (errors, schema, ...) <- catalog <- planner <- runtime <- public face <- testing kit, repl <- examples, tests
"""

import ast
import os
import sys
import tomllib
from pathlib import Path

import pytest

from tests.project import (
    LINKED,
    OUTSIDE,
    ROOT,
    Module,
    all_imports,
    all_sources,
    imports,
    layer_of,
    parsed,
    product_modules,
)

ORDER = ["core", "catalog", "planner", "runtime", "face", "testing", "repl"]

# Third-party package -> where it may be imported ("*" anywhere). A name missing here is not a dependency.
THIRD_PARTY = {
    "confluent_kafka": ("runtime.connectors",),
    "duckdb": ("runtime",),
    "numpy": ("*",),
    "pandas": ("*",),  # optional: only inside the functions that take or give a DataFrame
    "prompt_toolkit": ("repl",),
    "pyarrow": ("*",),
    "sqlglot": ("planner",),
    "pytest": ("testing.plugin",),  # which only pytest imports
    "wcwidth": ("repl",),
}
# The same SQL and the same catalog give the same plan: nothing here can look at the world.
PURE_FOLDERS = ("catalog", "planner")
IMPURE = {"asyncio", "io", "os", "pathlib", "random", "socket", "subprocess", "tempfile", "time", "urllib"}

# Imports to the right, run when first needed and never at import: "file: module" -> why.
LATE_IMPORTS = {
    "streamsql/result.py: streamsql.repl.render": "TableResult.print shows a result as the shell does",
}

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
LONG_FILES: dict[str, str] = {}  # path -> why it reads better in one piece
LONG_FUNCTIONS: dict[str, str] = {}  # "path:name" -> why it reads better in one piece


def is_own(name: str) -> bool:
    return name.split(".")[0] == "streamsql"


def test_the_scan_sees_the_project() -> None:
    """Guards the tests below against passing because they look at nothing."""
    assert {m.layer for m in product_modules()} == set(ORDER)
    assert len(all_imports()) > len(product_modules())


def test_imports_point_leftwards() -> None:
    backwards = {
        f"{found.module.where}: {found.target}": found
        for found in all_imports()
        if is_own(found.target) and ORDER.index(layer_of(found.target)) > ORDER.index(found.module.layer)
    }
    assert set(backwards) == set(LATE_IMPORTS), f"the order is {' <- '.join(ORDER)}"
    for found in backwards.values():
        outside = [n.lineno for n in found.module.tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
        assert found.line not in outside, "belongs inside the function that needs it"


def test_no_bare_imports_of_the_linked_folders() -> None:
    """`import planner` works from the repository's root, and makes every class twice."""
    bare = [f.where for f in all_imports() if not f.relative and f.target.split(".")[0] in LINKED]
    for path in (path for folder in OUTSIDE for path in (ROOT / folder).rglob("*.py")):
        found = imports(Module(path, "outside"))
        bare += [f.where for f in found if not f.relative and f.target.split(".")[0] in LINKED]
    assert not bare, "write streamsql.<folder>"


def test_relative_inside_a_folder_absolute_across() -> None:
    """An editor that opens planner/x.py calls it planner.x: absolute imports of siblings are others."""
    wrong = [
        f.where
        for f in all_imports()
        if is_own(f.target) and f.module.layer in LINKED and f.module.path.name != "__main__.py"
        if f.relative != (layer_of(f.target) == f.module.layer)
    ]
    assert not wrong


def test_the_package_itself_is_not_imported_from_inside() -> None:
    """`from streamsql import X` runs streamsql/__init__.py, which imports everything: a cycle."""
    assert not [f.where for f in all_imports() if f.target == "streamsql" and not f.relative]


def test_third_party_packages_stay_where_they_belong() -> None:
    astray: list[str] = []
    for found in all_imports():
        top = found.target.split(".")[0]
        if is_own(top) or top in sys.stdlib_module_names:
            continue
        places = THIRD_PARTY.get(top, ())
        inside = [p for p in places if p == "*" or f"{found.module.name}.".startswith(f"streamsql.{p}.")]
        astray += [] if inside else [f"{found.where} (allowed in: {', '.join(places) or 'nowhere'})"]
    assert not astray


def test_pandas_is_imported_only_when_used() -> None:
    at_import = [
        f"{m.where}:{node.lineno}"
        for m in product_modules()
        for node in m.tree.body
        if isinstance(node, ast.Import | ast.ImportFrom) and "pandas" in ast.unparse(node)
    ]
    assert not at_import, "pandas is optional: import it inside the function"


def test_catalog_and_planner_do_not_look_at_the_world() -> None:
    impure = [
        f.where for f in all_imports() if f.module.layer in PURE_FOLDERS and f.target.split(".")[0] in IMPURE
    ]
    assert not impure, "clocks, files and processes belong to the runtime"


def test_operators_know_no_sql_and_no_planner() -> None:
    inside = [f for f in all_imports() if f.module.name.startswith("streamsql.runtime.operators")]
    assert not [f.where for f in inside if layer_of(f.target) == "planner" and is_own(f.target)]


def test_folders_of_tests_are_packages() -> None:
    """Two conftest.py or test_x.py in folders that are not packages would be one module."""
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert not [f.relative_to(ROOT).as_posix() for f in folders if not (f / "__init__.py").is_file()]


def test_every_package_is_listed() -> None:
    """A package that pyproject.toml does not list is silently absent from the wheel."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {m.path.parent for m in product_modules()}
    lacking = [f.relative_to(ROOT).as_posix() for f in folders if not (f / "__init__.py").is_file()]
    assert not lacking, "without __init__.py"
    dotted = {".".join(f.relative_to(ROOT).parts) for f in folders}
    expected = {name if name.split(".")[0] == "streamsql" else f"streamsql.{name}" for name in dotted}
    assert set(config["packages"]) == expected
    assert config["packages"] == sorted(config["packages"])
    assert config["package-dir"] == {"streamsql": "streamsql"} | {f"streamsql.{f}": f for f in LINKED}


@pytest.mark.parametrize("folder", LINKED)
def test_links_point_home(folder: str) -> None:
    link = ROOT / "streamsql" / folder
    if link.is_file():
        pytest.skip("this checkout has no symbolic links; packaging does not need them")
    assert link.readlink() == Path(os.pardir, folder)


def test_files_are_short() -> None:
    lengths = {p.relative_to(ROOT).as_posix(): len(p.read_text().splitlines()) for p in all_sources()}
    long = {path: lines for path, lines in lengths.items() if lines > FILE_LINES_MAX}
    assert set(long) == set(LONG_FILES), f"over {FILE_LINES_MAX} lines: {long}; listed: {sorted(LONG_FILES)}"


def test_functions_are_short() -> None:
    long: dict[str, int] = {}
    for path in all_sources():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    long[f"{path.relative_to(ROOT).as_posix()}:{node.name}"] = lines
    assert set(long) == set(LONG_FUNCTIONS), f"over {FUNCTION_LINES_MAX} lines: {long}"


def test_every_module_says_what_it_is() -> None:
    mute = [m.where for m in product_modules() if len(ast.get_docstring(m.tree) or "") < len("What it is.")]
    assert not mute, "a module begins with a docstring: what it is, what comes in, what goes out"
