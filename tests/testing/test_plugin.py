"""The pytest plugin: its fixtures work, and it costs a run that does not use them nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from streamsql import testing
from tests.project import ROOT

TESTS = """
    def test_fixtures(streamsql_env, streamsql_clock, source_table, sink_table, assert_changelog, assert_rows):
        t = source_table(streamsql_env, "CREATE TABLE t (k STRING)", bounded=False)
        sink = sink_table(streamsql_env, "CREATE TABLE s (k STRING, at TIMESTAMP_LTZ(3))")
        streamsql_env.execute_sql("INSERT INTO s SELECT k, PROCTIME() FROM t")
        streamsql_clock.advance_time(1000)
        t.add(("+I", "a"))
        assert_changelog(sink, "+I a 2024-01-01T00:00:01Z")
        assert_rows(sink, "a 2024-01-01T00:00:01Z")

    def test_every_way(run_every_way):
        assert run_every_way("SELECT SUM(v) FROM t", {"CREATE TABLE t (v INT)": [("+I", 1), ("+I", 2)]}) == [(3,)]
"""
LIGHT = """
    import sys
    def test_nothing_is_loaded():
        assert "streamsql.testing.plugin" in sys.modules
        assert not {"duckdb", "pyarrow", "numpy", "sqlglot", "streamsql.session"} & set(sys.modules)
"""


def run(folder: Path, tests: str) -> subprocess.CompletedProcess[str]:
    """pytest in a folder of its own, with no plugin but ours."""
    (folder / "test_it.py").write_text("\n".join(line[4:] for line in tests.splitlines()))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "streamsql.testing.plugin",
        str(folder),
    ]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


def test_the_fixtures_work(tmp_path: Path) -> None:
    done = run(tmp_path, TESTS)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_a_run_that_uses_none_loads_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, LIGHT)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_pytest_finds_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"streamsql": "streamsql.testing.plugin"}


def test_the_session_does_not_import_the_kit() -> None:
    code = "import sys, streamsql.session; sys.exit('streamsql.testing' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_names_are_there() -> None:
    assert set(testing.__all__) <= set(dir(testing))
    assert all(getattr(testing, name).__doc__ for name in testing.__all__)


def test_no_name_is_that_of_a_module() -> None:
    """Importing the module would put it where the function is expected."""
    assert not {m.stem for m in (ROOT / "streamsql" / "testing").glob("*.py")} & set(testing.__all__)
