"""The raw format: the bytes of a message as the only column."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest

from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import (
    BIGINT,
    BOOLEAN,
    BYTES,
    DOUBLE,
    FLOAT,
    INT,
    SMALLINT,
    STRING,
    TIMESTAMP,
    TINYINT,
    DataType,
)  # fmt: skip
from streamsql.errors import ConfigError, UnsupportedError
from streamsql.runtime.formats import create_decoder, create_encoder

from .choices import binary, choice, schema

VALUES: list[tuple[dict[str, str], DataType, bytes, Any]] = [
    ({}, BYTES(), b"\x00\xff", b"\x00\xff"),
    ({}, STRING(), "é".encode(), "é"),
    ({"charset": "ISO-8859-1"}, STRING(), b"\xe9", "é"),
    ({"charset": "UTF-16BE"}, STRING(), b"\x00a", "a"),
    ({}, BOOLEAN(), b"\x01", True),
    ({}, BOOLEAN(), b"\x00", False),
    ({}, TINYINT(), b"\xff", -1),
    ({}, SMALLINT(), b"\x01\x02", 258),
    ({"endianness": "little-endian"}, SMALLINT(), b"\x01\x02", 513),
    ({}, INT(), b"\xff\xff\xff\xfe", -2),
    ({}, BIGINT(), b"\x00" * 7 + b"\x05", 5),
    ({}, FLOAT(), b"\x3f\x80\x00\x00", 1.0),
    ({"endianness": "little-endian"}, DOUBLE(), b"\x00" * 6 + b"\xf0\x7f", math.inf),
]


@pytest.mark.parametrize(("options", "kind", "message", "value"), VALUES, ids=lambda v: str(v))
def test_there_and_back(options: dict[str, str], kind: DataType, message: bytes, value: Any) -> None:
    columns = schema(v=kind)
    messages = binary(message, None, message)
    found = create_decoder(choice("raw", options), columns).decode(messages)
    assert not found.errors
    assert found.rows.column(0).to_pylist() == [value, None, value]
    written, index = create_encoder(choice("raw", options), columns).encode(ChangelogBatch(found.rows))
    assert written.equals(messages)
    assert index.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("kind", "message", "text"),
    [
        (INT(), b"abc", "found 3 bytes, expected 4 for INT"),
        (DOUBLE(), b"", "found 0 bytes, expected 8 for DOUBLE"),
        (STRING(), b"a\xff", "found 'a\N{REPLACEMENT CHARACTER}', expected text in utf-8"),
    ],
)
def test_unreadable_messages(kind: DataType, message: bytes, text: str) -> None:
    found = create_decoder(choice("raw"), schema(v=kind)).decode(binary(None, message))
    assert found.errors == {1: text}
    assert found.rows.column(0).to_pylist() == [None]
    assert found.source_index is not None and found.source_index.tolist() == [0]


def test_a_message_of_several_lines() -> None:
    used = choice("raw", {"line-delimiter": "\\n"})
    found = create_decoder(used, schema(v=STRING())).decode(binary("a\nb\n", "c", "\n\nd", None, ""))
    assert found.rows.column(0).to_pylist() == ["a", "b", "c", "", "", "d", None, ""]
    assert found.source_index is not None and found.source_index.tolist() == [0, 0, 1, 2, 2, 2, 3, 4]
    rows = pa.RecordBatch.from_pydict({"v": ["a", None]})
    written, _ = create_encoder(used, schema(v=STRING())).encode(ChangelogBatch(rows))
    assert written.to_pylist() == [b"a\n", None]


def test_what_is_refused() -> None:
    for create in (create_decoder, create_encoder):
        with pytest.raises(UnsupportedError, match="exactly one column, found 2: a, b"):
            create(choice("raw"), schema(a=INT(), b=INT()))
        with pytest.raises(UnsupportedError, match="no form for TIMESTAMP"):
            create(choice("raw"), schema(a=TIMESTAMP(3)))
        with pytest.raises(ConfigError, match="found 'utf-9', expected a character set"):
            create(choice("raw", {"charset": "utf-9"}), schema(a=STRING()))
        with pytest.raises(ConfigError, match="needs a character column"):
            create(choice("raw", {"line-delimiter": "x"}), schema(a=BYTES()))
