"""``streamsql serve`` over what it finds in job.json."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from streamsql.errors import ConfigError
from streamsql.repl.app import main
from streamsql.repl.console import Console
from streamsql.repl.serve import serve
from streamsql.runtime.checkpoint.job_store import FILE, StoredJob, stored_jobs

DEFINITION = {
    "version": 1,
    "statements": [
        "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '5')",
        "CREATE TABLE copied (n BIGINT) WITH ('connector' = 'blackhole')",
    ],
    "options": {"execution.checkpointing.interval": "1 h"},
    "sql": "INSERT INTO copied SELECT n FROM numbers",
    "catalog": "default_catalog",
    "database": "default_database",
    "resumable": True,
    "why": None,
}
GOOD = {"name": "good", "job_id": "1", "status": "RUNNING", "definition": DEFINITION}


def put(folder: Path, name: str, content: str) -> None:
    (folder / name).mkdir()
    (folder / name / FILE).write_text(content)


def served(folder: Path, **options: str) -> tuple[int, str]:
    out = io.StringIO()
    code = serve(str(folder), {k.replace("_", "."): v for k, v in options.items()}, Console(out, out))
    return code, out.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[1]", "bad/job.json is damaged: it is not a JSON object"),
        ("{", "bad/job.json is damaged: it is not JSON"),
        (json.dumps({**GOOD, "definition": None}), "bad/job.json is damaged: definition cannot be read"),
        (
            json.dumps({**GOOD, "name": 3, "status": 4}),
            "bad/job.json is damaged: name, status cannot be read",
        ),
        (
            json.dumps({**GOOD, "name": "bad", "definition": {"resumable": True}}),
            "bad: the stored definition of the job is damaged: version, statements, options, sql, catalog, database",
        ),
    ],
)
def test_a_damaged_note_is_told_and_the_others_run(tmp_path: Path, content: str, expected: str) -> None:
    put(tmp_path, "bad", content)
    put(tmp_path, "good", json.dumps(GOOD))
    code, text = served(tmp_path)
    assert code == 1 and expected in text and "good: goes on as job" in text
    found: dict[str, StoredJob] = {job.name: job for job in stored_jobs(str(tmp_path))}
    assert found["good"].status == "FINISHED"
    assert (tmp_path / "bad" / FILE).read_text() == content


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_a_mistyped_directory_is_an_error(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "checkpoints"
    if kind == "a file":
        folder.write_text("")
    with pytest.raises(ConfigError, match="cannot be read: there is no such folder"):
        serve(str(folder), {}, Console(io.StringIO()))


def test_options_of_the_command_line_win(tmp_path: Path) -> None:
    put(tmp_path, "good", json.dumps(GOOD))
    assert served(tmp_path, execution_checkpointing_interval="2 h")[0] == 0
    (job,) = stored_jobs(str(tmp_path))
    options: dict[str, Any] = job.definition["options"]
    assert options["execution.checkpointing.interval"] == "2 h"


def test_init_files_are_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-i", "init.sql", "serve", "--dir", "/nowhere"]) == 1
    assert "serve takes no init file, found -i init.sql" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--dir", "/nowhere", "-i", "init.sql"])
    assert caught.value.code == 2
    assert "unrecognized arguments: -i init.sql" in capsys.readouterr().err
