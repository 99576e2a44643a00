"""Scripts: order, first error with its place, waiting for jobs, signals, exit codes."""

import io
import os
import signal
import threading
from pathlib import Path

import pytest

from streamsql.errors import ConfigError, Position, StreamSqlError, ValidationError
from streamsql.repl.console import Console
from streamsql.repl.script import read_script, run_init, run_script, run_statements

from .fake import FakeEnvironment, FakeJob, FakeResult, change, done


class Run:
    """A script run against the small engine."""

    def __init__(self, env: FakeEnvironment, text: str, output: str | None = None) -> None:
        self.out, self.notices = io.StringIO(), io.StringIO()
        console = Console(self.out, self.notices, quiet=output is not None)
        if output is None:
            self.code = run_script(env, console, "job.sql", text)
        else:
            self.code = run_statements(env, console, text, output)

    @property
    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()


def test_results_go_to_stdout_and_notices_to_stderr() -> None:
    env = FakeEnvironment({"A": done(), "B": FakeResult([[change("+I x 1")]], bounded=True)})
    run = Run(env, "A; B;")
    assert run.code == 0
    assert run.notices.getvalue() == "[INFO] Execute statement succeeded.\n"
    assert run.lines[3].startswith("| +I |")


def test_the_first_error_stops_with_file_and_line() -> None:
    env = FakeEnvironment({"A": done(), "C": done()})
    run = Run(env, "A;\n\n-- why\nB;\nC;")
    assert run.code == 1
    assert "[ERROR] job.sql:3: no answer" in run.notices.getvalue()
    assert "C" not in env.executed


def test_the_line_of_an_error_is_that_of_the_file() -> None:
    class Strict(FakeEnvironment):
        def execute_sql(self, sql: str) -> FakeResult:
            raise ValidationError(
                "no such table", position=Position.at(sql, sql.index("nowhere"), sql.index("nowhere") + 6)
            )

    run = Run(Strict(), "\n\nSELECT *\n  FROM nowhere; -- why")
    assert run.notices.getvalue().splitlines() == [
        "[ERROR] job.sql:4: no such table",
        "line 4:   FROM nowhere; -- why",
        "               ^^^^^^^",
    ]


def test_jobs_are_waited_for() -> None:
    job = FakeJob()
    threading.Timer(0.1, lambda: setattr(job, "status", "FINISHED")).start()
    run = Run(FakeEnvironment({"INSERT": FakeResult(is_query=False, job=job)}), "INSERT;")
    assert (run.code, job.status) == (0, "FINISHED")


def test_a_failed_job_stops_the_others() -> None:
    bad, good = FakeJob("1", status="FAILED", error=ValueError("bad record")), FakeJob("2")
    answers = {
        "INSERT 1": FakeResult(is_query=False, job=bad),
        "INSERT 2": FakeResult(is_query=False, job=good),
    }
    run = Run(FakeEnvironment(dict(answers)), "INSERT 1; INSERT 2;")
    assert (run.code, good.status) == (1, "CANCELED")
    assert good.suspended  # nobody asked it to end: its checkpoints stay
    assert "failed: ValueError: bad record" in run.notices.getvalue()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_jobs(number: signal.Signals) -> None:
    job = FakeJob()
    threading.Timer(0.1, lambda: os.kill(os.getpid(), number)).start()
    run = Run(FakeEnvironment({"INSERT": FakeResult(is_query=False, job=job)}), "INSERT;")
    assert (run.code, job.status) == (128 + number, "CANCELED")


def test_a_signal_ends_a_query_and_the_script() -> None:
    endless = FakeResult([[change("+I x 1")]])
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    run = Run(FakeEnvironment({"A": endless, "B": done()}), "A; B;")
    assert run.code == 130
    assert run.lines[-1].startswith("Query terminated, received a total of 1 row")
    assert endless.closed.is_set()


def test_statements_of_the_command_line_print_data_only() -> None:
    env = FakeEnvironment({"A": done(), "B": FakeResult([[change("+I x 1")]], bounded=True)})
    run = Run(env, "A; B", output="json")
    assert (run.code, run.lines, run.notices.getvalue()) == (0, ['{"word": "x", "n": 1}'], "")


def test_set_lives_in_the_session() -> None:
    env = FakeEnvironment({"B": FakeResult([[change("+I x 1")]], bounded=True)})
    run = Run(env, "SET 'sql-client.execution.result-mode' = 'table'; B;")
    assert run.lines[1] == "| word | n |"


def test_an_init_file_takes_no_queries(tmp_path: Path) -> None:
    file = tmp_path / "init.sql"
    file.write_text("SET 'pipeline.name' = 'x';\nSELECT 1;")
    env = FakeEnvironment()
    with pytest.raises(StreamSqlError, match=r"init\.sql:2: an init file takes no SELECT statement"):
        run_init(env, Console(io.StringIO()), str(file))
    assert env.config.get("pipeline.name") == "x"


def test_a_script_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_script(str(tmp_path / "none.sql"))
    (tmp_path / "latin.sql").write_bytes(b"SELECT '\xe9'")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_script(str(tmp_path / "latin.sql"))
