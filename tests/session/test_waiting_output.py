"""Output that a checkpoint has prepared when the process dies: it is committed later, or the job is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamsql import TableEnvironment
from streamsql.errors import StateError
from streamsql.testing.crashes import CrashSchedule, crash_at
from tests.session.stored import COPY, Folder, eventually, started

BOTH = f"EXECUTE STATEMENT SET BEGIN {COPY}; INSERT INTO files SELECT n FROM numbers; END"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    found = Folder(tmp_path)
    yield found
    found.close()


def session(folder: Folder) -> TableEnvironment:
    env = folder.prepared(pipeline_name="both")
    env.execute_sql(
        f"CREATE TABLE files (n BIGINT) WITH ('connector' = 'filesystem', 'path' = '{folder.path}/out', "
        "'format' = 'json')"
    )
    env.resumes = True
    return env


def test_a_sink_that_has_gone_does_not_take_its_output_with_it(folder: Folder) -> None:
    env = session(folder)
    crash_at(env, CrashSchedule(points=["after-write"]))
    env.config.set("restart-strategy.type", "none")
    job = started(env, BOTH)
    eventually(lambda: job.metrics().checkpoint is not None)
    folder.add(2, 3)
    eventually(lambda: not job.is_alive())
    with pytest.raises(StateError, match="output that waits to be committed is lost"):
        session(folder).execute_sql(COPY)
    job = started(session(folder), BOTH)
    folder.add(4)

    def written() -> list[str]:
        files = (folder.path / "out").glob("part-*")
        return sorted(line for file in files for line in file.read_text().splitlines())

    eventually(lambda: '{"n":4}' in written())
    job.stop()
    assert written() == [f'{{"n":{n}}}' for n in (1, 1, 2, 3, 4)]
