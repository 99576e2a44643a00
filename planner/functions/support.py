"""Functions that DuckDB lacks, in Python: the runtime registers them once on each of its connections."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol


class Connection(Protocol):
    """The part of a DuckDB connection that registration needs."""

    @property
    def create_function(self) -> Callable[..., object]: ...


def _hexdigest(algorithm: str) -> Callable[[bytes], str]:
    def digest(value: bytes) -> str:
        return hashlib.new(algorithm, value).hexdigest()

    return digest


SUPPORT_FUNCTIONS: tuple[tuple[str, Callable[..., object], tuple[str, ...], str], ...] = (
    # DuckDB name, body, parameter types, result type; NULL in gives NULL out
    ("streamsql_sha224", _hexdigest("sha224"), ("BLOB",), "VARCHAR"),
    ("streamsql_sha384", _hexdigest("sha384"), ("BLOB",), "VARCHAR"),
    ("streamsql_sha512", _hexdigest("sha512"), ("BLOB",), "VARCHAR"),
)


def register(connection: Connection) -> None:
    """Make the support functions known to a connection; compiled SQL may call them."""
    for name, body, parameters, result in SUPPORT_FUNCTIONS:
        connection.create_function(name, body, list(parameters), result)
