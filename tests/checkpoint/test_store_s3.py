"""Checkpoints in an object store: the same promises without renames, folders and locks."""

from __future__ import annotations

import random

import pyarrow.fs as pafs
import pytest

from streamsql.errors import FencedError
from streamsql.runtime.checkpoint.savepoints import load_savepoint, open_savepoint, write_savepoint
from streamsql.runtime.checkpoint.store import CheckpointStore
from tests.checkpoint.model import ModelJob, plain


def store_at(uri: str, run: str) -> CheckpointStore:
    store = CheckpointStore(uri, "orders", run=run, retained=2, now_ms=lambda: 0)
    store.take_over()
    return store


def objects(uri: str) -> set[str]:
    """The keys of all objects of a test."""
    fs, root = pafs.FileSystem.from_uri(uri)
    infos = fs.get_file_info(pafs.FileSelector(root, recursive=True))
    return {i.path.removeprefix(f"{root}/orders/") for i in infos if i.type is pafs.FileType.File}


def test_a_later_run_finds_it_and_nothing_else_is_left(s3_folder: str) -> None:
    store, job, rng = store_at(s3_folder, "run-a"), ModelJob(), random.Random(1)
    assert store.candidates() == [] and store.next_number() == 1
    for n in range(12):
        job.step(rng)
        store.write(job.cut(changes=n > 0))
        store.complete(job.number)
        if n < 11:
            store.compact()
    store = store_at(s3_folder, "run-b")
    found = store.candidates()
    assert [(f.number, f.complete) for f in found] == [(12, True), (11, True)] and store.problems == []
    assert plain(store.load(found[0])) == plain(job.whole())
    assert "secret" not in found[0].path and found[0].path.endswith("/orders/chk-12")
    kept = {f"chk-{n}/{name}" for n in (11, 12) for name in ("_metadata", "_complete")}
    assert objects(s3_folder) == kept | {"owner.json"} | {pack for f in found for pack in f.manifest.packs}


def test_damage_is_passed_over(s3_folder: str) -> None:
    store, job = store_at(s3_folder, "run-a"), ModelJob()
    for n in range(2):
        job.operators[0].put(n, ("x", n))
        store.write(job.cut(changes=n > 0))
        store.complete(job.number)
    pack = next(f"shared/{name}" for name in store.location.names("shared") if name.startswith("2-"))
    data = bytearray(store.location.read(pack))
    data[300] ^= 4
    store.location.put(pack, bytes(data))
    later = store_at(s3_folder, "run-b")
    assert [f.number for f in later.candidates()] == [1]
    assert later.problems[0].endswith("does not match") and "secret" not in later.problems[0]
    store.location.remove(pack)
    assert [f.number for f in later.candidates()] == [1]
    assert later.problems[0].endswith(f"{pack} is missing")


def test_the_newest_run_writes(s3_folder: str) -> None:
    older, job = store_at(s3_folder, "run-a"), ModelJob()
    older.write(job.cut(changes=False))
    newer = store_at(s3_folder, "run-b")
    with pytest.raises(FencedError, match=r"'orders' was taken over by another run \(pid \d+, since"):
        older.write(job.cut(changes=True))
    with pytest.raises(FencedError):
        older.complete(1)
    newer.load(newer.candidates()[0])
    newer.complete(1)
    newer.delete()
    assert objects(s3_folder) == {"owner.json"}


def test_savepoints(s3_folder: str) -> None:
    job = ModelJob()
    job.step(random.Random(1))
    path = write_savepoint(s3_folder, job.whole(), compression=True, token="t")
    assert plain(load_savepoint(path)) == plain(job.whole())
    store = store_at(s3_folder, "run-a")
    store.write(job.cut(changes=False))
    store.complete(1)
    base, _, query = s3_folder.partition("?")
    for text in (f"{base}/orders?{query}", f"{base}/orders/chk-1/_metadata?{query}"):
        assert open_savepoint(text).number == 1
