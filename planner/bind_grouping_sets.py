"""GROUPING SETS, ROLLUP and CUBE: which keys each group is made of, and GROUPING, GROUPING_ID, GROUP_ID.

::

    GROUP BY a, ROLLUP (b, c)     groups by     (a, b, c), (a, b), (a)

A row goes once into each set; the keys that a set has not are NULL, and the column ``$e`` says which set it was: a bit
for each absent key, the last key the lowest, and above them how often the same set stood before.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.datatypes import BIGINT, DataType
from streamsql.schema import Field, Schema

from .bind_nodes import project, refs
from .expression_binder import ExpressionBinder
from .expressions import AggregateCall, Call, Expr, InputRef, Literal, transform
from .functions import FunctionRegistry, equals
from .logical import Aggregate, Expand, LogicalNode, Union
from .scope import Relation, Scope
from .windows import window_columns

if TYPE_CHECKING:
    from .binder import QueryBinder

Sets = list[frozenset[int]]
"""Per grouping set the keys it has, as positions among all keys."""

SETS_MAX = 1024
"""Grouping sets of one GROUP BY at most: a row is copied into each of them. CUBE of ten columns makes as many."""

MULTIPLE = (exp.GroupingSets, exp.Rollup, exp.Cube)
SET_FUNCTIONS = ("GROUPING", "GROUPING_ID", "GROUP_ID")
SET_COLUMN = "$e"
_BIGINT = BIGINT().not_null()


@dataclass(frozen=True)
class GroupingRef(Expr):
    """Stands for GROUPING or GROUPING_ID over ``keys``, or GROUP_ID (None), until ``$e`` exists."""

    keys: tuple[int, ...] | None
    type: DataType
    label: str

    def text(self) -> str:
        return self.label


def has_sets(select: exp.Select) -> bool:
    """Whether GROUP BY holds more than plain keys."""
    group = select.args.get("group")
    return group is not None and any(isinstance(i, MULTIPLE) for i in group.expressions)


def optional_scope(scope: Scope) -> Scope:
    """The same names; any column may be NULL, as where a grouping set leaves it out."""

    def optional(r: Relation) -> Relation:
        fields = (replace(f, type=f.type.with_nullable(True)) for f in r.schema)
        return replace(r, schema=Schema(tuple(fields)))

    def optional_columns(e: Expr) -> Expr:
        return replace(e, type=e.type.with_nullable(True)) if isinstance(e, InputRef) else e

    merged = ((name, transform(e, optional_columns)) for name, e in scope.merged)
    return replace(scope, relations=tuple(optional(r) for r in scope.relations), merged=tuple(merged))


def grouping_sets(
    binder: QueryBinder, items: Sequence[exp.Expr], keys_of: Callable[[exp.Expr], list[int]]
) -> Sets:
    """The sets of a GROUP BY: every way to take one set of each of its items.

    ``keys_of``: positions of the keys that a plain item names.
    """

    def sets_of(item: exp.Expr) -> Sets:
        if isinstance(item, exp.GroupingSets):
            return [s for inner in item.expressions for s in sets_of(inner)]
        if isinstance(item, exp.Rollup | exp.Cube):
            parts = [frozenset(keys_of(inner)) for inner in item.expressions]
            n = len(parts)
            if isinstance(item, exp.Rollup):
                chosen = [tuple(range(k)) for k in range(n, -1, -1)]
            else:
                check(item, 2**n)
                chosen = [c for k in range(n, -1, -1) for c in itertools.combinations(range(n), k)]
            return [frozenset[int]().union(*(parts[i] for i in c)) for c in chosen]
        return [frozenset(keys_of(item))]

    def check(item: exp.Expr, count: int) -> None:
        if count > SETS_MAX:
            raise binder.error(item, f"GROUP BY makes {count} grouping sets; at most {SETS_MAX} are possible")

    found: Sets = [frozenset()]
    for item in items:
        more = sets_of(item)
        check(item, len(found) * len(more))
        found = [a | b for a in found for b in more]
    return found


def bind_set_function(binder: ExpressionBinder, node: exp.Anonymous, keys: Sequence[Expr]) -> GroupingRef:
    """GROUPING(a), GROUPING_ID(a, b) or GROUP_ID(). Raises ValidationError for an argument that is no key."""
    name = node.name.upper()
    count = len(node.expressions)
    wanted = {"GROUPING": "one grouped column", "GROUPING_ID": "grouped columns", "GROUP_ID": "no arguments"}
    fits = {"GROUPING": count >= 1, "GROUPING_ID": count >= 1, "GROUP_ID": count == 0}
    if not fits[name]:
        raise binder.error(node, f"{name} takes {wanted[name]}")
    if name == "GROUP_ID":
        return GroupingRef(None, _BIGINT, "GROUP_ID()")
    found = []
    for argument in node.expressions:
        key = binder.bind(argument)
        if key not in keys:
            raise binder.error(argument, f"{name}({key.text()}): {key.text()} is not in GROUP BY")
        found.append(keys.index(key))
    label = f"{name}({', '.join(keys[i].text() for i in found)})"
    return GroupingRef(tuple(found), _BIGINT, label)


class SetGroups:
    """The groups of one GROUP BY with several sets, over a projection of their keys and arguments."""

    def __init__(self, sets: Sets, width: int) -> None:
        self.sets = sets
        self.width = width
        self.ids = self._ids()
        self.has_empty = frozenset[int]() in sets

    def _ids(self) -> list[int]:
        seen: dict[frozenset[int], int] = {}
        ids = []
        for kept in self.sets:
            before = seen.get(kept, 0)
            seen[kept] = before + 1
            mask = sum(1 << (self.width - 1 - k) for k in range(self.width) if k not in kept)
            ids.append(mask + (before << self.width))
        return ids

    def value(self, ref: GroupingRef, functions: FunctionRegistry) -> Expr:
        """The value of a set function as an expression over ``$e``, the column after the keys."""
        values = [self._value(ref, kept, id_) for kept, id_ in zip(self.sets, self.ids, strict=True)]
        literals = [Literal(v, _BIGINT) for v in values]
        if len(set(values)) == 1:
            return literals[0]
        e = InputRef(self.width, SET_COLUMN, _BIGINT)
        args: list[Expr] = []
        for id_, literal in zip(self.ids[:-1], literals[:-1], strict=True):
            args += [equals(e, Literal(id_, _BIGINT)), literal]
        return Call(functions.operator("CASE"), (*args, literals[-1]), _BIGINT)

    def _value(self, ref: GroupingRef, kept: frozenset[int], id_: int) -> int:
        if ref.keys is None:
            return id_ >> self.width
        bits = 0
        for k in ref.keys:
            bits = bits << 1 | (k not in kept)
        return bits

    def build(
        self, base: LogicalNode, keys: Sequence[int], calls: Sequence[AggregateCall], fields: Sequence[Field]
    ) -> LogicalNode:
        """The groups: keys, ``$e``, then ``fields``, one per call.

        A set without keys has a row over no input too, so it is a global aggregate of its own.
        """
        made: list[LogicalNode] = []
        full = [(s, e) for s, e in zip(self.sets, self.ids, strict=True) if s]
        key_fields = self._key_fields(base, keys)
        schema = Schema((*key_fields, Field(SET_COLUMN, _BIGINT), *fields))
        if full:
            kept = tuple(tuple(keys[k] for k in sorted(s)) for s, _ in full)
            columns = list(base.schema)
            for k, f in zip(keys, key_fields, strict=True):
                columns[k] = replace(f, time=base.schema[k].time)
            expanded = Schema((*columns, Field(SET_COLUMN, _BIGINT)))
            expand = Expand(expanded, base, tuple(keys), kept, tuple(e for _, e in full))
            windows = window_columns(expand)
            timed = {windows[k].role for k in keys if k in windows} >= {"start", "end"}
            named = [
                replace(f, time=expand.schema[k].time if timed and k in windows else None)
                for k, f in zip(keys, key_fields, strict=True)
            ]
            out = Schema((*named, *schema.fields[len(keys) :]))
            made.append(Aggregate(out, expand, (*keys, len(base.schema)), tuple(calls)))
        for e in (e for s, e in zip(self.sets, self.ids, strict=True) if not s):
            whole = Aggregate(Schema(tuple(fields)), base, (), tuple(calls))
            absent: list[Expr] = [Literal(None, f.type) for f in key_fields]
            made.append(
                project(whole, [*absent, Literal(e, _BIGINT), *refs(whole.schema)], schema.names)
                if fields
                else self._constant(absent, e, schema)
            )
        return made[0] if len(made) == 1 else Union(schema, tuple(made))

    @staticmethod
    def _constant(absent: list[Expr], e: int, schema: Schema) -> LogicalNode:
        from .logical import Values

        return Values(schema, ((*absent, Literal(e, _BIGINT)),))

    def _key_fields(self, base: LogicalNode, keys: Sequence[int]) -> list[Field]:
        fields = []
        for i, k in enumerate(keys):
            f = base.schema[k]
            always = all(i in s for s in self.sets)
            fields.append(Field(f.name, f.type if always else f.type.with_nullable(True)))
        return fields
