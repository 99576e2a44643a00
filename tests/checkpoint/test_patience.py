"""A client that hangs is given up, a broker that is away is waited for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from streamsql.errors import ConnectorError
from streamsql.runtime.checkpoint.patience import STUCK_S, Progress
from streamsql.runtime.connectors.base import Transaction


class Fake(Transaction):
    away = False
    count = 7

    def record(self) -> Mapping[str, Any]:
        return {}

    def open(self, recorded: Mapping[str, Any] | None) -> tuple[int, str] | None:
        return None

    def prepare(self, checkpoint: int) -> None: ...

    def commit(self, checkpoint: int, run: str) -> None: ...

    def close(self) -> None: ...

    def status(self) -> str | None:
        return "away" if self.away else None

    @property
    def outstanding(self) -> int:
        return self.count


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


def test_no_acknowledgement_at_all(clock: list[float]) -> None:
    progress = Progress(Fake(), lambda: clock[0])
    progress.look(settled=False)
    clock[0] = STUCK_S
    progress.look(settled=False)
    clock[0] += 1
    with pytest.raises(ConnectorError, match="7 messages are not acknowledged"):
        progress.look(settled=False)


def test_some_acknowledgements(clock: list[float]) -> None:
    fake = Fake()
    progress = Progress(fake, lambda: clock[0])
    for _ in range(10):
        fake.count -= 1
        clock[0] += STUCK_S
        progress.look(settled=False)


def test_a_broker_that_is_away(clock: list[float]) -> None:
    fake = Fake()
    fake.away = True
    progress = Progress(fake, lambda: clock[0])
    for _ in range(10):
        clock[0] += STUCK_S
        progress.look(settled=False)
    fake.away = False
    progress.look(settled=False)


def test_without_a_transaction(clock: list[float]) -> None:
    progress = Progress(None, lambda: clock[0])
    for _ in range(10):
        clock[0] += STUCK_S
        progress.look(settled=False)
