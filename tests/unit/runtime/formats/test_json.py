"""The json format: every type both ways, malformed messages, and the two readers giving the same."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import (
    ARRAY,
    BIGINT,
    BOOLEAN,
    BYTES,
    DATE,
    DECIMAL,
    DOUBLE,
    FLOAT,
    INT,
    INTERVAL_SECOND,
    MAP,
    MULTISET,
    ROW,
    SMALLINT,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_LTZ,
    TINYINT,
    DataType,
)  # fmt: skip
from streamsql.errors import ConfigError, UnsupportedError
from streamsql.runtime.formats import create_decoder, create_encoder
from streamsql.runtime.formats.base import Decoded
from streamsql.runtime.formats.json import JsonDecoder, read_options
from streamsql.schema import Schema

from .choices import binary, choice, schema

POINT = ROW([("x", INT()), ("tags", ARRAY(STRING()))])
Decode = Callable[..., Decoded]


@pytest.fixture
def decode() -> Iterator[Decode]:
    """Decodes with both readers, asserts that they agree, and gives what they found."""
    opened: list[JsonDecoder] = []

    def run(columns: Schema, *messages: bytes | str | None, **options: str) -> Decoded:
        given = {k.replace("_", "-").replace("standard", "standard"): v for k, v in options.items()}
        if "timestamp-format" in given:
            given["timestamp-format.standard"] = given.pop("timestamp-format")
        typed = read_options(choice("json", given).options)
        by_row = JsonDecoder(columns, typed, columns_from_rows=10**9)
        by_column = JsonDecoder(columns, typed, columns_from_rows=0)
        opened.extend((by_row, by_column))
        found = by_row.decode(binary(*messages))
        assert_same(found, by_column.decode(binary(*messages)))
        return found

    yield run
    for decoder in opened:
        decoder.close()


def assert_same(a: Decoded, b: Decoded) -> None:
    assert repr(a.rows.to_pylist()) == repr(b.rows.to_pylist())  # repr: NaN equals NaN, 0.0 differs from -0.0
    assert a.rows.schema == b.rows.schema
    assert a.errors == b.errors
    assert indexes(a) == indexes(b)


def indexes(decoded: Decoded) -> list[int]:
    if decoded.source_index is None:
        return list(range(decoded.rows.num_rows))
    return [int(i) for i in decoded.source_index]


READ: list[tuple[DataType, str, Any]] = [
    (STRING(), '"a"', "a"),
    (STRING(), '""', ""),
    (STRING(), '"é\\u00e9\\n\\"\\\\"', 'éé\n"\\'),
    (STRING(), '"\\ud83c\\udf4c"', "\N{BANANA}"),
    (STRING(), '"\\ud800"', "?"),
    (STRING(), '"a\tb"', "a\tb"),
    (STRING(), "12", "12"),
    (STRING(), "1.50", "1.5"),
    (STRING(), "1e22", "1e22"),
    (STRING(), "0.00001", "0.00001"),
    (STRING(), "1e400", "1e400"),
    (STRING(), "123456789012345678901234567890", "123456789012345678901234567890"),
    (STRING(), "true", "true"),
    (STRING(), '{"a": [1, 2.50, "é", null, true]}', '{"a":[1,2.5,"é",null,true]}'),
    (STRING(), "[1, {}]", "[1,{}]"),
    (STRING(), '"{not an object}"', "{not an object}"),
    (BOOLEAN(), "true", True),
    (BOOLEAN(), '"False"', False),
    (TINYINT(), "-128", -128),
    (SMALLINT(), '" 7 "', 7),
    (INT(), "1.7", 1),
    (INT(), "-1.7", -1),
    (INT(), '"007"', 7),
    (BIGINT(), "9223372036854775807", 9223372036854775807),
    (BIGINT(), "1e3", 1000),
    (FLOAT(), "0.1", 0.10000000149011612),
    (DOUBLE(), "1", 1.0),
    (DOUBLE(), '"1.5"', 1.5),
    (DOUBLE(), '"-Infinity"', -math.inf),
    (DOUBLE(), "1e400", math.inf),
    (DOUBLE(), "-0.0", -0.0),
    (DECIMAL(10, 2), "1.005", Decimal("1.01")),
    (DECIMAL(10, 2), "-1.005", Decimal("-1.01")),
    (DECIMAL(10, 2), '"12.3"', Decimal("12.30")),
    (DECIMAL(10, 2), "1e3", Decimal("1000.00")),
    (DECIMAL(10, 2), "0E20", Decimal("0.00")),
    (DECIMAL(38, 18), "123456789.123456789123456789", Decimal("123456789.123456789123456789")),
    (DECIMAL(38, 0), "12345678901234567890123456789012345678", Decimal("12345678901234567890123456789012345678")),
    (DECIMAL(10, 2), "1.00499999999999999999", Decimal("1.00")),
    (BYTES(), '"AP8="', b"\x00\xff"),
    (BYTES(), '"1234"', b"\xd7m\xf8"),
    (DATE(), '"2024-02-29"', date(2024, 2, 29)),
    (TIME(0), '"10:11:12.9"', time(10, 11, 12)),
    (TIME(3), '"10:11:12.1239"', time(10, 11, 12, 123000)),
    (TIMESTAMP(3), '"2024-01-02 03:04:05"', datetime(2024, 1, 2, 3, 4, 5)),
    (TIMESTAMP(3), '"2024-01-02 03:04:05.123456789"', datetime(2024, 1, 2, 3, 4, 5, 123000)),
    (TIMESTAMP(6), '"1969-12-31 23:59:59.123456"', datetime(1969, 12, 31, 23, 59, 59, 123456)),
    (TIMESTAMP_LTZ(3), '"2024-01-02 03:04:05.1Z"', datetime(2024, 1, 2, 3, 4, 5, 100000, UTC)),
    (ARRAY(INT()), "[1, null, 3]", [1, None, 3]),
    (ARRAY(STRING()), '[1.50, "x", [2], null]', ["1.5", "x", "[2]", None]),
    (ARRAY(ARRAY(DOUBLE())), "[[], [1], null]", [[], [1.0], None]),
    (MAP(STRING(), INT()), '{"a": 1, "b": null}', [("a", 1), ("b", None)]),
    (MAP(STRING(), INT()), '{"a": 1, "a": 2}', [("a", 1)]),
    (MULTISET(STRING()), '{"a": 2}', [("a", 2)]),
    (POINT, '{"x": 1, "tags": ["p", null], "other": 5}', {"x": 1, "tags": ["p", None]}),
    (POINT, "{}", {"x": None, "tags": None}),
    (MAP(STRING(), POINT), '{"k": {"x": 2}}', [("k", {"x": 2, "tags": None})]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "text", "value"), READ, ids=lambda v: str(v) if not isinstance(v, str) else v
)
def test_reads_every_type(decode: Decode, kind: DataType, text: str, value: Any) -> None:
    found = decode(schema(v=kind), f'{{"v": {text}}}', '{"v": null}', "{}")
    assert not found.errors
    assert found.rows.column(0).to_pylist() == [value, None, None]
    assert found.rows.schema.field("v").type == kind.arrow


def test_reads_not_a_number(decode: Decode) -> None:
    found = decode(schema(v=DOUBLE()), '{"v": "NaN"}', '{"v": NaN}')
    assert all(math.isnan(v) for v in found.rows.column(0).to_pylist())


UNREADABLE: list[tuple[DataType, str, str]] = [
    (BOOLEAN(), "1", "found 1, expected BOOLEAN"),
    (BOOLEAN(), '"yes"', 'found "yes", expected BOOLEAN'),
    (INT(), '"1.7"', 'found "1.7", expected INT'),
    (INT(), '"0x1F"', 'found "0x1F", expected INT'),
    (INT(), "true", "found true, expected INT"),
    (INT(), "[1]", "found [1], expected INT"),
    (INT(), "2147483648", "found 2147483648, which is out of the range of INT"),
    (BIGINT(), "1e400", "found 1e400, expected BIGINT"),
    (TINYINT(), "128", "found 128, which is out of the range of TINYINT"),
    (DOUBLE(), '"1_0"', 'found "1_0", expected DOUBLE'),
    (DOUBLE(), "false", "found false, expected DOUBLE"),
    (DECIMAL(4, 2), "100", "found 100, which does not fit DECIMAL(4, 2)"),
    (DECIMAL(4, 2), '"x"', 'found "x", expected DECIMAL(4, 2)'),
    (DECIMAL(4, 2), "1e999999999", "found 1e999999999, which does not fit DECIMAL(4, 2)"),
    (BYTES(), '"é"', 'found "é", expected bytes as base64'),
    (BYTES(), "1234", "found 1234, expected bytes as base64"),
    (DATE(), '"2023-02-29"', 'found "2023-02-29", expected DATE'),
    (DATE(), "20230101", "found 20230101, expected DATE"),
    (TIME(0), '"24:00:00"', 'found "24:00:00", expected TIME(0)'),
    (TIME(0), '"10:00"', 'found "10:00", expected TIME(0)'),
    (TIMESTAMP(3), '"2024-01-02T03:04:05"', 'found "2024-01-02T03:04:05", expected TIMESTAMP(3)'),
    (TIMESTAMP(3), '"2024-01-02 03:04:05Z"', 'found "2024-01-02 03:04:05Z", expected TIMESTAMP(3)'),
    (TIMESTAMP(3), '"2024-01-02"', 'found "2024-01-02", expected TIMESTAMP(3)'),
    (TIMESTAMP(3), "1704164645000", "found 1704164645000, expected TIMESTAMP(3)"),
    (TIMESTAMP_LTZ(3), '"2024-01-02 03:04:05"', 'found "2024-01-02 03:04:05", expected TIMESTAMP_LTZ(3)'),
    (TIMESTAMP_LTZ(3), '"2024-01-02 03:04:05+01:00"', 'found "2024-01-02 03:04:05+01:00", expected TIMESTAMP_LTZ(3)'),
    (ARRAY(INT()), '"[1]"', 'found "[1]", expected ARRAY<INT>'),
    (MAP(STRING(), INT()), '"{}"', 'found "{}", expected MAP<STRING, INT>'),
    (POINT, "5", "found 5, expected ROW<`x` INT, `tags` ARRAY<STRING>>"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "message"), UNREADABLE, ids=lambda v: str(v))
def test_names_the_field_that_does_not_fit(decode: Decode, kind: DataType, text: str, message: str) -> None:
    found = decode(schema(n=INT(), v=kind), f'{{"n": 1, "v": {text}}}', '{"n": 2}')
    assert found.errors == {0: f"field 'v': {message}"}
    assert found.rows.column(0).to_pylist() == [2]
    assert indexes(found) == [1]


@pytest.mark.parametrize(("kind", "text", "message"), UNREADABLE, ids=lambda v: str(v))
def test_ignore_parse_errors_makes_a_field_null(
    decode: Decode, kind: DataType, text: str, message: str
) -> None:
    found = decode(schema(n=INT(), v=kind), f'{{"n": 1, "v": {text}}}', ignore_parse_errors="true")
    assert not found.errors
    assert found.rows.to_pylist() == [{"n": 1, "v": None}]


def test_ignore_parse_errors_spares_the_neighbours(decode: Decode) -> None:
    columns = schema(a=ARRAY(INT()), r=POINT)
    found = decode(
        columns, '{"a": [1, "x", 3], "r": {"x": "y", "tags": ["t"]}}', "{", ignore_parse_errors="true"
    )
    assert found.rows.to_pylist() == [{"a": [1, None, 3], "r": {"x": None, "tags": ["t"]}}]
    assert not found.errors


def test_an_error_shows_the_way_to_a_nested_value(decode: Decode) -> None:
    columns = schema(m=MAP(STRING(), ARRAY(POINT)))
    found = decode(columns, '{"m": {"k": [{"x": 1}, {"x": "y"}]}}')
    assert found.errors == {0: "field 'm['k'][1].x': found \"y\", expected INT"}


MALFORMED = [
    b"", b" ", b"{", b"not json", b'{"v": 1', b'{"v" 1}', b"{v: 1}", b"{'v': 1}", b'{"v": 01}', b'{"v": 1} x',
    b'{"v": 1}{}',
    b'{"v": .5}', b'{"v": True}', b'\xef\xbb\xbf{"v": 1}', b'{"v": "\xff"}', b'{"v": "\\x"}', b"\x00", b'{"v": 1}]',
    b'{"v": "abc}', b"\xc3(", b"{" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("message", MALFORMED, ids=lambda m: repr(m[:20]))
def test_a_malformed_message_is_found_alone(decode: Decode, message: bytes) -> None:
    found = decode(schema(v=INT(), w=STRING()), '{"v": 1}', message, '{"v": 3}')
    assert list(found.errors) == [1]
    assert found.errors[1].startswith("found ") and "expected" in found.errors[1]
    assert found.rows.column(0).to_pylist() == [1, 3]
    assert indexes(found) == [0, 2]


@pytest.mark.parametrize("message", ["5", '"x"', "[1]", "true"])
def test_a_message_must_be_an_object(decode: Decode, message: str) -> None:
    found = decode(schema(v=INT(), w=INT()), message)
    assert found.errors == {0: f"found {message}, expected a JSON object"}


def test_null_messages_give_no_row_and_no_error(decode: Decode) -> None:
    found = decode(schema(v=INT()), None, '{"v": 1}', "null", '{"v": 2}', None)
    assert not found.errors
    assert found.rows.column(0).to_pylist() == [1, 2]
    assert indexes(found) == [1, 3]
    assert decode(schema(v=INT()), None).rows.num_rows == 0
    assert decode(schema(v=INT())).rows.num_rows == 0


def test_forgives_a_trailing_comma(decode: Decode) -> None:
    found = decode(schema(v=INT(), a=ARRAY(INT())), '{"v": 1, "a": [1, 2, ], }')
    assert found.rows.to_pylist() == [{"v": 1, "a": [1, 2]}]


def test_names_are_case_sensitive_and_may_hold_anything(decode: Decode) -> None:
    columns = Schema.of(
        [("a", INT()), ("A", INT()), ("x/y", INT()), ("~", INT()), ("it's \"", INT()), ("0", INT())]
    )
    found = decode(columns, '{"A": 2, "a": 1, "x/y": 3, "~": 4, "it\'s \\"": 5, "0": 6}', "[7]")
    assert found.rows.to_pylist() == [{"a": 1, "A": 2, "x/y": 3, "~": 4, "it's \"": 5, "0": 6}]
    assert list(found.errors) == [1]


def test_the_first_of_a_repeated_key_counts(decode: Decode) -> None:
    found = decode(schema(v=INT(), r=POINT), '{"v": 1, "v": 2, "r": {"x": 1, "x": 2}}')
    assert found.rows.to_pylist() == [{"v": 1, "r": {"x": 1, "tags": None}}]


def test_fail_on_missing_field(decode: Decode) -> None:
    columns = schema(v=INT(), r=POINT)
    found = decode(
        columns,
        '{"v": null, "r": null}', '{"v": 1}', '{"v": 1, "r": {"x": 1}}', '{"v": 1, "r": {"x": 1, "tags": []}}',
        fail_on_missing_field="true",
    )  # fmt: skip
    assert found.errors == {
        1: "field 'r': found no such field, expected it in every object",
        2: "field 'r.tags': found no such field, expected it in every object",
    }
    assert found.rows.num_rows == 2


def test_missing_and_ignored_exclude_each_other() -> None:
    both = choice("json", {"fail-on-missing-field": "true", "ignore-parse-errors": "true"})
    with pytest.raises(ConfigError, match="both true"):
        create_decoder(both, schema(v=INT()))


def test_iso_timestamps(decode: Decode) -> None:
    columns = schema(t=TIMESTAMP(6), z=TIMESTAMP_LTZ(3))
    good = '{"t": "2024-01-02T03:04:05.5", "z": "2024-01-02T03:04:05Z"}'
    found = decode(columns, good, '{"t": "2024-01-02 03:04:05"}', timestamp_format="ISO-8601")
    moment = datetime(2024, 1, 2, 3, 4, 5)
    assert found.rows.to_pylist() == [
        {"t": moment.replace(microsecond=500_000), "z": moment.replace(tzinfo=UTC)}
    ]
    assert list(found.errors) == [1]


# -- bare values -----------------------------------------------------------------------------------------------------


def test_one_column_takes_objects_and_bare_values(decode: Decode) -> None:
    found = decode(schema(k=STRING()), '"GNOU"', '{"k": "BANANA"}', "12", "null", "oops")
    assert found.rows.column(0).to_pylist() == ["GNOU", "BANANA", "12"]
    assert list(found.errors) == [4]


def test_bare_values_only(decode: Decode) -> None:
    found = decode(schema(k=STRING()), '"GNOU"', '"BANANA"', '"1", 2', "", '"x",')
    assert found.rows.column(0).to_pylist() == ["GNOU", "BANANA"]
    assert list(found.errors) == [2, 3, 4]


def test_the_option_scalar_reads_an_object_as_the_value(decode: Decode) -> None:
    found = decode(schema(m=MAP(STRING(), INT())), '{"m": 1}', "5", scalar="true")
    assert found.rows.column(0).to_pylist() == [[("m", 1)]]
    assert found.errors == {1: "field 'm': found 5, expected MAP<STRING, INT>"}


def test_the_option_scalar_writes_the_value() -> None:
    encoder = create_encoder(choice("json", {"scalar": "true"}), schema(k=STRING()))
    rows = pa.RecordBatch.from_pydict({"k": ["GNOU", None, 'a"b']})
    assert encoder.encode(ChangelogBatch(rows))[0].to_pylist() == [b'"GNOU"', b"null", b'"a\\"b"']


@pytest.mark.parametrize("create", [create_decoder, create_encoder])
def test_the_option_scalar_needs_one_column(create: Callable[..., object]) -> None:
    with pytest.raises(UnsupportedError, match="exactly one column, found 2: a, b"):
        create(choice("json", {"scalar": "true"}), schema(a=INT(), b=INT()))


# -- writing ---------------------------------------------------------------------------------------------------------

WRITTEN: list[tuple[DataType, Any, str]] = [
    (STRING(), 'a"b\\\n\x01é/', '"a\\"b\\\\\\n\\u0001é/"'),
    (BOOLEAN(), True, "true"),
    (TINYINT(), -1, "-1"),
    (BIGINT(), 9223372036854775807, "9223372036854775807"),
    (DOUBLE(), 1.0, "1.0"),
    (DOUBLE(), 0.001, "0.001"),
    (DOUBLE(), 0.0001, "1.0E-4"),
    (DOUBLE(), 9999999.5, "9999999.5"),
    (DOUBLE(), 1e7, "1.0E7"),
    (DOUBLE(), -12345678.25, "-1.234567825E7"),
    (DOUBLE(), -0.0, "-0.0"),
    (DOUBLE(), math.nan, '"NaN"'),
    (DOUBLE(), -math.inf, '"-Infinity"'),
    (FLOAT(), 0.10000000149011612, "0.1"),
    (DECIMAL(20, 10), Decimal("0.0000000100"), "1.00E-8"),
    (DECIMAL(20, 2), Decimal("-12.50"), "-12.50"),
    (BYTES(), b"\x00\xff", '"AP8="'),
    (DATE(), date(2024, 1, 2), '"2024-01-02"'),
    (TIME(3), time(1, 2, 3, 500_000), '"01:02:03.5"'),
    (TIME(0), time(10, 20, 0), '"10:20:00"'),
    (TIMESTAMP(3), datetime(2024, 1, 2, 10, 20, 0), '"2024-01-02 10:20:00"'),
    (TIMESTAMP(6), datetime(1969, 12, 31, 23, 59, 59, 120_000), '"1969-12-31 23:59:59.12"'),
    (TIMESTAMP_LTZ(3), datetime(2024, 1, 2, 3, 4, 5, 6000, UTC), '"2024-01-02 03:04:05.006Z"'),
    (ARRAY(INT()), [1, None], "[1,null]"),
    (ARRAY(STRING()), [], "[]"),
    (MAP(STRING(), DOUBLE()), [("a", 1.5), ('"', None)], '{"a":1.5,"\\"":null}'),
    (MULTISET(STRING()), [("a", 2)], '{"a":2}'),
    (POINT, {"x": 1, "tags": ["p"]}, '{"x":1,"tags":["p"]}'),
    (ARRAY(POINT), [None, {"x": None, "tags": None}], '[null,{"x":null,"tags":null}]'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "text"), WRITTEN, ids=lambda v: str(v))
def test_writes_every_type(decode: Decode, kind: DataType, value: Any, text: str) -> None:
    columns = schema(v=kind)
    rows = pa.RecordBatch.from_pylist(
        [{"v": None}, {"v": value}, {"v": None}, {"v": value}], schema=columns.arrow
    )
    encoder = create_encoder(choice("json"), columns)
    messages, index = encoder.encode(ChangelogBatch(rows))
    assert messages.to_pylist() == [b'{"v":null}', f'{{"v":{text}}}'.encode()] * 2
    assert index.tolist() == [0, 1, 2, 3]
    for start in (1, 2):
        part, _ = encoder.encode(ChangelogBatch(rows.slice(start)))
        assert part.to_pylist() == messages.to_pylist()[start:]
    for message in messages.to_pylist():
        json.loads(message)
    assert repr(decode(columns, *messages.to_pylist()).rows.to_pylist()) == repr(rows.to_pylist())


def test_writes_iso_timestamps() -> None:
    columns = schema(t=TIMESTAMP(6), z=TIMESTAMP_LTZ(3))
    moment = datetime(2024, 1, 2, 3, 4, 5)
    rows = pa.RecordBatch.from_pylist([{"t": moment, "z": moment.replace(tzinfo=UTC)}], schema=columns.arrow)
    encoder = create_encoder(choice("json", {"timestamp-format.standard": "ISO-8601"}), columns)
    assert encoder.encode(ChangelogBatch(rows))[0].to_pylist() == [
        b'{"t":"2024-01-02T03:04:05","z":"2024-01-02T03:04:05Z"}'
    ]


def test_leaves_null_fields_out_and_writes_plain_decimals() -> None:
    columns = schema(a=INT(), r=POINT, d=DECIMAL(20, 10))
    rows = pa.RecordBatch.from_pylist(
        [
            {"a": None, "r": {"x": 1, "tags": None}, "d": Decimal("0.00000001")},
            {"a": None, "r": None, "d": None},
        ],
        schema=columns.arrow,
    )
    given = {"encode.ignore-null-fields": "true", "encode.decimal-as-plain-number": "true"}
    messages, _ = create_encoder(choice("json", given), columns).encode(ChangelogBatch(rows))
    assert messages.to_pylist() == [b'{"r":{"x":1},"d":0.0000000100}', b"{}"]


@pytest.mark.parametrize("create", [create_decoder, create_encoder])
@pytest.mark.parametrize("kind", [MAP(INT(), INT()), MULTISET(INT()), INTERVAL_SECOND()])
def test_refuses_types_without_a_form(create: Callable[..., object], kind: DataType) -> None:
    with pytest.raises(UnsupportedError, match="format 'json'"):
        create(choice("json"), schema(v=kind))


def test_many_rows_keep_their_order(decode: Decode) -> None:
    """Enough for several chunks on both of DuckDB's threads, with a bad message here and there."""
    count = 40_000
    messages = [f'{{"i": {i}, "s": "x{i}"}}' if i % 9973 else "bad" for i in range(count)]
    found = decode(schema(i=BIGINT(), s=STRING()), *messages)
    good = [i for i in range(count) if i % 9973]
    assert found.rows.column(0).to_pylist() == good
    assert indexes(found) == good
    assert list(found.errors) == [i for i in range(count) if i % 9973 == 0]
