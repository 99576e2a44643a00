"""The rate of a counter, on a clock moved by hand."""

from __future__ import annotations

import pytest

from streamsql.runtime.rate import RateMeter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_steady_counter() -> None:
    clock = Clock()
    meter = RateMeter(clock)
    for i in range(1, 101):
        clock.now = i * 0.1
        meter.observe(i * 5)
    assert meter.per_second(500) == pytest.approx(50)


def test_a_burst_fades_when_nothing_follows() -> None:
    clock = Clock()
    meter = RateMeter(clock)
    clock.now = 1.0
    meter.observe(1000)
    assert meter.per_second(1000) == pytest.approx(1000)
    clock.now = 4.0
    assert meter.per_second(1000) == 0
