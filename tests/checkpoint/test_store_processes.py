"""Processes that are killed while they write, and two at once."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE

import pytest

from streamsql.errors import FencedError, JobError
from streamsql.runtime.checkpoint.location import LocalLocation, RemoteLocation
from streamsql.runtime.checkpoint.store import CheckpointStore
from tests.checkpoint.faulty import Faults, faulty_fs
from tests.checkpoint.model import ModelJob, plain
from tests.checkpoint.writer import Replay, opened
from tests.project import ROOT

KILLS = 20


class Writers:
    """Processes that write into a folder, one at a time."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "tests.checkpoint.writer", str(folder), *options]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, bufsize=1
        )
        self.child = 0

    def start(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.child = self.number()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def number(self) -> int:
        """The next that it says; fails with its error where it has ended."""
        text = self.line()
        if not text.isdigit():
            self.process.kill()
            raise AssertionError(self.process.communicate()[1])
        return int(text)

    def kill(self) -> list[int]:
        """Returns what it has said before."""
        os.kill(self.child, signal.SIGKILL)
        self.child = 0
        return [int(text) for text in iter(self.line, "dead")]


@pytest.fixture
def writers() -> Iterator[Callable[..., Writers]]:
    """``writers(folder, "hold")``"""
    made: list[Writers] = []

    def make(folder: Path, *options: str) -> Writers:
        made.append(Writers(folder, *options))
        return made[-1]

    yield make
    for one in made:
        if one.child:
            os.kill(one.child, signal.SIGKILL)
        one.process.communicate()  # its input ends, and so does it


@pytest.mark.timeout(300)
def test_killed_while_it_writes(tmp_path: Path, writers: Callable[..., Writers]) -> None:
    """After each of the kills the newest checkpoint is whole, right, and none that was complete is lost."""
    rng, newest, writer = random.Random(1), 0, writers(tmp_path)
    for _ in range(KILLS):
        writer.start()
        said = [writer.number() for _ in range(rng.randrange(1, 4))][-1]
        time.sleep(rng.random() * 0.03)
        said = max(said, *writer.kill(), 0)
        store = opened(str(tmp_path))
        found = store.candidates()
        assert found[0].number >= said > newest
        assert plain(found[0].snapshot()) == Replay().must_hold(found[0].number)
        newest = max(f.number for f in found if f.complete)
        assert newest >= said


def test_a_second_process_is_refused(tmp_path: Path, writers: Callable[..., Writers]) -> None:
    holder = writers(tmp_path, "hold")
    holder.start()
    second = opened(str(tmp_path))
    with pytest.raises(JobError, match=rf"'orders' is already running \(pid {holder.child}, since") as raised:
        second.take_over()
    assert raised.value.hint and "pipeline.name" in raised.value.hint
    holder.kill()
    second.take_over()
    second.close()


def test_without_locks_the_newest_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As over some network mounts, and between two hosts."""
    fcntl = pytest.importorskip("fcntl", reason="there are no such locks here")

    def refused(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    job = ModelJob()
    older, newer = (CheckpointStore(str(tmp_path), "j", run=run, now_ms=lambda: 0) for run in "ab")
    older.take_over()
    older.write(job.cut(changes=False))
    newer.take_over()
    with pytest.raises(FencedError):
        older.complete(1)
    newer.load(newer.candidates()[0])
    newer.write(job.cut(changes=True))
    newer.complete(2)
    older.close()
    newer.close()


def test_a_zombie_removes_nothing_of_its_successor(tmp_path: Path) -> None:
    """The successor takes over after the last look at the owner, while the older run cleans up."""

    def remote(faults: Faults) -> RemoteLocation:
        return RemoteLocation(faulty_fs(faults), str(tmp_path), "x://y")

    older_job, job = ModelJob(), ModelJob("run-b")
    newer = CheckpointStore(remote(Faults()), "j", run="run-b", now_ms=lambda: 0)

    class Moment(Faults):
        """Once the mark of checkpoint 2 is being written, the other one does all its work."""

        def hit(self) -> None:
            if self.count < 0 and (tmp_path / "j/chk-2/_complete").exists():
                self.count = 0
                newer.take_over()
                newer.load(newer.candidates()[0])
                job.operators[0].put(5, ("newer", 5))
                newer.write(job.cut(changes=True, number=3))

    moment = Moment()
    older = CheckpointStore(remote(moment), "j", run="run-a", now_ms=lambda: 0)
    older.take_over()
    older.write(older_job.cut(changes=False))
    older.complete(1)
    older.write(older_job.cut(changes=True))
    moment.count = -1
    older.complete(2)
    assert moment.count == 0
    assert [(f.number, f.complete) for f in newer.candidates()] == [(3, False), (2, True)]
    assert newer.problems == []


def test_what_is_durable_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pack is on disk before its manifest, each under its final name and with its folder."""
    calls: list[str] = []
    replace = Path.replace

    def synced(handle: int) -> None:
        calls.append("sync " + os.path.relpath(Path(f"/proc/self/fd/{handle}").readlink(), tmp_path / "j"))

    def replaced(self: Path, target: Path) -> Path:
        calls.append(f"rename {target.relative_to(tmp_path / 'j')}")
        return replace(self, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("the names of open files cannot be seen here")
    store, job = CheckpointStore(str(tmp_path), "j", run="a", now_ms=lambda: 0), ModelJob()
    store.take_over()
    store.write(job.cut(changes=False))
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    store.write(job.cut(changes=True))
    assert calls == [
        "sync shared/2-ca9781.pack.tmp",
        "rename shared/2-ca9781.pack",
        "sync shared",
        "sync .",
        "sync chk-2/_metadata.tmp",
        "rename chk-2/_metadata",
        "sync chk-2",
    ]
    calls.clear()
    store.complete(2)
    assert calls == ["sync chk-2/_complete.tmp", "rename chk-2/_complete", "sync chk-2"]
    store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here; failing calls are tested in test_store_faults")
    if done.returncode:
        pytest.skip(f"no file system can be mounted here ({done.stderr.strip()}); see test_store_faults")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    """Writing fails, the job goes on, and when there is room again nothing of it is missing."""
    store, job = CheckpointStore(str(small_disk), "j", run="a", now_ms=lambda: 0), ModelJob()
    store.take_over()
    job.operators[0].put(1, ("first", 1))
    store.write(job.cut(changes=False))
    store.complete(1)
    before = plain(job.whole())
    (small_disk / "filler").write_bytes(bytes(900_000))
    for slot in range(20):
        job.operators[0].put(slot, ("x" * 20_000, slot))
        if slot < 6:
            continue  # so much there is room for
        with pytest.raises(OSError, match="No space left"):
            store.write(job.cut(changes=True))
    assert not list(LocalLocation(small_disk).root.rglob("*.tmp"))
    (found,) = [
        f for f in CheckpointStore(str(small_disk), "j", run="b", now_ms=lambda: 0).candidates() if f.complete
    ]
    assert plain(found.snapshot()) == before
    (small_disk / "filler").unlink()
    store.write(job.cut(changes=True))
    store.complete(job.number)
    assert plain(store.candidates()[0].snapshot()) == plain(job.whole())
    store.close()
