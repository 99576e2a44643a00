"""The ``csv`` format: one line per message, fields in the order of the columns.

Lines without quotes and escapes are split in columns; the others go through a tokenizer that knows both. Texts become
values by the same strict rules as in JSON. A NULL or empty message gives no row.

Differs from Flink: an empty field is NULL unless its column is a character type; a BOOLEAN takes only true and false.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.catalog.options import Options
from streamsql.datatypes import DataType, Root
from streamsql.errors import ConfigError, UnsupportedError
from streamsql.schema import Schema

from .base import Decoded, Decoder, Encoder, merge_parts
from .csv_write import CsvEncoder
from .json_rows import FieldError, JsonReadOptions, converter, shown
from .json_text import Mask, as_mask
from .text_columns import scalar_converter


@dataclass(frozen=True)
class CsvOptions:
    """The format's options, typed; ``quote`` and ``escape`` are None where there is none."""

    delimiter: str = ","
    quote: str | None = '"'
    escape: str | None = None
    element_delimiter: str = ";"
    null_literal: str | None = None
    allow_comments: bool = False
    ignore_parse_errors: bool = False
    scientific_decimals: bool = True
    trim_spaces: bool = False
    ignore_trailing: bool = False
    allow_trailing_comma: bool = True
    fail_on_missing: bool = False
    empty_as_null: bool = False


def csv_options(options: Options) -> CsvOptions:
    """Options as given. Raises ConfigError for a character that is none, or that has two meanings."""
    quote = None if options["disable-quote-character"] else _character(options, "quote-character")
    found = CsvOptions(
        delimiter=_character(options, "field-delimiter"),
        quote=quote,
        escape=_character(options, "escape-character") if options["escape-character"] else None,
        element_delimiter=options["array-element-delimiter"],
        null_literal=options["null-literal"],
        allow_comments=options["allow-comments"],
        ignore_parse_errors=options["ignore-parse-errors"],
        scientific_decimals=options["write-bigdecimal-in-scientific-notation"],
        trim_spaces=options["trim-spaces"],
        ignore_trailing=options["ignore-trailing-unmappable"],
        allow_trailing_comma=options["allow-trailing-comma"],
        fail_on_missing=options["fail-on-missing-columns"],
        empty_as_null=options["empty-string-as-null"],
    )
    special = [c for c in (found.delimiter, found.quote, found.escape) if c is not None]
    if len(set(special)) != len(special):
        raise ConfigError(
            f"{options.owner}: delimiter, quote and escape must be different characters, found {special}"
        )
    return found


def _character(options: Options, key: str) -> str:
    """One character; escapes such as ``\\t`` and ``\\u0001`` are understood, as Flink's unescapeJava does."""
    text = str(options[key])
    if text.startswith("\\") and len(text) > 1:
        text = text.encode("latin-1", "backslashreplace").decode("unicode_escape")
    if len(text) != 1 or text in "\r\n":
        raise ConfigError(
            f"option '{key}' of {options.owner}: found '{options[key]}', expected one character"
        )
    return text


def create_decoder(schema: Schema, options: Options, *, time_zone: str, metadata: Sequence[str]) -> Decoder:
    assert not metadata, metadata
    return CsvDecoder(schema, csv_options(options))


def create_encoder(schema: Schema, options: Options, *, time_zone: str) -> Encoder:
    check_types(schema)
    given = csv_options(options)
    return CsvEncoder(schema, **{k: getattr(given, k) for k in CsvEncoder.OPTIONS})


def check_types(schema: Schema) -> None:
    """Raises UnsupportedError for a column that a field cannot hold."""
    for field in schema:
        t = field.type
        children = t.children if t.root in (Root.ARRAY, Root.ROW) else ()
        bad = t if t.root in (Root.MAP, Root.MULTISET) or t.is_interval else None
        bad = bad or next((c for c in children if c.is_nested or c.is_interval), None)
        if bad is not None:
            raise UnsupportedError(
                f"format 'csv' has no form for {bad.sql(nullability=False)} (column '{field.name}')",
                hint="declare the column as STRING, or use the format 'json'",
            )


class CsvDecoder(Decoder):
    """Reads lines into ``schema``."""

    def __init__(self, schema: Schema, options: CsvOptions) -> None:
        check_types(schema)
        self.schema = schema
        self._options = options
        self._arrow = schema.arrow
        self._columns = [_Column(f.name, f.type, options) for f in schema]

    def decode(self, messages: pa.BinaryArray) -> Decoded:
        errors: dict[int, str] = {}
        texts, index = self._texts(messages, errors)
        plain = self._plain(texts)
        fields, whole = self._split(texts.filter(pa.array(plain)))
        plain_at = np.flatnonzero(plain)
        other = np.sort(np.concatenate([np.flatnonzero(~plain), plain_at[~whole]]))
        parts = [(fields, index[plain_at[whole]])]
        if len(other):
            parts.append(self._tokenize(texts.take(pa.array(other)).to_pylist(), index[other], errors))
        done = [self._convert(columns, at, errors) for columns, at in parts]
        rows, source = merge_parts(done, self._arrow, len(messages), bool(errors))
        return Decoded(
            rows, None, source, {} if self._options.ignore_parse_errors else dict(sorted(errors.items()))
        )

    def _texts(
        self, messages: pa.BinaryArray, errors: dict[int, str]
    ) -> tuple[pa.StringArray, npt.NDArray[np.int64]]:
        """Lines that hold a row, and their indexes."""
        lengths = pc.fill_null(pc.binary_length(messages), 0).to_numpy(zero_copy_only=False)
        index = np.flatnonzero(lengths)
        messages = messages.take(pa.array(index)) if len(index) < len(messages) else messages
        try:
            texts = messages.cast(pa.string())
        except pa.ArrowInvalid:
            keep = np.ones(len(messages), bool)
            for i, message in enumerate(messages.to_pylist()):
                try:
                    message.decode("utf-8")
                except UnicodeDecodeError as e:
                    keep[i] = False
                    errors[int(index[i])] = (
                        f"found bytes that are not UTF-8 (at byte {e.start}), expected a line of csv"
                    )
            texts, index = messages.filter(pa.array(keep)).cast(pa.string()), index[keep]
        if self._options.allow_comments:
            keep = ~as_mask(pc.starts_with(texts, "#"))
            texts, index = texts.filter(pa.array(keep)), index[keep]
        return texts, index

    def _plain(self, texts: pa.StringArray) -> Mask:
        plain = np.ones(len(texts), bool)
        for character in (self._options.quote, self._options.escape):
            if character is not None:
                plain &= ~as_mask(pc.match_substring(texts, character))
        return plain

    def _split(self, texts: pa.StringArray) -> tuple[list[pa.StringArray], Mask]:
        """Fields of plain lines in columns, and which lines have as many as there are columns."""
        width = len(self._columns)
        lists = pc.split_pattern(texts, self._options.delimiter)
        whole = pc.list_value_length(lists).to_numpy(zero_copy_only=False) == width
        if not whole.all():
            lists = lists.filter(pa.array(whole))
        values = lists.flatten()
        columns = [values.take(pa.array(np.arange(i, len(values), width))) for i in range(width)]
        if self._options.trim_spaces:
            columns = [pc.utf8_trim(c, " ") for c in columns]
        return columns, whole

    def _tokenize(
        self, lines: Sequence[str], index: npt.NDArray[np.int64], errors: dict[int, str]
    ) -> tuple[list[pa.StringArray], npt.NDArray[np.int64]]:
        rows: list[list[str | None]] = []
        at: list[int] = []
        for i, line in zip(index.tolist(), lines, strict=True):
            try:
                rows.append(self._fit(tokens(line, self._options), line))
                at.append(i)
            except FieldError as e:
                errors[i] = e.text()
        columns = zip(*rows, strict=True) if rows else ([] for _ in self._columns)
        return [pa.array(list(c), pa.string()) for c in columns], np.array(at, np.int64)

    def _fit(self, fields: list[str | None], line: str) -> list[str | None]:
        """As many fields as columns. Raises FieldError."""
        width, found = len(self._columns), len(fields)
        options = self._options
        if found == width + 1 and options.allow_trailing_comma and fields[-1] == "":
            return fields[:-1]
        if found > width and options.ignore_trailing:
            return fields[:width]
        if found < width and not options.fail_on_missing:
            return fields + [None] * (width - found)
        if found != width:
            raise FieldError(f"found {found} fields, expected {width}, in the line {shown(line.encode())}")
        return fields

    def _convert(
        self, columns: list[pa.StringArray], index: npt.NDArray[np.int64], errors: dict[int, str]
    ) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
        keep = np.ones(len(index), bool)
        arrays = []
        for column, texts in zip(self._columns, columns, strict=True):
            array, bad = column.convert(texts)
            arrays.append(array)
            for i, text in bad.items():
                keep[i] = False
                errors.setdefault(int(index[i]), text)
        rows = pa.RecordBatch.from_arrays(arrays, schema=self._arrow)
        return (rows, index) if keep.all() else (rows.filter(pa.array(keep)), index[keep])


class _Column:
    """One column: texts to values, with the errors by row."""

    def __init__(self, name: str, t: DataType, options: CsvOptions) -> None:
        self._name, self._type, self._options = name, t, options
        self._text = t.is_string
        self._in_columns = not (t.is_string or t.is_binary or t.is_nested)
        self._columnar = scalar_converter(t, iso_timestamps=False) if self._in_columns else None
        self._convert_one = _value(t, options)

    def convert(self, texts: pa.StringArray) -> tuple[pa.Array, dict[int, str]]:
        texts = self._with_nulls(texts)
        if self._text:
            return texts, {}
        if self._columnar is None:
            return self._one_by_one(texts, range(len(texts)))
        array, mask = self._columnar(texts)
        if mask is None or not mask.any():
            return array, {}
        doubtful = np.flatnonzero(mask)
        values, errors = self._one_by_one(texts.take(pa.array(doubtful)), doubtful.tolist())
        return pc.replace_with_mask(array, pa.array(mask), values), errors

    def _one_by_one(self, texts: pa.StringArray, rows: Sequence[int]) -> tuple[pa.Array, dict[int, str]]:
        values: list[Any] = []
        errors: dict[int, str] = {}
        for row, text in zip(rows, texts.to_pylist(), strict=True):
            value = None
            if text is not None:
                try:
                    value = self._convert_one(text)
                except FieldError as e:
                    errors[row] = e.within(self._name).text()
            values.append(value)
        return pa.array(values, self._type.arrow), errors

    def _with_nulls(self, texts: pa.StringArray) -> pa.StringArray:
        literals = [self._options.null_literal] if self._options.null_literal is not None else []
        if self._options.empty_as_null or not self._text:
            literals.append("")
        for literal in literals:
            hit = pc.equal(texts, literal)
            if hit.true_count:
                texts = pc.if_else(pc.fill_null(hit, False), pa.scalar(None, pa.string()), texts)
        return texts


def _value(t: DataType, options: CsvOptions) -> Callable[[str], Any]:
    """The function from the text of a field to its value, by JSON's rules for strings."""
    json_options = JsonReadOptions(ignore_parse_errors=options.ignore_parse_errors)
    if t.root not in (Root.ARRAY, Root.ROW):
        return converter(t, json_options)
    nulls = {options.null_literal} if options.null_literal is not None else set()

    def element(text: str, kind: DataType) -> str | None:
        return (
            None if text in nulls or (text == "" and (options.empty_as_null or not kind.is_string)) else text
        )

    convert = converter(t, json_options)

    def elements(text: str) -> Any:
        parts = text.split(options.element_delimiter)
        if t.root is Root.ARRAY:
            return convert([element(p, t.children[0]) for p in parts])
        if len(parts) > len(t.names):
            raise FieldError(f"found {len(parts)} parts, expected {t.sql(nullability=False)}")
        return convert({n: element(p, c) for n, p, c in zip(t.names, parts, t.children, strict=False)})

    return elements


def tokens(line: str, options: CsvOptions) -> list[str | None]:
    """The fields of a line. Raises FieldError for a quote that is not closed or followed by something.

    >>> tokens('a,"b,c",', CsvOptions())
    ['a', 'b,c', '']
    """
    fields: list[str | None] = []
    at, end = 0, len(line)
    while True:
        if options.trim_spaces:
            while at < end and line[at] == " ":
                at += 1
        if at < end and line[at] == options.quote:
            text, at = _quoted(line, at + 1, options)
            if options.trim_spaces:
                while at < end and line[at] == " ":
                    at += 1
            if at < end and line[at] != options.delimiter:
                raise FieldError(
                    f"found text after a closing quote (at character {at}) in the line {shown(line.encode())}"
                )
        else:
            text, at = _unquoted(line, at, options)
        fields.append(text)
        if at >= end:
            return fields
        at += 1  # the delimiter


def _quoted(line: str, at: int, options: CsvOptions) -> tuple[str, int]:
    """The text up to the closing quote, and the place after it."""
    out: list[str] = []
    while at < len(line):
        character = line[at]
        if character == options.escape and at + 1 < len(line):
            out.append(line[at + 1])
            at += 2
        elif character != options.quote:
            out.append(character)
            at += 1
        elif line[at + 1 : at + 2] == options.quote:
            out.append(character)
            at += 2
        else:
            return "".join(out), at + 1
    raise FieldError(f"found no closing quote in the line {shown(line.encode())}")


def _unquoted(line: str, at: int, options: CsvOptions) -> tuple[str, int]:
    out: list[str] = []
    kept = 0  # up to here, spaces at the end are not trimmed: they were escaped
    while at < len(line) and line[at] != options.delimiter:
        if line[at] == options.escape and at + 1 < len(line):
            at += 1
            kept = len(out) + 1
        out.append(line[at])
        at += 1
    text = "".join(out)
    return (text[:kept] + text[kept:].rstrip(" ") if options.trim_spaces else text), at


def complete_lines(lines: Sequence[bytes], quote: bytes | None) -> tuple[list[bytes], bytes | None]:
    """Lines of a file joined where a quoted field runs over a line's end, and what waits for its closing quote."""
    if quote is None or not any(quote in line for line in lines):
        return list(lines), None
    out: list[bytes] = []
    waiting: bytes | None = None
    for line in lines:
        joined = line if waiting is None else waiting + b"\n" + line
        waiting = joined if joined.count(quote) % 2 else None
        if waiting is None:
            out.append(joined)
    return out, waiting
