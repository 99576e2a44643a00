"""What may be given as a savepoint to begin with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from streamsql.errors import StateError
from streamsql.runtime.checkpoint.manifest import CHECKPOINT, MANIFEST, MARKER, encode
from streamsql.runtime.checkpoint.savepoints import load_savepoint, open_savepoint
from streamsql.runtime.checkpoint.snapshot import JobSnapshot, SinkSnapshot
from streamsql.runtime.connectors.base import Prepared

PLAIN = JobSnapshot(7, "run", "job", "j", 0, (), (), (SinkSnapshot("f", "Sink"),))
PREPARED = replace(PLAIN, sinks=(SinkSnapshot("f", "Sink", Prepared({"files": ["part-1"]})),))
TRANSACTIONAL = replace(PLAIN, transaction={"id": "j"})


def checkpoint(folder: Path, snapshot: JobSnapshot) -> tuple[Path, str]:
    """The folder of a checkpoint that is written and not marked as complete, and its checksum."""
    (folder / "chk-7").mkdir()
    data, checksum = encode(snapshot, CHECKPOINT, {}, {})
    (folder / "chk-7" / MANIFEST).write_bytes(data)
    return folder / "chk-7", checksum


@pytest.mark.parametrize("snapshot", [PREPARED, TRANSACTIONAL])
def test_output_that_may_not_be_committed_is_no_beginning(tmp_path: Path, snapshot: JobSnapshot) -> None:
    folder, checksum = checkpoint(tmp_path, snapshot)
    with pytest.raises(StateError, match="nothing says that it was committed"):
        load_savepoint(str(folder))
    assert not open_savepoint(str(folder)).complete  # it may be looked into
    (folder / MARKER).write_text(json.dumps({"checksum": checksum}))
    assert load_savepoint(str(folder)).number == 7


def test_without_output_it_is_one(tmp_path: Path) -> None:
    folder, _ = checkpoint(tmp_path, PLAIN)
    assert load_savepoint(str(folder)).number == 7


@pytest.mark.parametrize("path", ["", " "])
def test_an_empty_path_is_not_the_working_directory(path: str) -> None:
    with pytest.raises(StateError, match="the path of a savepoint is empty"):
        open_savepoint(path)


def test_a_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StateError, match="there is no savepoint and no complete checkpoint"):
        open_savepoint(str(tmp_path / "file"))
