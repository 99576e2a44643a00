"""The table of unreadable records: its columns, and what checkpoints make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamsql.catalog.connectors import table_options
from streamsql.datatypes import BYTES, INT, STRING, TIMESTAMP_LTZ, DataType
from streamsql.errors import ConfigError, ValidationError
from streamsql.runtime.connectors import create_source
from streamsql.runtime.connectors.base import BadRecord
from streamsql.runtime.error_log import ErrorLog

from .connectors.contexts import read_all, rows_of, source_context, table
from .connectors.file_tables import files, names, visible

COLUMNS: dict[str, DataType] = {
    "error_time": TIMESTAMP_LTZ(3),
    "origin": STRING(),
    "message": STRING(),
    "record": BYTES(),
}


def log(definition: Any, writer: str = "") -> ErrorLog:
    return ErrorLog(definition, table_options(definition), lambda: 0, "UTC", "job", writer)


def record(n: int) -> BadRecord:
    return BadRecord(f"file a, record {n}", "oops", b"{")


def test_a_checkpoint_shows_what_was_logged_and_a_later_run_deletes_the_rest(tmp_path: Path) -> None:
    definition = files(tmp_path, columns=COLUMNS)
    first = log(definition, "job-1")
    first.write([record(1), record(2)])
    assert first.settle(1) and visible(tmp_path) == []
    first.prepare(1)
    assert len(visible(tmp_path)) == 1
    first.write([record(3)])
    assert len(names(tmp_path)) == 2  # and here the process dies
    again = log(definition, "job-1")
    assert names(tmp_path) == visible(tmp_path)
    again.write([record(3)])
    again.close()
    found = rows_of(read_all(create_source(source_context(definition))))
    assert sorted(r["origin"][-1] for r in found) == ["1", "2", "3"]
    assert {r["record"] for r in found} == {b"{"}


def test_targets_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="column 'why' INT, which is not one it can fill"):
        log(files(tmp_path, columns={"origin": STRING(), "why": INT()}))


def test_an_exactly_once_target_is_refused() -> None:
    kafka = {
        "connector": "kafka",
        "topic": "t",
        "properties.bootstrap.servers": "b:9092",
        "format": "json",
        "sink.delivery-guarantee": "exactly-once",
        "sink.transactional-id-prefix": "p",
    }
    with pytest.raises(ConfigError, match="is exactly-once, and unreadable records are logged at-least-once"):
        log(table(COLUMNS, kafka))
