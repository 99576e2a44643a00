"""JSON messages to rows, one at a time: the reference that the columnar reader must equal, and the path of small
batches.

A value becomes what its column's type says, from JSON's own kinds (number, string, true/false, object, array) or from
the text of a string. ``null`` and a missing field are NULL. What cannot be is a :class:`FieldError`.

Source: Flink's JsonParserToRowDataConverters. Differs: a BOOLEAN takes only true, false and their texts; a DECIMAL
that does not fit is an error, not NULL; of a repeated key the first counts.
"""

from __future__ import annotations

import binascii
import ctypes
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from streamsql.datatypes import DataType, Root
from streamsql.errors import UnsupportedError
from streamsql.schema import Schema

from .times import date_days, time_micros, timestamp_micros

Convert = Callable[[Any], Any]

_INTEGER_TEXT = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER_TEXT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NON_FINITE_TEXT = re.compile(r"[+-]?(NaN|Infinity)")
_BITS = {Root.TINYINT: 8, Root.SMALLINT: 16, Root.INT: 32, Root.BIGINT: 64}
_EXACT = Context(prec=120)


class FieldError(ValueError):
    """A value that its column cannot hold; ``path`` grows from the inside out."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path

    def within(self, step: str) -> FieldError:
        inner = self.path if self.path.startswith("[") or not self.path else "." + self.path
        return FieldError(str(self), step + inner)

    def text(self) -> str:
        return f"field '{self.path}': {self}" if self.path else str(self)


class RawNumber(str):
    """The text of a JSON number that a float would not hold exactly."""

    __slots__ = ()


@dataclass(frozen=True)
class JsonReadOptions:
    """How messages are read; names are those of the format's options."""

    fail_on_missing_field: bool = False
    ignore_parse_errors: bool = False
    iso_timestamps: bool = False
    scalar: bool = False


class Malformed(ValueError):
    """The message is not JSON."""


class RowReader:
    """Reads one message at a time into a list of Python values, one per column."""

    def __init__(self, schema: Schema, options: JsonReadOptions) -> None:
        self._options = options
        self._fields = [(f.name, converter(f.type, options)) for f in schema]
        types = schema.types
        self._scalar = len(types) == 1 and types[0].root is not Root.ROW
        self._decoder = json.JSONDecoder(
            object_pairs_hook=_first_wins,
            parse_float=RawNumber if _has_decimal(types) else _float,
            parse_constant=RawNumber,
            strict=False,
        )
        self._scan: Callable[[str, int], tuple[Any, int]] = self._decoder.scan_once  # type: ignore[attr-defined]

    def parse(self, message: bytes) -> Any:
        """The JSON value. Raises Malformed."""
        try:
            text = message.decode("utf-8")
            try:
                value, end = self._scan(text, 0)  # spares decode() its two searches for spaces
                if end == len(text):
                    return value
            except StopIteration:
                pass
            return self._decoder.decode(text)
        except UnicodeDecodeError as e:
            raise Malformed(f"found bytes that are not UTF-8 (at byte {e.start}), expected JSON") from None
        except json.JSONDecodeError as e:
            raise Malformed(f"found {shown(message)}, expected JSON: {e.msg} at character {e.pos}") from None
        except (RecursionError, ValueError) as e:
            raise Malformed(f"found {shown(message)}, expected JSON: {e}") from None

    def row(self, value: Any) -> list[Any]:
        """The columns of a parsed message that is not null. Raises FieldError."""
        if self._options.scalar or (self._scalar and type(value) is not dict):
            name, convert = self._fields[0]
            try:
                return [None if value is None else convert(value)]
            except FieldError as e:
                raise e.within(name) from None
        if type(value) is not dict:
            raise FieldError(f"found {shown_value(value)}, expected a JSON object")
        out: list[Any] = []
        append = out.append
        get = value.get
        for name, convert in self._fields:
            v = get(name)
            if v is None:
                if self._options.fail_on_missing_field and name not in value:
                    raise FieldError("found no such field, expected it in every object", name)
                append(None)
            else:
                try:
                    append(convert(v))
                except FieldError as e:
                    raise e.within(name) from None
        return out


def shown(message: bytes, limit: int = 80) -> str:
    """A message as error texts show it."""
    text = message[: limit + 1].decode("utf-8", "replace")
    return repr(text[:limit] + "…") if len(text) > limit else repr(text)


def shown_value(value: Any) -> str:
    text = json_text(value) if type(value) is not str else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:60] + "…"


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        found = dict(reversed(pairs))
        return {k: found[k] for k, _ in pairs}
    return found


def _float(text: str) -> float | RawNumber:
    value = float(text)
    return value if math.isfinite(value) else RawNumber(text)


def _has_decimal(types: Sequence[DataType]) -> bool:
    return any(t.root is Root.DECIMAL or _has_decimal(t.children) for t in types)


def json_text(value: Any) -> str:
    """The text of a value as a STRING column receives it: numbers shortest, objects and arrays without spaces."""
    if type(value) is str:
        return value
    if type(value) is RawNumber:
        number = float(value)
        return number_text(number) if math.isfinite(number) else str(value)
    if type(value) is float:
        return number_text(value)
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ",".join(map(_nested_text, value)) + "]"
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{_nested_text(v)}" for k, v in value.items())
            + "}"
        )
    return repr(value)


def number_text(value: float) -> str:
    """A finite number as JavaScript prints it, with ``.0`` for a whole one: DuckDB's form.

    >>> number_text(1e22), number_text(1e-7), number_text(1e16), number_text(0.00001), number_text(-2.50)
    ('1e22', '1e-7', '10000000000000000.0', '0.00001', '-2.5')
    """
    text = repr(value)
    if "e" not in text:
        return text
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    size = len(digits) + exponent  # where the point stands
    if -6 < size <= 21:
        plain = f"{Decimal(text):f}"
        return plain if "." in plain else plain + ".0"
    mantissa = "".join(map(str, digits)).rstrip("0")
    point = "." if len(mantissa) > 1 else ""
    return f"{'-' if sign else ''}{mantissa[0]}{point}{mantissa[1:]}e{size - 1}"


def _nested_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if type(value) is str else json_text(value)


# -- converters ------------------------------------------------------------------------------------------------------


def converter(t: DataType, options: JsonReadOptions) -> Convert:
    """The function that turns a parsed non-null value into a value of ``t`` (as pyarrow takes it)."""
    convert = _converter(t, options)
    if not options.ignore_parse_errors:
        return convert

    def tolerant(value: Any) -> Any:
        try:
            return convert(value)
        except FieldError:
            return None

    return tolerant


def _converter(t: DataType, options: JsonReadOptions) -> Convert:
    match t.root:
        case Root.CHAR | Root.VARCHAR:
            return _string
        case Root.BOOLEAN:
            return _boolean
        case Root.BINARY | Root.VARBINARY:
            return _binary
        case Root.TINYINT | Root.SMALLINT | Root.INT | Root.BIGINT:
            return _integer(t)
        case Root.FLOAT:
            return lambda v: ctypes.c_float(_double(v, t)).value
        case Root.DOUBLE:
            return lambda v: _double(v, t)
        case Root.DECIMAL:
            return _decimal(t)
        case Root.DATE:
            return _from_text(t, date_days)
        case Root.TIME:
            return _from_text(t, lambda s: time_micros(s, t.precision))
        case Root.TIMESTAMP | Root.TIMESTAMP_LTZ:
            zoned, iso = t.root is Root.TIMESTAMP_LTZ, options.iso_timestamps
            return _from_text(t, lambda s: timestamp_micros(s, t.precision, iso=iso, zoned=zoned))
        case Root.ARRAY:
            return _array(t, options)
        case Root.MAP | Root.MULTISET:
            return _map(t, options)
        case Root.ROW:
            return _row(t, options)
        case Root.NULL:
            return lambda v: None
        case _:
            raise UnsupportedError(
                f"format 'json' has no form for the type {t.sql()}", hint="declare the column as STRING"
            )


def _unexpected(value: Any, t: DataType) -> FieldError:
    return FieldError(f"found {shown_value(value)}, expected {t.sql(nullability=False)}")


def _string(value: Any) -> str:
    text = value if type(value) is str else json_text(value)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:  # an escaped half of a surrogate pair; Java writes '?' too
        return text.encode("utf-8", "replace").decode()
    return text


def _boolean(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    if type(value) is str and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise FieldError(f"found {shown_value(value)}, expected BOOLEAN")


def _binary(value: Any) -> bytes:
    if type(value) is str:
        try:
            return binascii.a2b_base64(value.encode("ascii"), strict_mode=True)
        except (binascii.Error, UnicodeEncodeError):
            pass
    raise FieldError(f"found {shown_value(value)}, expected bytes as base64")


def _integer(t: DataType) -> Convert:
    limit = 1 << (_BITS[t.root] - 1)

    def convert(value: Any) -> int:
        kind = type(value)
        if kind is int:
            number = value
        elif kind is float or kind is RawNumber:
            real = float(value)
            if not math.isfinite(real):
                raise _unexpected(value, t)
            number = int(real)
        elif kind is str and _INTEGER_TEXT.fullmatch(value.strip()):
            number = int(value)
        else:
            raise _unexpected(value, t)
        if not -limit <= number < limit:
            raise FieldError(
                f"found {shown_value(value)}, which is out of the range of {t.sql(nullability=False)}"
            )
        return int(number)

    return convert


def _double(value: Any, t: DataType) -> float:
    kind = type(value)
    if kind is float:
        return float(value)
    if kind is int or kind is RawNumber:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if kind is str:
        text = value.strip()
        if _NUMBER_TEXT.fullmatch(text) or _NON_FINITE_TEXT.fullmatch(text):
            return float(text)
    raise _unexpected(value, t)


def _decimal(t: DataType) -> Convert:
    unit = Decimal(1).scaleb(-t.scale)
    limit = Decimal(10) ** (t.precision - t.scale)

    def convert(value: Any) -> Decimal:
        if type(value) is int:
            number = Decimal(value)
        elif isinstance(value, str) and _NUMBER_TEXT.fullmatch(value.strip()):
            try:
                number = Decimal(value.strip())
            except InvalidOperation:  # an exponent beyond what the decimal module counts
                raise _unexpected(value, t) from None
        else:
            raise _unexpected(value, t)
        if not number:
            return Decimal(0).quantize(unit)
        if number.adjusted() <= t.precision:
            number = number.quantize(unit, ROUND_HALF_UP, _EXACT)
            if abs(number) < limit:
                return number
        raise FieldError(f"found {shown_value(value)}, which does not fit {t.sql(nullability=False)}")

    return convert


def _from_text(t: DataType, parse: Callable[[str], int | None]) -> Convert:
    def convert(value: Any) -> int:
        found = parse(value) if type(value) is str else None
        if found is None:
            raise _unexpected(value, t)
        return found

    return convert


def _array(t: DataType, options: JsonReadOptions) -> Convert:
    element = converter(t.children[0], options)

    def convert(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _unexpected(value, t)
        out = []
        for i, v in enumerate(value):
            try:
                out.append(None if v is None else element(v))
            except FieldError as e:
                raise e.within(f"[{i}]") from None
        return out

    return convert


def _map(t: DataType, options: JsonReadOptions) -> Convert:
    if not t.children[0].is_string:
        raise UnsupportedError(
            f"format 'json' writes and reads only STRING as the key of {t.sql(nullability=False)}",
            hint="declare the map's keys as STRING and CAST them in the query",
        )
    value_type = t.children[1] if t.root is Root.MAP else DataType(Root.INT)
    convert_value = converter(value_type, options)

    def convert(value: Any) -> list[tuple[str, Any]]:
        if type(value) is not dict:
            raise _unexpected(value, t)
        out = []
        for k, v in value.items():
            try:
                out.append((_string(k), None if v is None else convert_value(v)))
            except FieldError as e:
                raise e.within(f"['{k}']") from None
        return out

    return convert


def _row(t: DataType, options: JsonReadOptions) -> Convert:
    fields = [(n, converter(c, options)) for n, c in zip(t.names, t.children, strict=True)]

    def convert(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _unexpected(value, t)
        out = {}
        for name, field in fields:
            v = value.get(name)
            if v is None and options.fail_on_missing_field and name not in value:
                raise FieldError("found no such field, expected it in every object", name)
            try:
                out[name] = None if v is None else field(v)
            except FieldError as e:
                raise e.within(name) from None
        return out

    return convert
