"""``python -m tests.soak [--minutes 30]``: runs the job, reads its sizes every ten seconds, says what grew.

Exit code 1 where something did, or a file is left over. ``--csv``: all readings, written as they come.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from streamsql.session import TableEnvironment

from .job import Folders, start
from .readings import Reading, Trend, left_over, read, table, trends


@dataclass(frozen=True)
class Soak:
    """What a run found. ``checkpoints``: complete ones that the stopped job leaves."""

    readings: list[Reading]
    trends: list[Trend]
    left: list[str]
    checkpoints: list[str]

    @property
    def grows(self) -> list[Trend]:
        """What did."""
        return [t for t in self.trends if not t.flat]

    def report(self) -> str:
        """As text."""
        span = self.readings[-1].seconds - self.readings[len(self.readings) // 2].seconds
        lines = [table(self.readings), "", f"the line through the second half, {span:,.0f} s:"]
        lines += [str(trend) for trend in self.trends]
        lines.append(f"checkpoints that stay: {', '.join(self.checkpoints) or 'none'}")
        lines.append(f"files left over: {', '.join(self.left) or 'none'}")
        return "\n".join(lines)


def soak(
    root: Path,
    seconds: float,
    *,
    every_s: float = 10.0,
    rows_per_second: int = 20_000,
    tell: Callable[[Reading], None] = lambda reading: None,
) -> Soak:
    """Run the job for so long below an empty folder."""
    folders = Folders(root)
    readings: list[Reading] = []
    with TableEnvironment() as env:
        job = start(env, folders, rows_per_second)
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            time.sleep(max(0.0, min(every_s * (len(readings) + 1), seconds) - passed))
            if not job.is_alive():
                job.wait()  # raises what ended it
            readings.append(read(time.monotonic() - began, job.metrics(), folders))
            tell(readings[-1])
        job.stop()
        if job.error is not None:
            raise job.error
    stay = sorted(str(p.parent.name) for p in folders.checkpoints.rglob("_complete"))
    return Soak(readings, trends(readings), left_over(folders), stay)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--every", type=float, default=10, help="seconds between readings")
    parser.add_argument("--rows-per-second", type=int, default=20_000)
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    out = given.csv.open("w", newline="") if given.csv else None
    writer = csv.writer(out) if out else None

    def tell(reading: Reading) -> None:
        if writer and out:
            if reading.seconds < given.every * 1.5:
                writer.writerow(reading.values())
            writer.writerow(reading.values().values())
            out.flush()

    try:
        with tempfile.TemporaryDirectory(prefix="streamsql-soak-") as folder:
            found = soak(
                Path(folder),
                given.minutes * 60,
                every_s=given.every,
                rows_per_second=given.rows_per_second,
                tell=tell,
            )
    finally:
        if out:
            out.close()
    print(found.report())
    return 1 if found.grows or found.left else 0


if __name__ == "__main__":
    sys.exit(main())
