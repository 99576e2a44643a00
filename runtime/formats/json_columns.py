"""JSON messages to Arrow columns, a batch at a time, through DuckDB's ``json_extract_string``.

Every field is taken out as *text* and converted by strict Arrow casts. A row is *clean* only where every reading of its
texts agrees with the row-wise reader; all others are *suspicious* and left to that reader, which has the last word
and knows what to say. So this file never reports an error, and being too careful costs time only.

Suspicious are: messages that do not start with ``{`` or are not JSON, texts that a cast refuses, numbers whose text
is not plain, strings that look like objects (DuckDB gives the text of an object too), and decimals with more digits
than a float holds.
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
from .text_columns import Converted, scalar_converter, spread

_CHUNK_ROWS = 16_384
"""Rows per batch handed to DuckDB: the unit its two threads share."""


class ColumnReader:
    """Decodes batches of messages; owns a DuckDB connection with prepared relations."""

    def __init__(self, schema: Schema, options: JsonReadOptions, threads: int = 2) -> None:
        self._connection = duckdb.connect(config={"threads": threads})
        # It only costs: a quarter of a small batch's time.
        self._connection.execute("PRAGMA disable_optimizer")
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


# -- one column of texts ---------------------------------------------------------------------------------------------


def column_converter(reader: ColumnReader, t: DataType) -> Callable[[pa.StringArray], Converted]:
    """The function from a column of texts (of JSON values for a nested type) to a column of ``t``."""
    match t.root:
        case Root.CHAR | Root.VARCHAR:
            return _strings
        case Root.BINARY | Root.VARBINARY:
            return _binaries
        case Root.ARRAY:
            return _Array(reader, t).read
        case Root.MAP | Root.MULTISET:
            return _Map(reader, t).read
        case Root.ROW:
            return _Object(reader, t.names, t.children).read
        case _:
            return scalar_converter(t, iso_timestamps=reader.options.iso_timestamps)


def starts_otherwise(texts: pa.StringArray, expected: bytes) -> Mask:
    """Where a text that is not NULL starts with another byte."""
    mask = np.asarray(first_bytes(texts) != expected[0])
    if texts.null_count:
        mask &= as_mask(pc.is_valid(texts))
    return mask


def _strings(texts: pa.StringArray) -> Converted:
    first = first_bytes(texts)
    mask = (first == ord("{")) | (first == ord("["))
    return texts, mask if mask.any() else None


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
