"""``python -m tests.savepoints.record``: writes a folder for the format as it is now, beside the older ones.

To be run when the format of savepoints or what operators keep has changed, or operators are new. Older folders stay as
they are: users have savepoints like them.
"""

from __future__ import annotations

import json
import random
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from .fixture import (
    FOLDER,
    SAVEPOINT,
    TABLES,
    Case,
    Input,
    Rows,
    amount_to,
    batch_answer,
    differences,
    session,
)

HOUR = 3_600_000
ORDERS = 40
EARLY = {
    "table.exec.emit.early-fire.enabled": "true",
    "table.exec.emit.early-fire.delay": "10 s",
    "table.exec.emit.late-fire.enabled": "true",
    "table.exec.emit.allow-lateness": "10 s",
}


def inputs(seed: int = 11) -> dict[str, Input]:
    """Rows of every type the tables have, some of them NULL; event time hardly out of order."""
    rng = random.Random(seed)
    orders: list[list[Any]] = []
    payments: list[list[Any]] = []
    prices: list[list[Any]] = []
    for i in range(ORDERS):
        at = i * 4 + rng.choice([0, 0, 1, 3])
        item = rng.choice(["apple", "pear", "fig", None])
        city = rng.choice([["Rome", 100], ["Oslo", None], None])
        when, tags = moment(at), rng.choice([["a"], ["b", None], []])
        who, amount = rng.choice(["ann", "bob", "cläre", None]), rng.choice(["1.50", "20.00", None])
        numbers = [rng.randrange(6), rng.randrange(8) / 2, rng.choice([True, False, None]), None]
        day = f"2024-01-0{rng.randrange(1, 4)}"
        orders.append(["+I", i, who, item, amount, *numbers, day, city, tags, when])
        if rng.random() < 0.7:
            paid = [rng.choice(["1.50", "20.00", "7.25"]), rng.choice(["card", "cash", None])]
            payments.append(["+I", rng.randrange(i + 1), *paid, moment(at + rng.randrange(3))])
        if i % 4 == 0:
            price = rng.randrange(1, 6)
            prices.append(["+U", rng.choice(["apple", "pear", "fig"]), price, moment(i * 4)])
    return {
        name: Input(len(rows) // 2, rows)
        for name, rows in (
            ("orders", orders),
            ("payments", payments),
            ("prices", prices),
            ("stock", list(changes(rng))),
        )
    }


def changes(rng: random.Random) -> Iterator[list[Any]]:
    """Rows of a table that come and go."""
    there: list[list[Any]] = []
    for _ in range(30):
        if there and rng.random() < 0.35:
            yield ["-D", *there.pop(rng.randrange(len(there)))]
        else:
            row = [rng.choice(["apple", "pear", "fig"]), rng.choice(["north", "south"]), rng.randrange(9)]
            there.append(row)
            yield ["+I", *row]


def moment(seconds: int) -> str:
    return f"2024-01-01 00:{seconds // 60:02d}:{seconds % 60:02d}"


def cases() -> dict[str, Case]:
    """Those of the next version."""
    texts = {name: (FOLDER / f"{name}.sql").read_text() for name in (TABLES, "queries", "windows")}
    plain = Case(texts, ("queries", "windows"), {}, 0, inputs())
    ttl = {"table.exec.state.ttl": "1 h"}
    return {
        "plain": plain,
        "kept for long": replace(plain, settings=ttl, pause_ms=HOUR // 2),
        "forgotten": replace(plain, settings=ttl, pause_ms=2 * HOUR),
        "early windows": replace(plain, queries=("windows",), settings=EARLY, pause_ms=20_000),
    }


def record(case: Case, folder: Path) -> None:
    """Write it. What is expected comes from a job that was never interrupted."""
    with session(case) as made:
        job = made.start()
        made.clock.advance_time(case.pause_ms)
        made.feed()
        job.wait(60)
        after = amount_to({}, made.changes(), case.parsed)
    if case.pause_ms < HOUR:
        wrong = differences(after, batch_answer(case))
        assert not wrong, wrong
    with session(case) as made:
        job = made.start()
        with tempfile.TemporaryDirectory() as place, tarfile.open(folder / SAVEPOINT, "w:xz") as packed:
            packed.add(job.stop_with_savepoint(place), "savepoint")
        before = amount_to({}, made.changes(), case.parsed)
    case.write(folder)
    _write(folder / "before.json", before)
    _write(folder / "after.json", after)


def _write(path: Path, rows: Rows) -> None:
    path.write_text(json.dumps(rows, indent=0, ensure_ascii=False) + "\n")


def next_folder(root: Path) -> Path:
    """``v1``, ``v2``, …: the first that is not there."""
    numbers = [int(p.name[1:]) for p in root.glob("v*") if p.name[1:].isdigit()]
    return root / f"v{max(numbers, default=0) + 1}"


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    target = next_folder(root)
    for name, case in cases().items():
        folder = target / name.replace(" ", "-")
        folder.mkdir(parents=True)
        record(case, folder)
        print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
