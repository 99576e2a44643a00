"""Columns of texts to columns of simple types, by strict Arrow casts.

What a cast refuses becomes NULL and is *suspicious*: a row-wise converter then has the last word and names the error.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.datatypes import DataType, Root

from .json_text import Mask, as_mask, text_buffers
from .times import cut

Converted = tuple[pa.Array, Mask | None]
"""A column, and where its texts are suspicious (None: nowhere)."""


def scalar_converter(t: DataType, *, iso_timestamps: bool) -> Callable[[pa.StringArray], Converted]:
    """The function from texts to a column of ``t``, which is not a text, binary or nested type."""
    match t.root:
        case Root.BOOLEAN:
            return _booleans
        case Root.TINYINT | Root.SMALLINT | Root.INT | Root.BIGINT:
            return lambda texts: _integers(texts, t.arrow)
        case Root.FLOAT | Root.DOUBLE:
            return lambda texts: _doubles(texts, t.arrow)
        case Root.DECIMAL:
            return lambda texts: _decimals(texts, t)
        case Root.DATE:
            return lambda texts: cast_strictly(texts, pa.date32())
        case Root.TIME:
            return lambda texts: _times(texts, t.precision)
        case Root.TIMESTAMP | Root.TIMESTAMP_LTZ:
            return lambda texts: _timestamps(texts, t, iso=iso_timestamps)
        case Root.NULL:
            return lambda texts: (pa.nulls(len(texts), t.arrow), None)
        case _:
            raise AssertionError(t)  # refused by name before


def spread(bad: Mask | None, offsets: npt.NDArray[np.int32], mask: Mask) -> None:
    """Mark in ``mask`` each list that holds a suspicious element."""
    if bad is not None and bad.any():
        mask[np.searchsorted(offsets, np.flatnonzero(bad), side="right") - 1] = True


_LEAF_ROWS = 64
"""Where so few texts hold one that cannot be cast, all of them are called suspicious: looking on would cost more."""


def cast_strictly(texts: pa.StringArray, target: pa.DataType, leaf_rows: int = _LEAF_ROWS) -> Converted:
    """An Arrow cast that leaves NULL, and marks, what cannot be cast, with up to ``leaf_rows`` neighbours."""
    try:
        return texts.cast(target), None
    except pa.ArrowInvalid:
        pass
    mask = np.zeros(len(texts), bool)
    parts: list[pa.Array] = []
    _cast_halves(texts, target, 0, leaf_rows, mask, parts)
    if texts.null_count:
        mask &= as_mask(pc.is_valid(texts))
    return pa.concat_arrays(parts), mask


def _cast_halves(
    texts: pa.StringArray, target: pa.DataType, start: int, leaf_rows: int, mask: Mask, parts: list[pa.Array]
) -> None:
    """Halve what fails until the bad texts are found; few bad ones cost few casts."""
    try:
        parts.append(texts.cast(target))
        return
    except pa.ArrowInvalid:
        pass
    if len(texts) <= leaf_rows:
        mask[start : start + len(texts)] = True
        parts.append(pa.nulls(len(texts), target))
        return
    middle = len(texts) // 2
    _cast_halves(texts.slice(0, middle), target, start, leaf_rows, mask, parts)
    _cast_halves(texts.slice(middle), target, start + middle, leaf_rows, mask, parts)


def _booleans(texts: pa.StringArray) -> Converted:
    true = pc.equal(texts, "true")
    known = pc.or_(true, pc.equal(texts, "false"))
    return true, as_mask(pc.fill_null(pc.invert(known), False))


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


def _decimals(texts: pa.StringArray, t: DataType) -> Converted:
    mask = as_mask(pc.fill_null(pc.invert(pc.match_substring_regex(texts, r"^-?[0-9]+(\.[0-9]+)?$")), False))
    try:
        return texts.cast(t.arrow), mask
    except pa.ArrowInvalid:
        pass
    try:  # more fraction digits than the scale: round half up, as Flink does
        wide = texts.cast(pa.decimal128(38, min(38, t.scale + 18)))
        return pc.round(wide, t.scale, "half_towards_infinity").cast(t.arrow), mask
    except pa.ArrowInvalid:
        column, bad = cast_strictly(texts, t.arrow)
        return column, mask if bad is None else mask | bad


def _times(texts: pa.StringArray, precision: int) -> Converted:
    short = as_mask(pc.fill_null(pc.less(pc.binary_length(texts), 8), False))
    whole = pc.binary_join_element_wise("1970-01-01T", texts, "")
    stamps, mask = cast_strictly(whole, pa.timestamp("us"))
    column = _cut(stamps.cast(pa.int64()), precision).cast(pa.time64("us"))
    return column, short if mask is None else mask | short


_SECONDS = len("yyyy-mm-dd hh:mm:ss")


def _timestamps(texts: pa.StringArray, t: DataType, *, iso: bool) -> Converted:
    zoned = t.root is Root.TIMESTAMP_LTZ
    offsets, data = text_buffers(texts)
    lengths = np.diff(offsets)
    mask = lengths < _SECONDS + zoned
    if len(data):
        last = len(data) - 1
        mask |= data[np.minimum(offsets[:-1] + 10, last)] != (ord("T") if iso else ord(" "))
        if zoned:
            mask |= data[np.clip(offsets[1:] - 1, 0, last)] != ord("Z")
    if texts.null_count:
        mask &= as_mask(pc.is_valid(texts))
    longest = int(lengths.max(initial=0)) - zoned
    if longest > _SECONDS + 1 + 6:
        texts = _six_digits(texts, zoned=zoned)
    stamps, bad = cast_strictly(texts, pa.timestamp("us", tz="UTC" if zoned else None))
    micros = stamps.cast(pa.int64())
    if longest > _SECONDS + 1 + t.precision:
        micros = _cut(micros, t.precision)
    return micros.cast(t.arrow), mask if bad is None else mask | bad


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
