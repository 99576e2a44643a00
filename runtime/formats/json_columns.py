"""JSON messages to Arrow columns, a batch at a time, through DuckDB's ``json_extract_string``.

Every field is taken out as *text* and converted by strict Arrow casts. A row is *clean* only where every reading of its
texts agrees with the row-wise reader; all others are *suspicious* and left to that reader, which has the last word and knows
what to say. So this file never reports an error, and being too careful costs time only.

Suspicious are: messages that do not start with ``{`` or are not JSON, texts that a cast refuses, numbers whose text is not
plain, strings that look like objects (DuckDB gives the text of an object too), and decimals with more digits than a float holds.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.datatypes import DataType, Root
from streamsql.schema import Schema

from .json_rows import JsonReadOptions
from .json_text import Mask, as_mask, first_bytes, text_buffers
from .times import cut

Converted = tuple[pa.Array, Mask | None]
"""A column, and where its texts are suspicious (None: nowhere)."""

_CHUNK_ROWS = 16_384
"""Rows per batch handed to DuckDB: the unit its two threads share."""


class ColumnReader:
    """Decodes batches of messages; owns a DuckDB connection with prepared relations."""

    def __init__(self, schema: Schema, options: JsonReadOptions, threads: int = 2) -> None:
        self._connection = duckdb.connect(config={"threads": threads})
        self._relations: list[Relation] = []
        self._options = options
        self._scalar: _Scalar | None = None
        if options.scalar:
            self._scalar = _Scalar(self, schema.types[0])
        else:
            self._object = _Object(self, schema.names, schema.types)
        self._decimals = any(_holds_decimal(t) for t in schema.types)
        self._arrow = schema.arrow

    @property
    def options(self) -> JsonReadOptions:
        return self._options

    def relation(self, sql: str) -> Relation:
        relation = Relation(self._connection, sql)
        self._relations.append(relation)
        return relation

    def read(self, texts: pa.StringArray) -> tuple[pa.RecordBatch, Mask]:
        """Columns and the mask of suspicious rows. ``texts`` has no NULLs."""
        if self._scalar is not None:
            column, mask = self._scalar.read(texts)
            columns = [column]
        else:
            columns, mask = self._object.columns(texts)
        suspicious = np.zeros(len(texts), bool) if mask is None else mask
        if self._decimals:
            suspicious = suspicious | long_numbers(texts)
        return pa.RecordBatch.from_arrays(columns, schema=self._arrow), suspicious

    def close(self) -> None:
        for relation in self._relations:
            relation.close()
        self._connection.close()


class Relation:
    """A query over a column ``v`` of texts, bound once and run for each batch."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, sql: str) -> None:
        self._table: pa.Table | None = None
        self._sql = sql
        self._input: Any = connection.from_arrow(_Stream(self))
        self._relation: Any = None

    def run(self, texts: pa.StringArray) -> pa.Table:
        whole = pa.record_batch([texts], names=["v"])
        self._table = pa.Table.from_batches(
            [whole.slice(i, _CHUNK_ROWS) for i in range(0, max(1, len(texts)), _CHUNK_ROWS)]
        )
        if self._relation is None:
            self._relation = self._input.query("m", self._sql)
        result = self._relation.to_arrow_table().combine_chunks()
        self._table = None
        return result

    def close(self) -> None:
        self._relation = self._input = None

    @property
    def table(self) -> pa.Table:
        return self._table if self._table is not None else pa.table({"v": pa.array([], pa.string())})


class _Stream:
    """What DuckDB reads: the table of the moment."""

    def __init__(self, owner: Relation) -> None:
        self._owner = owner

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._owner.table.__arrow_c_stream__(requested_schema)


def column_of(table: pa.Table, index: int) -> pa.Array:
    """A column of a result as one array."""
    chunked = table.column(index)
    return (
        chunked.chunk(0)
        if chunked.num_chunks == 1
        else pa.concat_arrays(chunked.chunks or [pa.array([], chunked.type)])
    )


# -- nested ----------------------------------------------------------------------------------------------------------


class _Object:
    """Objects of known fields: the message itself, and columns of type ROW."""

    def __init__(self, reader: ColumnReader, names: Sequence[str], types: Sequence[DataType]) -> None:
        self._reads = [column_converter(reader, t) for t in types]
        self._fields = [pa.field(n, t.arrow) for n, t in zip(names, types, strict=True)]
        self._all_fields = reader.options.fail_on_missing_field
        lists: dict[str, list[str]] = {"json_extract_string": [], "json_extract": []}
        columns = []
        for name, t in zip(names, types, strict=True):
            function = _extract(t)
            lists[function].append(_literal("/" + name.replace("~", "~0").replace("/", "~1")))
            columns.append(f"{function}[{len(lists[function])}], ")
        taken = ", ".join(f"try({f}(v, [{', '.join(p)}])) {f}" for f, p in lists.items() if p)
        bad = next(f for f, p in lists.items() if p)
        self._relation = reader.relation(
            f"SELECT {''.join(columns)}{bad} IS NULL FROM (SELECT {taken} FROM m)"
        )

    def columns(self, texts: pa.StringArray) -> tuple[list[pa.Array], Mask]:
        """Columns, and where they are suspicious; a NULL text gives NULLs that are not."""
        table = self._relation.run(texts)
        mask = starts_otherwise(texts, b"{") | as_mask(column_of(table, len(self._reads)))
        columns = []
        for i, read in enumerate(self._reads):
            text = column_of(table, i)
            column, bad = read(text)
            columns.append(column)
            if bad is not None:
                mask |= bad
            if self._all_fields and text.null_count:
                mask |= as_mask(pc.is_null(text))
        if texts.null_count:
            mask &= as_mask(pc.is_valid(texts))
        return columns, mask

    def read(self, texts: pa.StringArray) -> Converted:
        texts = without_json_nulls(texts)
        columns, mask = self.columns(texts)
        return pa.StructArray.from_arrays(columns, fields=self._fields, mask=pc.is_null(texts)), mask


class _Scalar:
    """Messages that are the bare value of one column."""

    def __init__(self, reader: ColumnReader, t: DataType) -> None:
        self._read = column_converter(reader, t)
        self._relation = reader.relation(f"SELECT try({_extract(t)}(v, '$')) FROM m")

    def read(self, texts: pa.StringArray) -> Converted:
        column, bad = self._read(column_of(self._relation.run(texts), 0))
        nulls = as_mask(pc.is_null(column))  # null and malformed look the same
        return column, nulls if bad is None else nulls | bad


class _Array:
    def __init__(self, reader: ColumnReader, t: DataType) -> None:
        self._read = column_converter(reader, t.children[0])
        self._relation = reader.relation(f"SELECT try({_extract(t.children[0])}(v, '$[*]')) FROM m")

    def read(self, texts: pa.StringArray) -> Converted:
        texts = without_json_nulls(texts)
        lists = column_of(self._relation.run(texts), 0)
        mask = starts_otherwise(texts, b"[")
        values, bad = self._read(lists.flatten())
        offsets = _offsets(lists)
        spread(bad, offsets, mask)
        return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pc.is_null(texts)), mask


class _Map:
    def __init__(self, reader: ColumnReader, t: DataType) -> None:
        value = t.children[1] if t.root is Root.MAP else DataType(Root.INT)
        self._type = t.arrow
        self._read = column_converter(reader, value)
        self._relation = reader.relation(
            f"SELECT try({_extract(value)}(v, '$.*')), k, len(k) <> list_unique(k) "
            "FROM (SELECT v, try(json_keys(v)) k FROM m)"
        )

    def read(self, texts: pa.StringArray) -> Converted:
        texts = without_json_nulls(texts)
        table = self._relation.run(texts)
        lists, keys = column_of(table, 0), column_of(table, 1)
        mask = starts_otherwise(texts, b"{") | as_mask(pc.fill_null(column_of(table, 2), False))
        values, bad = self._read(lists.flatten())
        offsets = _offsets(lists)
        spread(bad, offsets, mask)
        maps = pa.MapArray.from_arrays(pa.array(offsets), keys.flatten(), values, mask=pc.is_null(texts))
        return maps.cast(self._type) if maps.type != self._type else maps, mask


def _extract(t: DataType) -> str:
    """DuckDB's function for a value of ``t``: its text, or its JSON where a string must not pass for an object."""
    return "json_extract" if t.is_nested else "json_extract_string"


def without_json_nulls(texts: pa.StringArray) -> pa.StringArray:
    """JSON texts with ``null`` as NULL."""
    null = pc.fill_null(pc.equal(texts, "null"), False)
    return pc.if_else(null, pa.scalar(None, pa.string()), texts) if null.true_count else texts


def _offsets(lists: pa.ListArray) -> npt.NDArray[np.int32]:
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(lists) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def spread(bad: Mask | None, offsets: npt.NDArray[np.int32], mask: Mask) -> None:
    """Mark in ``mask`` each list that holds a suspicious element."""
    if bad is not None and bad.any():
        mask[np.searchsorted(offsets, np.flatnonzero(bad), side="right") - 1] = True


# -- one column of texts ---------------------------------------------------------------------------------------------


def column_converter(reader: ColumnReader, t: DataType) -> Callable[[pa.StringArray], Converted]:
    """The function from a column of texts (of JSON values for a nested type) to a column of ``t``."""
    match t.root:
        case Root.CHAR | Root.VARCHAR:
            return _strings
        case Root.BOOLEAN:
            return _booleans
        case Root.BINARY | Root.VARBINARY:
            return _binaries
        case Root.TINYINT | Root.SMALLINT | Root.INT | Root.BIGINT:
            return lambda texts: _integers(texts, t.arrow)
        case Root.FLOAT | Root.DOUBLE:
            return lambda texts: _doubles(texts, t.arrow)
        case Root.DECIMAL:
            return _decimals(reader, t)
        case Root.DATE:
            return lambda texts: cast_strictly(texts, pa.date32())
        case Root.TIME:
            return lambda texts: _times(texts, t.precision)
        case Root.TIMESTAMP | Root.TIMESTAMP_LTZ:
            return lambda texts: _timestamps(texts, t, iso=reader.options.iso_timestamps)
        case Root.ARRAY:
            return _Array(reader, t).read
        case Root.MAP | Root.MULTISET:
            return _Map(reader, t).read
        case Root.ROW:
            return _Object(reader, t.names, t.children).read
        case Root.NULL:
            return lambda texts: (pa.nulls(len(texts), t.arrow), None)
        case _:
            raise AssertionError(t)  # the row-wise reader, built first, has refused it by name


def starts_otherwise(texts: pa.StringArray, expected: bytes) -> Mask:
    """Where a text that is not NULL starts with another byte."""
    mask = np.asarray(first_bytes(texts) != expected[0])
    if texts.null_count:
        mask &= as_mask(pc.is_valid(texts))
    return mask


def cast_strictly(texts: pa.StringArray, target: pa.DataType) -> Converted:
    """An Arrow cast that leaves NULL, and marks, what cannot be cast."""
    try:
        return texts.cast(target), None
    except pa.ArrowInvalid:
        pass
    mask = np.zeros(len(texts), bool)
    parts: list[pa.Array] = []
    _cast_halves(texts, target, 0, mask, parts)
    return pa.concat_arrays(parts), mask


def _cast_halves(
    texts: pa.StringArray, target: pa.DataType, start: int, mask: Mask, parts: list[pa.Array]
) -> None:
    """Halve what fails until the bad texts are found; few bad ones cost few casts."""
    try:
        parts.append(texts.cast(target))
        return
    except pa.ArrowInvalid:
        pass
    if len(texts) == 1:
        mask[start] = True
        parts.append(pa.nulls(1, target))
        return
    middle = len(texts) // 2
    _cast_halves(texts.slice(0, middle), target, start, mask, parts)
    _cast_halves(texts.slice(middle), target, start + middle, mask, parts)


def _strings(texts: pa.StringArray) -> Converted:
    first = first_bytes(texts)
    mask = (first == ord("{")) | (first == ord("["))
    return texts, mask if mask.any() else None


def _booleans(texts: pa.StringArray) -> Converted:
    true = pc.equal(texts, "true")
    known = pc.or_(true, pc.equal(texts, "false"))
    return true, as_mask(pc.fill_null(pc.invert(known), False))


def _binaries(texts: pa.StringArray) -> Converted:
    out: list[bytes | None] = []
    mask = np.zeros(len(texts), bool)
    for i, text in enumerate(texts.to_pylist()):
        value = None
        if text is not None:
            try:
                value = binascii.a2b_base64(text.encode(), strict_mode=True)
            except binascii.Error:
                mask[i] = True
            else:
                mask[i] = text.isdecimal() or text in ("true", "null")  # might be a number or a boolean
        out.append(value)
    return pa.array(out, pa.binary()), mask if mask.any() else None


def _integers(texts: pa.StringArray, target: pa.DataType) -> Converted:
    column, mask = cast_strictly(texts, target)
    _, data = text_buffers(texts)
    if ((data | 0x20) == ord("x")).any():  # the cast reads 0x1F
        hexadecimal = as_mask(pc.fill_null(pc.match_substring(texts, "x", ignore_case=True), False))
        mask = hexadecimal if mask is None else mask | hexadecimal
    return column, mask


def _doubles(texts: pa.StringArray, target: pa.DataType) -> Converted:
    column, mask = cast_strictly(texts, pa.float64())
    odd = pc.fill_null(pc.invert(pc.is_finite(column)), False)
    if odd.true_count:
        mask = as_mask(odd) if mask is None else mask | as_mask(odd)
    return column if target == pa.float64() else column.cast(target, safe=False), mask


def _decimals(reader: ColumnReader, t: DataType) -> Callable[[pa.StringArray], Converted]:
    relation = reader.relation(f"SELECT TRY_CAST(v AS {t.duckdb}) d FROM m")

    def convert(texts: pa.StringArray) -> Converted:
        try:
            column = texts.cast(t.arrow)
        except pa.ArrowInvalid:  # more fraction digits than the scale: DuckDB rounds half up, as Flink does
            column = column_of(relation.run(texts), 0)
        mask = as_mask(pc.and_(pc.is_null(column), pc.is_valid(texts)))
        plain = pc.match_substring_regex(texts, r"^-?[0-9]+(\.[0-9]+)?$")
        mask |= as_mask(pc.fill_null(pc.invert(plain), False))
        return column, mask

    return convert


def _times(texts: pa.StringArray, precision: int) -> Converted:
    short = as_mask(pc.fill_null(pc.less(pc.binary_length(texts), 8), False))
    whole = pc.binary_join_element_wise("1970-01-01T", texts, "")
    stamps, mask = cast_strictly(whole, pa.timestamp("us"))
    column = _cut(stamps.cast(pa.int64()), precision).cast(pa.time64("us"))
    return column, short if mask is None else mask | short


def _timestamps(texts: pa.StringArray, t: DataType, *, iso: bool) -> Converted:
    zoned = t.root is Root.TIMESTAMP_LTZ
    offsets, data = text_buffers(texts)
    lengths = np.diff(offsets)
    mask = lengths < (20 if zoned else 19)
    if len(data):
        last = len(data) - 1
        mask |= data[np.minimum(offsets[:-1] + 10, last)] != (ord("T") if iso else ord(" "))
        if zoned:
            mask |= data[np.clip(offsets[1:] - 1, 0, last)] != ord("Z")
    if texts.null_count:
        mask &= as_mask(pc.is_valid(texts))
    if len(lengths) and lengths.max() > (27 if zoned else 26):
        texts = _six_digits(texts, zoned=zoned)
    stamps, bad = cast_strictly(texts, pa.timestamp("us", tz="UTC" if zoned else None))
    column = _cut(stamps.cast(pa.int64()), t.precision).cast(t.arrow)
    return column, mask if bad is None else mask | bad


def _six_digits(texts: pa.StringArray, *, zoned: bool) -> pa.StringArray:
    """Texts with seven to nine fraction digits cut to six; all others as they are."""
    long = pc.match_substring_regex(texts, r"^.{19}\.[0-9]{7,9}Z$" if zoned else r"^.{19}\.[0-9]{7,9}$")
    short = pc.binary_slice(texts.cast(pa.binary()), 0, 26).cast(pa.string(), safe=False)
    if zoned:
        short = pc.binary_join_element_wise(short, "Z", "")
    return pc.if_else(long, short, texts)


def _cut(micros: pa.Array, precision: int) -> pa.Array:
    """Drop the digits beyond ``precision``, towards the past."""
    if precision == 6:
        return micros
    values = pc.fill_null(micros, 0).to_numpy(zero_copy_only=False)
    return pa.array(cut_all(values, precision), mask=as_mask(pc.is_null(micros)))


def cut_all(values: npt.NDArray[np.int64], precision: int) -> npt.NDArray[np.int64]:
    """:func:`times.cut` over an array."""
    return np.asarray(cut(values, precision))  # type: ignore[arg-type]


# -- numbers that a float does not hold ------------------------------------------------------------------------------

_LONG = "|".join(
    [*(rf"[0-9]{{{k}}}\.[0-9]{{{15 - k},}}" for k in range(1, 15)), r"[0-9]{15,}\.[0-9]", "[0-9]{16,}[eE]"]
)


def long_numbers(messages: pa.StringArray) -> Mask:
    """Where a message may hold a fraction of 16 digits or more: DuckDB reads it as a float and loses some.

    Every run of 16 digits covers two neighbours of every eighth byte, so most bytes need no look.
    """
    offsets, data = text_buffers(messages)
    mask = np.zeros(len(messages), bool)
    sample = _is_digit(data[::8])
    at = np.flatnonzero(sample[1:] & sample[:-1]) * 8
    for step in (4, 2, 6, 1, 3, 5, 7):
        at = at[_is_digit(data[at + step])]
    if len(at) == 0:
        return mask
    last = len(data) - 1
    left = np.cumprod(_is_digit(data[np.maximum(at[:, None] - np.arange(1, 9), 0)]), axis=1).sum(axis=1)
    right = np.cumprod(_is_digit(data[np.minimum(at[:, None] + np.arange(9, 17), last)]), axis=1).sum(axis=1)
    hits = at[left + right + 9 >= 16]
    rows = np.unique(np.searchsorted(offsets, hits, side="right") - 1)
    rows = rows[(rows >= 0) & (rows < len(messages))]
    if len(rows):
        found = pc.match_substring_regex(messages.take(pa.array(rows)), _LONG)
        mask[rows[as_mask(found)]] = True
    return mask


def _is_digit(data: npt.NDArray[np.uint8]) -> Mask:
    return np.asarray(((data - np.uint8(48)) < 10) | (data == ord(".")))


def _holds_decimal(t: DataType) -> bool:
    return t.root is Root.DECIMAL or any(_holds_decimal(c) for c in t.children)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
