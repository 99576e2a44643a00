"""The table that a table function reads: ``TABLE t``, ``TABLE (SELECT …)``, with or without PARTITION BY."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from .bind_options import hinted_options
from .logical import LogicalNode

if TYPE_CHECKING:
    from .binder import QueryBinder


def bind_rows(binder: QueryBinder, table: exp.Expr) -> LogicalNode:
    """The rows of a table by its name, or of a query."""
    if isinstance(table, exp.Table):
        return binder.relation(table, hinted_options(binder, table))[0]
    return binder.bind(table.this if isinstance(table, exp.Subquery) else table)


def partition_columns(binder: QueryBinder, argument: exp.Expr, node: LogicalNode) -> tuple[int, ...]:
    """The columns of PARTITION BY. Raises ValidationError for one that the table does not have."""
    found: list[int] = []
    for column in argument.args.get("partition_by") or []:
        if column.name not in node.schema.names:
            raise binder.error(
                column,
                f"PARTITION BY {column.name}: the table has no such column",
                ", ".join(node.schema.names),
            )
        found.append(node.schema.index(column.name))
    return tuple(found)
