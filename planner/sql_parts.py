"""Pieces of DuckDB SQL text that casts and functions write."""

from __future__ import annotations

from collections.abc import Callable

from streamsql.datatypes import DataType, Root

_INLINE_LIMIT = 60  # a longer operand is computed once and named, so that SQL text stays linear in the query


def let(sql: str, body: Callable[[str], str], *, volatile: bool = False) -> str:
    """SQL for ``body`` of an operand that it mentions several times.

    A short operand is repeated (DuckDB shares equal sub-expressions); a long one is bound to a lambda parameter.
    """
    if not volatile and len(sql) <= _INLINE_LIMIT and "(SELECT" not in sql:
        return body(sql)
    name = fresh_name(sql, body("?"))
    return f"list_transform([{sql}], lambda {name}: {body(name)})[1]"


def fresh_name(*texts: str) -> str:
    """A lambda parameter that occurs in none of the SQL texts."""
    n = 0
    while any(f"_x{n}" in t for t in texts):
        n += 1
    return f"_x{n}"


def quote(text: str) -> str:
    """A SQL string literal.

    >>> quote("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A quoted SQL identifier.

    >>> identifier('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


_BITS = {Root.TINYINT: 8, Root.SMALLINT: 16, Root.INT: 32, Root.BIGINT: 64}


def wrap(sql: str, root: Root) -> str:
    """Java's narrowing: the low bits of a wider integer, as the integer type ``root``."""
    half, mask = 1 << (_BITS[root] - 1), (1 << _BITS[root]) - 1
    name = {Root.INT: "INTEGER"}.get(root, root.value)
    return f"CAST(((({sql}) + {half}) & {mask}) - {half} AS {name})"


def cast(sql: str, type_sql: str) -> str:
    """``CAST(sql AS type)``."""
    return f"CAST({sql} AS {type_sql})"


def local(sql: str, type_: DataType) -> str:
    """A timestamp as wall-clock time: a TIMESTAMP_LTZ is read in the session zone."""
    return cast(sql, "TIMESTAMP") if type_.root is Root.TIMESTAMP_LTZ else sql


YEAR_ZERO_US = 63_000_000_000_000_000
"""More than the microseconds from year 0 to 1970, and whole milliseconds.

Added before a division it makes DuckDB's ``//``, which rounds toward zero, a floor.
"""


def floor_ms(timestamp: str) -> str:
    """Epoch milliseconds of a timestamp, rounded down; DuckDB's ``epoch_ms`` rounds to the nearest."""
    return f"((epoch_us({timestamp}) + {YEAR_ZERO_US}) // 1000 - {YEAR_ZERO_US // 1000})"
