"""Where an attempt begins, and which of two copies of a job goes on."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest

from streamsql.errors import ConfigError, ConnectorError, FencedError, JobError
from streamsql.runtime.checkpoint import recovery as recovery_module
from streamsql.runtime.checkpoint.location import LocalLocation, Location, RemoteLocation
from streamsql.runtime.checkpoint.options import CheckpointOptions
from streamsql.runtime.checkpoint.recovery import CheckpointSetup, Recovery, recover
from streamsql.runtime.checkpoint.store import CheckpointStore
from tests.checkpoint.faulty import Faults, FaultyHandler, faulty_fs
from tests.checkpoint.model import ModelJob, plain


def began(folder: Path | str, *, attempt: int = 1, copy: str = "", **options: Any) -> Recovery:
    """An attempt at the job named j; ``options``: of its setup."""
    return recover(
        CheckpointSetup(options=CheckpointOptions(interval_ms=100), **options),
        None,
        job_id=ModelJob().whole().job_id,
        job_name="j",
        attempt=attempt,
        expected=None,
        directory=str(folder),
        now_ms=lambda: 0,
        copy=copy,
    )


def one_checkpoint(folder: Path) -> None:
    recovery, job = began(folder), ModelJob()
    assert recovery.store is not None
    job.operators[0].put(1, ("x", 1))
    recovery.store.write(job.cut(changes=False))
    recovery.store.complete(1)
    recovery.close()


@pytest.mark.parametrize("locked", [True, False])
def test_who_was_started_later_stays(tmp_path: Path, locked: bool) -> None:
    """A copy that waits to begin again does not take the job back, whether the other one still runs or not."""
    began(tmp_path, copy="older").close()
    newer = began(tmp_path, copy="newer")
    if not locked:
        newer.close()
    with pytest.raises(FencedError, match=r"'j' was taken over by another run \(pid \d+, since"):
        began(tmp_path, attempt=2, copy="older")
    if locked:
        with pytest.raises(JobError, match="already running"):
            began(tmp_path, copy="third")
    newer.close()


def test_a_copy_begins_again(tmp_path: Path) -> None:
    """Also after an attempt that came to nothing, and where the file that names it was damaged or removed."""
    for attempt in (1, 2, 3):
        began(tmp_path, attempt=attempt, copy="a").close()
    (tmp_path / "j/owner.json").write_text("")
    began(tmp_path, attempt=4, copy="a").close()
    (tmp_path / "j/owner.json").unlink()
    began(tmp_path, attempt=5, copy="a").close()


def test_between_machines_who_was_started_later_stays(tmp_path: Path) -> None:
    def begun(copy: str, run: str, *, again: bool = False) -> CheckpointStore:
        location = RemoteLocation(pafs.LocalFileSystem(), str(tmp_path), "x://y")
        store = CheckpointStore(location, "j", run=run, copy=copy, now_ms=lambda: 0)
        store.take_over(again=again)
        return store

    begun("older", "1").close()
    begun("older", "2", again=True).close()
    newer, job = begun("newer", "3"), ModelJob("3")
    with pytest.raises(FencedError):
        begun("older", "4", again=True)
    newer.write(job.cut(changes=False))
    newer.complete(1)


def test_a_run_that_lost_the_job_writes_in_no_other_place(tmp_path: Path) -> None:
    """It stood still between its last look at the owner and the manifest, until the later run had written its own."""
    job, others = ModelJob("run-a"), ModelJob("run-b")

    class Late(FaultyHandler):
        def create_dir(self, path: str, recursive: bool) -> None:
            if path.endswith("chk-2") and not others.number:
                newer.take_over()
                newer.load(newer.candidates()[0])
                others.operators[0].put(5, ("newer", 5))
                others.number = newer.next_number() - 1
                newer.write(others.cut(changes=True))
            super().create_dir(path, recursive)

    older, newer = (
        CheckpointStore(
            RemoteLocation(pafs.PyFileSystem(handler), str(tmp_path), "x://y"),
            "j",
            run=run,
            now_ms=lambda: 0,
        )
        for handler, run in ((Late(Faults()), "run-a"), (FaultyHandler(Faults()), "run-b"))
    )
    older.take_over()
    older.write(job.cut(changes=False))
    older.complete(1)
    older.write(job.cut(changes=True))
    assert others.number
    with pytest.raises(FencedError):
        older.complete(2)
    newer.complete(others.number)
    assert plain(newer.candidates()[0].snapshot()) == plain(others.whole())
    later = CheckpointStore(str(tmp_path), "j", run="run-c", now_ms=lambda: 0)
    assert [found.run for found in later.candidates()] == ["run-b"]


def test_who_begins_afresh_reads_no_old_state(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is damaged there is nobody's trouble; numbers go on, so that nothing is mistaken for the old."""
    one_checkpoint(tmp_path)
    (pack,) = tmp_path.glob("j/shared/*.pack")
    data = pack.read_bytes()
    pack.write_bytes(bytes(len(data)))
    with caplog.at_level(logging.WARNING):
        afresh = began(tmp_path)
    assert (afresh.saved, afresh.first, caplog.messages) == (None, 2, [])
    afresh.close()
    with caplog.at_level(logging.WARNING):
        began(tmp_path, resume=True).close()
    assert "is passed over" in caplog.text
    pack.write_bytes(data)
    resumed = began(tmp_path, resume=True)
    assert resumed.saved is not None and (resumed.saved.number, resumed.first) == (1, 2)
    resumed.close()


def test_a_store_that_could_be_opened_before_is_away(tmp_path: Path) -> None:
    """Some file systems ask for their region when they are opened; the next attempt may find it."""
    for attempt, error in ((1, ConfigError), (2, ConnectorError)):
        with pytest.raises(error, match=r"'execution\.checkpointing\.dir' = 'nowhere://x' cannot be opened"):
            began("nowhere://x", attempt=attempt)


def test_a_savepoint_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(path: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(recovery_module, "load_savepoint", unreadable)
    with pytest.raises(
        ConnectorError, match=r"the savepoint /saved/one cannot be read: .*Input/output"
    ) as raised:
        began(tmp_path, path="/saved/one")
    assert raised.value.hint == "see 'execution.state-recovery.path'"


def test_a_disk_that_is_full_when_the_job_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no defect of the program, and the next attempt finds what this one has found."""

    def full(self: LocalLocation, path: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    one_checkpoint(tmp_path)
    (tmp_path / "j/chk-1/_complete").unlink()
    resumed = began(tmp_path, resume=True)
    with monkeypatch.context() as patch:
        patch.setattr(LocalLocation, "create", full)
        with pytest.raises(ConnectorError, match=r"checkpoint 1 cannot be marked complete: .*No space left"):
            resumed.settled()
    resumed.close()
    again = began(tmp_path, attempt=2)
    again.settled()
    assert again.found is not None and (tmp_path / "j/chk-1/_complete").exists()
    again.close()


def places(folder: Path) -> list[Callable[[Faults], Location]]:
    return [
        lambda faults: RemoteLocation(faulty_fs(faults), str(folder / "remote"), "x://y"),
        lambda faults: LocalLocation(folder / "local"),
    ]


def test_what_was_fetched_is_not_kept(tmp_path: Path) -> None:
    """A remote store's bytes stay in memory only while they are looked at."""
    for n, place in enumerate(places(tmp_path)):
        store, job = CheckpointStore(place(Faults()), "j", run="run-a", now_ms=lambda: 0), ModelJob()
        store.take_over()
        for number in range(1, 6):
            job.operators[0].put(number, ("x", number))
            store.write(job.cut(changes=number > 1))
            store.complete(number)
        store.compact()
        assert not store._reader._kept
        store.candidates()
        assert bool(store._reader._kept) == (n == 0)
        store.release()
        assert not store._reader._kept
        store.close()


def test_killed_while_it_deletes_its_checkpoints(tmp_path: Path) -> None:
    """The last one goes last: nobody resumes from an earlier one, whose output would then be repeated."""
    left: set[tuple[int, ...]] = set()
    for n in range(1, 40):
        faults, root = Faults(), tmp_path / str(n)
        location = RemoteLocation(faulty_fs(faults), str(root), "x://y")
        store, job = CheckpointStore(location, "j", run="run-a", retained=3, now_ms=lambda: 0), ModelJob()
        store.take_over()
        for number in range(1, 4):
            store.write(job.cut(changes=number > 1))
            store.complete(number)
        faults.count, faults.when = 0, lambda count, n=n: count >= n  # type: ignore[misc]
        try:
            store.delete()
        except OSError:
            found = CheckpointStore(LocalLocation(root), "j", run="b", now_ms=lambda: 0).candidates()
            left.add(tuple(one.number for one in found))
            continue
        break
    assert left == {(3, 2, 1), (3, 2), (3,), ()}
