"""Joins: the condition is taken apart, keys that are expressions become columns below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from streamsql.changelog import ChangelogMode
from streamsql.errors import UnsupportedError
from streamsql.schema import Field, Schema

from .. import logical as l
from .. import physical as p
from ..expressions import TRUE, Call, Expr, InputRef, conjuncts, is_deterministic, remap, shift, walk
from ..functions import conjunction
from ..join_conditions import JoinCondition, KeyPair, call, key_pair, only_if, side_of, split_condition
from ..join_kinds import interval_bounds
from ..windows import window_match
from .calc import refs
from .converter import Converter, refuse_ttl
from .emit import lateness_below

N = TypeVar("N", bound=p.JoinNode)


def join(node: l.Join, c: Converter) -> p.PhysicalNode:
    if node.null_aware:
        return c.convert(null_aware(node))
    if node.kind == "CROSS":
        node = replace(node, kind="INNER")
    condition = split_condition(node.condition, len(node.left.schema))
    keyed = with_keys(node, condition)
    if keyed is not node:
        below = join(keyed, c)
        return forwarding(below, node.schema, kept_columns(node, keyed))
    match = window_match(node)
    if match is not None:
        refuse_ttl(node.ttls, "event time frees the rows of a window join")
        inputs = (c.convert(node.left), c.convert(node.right))
        match = replace(match, clock=replace(match.clock, lateness_ms=lateness_below(inputs)))
        return join_of(p.WindowJoin, node, inputs, condition, match=match)
    bounds = interval_bounds(node)
    if bounds is not None and not any(c.convert(i).updating for i in node.inputs):
        refuse_ttl(node.ttls, "the bounds on time free the rows of an interval join")
        inputs = (c.convert(node.left), c.convert(node.right))
        return join_of(p.IntervalJoin, node, inputs, bounds.condition, bounds=bounds)
    return _regular(node, c, condition, timed=bounds is not None)


def join_of(
    kind: type[N],
    node: l.Join,
    inputs: tuple[p.PhysicalNode, p.PhysicalNode],
    condition: JoinCondition,
    **own: Any,
) -> N:
    """The join of that kind, whose keys are columns. ``own``: the fields that other kinds do not have."""
    left_keys, right_keys = columns_of(condition.keys)
    joined = kind(
        schema=node.schema,
        inputs=inputs,
        kind=node.kind,
        left_keys=left_keys,
        right_keys=right_keys,
        null_safe=tuple(k.null_safe for k in condition.keys),
        residual=condition.residual,
        where=node.condition,
        hints=node.hints,
        **own,
    )
    return replace(joined, upsert_key=upsert_key(joined))


def _regular(node: l.Join, c: Converter, condition: JoinCondition, *, timed: bool = False) -> p.PhysicalNode:
    left, right = c.convert(node.left), c.convert(node.right)
    updating = left.updating or right.updating or node.kind not in ("INNER", "SEMI")
    _check_deterministic(condition, updating)
    mode = ChangelogMode.RETRACT if updating else ChangelogMode.INSERT_ONLY
    return join_of(p.Join, node, (left, right), condition, mode=mode, ttls=node.ttls, holds_watermark=timed)


def _check_deterministic(condition: JoinCondition, updating: bool) -> None:
    bad = next((e for e in condition.rest if not is_deterministic(e)), None)
    if bad is not None and updating:
        hidden = any(isinstance(e, InputRef) and e.name.startswith("$") for e in walk(bad))
        what = "what is compared here" if hidden else f"the join condition {bad.text()}"
        raise UnsupportedError(
            f"{what} gives another answer each time, so what it let through cannot be taken back",
            hint="filter by it after the join, or compute it once in a column below",
        )


# -- keys ----------------------------------------------------------------------------------------------------------


def columns_of(keys: Sequence[KeyPair]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Left and right key columns, once :func:`with_keys` has made columns of all of them."""
    left = tuple(k.left.index for k in keys if isinstance(k.left, InputRef))
    right = tuple(k.right.index for k in keys if isinstance(k.right, InputRef))
    assert len(left) == len(right) == len(keys)
    return left, right


def with_keys(node: l.Join, condition: JoinCondition) -> l.Join:
    """The join over inputs in which every key is a column, appended where it is an expression; else ``node``.

    A condition on one side of an outer join becomes a key as well: TRUE where it holds, else NULL, which matches
    nothing.
    """
    width = len(node.left.schema)
    rest, keys = [], list(condition.keys)
    held = {"LEFT": "left", "ANTI": "left", "SEMI": "left", "RIGHT": "right"}.get(node.kind)
    for part in condition.rest:
        side = side_of(part, width)
        if (
            is_deterministic(part)
            and side != "none"
            and (side == held or (side != "both" and node.kind == "FULL"))
        ):
            keys.append(
                KeyPair(only_if(part), TRUE)
                if side == "left"
                else KeyPair(TRUE, only_if(shift(part, -width)))
            )
        else:
            rest.append(part)
    if all(isinstance(k.left, InputRef) and isinstance(k.right, InputRef) for k in keys):
        return node
    left, left_refs = _appended(node.left, [k.left for k in keys])
    right, right_refs = _appended(node.right, [k.right for k in keys])
    moved = {
        i: i if i < width else i - width + len(left.schema) for i in range(width + len(node.right.schema))
    }
    parts = [
        call("IS NOT DISTINCT FROM" if k.null_safe else "=", a, shift(b, len(left.schema)))
        for k, a, b in zip(keys, left_refs, right_refs, strict=True)
    ]
    parts += [remap(e, moved) for e in rest]
    fields = list(node.schema.fields[:width]) + list(left.schema.fields[width:])
    if node.kind not in ("SEMI", "ANTI"):
        fields += [*node.schema.fields[width:], *right.schema.fields[len(node.right.schema) :]]
    return replace(node, schema=Schema(tuple(fields)), left=left, right=right, condition=conjunction(parts))


def _appended(node: l.LogicalNode, keys: Sequence[Expr]) -> tuple[l.LogicalNode, list[InputRef]]:
    """The input with its key expressions as further columns, and where each key is."""
    exprs, fields = list(refs(node.schema)), list(node.schema.fields)
    found: list[InputRef] = []
    for key in keys:
        if not isinstance(key, InputRef):
            if key not in exprs:
                fields.append(Field(f"$f{len(exprs)}", key.type))
                exprs.append(key)
            at = exprs.index(key)
            key = InputRef(at, fields[at].name, key.type)
        found.append(key)
    if len(exprs) == len(node.schema):
        return node, found
    return l.Project(Schema(tuple(fields)), node, tuple(exprs)), found


def kept_columns(node: l.Join, keyed: l.Join) -> list[int]:
    """Where the columns of ``node`` are in the output of ``keyed``."""
    width, wide = len(node.left.schema), len(keyed.left.schema)
    own = list(range(width))
    return own if node.kind in ("SEMI", "ANTI") else own + [wide + i for i in range(len(node.right.schema))]


def forwarding(below: p.PhysicalNode, schema: Schema, columns: Sequence[int]) -> p.PhysicalNode:
    """Only these columns of a node."""
    key = below.upsert_key
    kept = key is not None and all(k in columns for k in key)
    return p.Calc(
        schema=schema,
        inputs=(below,),
        mode=below.mode,
        upsert_key=tuple(columns.index(k) for k in key) if key is not None and kept else None,
        exprs=tuple(InputRef(i, f.name, f.type) for i, f in zip(columns, schema, strict=True)),
    )


# -- upsert keys ---------------------------------------------------------------------------------------------------


def upsert_key(node: p.JoinNode) -> p.Key:
    """Columns that identify a row of the join: a side's own key where the other side has at most one match.

    Otherwise the keys of both together. Source: Flink's FlinkRelMdUniqueKeys.getJoinUniqueKeys.
    """
    left, right = node.inputs
    if node.one_sided:
        return left.upsert_key
    one_right = right.upsert_key is not None and set(right.upsert_key) <= set(node.right_keys)
    one_left = left.upsert_key is not None and set(left.upsert_key) <= set(node.left_keys)
    width = len(left.schema)
    shifted = None if right.upsert_key is None else tuple(k + width for k in right.upsert_key)
    if one_right and left.upsert_key is not None and node.kind in ("INNER", "LEFT"):
        return left.upsert_key
    if one_left and shifted is not None and node.kind in ("INNER", "RIGHT"):
        return shifted
    if left.upsert_key is None or shifted is None:
        return None
    if node.kind == "FULL" and not _never_null(left) and not _never_null(right):
        return None  # the unmatched rows of both sides may have NULL in all key columns
    return (*left.upsert_key, *shifted)


def _never_null(node: p.PhysicalNode) -> bool:
    """Whether some column of the key is never NULL."""
    return any(not node.schema[k].type.nullable for k in node.upsert_key or ())


# -- NOT IN --------------------------------------------------------------------------------------------------------


def null_aware(node: l.Join) -> l.Join:
    """NOT IN as anti joins in plain logic.

    ``x NOT IN (SELECT y …)`` holds where no y equals x, and no y is NULL, and x is not NULL unless there is no y at
    all: three anti joins, each with keys, where the condition read as it is would compare every row with every other.
    """
    width = len(node.left.schema)
    assert node.condition is not None
    plain = [e for e in conjuncts(node.condition) if _two_valued(e)]
    three = [e for e in conjuncts(node.condition) if not _two_valued(e)]
    pair = key_pair(three[0], width) if len(three) == 1 else None
    if pair is None:
        unknown = call("IS NOT FALSE", conjunction(three))
        return replace(node, condition=conjunction([*plain, unknown]), null_aware=False)
    made = replace(node, condition=conjunction([*plain, three[0]]), null_aware=False)
    for side, key in (("right", pair.right), ("left", pair.left)):
        if not key.type.nullable:
            continue
        if side == "right":
            right: l.LogicalNode = l.Filter(node.right.schema, node.right, call("IS NULL", key))
            made = replace(node, left=made, right=right, condition=conjunction(plain), null_aware=False)
        else:
            parts = conjunction([*plain, call("IS NULL", key)])
            made = replace(node, left=made, condition=parts, null_aware=False)
    return made


def _two_valued(e: Expr) -> bool:
    return isinstance(e, Call) and e.function.name in (
        "IS TRUE",
        "IS NOT DISTINCT FROM",
        "IS NOT NULL",
        "IS NULL",
    )
