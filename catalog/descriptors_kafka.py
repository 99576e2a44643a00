"""The connectors ``kafka`` and ``upsert-kafka``: options, metadata columns, and the rules between options.

Source: Flink 2.x Kafka connector, ``KafkaConnectorOptions`` and ``KafkaConnectorOptionsUtil``.
"""

from __future__ import annotations

import re

from streamsql.changelog import ChangelogMode
from streamsql.datatypes import ARRAY, BIGINT, BYTES, INT, MAP, ROW, STRING, TIMESTAMP_LTZ, DataType
from streamsql.errors import ConfigError, UnsupportedError, ValidationError, did_you_mean

from .connectors import (
    ERROR_HANDLING,
    SCAN_OPTIONS,
    SINK_OPTIONS,
    ConnectorDescriptor,
    TableOptions,
    register_connector,
)
from .kafka_properties import PREFIX, check_properties
from .options import ConfigOption
from .table import TableDefinition

KAFKA_METADATA: dict[str, tuple[DataType, bool]] = {
    "topic": (STRING().not_null(), True),
    "partition": (INT().not_null(), False),
    "headers": (MAP(STRING().not_null(), BYTES()).not_null(), True),
    "header-list": (ARRAY(ROW([("key", STRING()), ("value", BYTES())])).not_null(), True),
    "leader-epoch": (INT(), False),
    "offset": (BIGINT().not_null(), False),
    "timestamp": (TIMESTAMP_LTZ(3).not_null(), True),
    "timestamp-type": (STRING().not_null(), False),
}
"""Key → (type, whether INSERT may write it)."""

_PROPERTIES = (
    ConfigOption(
        "properties.bootstrap.servers",
        required=True,
        description="brokers to begin with: host:port,host:port",
    ),
    ConfigOption("properties.*", description="client properties: Kafka's names, or librdkafka's"),
)
_BOUNDED = (
    ConfigOption(
        "scan.bounded.mode", "enum", "unbounded", "where reading ends",
        choices=("unbounded", "latest-offset", "group-offsets", "timestamp", "specific-offsets"),
    ),
    ConfigOption("scan.bounded.specific-offsets", description="partition:0,offset:42;partition:1,offset:300"),
    ConfigOption("scan.bounded.timestamp-millis", "int", description="epoch milliseconds, exclusive"),
)  # fmt: skip
_DISCOVERY = ConfigOption(
    "scan.topic-partition-discovery.interval",
    "duration",
    300_000,
    "time between looks for new partitions; 0: never",
)
_VALUE_FIELDS = ConfigOption(
    "value.fields-include",
    "enum",
    "ALL",
    "whether the value has the key columns too",
    choices=("ALL", "EXCEPT_KEY"),
)
_KEY_PREFIX = ConfigOption(
    "key.fields-prefix",
    default="",
    description="start of the key columns' names that the message's key lacks",
)
_DELIVERY = ConfigOption(
    "sink.delivery-guarantee", "enum", "at-least-once", "what holds for rows when the job fails",
    choices=("none", "at-least-once", "exactly-once"),
)  # fmt: skip
_TRANSACTIONS = (
    ConfigOption(
        "sink.transactional-id-prefix",
        description="names the job's transactions in exactly-once; the same for all tables of a job, and for no other",
    ),
    ConfigOption(
        "sink.transaction-naming-strategy", "enum", "POOLING", "how transactional ids are chosen: two in turns",
        choices=("INCREMENTING", "POOLING"), refused={"INCREMENTING": "two transactional ids are used in turns"},
    ),
)  # fmt: skip

_KAFKA_OPTIONS = (
    ConfigOption("topic", "list", description="topic to read or write; 'a;b' reads several"),
    ConfigOption("topic-pattern", description="regular expression of the topics to read"),
    *_PROPERTIES,
    ConfigOption("format", description="format of message values"),
    ConfigOption("value.format", description="the same as 'format'"),
    ConfigOption("key.format", description="format of message keys"),
    ConfigOption("key.fields", "list", (), "columns that make up the message key, as 'a;b'"),
    _KEY_PREFIX,
    _VALUE_FIELDS,
    ConfigOption(
        "scan.startup.mode", "enum", "group-offsets", "where reading starts",
        choices=("group-offsets", "earliest-offset", "latest-offset", "timestamp", "specific-offsets"),
    ),
    ConfigOption("scan.startup.specific-offsets", description="partition:0,offset:42;partition:1,offset:300"),
    ConfigOption("scan.startup.timestamp-millis", "int", description="epoch milliseconds"),
    *_BOUNDED,
    _DISCOVERY,
    ConfigOption(
        "sink.partitioner", "enum", "default", "where a row goes to",
        choices=("default", "fixed", "round-robin"),
    ),
    _DELIVERY,
    ConfigOption(
        "sink.semantic", "enum", None, "old name of 'sink.delivery-guarantee'",
        choices=("none", "at-least-once", "exactly-once"),
    ),
    *_TRANSACTIONS,
    *SCAN_OPTIONS,
    *SINK_OPTIONS,
    *ERROR_HANDLING,
)  # fmt: skip

_UPSERT_OPTIONS = (
    ConfigOption("topic", "list", required=True, description="topic to read or write; 'a;b' reads several"),
    *_PROPERTIES,
    ConfigOption("key.format", required=True, description="format of message keys"),
    ConfigOption("value.format", required=True, description="format of message values"),
    _KEY_PREFIX,
    _VALUE_FIELDS,
    *_BOUNDED,
    _DISCOVERY,
    ConfigOption("sink.buffer-flush.max-rows", "int", 0, "rows to collect before they are sent; 0: none"),
    ConfigOption("sink.buffer-flush.interval", "duration", 0, "how long rows may be collected; 0: none"),
    _DELIVERY,
    *_TRANSACTIONS,
    *SCAN_OPTIONS,
    *SINK_OPTIONS,
    *ERROR_HANDLING,
)


def validate(table: TableDefinition, options: TableOptions) -> None:
    """The rules between the options of a ``kafka`` table. Raises ConfigError or ValidationError."""
    owner = _owner(table)
    given = options.options
    if given["topic"] and "topic-pattern" in given:
        raise ConfigError(
            f"{owner}: both 'topic' and 'topic-pattern' are given", hint="keep one; a sink needs 'topic'"
        )
    if not given["topic"] and "topic-pattern" not in given:
        raise ConfigError(f"{owner} needs the option 'topic' or 'topic-pattern'")
    if "topic-pattern" in given:
        _check_pattern(given["topic-pattern"], owner)
    _check_value_format(options, owner)
    _check_startup(options, owner)
    _check_key(table, options, owner)
    _check_primary_key(table, options, owner)
    if "sink.semantic" in given and "sink.delivery-guarantee" in given:
        raise ConfigError(
            f"{owner}: both 'sink.semantic' and 'sink.delivery-guarantee' are given",
            hint="keep 'sink.delivery-guarantee'; the other is its old name",
        )
    if given["sink.partitioner"] == "round-robin" and given["key.fields"]:
        raise ConfigError(
            f"{owner}: 'sink.partitioner'='round-robin' does not go with 'key.fields'",
            hint="use 'default': it sends equal keys to one partition",
        )
    _check_common(options, owner)


def validate_upsert(table: TableDefinition, options: TableOptions) -> None:
    """The rules between the options of an ``upsert-kafka`` table; raises as :func:`validate`."""
    owner = _owner(table)
    if not table.primary_key:
        raise ValidationError(
            f"{owner} needs a primary key: its columns are the message key",
            hint="add PRIMARY KEY (…) NOT ENFORCED",
        )
    if not options.options["topic"]:
        raise ConfigError(f"{owner}: 'topic' is empty")
    prefix = options.options["key.fields-prefix"]
    physical = {c.name for c in table.physical_columns}
    for name in table.primary_key:
        if name not in physical:
            raise ValidationError(f"{owner}: the primary key column '{name}' is not a physical column")
    _check_prefix(list(table.primary_key), prefix, options, owner)
    rows, interval = (
        options.options["sink.buffer-flush.max-rows"],
        options.options["sink.buffer-flush.interval"],
    )
    if (rows > 0) != (interval > 0):
        raise ConfigError(
            f"{owner}: of 'sink.buffer-flush.max-rows' and 'sink.buffer-flush.interval' only one is above 0",
            hint="set both above 0 to collect rows, or neither",
        )
    _check_common(options, owner)


def parse_offsets(text: str, key: str, owner: str) -> dict[int, int]:
    """Partition → offset of ``partition:0,offset:42;partition:1,offset:300``.

    >>> parse_offsets("partition:0,offset:42;partition:1,offset:300", "k", "t")
    {0: 42, 1: 300}
    """
    found: dict[int, int] = {}
    for part in text.split(";"):
        match = re.fullmatch(r"\s*partition\s*:\s*(\d+)\s*,\s*offset\s*:\s*(\d+)\s*", part)
        if match is None:
            raise ConfigError(
                f"option '{key}' of {owner}: found '{text}', expected partition and offset pairs",
                hint="'partition:0,offset:42;partition:1,offset:300'",
            )
        found[int(match[1])] = int(match[2])
    return found


def delivery_guarantee(options: TableOptions) -> str:
    """``none``, ``at-least-once`` or ``exactly-once``, under the option's new or old name."""
    if "sink.semantic" in options.options.given:
        return str(options.options["sink.semantic"])
    return str(options.options["sink.delivery-guarantee"])


def key_columns(table: TableDefinition, options: TableOptions) -> list[str]:
    """The columns held by the message key, in the key format's order: the primary key or ``key.fields``."""
    if options.connector.name == "upsert-kafka":
        return list(table.primary_key)
    return list(options.options["key.fields"])


def _owner(table: TableDefinition) -> str:
    return f"table {table.path} (connector '{table.connector}')"


def _check_pattern(pattern: str, owner: str) -> None:
    try:
        re.compile(pattern)
    except re.error as e:
        raise ConfigError(
            f"option 'topic-pattern' of {owner}: '{pattern}' is not a regular expression: {e}"
        ) from None


def _check_value_format(options: TableOptions, owner: str) -> None:
    given = options.options
    if "format" in given and "value.format" in given:
        raise ConfigError(
            f"{owner}: both 'format' and 'value.format' are given", hint="they mean the same; keep one"
        )
    if options.value_format is None:
        raise ConfigError(
            f"{owner} needs the option 'format'", hint="formats: " + ", ".join(options.connector.formats)
        )


def _check_startup(options: TableOptions, owner: str) -> None:
    given = options.options
    mode = given["scan.startup.mode"]
    _check_needs(options, mode, "timestamp", "scan.startup", "timestamp-millis", owner)
    _check_needs(options, mode, "specific-offsets", "scan.startup", "specific-offsets", owner)
    if "scan.startup.specific-offsets" in given:
        parse_offsets(given["scan.startup.specific-offsets"], "scan.startup.specific-offsets", owner)
    if mode == "specific-offsets" and len(given["topic"] or ()) != 1:
        raise ConfigError(
            f"{owner}: 'scan.startup.mode'='specific-offsets' needs exactly one topic",
            hint="declare one table for each topic",
        )


def _check_bounded(options: TableOptions, owner: str) -> None:
    given = options.options
    mode = given["scan.bounded.mode"]
    _check_needs(options, mode, "timestamp", "scan.bounded", "timestamp-millis", owner)
    _check_needs(options, mode, "specific-offsets", "scan.bounded", "specific-offsets", owner)
    if "scan.bounded.specific-offsets" in given:
        parse_offsets(given["scan.bounded.specific-offsets"], "scan.bounded.specific-offsets", owner)
    if mode == "specific-offsets" and len(given["topic"] or ()) != 1:
        raise ConfigError(f"{owner}: 'scan.bounded.mode'='specific-offsets' needs exactly one topic")
    if mode == "group-offsets" and "properties.group.id" not in given:
        raise ConfigError(
            f"{owner}: 'scan.bounded.mode'='group-offsets' needs the option 'properties.group.id'"
        )


def _check_needs(options: TableOptions, mode: str, value: str, prefix: str, detail: str, owner: str) -> None:
    """``prefix.mode``=``value`` needs the option ``prefix.detail``.

    The detail without the mode is fine, as in Flink: a hint may choose another mode for one query.
    """
    if mode == value and f"{prefix}.{detail}" not in options.options:
        raise ConfigError(f"{owner}: '{prefix}.mode'='{value}' needs the option '{prefix}.{detail}'")


def _check_key(table: TableDefinition, options: TableOptions, owner: str) -> None:
    fields = options.options["key.fields"]
    if options.key_format is not None and not fields:
        raise ConfigError(
            f"{owner}: 'key.format' needs the option 'key.fields'",
            hint="'key.fields'='a;b' names the key's columns",
        )
    if fields and options.key_format is None:
        raise ConfigError(f"{owner}: 'key.fields' needs the option 'key.format'")
    physical = [c.name for c in table.physical_columns]
    for name in fields:
        if name not in physical:
            raise ConfigError(
                f"{owner}: 'key.fields' names '{name}', which is not a physical column of the table",
                hint=did_you_mean(name, physical) or "columns: " + ", ".join(physical),
            )
    _check_prefix(list(fields), options.options["key.fields-prefix"], options, owner)


def _check_prefix(fields: list[str], prefix: str, options: TableOptions, owner: str) -> None:
    choice = options.key_format
    if choice is not None and choice.descriptor.changelog_mode is not ChangelogMode.INSERT_ONLY:
        raise UnsupportedError(
            f"{owner}: '{choice.descriptor.name}' is a changelog format and cannot be the 'key.format'"
        )
    if not prefix:
        return
    if options.options["value.fields-include"] == "ALL":
        raise ConfigError(
            f"{owner}: 'key.fields-prefix' does not go with 'value.fields-include'='ALL'",
            hint="set 'value.fields-include'='EXCEPT_KEY'",
        )
    for name in fields:
        if not name.startswith(prefix):
            raise ConfigError(
                f"{owner}: the key column '{name}' does not begin with 'key.fields-prefix' '{prefix}'"
            )


def _check_primary_key(table: TableDefinition, options: TableOptions, owner: str) -> None:
    choice = options.value_format
    if (
        table.primary_key
        and choice is not None
        and choice.descriptor.changelog_mode is ChangelogMode.INSERT_ONLY
    ):
        raise ValidationError(
            f"{owner}: a primary key cannot hold, since format '{choice.descriptor.name}' only appends",
            hint="use 'upsert-kafka', a changelog format such as 'debezium-json', or no primary key",
        )


def _check_common(options: TableOptions, owner: str) -> None:
    _check_bounded(options, owner)
    given = options.options
    if delivery_guarantee(options) == "exactly-once" and not given["sink.transactional-id-prefix"]:
        raise ConfigError(
            f"{owner}: 'sink.delivery-guarantee' = 'exactly-once' needs the option 'sink.transactional-id-prefix'",
            hint="a name for the job's transactions that no other job uses, the same for all its tables",
        )
    if given["error-handling.mode"] == "log" and not given["error-handling.log.target"]:
        raise ConfigError(
            f"{owner}: 'error-handling.mode'='log' needs the option 'error-handling.log.target'"
        )
    check_properties(given.with_prefix(PREFIX), owner)


KAFKA = register_connector(
    ConnectorDescriptor(
        "kafka",
        scan=True,
        sink=True,
        options=_KAFKA_OPTIONS,
        formats=("json", "csv", "raw", "debezium-json"),
        metadata=KAFKA_METADATA,
        validate=validate,
        description="Reads Kafka topics, and appends rows to them.",
    )
)
UPSERT_KAFKA = register_connector(
    ConnectorDescriptor(
        "upsert-kafka",
        scan=True,
        sink=True,
        options=_UPSERT_OPTIONS,
        formats=("json", "csv", "raw"),
        metadata=KAFKA_METADATA,
        sink_modes=(ChangelogMode.UPSERT, ChangelogMode.INSERT_ONLY),
        source_mode=ChangelogMode.UPSERT,
        needs_primary_key=True,
        validate=validate_upsert,
        description="A Kafka topic as a table: the last message of a key is its row.",
    )
)
