"""Checkpoints: the time to write one depends on what changed, and a gigabyte is loaded in seconds.

``make bench`` prints, for two sizes of state, the time of a checkpoint after the same change, of the merging between
checkpoints, and of finding, checking and loading the last one. Nothing fails on time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from streamsql.runtime.checkpoint.snapshot import JobSnapshot, OperatorSnapshot
from streamsql.runtime.checkpoint.store import CheckpointStore

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

CHANGED = 100_000
CHECKPOINTS = 20


def slots_table(slots: npt.NDArray[np.int64]) -> pa.Table:
    """About 50 bytes a slot: a hash, two numbers and a text."""
    return pa.table(
        {
            "slot": slots,
            "live": np.ones(len(slots), np.bool_),
            "hash": slots.astype(np.uint64),
            "n": slots * 7,
            "v": slots * 0.5,
            "text": np.full(len(slots), "user-abcdef"),
        }
    )


def cut(number: int, keyed: pa.Table, run: pa.Table) -> JobSnapshot:
    states = {"sums": {"slots-values": keyed}, "rows": {"run-0": run}}
    operator = OperatorSnapshot("f", "GroupAggregate", "", {}, states)
    return JobSnapshot(number, "r", "id", "j", 0, (), (operator,), (), changes=number > 1)


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def written(store: CheckpointStore, snapshot: JobSnapshot) -> None:
    store.write(snapshot)
    store.complete(snapshot.number)


@pytest.mark.parametrize("slots", [1_000_000, 10_000_000])
def test_checkpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str], slots: int) -> None:
    random = np.random.default_rng(1)
    store = CheckpointStore(str(tmp_path), "j", run="r", now_ms=lambda: 0)
    store.take_over()
    whole = slots_table(np.arange(slots))
    run = whole.select(["hash", "n", "v", "text"])
    first = timed(lambda: store.write(cut(1, whole, run)))
    store.complete(1)
    writes: list[float] = []
    merges: list[float] = []
    for number in range(2, CHECKPOINTS + 2):
        snapshot = cut(number, slots_table(np.unique(random.integers(0, slots, CHANGED))), run)
        writes.append(timed(lambda s=snapshot: written(store, s)))  # type: ignore[misc]
        merges.append(timed(store.compact))
    store.close()
    size = sum(p.stat().st_size for p in tmp_path.rglob("*.pack"))
    later = CheckpointStore(str(tmp_path), "j", run="s", now_ms=lambda: 0)
    check = timed(later.candidates)
    found = later.candidates()[0]
    load = timed(lambda: later.load(found))
    with capsys.disabled():
        print(
            f"\n{(whole.nbytes + run.nbytes) / 1e6:8,.0f} MB of state: first {first:6.2f} s, then with {CHANGED:,} "
            f"changes {statistics.median(writes) * 1e3:6.0f} ms (worst {max(writes) * 1e3:.0f}), merging at worst "
            f"{max(merges) * 1e3:.0f} ms; {size / 1e6:,.0f} MB on disk, checked in {check:.2f} s, "
            f"loaded in {load:.2f} s"
        )
