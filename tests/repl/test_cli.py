"""The command line as a user runs it: arguments, output on pipes, exit codes, signals."""

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamsql.repl.app import main

FEW = """CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '1000',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '5');
"""
ENDLESS = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '100');\n"
PATIENCE_S = 60


@dataclass
class Finished:
    """What a run left behind."""

    code: int
    stdout: str
    stderr: str


Streamsql = Callable[..., Finished]


@pytest.fixture
def streamsql(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Streamsql:
    """The command in this process (the tests of signals and pipes start a real one)."""

    def run(*arguments: str, stdin: str = "") -> Finished:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        try:
            code = main(arguments)
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        captured = capsys.readouterr()
        return Finished(code, captured.out, captured.err)

    return run


@contextmanager
def started(*arguments: str) -> Generator[subprocess.Popen[str]]:
    """The program, running; killed at the end if it still is."""
    process = subprocess.Popen(
        [sys.executable, "-m", "streamsql", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def few(tmp_path: Path) -> str:
    file = tmp_path / "few.sql"
    file.write_text(FEW)
    return str(file)


@pytest.fixture
def endless(tmp_path: Path) -> str:
    file = tmp_path / "endless.sql"
    file.write_text(ENDLESS)
    return str(file)


def test_help_and_version(streamsql: Streamsql) -> None:
    shown = streamsql("--help")
    assert shown.code == 0
    assert "streamsql run job.sql" in shown.stdout
    assert streamsql("--version").stdout.startswith("streamsql ")
    assert "--output" in streamsql("sql", "--help").stdout


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom streamsql.repl.app import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'duckdb', 'pyarrow', 'numpy', 'sqlglot', 'prompt_toolkit', 'confluent_kafka'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert run.returncode == 0, run.stderr


def test_wrong_usage(streamsql: Streamsql) -> None:
    run = streamsql("job.sql")
    assert run.code == 2
    assert "Hint: to run a script, use: streamsql run job.sql" in run.stderr
    assert "serve needs the directory of the checkpoints" in streamsql("serve").stderr


def test_sql_as_table(streamsql: Streamsql) -> None:
    run = streamsql("sql", "SELECT 1 + 1 AS two")
    assert run.code == 0
    assert run.stdout.splitlines()[:4] == ["+-----+", "| two |", "+-----+", "|   2 |"]
    assert run.stderr == ""


def test_sql_as_json(streamsql: Streamsql, few: str) -> None:
    run = streamsql("sql", "-i", few, "--output", "json", "SELECT n, n * 2 AS twice FROM numbers WHERE n > 3")
    assert [json.loads(line) for line in run.stdout.splitlines()] == [
        {"n": 4, "twice": 8},
        {"n": 5, "twice": 10},
    ]


def test_sql_as_csv(streamsql: Streamsql, few: str) -> None:
    run = streamsql("sql", "-i", few, "-o", "csv", "SELECT COUNT(*) AS n, SUM(n) AS total FROM numbers")
    assert run.stdout.splitlines() == ["n,total", "5,15"]


def test_a_continuous_query_streams_with_op(endless: str) -> None:
    with started("sql", "-i", endless, "-o", "json", "SELECT COUNT(*) AS n FROM numbers") as process:
        assert process.stdout is not None
        first = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert [row["op"] for row in first] == ["+I", "-U", "+U"]
        assert process.returncode == 130
        assert errors == ""


def test_a_closed_pipe_is_no_error(endless: str) -> None:
    with started("sql", "-i", endless, "-o", "csv", "SELECT n FROM numbers") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "n\n"
        process.stdout.close()
        process.stdout = None
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 141
        assert errors == ""


def test_an_error_on_the_command_line(streamsql: Streamsql) -> None:
    run = streamsql("sql", "SELECT FROM")
    assert run.code == 1
    assert run.stdout == ""
    assert "[ERROR]" in run.stderr
    assert "^" in run.stderr
    assert "Traceback" not in run.stderr


def test_options_of_the_session(streamsql: Streamsql) -> None:
    run = streamsql("sql", "-D", "table.local-time-zone=Asia/Tokyo", "SET")
    assert "Asia/Tokyo" in run.stdout
    wrong = streamsql("sql", "-D", "table.local-timezone=UTC", "SELECT 1")
    assert wrong.code == 1
    assert "did you mean 'table.local-time-zone'?" in wrong.stderr


def test_run_waits_for_its_jobs(streamsql: Streamsql, tmp_path: Path) -> None:
    out = tmp_path / "out"
    file = tmp_path / "job.sql"
    file.write_text(
        FEW
        + "CREATE TABLE sink (n BIGINT)\n"
        + f"WITH ('connector' = 'filesystem', 'path' = '{out}', 'format' = 'csv');\n"
        + "INSERT INTO sink SELECT n * 10 FROM numbers;\nSELECT COUNT(*) AS n FROM numbers;\n"
    )
    run = streamsql("run", str(file))
    assert run.code == 0, run.stderr
    assert "Job ID: " in run.stderr
    assert "| op |" in run.stdout
    written = sorted(int(line) for path in out.iterdir() for line in path.read_text().split())
    assert written == [10, 20, 30, 40, 50]


def test_run_stops_at_the_first_error(streamsql: Streamsql, tmp_path: Path) -> None:
    file = tmp_path / "job.sql"
    file.write_text("SELECT 1;\n\nSELECT *\nFROM nowhere;\nSELECT 2;\n")
    run = streamsql("run", str(file))
    assert run.code == 1
    assert f"[ERROR] {file}:4: " in run.stderr
    assert run.stdout.count("Received a total of 1 row") == 1


def test_run_without_its_file(streamsql: Streamsql) -> None:
    run = streamsql("run", "nowhere.sql")
    assert (run.code, "cannot read the script 'nowhere.sql'" in run.stderr) == (1, True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_stop_the_jobs_of_a_script(tmp_path: Path, number: signal.Signals, code: int) -> None:
    file = tmp_path / "job.sql"
    insert = "CREATE TABLE sink (n BIGINT) WITH ('connector' = 'blackhole');\nINSERT INTO sink SELECT n FROM numbers;\n"
    file.write_text(ENDLESS + insert)
    with started("run", str(file)) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("Job ID"):
                break
        time.sleep(0.2)
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code
        assert "Traceback" not in errors


def test_a_script_on_stdin(streamsql: Streamsql) -> None:
    run = streamsql(stdin="SET 'table.local-time-zone' = 'UTC';\nSELECT 'piped' AS how;")
    assert run.code == 0
    assert "piped" in run.stdout
    assert "streamsql>" not in run.stdout


def test_verbose_shows_the_stack(streamsql: Streamsql) -> None:
    assert "Traceback" in streamsql("sql", "-v", "SELECT FROM").stderr


def test_listings(streamsql: Streamsql) -> None:
    assert "| default_catalog |" in streamsql("sql", "SHOW CATALOGS").stdout
    assert streamsql("sql", "-o", "csv", "SHOW CATALOGS").stdout.splitlines() == [
        "catalog name",
        "default_catalog",
    ]
