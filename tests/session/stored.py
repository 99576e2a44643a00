"""Sessions that read files and keep checkpoints, so that their jobs can be taken up again by others."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from streamsql import TableEnvironment
from streamsql.job_resumption import take_up
from streamsql.runtime.checkpoint.job_store import StoredJob, stored_jobs
from streamsql.runtime.job import Job

COPY = "INSERT INTO copied SELECT n FROM numbers"


class Folder:
    """A folder with a file of numbers to read, the checkpoints of the jobs that do, and their sessions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = str(path / "checkpoints")
        (path / "in").mkdir()
        self._sessions: list[TableEnvironment] = []
        self.add(1, 1)

    def add(self, *numbers: int) -> None:
        """One more file of numbers."""
        file = self.path / "in" / f"{len(list((self.path / 'in').iterdir()))}.json"
        file.write_text("".join(f'{{"n":{n}}}\n' for n in numbers))

    def session(self) -> TableEnvironment:
        """An empty one."""
        self._sessions.append(TableEnvironment())
        self._sessions[-1].config.set("streamsql.duckdb.threads", "1")
        return self._sessions[-1]

    def prepared(self, **options: str) -> TableEnvironment:
        """One with tables to read and to write. Options are named like ``restart_strategy_type``."""
        env = self.session()
        given = {"execution.checkpointing.interval": "20 ms", "execution.checkpointing.dir": self.checkpoints}
        names = {o.key.replace(".", "_").replace("-", "_"): o.key for o in env.config.all_options()}
        for key, value in {**given, **{names[k]: v for k, v in options.items()}}.items():
            env.config.set(key, value)
        env.execute_sql(
            f"CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'filesystem', 'path' = '{self.path}/in', "
            "'format' = 'json', 'source.monitor-interval' = '20 ms')"
        )
        env.execute_sql("CREATE TABLE copied (n BIGINT) WITH ('connector' = 'blackhole')")
        return env

    def stored(self) -> StoredJob:
        """The only job that is stored."""
        (found,) = stored_jobs(self.checkpoints)
        return found

    def taken_up(self, env: TableEnvironment | None = None) -> Job:
        """That job, in a new session."""
        return take_up(env or self.session(), self.stored(), self.checkpoints)

    def close(self) -> None:
        """End all sessions."""
        for env in self._sessions:
            env.close()


def more(n: int) -> int:
    """A function that an import finds."""
    return n + 1


def started(env: TableEnvironment, sql: str = COPY) -> Job:
    """The job of a statement."""
    job = env.execute_sql(sql).job
    assert job is not None
    return job


def eventually(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
