"""What names mean at one place of a query: the relations of FROM and their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamsql.datatypes import Root
from streamsql.errors import ValidationError
from streamsql.schema import Schema

from .expressions import Expr, FieldAccess, InputRef, shift
from .outer_refs import outward


@dataclass(frozen=True)
class Relation:
    """A named input of FROM: its columns start at ``offset`` of the joined row. ``path``: all parts of its name."""

    alias: str
    schema: Schema
    offset: int = 0
    path: tuple[str, ...] = ()

    def matches(self, parts: Sequence[str]) -> bool:
        names = self.path or (self.alias,)
        return tuple(parts) in ((self.alias,), names[-len(parts) :]) if parts else False


@dataclass(frozen=True)
class Scope:
    """The relations visible, in order. ``hidden``: columns merged away by USING, still reachable by alias.

    ``merged``: what the columns of USING are by their bare names; ``*`` begins with them.
    ``outer``: names of the query around a sub-query, for those that are not here.
    """

    relations: tuple[Relation, ...]
    hidden: frozenset[int] = frozenset()
    outer: Scope | None = None
    merged: tuple[tuple[str, Expr], ...] = ()

    @property
    def schema(self) -> Schema:
        """All columns, those of the first relation first."""
        return Schema(tuple(f for r in self.relations for f in r.schema))

    def resolve(self, parts: Sequence[str], node: object = None) -> Expr | None:
        """A column, by ``c``, ``alias.c`` or deeper into ROW fields; None where nothing has that name.

        Raises ValidationError for a name that several columns have.
        """
        for split in range(min(len(parts) - 1, 3), -1, -1):
            qualifier, column, fields = parts[:split], parts[split], parts[split + 1 :]
            found = self._columns(qualifier, column)
            if len(found) > 1:
                raise self._ambiguous(qualifier, column)
            if found:
                return descend(found[0], fields)
        return None if self.outer is None else _from_outside(self.outer.resolve(parts, node))

    def _columns(self, qualifier: Sequence[str], column: str) -> list[Expr]:
        found = [] if qualifier else [e for name, e in self.merged if name == column]
        for r in self.relations:
            if qualifier and not r.matches(qualifier):
                continue
            for i, f in enumerate(r.schema):
                if f.name == column and (qualifier or r.offset + i not in self.hidden):
                    found.append(InputRef(r.offset + i, f.name, f.type))
        return found

    def _ambiguous(self, qualifier: Sequence[str], column: str) -> ValidationError:
        owners = [
            r for r in self.relations if column in r.schema.names and (not qualifier or r.matches(qualifier))
        ]
        if len(owners) == 1:
            return ValidationError(
                f"column '{column}' is ambiguous: one table has two of that name",
                hint=f"name one of them anew further down, as in SELECT {column} AS inner_{column}",
            )
        return ValidationError(
            f"column '{column}' is ambiguous: it is in {', '.join(r.alias for r in owners)}",
            hint=f"write {owners[0].alias}.{column}",
        )

    def suggest(self) -> list[str]:
        """Every name one could have meant."""
        names = [
            f.name
            for r in self.relations
            for i, f in enumerate(r.schema)
            if r.alias or r.offset + i not in self.hidden
        ]
        names += [r.alias for r in self.relations if r.alias]
        return names if self.outer is None else [*names, *self.outer.suggest()]

    def star(self, qualifier: str | None = None) -> list[tuple[str, Expr]] | None:
        """The columns of ``*`` or ``alias.*``; None for an unknown alias."""
        relations = [r for r in self.relations if qualifier is None or r.alias == qualifier]
        if qualifier is not None and not relations:
            return None
        first = self.merged if qualifier is None else ()
        return [*first] + [
            (f.name, InputRef(r.offset + i, f.name, f.type))
            for r in relations
            for i, f in enumerate(r.schema)
            if qualifier is not None or r.offset + i not in self.hidden
        ]

    @staticmethod
    def of(schema: Schema, alias: str = "", path: tuple[str, ...] = ()) -> Scope:
        return Scope((Relation(alias, schema, 0, path),))

    def joined(self, other: Scope) -> Scope:
        """Both, the other's columns after these."""
        width = len(self.schema)
        moved = tuple(Relation(r.alias, r.schema, r.offset + width, r.path) for r in other.relations)
        merged = tuple((name, shift(e, width)) for name, e in other.merged)
        return Scope(
            self.relations + moved,
            self.hidden | {h + width for h in other.hidden},
            merged=self.merged + merged,
        )


def _from_outside(found: Expr | None) -> Expr | None:
    """A column of the queries around a sub-query as it reads it."""
    return None if found is None else outward(found)


def descend(expr: Expr, fields: Sequence[str]) -> Expr | None:
    """A field of a field … of a ROW; None where there is none."""
    for name in fields:
        if expr.type.root is not Root.ROW or name not in expr.type.names:
            return None
        inner = expr.type.children[expr.type.names.index(name)]
        expr = FieldAccess(expr, name, inner.with_nullable(inner.nullable or expr.type.nullable))
    return expr
