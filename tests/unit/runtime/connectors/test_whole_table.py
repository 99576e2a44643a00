"""Tables that a lookup join holds whole: when they are read again, what becomes of a reading, closing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pytest

from streamsql.catalog.lookup import Reload
from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import INT
from streamsql.errors import ConnectorError
from streamsql.runtime.connectors.base import BadRecord, Source, SourceBatch, SourceContext
from streamsql.runtime.connectors.waiting import Waiting
from streamsql.runtime.connectors.whole_table import WholeTable

from .contexts import source_context, table

HOUR_MS = 3_600_000
PATIENCE_S = 20


class Read(Source):
    """A reader that gives one batch; with ``away`` it does not come to an end unless it is told to stop."""

    def __init__(self, context: SourceContext, rows: Sequence[int], *, away: bool) -> None:
        self._context = context
        self._away = away
        schema = context.physical.arrow
        batch = pa.RecordBatch.from_arrays([pa.array(rows, pa.int32())], schema=schema)
        bad = [BadRecord("f, line 1", "no number", b"x")]
        self._left = [
            SourceBatch(ChangelogBatch(batch), ["f"], bad_records=bad),
            SourceBatch(None, ["f"], finished=frozenset({"f"})),
        ]

    def start(self) -> None:
        while self._away:
            Waiting(self._context.now_ms, self._context.stopping).wait_ms(100)

    def poll(self, max_rows: int) -> SourceBatch | None:
        return self._left.pop(0) if self._left else None

    def splits(self) -> Sequence[str]:
        return ["f"]

    def status(self) -> str | None:
        return "it is away" if self._away else None

    def close(self) -> None:
        """Nothing to free."""


class Held:
    """The table, held whole under a clock that stands still."""

    def __init__(self, reload: Reload) -> None:
        self.now_ms = 0
        self.woken = threading.Event()
        self.rows = [1]
        self.away = False
        self.stopping = False
        context = source_context(
            table({"k": INT()}, {"connector": "datagen"}), now_ms=lambda: self.now_ms, wake=self.woken.set
        )
        context = replace(context, stopping=lambda: self.stopping)
        self.table = WholeTable(context, reload, lambda c: Read(c, self.rows, away=self.away))
        self.table.start()

    def found(self) -> list[int]:
        """The rows of the last reading; they are taken over."""
        rows, self.table.rows = self.table.rows, None
        assert rows is not None
        return [int(k) for k in rows.rows.column(0).to_pylist()]

    def read_again(self, at_ms: int) -> None:
        """Begin to read, and wait until that has ended."""
        self.now_ms = at_ms
        self.woken.clear()
        self.table.refresh(at_ms)
        assert self.woken.wait(PATIENCE_S)


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held(Reload(interval_ms=1000))
    yield made
    made.table.close()


def test_a_reading_that_has_ended_is_taken_over_and_the_next_one_is_due(held: Held) -> None:
    assert held.found() == [1]
    for moment in (1000, 2000, 3000):
        assert held.table.next_ms == moment
        held.rows = [moment]
        held.read_again(moment)
        assert held.table.next_ms == 0  # a step without rows takes it over
        held.table.refresh(moment)
        assert held.found() == [moment]


def test_nothing_is_due_while_it_is_read(held: Held) -> None:
    held.away = True
    held.now_ms = 1000
    held.table.refresh(1000)
    assert held.table.next_ms is None
    assert held.table.reading == 1


@pytest.mark.parametrize("days", [1, 3])
def test_the_first_reading_at_a_time_of_day_comes_at_the_next_one(days: int) -> None:
    reload = Reload(time_of_day_ms=4 * HOUR_MS, offset_ms=0, days=days)
    held = Held(reload)
    assert held.table.next_ms == 4 * HOUR_MS
    held.read_again(4 * HOUR_MS)
    held.table.refresh(4 * HOUR_MS)
    assert held.table.next_ms == (4 + 24 * days) * HOUR_MS
    held.table.close()


def test_what_cannot_be_read_is_handed_over_once_a_reading(held: Held) -> None:
    first = held.table.poll(10)
    assert first is not None
    assert [bad.origin for bad in first.bad_records] == ["f, line 1"]
    assert first.finished == {"table"}
    assert held.table.poll(10) is None
    held.read_again(1000)
    held.table.refresh(1000)
    again = held.table.poll(10)
    assert again is not None
    assert len(again.bad_records) == 1
    assert held.table.poll(10) is None


@pytest.mark.parametrize("how", ["close", "stop"])
def test_a_reading_that_waits_says_so_and_ends_with_the_job(held: Held, how: str) -> None:
    held.away = True
    held.now_ms = 1000
    held.woken.clear()
    held.table.refresh(1000)
    assert _eventually(held) == "it is away"
    if how == "stop":
        held.stopping = True
        assert held.woken.wait(PATIENCE_S)
    closing = threading.Thread(target=held.table.close, daemon=True)
    closing.start()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()


def test_a_first_reading_that_waits_ends_with_the_job() -> None:
    held = Held(Reload(interval_ms=1000))
    held.away = held.stopping = True
    with pytest.raises(ConnectorError, match="stopped"):
        held.table.start()


def _eventually(held: Held) -> str | None:
    for _ in range(1000):
        if (found := held.table.status()) is not None:
            return found
        threading.Event().wait(0.01)
    return None
