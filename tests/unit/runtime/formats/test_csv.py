"""The csv format: fields, quotes, NULLs, every option, and lines that cannot be read."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import (
    ARRAY,
    BIGINT,
    BOOLEAN,
    BYTES,
    DATE,
    DECIMAL,
    DOUBLE,
    INT,
    INTERVAL_SECOND,
    MAP,
    ROW,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_LTZ,
    DataType,
)  # fmt: skip
from streamsql.errors import ConfigError, DataError, UnsupportedError
from streamsql.runtime.formats import create_decoder, create_encoder
from streamsql.runtime.formats.base import Decoded
from streamsql.schema import Schema

from .choices import binary, choice, schema

TWO = schema(a=STRING(), b=STRING())


def decode(columns: Schema, *lines: bytes | str | None, **options: str) -> Decoded:
    given_options = {k.replace("_", "-"): v for k, v in options.items()}
    return create_decoder(choice("csv", given_options), columns).decode(binary(*lines))


def encode(columns: Schema, *rows: tuple[Any, ...], **options: str) -> list[str]:
    given_options = {k.replace("_", "-"): v for k, v in options.items()}
    arrays = [pa.array(c, t.arrow) for c, t in zip(zip(*rows, strict=True), columns.types, strict=True)]
    batch = ChangelogBatch(pa.RecordBatch.from_arrays(arrays, schema=columns.arrow))
    messages, index = create_encoder(choice("csv", given_options), columns).encode(batch)
    assert index.tolist() == list(range(len(rows)))
    return [m.decode() for m in messages.to_pylist()]


def values(found: Decoded) -> list[tuple[Any, ...]]:
    return [tuple(r.values()) for r in found.rows.to_pylist()]


LINES: list[tuple[dict[str, str], str, tuple[Any, Any]]] = [
    ({}, "x,y", ("x", "y")),
    ({}, ",", ("", "")),
    ({}, '"x","y"', ("x", "y")),
    ({}, '"x,""1""",y', ('x,"1"', "y")),
    ({}, '"line\nbreak",y', ("line\nbreak", "y")),
    ({}, 'x"y,z', ('x"y', "z")),
    ({}, " x , y ", (" x ", " y ")),
    ({}, "é,\N{BANANA}", ("é", "\N{BANANA}")),
    ({}, "x", ("x", None)),
    ({}, "x,y,", ("x", "y")),
    ({"field_delimiter": ";"}, "x;y,z", ("x", "y,z")),
    ({"field_delimiter": "\\t"}, "x\ty", ("x", "y")),
    ({"field_delimiter": "\\u0001"}, "x\x01y", ("x", "y")),
    ({"quote_character": "'"}, "'x,1','y''s'", ("x,1", "y's")),
    ({"disable_quote_character": "true"}, '"x","y"', ('"x"', '"y"')),
    ({"escape_character": "\\"}, "x\\,1,\\\\y", ("x,1", "\\y")),
    ({"escape_character": "\\"}, '"x\\"1",y', ('x"1', "y")),
    ({"null_literal": "n/a"}, 'n/a,"n/a"', (None, None)),
    ({"null_literal": ""}, "x,", ("x", None)),
    ({"empty_string_as_null": "true"}, 'x,""', ("x", None)),
    ({"trim_spaces": "true"}, ' x , " y " ', ("x", " y ")),
    ({"trim_spaces": "true"}, " x , y ", ("x", "y")),
    ({"ignore_trailing_unmappable": "true"}, "x,y,z,w", ("x", "y")),
    ({"allow_comments": "true"}, "x,#y", ("x", "#y")),
]


@pytest.mark.parametrize(("options", "line", "row"), LINES, ids=lambda v: str(v))
def test_reads_a_line(options: dict[str, str], line: str, row: tuple[Any, Any]) -> None:
    found = decode(TWO, line, **options)
    assert not found.errors
    assert values(found) == [row]


TYPES: list[tuple[DataType, str, Any]] = [
    (BOOLEAN(), "true", True),
    (INT(), " 7", 7),
    (BIGINT(), "-9223372036854775808", -9223372036854775808),
    (DOUBLE(), "1.5E3", 1500.0),
    (DECIMAL(10, 2), "1.005", Decimal("1.01")),
    (DECIMAL(10, 2), "1E+5", Decimal("100000.00")),
    (BYTES(), "AP8=", b"\x00\xff"),
    (DATE(), "2024-02-29", date(2024, 2, 29)),
    (TIME(3), "10:11:12.5", time(10, 11, 12, 500_000)),
    (TIMESTAMP(3), "2024-01-02 03:04:05.1", datetime(2024, 1, 2, 3, 4, 5, 100_000)),
    (TIMESTAMP_LTZ(3), "2024-01-02 03:04:05Z", datetime(2024, 1, 2, 3, 4, 5, 0, UTC)),
    (ARRAY(INT()), "1;2;3", [1, 2, 3]),
    (ARRAY(INT()), "1;;3", [1, None, 3]),
    (ARRAY(STRING()), "a;;b", ["a", "", "b"]),
    (ROW([("x", INT()), ("y", STRING())]), "1;a", {"x": 1, "y": "a"}),
    (ROW([("x", INT()), ("y", STRING())]), "1", {"x": 1, "y": None}),
]


@pytest.mark.parametrize(("kind", "text", "value"), TYPES, ids=lambda v: str(v))
def test_reads_every_type(kind: DataType, text: str, value: Any) -> None:
    found = decode(schema(a=INT(), v=kind), f"1,{text}", "2,", f'3,"{text}"')
    assert not found.errors
    assert values(found) == [(1, value), (2, None), (3, value)]


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (INT(), "1.5", 'found "1.5", expected INT'),
        (INT(), "2147483648", 'found "2147483648", which is out of the range of INT'),
        (BOOLEAN(), "yes", 'found "yes", expected BOOLEAN'),
        (DECIMAL(3, 2), "12.5", 'found "12.5", which does not fit DECIMAL(3, 2)'),
        (DATE(), "1.2.2024", 'found "1.2.2024", expected DATE'),
        (TIMESTAMP(3), "2024-01-02T03:04:05", 'found "2024-01-02T03:04:05", expected TIMESTAMP(3)'),
        (ARRAY(INT()), "1;x", '[1]: found "x", expected INT'),
        (ROW([("x", INT())]), "1;2", "found 2 parts, expected ROW<`x` INT>"),
    ],
)
def test_names_the_field_that_does_not_fit(kind: DataType, text: str, message: str) -> None:
    columns = schema(n=INT(), v=kind)
    found = decode(columns, "1,", f"2,{text}", f'3,"{text}"')
    where = "field 'v" + ("" if message.startswith("[") else "': ")
    expected = where + message.replace("]: ", "]': ")
    assert found.errors == {1: expected, 2: expected}
    assert values(found) == [(1, None)]
    if not message.startswith("found 2 parts"):
        ignored = decode(columns, f"2,{text}", ignore_parse_errors="true")
        assert values(ignored)[0][0] == 2 and not ignored.errors


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,b,c", "found 3 fields, expected 2"),
        ("a,b,,", "found 4 fields, expected 2"),
        ('"a,b', "found no closing quote"),
        ('"a"b,c', "found text after a closing quote"),
        (b"a,\xff", "found bytes that are not UTF-8 (at byte 2)"),
    ],
)
def test_a_malformed_line_is_found_alone(line: bytes | str, message: str) -> None:
    found = decode(TWO, "1,2", line, "3,4")
    assert list(found.errors) == [1] and message in found.errors[1]
    assert values(found) == [("1", "2"), ("3", "4")]
    assert found.source_index is not None and found.source_index.tolist() == [0, 2]
    ignored = decode(TWO, "1,2", line, "3,4", ignore_parse_errors="true")
    assert values(ignored) == values(found) and not ignored.errors


def test_missing_and_trailing_fields_may_be_errors() -> None:
    assert decode(TWO, "x", fail_on_missing_columns="true").errors[0].startswith("found 1 fields, expected 2")
    assert (
        decode(TWO, "x,y,", allow_trailing_comma="false").errors[0].startswith("found 3 fields, expected 2")
    )


def test_lines_without_a_row() -> None:
    found = decode(TWO, None, "# note", "a,b", "", allow_comments="true")
    assert values(found) == [("a", "b")] and not found.errors
    assert found.source_index is not None and found.source_index.tolist() == [2]


def test_plain_and_quoted_lines_keep_their_order() -> None:
    lines = [f'{i},"x{i}"' if i % 3 == 0 else f"{i},x{i}" for i in range(1000)]
    found = decode(schema(i=INT(), s=STRING()), *lines)
    assert values(found) == [(i, f"x{i}") for i in range(1000)]
    assert found.source_index is None


WRITTEN: list[tuple[dict[str, str], DataType, Any, str]] = [
    ({}, STRING(), "x", "x"),
    ({}, STRING(), 'x,"1"', '"x,""1"""'),
    ({}, STRING(), "x\ny", '"x\ny"'),
    ({}, STRING(), "", '""'),
    ({}, STRING(), " x", '" x"'),
    ({}, STRING(), "#x", '"#x"'),
    ({}, STRING(), None, ""),
    ({"null_literal": "n/a"}, STRING(), None, "n/a"),
    ({"null_literal": "n/a"}, STRING(), "n/a", '"n/a"'),
    ({"field_delimiter": "|"}, STRING(), "a|b", '"a|b"'),
    ({"field_delimiter": "-"}, INT(), -1, '"-1"'),
    ({"escape_character": "\\"}, STRING(), "a\\", '"a\\\\"'),
    ({"disable_quote_character": "true", "escape_character": "\\"}, STRING(), "a,b", "a\\,b"),
    ({}, DOUBLE(), 1e7, "1.0E7"),
    ({}, DECIMAL(12, 2), Decimal("100000.00"), "1E+5"),
    ({"write_bigdecimal_in_scientific_notation": "false"}, DECIMAL(12, 2), Decimal("100000.00"), "100000"),
    ({}, DECIMAL(12, 2), Decimal("12.50"), "12.5"),
    ({}, TIMESTAMP(3), datetime(2024, 1, 2, 3, 4, 5), "2024-01-02 03:04:05"),
    ({}, TIMESTAMP_LTZ(3), datetime(2024, 1, 2, 3, 4, 5, 0, UTC), "2024-01-02 03:04:05Z"),
    ({}, ARRAY(INT()), [1, None, 3], "1;;3"),
    ({"array_element_delimiter": "|"}, ARRAY(INT()), [1, 2], "1|2"),
    ({}, ROW([("x", INT()), ("y", STRING())]), {"x": 1, "y": "a,b"}, '"1;a,b"'),
]


@pytest.mark.parametrize(("options", "kind", "value", "text"), WRITTEN, ids=lambda v: str(v))
def test_writes_and_reads_back(options: dict[str, str], kind: DataType, value: Any, text: str) -> None:
    columns = schema(n=INT(), v=kind)
    (line,) = encode(columns, (5, value), **options)
    assert line == f"5{options.get('field_delimiter', ',')}{text}"
    back = values(decode(columns, line, **options))
    lost = (
        value in (None, "n/a") and kind == STRING()
    )  # NULL without a literal reads as '', and the literal as NULL
    assert back == [(5, value)] or lost


def test_what_cannot_be_written() -> None:
    with pytest.raises(DataError, match=r"column 'v': the text 'a,b' needs quotes"):
        encode(schema(v=STRING()), ("a,b",), disable_quote_character="true")
    with pytest.raises(DataError, match="the element 'a;b' holds the delimiter ';'"):
        encode(schema(v=ARRAY(STRING())), (["a;b"],))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"field-delimiter": ",,"}, "found ',,', expected one character"),
        ({"quote-character": ","}, "must be different"),
        ({"escape-character": '"'}, "must be different"),
    ],
)
def test_options_that_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_decoder(choice("csv", options), TWO)


@pytest.mark.parametrize(
    "kind", [MAP(STRING(), INT()), ARRAY(ARRAY(INT())), ROW([("x", ARRAY(INT()))]), INTERVAL_SECOND()]
)
def test_refuses_types_without_a_form(kind: DataType) -> None:
    for create in (create_decoder, create_encoder):
        with pytest.raises(UnsupportedError, match="format 'csv' has no form for"):
            create(choice("csv"), schema(v=kind))


TEXT = st.text(st.characters(codec="utf-8"), max_size=6) | st.text('a,";\\\n #\r', max_size=6)


@given(
    st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), st.sampled_from([{}, {"escape_character": "\\"}])
)
def test_any_text_there_and_back(rows: list[tuple[str, str]], options: dict[str, str]) -> None:
    lines = encode(TWO, *rows, **options)
    assert values(decode(TWO, *lines, **options)) == rows
