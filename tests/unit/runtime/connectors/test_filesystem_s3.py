"""Files in an object store: there a rename is a copy and a deletion, and directories are names."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from urllib.parse import quote

import pyarrow.fs as pafs
import pytest

from streamsql.catalog.table import TableDefinition
from streamsql.datatypes import BIGINT
from streamsql.runtime.connectors import create_source
from streamsql.runtime.connectors.filesystem_sink import FilesystemSink

from .contexts import batch_of, read_all, rows_of, sink_context, source_context, table

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
def definition(endpoint: str, request: pytest.FixtureRequest) -> TableDefinition:
    query = f"scheme=http&region=us-east-1&endpoint_override={quote(endpoint)}"
    uri = f"s3://k:secret@{BUCKET}/{request.node.name}?{query}"
    options = {
        "connector": "filesystem",
        "path": uri,
        "format": "json",
        "sink.partition-commit.policy.kind": "success-file",
    }
    return table({"id": BIGINT(), "part": BIGINT()}, options, partition_keys=["part"])


def make_sink(definition: TableDefinition) -> FilesystemSink:
    return FilesystemSink(sink_context(definition, checkpointed=True, writer="job-0a1b2c3d"), timer=False)


def objects(definition: TableDefinition) -> list[str]:
    fs, root = pafs.FileSystem.from_uri(definition.options["path"])
    infos = fs.get_file_info(pafs.FileSelector(root, recursive=True))
    return sorted(i.base_name for i in infos if i.type is pafs.FileType.File)


def test_checkpoints_show_objects_once(definition: TableDefinition) -> None:
    sink = make_sink(definition)
    sink.recover(0, None)
    sink.start()
    sink.write(batch_of(definition, (1, 0), (2, 1)))
    sink.flush()
    first = sink.prepare(1)
    sink.commit(1, first)
    sink.commit(1, first)
    sink.write(batch_of(definition, (3, 0)))
    second = sink.prepare(2)
    sink.write(batch_of(definition, (4, 1)))
    sink.prepare(3)
    again = make_sink(definition)  # the process has died
    for _ in range(2):
        again.recover(2, second)
    again.start()
    again.write(batch_of(definition, (4, 1)))
    again.commit(3, again.prepare(3))
    again.close(finished=True)
    found = objects(definition)
    assert not [n for n in found if n.startswith(".")] and found.count("_SUCCESS") == 2
    rows = rows_of(read_all(create_source(source_context(definition))))
    assert sorted((r["id"], r["part"]) for r in rows) == [(1, 0), (2, 1), (3, 0), (4, 1)]
