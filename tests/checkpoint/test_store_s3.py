"""Checkpoints in an object store: the same promises without renames, folders and locks."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from urllib.parse import quote

import pyarrow.fs as pafs
import pytest

from streamsql.errors import FencedError
from streamsql.runtime.checkpoint.savepoints import load_savepoint, open_savepoint, write_savepoint
from streamsql.runtime.checkpoint.store import CheckpointStore
from tests.checkpoint.model import ModelJob, plain

moto_server = pytest.importorskip(
    "moto.server", reason="moto[server] is not installed: pip install -e '.[dev]'"
)

BUCKET = "lake"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A server that speaks S3."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line a request otherwise
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    fs = pafs.S3FileSystem(
        access_key="k",
        secret_key="secret",
        region="us-east-1",
        scheme="http",
        endpoint_override=f"{host}:{port}",
        allow_bucket_creation=True,
    )
    fs.create_dir(BUCKET)
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def uri(endpoint: str, request: pytest.FixtureRequest) -> str:
    folder = request.node.name
    return f"s3://k:secret@{BUCKET}/{folder}?scheme=http&region=us-east-1&endpoint_override={quote(endpoint)}"


def store_at(uri: str, run: str) -> CheckpointStore:
    store = CheckpointStore(uri, "orders", run=run, retained=2, now_ms=lambda: 0)
    store.take_over()
    return store


def objects(uri: str) -> set[str]:
    """The keys of all objects of a test."""
    fs, root = pafs.FileSystem.from_uri(uri)
    infos = fs.get_file_info(pafs.FileSelector(root, recursive=True))
    return {i.path.removeprefix(f"{root}/orders/") for i in infos if i.type is pafs.FileType.File}


def test_a_later_run_finds_it_and_nothing_else_is_left(uri: str) -> None:
    store, job, rng = store_at(uri, "run-a"), ModelJob(), random.Random(1)
    assert store.candidates() == [] and store.next_number() == 1
    for n in range(12):
        job.step(rng)
        store.write(job.cut(changes=n > 0))
        store.complete(job.number)
        if n < 11:
            store.compact()
    store = store_at(uri, "run-b")
    found = store.candidates()
    assert [(f.number, f.complete) for f in found] == [(12, True), (11, True)] and store.problems == []
    assert plain(store.load(found[0])) == plain(job.whole())
    assert "secret" not in found[0].path and found[0].path.endswith("/orders/chk-12")
    kept = {f"chk-{n}/{name}" for n in (11, 12) for name in ("_metadata", "_complete")}
    assert objects(uri) == kept | {"owner.json"} | {pack for f in found for pack in f.manifest.packs}


def test_damage_is_passed_over(uri: str) -> None:
    store, job = store_at(uri, "run-a"), ModelJob()
    for n in range(2):
        job.operators[0].put(n, ("x", n))
        store.write(job.cut(changes=n > 0))
        store.complete(job.number)
    pack = next(f"shared/{name}" for name in store.location.names("shared") if name.startswith("2-"))
    data = bytearray(store.location.read(pack))
    data[300] ^= 4
    store.location.put(pack, bytes(data))
    later = store_at(uri, "run-b")
    assert [f.number for f in later.candidates()] == [1]
    assert later.problems[0].endswith("does not match") and "secret" not in later.problems[0]
    store.location.remove(pack)
    assert [f.number for f in later.candidates()] == [1]
    assert later.problems[0].endswith(f"{pack} is missing")


def test_the_newest_run_writes(uri: str) -> None:
    older, job = store_at(uri, "run-a"), ModelJob()
    older.write(job.cut(changes=False))
    newer = store_at(uri, "run-b")
    with pytest.raises(FencedError, match=r"'orders' was taken over by another run \(pid \d+, since"):
        older.write(job.cut(changes=True))
    with pytest.raises(FencedError):
        older.complete(1)
    newer.load(newer.candidates()[0])
    newer.complete(1)
    newer.delete()
    assert objects(uri) == {"owner.json"}


def test_savepoints(uri: str) -> None:
    job = ModelJob()
    job.step(random.Random(1))
    path = write_savepoint(uri, job.whole(), compression=True, token="t")
    assert plain(load_savepoint(path)) == plain(job.whole())
    store = store_at(uri, "run-a")
    store.write(job.cut(changes=False))
    store.complete(1)
    base, _, query = uri.partition("?")
    for text in (f"{base}/orders?{query}", f"{base}/orders/chk-1/_metadata?{query}"):
        assert open_savepoint(text).number == 1
