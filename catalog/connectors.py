"""Descriptors of connectors and formats: options, changelog mode and abilities, without any I/O.

The runtime holds the classes that read and write under the same names (``runtime/connectors``, ``runtime/formats``).
A connector module registers its descriptor here by being listed in :data:`CONNECTORS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from streamsql.changelog import ChangelogMode
from streamsql.datatypes import DataType
from streamsql.errors import ConfigError, ValidationError, did_you_mean

from .options import ConfigOption, Options
from .table import TableDefinition

ERROR_HANDLING = (
    ConfigOption(
        "error-handling.mode",
        "enum",
        "fail",
        "what a record that cannot be read does",
        choices=("fail", "ignore", "log"),
    ),
    ConfigOption(
        "error-handling.log.target", "string", None, "the table that takes unreadable records in mode 'log'"
    ),
)
SCAN_OPTIONS = (
    ConfigOption(
        "scan.watermark.idle-timeout",
        "duration",
        None,
        "a split without rows for so long is left out of the watermark",
    ),
    ConfigOption(
        "scan.watermark.emit.strategy",
        "enum",
        "on-periodic",
        choices=("on-periodic", "on-event"),
        description="watermarks advance at the end of a step",
        refused={"on-event": "watermarks advance at the end of a step, not after each row"},
    ),
    ConfigOption(
        "scan.watermark.alignment.group",
        "string",
        None,
        "splits of tables in one group are kept close in event time",
    ),
    ConfigOption(
        "scan.watermark.alignment.max-drift", "duration", None, "how far a split may run ahead of the slowest"
    ),
    ConfigOption(
        "scan.watermark.alignment.update-interval",
        "duration",
        1000,
        "accepted; alignment is checked after every step",
    ),
    ConfigOption(
        "scan.parallelism",
        "int",
        None,
        unsupported="a job runs in one process",
    ),
)
SINK_OPTIONS = (ConfigOption("sink.parallelism", "int", None, unsupported="a job runs in one process"),)


@dataclass(frozen=True)
class FormatDescriptor:
    """A format: options (without the prefix), what changelog it carries, and its metadata keys ``{key: type}``.

    ``changelog_mode`` is INSERT_ONLY for append formats, RETRACT for CDC formats.
    """

    name: str
    options: tuple[ConfigOption, ...] = ()
    changelog_mode: ChangelogMode = ChangelogMode.INSERT_ONLY
    metadata: Mapping[str, DataType] = field(default_factory=dict[str, DataType])


@dataclass(frozen=True)
class ConnectorDescriptor:
    """A connector: what it can do and the options it takes.

    ``metadata``: key → (type, writable). ``formats``: the formats it accepts (empty: it has none of its own).
    ``sink_modes``: changelog modes its sink takes. ``needs_primary_key``: refuse a table without one.
    ``validate``: the rules between options, without I/O; called at the end of :func:`table_options`.
    ``partitioned``: it understands PARTITIONED BY. ``lookup``: it answers keys, in lookup joins.
    """

    name: str
    scan: bool
    sink: bool
    options: tuple[ConfigOption, ...] = ()
    formats: tuple[str, ...] = ()
    metadata: Mapping[str, tuple[DataType, bool]] = field(default_factory=dict[str, tuple[DataType, bool]])
    sink_modes: tuple[ChangelogMode, ...] = (ChangelogMode.INSERT_ONLY,)
    source_mode: ChangelogMode = ChangelogMode.INSERT_ONLY
    needs_primary_key: bool = False
    description: str = ""
    validate: Callable[[TableDefinition, TableOptions], None] | None = None
    partitioned: bool = False
    lookup: bool = False


CONNECTORS: dict[str, ConnectorDescriptor] = {}
FORMATS: dict[str, FormatDescriptor] = {}


def register_connector(descriptor: ConnectorDescriptor) -> ConnectorDescriptor:
    CONNECTORS[descriptor.name] = descriptor
    return descriptor


def register_format(descriptor: FormatDescriptor) -> FormatDescriptor:
    FORMATS[descriptor.name] = descriptor
    return descriptor


def connector_of(table: TableDefinition) -> ConnectorDescriptor:
    """The descriptor of a table's connector. Raises ValidationError for none, ConfigError for an unknown one."""
    name = table.connector
    if name is None:
        raise ValidationError(
            f"table {table.path} has no 'connector' option", hint="add WITH ('connector'='kafka', …)"
        )
    if name not in CONNECTORS:
        raise ConfigError(
            f"table {table.path}: unknown connector '{name}'",
            hint=did_you_mean(name, CONNECTORS) or "connectors: " + ", ".join(sorted(CONNECTORS)),
        )
    return CONNECTORS[name]


@dataclass(frozen=True)
class FormatChoice:
    """A format as a table uses it: its descriptor and its typed options."""

    descriptor: FormatDescriptor
    options: Options


@dataclass(frozen=True)
class TableOptions:
    """All options of a table, typed: the connector's own, and those of its key and value formats."""

    connector: ConnectorDescriptor
    options: Options
    value_format: FormatChoice | None
    key_format: FormatChoice | None

    @property
    def source_mode(self) -> ChangelogMode:
        """The changelog a scan of the table yields."""
        if (
            self.value_format is not None
            and self.value_format.descriptor.changelog_mode is not ChangelogMode.INSERT_ONLY
        ):
            return self.value_format.descriptor.changelog_mode
        if "changelog-mode" in self.options:
            return ChangelogMode(self.options["changelog-mode"])
        return self.connector.source_mode

    @property
    def sink_modes(self) -> tuple[ChangelogMode, ...]:
        """The changelogs an INSERT into the table may carry: a changelog format writes deletions too."""
        if (
            self.value_format is not None
            and self.value_format.descriptor.changelog_mode is ChangelogMode.RETRACT
        ):
            return (ChangelogMode.INSERT_ONLY, ChangelogMode.RETRACT)
        return self.connector.sink_modes


def table_options(table: TableDefinition, overrides: Mapping[str, str] | None = None) -> TableOptions:
    """Validate and type a table's WITH options (``overrides`` come from an OPTIONS hint).

    Raises ConfigError with did-you-mean for unknown keys, and for a format the connector does not take.
    """
    given = {**table.options, **(overrides or {})}
    connector = connector_of(table)
    owner = f"table {table.path} (connector '{connector.name}')"
    declared = [ConfigOption("connector", required=True), *connector.options]
    value_name = given.get("value.format") or given.get("format")
    key_name = given.get("key.format")
    value_prefixes = [f"value.{value_name}.", f"{value_name}."] if value_name else []
    key_prefix = f"key.{key_name}." if key_name else None
    own: dict[str, str] = {}
    value_given: dict[str, str] = {}
    key_given: dict[str, str] = {}
    for key, text in given.items():
        value_prefix = next((p for p in value_prefixes if key.startswith(p)), None)
        if connector.formats and value_prefix is not None:
            value_given[key[len(value_prefix) :]] = text
        elif connector.formats and key_prefix is not None and key.startswith(key_prefix):
            key_given[key[len(key_prefix) :]] = text
        else:
            own[key] = text
    typed = TableOptions(
        connector,
        Options(declared, own, owner),
        _format(value_name, value_given, connector, owner) if value_name and connector.formats else None,
        _format(key_name, key_given, connector, owner) if key_name and connector.formats else None,
    )
    if connector.validate is not None:
        connector.validate(table, typed)
    return typed


def _format(name: str, given: Mapping[str, str], connector: ConnectorDescriptor, owner: str) -> FormatChoice:
    if name not in FORMATS or name not in connector.formats:
        raise ConfigError(
            f"{owner}: format '{name}' is unknown or not usable here",
            hint=did_you_mean(name, connector.formats) or "formats: " + ", ".join(connector.formats),
        )
    descriptor = FORMATS[name]
    return FormatChoice(descriptor, Options(descriptor.options, given, f"format '{name}' of {owner}"))


from . import descriptors as _descriptors  # noqa: E402  (fills the registries; needs the names above)

assert _descriptors
