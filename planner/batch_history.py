"""Event-time temporal joins as DuckDB SQL: DuckDB's ASOF join over the whole history of the right side.

A history has the columns ``c0 …``, ``w`` (+1 a version, −1 a deletion), ``d`` (the version ends the one before and is
none itself) and ``o``, the order of arrival. What of it counts is said in ``runtime/operators/temporal_join.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from streamsql.changelog import ChangelogMode
from streamsql.errors import UnsupportedError, ValidationError
from streamsql.schema import ROWTIME, Schema

from . import logical as l
from .compile import compile_expr
from .convert.ranks import keeps_last
from .expressions import Expr, InputRef, input_refs
from .join_conditions import KeyPair, split_condition
from .logical_joins import TemporalJoin

if TYPE_CHECKING:
    from .batch import Writer


@dataclass(frozen=True)
class History:
    """``key``: the columns that identify a row of the table, where they are read. ``tombstones``: deletions hold from
    their own time on; else they name the version they delete.
    """

    sql: str
    key: tuple[int, ...] | None
    tombstones: bool = False


def history(node: l.LogicalNode, table: str, writer: Writer) -> History:
    """The versions of the right side. Raises UnsupportedError for what has none."""
    found = keeps_last(node)
    if found is not None:
        return _of_last_rows(found, table, writer)
    match node:
        case l.Scan():
            names, key = node.schema.names, node.table.primary_key
            columns = tuple(names.index(k) for k in key) if key and set(key) <= set(names) else None
            tombstones = node.options.source_mode is ChangelogMode.UPSERT
            return History(f"SELECT *, false AS d FROM {writer.changes_of(node)}", columns, tombstones)
        case l.Watermark() | l.View():
            return history(node.input, table, writer)
        case l.Project():
            return _projected(history(node.input, table, writer), node.exprs, node.input.schema, writer)
        case l.Filter():
            below = history(node.input, table, writer)
            (condition,) = writer.exprs([node.condition], node.schema)
            items = f"* REPLACE (d OR ({condition}) IS NOT TRUE AS d)"
            return replace(below, sql=f"SELECT {items} FROM ({below.sql})")
        case _:
            raise UnsupportedError(
                f"{table} FOR SYSTEM_TIME AS OF an event time is not supported in batch mode: only the history of a "
                "table, or of a view that keeps the last row of each key, is known there",
                hint="run it in streaming mode",
            )


def _projected(below: History, exprs: Sequence[Expr], schema: Schema, writer: Writer) -> History:
    items = [f"{e} AS c{i}" for i, e in enumerate(writer.exprs(exprs, schema))]
    at = {e.index: i for i, e in reversed(list(enumerate(exprs))) if isinstance(e, InputRef)}
    known = below.key is not None and all(k in at for k in below.key)
    key = tuple(at[k] for k in below.key) if below.key is not None and known else None
    return History(f"SELECT {', '.join([*items, 'w', 'd', 'o'])} FROM ({below.sql})", key, below.tombstones)


def _of_last_rows(found: tuple[l.Over, tuple[Expr, ...], Expr | None], table: str, writer: Writer) -> History:
    """A view that keeps the last row of a key is read below the keeping: there every row is a version."""
    over, exprs, condition = found
    width = len(over.input.schema)
    if any(width in input_refs(e) for e in (*exprs, *([] if condition is None else [condition]))):
        raise UnsupportedError(
            f"{table} shows its row number, and so is no versioned view", hint="leave the row number out"
        )
    if not _inserts_only(over.input):
        raise UnsupportedError(
            f"{table} FOR SYSTEM_TIME AS OF an event time is not supported in batch mode: it keeps the last of rows "
            "that are updated, whose history is not known there",
            hint="run it in streaming mode",
        )
    key = tuple(e.index for e in over.calls[0].partition if isinstance(e, InputRef))
    rows = f"SELECT *, 1 AS w, false AS d FROM ({writer.node(over.input)})"
    if condition is not None:
        (passes,) = writer.exprs([condition], over.input.schema)
        rows = f"SELECT * REPLACE (d OR ({passes}) IS NOT TRUE AS d) FROM ({rows})"
    return _projected(History(rows, key), exprs, over.input.schema, writer)


def _inserts_only(node: l.LogicalNode) -> bool:
    if isinstance(node, l.Scan):
        return node.options.source_mode is ChangelogMode.INSERT_ONLY
    forwarding = (l.Project, l.Filter, l.Watermark, l.View, l.Values, l.Union, l.Unnest, l.WindowTable)
    return isinstance(node, forwarding) and all(_inserts_only(i) for i in node.inputs)


def temporal_join_sql(node: TemporalJoin, writer: Writer) -> str:
    """The join as one query, with the order of arrival of the left rows as ``o``."""
    left, right = len(node.left.schema), len(node.right.schema)
    version = node.versioned_by()
    if node.time is None or node.left.schema[node.time].time != ROWTIME or version is None:
        raise ValidationError(
            f"{node.table} FOR SYSTEM_TIME AS OF: both sides need an event time",
            hint="declare a WATERMARK in both tables",
        )
    below = history(node.right, node.table, writer)
    pairs = _key_pairs(node, below)
    names = [f"c{i}" for i in range(left)]
    keys = [f"{compile_expr(p.left, names, writer.context)} AS k{i}" for i, p in enumerate(pairs)]
    rows = f"SELECT {', '.join(['*', *keys])} FROM ({writer.node(node.left)}) WHERE c{node.time} IS NOT NULL"
    held = _held(below, version)
    equal = [f"l.k{i} = r.c{k}" for i, k in enumerate(below.key or ())]
    on = " AND ".join([*equal, f"l.c{node.time} >= r.c{version}"])
    both = [f"l.c{i}" for i in range(left)] + [f"r.c{i}" for i in range(right)]
    condition = "TRUE" if node.condition is None else compile_expr(node.condition, both, writer.context)
    fits = f"r.o IS NOT NULL AND r.w > 0 AND NOT r.d AND ({condition}) IS TRUE"
    joined = f"FROM ({rows}) l ASOF LEFT JOIN ({held}) r ON {on}"
    items = [f"l.c{i} AS c{i}" for i in range(left)]
    if node.kind == "LEFT":
        items += [f"CASE WHEN {fits} THEN r.c{i} END AS c{left + i}" for i in range(right)]
        return f"SELECT {', '.join([*items, 'l.o AS o'])} {joined}"
    items += [f"r.c{i} AS c{left + i}" for i in range(right)]
    return f"SELECT {', '.join([*items, 'l.o AS o'])} {joined} WHERE {fits}"


def _key_pairs(node: TemporalJoin, below: History) -> list[KeyPair]:
    """What must equal each column of the right side's key."""
    found: dict[int, KeyPair] = {}
    for pair in split_condition(node.condition, len(node.left.schema)).keys:
        if isinstance(pair.right, InputRef) and not pair.null_safe:
            found.setdefault(pair.right.index, pair)
    if below.key is None:
        raise ValidationError(
            f"{node.table} is no versioned table: it has no key that is read",
            hint="declare a PRIMARY KEY and make it equal in ON, or make a view of it that keeps the last row a key "
            "(ROW_NUMBER() … = 1)",
        )
    if not set(below.key) <= found.keys():
        names = ", ".join(node.right.schema[k].name for k in below.key)
        raise ValidationError(
            f"the join with the versions of {node.table} must make its whole key ({names}) equal",
            hint=f"add {names} to the ON condition",
        )
    return [found[k] for k in below.key]


def _held(below: History, version: int) -> str:
    """The versions that count: of a retracting table no deletion that an insertion follows, of a moment the last."""
    keys = ", ".join(f"c{k}" for k in below.key or ())
    timed = f"SELECT * FROM ({below.sql}) WHERE c{version} IS NOT NULL"
    if not below.tombstones:
        last = f"max(CASE WHEN w > 0 THEN o END) OVER (PARTITION BY {keys})"
        timed = f"SELECT * FROM ({timed}) QUALIFY w > 0 OR o > coalesce({last}, -1)"
    number = f"row_number() OVER (PARTITION BY {keys}, c{version} ORDER BY o DESC)"
    return f"SELECT * FROM ({timed}) QUALIFY {number} = 1"
