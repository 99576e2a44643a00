"""Rows to lines of csv, in columns. A NULL is the null literal, or nothing; an empty text is written in quotes."""

from __future__ import annotations

import base64
import re
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import DataType, Root
from streamsql.errors import DataError
from streamsql.schema import Schema

from .base import Encoder, insert_rows
from .json_write import double_texts, time_texts, timestamp_texts


class CsvEncoder(Encoder):
    """Writes each row as a line without its end."""

    OPTIONS = ("delimiter", "quote", "escape", "element_delimiter", "null_literal", "scientific_decimals")

    def __init__(
        self,
        schema: Schema,
        *,
        delimiter: str,
        quote: str | None,
        escape: str | None,
        element_delimiter: str,
        null_literal: str | None,
        scientific_decimals: bool,
    ) -> None:
        self.schema = schema
        self._delimiter, self._quote, self._escape = delimiter, quote, escape
        self._elements, self._null, self._scientific = element_delimiter, null_literal, scientific_decimals
        special = [delimiter, "\n", "\r", *(c for c in (quote, escape) if c)]
        alternatives = ["^$", "^#", "^ ", " $", *map(re.escape, special)]
        if null_literal is not None:
            alternatives.append(f"^{re.escape(null_literal)}$")
        self._special = "|".join(alternatives)
        marks = "".join(c for c in (delimiter, quote, escape) if c)
        # These might stand in a number, a time or base64.
        self._guard_all = any(c.isalnum() or c in " .:+-/=" for c in marks)

    def encode(self, batch: ChangelogBatch) -> tuple[pa.BinaryArray, npt.NDArray[np.int64]]:
        rows, index = insert_rows(batch)
        fields = [self._field(c, f.name, f.type) for c, f in zip(rows.columns, self.schema, strict=True)]
        if not fields:
            return pa.array([b""] * rows.num_rows, pa.binary()), index
        null = self._null or ""
        joined = pc.binary_join_element_wise(
            *fields, self._delimiter, null_handling="replace", null_replacement=null
        )
        return joined.cast(pa.binary()), index

    def _field(self, column: pa.Array, name: str, t: DataType) -> pa.StringArray:
        texts = self._text(column, t)
        return self._guard(texts, name) if self._guard_all or t.is_string or t.is_nested else texts

    def _text(self, column: pa.Array, t: DataType) -> pa.StringArray:
        match t.root:
            case Root.CHAR | Root.VARCHAR:
                return column
            case Root.FLOAT | Root.DOUBLE:
                return double_texts(column)
            case Root.DECIMAL:
                return self._decimals(column)
            case Root.BINARY | Root.VARBINARY:
                texts = [None if v is None else base64.b64encode(v).decode() for v in column.to_pylist()]
                return pa.array(texts, pa.string())
            case Root.TIME:
                return time_texts(column)
            case Root.TIMESTAMP | Root.TIMESTAMP_LTZ:
                return timestamp_texts(column, iso=False)
            case Root.ARRAY:
                return self._joined(column, [t.children[0]])
            case Root.ROW:
                return self._joined(column, t.children)
            case _:
                return column.cast(pa.string())

    def _decimals(self, column: pa.Array) -> pa.StringArray:
        """As Flink: without zeros at the end, and (by default) with an exponent where those were digits before the
        point."""
        form: Any = _scientific if self._scientific else _plain
        return pa.array([None if v is None else form(v) for v in column.to_pylist()], pa.string())

    def _joined(self, column: pa.Array, types: Any) -> pa.StringArray:
        """The elements of an array, or the fields of a row, in one field."""
        if pa.types.is_struct(column.type):
            parts = [self._text(c, t) for c, t in zip(column.flatten(), types, strict=True)]
            lists = list(zip(*(p.to_pylist() for p in parts), strict=True)) if parts else []
            valid = column.is_valid().to_pylist()
        else:
            offsets = column.offsets.to_pylist()
            values = self._text(column.values, types[0]).to_pylist()
            lists = [tuple(values[a:b]) for a, b in pairwise(offsets)]
            valid = column.is_valid().to_pylist()
        null = self._null or ""
        out = []
        for parts_of_row, is_valid in zip(lists, valid, strict=True):
            texts = [null if p is None else p for p in parts_of_row]
            broken = next((x for x in texts if self._elements in x), None)
            if broken is not None and is_valid:
                raise DataError(
                    f"the element '{broken}' holds the delimiter '{self._elements}', and csv cannot quote elements",
                    hint="choose another 'csv.array-element-delimiter'",
                )
            out.append(self._elements.join(texts) if is_valid else None)
        return pa.array(out, pa.string())

    def _guard(self, texts: pa.StringArray, name: str) -> pa.StringArray:
        """Quote (or escape) what would not be read back as it is."""
        special = pc.fill_null(pc.match_substring_regex(texts, self._special), False)
        if not special.true_count:
            return texts
        if self._quote is None:
            return self._escaped(texts, special, name)
        inner = texts
        if self._escape is not None:
            inner = pc.replace_substring(inner, self._escape, self._escape * 2)
        inner = pc.replace_substring(inner, self._quote, self._quote * 2)
        return pc.if_else(special, pc.binary_join_element_wise(self._quote, inner, self._quote, ""), texts)

    def _escaped(self, texts: pa.StringArray, special: pa.BooleanArray, name: str) -> pa.StringArray:
        needed = [self._delimiter, "\n", "\r"]
        if self._escape is None:
            risky = "|".join(map(re.escape, needed))
            bad = texts.filter(pc.fill_null(pc.match_substring_regex(texts, risky), False))
            if len(bad):
                raise DataError(
                    f"column '{name}': the text {bad[0].as_py()!r} needs quotes, "
                    "and 'csv.disable-quote-character' is true",
                    hint="set 'csv.escape-character', or allow quotes",
                )
            return texts
        inner = pc.replace_substring(texts, self._escape, self._escape * 2)
        for character in needed:
            inner = pc.replace_substring(inner, character, self._escape + character)
        return pc.if_else(special, inner, texts)


def _scientific(value: Decimal) -> str:
    """
    >>> _scientific(Decimal("100000.00")), _scientific(Decimal("12.50")), _scientific(Decimal("0.00"))
    ('1E+5', '12.5', '0')
    """
    return str(value.normalize()) if value else "0"


def _plain(value: Decimal) -> str:
    """
    >>> _plain(Decimal("100000.00")), _plain(Decimal("12.50"))
    ('100000', '12.5')
    """
    return f"{value.normalize():f}" if value else "0"
