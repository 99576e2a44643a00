"""Arrow arrays as numpy arrays and back, without copying where the layout allows it."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .memory import StateMemory

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]
Raw = npt.NDArray[Any]
Number = TypeVar("Number", np.int64, np.uint64)

INT128 = np.dtype([("lo", "<u8"), ("hi", "<i8")])
"""Sixteen bytes, little endian: a decimal128, or the raw form of a month_day_nano_interval."""


def storage_dtype(arrow_type: pa.DataType) -> np.dtype[Any] | None:
    """The numpy type of a fixed-width value, or None for a type that is kept as Arrow arrays."""
    p = pa.types
    if p.is_boolean(arrow_type):
        return np.dtype(np.bool_)
    if p.is_integer(arrow_type) or p.is_floating(arrow_type):
        native: np.dtype[Any] = np.dtype(arrow_type.to_pandas_dtype())
        return native
    if p.is_date32(arrow_type) or p.is_time32(arrow_type):
        return np.dtype(np.int32)
    if p.is_date(arrow_type) or p.is_time(arrow_type) or p.is_timestamp(arrow_type):
        return np.dtype(np.int64)
    if p.is_duration(arrow_type):
        return np.dtype(np.int64)
    if p.is_decimal128(arrow_type) or p.is_interval(arrow_type):
        return INT128
    return None


def as_array(column: pa.Array | pa.ChunkedArray, arrow_type: pa.DataType) -> pa.Array:
    """One array of exactly ``arrow_type``; dictionaries are decoded, chunks joined."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # no chunk at all
            column = pa.array([], column.type)
    return column if column.type == arrow_type else column.cast(arrow_type)


def validity(array: pa.Array) -> Bools | None:
    """True where the value is not NULL; None when no value is NULL."""
    if array.null_count == 0:
        return None
    bitmap = array.buffers()[0]
    if bitmap is None:  # the null type has no bitmap
        return np.zeros(len(array), np.bool_)
    return _bits(bitmap, array.offset, len(array))


def raw_values(array: pa.Array) -> Raw:
    """The values of a fixed-width array, a view where possible; what stands at a NULL is undefined."""
    dtype = storage_dtype(array.type)
    assert dtype is not None, f"{array.type} has no fixed width"
    data = array.buffers()[1]
    if len(array) == 0 or data is None:
        return np.zeros(len(array), dtype)
    if dtype == np.bool_:
        return _bits(data, array.offset, len(array))
    return np.frombuffer(data, dtype, len(array), array.offset * dtype.itemsize)


def from_raw(values: Raw, valid: Bools | None, arrow_type: pa.DataType) -> pa.Array:
    """An Arrow array over ``values``; it shares their memory, so they must not change any more."""
    if values.dtype == np.bool_:
        data: Raw = np.packbits(values, bitorder="little")
    else:
        data = np.ascontiguousarray(values)
    bitmap = None
    if valid is not None and not valid.all():
        bitmap = pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(arrow_type, len(values), [bitmap, pa.py_buffer(data.view(np.uint8))])


def canonical(values: Raw) -> Raw:
    """Floats with one zero and one NaN, as SQL groups them; other values unchanged."""
    if values.dtype.kind != "f":
        return values
    result: Raw = values + values.dtype.type(0)  # −0.0 + 0.0 is 0.0
    result[np.isnan(result)] = np.nan
    return result


def bit_view(values: Raw) -> Raw:
    """Values in a form whose ``==`` is identity of bits (NaN equals NaN)."""
    return values.view(f"u{values.dtype.itemsize}") if values.dtype.kind == "f" else values


def same_bits(a: Raw, b: Raw) -> Bools:
    """Where two arrays of one dtype (of :func:`bit_view`) agree."""
    if a.dtype == INT128:
        return np.asarray((a["lo"] == b["lo"]) & (a["hi"] == b["hi"]))
    return np.asarray(a == b)


def is_text(arrow_type: pa.DataType) -> bool:
    """Whether values are bytes between 32- or 64-bit offsets."""
    return arrow_type in (pa.string(), pa.binary(), pa.large_string(), pa.large_binary())


def take_indices(positions: I64) -> pa.Array:
    """Indices for ``take``; a negative position yields NULL."""
    absent = positions < 0
    if not absent.any():
        return pa.array(positions)
    return from_raw(np.where(absent, 0, positions), ~absent, pa.int64())


def offsets_of(array: pa.Array) -> npt.NDArray[Any]:
    """The ``len + 1`` offsets of a string, binary, list or map array."""
    wide = array.type in (pa.large_string(), pa.large_binary()) or pa.types.is_large_list(array.type)
    dtype = np.dtype(np.int64 if wide else np.int32)
    data = array.buffers()[1]
    if len(array) == 0 or data is None:
        return np.zeros(len(array) + 1, dtype)
    return np.frombuffer(data, dtype, len(array) + 1, array.offset * dtype.itemsize)


def _bits(bitmap: pa.Buffer, offset: int, length: int) -> Bools:
    first = offset // 8
    packed = np.frombuffer(bitmap, np.uint8, (offset + length + 7) // 8 - first, first)
    unpacked = np.unpackbits(packed, count=offset - 8 * first + length, bitorder="little")
    return unpacked[offset - 8 * first :].view(np.bool_)


def zeros(count: int, dtype: npt.DTypeLike, memory: StateMemory | None) -> Raw:
    """An array of zeros; where ``memory`` is limited it may lie in a file."""
    return np.zeros(count, dtype) if memory is None else memory.zeros(count, dtype)


def grown(values: Raw, size: int, memory: StateMemory | None = None) -> Raw:
    """``values`` with at least ``size`` places, at least doubled, new places zero.

    A copy costs about 3 ms per million 8-byte places; that is the longest pause growth makes.
    """
    if len(values) >= size:
        return values
    size = max(size, 2 * len(values), 64)
    if memory is not None:
        return memory.grown(values, size)
    result = np.zeros(size, values.dtype)
    result[: len(values)] = values
    return result


def distinct_count(slots: I64) -> int:
    """How many different slots these are."""
    return len(distinct_values(slots))


def distinct_values(values: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """The different values, ascending; may be ``values`` itself. ``np.unique`` hashes and is many times slower."""
    if (values[1:] > values[:-1]).all():
        return values
    ordered = np.sort(values)
    result: npt.NDArray[Number] = ordered[np.append(True, ordered[1:] != ordered[:-1])]
    return result
