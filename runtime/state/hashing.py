"""64-bit hashes of rows, vectorised, the same in every process and on every run.

Values that SQL groups together hash together: 0.0 and −0.0, every NaN, NULL with NULL; an integer hashes
alike in every width, a string like the binary of its bytes. The function is part of the checkpoint format:
changing it makes old state unreadable.

Fixed-width values go through murmur3's 64-bit finaliser; strings are read eight bytes at a time, one numpy
pass per word, so the cost is the bytes, not the rows. Lists add up their elements' hashes mixed with their
position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from streamsql.errors import UnsupportedError

from .buffers import (
    I64,
    INT128,
    U64,
    as_array,
    canonical,
    is_text,
    offsets_of,
    raw_values,
    storage_dtype,
    validity,
)
from .texts import LONG, Texts, word_at, words_of

_NULL = np.uint64(0x6E75_6C6C_9E37_79B9)
_SEED = np.uint64(0x9E37_79B9_7F4A_7C15)
_WORD = np.uint64(0x9FB2_1C65_1E98_DF25)
_C1 = np.uint64(0xFF51_AFD7_ED55_8CCD)
_C2 = np.uint64(0xC4CE_B9FE_1A85_EC53)
_S32, _S33 = np.uint64(32), np.uint64(33)


def hash_columns(columns: Sequence[pa.Array], num_rows: int | None = None) -> U64:
    """One hash per row over all columns. Without columns all rows are alike, ``num_rows`` says how many."""
    if not columns:
        assert num_rows is not None, "no columns: pass num_rows"
        return np.full(num_rows, _SEED, np.uint64)
    result = hash_array(columns[0])
    for column in columns[1:]:
        result *= _WORD
        result += hash_array(column)
        _mix(result)
    return result


def hash_array(array: pa.Array | pa.ChunkedArray) -> U64:
    """One hash per value; NULL has a hash of its own."""
    if isinstance(array, pa.ChunkedArray):
        array = as_array(array, array.type)
    result = _hash_values(array)
    valid = validity(array)
    if valid is not None:
        result[~valid] = _NULL
    return result


def _hash_values(array: pa.Array) -> U64:
    p, t = pa.types, array.type
    if storage_dtype(t) is not None:
        return _hash_fixed(array)
    if p.is_dictionary(t):
        return _hash_dictionary(array)
    if p.is_string_view(t) or p.is_binary_view(t) or p.is_fixed_size_binary(t):
        array = array.cast(pa.large_string() if p.is_string_view(t) else pa.large_binary())
        return _hash_bytes(array)
    if is_text(t):
        return _hash_bytes(array)
    if p.is_struct(t):
        return hash_columns(array.flatten(), len(array))
    if p.is_fixed_size_list(t):
        return _hash_list(array.cast(pa.list_(t.value_type)))
    if p.is_list(t) or p.is_large_list(t) or p.is_map(t):
        return _hash_list(array)
    if p.is_null(t):
        return np.full(len(array), _NULL, np.uint64)
    raise UnsupportedError(
        f"values of the Arrow type {t} cannot be keys", hint="cast the column to a type with equality"
    )


def _hash_fixed(array: pa.Array) -> U64:
    values = raw_values(array)
    if values.dtype == INT128:
        result: U64 = values["hi"].astype(np.uint64)
        _mix(result)
        result ^= values["lo"]
    elif values.dtype.kind == "f":
        result = canonical(values.astype(np.float64)).view(np.uint64)
    else:
        result = values.astype(np.int64).view(np.uint64)
    result ^= _SEED
    return _mix(result)


def _hash_dictionary(array: pa.DictionaryArray) -> U64:
    if len(array.dictionary) > 2 * len(array):
        return hash_array(array.dictionary_decode())
    hashes = np.append(hash_array(array.dictionary), _NULL)
    codes = raw_values(array.indices).astype(np.int64)
    valid = validity(array.indices)
    if valid is not None:
        codes[~valid] = len(hashes) - 1
    return hashes[codes]


def _hash_bytes(array: pa.Array) -> U64:
    texts = Texts.of(array)
    starts, lengths = texts.starts, texts.sizes
    result = lengths.astype(np.uint64)
    result ^= _SEED
    _mix(result)
    rows = None
    if lengths.max(initial=0) > LONG:
        for row in np.flatnonzero(lengths > LONG).tolist():
            text = texts.data[starts[row] : starts[row] + lengths[row]]
            result[row] = int.from_bytes(hashlib.blake2b(text.data, digest_size=8).digest(), "little")
        rows = np.flatnonzero(lengths <= LONG)
        starts, lengths = starts[rows], lengths[rows]
    _hash_words(result, words_of(texts.data), rows, starts, lengths)
    return _mix(result)


def _hash_words(result: U64, words: U64, rows: I64 | None, starts: I64, lengths: I64) -> None:
    """Folds the strings into ``result``, one word of each per round; ``rows`` None means all, in order."""
    longest = int(lengths.max(initial=0))
    for at in range(0, max(longest, 1), 8):
        if at:
            more = np.flatnonzero(lengths > at)
            rows = more if rows is None else rows[more]
            starts, lengths = starts[more], lengths[more]
        word = word_at(words, starts, lengths, at)
        word ^= result if rows is None else result[rows]
        word *= _WORD
        word ^= word >> _S32
        if rows is None:
            result[:] = word
        else:
            result[rows] = word


def _hash_list(array: pa.Array) -> U64:
    """Also maps: the order of entries counts, as it does in Flink's binary maps."""
    offsets = offsets_of(array).astype(np.int64)
    first, last = int(offsets[0]), int(offsets[-1])
    lengths = np.diff(offsets)
    if pa.types.is_map(array.type):
        parts = [array.keys[first:last], array.items[first:last]]
    else:
        parts = [array.values[first:last]]
    elements = hash_columns(parts)
    position = np.arange(last - first, dtype=np.int64) - np.repeat(offsets[:-1] - first, lengths)
    elements ^= _mix(position.astype(np.uint64) ^ _WORD)
    sums = np.zeros(last - first + 1, np.uint64)
    np.cumsum(_mix(elements), out=sums[1:])  # wraps around, and so does the difference
    result = sums[offsets[1:] - first] - sums[offsets[:-1] - first]
    result ^= lengths.astype(np.uint64)
    return _mix(result)


def _mix(x: U64) -> U64:
    """Murmur3's finaliser, in place; a bijection."""
    x ^= x >> _S33
    x *= _C1
    x ^= x >> _S33
    x *= _C2
    x ^= x >> _S33
    return x
