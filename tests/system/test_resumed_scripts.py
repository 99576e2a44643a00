"""``streamsql run --resume`` and ``streamsql serve``: processes that are killed and started again."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

ROWS = 30_000
SCRIPT = """
SET 'execution.checkpointing.interval' = '100 ms';
SET 'execution.checkpointing.dir' = '{folder}/checkpoints';
CREATE TABLE numbers (id BIGINT, v INT) WITH (
  'connector' = 'datagen', 'rows-per-second' = '{rate}', 'number-of-rows' = '{rows}', 'fields.id.kind' = 'sequence',
  'fields.id.start' = '1', 'fields.id.end' = '{rows}', 'fields.v.min' = '1', 'fields.v.max' = '9');
CREATE TABLE copied (id BIGINT, v INT) WITH ('connector' = 'filesystem', 'path' = '{folder}/out', 'format' = 'csv');
INSERT INTO copied SELECT id, v FROM numbers WHERE MOD(id, 3) <> 0;
"""
EXPECTED = Counter(i for i in range(1, ROWS + 1) if i % 3)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    found = tmp_path / "job.sql"
    found.write_text(SCRIPT.format(folder=tmp_path, rows=ROWS, rate=10_000))
    return found


def begin(*arguments: str, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen([sys.executable, "-m", "streamsql", *arguments], stdout=out, stderr=out)


def written(folder: Path) -> Counter[int]:
    """The ids in the files that a reader sees."""
    files = (folder / "out").glob("part-*")
    return Counter(int(row[0]) for file in files for row in csv.reader(file.read_text().splitlines()))


def wait_for_rows(folder: Path, more_than: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while written(folder).total() <= more_than:
        assert time.monotonic() < deadline, "no rows come"
        assert process.poll() is None, "it ended"
        time.sleep(0.05)


def status(folder: Path) -> str:
    return str(json.loads((folder / "checkpoints" / "insert_into_copied" / "job.json").read_text())["status"])


@pytest.mark.timeout(180)
def test_killed_and_resumed_until_it_ends(script: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for _ in range(2):
        process = begin("run", "--resume", str(script), log=log)
        wait_for_rows(tmp_path, written(tmp_path).total(), process)
        process.kill()
        process.wait()
        assert status(tmp_path) == "RUNNING"
    process = begin("run", "--resume", str(script), log=log)
    assert process.wait(90) == 0, log.read_text()
    assert written(tmp_path) == EXPECTED
    assert status(tmp_path) == "FINISHED"
    assert not list((tmp_path / "out").glob(".*")), "a hidden file is left over"
    assert begin("run", "--resume", str(script), log=log).wait(60) == 0
    assert "nothing is left to do" in log.read_text()
    assert written(tmp_path) == EXPECTED


@pytest.mark.timeout(180)
def test_ctrl_c_commits_what_was_read(script: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = begin("run", "--resume", str(script), log=log)
    wait_for_rows(tmp_path, 0, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert not list((tmp_path / "out").glob(".*")), "a hidden file is left over"
    assert status(tmp_path) in ("CANCELED", "SUSPENDED")
    process = begin("run", "--resume", str(script), log=log)
    assert process.wait(90) == 0, log.read_text()
    assert written(tmp_path) == EXPECTED


@pytest.mark.timeout(180)
def test_serve_takes_up_what_was_killed(script: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = begin("run", str(script), log=log)
    wait_for_rows(tmp_path, 0, process)
    process.kill()
    process.wait()
    process = begin("serve", "--dir", str(tmp_path / "checkpoints"), log=log)
    assert process.wait(90) == 0, log.read_text()
    assert "keeps" in log.read_text() or "goes on where it was" in log.read_text()
    assert written(tmp_path) == EXPECTED
    assert begin("serve", "--dir", str(tmp_path / "checkpoints"), log=log).wait(60) == 0
    assert "finished, is left alone" in log.read_text()


@pytest.mark.timeout(180)
def test_serve_leaves_a_job_to_itself_that_it_cannot_make(tmp_path: Path) -> None:
    job = tmp_path / "checkpoints" / "mine"
    job.mkdir(parents=True)
    definition = {"resumable": False, "why": "table t lives in the program that made it"}
    content = {"name": "mine", "job_id": "1", "status": "RUNNING", "definition": definition}
    (job / "job.json").write_text(json.dumps(content))
    log = tmp_path / "log"
    assert begin("serve", "--dir", str(tmp_path / "checkpoints"), log=log).wait(60) == 1
    assert "mine: job 'mine' cannot be taken up again: table t lives in the program" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_serve_needs_a_directory(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert begin("serve", log=log).wait(60) == 1
    assert "serve needs the directory" in log.read_text()


def test_resume_without_a_directory_is_refused(script: Path, tmp_path: Path) -> None:
    text = script.read_text().replace(f"SET 'execution.checkpointing.dir' = '{tmp_path}/checkpoints';", "")
    script.write_text(text)
    log = tmp_path / "log"
    assert begin("run", "--resume", str(script), log=log).wait(60) == 1
    assert "'execution.checkpointing.dir' is not set" in log.read_text()
    assert not (tmp_path / "out").exists()
