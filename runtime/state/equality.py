"""Equality of rows as SQL grouping sees it, vectorised for every type, nested ones included."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .buffers import (
    I64,
    Bools,
    bit_view,
    canonical,
    is_text,
    offsets_of,
    raw_values,
    same_bits,
    storage_dtype,
    validity,
)
from .texts import Texts, equal


def rows_equal(a: Sequence[pa.Array], b: Sequence[pa.Array], num_rows: int) -> Bools:
    """Row i of ``a`` against row i of ``b``, over all columns."""
    result = np.ones(num_rows, np.bool_)
    for x, y in zip(a, b, strict=True):
        result &= values_equal(x, y)
    return result


def rows_equal_at(columns: Sequence[pa.Array], rows: I64, others: I64) -> Bools:
    """Row ``rows[i]`` against row ``others[i]`` of the same columns."""
    result = np.ones(len(rows), np.bool_)
    indices = pa.array(rows), pa.array(others)
    for column in columns:
        if is_text(column.type):
            texts = Texts.of(column)
            result &= equal(texts.take(rows), texts.take(others))
        else:
            result &= values_equal(*(column.take(i) for i in indices))
    return result


def values_equal(a: pa.Array, b: pa.Array) -> Bools:
    """Where ``a[i]`` and ``b[i]`` fall into one group: NULL equals NULL, NaN equals NaN, −0.0 equals 0.0.

    Both have one type. A map equals a map with the same entries in the same order.
    """
    same = _present_equal(a, b)
    valid_a, valid_b = validity(a), validity(b)
    if valid_a is None and valid_b is None:
        return same
    valid_a = np.ones(len(a), np.bool_) if valid_a is None else valid_a
    valid_b = np.ones(len(b), np.bool_) if valid_b is None else valid_b
    return np.asarray((valid_a == valid_b) & (same | ~valid_a))


def _present_equal(a: pa.Array, b: pa.Array) -> Bools:
    """Equality of the values; the answer is anything where one of them is NULL."""
    p, t = pa.types, a.type
    if storage_dtype(t) is not None:
        return same_bits(bit_view(canonical(raw_values(a))), bit_view(canonical(raw_values(b))))
    if p.is_struct(t):
        return rows_equal(a.flatten(), b.flatten(), len(a))
    if p.is_fixed_size_list(t):
        plain = pa.list_(t.value_type)
        return _lists_equal(a.cast(plain), b.cast(plain))
    if p.is_list(t) or p.is_large_list(t) or p.is_map(t):
        return _lists_equal(a, b)
    if p.is_null(t):
        return np.ones(len(a), np.bool_)
    return np.asarray(pc.fill_null(pc.equal(a, b), False).to_numpy(zero_copy_only=False), np.bool_)


def _lists_equal(a: pa.Array, b: pa.Array) -> Bools:
    offsets_a, offsets_b = offsets_of(a).astype(np.int64), offsets_of(b).astype(np.int64)
    lengths = np.diff(offsets_a)
    same = lengths == np.diff(offsets_b)
    for array in (a, b):
        valid = validity(array)
        if valid is not None:
            same &= valid
    rows = np.flatnonzero(same & (lengths > 0))
    counts = lengths[rows]
    ends = np.cumsum(counts)
    within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
    elements_a = pa.array(np.repeat(offsets_a[rows], counts) + within)
    elements_b = pa.array(np.repeat(offsets_b[rows], counts) + within)
    equal = np.ones(len(within), np.bool_)
    for x, y in zip(_element_columns(a), _element_columns(b), strict=True):
        equal &= values_equal(x.take(elements_a), y.take(elements_b))
    if len(rows):
        same[rows] = np.logical_and.reduceat(equal, ends - counts)
    return np.asarray(same)


def _element_columns(array: pa.Array) -> list[pa.Array]:
    return [array.keys, array.items] if pa.types.is_map(array.type) else [array.values]
