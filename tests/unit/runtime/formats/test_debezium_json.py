"""The debezium-json format: events become changes, changes become events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import INT, MAP, STRING
from streamsql.errors import UnsupportedError, ValidationError
from streamsql.runtime.formats import create_decoder, create_encoder
from streamsql.runtime.formats.base import Decoded

from .choices import binary, choice, schema

COLUMNS = schema(id=INT(), name=STRING())
SOURCE = {
    "version": "2.5",
    "db": "shop",
    "schema": "public",
    "table": "items",
    "ts_ms": 1700000000123,
    "snapshot": None,
}


def event(op: str | None, before: Any = None, after: Any = None, **more: Any) -> str:
    return json.dumps({"before": before, "after": after, "op": op, **more})


def row(i: int, name: str | None = "a") -> dict[str, Any]:
    return {"id": i, "name": name}


def decode(*messages: bytes | str | None, metadata: tuple[str, ...] = (), **options: str) -> Decoded:
    used = choice("debezium-json", {k.replace("_", "-"): v for k, v in options.items()})
    decoder = create_decoder(used, COLUMNS, metadata=metadata)
    try:
        return decoder.decode(binary(*messages))
    finally:
        decoder.close()


def changes(found: Decoded) -> list[tuple[Any, ...]]:
    assert found.weights is not None
    return [(int(w), *r.values()) for w, r in zip(found.weights, found.rows.to_pylist(), strict=True)]


@pytest.mark.parametrize("repeat", [1, 400])  # row by row, and in columns
def test_events_become_changes(repeat: int) -> None:
    messages = [
        event("c", None, row(1)),
        event("u", row(1), row(1, "b")),
        event("r", None, row(2, None)),
        None,
        event("d", row(1, "b")),
        "",
    ]
    found = decode(*(messages * repeat))
    assert changes(found) == [(1, 1, "a"), (-1, 1, "a"), (1, 1, "b"), (1, 2, None), (-1, 1, "b")] * repeat
    assert not found.errors
    assert found.source_index is not None
    assert found.source_index.tolist() == [i * 6 + at for i in range(repeat) for at in (0, 1, 1, 2, 4)]


@pytest.mark.parametrize("repeat", [1, 1000])
@pytest.mark.parametrize(
    ("message", "text"),
    [
        (event("x", None, row(1)), "found op 'x', expected 'c', 'r', 'u' or 'd'"),
        (event(None, None, row(1)), "found op None, expected 'c', 'r', 'u' or 'd'"),
        (event("u", None, row(1)), "found op 'u' without a row in 'before'"),
        (event("d"), "found op 'd' without a row in 'before'"),
        (event("c"), "found op 'c' without a row in 'after'"),
        (event("c", None, {"id": "x"}), "field 'after.id': found \"x\", expected INT"),
        ("{", "expected JSON"),
    ],
)
def test_unreadable_events(message: str, text: str, repeat: int) -> None:
    found = decode(event("c", None, row(1)), message, *[event("d", row(i)) for i in range(repeat)])
    assert list(found.errors) == [1] and text in found.errors[1]
    assert changes(found)[:2] == [(1, 1, "a"), (-1, 0, "a")]
    ignored = decode(message, event("d", row(1)), ignore_parse_errors="true")
    assert not ignored.errors
    assert changes(ignored)[-1] == (-1, 1, "a")


@pytest.mark.parametrize("repeat", [1, 1000])
def test_schema_and_metadata(repeat: int) -> None:
    keys = (
        "schema",
        "ingestion-timestamp",
        "source.timestamp",
        "source.database",
        "source.schema",
        "source.table",
        "source.properties",
    )
    payload = json.loads(event("u", row(1), row(2), source=SOURCE, ts_ms=1700000001000))
    message = json.dumps({"schema": {"type": "struct"}, "payload": payload})
    found = decode(*[message] * repeat, metadata=keys, schema_include="true")
    assert [r["id"] for r in found.rows.to_pylist()] == [1, 2] * repeat
    assert list(found.rows.to_pylist()[-1].values())[2:] == [
        '{"type":"struct"}',
        datetime.fromtimestamp(1700000001, UTC),
        datetime.fromtimestamp(1700000000, UTC).replace(microsecond=123_000),
        "shop",
        "public",
        "items",
        [
            ("version", "2.5"),
            ("db", "shop"),
            ("schema", "public"),
            ("table", "items"),
            ("ts_ms", "1700000000123"),
            ("snapshot", None),
        ],
    ]


def test_metadata_that_is_missing_is_null() -> None:
    found = decode(
        event("c", None, row(1)), metadata=("source.timestamp", "source.table", "ingestion-timestamp")
    )
    assert list(found.rows.to_pylist()[0].values())[2:] == [None, None, None]
    with pytest.raises(ValidationError, match=r"no metadata key 'source.tabel'"):
        decode(metadata=("source.tabel",))


def test_changes_become_events() -> None:
    rows = pa.RecordBatch.from_pylist([row(1), row(1, "b"), row(2, None)], schema=COLUMNS.arrow)
    batch = ChangelogBatch(rows, np.array([-1, 2, 1]))
    messages, index = create_encoder(choice("debezium-json"), COLUMNS).encode(batch)
    assert messages.to_pylist() == [
        b'{"before":{"id":1,"name":"a"},"after":null,"op":"d"}',
        b'{"before":null,"after":{"id":1,"name":"b"},"op":"c"}',
        b'{"before":null,"after":{"id":1,"name":"b"},"op":"c"}',
        b'{"before":null,"after":{"id":2,"name":null},"op":"c"}',
    ]
    assert index.tolist() == [0, 1, 1, 2]
    assert changes(decode(*messages.to_pylist())) == [(-1, 1, "a"), (1, 1, "b"), (1, 1, "b"), (1, 2, None)]
    short, _ = create_encoder(choice("debezium-json", {"encode.ignore-null-fields": "true"}), COLUMNS).encode(
        batch
    )
    assert short.to_pylist()[0] == b'{"before":{"id":1,"name":"a"},"op":"d"}'
    assert short.to_pylist()[3] == b'{"after":{"id":2},"op":"c"}'


def test_what_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"'schema-include'"):
        create_encoder(choice("debezium-json", {"schema-include": "true"}), COLUMNS)
    with pytest.raises(UnsupportedError, match="only STRING as the key"):
        create_decoder(choice("debezium-json"), schema(m=MAP(INT(), INT())))
