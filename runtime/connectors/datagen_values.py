"""The columns that ``datagen`` makes: random values of every type, and sequences.

The randomness of a block of rows depends on the seed, the field and the block's number alone, so that a run that begins
in the middle makes the same rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.datatypes import DataType, Root
from streamsql.errors import ConfigError, UnsupportedError

Fields = Mapping[str, Mapping[str, object]]
Generate = Callable[[np.random.Generator, int, int], pa.Array]
"""(randomness, number of the first row, count) to a column."""

_BLOCK = 1024
_NOTHING = np.random.default_rng(0)
"""A sequence draws nothing."""
_BITS = {Root.TINYINT: 8, Root.SMALLINT: 16, Root.INT: 32, Root.BIGINT: 64}
_LENGTH_TEXT, _LENGTH_COLLECTION = 100, 3
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


class Maker:
    """Makes one column. ``rows_max``: rows until a sequence ends, or None."""

    def __init__(self, generate: Generate, rows_max: int | None, seed: int, name: str, t: DataType) -> None:
        self.rows_max = rows_max
        self._generate = generate
        self._seed = seed
        self._name = zlib.crc32(name.encode())
        self._of_the_moment = _follows_clock(t)
        self._last: tuple[int, pa.Array] | None = None

    def make(self, start: int, count: int) -> pa.Array:
        if self.rows_max is not None:
            return self._generate(_NOTHING, start, count)
        blocks = [self._block(b) for b in range(start // _BLOCK, (start + count - 1) // _BLOCK + 1)]
        return pa.concat_arrays(blocks).slice(start % _BLOCK, count)

    def _block(self, block: int) -> pa.Array:
        """A block of rows; the last one is kept, since slow tables take a few rows of it at a time."""
        if self._last is not None and self._last[0] == block:
            return self._last[1]
        generator = np.random.default_rng([self._seed & (2**64 - 1), self._name, block])
        values = self._generate(generator, block * _BLOCK, _BLOCK)
        if not self._of_the_moment:
            self._last = (block, values)
        return values


def column_maker(
    name: str, t: DataType, fields: Fields, owner: str, seed: int, now_ms: Callable[[], int]
) -> Maker:
    """The maker of a column. Raises ConfigError for options that do not fit its type."""
    given = fields.get(name, {})
    if given.get("kind") == "sequence":
        generate, rows = _sequence(name, t, given, owner)
        return Maker(generate, rows, seed, name, t)
    for key in ("start", "end"):
        if key in given:
            raise ConfigError(f"option 'fields.{name}.{key}' of {owner} belongs to kind 'sequence'")
    return Maker(_Random(fields, owner, now_ms).of(name, t), None, seed, name, t)


def _follows_clock(t: DataType) -> bool:
    return t.is_timestamp or t.root in (Root.DATE, Root.TIME) or any(map(_follows_clock, t.children))


# -- sequences -------------------------------------------------------------------------------------------------------


def _sequence(name: str, t: DataType, given: Mapping[str, object], owner: str) -> tuple[Generate, int]:
    if not (t.is_numeric or t.is_string or t.is_binary):
        raise UnsupportedError(
            f"{owner}: a sequence cannot be of type {t.sql(nullability=False)} (column '{name}')"
        )
    for key in ("min", "max", "max-past", "length", "var-len", "null-rate"):
        if key in given:
            raise ConfigError(f"option 'fields.{name}.{key}' of {owner} belongs to kind 'random'")
    start, end = (_whole(given[k], f"fields.{name}.{k}", owner) for k in ("start", "end"))
    if end < start:
        raise ConfigError(f"{owner}: 'fields.{name}.end' ({end}) is before 'fields.{name}.start' ({start})")

    def generate(_: np.random.Generator, first: int, count: int) -> pa.Array:
        numbers = pa.array(np.arange(start + first, start + first + count))
        if t.is_string or t.is_binary:
            return numbers.cast(pa.string()).cast(t.arrow)
        if t.root is Root.DECIMAL:
            return numbers.cast(pa.decimal128(38, t.scale)).cast(t.arrow)
        return numbers.cast(t.arrow)

    return generate, end - start + 1


def _whole(value: object, key: str, owner: str) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise ConfigError(f"option '{key}' of {owner}: found '{value}', expected a whole number") from None


# -- random values ---------------------------------------------------------------------------------------------------


class _Random:
    """Generators of random columns, nested ones included."""

    def __init__(self, fields: Fields, owner: str, now_ms: Callable[[], int]) -> None:
        self._fields, self._owner, self._now_ms = fields, owner, now_ms

    def of(self, path: str, t: DataType) -> Generate:
        generate = self._plain(path, t)
        rate = self._fields.get(path, {}).get("null-rate", 0.0)
        assert isinstance(rate, float)
        if not rate:
            return generate

        def with_nulls(g: np.random.Generator, first: int, count: int) -> pa.Array:
            values = generate(g, first, count)
            return pc.if_else(pa.array(g.random(count) >= rate), values, pa.scalar(None, values.type))

        return with_nulls

    def _plain(self, path: str, t: DataType) -> Generate:
        self._check(path, t)
        match t.root:
            case Root.BOOLEAN:
                return lambda g, first, count: pa.array(g.random(count) < 0.5)
            case Root.TINYINT | Root.SMALLINT | Root.INT | Root.BIGINT:
                return self._integers(path, t)
            case Root.FLOAT | Root.DOUBLE:
                return self._floats(path, t)
            case Root.DECIMAL:
                return self._decimals(path, t)
            case Root.CHAR | Root.VARCHAR | Root.BINARY | Root.VARBINARY:
                return self._texts(path, t)
            case Root.DATE | Root.TIME | Root.TIMESTAMP | Root.TIMESTAMP_LTZ:
                return self._moments(path, t)
            case Root.INTERVAL_MONTH | Root.INTERVAL_SECOND:
                return self._intervals(path, t)
            case Root.ARRAY | Root.MAP | Root.MULTISET:
                return self._collections(path, t)
            case Root.ROW:
                return self._rows(path, t)
            case _:
                return lambda g, first, count: pa.nulls(count, t.arrow)

    def _check(self, path: str, t: DataType) -> None:
        """Options that say nothing to a type are refused, not ignored."""
        allowed = {"kind", "null-rate"}
        if t.is_numeric or t.is_interval:
            allowed |= {"min", "max"}
        if t.is_timestamp:
            allowed.add("max-past")
        if t.is_string or t.is_binary or t.root in (Root.ARRAY, Root.MAP, Root.MULTISET):
            allowed |= {"length", "var-len"}
        wrong = sorted(set(self._fields.get(path, {})) - allowed)
        if wrong:
            raise ConfigError(
                f"option 'fields.{path}.{wrong[0]}' of {self._owner} has no meaning for {t.sql(nullability=False)}",
                hint="options of this column: " + ", ".join(sorted(allowed)),
            )

    def _bounds(self, path: str, low: Any, high: Any, parse: Callable[[str], Any]) -> tuple[Any, Any]:
        given = self._fields.get(path, {})
        found = []
        for key, default in (("min", low), ("max", high)):
            try:
                value = parse(str(given[key])) if key in given else default
            except (ValueError, ArithmeticError):
                raise ConfigError(
                    f"option 'fields.{path}.{key}' of {self._owner}: found '{given[key]}', expected a number"
                ) from None
            if not low <= value <= high:
                raise ConfigError(
                    f"option 'fields.{path}.{key}' of {self._owner}: found {value}, which is out of the column's range"
                )
            found.append(value)
        if found[0] > found[1]:
            raise ConfigError(f"{self._owner}: 'fields.{path}.min' ({found[0]}) is above max ({found[1]})")
        return found[0], found[1]

    def _integers(self, path: str, t: DataType) -> Generate:
        half = 1 << (_BITS[t.root] - 1)
        low, high = self._bounds(path, -half, half - 1, int)
        return lambda g, first, count: pa.array(g.integers(low, high, count, endpoint=True)).cast(t.arrow)

    def _floats(self, path: str, t: DataType) -> Generate:
        limit = float(np.finfo(np.float32 if t.root is Root.FLOAT else np.float64).max)
        low, high = self._bounds(path, -limit, limit, float)

        def generate(g: np.random.Generator, first: int, count: int) -> pa.Array:
            share = g.random(count)
            return pa.array(low * (1 - share) + high * share).cast(t.arrow, safe=False)

        return generate

    def _decimals(self, path: str, t: DataType) -> Generate:
        limit = Decimal(10) ** (t.precision - t.scale) - Decimal(1).scaleb(-t.scale)
        low, high = self._bounds(path, -limit, limit, Decimal)
        first_unit, last_unit = int(low.scaleb(t.scale)), int(high.scaleb(t.scale))

        def generate(g: np.random.Generator, first: int, count: int) -> pa.Array:
            if first_unit >= -(2**63) and last_unit < 2**63:
                units = g.integers(first_unit, last_unit, count, endpoint=True).tolist()
            else:
                span = last_unit - first_unit + 1
                units = [first_unit + int.from_bytes(g.bytes(16)) % span for _ in range(count)]
            return pa.array([Decimal(u).scaleb(-t.scale) for u in units], t.arrow)

        return generate

    def _length(self, path: str, default: int) -> tuple[int, bool]:
        given = self._fields.get(path, {})
        length = given.get("length", default)
        assert isinstance(length, int)
        if length < 0:
            raise ConfigError(
                f"option 'fields.{path}.length' of {self._owner}: found {length}, expected 0 or more"
            )
        return length, bool(given.get("var-len", False))

    def _texts(self, path: str, t: DataType) -> Generate:
        fixed = t.root in (Root.CHAR, Root.BINARY)
        limit = t.length
        default = limit if fixed else min(_LENGTH_TEXT, limit)
        length, variable = self._length(path, default)
        if length > limit:
            raise ConfigError(
                f"option 'fields.{path}.length' of {self._owner}: found {length}, the column holds {limit}"
            )

        def generate(g: np.random.Generator, first: int, count: int) -> pa.Array:
            lengths = (
                g.integers(1, length, count, endpoint=True) if variable and length else np.full(count, length)
            )
            offsets = _offsets(lengths)
            data = g.integers(0, 256, int(offsets[-1]), dtype=np.uint8)
            if t.is_string:
                data = _HEX[data & 15]
            buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
            return pa.Array.from_buffers(t.arrow, count, buffers)

        return generate

    def _moments(self, path: str, t: DataType) -> Generate:
        past = self._fields.get(path, {}).get("max-past", 0)
        assert isinstance(past, int)
        day_ms = 86_400_000

        def generate(g: np.random.Generator, first: int, count: int) -> pa.Array:
            now = self._now_ms()
            if t.root is Root.DATE:
                return pa.array(np.full(count, now // day_ms, np.int32)).cast(t.arrow)
            if t.root is Root.TIME:
                return pa.array(np.full(count, now % day_ms * 1000, np.int64)).cast(t.arrow)
            ages = g.integers(0, past, count, endpoint=True) if past else np.zeros(count, np.int64)
            unit = 10 ** (6 - t.precision)
            micros = (now - ages) * 1000
            return pa.array(micros - micros % unit).cast(t.arrow)

        return generate

    def _intervals(self, path: str, t: DataType) -> Generate:
        months = t.root is Root.INTERVAL_MONTH
        low, high = self._bounds(path, *((0, 120_000) if months else (0, 10**12)), int)

        def generate(g: np.random.Generator, first: int, count: int) -> pa.Array:
            numbers = g.integers(low, high, count, endpoint=True).tolist()
            if months:
                return pa.array([pa.MonthDayNano([n, 0, 0]) for n in numbers], t.arrow)
            day = 86_400_000
            return pa.array([pa.MonthDayNano([0, n // day, n % day * 1_000_000]) for n in numbers], t.arrow)

        return generate

    def _collections(self, path: str, t: DataType) -> Generate:
        length, variable = self._length(path, _LENGTH_COLLECTION)
        parts = ("key", "value") if t.root is Root.MAP else ("element",)
        inner = [self.of(f"{path}.{p}", c) for p, c in zip(parts, t.children, strict=True)]

        def generate(g: np.random.Generator, first: int, count: int) -> pa.Array:
            lengths = g.integers(0, length, count, endpoint=True) if variable else np.full(count, length)
            offsets = pa.array(_offsets(lengths))
            total = int(lengths.sum())
            values = [make(g, 0, total) for make in inner]
            if t.root is Root.ARRAY:
                return pa.ListArray.from_arrays(offsets, values[0])
            if t.root is Root.MULTISET:
                values.append(pa.array(np.ones(total, np.int32)))
            return _maps(offsets.to_pylist(), values[0], values[1], t.arrow)

        return generate

    def _rows(self, path: str, t: DataType) -> Generate:
        inner = [self.of(f"{path}.{n}", c) for n, c in zip(t.names, t.children, strict=True)]
        fields = list(t.arrow)
        return lambda g, first, count: pa.StructArray.from_arrays(
            [m(g, first, count) for m in inner], fields=fields
        )


def _offsets(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _maps(offsets: list[int], keys: pa.Array, values: pa.Array, target: pa.DataType) -> pa.Array:
    """Maps without repeated keys: of equal random keys the first stays."""
    key_list, value_list = keys.to_pylist(), values.to_pylist()
    out = []
    for a, b in pairwise(offsets):
        pairs: dict[Any, Any] = {}
        for i in range(a, b):
            if key_list[i] is not None:
                pairs.setdefault(key_list[i], value_list[i])
        out.append(list(pairs.items()))
    return pa.array(out, target)
