"""What the two Top-N operators are told, and the rows they hand to the query that ranks."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from .changes import Emit


@dataclass(frozen=True)
class RankConfig:
    """``sql``: over ``{input}``, the rows of :meth:`ranked`. ``keys``: the partition; ``order``: what it orders by.

    Ranks ``start`` to ``end`` are emitted, with the rank as last column where ``with_rank``.
    """

    sql: str
    rows: pa.Schema
    keys: tuple[int, ...]
    order: tuple[int, ...]
    start: int
    end: int
    with_rank: bool
    output: pa.Schema
    what: str
    emit: Emit

    def ranked(self, *first: str) -> pa.Schema:
        """Whole numbers ``first``, the columns of the order, ``i`` (the order of arrival), ``p`` (the row's place)."""
        numbers = [pa.field(n, pa.int64()) for n in (*first, "i", "p")]
        ordered = [self.rows.field(k) for k in self.order]
        return pa.schema([*numbers[: len(first)], *ordered, *numbers[len(first) :]])

    def numbered(self) -> pa.Schema:
        """The rows with ``i``."""
        return pa.schema([*self.rows, pa.field("i", pa.int64())])
