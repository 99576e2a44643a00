"""Small named values: watermarks, counters, timers, flags."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from .base import State

Scalar = int | str | None

_SCHEMA = pa.schema([("name", pa.string()), ("number", pa.int64()), ("text", pa.string())])


class Scalars(State):
    """Values by name, each an int of 64 bits, a str, or None (which :meth:`get` reads as absent)."""

    def __init__(self) -> None:
        self._values: dict[str, Scalar] = {}
        self._nbytes = 0

    def get(self, name: str, default: Scalar = None) -> Scalar:
        """The value, or ``default`` where it is absent or None."""
        value = self._values.get(name)
        return default if value is None else value

    def get_int(self, name: str, default: int = 0) -> int:
        """A value known to be an int."""
        value = self.get(name, default)
        assert isinstance(value, int), f"{name} is {value!r}, not an int"
        return value

    def set(self, name: str, value: Scalar) -> None:
        assert value is None or isinstance(value, int | str), f"{name} cannot be a {type(value).__name__}"
        self.remove(name)
        self._values[name] = int(value) if isinstance(value, int) else value
        self._nbytes += _size(name, value)

    def add(self, name: str, amount: int = 1) -> int:
        """Adds to an int that starts at 0; returns the sum."""
        value = self.get_int(name) + amount
        self.set(name, value)
        return value

    def remove(self, name: str) -> None:
        if name in self._values:
            self._nbytes -= _size(name, self._values.pop(name))

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._values)

    def snapshot(self) -> dict[str, pa.Table]:
        return {"values": self.read()}

    def restore(self, tables: Mapping[str, pa.Table]) -> None:
        rows = tables["values"].to_pylist()
        self._values, self._nbytes = {}, 0
        for row in rows:
            self.set(row["name"], row["text"] if row["number"] is None else row["number"])

    @property
    def nbytes(self) -> int:
        return self._nbytes

    @property
    def row_count(self) -> int:
        return len(self._values)

    def read(self) -> pa.Table:
        """``name``, and the value as ``number`` or as ``text``."""
        items = sorted(self._values.items())
        numbers = [v if isinstance(v, int) else None for _, v in items]
        texts = [v if isinstance(v, str) else None for _, v in items]
        return pa.table([[n for n, _ in items], numbers, texts], schema=_SCHEMA)


def _size(name: str, value: Scalar) -> int:
    return len(name) + (len(value) if isinstance(value, str) else 8)
