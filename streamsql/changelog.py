"""The changelog: what flows between operators, and how it reads at the edges.

A :class:`ChangelogBatch` is an Arrow record batch with an optional weight per row (a Z-set): weight ``+n`` inserts
n copies of the row, ``-n`` deletes n copies. No weights means all ``+1``, the insert-only fast path. RowKind exists
only at the edges: :func:`row_kinds` derives it for sinks, results and tests.

In *upsert* mode a row of weight ``+1`` replaces the row of the same upsert key and a row of weight ``-1`` deletes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Weights = npt.NDArray[np.int64]


class RowKind(Enum):
    """Flink's four kinds of change."""

    INSERT = 0
    UPDATE_BEFORE = 1
    UPDATE_AFTER = 2
    DELETE = 3

    @property
    def short(self) -> str:
        """``+I``, ``-U``, ``+U`` or ``-D``."""
        return ("+I", "-U", "+U", "-D")[self.value]

    def __str__(self) -> str:
        return self.short


class ChangelogMode(Enum):
    """What a plan edge carries."""

    INSERT_ONLY = "I"
    UPSERT = "I,UA,D"
    RETRACT = "I,UB,UA,D"

    def __str__(self) -> str:
        return self.value


class Row(tuple[Any, ...]):
    """One row of a result: a tuple with a kind and column names.

    >>> r = Row(("a", 1), names=("k", "n"), kind=RowKind.UPDATE_AFTER)
    >>> r.kind.short, r[1], r.as_dict()
    ('+U', 1, {'k': 'a', 'n': 1})
    """

    kind: RowKind
    names: tuple[str, ...]

    def __new__(cls, values: Sequence[Any], names: Sequence[str] = (), kind: RowKind = RowKind.INSERT) -> Row:
        row = super().__new__(cls, values)
        row.kind = kind
        row.names = tuple(names)
        return row

    def get_row_kind(self) -> RowKind:
        """PyFlink's name for :attr:`kind`."""
        return self.kind

    def as_dict(self) -> dict[str, Any]:
        """Values by column name."""
        return dict(zip(self.names, self, strict=True))

    def __getattr__(self, name: str) -> Any:
        try:
            return self[self.names.index(name)]
        except ValueError:
            raise AttributeError(name) from None

    def __repr__(self) -> str:
        parts = (tuple.__repr__(v) if isinstance(v, Row) else repr(v) for v in self)
        return f"{self.kind.short}({', '.join(parts)})"


@dataclass(frozen=True)
class ChangelogBatch:
    """Rows and their weights. ``weights`` is None (all +1) or an int64 array as long as ``rows``."""

    rows: pa.RecordBatch
    weights: Weights | None = None

    def __post_init__(self) -> None:
        assert self.weights is None or len(self.weights) == self.rows.num_rows

    @property
    def num_rows(self) -> int:
        return int(self.rows.num_rows)

    def weight_array(self) -> Weights:
        """The weights, spelled out."""
        return np.ones(self.num_rows, np.int64) if self.weights is None else self.weights

    @staticmethod
    def concat(batches: Sequence[ChangelogBatch]) -> ChangelogBatch | None:
        """One batch in the given order, or None for no rows."""
        batches = [b for b in batches if b.num_rows]
        if not batches:
            return None
        if len(batches) == 1:
            return batches[0]
        rows = pa.concat_batches([b.rows for b in batches])
        if all(b.weights is None for b in batches):
            return ChangelogBatch(rows)
        return ChangelogBatch(rows, np.concatenate([b.weight_array() for b in batches]))

    def take(self, indices: npt.NDArray[np.int64]) -> ChangelogBatch:
        return ChangelogBatch(
            self.rows.take(pa.array(indices)), None if self.weights is None else self.weights[indices]
        )


def row_kinds(
    batch: ChangelogBatch, upsert_key: Sequence[int] | None, *, upsert: bool = False
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]]:
    """Rows of ``batch`` in the order they are shown, with their kinds.

    Returns ``(order, kinds)``: ``order`` indexes the batch's rows (a row of weight +n appears n times), ``kinds`` holds
    :class:`RowKind` values. A deletion followed by an insertion of the same upsert key reads ``-U, +U`` and the two
    stand next to each other; anything else is ``+I`` or ``-D``. In upsert mode ``+1`` is shown as ``+U`` by callers
    that know the key existed; here it is ``+I``.
    """
    n = batch.num_rows
    order = np.arange(n, dtype=np.int64)
    if batch.weights is None:
        return order, np.zeros(n, np.int8)
    weights = batch.weights
    copies = np.abs(weights)
    sign = np.sign(weights)
    keep = sign != 0
    order, sign, copies = order[keep], sign[keep], copies[keep]
    kinds = np.where(sign > 0, RowKind.INSERT.value, RowKind.DELETE.value).astype(np.int8)
    if upsert_key is not None and not upsert and (sign < 0).any() and len(order) > 1:
        ids = _key_ids(batch.rows, upsert_key)[order] if upsert_key else np.zeros(len(order), np.int64)
        # Groups stay in order of first appearance; within a group the order of changes is kept.
        first = np.full(int(ids.max()) + 1, len(ids), np.int64)
        np.minimum.at(first, ids, np.arange(len(ids)))
        perm = np.argsort(first[ids], kind="stable")
        order, sign, copies, kinds, ids = order[perm], sign[perm], copies[perm], kinds[perm], ids[perm]
        pair = (
            (sign[:-1] < 0) & (sign[1:] > 0) & (ids[:-1] == ids[1:]) & (copies[:-1] == 1) & (copies[1:] == 1)
        )
        starts = np.flatnonzero(pair)
        kinds[starts] = RowKind.UPDATE_BEFORE.value
        kinds[starts + 1] = RowKind.UPDATE_AFTER.value
    if (copies > 1).any():
        order, kinds = np.repeat(order, copies), np.repeat(kinds, copies)
    return order, kinds


def _key_ids(rows: pa.RecordBatch, key: Sequence[int]) -> npt.NDArray[np.int64]:
    """A dense integer per row, equal exactly for rows with equal keys (NULL equals NULL)."""
    ids = np.zeros(rows.num_rows, np.int64)
    for i in key:
        column = rows.column(i)
        if pa.types.is_nested(column.type):
            column = pa.array([repr(v) for v in column.to_pylist()])
        encoded = pc.dictionary_encode(column, null_encoding="encode")
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        _, ids = np.unique(ids * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)
    return ids


def to_rows(batch: ChangelogBatch, upsert_key: Sequence[int] | None) -> Iterator[Row]:
    """The batch as :class:`Row` objects with kinds, for results and tests (not a hot path)."""
    order, kinds = row_kinds(batch, upsert_key)
    names = tuple(batch.rows.schema.names)
    columns = [python_values(c) for c in batch.rows.take(pa.array(order)).columns]
    kind_of = list(RowKind)
    values = zip(*columns, strict=True) if columns else ((),) * len(order)
    for kind, row in zip(kinds, values, strict=True):
        yield Row(row, names, kind_of[kind])


def python_values(column: pa.Array) -> list[Any]:
    """Plain Python values. ROWs become :class:`Row`; maps dicts, or lists of pairs where keys are nested."""
    values: list[Any] = column.to_pylist()
    if not pa.types.is_nested(column.type):
        return values
    convert = _converter(column.type)
    return [convert(v) for v in values]


def _converter(type_: pa.DataType) -> Callable[[Any], Any]:
    if pa.types.is_struct(type_):
        names = [f.name for f in type_]
        parts = [_converter(f.type) for f in type_]
        return lambda v: (
            None if v is None else Row([p(v[n]) for p, n in zip(parts, names, strict=True)], names)
        )
    if pa.types.is_map(type_):
        key, item = _converter(type_.key_type), _converter(type_.item_type)
        pairs: Callable[[Any], Any] = list if pa.types.is_nested(type_.key_type) else dict
        return lambda v: None if v is None else pairs([(key(k), item(x)) for k, x in v])
    if pa.types.is_nested(type_):
        element = _converter(type_.value_type)
        return lambda v: None if v is None else [element(x) for x in v]
    return lambda v: v
