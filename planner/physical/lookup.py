"""LookupJoin: a join with a table outside that is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamsql.catalog.connectors import TableOptions
from streamsql.catalog.lookup import NONE, LookupOptions, LookupRetry
from streamsql.catalog.table import TableDefinition
from streamsql.schema import Schema

from ..expressions import Expr
from ..join_conditions import unique_names
from .base import PhysicalNode
from .joins import JOIN_TYPES, shown_with


@dataclass(frozen=True, eq=False, kw_only=True)
class LookupJoin(PhysicalNode):
    """Each row of the input with what ``table`` holds for its key when the row comes.

    ``scan``: the columns of the table that are read, ``metadata`` (name and key) last; ``exprs`` and ``condition`` over
    them make the right side of the join, with the columns ``right``. ``left_keys`` and ``right_keys``: columns of the
    input and of ``right`` that must be equal; ``asked``: by number, for which of them the table is asked, and
    ``lookup``: their columns of ``scan``.
    """

    kind: str
    table: TableDefinition
    options: TableOptions
    overrides: tuple[tuple[str, str], ...]
    metadata: tuple[tuple[str, str], ...]
    scan: Schema
    exprs: tuple[Expr, ...]
    condition: Expr | None
    right: Schema
    left_keys: tuple[int, ...]
    right_keys: tuple[int, ...]
    null_safe: tuple[bool, ...]
    asked: tuple[int, ...]
    lookup: tuple[int, ...]
    residual: Expr | None
    where: Expr | None
    cache: LookupOptions
    retry: LookupRetry | None = None
    hints: str = ""

    name = "LookupJoin"

    def fields(self) -> list[tuple[str, str]]:
        path, left = self.table.path, self.inputs[0].schema
        names = unique_names([*left.names, *self.right.names])
        pairs = [
            f"{self.scan[column].name}={left[self.left_keys[k]].name}"
            for k, column in zip(self.asked, self.lookup, strict=True)
        ]
        found = [
            ("table", f"{path.catalog}.{path.database}.{path.name}"),
            ("joinType", JOIN_TYPES[self.kind]),
            ("lookup", ", ".join(pairs)),
            ("where", "true" if self.where is None else shown_with(self.where, names)),
            ("select", ", ".join(names)),
        ]
        if self.condition is not None:
            found.append(("filter", self.condition.text()))
        if self.cache.cache != NONE:
            found.append(("cache", self.cache.cache))
        if self.retry is not None:
            found.append(("retry", str(self.retry)))
        if self.overrides:
            found.append(("hints", "[OPTIONS options:{" + _pairs(self.overrides) + "}]"))
        return [*found, ("joinHints", self.hints)] if self.hints else found


def _pairs(overrides: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{k}={v}" for k, v in overrides)
