"""Types of PostgreSQL and ours: what a column may be declared as, and the SQL and Arrow on both ways.

Source: Flink's JDBC connector, "Data Type Mapping", PostgreSQL; more is read where nothing can be lost: TINYINT,
TIMESTAMP_LTZ from ``timestamptz``, narrower numbers into wider ones, and every type as STRING.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from streamsql.datatypes import DataType, Root
from streamsql.errors import ConnectorError, DataError

_INTEGERS = ("int2", "int4", "int8")
_READS: dict[Root, tuple[str, ...]] = {
    Root.BOOLEAN: ("bool",),
    Root.TINYINT: ("int2",),
    Root.SMALLINT: ("int2",),
    Root.INT: ("int4", "int2"),
    Root.BIGINT: ("int8", "int4", "int2", "oid"),
    Root.FLOAT: ("float4",),
    Root.DOUBLE: ("float8", "float4"),
    Root.DECIMAL: ("numeric", *_INTEGERS),
    Root.DATE: ("date",),
    Root.TIME: ("time",),
    Root.TIMESTAMP: ("timestamp",),
    Root.TIMESTAMP_LTZ: ("timestamptz",),
    Root.BINARY: ("bytea",),
    Root.VARBINARY: ("bytea",),
}
_DECLARED = {
    "bool": "BOOLEAN", "int2": "SMALLINT", "int4": "INT", "int8": "BIGINT", "oid": "BIGINT", "float4": "FLOAT",
    "float8": "DOUBLE", "numeric": "DECIMAL(p, s)", "date": "DATE", "time": "TIME(6)", "timestamp": "TIMESTAMP(6)",
    "timestamptz": "TIMESTAMP_LTZ(6)", "bytea": "BYTES",
}  # fmt: skip
"""What a column of the database is declared as; STRING where it is not listed."""
_STAGE: dict[Root, str] = {
    Root.BOOLEAN: "boolean", Root.TINYINT: "int2", Root.SMALLINT: "int2", Root.INT: "int4", Root.BIGINT: "int8",
    Root.FLOAT: "float4", Root.DOUBLE: "float8", Root.DECIMAL: "numeric", Root.DATE: "date", Root.TIME: "time",
    Root.TIMESTAMP: "timestamp", Root.TIMESTAMP_LTZ: "timestamptz", Root.CHAR: "text", Root.VARCHAR: "text",
    Root.BINARY: "bytea", Root.VARBINARY: "bytea",
}  # fmt: skip
"""What our values are sent as."""
_TIME_MAX_US = 253_402_300_800_000_000
"""The year 10000, in microseconds: ``infinity`` and what lies behind it is no TIMESTAMP."""
_CUT = ("varchar", "bpchar", "bit", "varbit")
"""Types of which a cast cuts off what is too long, where writing a column refuses it."""
_NATIVE_KEYS = {Root.TINYINT: "int8", Root.SMALLINT: "int8", Root.INT: "int8", Root.BIGINT: "int8"}


@dataclass(frozen=True)
class DbColumn:
    """A column as the database has it. ``type_name`` with its parameters; ``base``: its name in the catalog, of a
    domain that of the type below; ``element``: the same of an array's elements. ``cast_name``, ``typmod``: the type of
    ``base`` without its parameters, and these as the catalog has them (−1 for none)."""

    name: str
    type_name: str
    base: str
    element: str | None
    cast_name: str
    typmod: int

    @property
    def scale(self) -> int | None:
        """Digits behind the point, of a number or of seconds; None where there is no limit, or no point."""
        if self.base == "numeric":
            return None if self.typmod < 4 else (((self.typmod - 4) & 0x7FF) ^ 0x400) - 0x400
        if self.base in ("time", "timestamp", "timestamptz"):
            return 6 if self.typmod < 0 else self.typmod
        return None


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in SQL."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'" if "\\" not in text else " E'" + escaped.replace("\\", "\\\\") + "'"


def read_sql(column: DbColumn, t: DataType, place: str) -> str:
    """The expression that reads a column as ``t``. Raises ConnectorError where its type does not fit."""
    name = f"t.{quoted(column.name)}"
    if t.is_string:
        return name if column.base in ("text", "varchar") else f"{name}::text"
    if t.root is Root.ARRAY:
        element = t.children[0]
        if column.element is None or not _fits(column.element, element):
            raise _unfit(column, t, place)
        if element.is_string:
            return f"{name}::text[]"
        cast = _read_as(element)
        return f"{name}::{cast}[]::text[]" if element.root is Root.DECIMAL else f"{name}::{cast}[]"
    if not _fits(column.base, t):
        raise _unfit(column, t, place)
    return f"{name}::{_read_as(t)}" + ("::text" if t.root is Root.DECIMAL else "")


def _fits(base: str, t: DataType) -> bool:
    return t.is_string or base in _READS.get(t.root, ())


def _read_as(t: DataType) -> str:
    if t.root is Root.DECIMAL:
        return f"numeric({t.precision},{t.scale})"
    if t.root in (Root.TIME, Root.TIMESTAMP, Root.TIMESTAMP_LTZ):
        return f"{_STAGE[t.root]}({t.precision})"
    return _STAGE[t.root]


def _unfit(column: DbColumn, t: DataType, place: str) -> ConnectorError:
    if column.element is not None:
        fitting = f"ARRAY<{_DECLARED.get(column.element, 'STRING')}>"
    else:
        fitting = _DECLARED.get(column.base, "STRING")
    return ConnectorError(
        f"column '{column.name}' of {place} is {column.type_name} in the database, "
        f"and declared {t.sql(nullability=False)}",
        hint=f"declare it {fitting}" + ("" if fitting == "STRING" else " or STRING"),
    )


def from_database(table: pa.Table, types: Sequence[tuple[str, DataType]], place: str) -> pa.RecordBatch:
    """What was read, with exactly our Arrow types. Raises DataError for a value that no such type has."""
    arrays = []
    for column, (name, t) in zip(table.columns, types, strict=True):
        array = column.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        try:
            array = array.cast(t.arrow)
        except pa.ArrowInvalid as e:
            raise DataError(
                f"column '{name}' of {place}: {e}, declared {t.sql(nullability=False)}",
                hint="declare a wider type, or STRING",
            ) from None
        if t.is_timestamp and len(array):
            top = pc.max(pc.abs_checked(pc.fill_null(array.cast(pa.int64()), 0))).as_py()
            if top >= _TIME_MAX_US:
                raise DataError(
                    f"column '{name}' of {place} holds a time outside of the years 1 to 9999 (or 'infinity')",
                    hint="declare it STRING, or read a view without such rows",
                )
        arrays.append(array)
    schema = pa.schema([pa.field(name, t.arrow) for name, t in types])
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def stage_type(t: DataType) -> str:
    """The type that values of ``t`` are sent as."""
    return stage_type(t.children[0]) + "[]" if t.root is Root.ARRAY else _STAGE[t.root]


def write_sql(column: DbColumn, t: DataType, value: str, place: str) -> str:
    """``value`` (of the type :func:`stage_type`) as the column wants it. Raises ConnectorError where it cannot be.

    Numbers are checked by the database when they are written; texts become any type that has a text form.
    """
    if t.root is Root.ARRAY:
        fits = column.element is not None and _writes(t.children[0], column.element)
    else:
        fits = column.element is None and _writes(t, column.base)
    if not fits and not t.is_string:
        raise _unfit(column, t, place)
    cut = (column.element or column.base) in _CUT
    return f"{value}::{column.cast_name if cut else column.type_name}"


def _writes(t: DataType, base: str) -> bool:
    if t.is_string:
        return True
    if t.root in _READS and t.is_numeric:
        return base in (*_INTEGERS, "float4", "float8", "numeric")
    if t.is_timestamp:
        return base in ("timestamp", "timestamptz") and base in _READS[t.root]
    return base in _READS.get(t.root, ())


def key_array(keys: pa.Array, t: DataType) -> pa.Array:
    """Keys as a query's parameter: integers as they are, all else as text. NULL for a key no row can have."""
    if t.root in _NATIVE_KEYS:
        return keys.cast(pa.int64())
    if t.root in (Root.BINARY, Root.VARBINARY):
        return pa.array(["\\x" + v.hex() for v in keys.to_pylist()], pa.string())
    if t.root in (Root.FLOAT, Root.DOUBLE):
        return pa.array([repr(v) for v in keys.to_pylist()], pa.string())
    texts = keys.cast(pa.string())
    if t.is_string:  # PostgreSQL has no text with U+0000
        return pc.if_else(pc.match_substring(texts, "\0"), pa.scalar(None, pa.string()), texts)
    return texts


def compared_sql(column: DbColumn, t: DataType) -> str:
    """What keys are compared with: the column, which may have an index; or as it is read, where that is coarser."""
    name = f"t.{quoted(column.name)}"
    digits = t.scale if t.root is Root.DECIMAL else t.precision
    timed = t.root in (Root.TIME, Root.TIMESTAMP, Root.TIMESTAMP_LTZ)
    if timed or (t.root is Root.DECIMAL and column.base == "numeric"):
        finer = column.scale is None or column.scale > digits
        return f"{name}::{_read_as(t)}" if finer else name
    return f"{name}::int8" if column.base == "oid" and not t.is_string else name


def key_sql(column: DbColumn, t: DataType, parameter: str) -> str:
    """The array of keys that the column is compared with; integers of any width use the column's index."""
    if t.root in _NATIVE_KEYS:
        return f"{parameter}::{_NATIVE_KEYS[t.root]}[]"
    if t.is_string:
        as_text = column.base in ("text", "varchar")
        return f"{parameter}::text[]" + ("" if as_text else f"::{column.cast_name}[]")
    return f"{parameter}::text[]::{_STAGE[t.root]}[]"
