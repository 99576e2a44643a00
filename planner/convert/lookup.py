"""Lookup joins: which tables are asked when a row comes, and for what."""

from __future__ import annotations

from streamsql.catalog.lookup import FULL, LookupOptions, lookup_options
from streamsql.errors import UnsupportedError, ValidationError

from .. import logical as l
from .. import physical as p
from ..expressions import Cast, Expr, InputRef
from ..join_conditions import JoinCondition
from ..logical_joins import TemporalJoin
from .calc import merge
from .joins import columns_of


def lookup_join(node: TemporalJoin, left: p.PhysicalNode, keys: JoinCondition) -> p.PhysicalNode | None:
    """The join where the right side is a table that is asked; None where it is read beside. Keys are columns."""
    base, exprs, condition = merge(_without_names(node.right))
    options = _asked(base)
    if options is None or not isinstance(base, l.Scan):
        if node.lookup is not None:
            raise UnsupportedError(
                f"the hint LOOKUP is about {node.table}, which is no lookup table: its rows are read beside the others",
                hint="leave the hint out",
                position=node.position,
            )
        return None
    if node.lookup is not None and node.lookup.retry is not None and options.cache == FULL:
        raise UnsupportedError(
            f"'retry-predicate' of the hint LOOKUP has no effect on {node.table}, which is held whole",
            hint="leave the retry out, or SET 'lookup.cache' of the table to 'NONE' or 'PARTIAL'",
            position=node.position,
        )
    left_keys, right_keys = columns_of(keys.keys)
    null_safe = tuple(k.null_safe for k in keys.keys)
    pairs = [(n, exprs[k]) for n, k in enumerate(right_keys) if not null_safe[n]]
    columns = {n: e.index for n, e in pairs if isinstance(e, InputRef)}
    plain = {n: i for n, i in columns.items() if not base.schema.fields[i].type.is_nested}
    if not plain and options.cache != FULL:
        raise _without_key(node, [e for _, e in pairs])
    names = base.schema.names
    key = base.table.primary_key
    one = bool(key) and {names[i] for i in columns.values()} >= set(key)
    return p.LookupJoin(
        schema=node.schema,
        inputs=(left,),
        mode=left.mode,
        upsert_key=left.upsert_key if one else None,
        kind=node.kind,
        table=base.table,
        options=base.options,
        overrides=base.overrides,
        metadata=tuple(base.metadata),
        scan=base.schema,
        exprs=exprs,
        condition=condition,
        right=node.right.schema,
        left_keys=left_keys,
        right_keys=right_keys,
        null_safe=null_safe,
        asked=tuple(plain),
        lookup=tuple(plain.values()),
        residual=keys.residual,
        where=node.condition,
        cache=options,
        retry=None if node.lookup is None else node.lookup.retry,
        hints=node.hints,
    )


def _without_names(node: l.LogicalNode) -> l.LogicalNode:
    """The rows below views and watermarks: a table that is asked has neither state nor event time."""
    while isinstance(node, l.View | l.Watermark):
        node = node.input
    if isinstance(node, l.Project | l.Filter):
        return node.with_inputs([_without_names(node.input)])
    return node


def _asked(node: l.LogicalNode) -> LookupOptions | None:
    """How the table is asked; None where it is not: files that are read once are loaded by the join itself."""
    options = lookup_options(node.options.options) if isinstance(node, l.Scan) else None
    if options is None or not isinstance(node, l.Scan):
        return None
    by_key = node.options.connector.lookup
    return options if by_key or options.reload is not None else None


def _without_key(node: TemporalJoin, keys: list[Expr]) -> ValidationError:
    cast = next((e for e in keys if isinstance(e, Cast)), None)
    if cast is not None and isinstance(cast.arg, InputRef):
        found, wanted = cast.arg.type.sql(nullability=False), cast.type.sql(nullability=False)
        return ValidationError(
            f"{node.table} cannot be asked by {cast.arg.name}, which is {found} there and compared with {wanted}",
            hint=f"CAST the other side to {found}, or declare the column {wanted}",
            position=node.position,
        )
    nested = next((e for e in keys if isinstance(e, InputRef) and e.type.is_nested), None)
    if nested is not None:
        return ValidationError(
            f"{node.table} cannot be asked by {nested.name}, which is {nested.type.sql(nullability=False)}",
            hint="add a condition about a column of another type, or set 'lookup.cache' = 'FULL' "
            f"to hold all of {node.table}",
            position=node.position,
        )
    return ValidationError(
        f"the lookup join with {node.table} has no condition it can be asked by: "
        "ON must make a column of it equal to a value of the rows on the left",
        hint=f"add such a condition, or set 'lookup.cache' = 'FULL' to hold all of {node.table}",
        position=node.position,
    )
