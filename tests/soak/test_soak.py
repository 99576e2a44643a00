"""What counts as growing and as left over; and, as a benchmark, a minute of the soak itself."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak.__main__ import soak
from tests.soak.job import Folders
from tests.soak.readings import LIMITS, Reading, Trend, left_over, newest_pack, trends

READING = Reading(
    seconds=0.0,
    rows_in=0,
    rows_per_second=20_000,
    checkpoint=1,
    checkpoint_ms=100,
    pack_kb=1000,
    rss_mb=300,
    arrow_mb=20,
    state_mb=100,
    state_rows=100_000,
    expired=0,
    disk_mb=100,
    disk_files=10,
    output_files=0,
    open_files=10,
    threads=7,
)


def over_time(per_second: float, swing: float = 0.0, warm: float = 0.0) -> dict[str, Trend]:
    """Half an hour of readings whose memory changes by so many MB a second, and has grown by ``warm`` before."""
    readings = [
        replace(READING, seconds=t, rss_mb=300 + per_second * t + swing * math.sin(t) + min(warm, t))
        for t in range(10, 1810, 10)
    ]
    return {t.name: t for t in trends(readings)}


def test_what_stays_or_swings_or_grew_at_first_is_flat() -> None:
    assert all(t.flat for t in over_time(0.0).values())
    assert all(t.flat for t in over_time(-0.5).values())
    assert over_time(0.0, swing=50)["rss_mb"].flat
    assert over_time(0.0, warm=200)["rss_mb"].flat


def test_what_grows_is_told() -> None:
    found = over_time(0.05)
    assert not found["rss_mb"].flat
    assert found["rss_mb"].gained == pytest.approx(0.05 * 890)
    assert "GROWS" in str(found["rss_mb"])
    assert [t.name for t in found.values() if not t.flat] == ["rss_mb"]
    assert set(found) == set(LIMITS)


def test_files_that_nothing_needs_are_left_over(tmp_path: Path) -> None:
    job = tmp_path / "checkpoints" / "soak"
    for folder in (job / "chk-3", job / "shared", tmp_path / "output" / "t", tmp_path / "tmp"):
        folder.mkdir(parents=True)
    (job / "chk-3" / "_metadata").write_text('{"packs": [{"file": "../shared/3-abc.pack"}]}')
    (job / "owner.json").touch()
    (job / "shared" / "3-abc.pack").write_bytes(b"12")
    (tmp_path / "output" / "t" / "part-0.json").touch()
    assert left_over(Folders(tmp_path)) == []
    assert newest_pack(tmp_path / "checkpoints") == 2
    for stray in ("checkpoints/soak/shared/2-abc.pack", "output/t/.part-1.inprogress", "tmp/x"):
        (tmp_path / stray).touch()
    assert left_over(Folders(tmp_path)) == [
        "checkpoints/soak/shared/2-abc.pack",
        "output/t/.part-1.inprogress",
        "tmp/x",
    ]


@pytest.mark.bench
@pytest.mark.timeout(300)
def test_a_minute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Too short for a verdict on growth: it runs, it keeps up, and leaves nothing behind."""
    found = soak(tmp_path, 60, every_s=5)
    with capsys.disabled():
        print("\n" + found.report())
    assert found.left == []
    assert found.readings[-1].checkpoint > 10
    assert found.readings[-1].rows_in > 20_000 * 60 * 0.8
    assert found.readings[-1].expired > 0
