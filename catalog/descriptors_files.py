"""The connectors ``filesystem``, ``datagen``, ``print`` and ``blackhole``: options, metadata columns and their rules.

Source: Flink 2.x, ``FileSystemConnectorOptions``, ``DataGenConnectorOptions`` and ``PrintTableSinkFactory``.
"""

from __future__ import annotations

import re

from streamsql.changelog import ChangelogMode
from streamsql.datatypes import BIGINT, STRING, TIMESTAMP_LTZ, DataType
from streamsql.errors import ConfigError, ValidationError, did_you_mean

from .connectors import (
    ERROR_HANDLING,
    SCAN_OPTIONS,
    SINK_OPTIONS,
    ConnectorDescriptor,
    TableOptions,
    register_connector,
)
from .lookup import FULL, FULL_CACHE, NONE, PARTIAL, lookup_options
from .options import ConfigOption, Options
from .table import TableDefinition

FILE_METADATA: dict[str, tuple[DataType, bool]] = {
    "file.path": (STRING().not_null(), False),
    "file.name": (STRING().not_null(), False),
    "file.size": (BIGINT().not_null(), False),
    "file.modification-time": (TIMESTAMP_LTZ(3).not_null(), False),
}
_COMPACTION = (
    "files are written by one process and are not merged afterwards; raise 'sink.rolling-policy.file-size'"
)
_JAVA_CLASS = "it names a Java class"
_NO_INDEX = "files cannot be asked for a key, only read whole"

FILESYSTEM_OPTIONS = (
    ConfigOption(
        "path", required=True, description="a file or a directory; a plain path, or a URI such as s3://…"
    ),
    ConfigOption("format", required=True, description="csv, json, parquet or raw"),
    ConfigOption(
        "partition.default-name", default="__DEFAULT_PARTITION__", description="the directory of NULL and ''"
    ),
    ConfigOption(
        "source.monitor-interval",
        "duration",
        None,
        "look for new files so often; without it the table is bounded",
    ),
    ConfigOption("source.path.regex-pattern", description="read only files whose whole path matches"),
    ConfigOption(
        "source.report-statistics", "enum", "ALL", "accepted; plans carry no cost", choices=("NONE", "ALL")
    ),
    ConfigOption(
        "sink.rolling-policy.file-size", "memory", 134_217_728, "a part file of this size is finished"
    ),
    ConfigOption(
        "sink.rolling-policy.rollover-interval", "duration", 1_800_000, "a part file of this age is finished"
    ),
    ConfigOption(
        "sink.rolling-policy.inactivity-interval",
        "duration",
        1_800_000,
        "so is one not written to for so long",
    ),
    ConfigOption("sink.rolling-policy.check-interval", "duration", 60_000, "how often ages are looked at"),
    ConfigOption(
        "sink.shuffle-by-partition.enable", "bool", False, "accepted; one process writes every partition"
    ),
    ConfigOption("auto-compaction", "bool", False, unsupported=_COMPACTION),
    ConfigOption("compaction.file-size", "memory", None, unsupported=_COMPACTION),
    ConfigOption("compaction.parallelism", "int", None, unsupported=_COMPACTION),
    ConfigOption(
        "sink.partition-commit.trigger",
        "enum",
        "process-time",
        choices=("process-time", "partition-time"),
        description="by the clock since the partition's creation, or by the time in the partition's values",
    ),
    ConfigOption(
        "sink.partition-commit.delay", "duration", 0, "a partition is committed so long after its time"
    ),
    ConfigOption(
        "sink.partition-commit.watermark-time-zone",
        default="UTC",
        description="the zone of a partition's time",
    ),
    ConfigOption(
        "sink.partition-commit.policy.kind",
        description="'success-file' writes an empty file into a committed partition",
    ),
    ConfigOption(
        "sink.partition-commit.success-file.name", default="_SUCCESS", description="the name of that file"
    ),
    ConfigOption("sink.partition-commit.policy.class", unsupported=_JAVA_CLASS),
    ConfigOption("sink.partition-commit.policy.class.parameters", unsupported=_JAVA_CLASS),
    ConfigOption(
        "partition.time-extractor.kind",
        "enum",
        "default",
        "how a partition's values give its time",
        choices=("default", "custom"),
        refused={"custom": _JAVA_CLASS},
    ),
    ConfigOption("partition.time-extractor.class", unsupported=_JAVA_CLASS),
    ConfigOption(
        "partition.time-extractor.timestamp-pattern",
        description="e.g. '$day $hour:00:00'; default: the first key",
    ),
    ConfigOption(
        "partition.time-extractor.timestamp-formatter",
        default="yyyy-MM-dd HH:mm:ss",
        description="the form of that text, in Java's letters",
    ),
    ConfigOption(
        "lookup.cache",
        "enum",
        FULL,
        "a lookup join holds the whole table",
        choices=(NONE, PARTIAL, FULL),
        refused={NONE: _NO_INDEX, PARTIAL: _NO_INDEX},
    ),
    *FULL_CACHE,
    *ERROR_HANDLING,
    *SCAN_OPTIONS,
    *SINK_OPTIONS,
)


def _check_filesystem(table: TableDefinition, typed: TableOptions) -> None:
    """The rules between options. Raises ConfigError or ValidationError."""
    options = typed.options
    rest = [c.name for c in table.physical_columns if c.name not in table.partition_keys]
    if not rest:
        raise ValidationError(
            f"table {table.path}: no column beside the partition keys is left to put into files"
        )
    if typed.value_format is not None and typed.value_format.descriptor.name == "raw" and len(rest) != 1:
        raise ValidationError(f"table {table.path}: format 'raw' takes one column beside the partition keys")
    kinds = [k.strip() for k in (options["sink.partition-commit.policy.kind"] or "").split(",") if k.strip()]
    for kind in kinds:
        if kind != "success-file":
            raise ConfigError(
                f"option 'sink.partition-commit.policy.kind' of {options.owner}: "
                f"found '{kind}', expected 'success-file'",
                hint="'metastore' and 'custom' need a Hive metastore and a Java class",
            )
    if kinds and not table.partition_keys:
        raise ConfigError(f"{options.owner}: 'sink.partition-commit.policy.kind' needs PARTITIONED BY")
    if options["source.path.regex-pattern"] is not None:
        try:
            re.compile(options["source.path.regex-pattern"])
        except re.error as e:
            raise ConfigError(f"option 'source.path.regex-pattern' of {options.owner}: {e}") from None
    if options["source.monitor-interval"] is not None and options["source.monitor-interval"] <= 0:
        raise ConfigError(
            f"option 'source.monitor-interval' of {options.owner}: found 0, expected a duration above 0"
        )
    asked = lookup_options(options)
    if asked is not None and asked.reload is not None and options["source.monitor-interval"] is not None:
        raise ConfigError(
            f"{options.owner}: 'source.monitor-interval' and 'lookup.full-cache.*' exclude each other: "
            "new files are seen as they come, or the table is read again as a whole",
            hint="leave one of them out",
        )


FILESYSTEM = register_connector(
    ConnectorDescriptor(
        "filesystem",
        scan=True,
        sink=True,
        options=FILESYSTEM_OPTIONS,
        formats=("csv", "debezium-json", "json", "parquet", "raw"),
        metadata=FILE_METADATA,
        description="Files in a directory, on this machine or in an object store",
        validate=_check_filesystem,
        partitioned=True,
    )
)

DATAGEN_OPTIONS = (
    ConfigOption("rows-per-second", "int", 10_000, "how fast rows come"),
    ConfigOption(
        "number-of-rows", "int", None, "how many come; endless without it (unless a field is a sequence)"
    ),
    ConfigOption("seed", "int", None, "the same seed gives the same random values"),
    ConfigOption("fields.#.kind", "enum", "random", "random, or sequence", choices=("random", "sequence")),
    ConfigOption("fields.#.min", description="smallest random number"),
    ConfigOption("fields.#.max", description="largest random number"),
    ConfigOption("fields.#.max-past", "duration", 0, "timestamps lie up to so long before now"),
    ConfigOption("fields.#.length", "int", None, "of texts and bytes (100) and of collections (3)"),
    ConfigOption("fields.#.var-len", "bool", False, "lengths are random, up to 'length'"),
    ConfigOption("fields.#.start", description="first value of a sequence"),
    ConfigOption("fields.#.end", description="last value of a sequence; the table ends there"),
    ConfigOption("fields.#.null-rate", "float", 0.0, "share of NULLs"),
    *SCAN_OPTIONS,
)
_FIELD_KEY = re.compile(r"fields\.(.+)\.(kind|min|max|max-past|length|var-len|start|end|null-rate)")


def datagen_field_options(options: Options) -> dict[str, dict[str, object]]:
    """Field path → its options: ``{"price": {"min": "1"}}``."""
    fields: dict[str, dict[str, object]] = {}
    for key in options.given:
        match = _FIELD_KEY.fullmatch(key)
        if match is not None:
            fields.setdefault(match[1], {})[match[2]] = options[key]
    return fields


def _check_datagen(table: TableDefinition, typed: TableOptions) -> None:
    """Every ``fields.…`` names a column, and a sequence has its ends. Raises ConfigError."""
    options = typed.options
    names = {c.name: c.type for c in table.physical_columns}
    paths = set[str]()
    for name, t in names.items():
        paths |= {name} if t is None else set(_paths(name, t))
    for path, given in datagen_field_options(options).items():
        if path not in paths:
            raise ConfigError(
                f"option 'fields.{path}.…' of {options.owner}: found no such column",
                hint=did_you_mean(path, sorted(paths)) or "columns: " + ", ".join(names),
            )
        if given.get("kind") == "sequence" and not {"start", "end"} <= given.keys():
            raise ConfigError(
                f"{options.owner}: a sequence needs 'fields.{path}.start' and 'fields.{path}.end'",
                hint="add both",
            )
        rate = given.get("null-rate", 0.0)
        if not isinstance(rate, float) or not 0 <= rate <= 1:
            raise ConfigError(
                f"option 'fields.{path}.null-rate' of {options.owner}: found {rate}, expected 0 to 1"
            )
    for key in ("rows-per-second", "number-of-rows"):
        if options[key] is not None and options[key] <= 0:
            raise ConfigError(
                f"option '{key}' of {options.owner}: found {options[key]}, expected a number above 0"
            )


def _paths(name: str, t: DataType) -> list[str]:
    """A column's path and those of its parts: ``m``, ``m.key``, ``m.value``, ``a.element``, ``r.field``."""
    parts = {
        "ARRAY": ("element",),
        "MULTISET": ("element",),
        "MAP": ("key", "value"),
        "ROW": t.names,
    }.get(t.root.value, ())
    out = [name]
    for part, child in zip(parts, t.children, strict=False):
        out += _paths(f"{name}.{part}", child)
    return out


DATAGEN = register_connector(
    ConnectorDescriptor(
        "datagen",
        scan=True,
        sink=False,
        options=DATAGEN_OPTIONS,
        description="Made-up rows: random values and sequences",
        validate=_check_datagen,
    )
)

_EVERYTHING = (ChangelogMode.INSERT_ONLY, ChangelogMode.RETRACT)

PRINT = register_connector(
    ConnectorDescriptor(
        "print",
        scan=False,
        sink=True,
        options=(
            ConfigOption("print-identifier", description="stands before each line: identifier> +I[a, 1]"),
            ConfigOption(
                "standard-error", "bool", False, "print to standard error instead of standard output"
            ),
            *SINK_OPTIONS,
        ),
        sink_modes=_EVERYTHING,
        description="Prints every change",
    )
)

BLACKHOLE = register_connector(
    ConnectorDescriptor(
        "blackhole",
        scan=False,
        sink=True,
        sink_modes=_EVERYTHING,
        description="Takes every change and keeps none, to measure",
    )
)
