"""What a table declaration must fulfil, beyond its syntax: columns, keys, time attributes, metadata, options.

``Places`` says where in the SQL something was declared, by clause and name: ``("PRIMARY KEY", "id")``.
Errors point there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from streamsql.datatypes import DataType, Root
from streamsql.errors import Position, ValidationError, did_you_mean
from streamsql.schema import PROCTIME

from .connectors import TableOptions, connector_of, table_options
from .describe import time_attribute
from .table import Column, TableDefinition

Places = Mapping[tuple[str, str], Position]
NOWHERE: Places = {}
COLUMN, KEY, WATERMARK, PARTITION = "COLUMN", "PRIMARY KEY", "WATERMARK", "PARTITIONED BY"

_ROWTIME_PRECISION_MAX = 3  # milliseconds, as in Flink

_CASTS: dict[str, frozenset[str]] = {
    "string": frozenset(["string", "binary", "boolean", "numeric", "date", "time", "timestamp", "ltz"]),
    "binary": frozenset({"string", "binary"}),
    "boolean": frozenset({"string", "boolean", "numeric"}),
    "numeric": frozenset({"string", "boolean", "numeric"}),
    "date": frozenset({"string", "date", "timestamp", "ltz"}),
    "time": frozenset({"string", "time", "timestamp", "ltz"}),
    "timestamp": frozenset({"string", "date", "time", "timestamp", "ltz"}),
    "ltz": frozenset({"string", "date", "time", "timestamp", "ltz"}),
    "month": frozenset({"string", "month"}),
    "second": frozenset({"string", "second"}),
}
_FAMILY = {
    Root.DATE: "date",
    Root.TIME: "time",
    Root.TIMESTAMP: "timestamp",
    Root.TIMESTAMP_LTZ: "ltz",
    Root.BOOLEAN: "boolean",
    Root.INTERVAL_MONTH: "month",
    Root.INTERVAL_SECOND: "second",
}


def require_column(columns: Iterable[Column], name: str, where: str, places: Places = NOWHERE) -> Column:
    """The column of that name. Raises ValidationError with did-you-mean."""
    names = {c.name: c for c in columns}
    if name in names:
        return names[name]
    clause = "" if where == COLUMN else f"{where}: "
    raise ValidationError(
        f"{clause}the table has no column '{name}'",
        hint=did_you_mean(name, names) or f"columns: {', '.join(names)}",
        position=places.get((where, name)),
    )


def check_columns(table: TableDefinition, places: Places = NOWHERE) -> None:
    """At least one column, no name twice, and partition columns that exist."""
    if not table.columns:
        raise ValidationError(
            f"table {table.path} has no columns", hint="list them in parentheses after the name"
        )
    seen: set[str] = set()
    for column in table.columns:
        if column.name in seen:
            raise ValidationError(
                f"column '{column.name}' is declared twice", position=places.get((COLUMN, column.name))
            )
        seen.add(column.name)
    for name in table.partition_keys:
        column = require_column(table.columns, name, PARTITION, places)
        if not column.is_physical:
            raise _not_physical(column, PARTITION, places)


def with_not_null_keys(table: TableDefinition, places: Places = NOWHERE) -> TableDefinition:
    """The table with its key columns NOT NULL. A key that is not a physical column raises."""
    for i, name in enumerate(table.primary_key):
        column = require_column(table.columns, name, KEY, places)
        if not column.is_physical:
            raise _not_physical(column, KEY, places)
        if name in table.primary_key[:i]:
            raise ValidationError(f"{KEY}: '{name}' stands there twice", position=places.get((KEY, name)))
    columns = tuple(
        replace(c, type=c.type.not_null()) if c.name in table.primary_key and c.type is not None else c
        for c in table.columns
    )
    return replace(table, columns=columns)


def _not_physical(column: Column, where: str, places: Places) -> ValidationError:
    kind = "computed" if column.is_computed else "metadata"
    return ValidationError(
        f"{where}: '{column.name}' is a {kind} column",
        hint="only physical columns can stand here",
        position=places.get((where, column.name)),
    )


def check_rowtime(table: TableDefinition, places: Places = NOWHERE) -> None:
    """The watermark's column must be a timestamp of at most milliseconds (its type, if it is known)."""
    if table.watermark is None:
        return
    column = require_column(table.columns, table.watermark.column, WATERMARK, places)
    position = places.get((WATERMARK, column.name)) or places.get((COLUMN, column.name))
    if time_attribute(replace(table, watermark=None), column) == PROCTIME:
        raise ValidationError(
            f"{WATERMARK}: '{column.name}' is a processing time, which needs no watermark",
            hint="leave the WATERMARK out",
            position=position,
        )
    found = column.type
    if found is not None and (not found.is_timestamp or found.precision > _ROWTIME_PRECISION_MAX):
        raise ValidationError(
            f"{WATERMARK}: '{column.name}' is {found.sql(nullability=False)}, expected TIMESTAMP(p) or "
            f"TIMESTAMP_LTZ(p) with p from 0 to {_ROWTIME_PRECISION_MAX}",
            hint=_rowtime_remedy(column.name, found, column.is_computed),
            position=position,
        )


def _rowtime_remedy(name: str, found: DataType, computed: bool) -> str:
    if found.is_timestamp:
        target = f"{found.root.value}({_ROWTIME_PRECISION_MAX})"
        return f"use CAST(… AS {target})" if computed else f"declare it {target}"
    function = f"TO_TIMESTAMP_LTZ(`{name}`, 3)" if found.is_numeric else f"TO_TIMESTAMP(`{name}`)"
    return f"add a column such as `ts` AS {function} and use that one"


def check_connector(table: TableDefinition, places: Places = NOWHERE) -> TableOptions:
    """The table's typed options. Raises for what the connector does not take."""
    connector = connector_of(table)
    if table.partition_keys and not connector.partitioned:
        raise ValidationError(
            f"table {table.path}: connector '{connector.name}' has no partitions of its own",
            hint="leave PARTITIONED BY out",
            position=places.get((PARTITION, table.partition_keys[0])),
        )
    if connector.needs_primary_key and not table.primary_key:
        raise ValidationError(
            f"table {table.path}: connector '{connector.name}' needs a primary key",
            hint="add PRIMARY KEY (column) NOT ENFORCED",
        )
    options = table_options(table)
    check_metadata(table, options, places)
    return options


def metadata_keys(options: TableOptions) -> dict[str, tuple[DataType, bool]]:
    """What METADATA columns of the table may be: key to type and whether INSERT may write it."""
    keys = dict(options.connector.metadata)
    if options.value_format is not None:
        keys.update({f"value.{k}": (t, False) for k, t in options.value_format.descriptor.metadata.items()})
    return keys


def check_metadata(table: TableDefinition, options: TableOptions, places: Places = NOWHERE) -> None:
    """Every METADATA column must be a key the connector has, of a type that casts from (and to) the key's."""
    keys = metadata_keys(options)
    connector = options.connector.name
    for column in table.metadata_columns:
        assert column.metadata_key is not None and column.type is not None
        position = places.get((COLUMN, column.name))
        if column.metadata_key not in keys:
            known = did_you_mean(column.metadata_key, keys) or f"metadata: {', '.join(keys) or 'none'}"
            raise ValidationError(
                f"column '{column.name}': connector '{connector}' has no metadata '{column.metadata_key}'",
                hint=known,
                position=position,
            )
        found, writable = keys[column.metadata_key]
        both = writable and not column.virtual
        if not casts(found, column.type) or (both and not casts(column.type, found)):
            name = found.sql(nullability=False)
            raise ValidationError(
                f"column '{column.name}': metadata '{column.metadata_key}' is {name}, which does not cast "
                f"{'from and ' if both else ''}to {column.type.sql(nullability=False)}",
                hint=f"declare it {name} and convert it in the query",
                position=position,
            )


def check_writable(table: TableDefinition, options: TableOptions) -> None:
    """For INSERT: every METADATA column that is not VIRTUAL must be one that the connector writes."""
    keys = metadata_keys(options)
    for column in table.metadata_columns:
        if not column.virtual and not keys[column.metadata_key or ""][1]:
            raise ValidationError(
                f"column '{column.name}' of {table.path}: metadata '{column.metadata_key}' can only be read",
                hint="declare the column METADATA … VIRTUAL, which keeps it out of INSERT",
            )


def casts(source: DataType, target: DataType) -> bool:
    """Whether CAST takes ``source`` to ``target``, maybe failing on some values.

    Source: Flink's documentation, "Data Types", casting.
    """
    if source.is_nested or target.is_nested:
        if target.is_string:
            return True
        same = source.root is target.root and len(source.children) == len(target.children)
        return same and all(casts(a, b) for a, b in zip(source.children, target.children, strict=True))
    return _family(target) in _CASTS.get(_family(source), frozenset())


def _family(t: DataType) -> str:
    if t.is_string:
        return "string"
    if t.is_binary:
        return "binary"
    return "numeric" if t.is_numeric else _FAMILY.get(t.root, t.root.value)
