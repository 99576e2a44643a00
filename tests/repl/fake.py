"""A small engine for tests of the shell: results, jobs and metrics are what the test says."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from streamsql.changelog import Row, RowKind
from streamsql.config import Configuration
from streamsql.datatypes import BIGINT, STRING
from streamsql.errors import JobError, StreamSqlError
from streamsql.schema import Schema

KINDS = {k.short: k for k in RowKind}
COUNTS = Schema.of([("word", STRING()), ("n", BIGINT())])


def change(text: str) -> Row:
    """``+I apple 3`` as a row of COUNTS."""
    kind, word, n = text.split()
    return Row((word, int(n)), COUNTS.names, KINDS[kind])


@dataclass
class FakeMetrics:
    watermark_ms: int | None = 1_700_000_000_000
    lag: int | None = 7
    records_in: int = 10
    records_out: int = 5
    steps: int = 3
    late_records_dropped: int = 0
    bad_records: int = 0
    status_lines: Sequence[str] = ()
    operators: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass
class FakeFailure:
    error: BaseException


@dataclass
class FakeJob:
    id: str = "a1b2"
    name: str = "counting"
    status: str = "RUNNING"
    error: BaseException | None = None
    last_failure: FakeFailure | None = None
    numbers: FakeMetrics = field(default_factory=FakeMetrics)
    notes: list[str] = field(default_factory=list[str])
    suspended: bool = False

    def stop(self) -> None:
        self.status = "CANCELED"

    def cancel_nowait(self) -> None:
        self.stop()

    def suspend_nowait(self) -> None:
        self.suspended = True
        self.stop()

    def wait(self, timeout: float | None = None, /) -> bool:
        if self.status == "RUNNING":
            threading.Event().wait(min(timeout or 0.01, 0.01))
        if self.error is not None:
            raise JobError("job failed") from self.error
        return self.status != "RUNNING"

    def metrics(self) -> FakeMetrics:
        return self.numbers


class FakeResult:
    """``changes`` come one batch a poll; then the query waits, or ends if bounded, or raises ``fails``."""

    def __init__(
        self,
        changes: Sequence[Sequence[Row]] = (),
        *,
        schema: Schema = COUNTS,
        is_query: bool = True,
        bounded: bool = False,
        upsert_key: tuple[int, ...] | None = (0,),
        insert_only: bool = False,
        fails: BaseException | None = None,
        job: FakeJob | None = None,
        message: str = "OK",
        result_kind: str = "SUCCESS_WITH_CONTENT",
    ) -> None:
        self.schema = schema
        self.is_query = is_query
        self.bounded = bounded
        self.upsert_key = upsert_key
        self.insert_only = insert_only
        self.job = job
        self.message = message
        self.result_kind = result_kind
        self.closed = threading.Event()
        self._batches = [list(batch) for batch in changes]
        self._fails = fails

    def collect(self) -> Iterator[Row]:
        for batch in self._batches:
            yield from batch

    def poll(self, timeout_s: float) -> list[Row] | None:
        if self._batches:
            return self._batches.pop(0)
        if self._fails is not None:
            raise self._fails
        if self.bounded or self.closed.is_set():
            return None
        self.closed.wait(timeout_s)
        return []

    def close(self) -> None:
        self.closed.set()


def done(message: str = "OK") -> FakeResult:
    return FakeResult(is_query=False, result_kind="SUCCESS", message=message)


class FakeNames:
    """Names for completion."""

    def tables(self) -> list[str]:
        return ["bananas", "fruit stand", "orders"]

    def views(self) -> list[str]:
        return ["best"]

    def columns(self, table: str) -> list[str] | None:
        return {"orders": ["id", "price", "placed at"], "bananas": ["id", "ripe"]}.get(table)

    def functions(self) -> list[str]:
        return ["COUNT", "CONCAT", "SUM"]

    def connectors(self) -> list[str]:
        return ["datagen", "kafka"]

    def options(self, connector: str) -> list[tuple[str, str]]:
        return {"kafka": [("topic", "the topic"), ("scan.startup.mode", "where to begin")]}.get(connector, [])

    def session_options(self) -> list[str]:
        return ["pipeline.name", "sql-client.execution.result-mode"]

    def catalogs(self) -> list[str]:
        return ["default_catalog"]

    def databases(self) -> list[str]:
        return ["default_database"]

    def job_ids(self) -> list[str]:
        return ["a1b2"]


class FakeCatalog:
    current_catalog = "default_catalog"
    current_database = "default_database"


class FakeEnvironment:
    """``answers``: statement text → result or error; SET works for real."""

    def __init__(self, answers: dict[str, FakeResult | BaseException] | None = None) -> None:
        self.config = Configuration()
        self.catalog = FakeCatalog()
        self.executed: list[str] = []
        self.running: list[FakeJob] = []
        self.closed = False
        self._answers = answers or {}

    def execute_sql(self, sql: str) -> FakeResult:
        text = sql.strip()
        self.executed.append(text)
        if text.startswith("SET "):
            key, value = (part.strip().strip("'") for part in text[4:].split("="))
            self.config.set(key, value)
            return done()
        answer = self._answers.get(text)
        if answer is None:
            raise StreamSqlError(f"no answer for {text!r}")
        if isinstance(answer, BaseException):
            raise answer
        if answer.job is not None:
            self.running.append(answer.job)
        return answer

    def jobs(self) -> list[FakeJob]:
        return self.running

    def completion_source(self) -> FakeNames:
        return FakeNames()

    def close(self) -> None:
        self.closed = True
