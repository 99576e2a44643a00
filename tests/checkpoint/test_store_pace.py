"""Merging keeps pace with checkpoints that write much, in every chain, and what nobody needs does not pile up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from streamsql.runtime.checkpoint import store as store_module
from streamsql.runtime.checkpoint.snapshot import JobSnapshot, OperatorSnapshot
from streamsql.runtime.checkpoint.store import CheckpointStore

CHAINS = 8
SLOTS = 4000


def slots(found: np.ndarray[tuple[int], np.dtype[np.int64]], number: int) -> pa.Table:
    live = np.ones(len(found), np.bool_)
    return pa.table({"slot": found, "live": live, "value": np.full(len(found), number)})


def cut(number: int, random: np.random.Generator) -> JobSnapshot:
    """Of every chain a third of its slots; of a few tables that never change one is new and one is gone."""
    states = {
        f"s{i}": {
            "slots-x": slots(
                np.sort(random.choice(SLOTS, SLOTS if number == 1 else SLOTS // 3, replace=False)), number
            )
        }
        for i in range(CHAINS)
    }
    for n in range(max(1, number - 30), number + 1):
        if n % 3 == 0:
            states[f"rows{n % 5}"] = {f"run-{n}": slots(np.arange(100), n)}
    operator = OperatorSnapshot("f", "GroupAggregate", "", {}, states)
    return JobSnapshot(number, "r", "id", "j", 0, (), (operator,), (), changes=number > 1)


def used(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*.pack"))


def test_large_changes_in_many_chains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One chain alone takes what a call may copy, as gigabytes of state do."""
    monkeypatch.setattr(store_module, "_COMPACT_BYTES", 64 << 10)
    monkeypatch.setattr(store_module, "_WASTE", 16 << 10)
    random = np.random.default_rng(5)
    store = CheckpointStore(str(tmp_path), "j", run="r", now_ms=lambda: 0)
    store.take_over()
    first = disk = 0
    for number in range(1, 61):
        store.write(cut(number, random))
        store.complete(number)
        first = first or used(tmp_path)
        store.compact()
        disk = max(disk, used(tmp_path))
        longest = max(map(len, store.candidates()[0].manifest.chains().values()))
        assert longest < 12, f"checkpoint {number}"
    assert disk < 7 * first
    store.close()
    (found,) = store.candidates()
    needed = {Path(pack).name for pack in found.manifest.packs}
    assert {p.name for p in tmp_path.rglob("*.pack")} == needed


def test_what_was_merged_last_goes_when_the_job_stops(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    store = CheckpointStore(str(tmp_path), "j", run="r", now_ms=lambda: 0)
    store.take_over()
    for number in range(1, 5):
        store.write(cut(number, random))
        store.complete(number)
    store.compact()
    packs = {p.name for p in tmp_path.rglob("*.pack")}
    store.close()
    assert packs - {p.name for p in tmp_path.rglob("*.pack")} == {name for name in packs if "c-" in name}
    later = CheckpointStore(str(tmp_path), "j", run="s", now_ms=lambda: 0)
    assert [found.number for found in later.candidates()] == [4]
