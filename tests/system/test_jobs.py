"""Jobs of a session: what DESCRIBE JOB tells of them, and that none is left behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from streamsql import TableEnvironment, jobs
from streamsql.runtime.build import build

NUMBERS = """CREATE TABLE numbers (v BIGINT) WITH ('connector'='datagen', 'rows-per-second'='10')"""


@pytest.fixture
def env() -> Iterator[TableEnvironment]:
    with TableEnvironment() as made:
        yield made


def test_a_query_interrupted_while_it_is_built_leaves_no_job(
    env: TableEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> Any:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return build(*arguments)

    env.execute_sql(NUMBERS)
    monkeypatch.setattr(jobs, "build", interrupted)
    with pytest.raises(KeyboardInterrupt):
        env.execute_sql("SELECT v FROM numbers")
    assert env.jobs() == []
    assert not [t for t in threading.enumerate() if t.name.startswith("streamsql-job-collect")]
