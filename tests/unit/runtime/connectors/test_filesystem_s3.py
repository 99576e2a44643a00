"""Files in an object store: there a rename is a copy and a deletion, and directories are names."""

from __future__ import annotations

import pyarrow.fs as pafs
import pytest

from streamsql.catalog.table import TableDefinition
from streamsql.datatypes import BIGINT
from streamsql.runtime.connectors import create_source
from streamsql.runtime.connectors.filesystem_sink import FilesystemSink

from .contexts import batch_of, read_all, rows_of, sink_context, source_context, table


@pytest.fixture
def definition(s3_folder: str) -> TableDefinition:
    options = {
        "connector": "filesystem",
        "path": s3_folder,
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
