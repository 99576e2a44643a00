"""A store that fails at any moment: nothing is lost, nothing is mistaken, and the job goes on."""

from __future__ import annotations

import errno
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from streamsql.runtime.checkpoint.location import LocalLocation, Location, RemoteLocation
from streamsql.runtime.checkpoint.savepoints import load_savepoint, write_savepoint
from streamsql.runtime.checkpoint.store import CheckpointStore
from tests.checkpoint.faulty import Faults, FaultyFile, faulty_fs
from tests.checkpoint.model import ModelJob, plain

CHECKPOINTS = 5
"""As many as merging segments needs, and one that refers to what was merged."""
Place = Callable[[Faults], Location]


@dataclass
class Driven:
    """A job that checkpoints whatever happens, as the coordinator does; and what each checkpoint must hold."""

    job: ModelJob = field(default_factory=ModelJob)
    expected: dict[int, tuple[object, ...]] = field(default_factory=dict[int, tuple[object, ...]])
    written: int = 0
    completed: int = 0

    def checkpoint(self, store: CheckpointStore, rng: random.Random) -> None:
        """One attempt. Raises OSError where the store does."""
        self.job.step(rng)
        snapshot = self.job.cut(changes=not store.wants_full)
        self.expected[snapshot.number] = plain(self.job.whole())
        store.write(snapshot)
        self.written = snapshot.number
        if snapshot.number % 4 == 3:
            store.discard(snapshot.number)
            return
        store.complete(snapshot.number)
        self.completed = snapshot.number

    def run(self, store: CheckpointStore, *, stop: bool) -> None:
        """Some checkpoints; with ``stop`` it ends at the first that fails."""
        rng = random.Random(7)
        for _ in range(CHECKPOINTS):
            try:
                self.checkpoint(store, rng)
                store.compact()
            except OSError:
                if stop:
                    return


def store_at(location: Location, run: str) -> CheckpointStore:
    return CheckpointStore(location, "orders", run=run, retained=2, now_ms=lambda: 0)


def driven(location: Location, *, stop: bool) -> Driven:
    """Runs over a store that may fail; the process then ends without another word."""
    made = Driven()
    store = store_at(location, "run-a")
    try:
        store.take_over()
    except OSError:
        if stop:
            return made
        store.take_over()
    made.run(store, stop=stop)
    store.close()
    return made


def check_recovered(root: Path, made: Driven, place: Place) -> None:
    """A later run finds the latest of what was promised, and it is what it was; then it goes on."""
    store = store_at(place(Faults()), "run-b")
    store.take_over()
    found = store.candidates()
    assert all(one.number in made.expected for one in found)
    for one in found:
        assert plain(store.load(one)) == made.expected[one.number], one.number
    newest = max((one.number for one in found), default=0)
    assert newest >= made.completed
    complete = [one.number for one in found if one.complete]
    assert not made.completed or complete[0] >= made.completed
    job = ModelJob("run-b")
    job.number = store.next_number() - 1
    for n in range(2):  # the last removes what was left over
        job.step(random.Random(n))
        store.write(job.cut(changes=n > 0))
        store.complete(job.number)
    assert plain(store.candidates()[0].snapshot()) == plain(job.whole())
    needed = {pack for one in store.candidates() for pack in one.manifest.packs}
    assert {f"shared/{p.name}" for p in (root / "orders/shared").iterdir()} == needed
    store.close()


def remote(root: Path) -> Place:
    return lambda faults: RemoteLocation(faulty_fs(faults), str(root), "faulty://store")


def local(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A folder of this machine, where each call of the operating system may fail."""
    current = Faults()
    plain_open = Path.open

    def guarded(name: str) -> None:
        original = getattr(Path, name)

        def call(self: Path, *args: Any, **kwargs: Any) -> Any:
            if str(self).startswith(str(root)):
                current_faults[0].hit()
            return original(self, *args, **kwargs)

        monkeypatch.setattr(Path, name, call)

    def opened(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if str(self).startswith(str(root)) and mode == "wb" and kwargs.get("buffering") != 0:
            current_faults[0].hit()
            return FaultyFile(str(self), current_faults[0])
        return plain_open(self, mode, *args, **kwargs)

    current_faults = [current]
    for name in ("replace", "unlink", "mkdir", "iterdir", "read_bytes"):
        guarded(name)
    monkeypatch.setattr(Path, "open", opened)
    monkeypatch.setattr(os, "fsync", lambda handle: current_faults[0].hit())

    def place(faults: Faults) -> Location:
        current_faults[0] = faults
        return LocalLocation(root)

    return place


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where the machine has such a place: thousands of files come and go."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as name:
        yield Path(name)


@pytest.fixture(params=["remote", "local"])
def place(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return remote(folder) if request.param == "remote" else local(folder, monkeypatch)


def fresh(place: Place, root: Path) -> Place:
    """The same, after what an earlier try left is removed."""
    place(Faults())
    LocalLocation(root).remove_folder("orders")
    return place


def calls_of(place: Place, root: Path) -> int:
    counting = Faults()
    made = driven(fresh(place, root)(counting), stop=True)
    place(Faults())
    assert made.completed == CHECKPOINTS
    (newest, *_) = store_at(LocalLocation(root), "run-a").candidates()
    assert any("c-" in pack for pack in newest.manifest.packs)
    check_recovered(root, made, place)
    return counting.count


def some_of(total: int, every: int) -> list[int]:
    """Calls by chance: what one checkpoint does the next does again, so steps of one length would always miss some."""
    return random.Random(total).sample(range(1, total + 1), total // every)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_crash_where_a_call_fails(folder: Path, place: Place, code: int) -> None:
    """It fails, and the process is gone."""
    total = calls_of(place, folder)
    assert total > 100
    for n in some_of(total, 2 if code == errno.ENOSPC else 7):
        faults = Faults(lambda count, n=n: count >= n, code)  # type: ignore[misc]
        made = driven(fresh(place, folder)(faults), stop=True)
        assert faults.failed
        check_recovered(folder, made, place)


def test_a_call_fails_and_the_job_goes_on(folder: Path, place: Place) -> None:
    """Once, and all later checkpoints hold what it was about."""
    total = calls_of(place, folder)
    for n in some_of(total, 2):
        faults = Faults(lambda count, n=n: count == n)  # type: ignore[misc]
        made = driven(fresh(place, folder)(faults), stop=False)
        assert faults.failed == 1 and made.completed >= CHECKPOINTS - 1
        check_recovered(folder, made, place)


def test_a_disk_that_is_full_for_a_while(folder: Path, place: Place) -> None:
    for n in range(1, 120, 7):
        faults = Faults(lambda count, n=n: n <= count < n + 40)  # type: ignore[misc]
        try:
            made = driven(fresh(place, folder)(faults), stop=False)
        except OSError:
            continue  # it could not even begin
        check_recovered(folder, made, place)


def test_a_savepoint_that_fails_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ModelJob()
    job.step(random.Random(1))
    for n in range(1, 100):
        faults = Faults(lambda count, n=n: count == n)  # type: ignore[misc]
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda handle: None)
            local(folder, patch)(faults)
            try:
                path = write_savepoint(str(folder), job.whole())
            except OSError:
                assert not list(folder.iterdir())
                continue
        assert plain(load_savepoint(path)) == plain(job.whole())
        assert n > 8
        return
    raise AssertionError("never came to an end")
