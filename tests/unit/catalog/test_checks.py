"""Casts between declared and metadata types, and what INSERT may write."""

from __future__ import annotations

import pytest

from streamsql.catalog.checks import casts, check_writable, metadata_keys
from streamsql.catalog.connectors import table_options
from streamsql.catalog.table import Column, ObjectPath, TableDefinition
from streamsql.datatypes import (
    ARRAY,
    BIGINT,
    BOOLEAN,
    BYTES,
    DATE,
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
)
from streamsql.errors import ValidationError


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (INT(), STRING(), True),
        (STRING(), INT(), True),
        (STRING(), INTERVAL_SECOND(), False),
        (INT(), BOOLEAN(), True),
        (BIGINT(), TIMESTAMP(3), False),
        (TIMESTAMP_LTZ(3), BIGINT(), False),
        (TIMESTAMP_LTZ(3), TIMESTAMP(3), True),
        (TIMESTAMP(3), DATE(), True),
        (DATE(), TIME(), False),
        (TIME(), TIMESTAMP(3), True),
        (BYTES(), STRING(), True),
        (BYTES(), INT(), False),
        (BOOLEAN(), DATE(), False),
        (ARRAY(INT()), STRING(), True),
        (ARRAY(INT()), ARRAY(DOUBLE()), True),
        (ARRAY(BYTES()), ARRAY(INT()), False),
        (MAP(STRING(), BYTES()), MAP(STRING(), STRING()), True),
        (MAP(STRING(), BYTES()), ARRAY(STRING()), False),
        (ROW([("a", INT())]), ROW([("b", STRING())]), True),
        (ROW([("a", INT())]), ROW([("a", INT()), ("b", INT())]), False),
    ],
    ids=str,
)
def test_casts(source: DataType, target: DataType, expected: bool) -> None:
    assert casts(source, target) is expected
    assert casts(source.not_null(), target) is expected


def table(*columns: Column, format_name: str = "json") -> TableDefinition:
    options = {
        "connector": "kafka",
        "topic": "t",
        "properties.bootstrap.servers": "b:1",
        "format": format_name,
    }
    return TableDefinition(ObjectPath("c", "d", "t"), (Column("a", INT()), *columns), options)


def test_only_writable_metadata_may_be_inserted() -> None:
    good = table(
        Column("o", BIGINT(), metadata_key="offset", virtual=True),
        Column("t", TIMESTAMP_LTZ(3), metadata_key="timestamp"),
    )
    check_writable(good, table_options(good))
    bad = table(Column("o", BIGINT(), metadata_key="offset"))
    with pytest.raises(ValidationError, match=r"column 'o' of c.d.t: metadata 'offset' can only be read"):
        check_writable(bad, table_options(bad))


def test_the_keys_of_a_format_come_after_value() -> None:
    keys = metadata_keys(table_options(table(format_name="debezium-json")))
    assert keys["value.source.timestamp"] == (TIMESTAMP_LTZ(3), False)
    assert keys["partition"] == (INT().not_null(), False)
    assert "value.source.timestamp" not in metadata_keys(table_options(table()))
