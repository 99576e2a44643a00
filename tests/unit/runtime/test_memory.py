"""Free memory goes back to the system."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamsql.runtime import memory
from streamsql.runtime.memory import EVERY_S, SHARE_MAX, FreeMemory


def resident_mb() -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in status if line.startswith("RssAnon:")) / 1024


@pytest.mark.skipif(memory.trim is None, reason="only glibc gives holes back")
def test_holes_between_what_is_kept_are_given_back() -> None:
    blocks = [np.ones(8_000) for _ in range(3_000)]  # 64 kB each: not mapped on their own
    kept = blocks[::50]
    del blocks
    before = resident_mb()
    FreeMemory(0.0).give_back(EVERY_S)
    assert resident_mb() < before - 100
    assert all(block.sum() == 8_000 for block in kept)


def test_it_is_done_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(memory, "trim", calls.append)
    free = FreeMemory(100.0)
    for second in range(100, 200):
        free.give_back(float(second))
    assert len(calls) == 3


def test_where_it_takes_long_it_is_done_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    clock = [0.0]

    def trim(keep: int) -> int:
        clock[0] += 2.0
        calls.append(keep)
        return 1

    monkeypatch.setattr(memory, "clock", lambda: clock[0])
    monkeypatch.setattr(memory, "trim", trim)
    free = FreeMemory(0.0)
    for second in (EVERY_S, EVERY_S + 2 / SHARE_MAX - 1, EVERY_S + 2 / SHARE_MAX):
        free.give_back(second)
    assert len(calls) == 2


def test_a_system_without_it_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "trim", None)
    FreeMemory(0.0).give_back(EVERY_S)
