"""Rows to JSON messages, in columns: every column becomes a column of JSON texts, and these are joined.

Texts are Flink's (Jackson's): no spaces, numbers as Java prints them, timestamps with no more fraction digits than
needed, bytes as base64. NULL is ``null``.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.catalog.options import Options
from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import DataType, Root
from streamsql.errors import UnsupportedError
from streamsql.schema import Schema

from .base import Encoder, insert_rows
from .json_text import optional, text_buffers

ToText = Callable[[pa.Array], pa.StringArray]
"""A column to JSON texts, NULL where the value is NULL."""

_ESCAPES = {0x5C: "\\\\", 0x22: '\\"', 8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}
_SPECIAL = np.zeros(256, bool)
_SPECIAL[:32] = True
_SPECIAL[[0x22, 0x5C]] = True


@dataclass(frozen=True)
class JsonWriteOptions:
    """How messages are written; names are those of the format's options."""

    iso_timestamps: bool = False
    plain_decimals: bool = False
    ignore_null_fields: bool = False
    scalar: bool = False


def write_options(options: Options) -> JsonWriteOptions:
    """The writing half of the format's options."""
    return JsonWriteOptions(
        iso_timestamps=options["timestamp-format.standard"] == "ISO-8601",
        plain_decimals=bool(options["encode.decimal-as-plain-number"]),
        ignore_null_fields=bool(options["encode.ignore-null-fields"]),
        scalar=optional(options, "scalar"),
    )


class JsonEncoder(Encoder):
    """Writes each row as an object, or as the bare value of the only column (option ``scalar``)."""

    def __init__(self, schema: Schema, options: JsonWriteOptions) -> None:
        if options.scalar and len(schema) != 1:
            raise UnsupportedError(
                f"'json.scalar' needs exactly one column, found {len(schema)}: {', '.join(schema.names)}",
                hint="leave 'json.scalar' out, or let the format carry one column",
            )
        self.schema = schema
        self._scalar = text_of(schema.types[0], options) if options.scalar else None
        self._object = ObjectText(schema.names, schema.types, options)

    def encode(self, batch: ChangelogBatch) -> tuple[pa.BinaryArray, npt.NDArray[np.int64]]:
        rows, index = insert_rows(batch)
        if self._scalar is not None:
            texts = pc.fill_null(self._scalar(rows.column(0)), "null")
        else:
            texts = self._object.texts(rows.columns, rows.num_rows)
        return texts.cast(pa.binary()), index


class ObjectText:
    """Objects of known fields."""

    def __init__(self, names: Sequence[str], types: Sequence[DataType], options: JsonWriteOptions) -> None:
        self._names = [quote(n) for n in names]
        self._to_text = [text_of(t, options) for t in types]
        self._drop_nulls = options.ignore_null_fields

    def texts(self, columns: Sequence[pa.Array], count: int) -> pa.StringArray:
        if not columns:
            return pa.array(["{}"] * count, pa.string())
        values = [to_text(c) for to_text, c in zip(self._to_text, columns, strict=True)]
        if self._drop_nulls:
            return self._without_nulls(values)
        parts: list[pa.Array | str] = []
        for i, (name, value) in enumerate(zip(self._names, values, strict=True)):
            parts += [("," if i else "{") + name + ":", value]
        return _join(*parts, "}")

    def _without_nulls(self, values: Sequence[pa.StringArray]) -> pa.StringArray:
        parts = []
        for name, value in zip(self._names, values, strict=True):
            field = pc.binary_join_element_wise(f",{name}:", value, "")
            parts.append(pc.fill_null(field, ""))
        return pc.replace_substring(_join("{", *parts, "}"), "{,", "{", max_replacements=1)


def _join(*parts: pa.Array | str) -> pa.StringArray:
    return pc.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement="null")


def quote(text: str) -> str:
    """A JSON string."""
    for byte, escape in _ESCAPES.items():
        text = text.replace(chr(byte), escape)
    for byte in range(32):
        text = text.replace(chr(byte), f"\\u{byte:04X}")
    return f'"{text}"'


def text_of(t: DataType, options: JsonWriteOptions) -> ToText:
    """The function from a column of ``t`` to JSON texts. Raises UnsupportedError for a type without a form."""
    match t.root:
        case Root.CHAR | Root.VARCHAR:
            return quoted
        case Root.BOOLEAN | Root.TINYINT | Root.SMALLINT | Root.INT | Root.BIGINT | Root.NULL:
            return lambda a: a.cast(pa.string())
        case Root.FLOAT | Root.DOUBLE:
            return _json_doubles
        case Root.DECIMAL:
            return lambda a: decimal_texts(a, plain=options.plain_decimals)
        case Root.BINARY | Root.VARBINARY:
            return _base64
        case Root.DATE:
            return lambda a: _in_quotes(a.cast(pa.string()))
        case Root.TIME:
            return lambda a: _in_quotes(time_texts(a))
        case Root.TIMESTAMP | Root.TIMESTAMP_LTZ:
            return lambda a: _in_quotes(timestamp_texts(a, iso=options.iso_timestamps))
        case Root.ARRAY:
            return _array(t, options)
        case Root.MAP | Root.MULTISET:
            return _map(t, options)
        case Root.ROW:
            return _row(t, options)
        case _:
            raise UnsupportedError(
                f"format 'json' has no form for the type {t.sql()}", hint="CAST the column to STRING"
            )


def _in_quotes(texts: pa.StringArray) -> pa.StringArray:
    return pc.binary_join_element_wise('"', texts, '"', "")


def quoted(texts: pa.StringArray) -> pa.StringArray:
    """JSON strings of texts."""
    _, data = text_buffers(texts)
    special = np.unique(data[_SPECIAL[data]]) if len(data) else data
    for byte in sorted(special.tolist(), reverse=True):  # the backslash first
        texts = pc.replace_substring(texts, chr(byte), _ESCAPES.get(byte, f"\\u{byte:04X}"))
    return _in_quotes(texts)


def _base64(values: pa.BinaryArray) -> pa.StringArray:
    texts = [None if v is None else f'"{base64.b64encode(v).decode()}"' for v in values.to_pylist()]
    return pa.array(texts, pa.string())


def _json_doubles(values: pa.Array) -> pa.StringArray:
    texts = double_texts(values)
    finite = pc.fill_null(pc.is_finite(values), True)
    return texts if finite.false_count == 0 else pc.if_else(finite, texts, _in_quotes(texts))


def double_texts(values: pa.Array) -> pa.StringArray:
    """Numbers as Java prints them: ``1.0``, ``0.001``, ``1.0E7``, ``NaN``, ``-Infinity``."""
    texts = values.cast(pa.string())
    size = pc.abs(values)
    low, high = pa.scalar(1e-3, values.type), pa.scalar(1e7, values.type)
    usual = pc.or_(pc.and_(pc.greater_equal(size, low), pc.less(size, high)), pc.equal(size, 0))
    usual = pc.fill_null(usual, True)
    fraction = pc.fill_null(pc.match_substring(texts, "."), True)
    if fraction.false_count:
        texts = pc.if_else(fraction, texts, pc.binary_join_element_wise(texts, ".0", ""))
    if usual.false_count:
        odd = pc.invert(usual)
        replaced = pa.array(
            [_java_double(v) for v in values.filter(odd).cast(pa.string()).to_pylist()], pa.string()
        )
        texts = pc.replace_with_mask(texts, odd, replaced)
    return texts


def _java_double(text: str) -> str:
    if text.lstrip("-") in ("nan", "inf"):
        return {"nan": "NaN", "-nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[text]
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    exponent += len(digits) - 1
    tail = "".join(map(str, digits[1:])).rstrip("0") or "0"
    return f"{'-' if sign else ''}{digits[0]}.{tail}E{exponent}"


def decimal_texts(values: pa.Array, *, plain: bool) -> pa.StringArray:
    """Decimals as Java's BigDecimal prints them: an exponent only below 0.000001, and none if ``plain``."""
    texts = values.cast(pa.string())
    exponents = pc.fill_null(pc.match_substring(texts, "E"), False)
    if plain and exponents.true_count:
        replaced = pa.array([f"{v:f}" for v in values.filter(exponents).to_pylist()], pa.string())
        texts = pc.replace_with_mask(texts, exponents, replaced)
    return texts


def time_texts(values: pa.Array) -> pa.StringArray:
    """``HH:mm:ss`` with as many fraction digits as are not zero."""
    return _trim_fraction(values.cast(pa.string()), values.cast(pa.int64()))


def timestamp_texts(values: pa.Array, *, iso: bool) -> pa.StringArray:
    """``yyyy-MM-dd HH:mm:ss[.f]`` (with ``T`` if ``iso``), ending in ``Z`` for a type with a zone."""
    micros = values.cast(pa.int64())
    texts = _trim_fraction(micros.cast(pa.timestamp("us")).cast(pa.string()), micros)
    if iso:
        texts = pc.replace_substring(texts, " ", "T", max_replacements=1)
    return pc.binary_join_element_wise(texts, "Z", "") if values.type.tz else texts


def _trim_fraction(texts: pa.StringArray, micros: pa.Array) -> pa.StringArray:
    """Drop the zeros at the end of ``.ffffff``, and the point if nothing is left."""
    return pc.ascii_rtrim(pc.ascii_rtrim(texts, "0"), ".") if len(micros) else texts


# -- nested ----------------------------------------------------------------------------------------------------------


def _lists(array: pa.Array) -> tuple[npt.NDArray[np.int32], int, int]:
    """Offsets from 0, and the range of the children, of a list or map array that may be a slice."""
    offsets = array.offsets.to_numpy(zero_copy_only=False)
    if len(offsets) == 0:
        return np.zeros(1, np.int32), 0, 0
    return (offsets - offsets[0]).astype(np.int32), int(offsets[0]), int(offsets[-1])


def _joined(
    offsets: npt.NDArray[np.int32], texts: pa.StringArray, brackets: str, owner: pa.Array
) -> pa.StringArray:
    lists = pa.ListArray.from_arrays(pa.array(offsets), texts)
    joined = pc.binary_join_element_wise(brackets[0], pc.binary_join(lists, ","), brackets[1], "")
    return (
        pc.if_else(pc.is_valid(owner), joined, pa.scalar(None, pa.string())) if owner.null_count else joined
    )


def _array(t: DataType, options: JsonWriteOptions) -> ToText:
    element = text_of(t.children[0], options)

    def to_text(array: pa.ListArray) -> pa.StringArray:
        offsets, start, end = _lists(array)
        values = pc.fill_null(element(array.values.slice(start, end - start)), "null")
        return _joined(offsets, values, "[]", array)

    return to_text


def _map(t: DataType, options: JsonWriteOptions) -> ToText:
    if not t.children[0].is_string:
        raise UnsupportedError(
            f"format 'json' writes and reads only STRING as the key of {t.sql(nullability=False)}",
            hint="declare the map's keys as STRING and CAST them in the query",
        )
    value = text_of(t.children[1] if t.root is Root.MAP else DataType(Root.INT), options)

    def to_text(array: pa.MapArray) -> pa.StringArray:
        offsets, start, end = _lists(array)
        keys = array.keys.slice(start, end - start)
        values = pc.fill_null(value(array.items.slice(start, end - start)), "null")
        return _joined(offsets, pc.binary_join_element_wise(quoted(keys), values, ":"), "{}", array)

    return to_text


def _row(t: DataType, options: JsonWriteOptions) -> ToText:
    inner = ObjectText(t.names, t.children, options)

    def to_text(array: pa.StructArray) -> pa.StringArray:
        texts = inner.texts(array.flatten(), len(array))
        return (
            pc.if_else(pc.is_valid(array), texts, pa.scalar(None, pa.string())) if array.null_count else texts
        )

    return to_text
