"""Nexmark q0 to q23 as streams beside batch DuckDB on the same rows in the same run: events a second, their ratio."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from streamsql import TableEnvironment

from .nexmark.generator import Streams, streams
from .nexmark.queries import queries, register

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

EVENTS = 500_000
FEWER = {"q23": 40_000}
"""Queries whose answer is many times the input."""


@pytest.mark.parametrize("name", queries())
def test_nexmark(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    events = FEWER.get(name, EVENTS)
    found = streams(events, events_per_second=10_000)
    streamed = seconds(found, name, "STREAMING")
    batch = seconds(found, name, "BATCH")
    with capsys.disabled():
        rates = f"stream {events / streamed / 1e3:>7,.0f} k/s   batch {events / batch / 1e3:>7,.0f} k/s"
        print(f"\n{name:>4}  {rates}   {batch / streamed:.2f} of batch", end="")


def seconds(found: Streams, name: str, mode: str) -> float:
    """The better of two runs, from the statement to its last row."""

    def run() -> float:
        with TableEnvironment() as env:
            register(env, found)
            env.execute_sql(f"SET 'execution.runtime-mode' = '{mode}'")
            started = time.perf_counter()
            drain(env.execute_sql(queries()[name]).next_batch)
            return time.perf_counter() - started

    return min(run(), run())


def drain(next_batch: Callable[[float | None], object]) -> None:
    """Take all batches of a result."""
    while next_batch(None) is not None:
        pass
