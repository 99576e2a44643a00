"""StateMemory: what is too much for memory lies in files that nothing has to clean up."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from streamsql.errors import StateError
from streamsql.runtime.state import memory as module
from streamsql.runtime.state.memory import StateMemory
from streamsql.runtime.state.slot_column import SlotColumn

MIB = 1 << 20
LIMIT = 16 * MIB


def test_arrays_lie_in_files_once_the_limit_is_reached(tmp_path: Path) -> None:
    memory = StateMemory(3 * MIB, [tmp_path / "deep" / "down"])
    column = SlotColumn(pa.int64())
    column.limit_memory(memory)
    column.put(np.arange(100_000), np.arange(100_000))
    assert memory.mapped_bytes == 0
    for first in range(100_000, 2_000_000, 100_000):
        column.put(np.arange(first, first + 100_000), np.arange(first, first + 100_000))
    assert memory.mapped_bytes > 16 * MIB
    assert column.values(np.arange(0, 2_000_000, 7)).tolist() == list(range(0, 2_000_000, 7))
    assert column.nbytes - memory.mapped_bytes <= 3 * MIB
    assert list((tmp_path / "deep" / "down").iterdir()) == []  # the files have no names
    del column
    assert memory.mapped_bytes == 0


def test_a_mapped_array_grows_in_place() -> None:
    memory = StateMemory(0)
    values = memory.zeros(100_000, np.int64)
    values[:] = np.arange(100_000)
    larger = memory.grown(values, 300_000)
    assert np.shares_memory(values, larger) or (larger[:100_000] == values).all()
    assert larger[99_998:100_002].tolist() == [99_998, 99_999, 0, 0]


def test_batches_and_small_things(tmp_path: Path) -> None:
    memory = StateMemory(0, [tmp_path])
    small = pa.record_batch({"a": [1]})
    assert memory.kept(small) is small
    large = pa.record_batch({"a": np.arange(100_000), "s": ["x" * 20] * 100_000})
    copy = memory.kept(large)
    assert copy is not large and copy.equals(large)
    assert memory.mapped_bytes >= large.nbytes


def in_files(table: pa.Table, memory: StateMemory) -> bool:
    """Whether all of a table lies in files."""
    files = [pa.py_buffer(held) for held in memory._cuts]
    buffers = [b for c in table.columns for chunk in c.chunks for b in chunk.buffers() if b is not None]
    return all(any(f.address <= b.address < f.address + f.size for f in files) for b in buffers)


def test_what_a_cut_gives_lies_in_files_and_is_no_state(tmp_path: Path) -> None:
    memory = StateMemory(4 * MIB, [tmp_path])
    columns = [SlotColumn(pa.int64()) for _ in range(3)]
    for column in columns:
        column.limit_memory(memory)
        column.track_changes()
        column.put(np.arange(400_000), np.arange(400_000))
    mapped = memory.mapped_bytes
    cuts = [column.changes()["slots-values"] for column in columns]
    assert memory.mapped_bytes == mapped
    assert all(cut.num_rows == 400_000 and in_files(cut, memory) for cut in cuts)
    assert cuts[2]["value"].to_pylist() == list(range(400_000))
    columns[0].put(np.arange(10), np.arange(10))
    assert not in_files(columns[0].changes()["slots-values"], memory), "ten rows are not worth a file"
    del cuts
    assert not memory._cuts


def test_pages_of_others_are_not_taken_for_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two jobs, and libraries: who has just given its pages back does not do so again because others hold theirs."""
    resident, given_back = [0], list[int]()

    class Map(module._Map):
        def madvise(self, option: int, *args: int) -> None:
            given_back.append(resident[0])
            resident[0] -= own[0]
            own[0] = 0

    own = [0]
    monkeypatch.setattr(module, "_Map", Map)
    monkeypatch.setattr(module, "_resident_file_bytes", lambda: resident[0])
    memory = StateMemory(8 * MIB, [tmp_path])
    held = memory.mapped(pa.record_batch({"a": np.arange(100_000)}))

    def pages(others: int, ours: int) -> list[int]:
        resident[0], own[0] = (others + ours) * MIB, ours * MIB
        memory.ease()
        memory.ease()
        found = [n // MIB for n in given_back]
        given_back.clear()
        return found

    assert pages(others=0, ours=1) == []
    assert pages(others=0, ours=2) == [2]
    assert pages(others=100, ours=0) == [100]
    assert pages(others=100, ours=1) == []
    assert pages(others=100, ours=2) == [102]
    assert pages(others=20, ours=1) == []
    assert pages(others=20, ours=3) == [23], "what others have given back is theirs"
    assert held.num_rows == 100_000


def test_a_full_disk_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(descriptor: int, nbytes: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "_reserve", full)
    with pytest.raises(StateError, match="No space left on device") as caught:
        StateMemory(0, [tmp_path]).zeros(100_000, np.int64)
    assert caught.value.hint is not None and "io.tmp.dirs" in caught.value.hint
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StateError, match="cannot be written under"):
        StateMemory(0, [blocked / "folder"]).zeros(100_000, np.int64)


# Ten times the limit of keys, sums, texts and joined rows; prints by how much the resident memory has grown.
SCRIPT = f"""
import resource, sys
import numpy as np, pyarrow as pa
from streamsql.runtime.state.hashing import hash_columns
from streamsql.runtime.state.key_index import KeyIndex
from streamsql.runtime.state.memory import StateMemory
from streamsql.runtime.state.run_store import RunStore
from streamsql.runtime.state.slot_column import SlotColumn

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

STEP, STEPS = 10_000, int(sys.argv[1])
memory = StateMemory({LIMIT}, [sys.argv[2]])
keys, sums, texts = KeyIndex([pa.int64()]), SlotColumn(pa.int64()), SlotColumn(pa.string())
rows = RunStore(pa.schema([("k", pa.int64()), ("s", pa.string())]), [0])
states = [keys, sums, texts, rows]
for state in states:
    state.limit_memory(memory)

def step(numbers):
    ids = pa.array(numbers)
    hashes = hash_columns([ids])
    slots, _ = keys.lookup_or_insert(hashes, [ids])
    sums.add(slots, numbers)
    strings = pa.array([f"the text of number {{n}}" for n in numbers.tolist()])
    texts.set(slots, strings)
    rows.append(hashes, pa.RecordBatch.from_arrays([ids, strings], schema=rows.schema))
    return slots

random = np.random.default_rng(1)
base = most = 0
for n in range(STEPS):
    step(np.arange(n * STEP, (n + 1) * STEP))
    base = base or resident()
    most = max(most, resident())
total = STEP * STEPS
for _ in range(5):
    step(random.choice(total, STEP, replace=False))
    most = max(most, resident())
size = sum(s.nbytes for s in states)
some = np.unique(random.integers(0, total, 2000))
ids = pa.array(some)
slots = keys.lookup(hash_columns([ids]), [ids])
assert (slots >= 0).all()
assert (sums.values(slots) % np.maximum(some, 1) == 0).all() and (sums.values(slots) >= some).all()
assert texts.get(slots).to_pylist() == [f"the text of number {{n}}" for n in some.tolist()]
found = rows.probe(hash_columns([ids]), [ids], consolidate=True)
assert sorted(set(found.rows["k"].to_pylist())) == some.tolist()
assert len(found.weights) == (sums.values(slots) // np.maximum(some, 1))[some > 0].sum() + (some == 0).sum()
print(size, most - base, memory.mapped_bytes)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="measures by /proc")
def test_ten_times_the_limit_stays_within_twice_the_limit(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "110", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    size, grown, mapped = map(int, done.stdout.split())
    assert size > 10 * LIMIT
    assert mapped > 8 * LIMIT
    assert grown < 2 * LIMIT, f"{grown / MIB:.0f} MiB"
