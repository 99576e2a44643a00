"""Views of Arrow text columns that the JSON reader and writer share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.catalog.options import Options

Mask = npt.NDArray[np.bool_]


def optional(options: Options, key: str) -> bool:
    """A true/false option that not every JSON format declares."""
    try:
        return bool(options[key])
    except KeyError:
        return False


def as_mask(column: pa.Array) -> Mask:
    mask: Mask = column.to_numpy(zero_copy_only=False).astype(bool, copy=True)
    return mask


def text_buffers(texts: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Offsets (one more than texts) and bytes of a string or binary array; a slice's bytes alone."""
    _, offsets, data = texts.buffers()
    if offsets is None or data is None:
        return np.zeros(len(texts) + 1, np.int32), np.zeros(0, np.uint8)
    where = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return where - where[0], np.frombuffer(data, np.uint8)[where[0] : where[-1]]


def first_bytes(texts: pa.Array) -> npt.NDArray[np.uint8]:
    """The first byte of each text; 0 for an empty one or NULL."""
    offsets, data = text_buffers(texts)
    if len(data) == 0:
        return np.zeros(len(texts), np.uint8)
    starts = offsets[:-1]
    return np.where(offsets[1:] > starts, data[np.minimum(starts, len(data) - 1)], 0)
