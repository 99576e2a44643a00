"""Any message is read alike by the two JSON readers, and what is written is read back."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
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
    FLOAT,
    INT,
    MAP,
    ROW,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_LTZ,
    DataType,
    Root,
)
from streamsql.runtime.formats import create_decoder, create_encoder
from streamsql.runtime.formats.json import JsonDecoder
from streamsql.runtime.formats.json_rows import JsonReadOptions
from streamsql.schema import Schema

from .choices import choice
from .test_json import assert_same

SCALARS = [
    STRING(),
    BOOLEAN(),
    INT(),
    BIGINT(),
    FLOAT(),
    DOUBLE(),
    DECIMAL(10, 2),
    DECIMAL(38, 18),
    BYTES(),
    DATE(),
    TIME(3),
    TIMESTAMP(3),
    TIMESTAMP(6),
    TIMESTAMP_LTZ(3),
]
KINDS = [
    *SCALARS,
    ARRAY(STRING()),
    ARRAY(INT()),
    MAP(STRING(), DOUBLE()),
    ROW([("a", INT()), ("b", STRING())]),
]
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Texts near the edges of what columns take, beside arbitrary ones.
NEAR = st.sampled_from(
    [
        "true",
        "NULL",
        "1",
        "-1",
        "1.5",
        "1e3",
        "0x10",
        " 7 ",
        "+5",
        ".5",
        "NaN",
        "Infinity",
        "inf",
        "1_0",
        "2024-01-02",
        "0000-01-01",
        "2024-01-02 03:04:05",
        "2024-01-02 03:04:05.123456789",
        "2024-01-02 03:04:05.5Z",
        "2024-01-02T03:04:05",
        "2024-01-02 24:00:00",
        "03:04:05.1",
        "24:00:00",
        "AQI=",
        "{}",
        "[1]",
        "{",
        "null",
        "9" * 25,
        "1.23456789012345678901",
        "2024-13-02 03:04:05",
    ]
)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.integers(-300, 300),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9).map(
        float
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, NEAR, st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "A", ""]), inner, max_size=3)
    ),
    max_leaves=6,
)
RAW_NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Mostly objects with the fields c0…, some broken at one place, some not objects."""
    fields = draw(st.lists(st.integers(0, 3), max_size=4))
    parts = []
    for field in fields:
        number = draw(st.booleans())
        value = draw(RAW_NUMBERS) if number else json.dumps(draw(VALUES), ensure_ascii=draw(st.booleans()))
        parts.append(f'"c{field}"{draw(st.sampled_from([":", ": ", " :"]))}{value}')
    text = "{" + draw(st.sampled_from([",", ", "])).join(parts) + "}"
    shape = draw(st.integers(0, 9))
    if shape == 0 and text:
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(st.sampled_from(["", "x", '"', ",", "}", "\x01", " "])) + text[at + 1 :]
    elif shape == 1:
        text = json.dumps(draw(VALUES))
    return text.encode("utf-8", "replace")


@SLOW
@given(
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    st.lists(st.one_of(messages(), st.none()), max_size=12),
    st.sampled_from(
        [
            JsonReadOptions(),
            JsonReadOptions(ignore_parse_errors=True),
            JsonReadOptions(fail_on_missing_field=True),
        ]
    ),
)
def test_both_readers_agree(
    kinds: list[DataType], given_messages: list[bytes | None], options: JsonReadOptions
) -> None:
    columns = Schema.of([(f"c{i}", t) for i, t in enumerate(kinds)])
    by_row = JsonDecoder(columns, options, columns_from_rows=10**9)
    by_column = JsonDecoder(columns, options, columns_from_rows=0)
    batch = pa.array(given_messages, pa.binary())
    try:
        assert_same(by_row.decode(batch), by_column.decode(batch))
    finally:
        by_row.close()
        by_column.close()


@SLOW
@given(
    st.sampled_from(KINDS),
    st.lists(st.one_of(RAW_NUMBERS, NEAR.map(json.dumps), VALUES.map(json.dumps)), max_size=20),
)
def test_both_readers_agree_on_bare_values(kind: DataType, texts: list[str]) -> None:
    columns = Schema.of([("v", kind)])
    options = JsonReadOptions(scalar=kind.is_nested)
    by_row = JsonDecoder(columns, options, columns_from_rows=10**9)
    by_column = JsonDecoder(columns, options, columns_from_rows=0)
    batch = pa.array([t.encode() for t in texts], pa.binary())
    try:
        assert_same(by_row.decode(batch), by_column.decode(batch))
    finally:
        by_row.close()
        by_column.close()


def value_of(t: DataType) -> st.SearchStrategy[Any]:
    """Values of a column, as pyarrow takes them."""
    simple: dict[Root, st.SearchStrategy[Any]] = {
        Root.VARCHAR: st.text(st.characters(codec="utf-8"), max_size=8),
        Root.BOOLEAN: st.booleans(),
        Root.INT: st.integers(-(2**31), 2**31 - 1),
        Root.BIGINT: st.integers(-(2**63), 2**63 - 1),
        Root.FLOAT: st.floats(width=32),
        Root.DOUBLE: st.floats(),
        Root.DECIMAL: st.decimals(-(10**7), 10**7, places=t.scale, allow_nan=False).map(Decimal),
        Root.VARBINARY: st.binary(max_size=8),
        Root.DATE: st.dates(date(1, 1, 1), date(9999, 12, 31)),
        Root.TIME: st.times().map(lambda v: v.replace(microsecond=v.microsecond // 1000 * 1000)),
    }
    if t.root in simple:
        return simple[t.root]
    if t.is_timestamp:
        unit = 10 ** (6 - t.precision)
        moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)).map(
            lambda v: v.replace(microsecond=v.microsecond // unit * unit)
        )
        return moments.map(lambda v: v.replace(tzinfo=UTC)) if t.root is Root.TIMESTAMP_LTZ else moments
    if t.root is Root.ARRAY:
        return st.lists(st.one_of(st.none(), value_of(t.children[0])), max_size=3)
    if t.root is Root.MAP:
        values = st.one_of(st.none(), value_of(t.children[1]))
        return st.dictionaries(value_of(t.children[0]), values, max_size=3).map(lambda d: list(d.items()))
    fields = {n: st.one_of(st.none(), value_of(c)) for n, c in zip(t.names, t.children, strict=True)}
    return st.fixed_dictionaries(fields)


@SLOW
@given(st.data(), st.sampled_from(KINDS), st.sampled_from(["SQL", "ISO-8601"]))
def test_what_is_written_is_read_back(data: st.DataObject, kind: DataType, standard: str) -> None:
    columns = Schema.of([("v", kind)])
    values = data.draw(st.lists(st.one_of(st.none(), value_of(kind)), max_size=8))
    rows = pa.RecordBatch.from_arrays([pa.array(values, kind.arrow)], schema=columns.arrow)
    used = choice("json", {"timestamp-format.standard": standard})
    written, _ = create_encoder(used, columns).encode(ChangelogBatch(rows))
    for message in written.to_pylist():
        json.loads(message)
    decoder = create_decoder(used, columns)
    try:
        found = decoder.decode(written)
    finally:
        decoder.close()
    assert not found.errors
    assert repr(found.rows.to_pylist()) == repr(rows.to_pylist())


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_are_written_shortest(values: list[float]) -> None:
    columns = Schema.of([("v", DOUBLE())])
    rows = pa.RecordBatch.from_arrays([pa.array(values, pa.float64())], schema=columns.arrow)
    written, _ = create_encoder(choice("json"), columns).encode(ChangelogBatch(rows))
    for value, message in zip(values, written.to_pylist(), strict=True):
        text = message.decode()[5:-1]
        assert float(text) == value and math.copysign(1, float(text)) == math.copysign(1, value)
        assert len(Decimal(text).normalize().as_tuple().digits) <= len(
            Decimal(repr(value)).normalize().as_tuple().digits
        )
