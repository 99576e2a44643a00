"""Flink's data types, each with one Arrow type and one DuckDB type.

Timestamps are held in microseconds: ``TIMESTAMP(p)`` is ``timestamp[us]`` without a zone,
``TIMESTAMP_LTZ(p)`` is ``timestamp[us, UTC]``. A precision above 6 is refused rather than rounded in silence.

Source: Flink 2.x, "Data Types".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import pyarrow as pa

from .errors import UnsupportedError

MAX_LENGTH = 2147483647  # VARCHAR(MAX_LENGTH) is STRING, VARBINARY(MAX_LENGTH) is BYTES


class Root(Enum):
    """The family a type belongs to."""

    CHAR = "CHAR"
    VARCHAR = "VARCHAR"
    BOOLEAN = "BOOLEAN"
    BINARY = "BINARY"
    VARBINARY = "VARBINARY"
    DECIMAL = "DECIMAL"
    TINYINT = "TINYINT"
    SMALLINT = "SMALLINT"
    INT = "INT"
    BIGINT = "BIGINT"
    FLOAT = "FLOAT"
    DOUBLE = "DOUBLE"
    DATE = "DATE"
    TIME = "TIME"
    TIMESTAMP = "TIMESTAMP"
    TIMESTAMP_LTZ = "TIMESTAMP_LTZ"
    INTERVAL_MONTH = "INTERVAL YEAR TO MONTH"
    INTERVAL_SECOND = "INTERVAL DAY TO SECOND"
    ARRAY = "ARRAY"
    MAP = "MAP"
    MULTISET = "MULTISET"
    ROW = "ROW"
    NULL = "NULL"


_INTEGER = (Root.TINYINT, Root.SMALLINT, Root.INT, Root.BIGINT)
_ARROW: dict[Root, pa.DataType] = {
    Root.CHAR: pa.string(),
    Root.VARCHAR: pa.string(),
    Root.BOOLEAN: pa.bool_(),
    Root.BINARY: pa.binary(),
    Root.VARBINARY: pa.binary(),
    Root.TINYINT: pa.int8(),
    Root.SMALLINT: pa.int16(),
    Root.INT: pa.int32(),
    Root.BIGINT: pa.int64(),
    Root.FLOAT: pa.float32(),
    Root.DOUBLE: pa.float64(),
    Root.DATE: pa.date32(),
    Root.TIME: pa.time64("us"),
    Root.TIMESTAMP: pa.timestamp("us"),
    Root.TIMESTAMP_LTZ: pa.timestamp("us", tz="UTC"),
    Root.INTERVAL_MONTH: pa.month_day_nano_interval(),
    Root.INTERVAL_SECOND: pa.month_day_nano_interval(),
    Root.NULL: pa.int32(),
}
_DUCKDB: dict[Root, str] = {
    Root.CHAR: "VARCHAR",
    Root.VARCHAR: "VARCHAR",
    Root.BOOLEAN: "BOOLEAN",
    Root.BINARY: "BLOB",
    Root.VARBINARY: "BLOB",
    Root.TINYINT: "TINYINT",
    Root.SMALLINT: "SMALLINT",
    Root.INT: "INTEGER",
    Root.BIGINT: "BIGINT",
    Root.FLOAT: "FLOAT",
    Root.DOUBLE: "DOUBLE",
    Root.DATE: "DATE",
    Root.TIME: "TIME",
    Root.TIMESTAMP: "TIMESTAMP",
    Root.TIMESTAMP_LTZ: "TIMESTAMPTZ",
    Root.INTERVAL_MONTH: "INTERVAL",
    Root.INTERVAL_SECOND: "INTERVAL",
    Root.NULL: "INTEGER",
}


@dataclass(frozen=True)
class DataType:
    """One Flink type. Build it with the functions below (``INT()``, ``DECIMAL(10, 2)``, ``ARRAY(STRING())``).

    ``length`` belongs to CHAR/VARCHAR/BINARY/VARBINARY, ``precision`` to DECIMAL and the time types, ``scale`` to
    DECIMAL; ``children`` are the element, the key and value, or the fields called ``names``.
    """

    root: Root
    nullable: bool = True
    length: int = 0
    precision: int = 0
    scale: int = 0
    children: tuple[DataType, ...] = ()
    names: tuple[str, ...] = ()

    def with_nullable(self, nullable: bool) -> DataType:
        """The same type with the given nullability."""
        return self if self.nullable == nullable else replace(self, nullable=nullable)

    def not_null(self) -> DataType:
        """The same type, NOT NULL."""
        return self.with_nullable(False)

    # -- families ------------------------------------------------------------------------------------------------
    @property
    def is_string(self) -> bool:
        return self.root in (Root.CHAR, Root.VARCHAR)

    @property
    def is_binary(self) -> bool:
        return self.root in (Root.BINARY, Root.VARBINARY)

    @property
    def is_integer(self) -> bool:
        return self.root in _INTEGER

    @property
    def is_exact(self) -> bool:
        return self.root in _INTEGER or self.root is Root.DECIMAL

    @property
    def is_approximate(self) -> bool:
        return self.root in (Root.FLOAT, Root.DOUBLE)

    @property
    def is_numeric(self) -> bool:
        return self.is_exact or self.is_approximate

    @property
    def is_timestamp(self) -> bool:
        return self.root in (Root.TIMESTAMP, Root.TIMESTAMP_LTZ)

    @property
    def is_interval(self) -> bool:
        return self.root in (Root.INTERVAL_MONTH, Root.INTERVAL_SECOND)

    @property
    def is_nested(self) -> bool:
        return self.root in (Root.ARRAY, Root.MAP, Root.MULTISET, Root.ROW)

    # -- the three faces -----------------------------------------------------------------------------------------
    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type that columns of this type have in every batch."""
        if self.root is Root.DECIMAL:
            return pa.decimal128(self.precision, self.scale)
        if self.root is Root.ARRAY:
            return pa.list_(self.children[0].arrow)
        if self.root is Root.MAP:
            return pa.map_(self.children[0].arrow, self.children[1].arrow)
        if self.root is Root.MULTISET:
            return pa.map_(self.children[0].arrow, pa.int32())
        if self.root is Root.ROW:
            return pa.struct([pa.field(n, t.arrow) for n, t in zip(self.names, self.children, strict=True)])
        return _ARROW[self.root]

    @property
    def duckdb(self) -> str:
        """The DuckDB type that expressions of this type are cast to."""
        if self.root is Root.DECIMAL:
            return f"DECIMAL({self.precision},{self.scale})"
        if self.root is Root.ARRAY:
            return f"{self.children[0].duckdb}[]"
        if self.root is Root.MAP:
            return f"MAP({self.children[0].duckdb}, {self.children[1].duckdb})"
        if self.root is Root.MULTISET:
            return f"MAP({self.children[0].duckdb}, INTEGER)"
        if self.root is Root.ROW:
            fields = ", ".join(
                f'"{n.replace(chr(34), chr(34) * 2)}" {t.duckdb}'
                for n, t in zip(self.names, self.children, strict=True)
            )
            return f"STRUCT({fields})"
        return _DUCKDB[self.root]

    def sql(self, *, nullability: bool = True) -> str:
        """Flink's text of the type, e.g. ``DECIMAL(10, 2) NOT NULL``."""
        suffix = "" if self.nullable or not nullability else " NOT NULL"
        return self._sql_base() + suffix

    def _sql_base(self) -> str:
        match self.root:
            case Root.VARCHAR if self.length == MAX_LENGTH:
                return "STRING"
            case Root.VARBINARY if self.length == MAX_LENGTH:
                return "BYTES"
            case Root.CHAR | Root.VARCHAR | Root.BINARY | Root.VARBINARY:
                return f"{self.root.value}({self.length})"
            case Root.DECIMAL:
                return f"DECIMAL({self.precision}, {self.scale})"
            case Root.TIME | Root.TIMESTAMP | Root.TIMESTAMP_LTZ:
                return f"{self.root.value}({self.precision})"
            case Root.ARRAY | Root.MULTISET:
                return f"{self.root.value}<{self.children[0].sql()}>"
            case Root.MAP:
                return f"MAP<{self.children[0].sql()}, {self.children[1].sql()}>"
            case Root.ROW:
                fields = ", ".join(f"`{n}` {t.sql()}" for n, t in zip(self.names, self.children, strict=True))
                return f"ROW<{fields}>"
            case _:
                return str(self.root.value)

    def __str__(self) -> str:
        return self.sql()


def BOOLEAN() -> DataType:
    return DataType(Root.BOOLEAN)


def TINYINT() -> DataType:
    return DataType(Root.TINYINT)


def SMALLINT() -> DataType:
    return DataType(Root.SMALLINT)


def INT() -> DataType:
    return DataType(Root.INT)


def BIGINT() -> DataType:
    return DataType(Root.BIGINT)


def FLOAT() -> DataType:
    return DataType(Root.FLOAT)


def DOUBLE() -> DataType:
    return DataType(Root.DOUBLE)


def DECIMAL(precision: int = 10, scale: int = 0) -> DataType:
    if not 1 <= precision <= 38 or not 0 <= scale <= precision:
        raise UnsupportedError(
            f"DECIMAL({precision}, {scale}) is out of range",
            hint="precision is 1 to 38 and scale 0 to the precision",
        )
    return DataType(Root.DECIMAL, precision=precision, scale=scale)


def CHAR(length: int = 1) -> DataType:
    return DataType(Root.CHAR, length=length)


def VARCHAR(length: int = 1) -> DataType:
    return DataType(Root.VARCHAR, length=length)


def STRING() -> DataType:
    return DataType(Root.VARCHAR, length=MAX_LENGTH)


def BINARY(length: int = 1) -> DataType:
    return DataType(Root.BINARY, length=length)


def VARBINARY(length: int = 1) -> DataType:
    return DataType(Root.VARBINARY, length=length)


def BYTES() -> DataType:
    return DataType(Root.VARBINARY, length=MAX_LENGTH)


def DATE() -> DataType:
    return DataType(Root.DATE)


def TIME(precision: int = 0) -> DataType:
    return DataType(Root.TIME, precision=_time_precision("TIME", precision))


def TIMESTAMP(precision: int = 6) -> DataType:
    return DataType(Root.TIMESTAMP, precision=_time_precision("TIMESTAMP", precision))


def TIMESTAMP_LTZ(precision: int = 6) -> DataType:
    return DataType(Root.TIMESTAMP_LTZ, precision=_time_precision("TIMESTAMP_LTZ", precision))


def INTERVAL_MONTH() -> DataType:
    return DataType(Root.INTERVAL_MONTH)


def INTERVAL_SECOND() -> DataType:
    return DataType(Root.INTERVAL_SECOND, precision=3)


def ARRAY(element: DataType) -> DataType:
    return DataType(Root.ARRAY, children=(element,))


def MAP(key: DataType, value: DataType) -> DataType:
    return DataType(Root.MAP, children=(key, value))


def MULTISET(element: DataType) -> DataType:
    return DataType(Root.MULTISET, children=(element,))


def ROW(fields: Sequence[tuple[str, DataType]]) -> DataType:
    return DataType(Root.ROW, children=tuple(t for _, t in fields), names=tuple(n for n, _ in fields))


def NULL() -> DataType:
    return DataType(Root.NULL)


def _time_precision(name: str, precision: int) -> int:
    if not 0 <= precision <= 6:
        raise UnsupportedError(
            f"{name}({precision}): a precision above 6 (microseconds) is not supported", hint=f"use {name}(6)"
        )
    return precision


def common_type(left: DataType, right: DataType) -> DataType | None:
    """The type both convert to without loss of meaning (CASE branches, UNION, IN, COALESCE), or None.

    Source: Flink's LogicalTypeMerging.findCommonType.
    """
    nullable = left.nullable or right.nullable
    found = _common(left, right)
    return None if found is None else found.with_nullable(nullable)


def _common(a: DataType, b: DataType) -> DataType | None:
    if a.root is Root.NULL:
        return b.with_nullable(True)
    if b.root is Root.NULL:
        return a.with_nullable(True)
    if (a.is_string and b.is_string) or (a.is_binary and b.is_binary):
        variable = Root.VARCHAR if a.is_string else Root.VARBINARY
        fixed = Root.CHAR if a.is_string else Root.BINARY
        length = max(a.length, b.length)
        same = a.root is fixed and b.root is fixed and a.length == b.length
        return DataType(fixed if same else variable, length=length)
    if a.is_numeric and b.is_numeric:
        return _common_numeric(a, b)
    if a.is_timestamp and b.is_timestamp:
        root = a.root if a.root is b.root else Root.TIMESTAMP_LTZ
        return DataType(root, precision=max(a.precision, b.precision))
    if a.root is Root.DATE and b.is_timestamp:
        return b
    if b.root is Root.DATE and a.is_timestamp:
        return a
    if a.root is b.root and a.is_nested and len(a.children) == len(b.children):
        children = [common_type(x, y) for x, y in zip(a.children, b.children, strict=True)]
        if any(c is None for c in children):
            return None
        return DataType(a.root, children=tuple(c for c in children if c is not None), names=a.names)
    if a.root is b.root:
        return replace(a, precision=max(a.precision, b.precision))
    return None


def as_decimal(t: DataType) -> DataType:
    """The DECIMAL that holds every value of an exact numeric type."""
    digits = {Root.TINYINT: 3, Root.SMALLINT: 5, Root.INT: 10, Root.BIGINT: 19}
    return t if t.root is Root.DECIMAL else DataType(Root.DECIMAL, t.nullable, precision=digits[t.root])


def _common_numeric(a: DataType, b: DataType) -> DataType:
    if a.is_approximate or b.is_approximate:
        both_float = Root.DOUBLE not in (a.root, b.root) and Root.DECIMAL not in (a.root, b.root)
        return FLOAT() if both_float else DOUBLE()
    if Root.DECIMAL in (a.root, b.root):
        x, y = as_decimal(a), as_decimal(b)
        scale = max(x.scale, y.scale)
        precision = max(x.precision - x.scale, y.precision - y.scale) + scale
        return DECIMAL(min(precision, 38), min(scale, 38))
    return DataType(a.root if _INTEGER.index(a.root) >= _INTEGER.index(b.root) else b.root)


def from_arrow(t: pa.DataType, nullable: bool = True) -> DataType:
    """The Flink type of an Arrow column that a user hands in. Raises UnsupportedError by name."""
    return _from_arrow(t).with_nullable(nullable)


def _from_arrow(t: pa.DataType) -> DataType:
    p = pa.types
    simple: list[tuple[bool, DataType]] = [
        (p.is_boolean(t), BOOLEAN()),
        (p.is_int8(t), TINYINT()),
        (p.is_int16(t) or p.is_uint8(t), SMALLINT()),
        (p.is_int32(t) or p.is_uint16(t), INT()),
        (p.is_int64(t) or p.is_uint32(t), BIGINT()),
        (p.is_uint64(t), DECIMAL(20, 0)),
        (p.is_float16(t) or p.is_float32(t), FLOAT()),
        (p.is_float64(t), DOUBLE()),
        (p.is_string(t) or p.is_large_string(t) or p.is_string_view(t), STRING()),
        (p.is_binary(t) or p.is_large_binary(t) or p.is_binary_view(t) or p.is_fixed_size_binary(t), BYTES()),
        (p.is_date(t), DATE()),
        (p.is_null(t), NULL()),
    ]
    for matches, found in simple:
        if matches:
            return found
    if p.is_decimal(t):
        return DECIMAL(t.precision, t.scale)
    if p.is_time(t):
        return TIME(3 if t.unit in ("s", "ms") else 6)
    if p.is_timestamp(t):
        precision = {"s": 0, "ms": 3}.get(t.unit, 6)
        return TIMESTAMP_LTZ(precision) if t.tz else TIMESTAMP(precision)
    if p.is_dictionary(t):
        return _from_arrow(t.value_type)
    if p.is_map(t):
        return MAP(_from_arrow(t.key_type), _from_arrow(t.item_type))
    if p.is_list(t) or p.is_large_list(t) or p.is_fixed_size_list(t):
        return ARRAY(_from_arrow(t.value_type))
    if p.is_struct(t):
        return ROW([(f.name, _from_arrow(f.type)) for f in t])
    raise UnsupportedError(
        f"the Arrow type {t} has no SQL type", hint="cast the column before you hand it in"
    )
