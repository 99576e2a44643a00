"""What was damaged on disk is recognised, said, and never taken for something else."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path

import pytest

from streamsql.errors import StateError
from streamsql.runtime.checkpoint.manifest import _checksum
from streamsql.runtime.checkpoint.savepoints import load_savepoint, open_savepoint, write_savepoint
from streamsql.runtime.checkpoint.store import CheckpointStore
from tests.checkpoint.model import ModelJob, plain

Expected = dict[int, tuple[object, ...]]


def filled(root: Path, checkpoints: int = 3) -> Expected:
    """A folder of checkpoints, all of them retained; what each must hold."""
    store = CheckpointStore(str(root), "orders", run="run-a", retained=9, now_ms=lambda: 0)
    store.take_over()
    job, rng = ModelJob(), random.Random(1)
    expected: Expected = {}
    for number in range(1, checkpoints + 1):
        for operator in job.operators:  # every pack has rows of each kind
            operator.put(number, ("slot", number))
            operator.add_run(20)
        job.step(rng)
        store.write(job.cut(changes=number > 1))
        store.complete(number)
        expected[number] = plain(job.whole())
    store.close()
    return expected


def reopened(root: Path) -> CheckpointStore:
    return CheckpointStore(str(root), "orders", run="run-b", now_ms=lambda: 0)


def flipped(path: Path, at: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def last_file(root: Path, name: str) -> Path:
    return (
        next((root / "orders" / "shared").glob("3-*.pack"))
        if name == "pack"
        else root / "orders/chk-3" / name
    )


@pytest.mark.parametrize("name", ["pack", "_metadata", "_complete"])
def test_any_bit_flipped(tmp_path: Path, name: str) -> None:
    expected = filled(tmp_path / "sound")
    rng, passed = random.Random(name), 0
    size = last_file(tmp_path / "sound", name).stat().st_size
    for _ in range(60):
        root = tmp_path / "hurt"
        shutil.copytree(tmp_path / "sound", root)
        flipped(last_file(root, name), rng.randrange(size), rng.randrange(8))
        store = reopened(root)
        found = store.candidates()
        assert {f.number for f in found} >= {1, 2}
        for one in found:
            assert plain(store.load(one)) == expected[one.number]
        if len(found) == 2:
            passed += 1
            (problem,) = store.problems
            assert "chk-3 is passed over" in problem
        shutil.rmtree(root)
    assert passed > 30 if name != "_complete" else passed == 0


@pytest.mark.parametrize("name", ["pack", "_metadata"])
def test_cut_short_anywhere(tmp_path: Path, name: str) -> None:
    expected = filled(tmp_path)
    path = last_file(tmp_path, name)
    data = path.read_bytes()
    for length in [0, 1, *range(2, len(data) - 3, len(data) // 7)]:
        path.write_bytes(data[:length])
        store = reopened(tmp_path)
        assert [f.number for f in store.candidates()] == [2, 1]
        assert len(store.problems) == 1
        assert plain(store.load(store.candidates()[0])) == expected[2]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("pack", r"chk-3 is passed over: the file .*3-\w+\.pack is missing"),
        ("_metadata", r"chk-3 is passed over: it was not written to its end"),
    ],
)
def test_a_file_is_missing(tmp_path: Path, name: str, sentence: str) -> None:
    filled(tmp_path)
    last_file(tmp_path, name).unlink()
    store = reopened(tmp_path)
    assert [f.number for f in store.candidates()] == [2, 1]
    assert re.search(sentence, store.problems[0])


def test_without_its_mark_it_is_prepared(tmp_path: Path) -> None:
    filled(tmp_path)
    last_file(tmp_path, "_complete").unlink()
    assert [(f.number, f.complete) for f in reopened(tmp_path).candidates()] == [
        (3, False),
        (2, True),
        (1, True),
    ]


def test_the_mark_of_another_manifest_does_not_count(tmp_path: Path) -> None:
    filled(tmp_path)
    shutil.copy(tmp_path / "orders/chk-2/_complete", tmp_path / "orders/chk-3/_complete")
    assert not reopened(tmp_path).candidates()[0].complete


def test_a_manifest_of_another_checkpoint_does_not_count(tmp_path: Path) -> None:
    filled(tmp_path)
    shutil.copy(tmp_path / "orders/chk-2/_metadata", tmp_path / "orders/chk-3/_metadata")
    store = reopened(tmp_path)
    assert [f.number for f in store.candidates()] == [2, 1]
    assert store.problems[0].endswith("its manifest is that of checkpoint 2")


def test_a_manifest_that_is_something_else(tmp_path: Path) -> None:
    filled(tmp_path)
    for text, said in (("[]", "does not begin with"), ("{}", "does not begin with"), ("\xff", "no JSON")):
        last_file(tmp_path, "_metadata").write_text(text, encoding="latin-1")
        store = reopened(tmp_path)
        assert len(store.candidates()) == 2 and said in store.problems[0]


def test_a_newer_version_is_not_passed_over(tmp_path: Path) -> None:
    filled(tmp_path)
    path = last_file(tmp_path, "_metadata")
    whole = json.loads(path.read_text())
    content = {"unknown": "to us"}
    path.write_text(json.dumps(whole | {"version": 2, "content": content, "checksum": _checksum(2, content)}))
    store = reopened(tmp_path)
    for action in (store.candidates, store.take_over, lambda: open_savepoint(str(path))):
        with pytest.raises(
            StateError, match=r"format version 2, written by a newer version .* reads up to 1"
        ):
            action()


def test_after_damage_the_next_number_is_free(tmp_path: Path) -> None:
    """The job goes on from an older checkpoint, and the damaged one is gone after the next."""
    filled(tmp_path)
    flipped(last_file(tmp_path, "_metadata"), 200, 3)
    store = reopened(tmp_path)
    store.take_over()
    store.load(store.candidates()[0])
    job = ModelJob("run-b")
    job.number = store.next_number() - 1
    assert job.number == 3
    store.write(job.cut(changes=False))
    assert [f.number for f in store.candidates()] == [4, 2, 1]
    store.complete(4)
    assert [f.number for f in store.candidates()] == [4] and store.problems == []
    store.close()


def test_damage_found_while_compacting(tmp_path: Path) -> None:
    """Segments that are merged are checked, so that damage is not written anew under a good checksum."""
    store = CheckpointStore(str(tmp_path), "orders", run="run-a", now_ms=lambda: 0)
    store.take_over()
    job = ModelJob()
    for number in range(1, 6):
        job.operators[0].put(number, ("x", number))
        store.write(job.cut(changes=number > 1))
        store.complete(number)
    part = store.candidates()[0].manifest.chains()["operator", "agg", "0", "s", "slots-a"][2]
    store.close()
    store = reopened(tmp_path)
    store.take_over()
    store.load(store.candidates()[0])
    store._reader._checked.clear()
    flipped(tmp_path / "orders" / part.pack, part.offset + 400, 1)
    with pytest.raises(OSError, match=r"is damaged.* the next checkpoint holds everything"):
        store.compact()
    assert store.wants_full
    job.run = "run-b"
    store.write(job.cut(changes=False))
    assert plain(store.candidates()[0].snapshot()) == plain(job.whole())
    store.close()


def test_files_removed_under_a_running_job(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path), "orders", run="run-a", now_ms=lambda: 0)
    store.take_over()
    job = ModelJob()
    job.operators[0].put(1, ("x", 1))
    store.write(job.cut(changes=False))
    shutil.rmtree(tmp_path / "orders")
    with pytest.raises(OSError, match="was removed or cut short; the next checkpoint holds everything"):
        store.write(job.cut(changes=True))
    store.write(job.cut(changes=not store.wants_full))
    store.complete(3)
    assert plain(store.candidates()[0].snapshot()) == plain(job.whole())
    assert json.loads((tmp_path / "orders/owner.json").read_text())["run"] == "run-a"
    store.close()


def test_savepoints(tmp_path: Path) -> None:
    job = ModelJob()
    job.step(random.Random(2))
    path = write_savepoint(str(tmp_path), job.whole(), token="abc")
    assert path == f"{tmp_path}/savepoint-012345-abc"
    shutil.move(path, tmp_path / "moved")
    moved = tmp_path / "moved"
    for text in (str(moved), f"{moved}/_metadata", f"{moved}/", moved.as_uri()):
        assert plain(load_savepoint(text)) == plain(job.whole())
    (part, *_) = open_savepoint(str(moved)).manifest.chains()["operator", "agg", "0", "s", "slots-a"]
    flipped(moved / "data.pack", part.offset + 100, 4)
    with pytest.raises(StateError, match=r"moved cannot be restored: .*data\.pack is damaged: the checksum"):
        load_savepoint(str(moved))


def test_a_checkpoint_as_savepoint(tmp_path: Path) -> None:
    expected = filled(tmp_path)
    job = tmp_path / "orders"
    assert plain(load_savepoint(f"{job}/chk-2")) == expected[2]
    assert plain(load_savepoint(str(job))) == expected[3]
    (tmp_path / "chosen").symlink_to(job / "chk-2")
    for text in (tmp_path / "chosen", tmp_path / "chosen/_metadata"):
        assert plain(load_savepoint(str(text))) == expected[2]
    (job / "chk-3/_complete").unlink()
    assert open_savepoint(str(job)).number == 2
    flipped(job / "chk-2/_metadata", 300, 2)
    assert open_savepoint(str(job)).number == 1
    shutil.rmtree(job / "chk-1")
    with pytest.raises(
        StateError, match=r"no savepoint and no complete checkpoint in .* \(checkpoint 2: its manif"
    ):
        open_savepoint(str(job))
    with pytest.raises(StateError, match="no savepoint and no complete checkpoint in /nowhere"):
        open_savepoint("/nowhere")


def test_a_job_goes_on_from_a_savepoint(tmp_path: Path) -> None:
    """Its tables are not those of the store: the first checkpoint holds all of them, also of what did not change."""
    job = ModelJob()
    job.step(random.Random(2))
    path = write_savepoint(str(tmp_path), job.whole())
    store = CheckpointStore(str(tmp_path), "orders", run="run-b", now_ms=lambda: 0)
    store.take_over()
    store.load(open_savepoint(path))
    job.run = "run-b"
    job.cut(changes=True)
    job.operators[0].put(99, ("after", 1))
    store.write(job.cut(changes=True))
    shutil.rmtree(path)
    assert plain(store.candidates()[0].snapshot()) == plain(job.whole())
    store.close()
