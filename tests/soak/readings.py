"""Readings of a running job and its process, and whether a row of them grows."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from streamsql.runtime.metrics import JobMetrics

from .job import Folders

MB = 1 << 20
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Reading:
    """One moment. ``disk_mb`` and ``disk_files``: of the checkpoints' folder; ``pack_kb``: what the last one wrote."""

    seconds: float
    rows_in: int
    rows_per_second: float
    checkpoint: int
    checkpoint_ms: int
    pack_kb: float
    rss_mb: float
    arrow_mb: float
    state_mb: float
    state_rows: int
    expired: int
    disk_mb: float
    disk_files: int
    output_files: int
    open_files: int
    threads: int

    def values(self) -> dict[str, float]:
        """By name, in order."""
        return asdict(self)


def read(seconds: float, metrics: JobMetrics, folders: Folders) -> Reading:
    """All of them, now."""
    size, files = folder_size(folders.checkpoints)
    return Reading(
        seconds=round(seconds, 1),
        rows_in=metrics.records_in,
        rows_per_second=round(metrics.rows_per_second),
        checkpoint=metrics.checkpoint or 0,
        checkpoint_ms=metrics.checkpoint_ms or 0,
        pack_kb=round(newest_pack(folders.checkpoints) / 1024, 1),
        rss_mb=round(resident_mb(), 1),
        arrow_mb=round(pa.total_allocated_bytes() / MB, 1),
        state_mb=round(metrics.total("stateBytes") / MB, 2),
        state_rows=metrics.total("stateRows"),
        expired=metrics.total("numStateEntriesExpired"),
        disk_mb=round(size / MB, 2),
        disk_files=files,
        output_files=folder_size(folders.output)[1],
        open_files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        threads=threading.active_count(),
    )


def resident_mb() -> float:
    """Memory of this process that is in RAM, without pages of files."""
    found = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    return float(found["RssAnon"].split()[0]) / 1024


def folder_size(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files below it; files that go meanwhile are left out."""
    size = count = 0
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                size += (Path(at) / name).stat().st_size
            except FileNotFoundError:
                continue
            count += 1
    return size, count


def newest_pack(folder: Path) -> int:
    """Bytes of the pack that was written last by a checkpoint, not by merging."""
    found = {}
    for path in folder.rglob("*.pack"):
        number = path.name.split("-")[0]
        if number.isdigit():
            try:
                found[int(number)] = path.stat().st_size
            except FileNotFoundError:
                continue
    return found[max(found)] if found else 0


@dataclass(frozen=True)
class Limit:
    """What may be gained over the second half of a run: a part of the mean, or so much, whichever is more."""

    part: float
    least: float


LIMITS = {
    "rss_mb": Limit(0.05, 10),
    "arrow_mb": Limit(0.10, 10),
    "state_mb": Limit(0.05, 5),
    "state_rows": Limit(0.05, 1000),
    "checkpoint_ms": Limit(0.25, 30),
    "pack_kb": Limit(0.25, 100),
    "disk_mb": Limit(0.15, 5),
    "disk_files": Limit(0.15, 5),
    "open_files": Limit(0.0, 5),
    "threads": Limit(0.0, 3),
}


@dataclass(frozen=True)
class Trend:
    """The line through the second half of a row of readings."""

    name: str
    mean: float
    worst: float
    gained: float
    limit: float

    @property
    def flat(self) -> bool:
        """Whether it grew by no more than it may."""
        return self.gained <= self.limit

    def __str__(self) -> str:
        part = self.gained / self.mean if self.mean else 0.0
        said = "flat" if self.flat else f"GROWS (limit {self.limit:,.1f})"
        return (
            f"{self.name:<14} mean {self.mean:>12,.1f}   worst {self.worst:>12,.1f}   "
            f"gained {self.gained:>+10,.1f} ({part:+.1%})   {said}"
        )


def trends(readings: Sequence[Reading]) -> list[Trend]:
    """Each row that has a limit, over the second half of the run."""
    half = readings[len(readings) // 2 :]
    at = np.array([r.seconds for r in half])

    def trend(name: str, limit: Limit) -> Trend:
        values = np.array([r.values()[name] for r in half], np.float64)
        slope = float(np.polyfit(at, values, 1)[0])
        mean = float(values.mean())
        gained = slope * float(at[-1] - at[0])
        return Trend(name, mean, float(values.max()), gained, max(limit.part * mean, limit.least))

    return [trend(name, limit) for name, limit in LIMITS.items()]


def table(readings: Sequence[Reading], rows: int = 40) -> str:
    """As text: at most so many of them, evenly."""
    step = max(1, len(readings) // rows)
    shown = [*readings[:-1:step], readings[-1]]
    names = list(shown[0].values())
    cells = [names, *([f"{v:,}" for v in r.values().values()] for r in shown)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in cells)


def left_over(folders: Folders) -> list[str]:
    """Files of a stopped job that should not be there: parts that were begun, packs that no checkpoint needs, …"""
    found: list[str] = []
    for folder, is_left in _LEFT.items():
        base = folders.root / folder
        found += sorted(
            str(p.relative_to(folders.root)) for p in base.rglob("*") if p.is_file() and is_left(p)
        )
    return found


def _not_of_a_checkpoint(path: Path) -> bool:
    if path.suffix == ".pack":
        manifests = [m.read_text() for m in path.parent.parent.glob("chk-*/_metadata")]
        return not any(path.name in text for text in manifests)
    return path.name not in ("owner.json", "job.json", "_metadata", "_complete")


_LEFT: dict[str, Callable[[Path], bool]] = {
    "checkpoints": _not_of_a_checkpoint,
    "output": lambda path: path.name.startswith((".", "_")),
    "tmp": lambda path: True,
}
