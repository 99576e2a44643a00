"""The arithmetic of slices: which windows a slice is in, and which of them a watermark completes."""

from __future__ import annotations

import random

import pytest

from streamsql.runtime.windows import MAX_WATERMARK, MIN_WATERMARK, SlicedWindow, to_utc

WINDOWS = [
    SlicedWindow("TUMBLE", 10, 10),
    SlicedWindow("TUMBLE", 10, 10, -3),
    SlicedWindow("HOP", 12, 4),
    SlicedWindow("HOP", 12, 4, 5),
    SlicedWindow("CUMULATE", 15, 5),
    SlicedWindow("CUMULATE", 15, 5, 7),
]
HOUR = 3_600_000


@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_holds_the_slices_that_hold_it(window: SlicedWindow) -> None:
    grid = [window.offset_ms + n * window.slice_ms for n in range(-20, 20)]
    for end in grid:
        ends = list(window.window_ends(end))
        assert ends == sorted(ends)
        assert ends[-1] == window.last_window_end(end)
        for window_end in ends:
            assert window.window_start(window_end) < end <= window_end
            assert end in window.slices(window_end)
    for window_end in grid:
        for end in window.slices(window_end):
            assert window_end in window.window_ends(end)


@pytest.mark.parametrize("window", WINDOWS)
def test_what_is_due_by_definition(window: SlicedWindow) -> None:
    rng = random.Random(1)
    for _ in range(200):
        slices = sorted({window.offset_ms + rng.randrange(-10, 30) * window.slice_ms for _ in range(5)})
        before = rng.choice([MIN_WATERMARK, rng.randrange(-100, 300)])
        watermark = rng.choice([MAX_WATERMARK, max(before, -100) + rng.randrange(0, 60)])
        expected = {e for s in slices for e in window.window_ends(s) if before < e - 1 <= watermark}
        assert window.due(slices, before, watermark) == sorted(expected)


def test_a_window_of_a_zone_ends_at_the_instant_its_clock_shows() -> None:
    window = SlicedWindow("HOP", 4 * HOUR, HOUR, 0, "Asia/Kolkata")
    end = 10 * HOUR
    instant = end - HOUR * 11 // 2
    assert to_utc(end, "Asia/Kolkata") == instant
    assert window.due([end], MIN_WATERMARK, instant - 2) == []
    assert window.due([end], MIN_WATERMARK, instant - 1) == [end]
    assert window.due([end], instant - 1, instant + HOUR - 1) == [end + HOUR]


def test_a_clock_that_is_set_back_and_forth() -> None:
    """New York, 2024: 2 a.m. to 3 a.m. of March 10 is not there, 1 a.m. to 2 a.m. of November 3 is there twice."""
    march, november = 1_710_028_800_000, 1_730_592_000_000  # the midnights, as the clock shows them
    zone = "America/New_York"
    assert to_utc(march + 24 * HOUR, zone) - to_utc(march, zone) == 23 * HOUR
    assert to_utc(november + 24 * HOUR, zone) - to_utc(november, zone) == 25 * HOUR


def test_a_long_hop_looks_only_near_the_watermark() -> None:
    """A day by seconds: 86,400 windows a slice, of which one is due."""
    window = SlicedWindow("HOP", 86_400_000, 1000)
    slices = range(1000, 50_000_001, 1000)
    assert window.due(slices, 50_000_000 - 1, 50_000_999) == [50_001_000]
