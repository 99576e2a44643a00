"""The connector ``jdbc``: options and their rules.

Source: Flink's JDBC connector, "JDBC SQL Connector": connector options, and the types of PostgreSQL.
"""

from __future__ import annotations

from streamsql.changelog import ChangelogMode
from streamsql.datatypes import DataType, Root
from streamsql.errors import ConfigError, UnsupportedError, ValidationError

from .connectors import SCAN_OPTIONS, SINK_OPTIONS, ConnectorDescriptor, TableOptions, register_connector
from .lookup import (
    FULL,
    FULL_CACHE,
    NONE,
    PARTIAL,
    PARTIAL_CACHE,
    check_not_negative,
    check_positive,
    lookup_options,
)
from .options import ConfigOption
from .postgres_url import parse_postgres_url
from .table import TableDefinition

_PARTITION = ("column", "num", "lower-bound", "upper-bound")
_PARTITIONED_BY = (
    Root.TINYINT, Root.SMALLINT, Root.INT, Root.BIGINT, Root.FLOAT, Root.DOUBLE, Root.DECIMAL,
    Root.DATE, Root.TIMESTAMP, Root.TIMESTAMP_LTZ,
)  # fmt: skip
_WITHOUT = (Root.ROW, Root.MAP, Root.MULTISET, Root.INTERVAL_MONTH, Root.INTERVAL_SECOND)
_RENAMED = "write 'lookup.cache' = 'PARTIAL' and "


def _check_retry_timeout(value: int) -> None:
    if value < 1000:
        raise ValueError(f"found {value} ms, expected 1 s or more")


JDBC_OPTIONS = (
    ConfigOption("url", required=True, description="jdbc:postgresql://host:port/database"),
    ConfigOption(
        "table-name", required=True, description="the table or view, as in SQL of the database: schema.table"
    ),
    ConfigOption("driver", description="accepted: org.postgresql.Driver; the driver is ADBC's"),
    ConfigOption("compatible-mode", unsupported="PostgreSQL has one mode"),
    ConfigOption("username", description="the user; needs 'password'"),
    ConfigOption("password", description="the password; needs 'username'"),
    ConfigOption(
        "connection.max-retry-timeout",
        "duration",
        60_000,
        "the longest wait between two attempts",
        check=_check_retry_timeout,
    ),
    ConfigOption(
        "scan.partition.column", description="read in parts, by this number, date or timestamp column"
    ),
    ConfigOption("scan.partition.num", "int", None, "how many parts", check=check_positive),
    ConfigOption(
        "scan.partition.lower-bound",
        "int",
        None,
        "the smallest value: a number, days since 1970 of a DATE, ms since 1970 of a TIMESTAMP",
    ),
    ConfigOption("scan.partition.upper-bound", "int", None, "the largest value; rows outside are not read"),
    ConfigOption(
        "scan.fetch-size", "int", 0, "rows handed on at once; 0: as they come", check=check_not_negative
    ),
    ConfigOption("scan.auto-commit", "bool", True, "accepted; rows are streamed either way"),
    ConfigOption(
        "lookup.cache",
        "enum",
        NONE,
        "what a lookup join remembers: nothing, the keys it asked for, or the whole table",
        choices=(NONE, PARTIAL, FULL),
    ),
    *PARTIAL_CACHE,
    *FULL_CACHE,
    ConfigOption(
        "lookup.max-retries",
        "int",
        3,
        "how often a query or a reading that failed because the database is away is tried again",
        check=check_not_negative,
    ),
    ConfigOption("lookup.cache.max-rows", unsupported=_RENAMED + "'lookup.partial-cache.max-rows'"),
    ConfigOption("lookup.cache.ttl", unsupported=_RENAMED + "'lookup.partial-cache.expire-after-write'"),
    ConfigOption(
        "lookup.cache.caching-missing-key", unsupported=_RENAMED + "'lookup.partial-cache.cache-missing-key'"
    ),
    ConfigOption(
        "sink.buffer-flush.max-rows",
        "int",
        100,
        "write when so many changes are there; 0: go by the interval alone",
        check=check_not_negative,
    ),
    ConfigOption(
        "sink.buffer-flush.interval",
        "duration",
        1000,
        "write changes that are so old; 0: go by the number alone. With both 0 every step writes",
    ),
    ConfigOption(
        "sink.max-retries",
        "int",
        3,
        "how often a write that failed because the database is away is tried again",
        check=check_not_negative,
    ),
    *SCAN_OPTIONS,
    *SINK_OPTIONS,
)


def _check_jdbc(table: TableDefinition, typed: TableOptions) -> None:
    """The rules between options, and which types the database has. Raises ConfigError or ValidationError."""
    options = typed.options
    parse_postgres_url(options["url"], options.owner)
    driver = options["driver"]
    if driver not in (None, "org.postgresql.Driver"):
        raise UnsupportedError(
            f"option 'driver' of {options.owner}: '{driver}' is not supported", hint="leave 'driver' out"
        )
    if ("username" in options) != ("password" in options):
        given, missing = ("username", "password") if "username" in options else ("password", "username")
        raise ConfigError(f"{options.owner}: '{given}' needs '{missing}' too", hint="give both, or none")
    _check_partitions(table, typed)
    lookup_options(options)
    for column in table.physical_columns:
        if column.type is not None and (unfit := _unfit(column.type)) is not None:
            raise ValidationError(
                f"column '{column.name}' of {options.owner}: {unfit.sql(nullability=False)} is no type of PostgreSQL",
                hint="types: BOOLEAN, numbers, texts, BYTES, DATE, TIME, TIMESTAMP, TIMESTAMP_LTZ, and ARRAY of these",
            )


def _unfit(t: DataType) -> DataType | None:
    if t.root is Root.ARRAY:
        element = t.children[0]
        return t if element.root is Root.ARRAY else _unfit(element)
    return t if t.root in _WITHOUT else None


def _check_partitions(table: TableDefinition, typed: TableOptions) -> None:
    options = typed.options
    given = [k for k in _PARTITION if f"scan.partition.{k}" in options]
    if not given:
        return
    missing = [f"'scan.partition.{k}'" for k in _PARTITION if k not in given]
    if missing:
        raise ConfigError(
            f"{options.owner}: 'scan.partition.{given[0]}' needs {', '.join(missing)} too",
            hint="give all four, or none",
        )
    name = options["scan.partition.column"]
    column = table.column(name)
    if column is None or not column.is_physical or (column.type and column.type.root not in _PARTITIONED_BY):
        raise ConfigError(
            f"option 'scan.partition.column' of {options.owner}: "
            + (
                f"found no column '{name}'" if column is None else f"'{name}' is no number, date or timestamp"
            ),
            hint="name a physical column that is a number, DATE or TIMESTAMP",
        )
    low, high = options["scan.partition.lower-bound"], options["scan.partition.upper-bound"]
    if low > high:
        raise ConfigError(
            f"{options.owner}: 'scan.partition.lower-bound' ({low}) is above 'scan.partition.upper-bound' ({high})"
        )


JDBC = register_connector(
    ConnectorDescriptor(
        "jdbc",
        scan=True,
        sink=True,
        options=JDBC_OPTIONS,
        sink_modes=(ChangelogMode.UPSERT, ChangelogMode.INSERT_ONLY),
        description="Tables of a PostgreSQL database: read once, asked by key in lookup joins, written",
        validate=_check_jdbc,
        lookup=True,
    )
)
