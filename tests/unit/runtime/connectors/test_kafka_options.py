"""What CREATE TABLE refuses for the Kafka connectors, and how options reach librdkafka. No broker, no client."""

import ctypes
from collections.abc import Mapping

import pytest

from streamsql.catalog import kafka_properties
from streamsql.catalog.connectors import table_options
from streamsql.catalog.kafka_properties import (
    Client,
    client_properties,
    commits_offsets,
    offset_reset,
)
from streamsql.catalog.table import Column, ObjectPath, TableDefinition
from streamsql.datatypes import INT, STRING
from streamsql.errors import StreamSqlError, UnsupportedError
from streamsql.runtime.connectors import mock_cluster

KAFKA = {"connector": "kafka", "topic": "t", "properties.bootstrap.servers": "h:1", "format": "json"}
UPSERT = {
    "connector": "upsert-kafka",
    "topic": "t",
    "properties.bootstrap.servers": "h:1",
    "key.format": "json",
    "value.format": "json",
}


def check(options: Mapping[str, str], primary_key: tuple[str, ...] = ()) -> None:
    columns = (Column("a", INT()), Column("k", STRING()))
    table_options(TableDefinition(ObjectPath("c", "d", "t"), columns, options, primary_key=primary_key))


def without(options: Mapping[str, str], *names: str) -> dict[str, str]:
    return {k: v for k, v in options.items() if k not in names}


ACCEPTED: list[tuple[Mapping[str, str], tuple[str, ...]]] = [
    (KAFKA, ()),
    ({**without(KAFKA, "format"), "value.format": "csv", "value.csv.field-delimiter": "|"}, ()),
    ({**without(KAFKA, "topic"), "topic-pattern": "a.*"}, ()),
    ({**KAFKA, "key.format": "json", "key.fields": "k", "key.json.ignore-parse-errors": "true"}, ()),
    (
        {
            **KAFKA,
            "key.format": "raw",
            "key.fields": "k",
            "key.fields-prefix": "k",
            "value.fields-include": "EXCEPT_KEY",
        },
        (),
    ),
    (
        {
            **KAFKA,
            "scan.startup.mode": "specific-offsets",
            "scan.startup.specific-offsets": "partition:0,offset:1",
        },
        (),
    ),
    ({**KAFKA, "scan.startup.timestamp-millis": "5"}, ()),  # for a hint that sets the mode
    ({**KAFKA, "scan.bounded.mode": "timestamp", "scan.bounded.timestamp-millis": "5"}, ()),
    ({**KAFKA, "format": "debezium-json"}, ("k",)),
    ({**KAFKA, "properties.security.protocol": "SASL_SSL", "properties.sasl.mechanism": "PLAIN"}, ()),
    ({**KAFKA, "error-handling.mode": "log", "error-handling.log.target": "e"}, ()),
    (UPSERT, ("k",)),
    ({**UPSERT, "sink.buffer-flush.max-rows": "10", "sink.buffer-flush.interval": "1 s"}, ("k",)),
]


@pytest.mark.parametrize(("options", "primary_key"), ACCEPTED)
def test_accepted(options: Mapping[str, str], primary_key: tuple[str, ...]) -> None:
    check(options, primary_key)


REFUSED: list[tuple[Mapping[str, str], str]] = [
    (without(KAFKA, "topic"), "needs the option 'topic' or 'topic-pattern'"),
    ({**KAFKA, "topic-pattern": "x"}, "both 'topic' and 'topic-pattern'"),
    ({**without(KAFKA, "topic"), "topic-pattern": "("}, "is not a regular expression"),
    (without(KAFKA, "properties.bootstrap.servers"), "needs the option 'properties.bootstrap.servers'"),
    (without(KAFKA, "format"), "needs the option 'format'"),
    ({**KAFKA, "value.format": "json"}, "both 'format' and 'value.format'"),
    ({**KAFKA, "format": "avro"}, "format 'avro' is unknown"),
    ({**KAFKA, "key.format": "json"}, "'key.format' needs the option 'key.fields'"),
    ({**KAFKA, "key.fields": "k"}, "'key.fields' needs the option 'key.format'"),
    ({**KAFKA, "key.format": "json", "key.fields": "kk"}, "which is not a physical column"),
    ({**KAFKA, "key.format": "debezium-json", "key.fields": "k"}, "cannot be the 'key.format'"),
    (
        {**KAFKA, "key.format": "json", "key.fields": "k", "key.fields-prefix": "k"},
        "does not go with 'value.fields-include'='ALL'",
    ),
    (
        {
            **KAFKA,
            "key.format": "json",
            "key.fields": "k",
            "key.fields-prefix": "x_",
            "value.fields-include": "EXCEPT_KEY",
        },
        "does not begin with 'key.fields-prefix'",
    ),
    ({**KAFKA, "scan.startup.mode": "newest"}, "expected one of group-offsets, earliest-offset"),
    ({**KAFKA, "scan.startup.mode": "timestamp"}, "needs the option 'scan.startup.timestamp-millis'"),
    ({**KAFKA, "scan.startup.mode": "specific-offsets"}, "needs the option 'scan.startup.specific-offsets'"),
    (
        {**KAFKA, "scan.startup.mode": "specific-offsets", "scan.startup.specific-offsets": "0:1"},
        "expected partition and offset pairs",
    ),
    (
        {
            **KAFKA,
            "topic": "a;b",
            "scan.startup.mode": "specific-offsets",
            "scan.startup.specific-offsets": "partition:0,offset:1",
        },
        "needs exactly one topic",
    ),
    ({**KAFKA, "scan.bounded.mode": "timestamp"}, "needs the option 'scan.bounded.timestamp-millis'"),
    ({**KAFKA, "scan.bounded.mode": "group-offsets"}, "needs the option 'properties.group.id'"),
    ({**KAFKA, "sink.partitioner": "com.example.Mine"}, "expected one of default, fixed, round-robin"),
    (
        {**KAFKA, "key.format": "json", "key.fields": "k", "sink.partitioner": "round-robin"},
        "does not go with 'key.fields'",
    ),
    ({**KAFKA, "sink.delivery-guarantee": "exactly-once"}, "needs the option 'sink.transactional-id-prefix'"),
    ({**KAFKA, "sink.semantic": "exactly-once"}, "needs the option 'sink.transactional-id-prefix'"),
    (
        {**KAFKA, "sink.transaction-naming-strategy": "INCREMENTING"},
        "two transactional ids are used in turns",
    ),
    ({**KAFKA, "properties.transactional.id": "x"}, "use 'sink.delivery-guarantee'='exactly-once'"),
    ({**KAFKA, "sink.semantic": "none", "sink.delivery-guarantee": "none"}, "both 'sink.semantic'"),
    ({**KAFKA, "scan.parallelism": "2"}, "'scan.parallelism' .* is not supported"),
    ({**KAFKA, "error-handling.mode": "log"}, "needs the option 'error-handling.log.target'"),
    ({**KAFKA, "scan.startup.mod": "x"}, r"did you mean 'scan\.startup\.mode'"),
    ({**KAFKA, "properties.sasl.jaas.config": "x"}, "belongs to the Java client"),
    ({**KAFKA, "properties.key.deserializer": "x"}, r"'format', 'key\.format' and 'value\.format'"),
    ({**KAFKA, "properties.sesion.timeout.ms": "5"}, r"did you mean 'session\.timeout\.ms'"),
    ({**KAFKA, "properties.auto.offset.reset": "first"}, "expected earliest, latest or none"),
    ({**KAFKA, "properties.buffer.memory": "much"}, "expected a number"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=[m for _, m in REFUSED])
def test_refused(options: Mapping[str, str], message: str) -> None:
    with pytest.raises(StreamSqlError, match=message):
        check(options)


def test_a_primary_key_on_an_append_only_table() -> None:
    with pytest.raises(StreamSqlError, match="a primary key cannot hold"):
        check(KAFKA, ("k",))


UPSERT_REFUSED: list[tuple[Mapping[str, str], tuple[str, ...], str]] = [
    (UPSERT, (), "needs a primary key"),
    (without(UPSERT, "key.format"), ("k",), r"needs the option 'key\.format'"),
    (without(UPSERT, "value.format"), ("k",), r"needs the option 'value\.format'"),
    ({**UPSERT, "value.format": "debezium-json"}, ("k",), "format 'debezium-json' is unknown or not usable"),
    ({**UPSERT, "format": "json"}, ("k",), "unknown option 'format'"),
    ({**UPSERT, "scan.startup.mode": "latest-offset"}, ("k",), r"unknown option 'scan\.startup\.mode'"),
    ({**UPSERT, "sink.buffer-flush.max-rows": "5"}, ("k",), "only one is above 0"),
    (
        {**UPSERT, "sink.delivery-guarantee": "exactly-once"},
        ("k",),
        "needs .* 'sink.transactional-id-prefix'",
    ),
    ({**UPSERT, "key.fields": "k"}, ("k",), r"unknown option 'key\.fields'"),
    ({**UPSERT, "sink.partitioner": "fixed"}, ("k",), r"unknown option 'sink\.partitioner'"),
]


@pytest.mark.parametrize(
    ("options", "primary_key", "message"), UPSERT_REFUSED, ids=[m for _, _, m in UPSERT_REFUSED]
)
def test_upsert_refused(options: Mapping[str, str], primary_key: tuple[str, ...], message: str) -> None:
    with pytest.raises(StreamSqlError, match=message):
        check(options, primary_key)


def test_properties_are_translated_and_sorted_by_client() -> None:
    given = {
        "bootstrap.servers": "h:1",
        "group.id": "g",
        "fetch.max.wait.ms": "7",
        "buffer.memory": "2048",
        "acks": "1",
        "request.timeout.ms": "9",
        "ssl.endpoint.identification.algorithm": "",
        "enable.auto.commit": "true",
    }
    common = {
        "bootstrap.servers": "h:1",
        "socket.timeout.ms": "9",
        "ssl.endpoint.identification.algorithm": "none",
    }
    assert client_properties(given, Client.CONSUMER, "t") == {
        **common,
        "group.id": "g",
        "fetch.wait.max.ms": "7",
    }
    assert client_properties(given, Client.PRODUCER, "t") == {
        **common,
        "acks": "1",
        "queue.buffering.max.kbytes": "2",
    }


def test_every_refused_name_says_what_to_do() -> None:
    for name in ("partitioner.class", "ssl.truststore.location", "max.poll.records", "transactional.id"):
        with pytest.raises(UnsupportedError) as caught:
            client_properties({name: "x"}, Client.CONSUMER, "table t")
        assert caught.value.hint


def test_group_options() -> None:
    assert commits_offsets({"group.id": "g"})
    assert not commits_offsets({"group.id": "g", "enable.auto.commit": "False"})
    assert not commits_offsets({})
    assert [offset_reset({"auto.offset.reset": v}) for v in ("earliest", "end", "none")] == [
        "earliest",
        "latest",
        None,
    ]
    assert offset_reset({}) is None


def test_librdkafka_knows_every_name_that_passes_through() -> None:
    """The lists of names are checked against the client's library, where it can be reached."""
    library = mock_cluster._library()
    if library is None:
        pytest.skip("the place of librdkafka's library is unknown on this platform")
    names = kafka_properties._BOTH | kafka_properties._CONSUMER | kafka_properties._PRODUCER
    text = ctypes.create_string_buffer(512)
    configuration = library.rd_kafka_conf_new()
    unknown_property = -2
    results = {n: library.rd_kafka_conf_set(configuration, n.encode(), b"1", text, 512) for n in names}
    assert [n for n, result in results.items() if result == unknown_property] == []
    assert library.rd_kafka_conf_set(configuration, b"no.such", b"1", text, 512) == unknown_property
