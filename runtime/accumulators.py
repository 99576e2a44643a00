"""Accumulators of the incremental GroupAggregate: partial values per step in, one value per slot kept, result out.

An accumulator names the partial columns it wants (SQL over the step's rows, grouped by key) and folds them into
arrays addressed by slot. Counts and sums take retractions; MIN, MAX, FIRST_VALUE and LAST_VALUE here take insertions
only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.datatypes import DataType, Root
from streamsql.errors import DataError

from .operators.base import OperatorContext
from .state.buffers import from_raw, raw_values
from .state.slot_column import SlotColumn

Slots = npt.NDArray[np.int64]
Int64 = npt.NDArray[np.int64]


class Accumulator(ABC):
    """One aggregate call. ``partials``: SQL of the partial columns and their Arrow types, in order.

    ``summands``: SQL of what a single row adds to each partial; None where a partial is no sum of BIGINT or DOUBLE.
    """

    partials: tuple[tuple[str, pa.DataType], ...]
    summands: tuple[str, ...] | None = None

    @abstractmethod
    def open(self, ctx: OperatorContext, name: str) -> None:
        """Declare the state columns."""

    @abstractmethod
    def update(self, slots: Slots, partials: Sequence[pa.Array]) -> None:
        """Fold one partial value per slot; slots are unique."""

    def fold(self, slots: Slots, partials: Sequence[pa.Array]) -> tuple[pa.Array, pa.Array]:
        """:meth:`update`; returns the aggregate's value per slot before and after."""
        before = self.result(slots)
        self.update(slots, partials)
        return before, self.result(slots)

    @abstractmethod
    def result(self, slots: Slots) -> pa.Array:
        """The aggregate's value per slot."""

    @abstractmethod
    def clear(self, slots: Slots) -> None:
        """Forget these slots."""


class Count(Accumulator):
    """COUNT(*) and COUNT(x): a sum of weights."""

    def __init__(self, partial: str, summand: str) -> None:
        self.partials = ((partial, pa.int64()),)
        self.summands = (summand,)

    def open(self, ctx: OperatorContext, name: str) -> None:
        self._count = ctx.state(f"{name}.count", SlotColumn(pa.int64()))

    def update(self, slots: Slots, partials: Sequence[pa.Array]) -> None:
        self._count.add(slots, numpy(partials[0], np.int64), unique=True)

    def fold(self, slots: Slots, partials: Sequence[pa.Array]) -> tuple[pa.Array, pa.Array]:
        before = self.values(slots)
        after = before + numpy(partials[0], np.int64)
        self._count.put(slots, after)
        return pa.array(before), pa.array(after)

    def values(self, slots: Slots) -> Int64:
        return self._count.values(slots).astype(np.int64, copy=False)

    def result(self, slots: Slots) -> pa.Array:
        return pa.array(self.values(slots))

    def clear(self, slots: Slots) -> None:
        self._count.clear(slots)


class RowCount(Accumulator):
    """COUNT(*) of the whole group: the row count that the operator keeps anyway."""

    partials = ()
    summands = ()

    def __init__(self) -> None:
        self._rows: SlotColumn | None = None

    def share(self, rows: SlotColumn) -> None:
        """The operator's row count per slot."""
        self._rows = rows

    def open(self, ctx: OperatorContext, name: str) -> None:
        """Nothing of its own."""

    def update(self, slots: Slots, partials: Sequence[pa.Array]) -> None:
        """The operator has counted already."""

    def result(self, slots: Slots) -> pa.Array:
        assert self._rows is not None
        return pa.array(self._rows.values(slots).astype(np.int64, copy=False))

    def clear(self, slots: Slots) -> None:
        """The operator clears its column."""


class Sum(Accumulator):
    """SUM and AVG: a sum and the count of non-NULL inputs. NULL where nothing was added.

    Integers wrap into the result type as in Flink; AVG of integers truncates toward zero; DECIMAL sums are exact.
    """

    def __init__(
        self,
        total: str,
        count: str,
        result: DataType,
        *,
        average: bool,
        summands: tuple[str, ...] | None = None,
    ) -> None:
        self.summands = summands
        self._type = result
        self._average = average
        if result.root is Root.DECIMAL:
            # partial sums are DECIMAL(38, s) of the argument's scale, which the SQL text casts to
            self._state_type = pa.decimal128(38, result.scale) if not average else None
        self._kind = "decimal" if result.root is Root.DECIMAL else "float" if result.is_approximate else "int"
        total_type = {"decimal": pa.decimal128(38, 0), "float": pa.float64(), "int": pa.int64()}[self._kind]
        self.partials = ((total, total_type), (count, pa.int64()))

    @classmethod
    def decimal(cls, total: str, count: str, result: DataType, scale: int, *, average: bool) -> Sum:
        """A DECIMAL sum whose partials have the argument's scale."""
        made = cls(total, count, result, average=average)
        made.partials = ((total, pa.decimal128(38, scale)), (count, pa.int64()))
        return made

    def open(self, ctx: OperatorContext, name: str) -> None:
        self._sum = ctx.state(f"{name}.sum", SlotColumn(self.partials[0][1]))
        self._count = ctx.state(f"{name}.count", SlotColumn(pa.int64()))

    def update(self, slots: Slots, partials: Sequence[pa.Array]) -> None:
        total, count = partials
        if self._kind == "decimal":
            old = self._sum.get(slots)
            zero = pa.scalar(Decimal(0), total.type)
            self._sum.set(slots, _add_decimal(pc.fill_null(old, zero), pc.fill_null(total, zero)))
        else:
            dtype = np.float64 if self._kind == "float" else np.int64
            self._sum.add(slots, numpy(total, dtype), unique=True)
        self._count.add(slots, numpy(count, np.int64), unique=True)

    def fold(self, slots: Slots, partials: Sequence[pa.Array]) -> tuple[pa.Array, pa.Array]:
        if self._kind == "decimal":
            return super().fold(slots, partials)
        # the new values follow from the old ones: reading them again would cost as much as a lookup
        total, count = self._sum.values(slots), self._count.values(slots)
        with np.errstate(over="ignore", invalid="ignore"):  # infinity and NaN are values here
            new_total = total + numpy(partials[0], total.dtype)
        new_count = count + numpy(partials[1], np.int64)
        self._sum.put(slots, new_total)
        self._count.put(slots, new_count)
        return self._number_result(total, count), self._number_result(new_total, new_count)

    def result(self, slots: Slots) -> pa.Array:
        count = self._count.values(slots).astype(np.int64, copy=False)
        if self._kind == "decimal":
            return self._decimal_result(self._sum.get(slots), count, count <= 0)
        return self._number_result(self._sum.values(slots), count)

    def _number_result(self, total: Any, count: Int64) -> pa.Array:
        empty = count <= 0
        if self._average:
            divisor = np.where(empty, 1, count)
            if self._kind == "int":
                total = total // divisor + ((total < 0) & (total % divisor != 0))
            else:
                total = total / divisor
        dtype = self._type.arrow.to_pandas_dtype()
        return from_raw(total.astype(dtype, copy=False), ~empty, self._type.arrow)

    def _decimal_result(self, total: pa.Array, count: Int64, empty: npt.NDArray[np.bool_]) -> pa.Array:
        if not self._average:
            return pc.if_else(pa.array(empty), pa.scalar(None, total.type), total).cast(self._type.arrow)
        context = Context(prec=76, rounding=ROUND_HALF_UP)
        quantum = Decimal(1).scaleb(-self._type.scale)
        values = [
            None
            if none or t is None
            else context.divide(t, Decimal(int(n))).quantize(quantum, context=context)
            for t, n, none in zip(total.to_pylist(), count, empty, strict=True)
        ]
        return pa.array(values, type=self._type.arrow)

    def clear(self, slots: Slots) -> None:
        self._sum.clear(slots)
        self._count.clear(slots)


class Extremum(Accumulator):
    """MIN and MAX over insertions: keeps the better of old and new."""

    def __init__(self, partial: str, result: DataType, *, smallest: bool) -> None:
        self.partials = ((partial, result.arrow),)
        self._smallest = smallest

    def open(self, ctx: OperatorContext, name: str) -> None:
        self._value = ctx.state(f"{name}.value", SlotColumn(self.partials[0][1]))

    def update(self, slots: Slots, partials: Sequence[pa.Array]) -> None:
        new, old = partials[0], self._value.get(slots)
        less, more = (new, old) if self._smallest else (old, new)
        better = pc.fill_null(pc.less(less, more), False)
        if pa.types.is_floating(new.type):  # NaN is the greatest value
            nan = pc.and_(pc.is_nan(more), pc.invert(pc.is_nan(less)))
            better = pc.or_(better, pc.fill_null(nan, False))
        take = pc.or_(better, pc.and_(pc.is_null(old), pc.is_valid(new)))
        chosen = numpy(take, np.bool_)
        if chosen.any():
            self._value.set(slots[chosen], new.filter(pa.array(chosen)))

    def result(self, slots: Slots) -> pa.Array:
        return self._value.get(slots)

    def clear(self, slots: Slots) -> None:
        self._value.clear(slots)


class Picked(Accumulator):
    """FIRST_VALUE and LAST_VALUE over insertions, in arrival order, NULLs ignored."""

    def __init__(self, partial: str, result: DataType, *, first: bool) -> None:
        self.partials = ((partial, result.arrow),)
        self._first = first

    def open(self, ctx: OperatorContext, name: str) -> None:
        self._value = ctx.state(f"{name}.value", SlotColumn(self.partials[0][1]))

    def update(self, slots: Slots, partials: Sequence[pa.Array]) -> None:
        chosen = numpy(partials[0].is_valid(), np.bool_)
        if self._first:
            chosen = chosen & numpy(self._value.get(slots).is_null(), np.bool_)
        if chosen.any():
            self._value.set(slots[chosen], partials[0].filter(pa.array(chosen)))

    def result(self, slots: Slots) -> pa.Array:
        return self._value.get(slots)

    def clear(self, slots: Slots) -> None:
        self._value.clear(slots)


def numpy(array: pa.Array, dtype: Any) -> Any:
    """The values as numpy, NULL as 0."""
    if array.null_count:
        array = pc.fill_null(
            array, pa.scalar(0, pa.int64()).cast(array.type) if not pa.types.is_boolean(array.type) else False
        )
    return array.to_numpy(zero_copy_only=False).astype(dtype, copy=False)


def is_distinct(left: pa.Array, right: pa.Array) -> npt.NDArray[np.bool_]:
    """IS DISTINCT FROM per row: NULL equals NULL, NaN equals NaN."""
    if pa.types.is_nested(left.type):
        pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
        return np.fromiter((a != b for a, b in pairs), np.bool_, len(left))
    if (pa.types.is_integer(left.type) or pa.types.is_floating(left.type)) and not (
        left.null_count or right.null_count
    ):
        a, b = raw_values(left), raw_values(right)
        unequal: npt.NDArray[np.bool_] = a != b
        return unequal & ((a == a) | (b == b)) if a.dtype.kind == "f" else unequal
    unequal = numpy(pc.not_equal(left, right), np.bool_)
    left_null, right_null = numpy(left.is_null(), np.bool_), numpy(right.is_null(), np.bool_)
    unequal = np.where(left_null | right_null, left_null != right_null, unequal)
    if pa.types.is_floating(left.type):
        both_nan = numpy(pc.and_(pc.is_nan(left), pc.is_nan(right)), np.bool_)
        unequal = unequal & ~both_nan
    return unequal


def _add_decimal(left: pa.Array, right: pa.Array) -> pa.Array:
    """Exact DECIMAL(38, s) addition. Raises DataError beyond 38 digits."""
    wide = pa.decimal256(76, left.type.scale)
    total = pc.add(
        left.cast(pa.decimal256(40, left.type.scale)), right.cast(pa.decimal256(40, left.type.scale))
    )
    try:
        return total.cast(wide).cast(left.type)
    except pa.ArrowInvalid:
        raise DataError(
            f"a sum exceeds DECIMAL(38, {left.type.scale})",
            hint="sum a DOUBLE, or fewer digits after the point",
        ) from None
