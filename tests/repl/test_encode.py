"""JSON and CSV for programs."""

import datetime as dt
import json
from decimal import Decimal

from streamsql import datatypes as t
from streamsql.changelog import RowKind
from streamsql.repl.encode import CsvRows, JsonRows
from streamsql.schema import Schema

NOON = dt.datetime(2024, 5, 1, 12, 30, 15, 123000)
SCHEMA = Schema.of(
    [
        ("s", t.STRING()),
        ("d", t.DECIMAL(38, 20)),
        ("f", t.DOUBLE()),
        ("ts", t.TIMESTAMP(3)),
        ("tz", t.TIMESTAMP_LTZ(3)),
        ("m", t.MAP(t.STRING(), t.ARRAY(t.INT()))),
        ("r", t.ROW([("x", t.INT()), ("y", t.BOOLEAN())])),
        ("b", t.BYTES()),
    ]
)
ROW = (
    'a "b" é\n',
    Decimal("0.12345678901234567890"),
    1e20,
    NOON,
    NOON.replace(tzinfo=dt.UTC),
    {"k": [1, None]},
    {"x": 1, "y": None},
    b"\x00\x01",
)


def test_json_keeps_every_value() -> None:
    line = JsonRows(SCHEMA, with_op=False).line(ROW, RowKind.INSERT)
    assert "\n" not in line
    assert json.loads(line, parse_float=Decimal) == {
        "s": 'a "b" é\n',
        "d": Decimal("0.12345678901234567890"),
        "f": Decimal("1E+20"),
        "ts": "2024-05-01T12:30:15.123",
        "tz": "2024-05-01T12:30:15.123Z",
        "m": {"k": [1, None]},
        "r": {"x": 1, "y": None},
        "b": "AAE=",
    }


def test_json_without_numbers_that_json_lacks() -> None:
    schema = Schema.of([("f", t.DOUBLE()), ("n", t.INT())])
    assert json.loads(JsonRows(schema, with_op=True).line((float("nan"), None), RowKind.UPDATE_AFTER)) == {
        "op": "+U",
        "f": "NaN",
        "n": None,
    }


def test_csv_quotes_what_it_must() -> None:
    schema = Schema.of([("a,b", t.STRING()), ("n", t.INT()), ("xs", t.ARRAY(t.STRING()))])
    rows = CsvRows(schema, with_op=True)
    assert rows.header == 'op,"a,b",n,xs'
    assert rows.line(('say "hi", now', None, ["q"]), RowKind.DELETE) == '-D,"say ""hi"", now",,"[""q""]"'


def test_csv_tells_null_from_empty() -> None:
    rows = CsvRows(Schema.of([("a", t.STRING()), ("b", t.STRING())]), with_op=False)
    assert rows.line((None, ""), RowKind.INSERT) == ',""'


def test_csv_timestamps() -> None:
    rows = CsvRows(Schema.of([("a", t.TIMESTAMP(3)), ("b", t.TIMESTAMP_LTZ(3))]), with_op=False)
    assert (
        rows.line((NOON, NOON.replace(tzinfo=dt.UTC)), RowKind.INSERT)
        == "2024-05-01 12:30:15.123,2024-05-01 12:30:15.123Z"
    )
