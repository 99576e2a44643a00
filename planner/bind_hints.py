"""Hints after SELECT: what they name, and what they are about.

``STATE_TTL('o' = '1d', 'c' = '12h')`` says for each side of the joins in FROM how long its rows are kept, and where
FROM is one table, how long the groups are. The first such hint of a SELECT counts, and in it the last word on a name.
``LOOKUP`` is about a lookup join (``bind_lookup_hint.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.errors import UnsupportedError, ValidationError
from streamsql.options import parse_duration

from .bind_hint_joins import change_joins
from .bind_lookup_hint import LookupCall, check_lookups, lookup_call, with_lookups
from .logical import Aggregate, Join, LogicalNode
from .logical_joins import TemporalJoin
from .scope import Relation, Scope
from .state_ttl import StateTtl

if TYPE_CHECKING:
    from .binder import QueryBinder

JOIN_HINTS = ("BROADCAST", "SHUFFLE_HASH", "SHUFFLE_MERGE", "NEST_LOOP")
"""They choose how a join is spread over machines, of which a job has one."""

_REASONS = {
    "OPTIONS": "it stands after a table's name: FROM t /*+ OPTIONS('key'='value') */",
    "MULTI_JOIN": "joins run two by two, each with its own state; leave it out: the answer is the same without it",
}

_NO_EFFECT = "leave it out: the answer is the same without it"


class SelectHints:
    """The hints of one SELECT. Raises UnsupportedError for one that would have an effect in Flink and has none here."""

    def __init__(self, binder: QueryBinder, select: exp.Select) -> None:
        self._binder = binder
        self._select = select
        found = select.args.get("hint")
        self._found = found
        calls: Sequence[exp.Expr] = [] if found is None else found.expressions
        self._joins = [c for c in calls if c.name.upper() in JOIN_HINTS]
        self._ttls: dict[str, StateTtl] = {}
        self._used: set[str] = set()
        self._relations: Sequence[Relation] = ()
        self._lookups: list[LookupCall] = []
        for call in calls:
            self._check(call)
        ttl = next((c for c in calls if c.name.upper() == "STATE_TTL"), None)
        for option in [] if ttl is None else ttl.expressions:
            self._ttls[option.this.name] = self._duration(option)
        self._names = [option.this for option in ttl.expressions] if ttl is not None else []

    def _check(self, call: exp.Expr) -> None:
        name = call.name.upper()
        position = self._binder.position(self._found) or self._binder.position(self._select)
        if name == "STATE_TTL":
            if not call.expressions or not all("value" in e.args for e in call.expressions):
                raise ValidationError(
                    "STATE_TTL expects names and times", hint="STATE_TTL('t' = '1d')", position=position
                )
            return
        if name == "LOOKUP":
            self._lookups.append(lookup_call(self._binder, call))
            return
        joins = self._select.args.get("joins") or []
        if name not in JOIN_HINTS or not joins:
            reason = _REASONS.get(name, "leave it out" if name in JOIN_HINTS else _NO_EFFECT)
            raise UnsupportedError(f"the hint {name} is not supported", hint=reason, position=position)
        tables = [source.this.alias_or_name for source in (self._select.args["from_"], *joins)]
        unknown = next((t.name for t in call.expressions if t.name not in tables), None)
        if unknown is not None:
            raise ValidationError(
                f"the hint {name} names '{unknown}', which is no table of FROM",
                hint=f"the tables are {', '.join(tables)}",
                position=position,
            )

    def _duration(self, option: exp.Expr) -> StateTtl:
        value = option.args["value"]
        try:
            return StateTtl(parse_duration(value.name), value.name)
        except ValueError as error:
            raise self._binder.error(value, f"STATE_TTL of '{option.this.name}': {error}") from None

    def on_joins(self, node: LogicalNode, scope: Scope) -> LogicalNode:
        """The rows of FROM with the hints on its joins. Raises ValidationError for a name that FROM has not."""
        self._relations = scope.relations
        known = [r.alias for r in scope.relations]
        unknown = next((n for n in self._names if n.name not in known), None)
        if unknown is not None:
            raise self._binder.error(
                unknown,
                f"the hint STATE_TTL names '{unknown.name}', which is no table of FROM",
                hint=f"the tables are {', '.join(known)}" if any(known) else "there is no table",
            )
        if self._joins and isinstance(node, Join):
            shown = (
                f"{c.name.upper()} inputs:[{', '.join(t.name for t in c.expressions)}]" for c in self._joins
            )
            node = replace(node, hints=f"[{', '.join(shown)}]")
        if self._lookups:
            node = with_lookups(self._binder, node, scope.relations, self._lookups)
            check_lookups(self._binder, self._lookups, scope.relations)
        return change_joins(node, scope.relations, self._with_ttls) if self._ttls else node

    def _with_ttls(self, node: Join, left: Sequence[Relation], right: Sequence[Relation]) -> Join:
        alone = [side[0].alias if len(side) == 1 else None for side in (left, right)]
        ttls = tuple(None if name is None else self._ttls.get(name) for name in alone)
        if not any(ttls):
            return node
        self._used |= {name for name in alone if name is not None}
        position = None if isinstance(node, TemporalJoin) else node.position
        return replace(node, ttls=ttls, position=position or self._binder.position(self._found))

    def on_groups(self, node: LogicalNode, source: LogicalNode) -> LogicalNode:
        """The tree over the rows ``source`` of FROM and WHERE with the hint on its aggregates."""
        ttl = self._ttls.get(self._relations[0].alias) if len(self._relations) == 1 else None
        return node if ttl is None else self._group(node, source, ttl)

    def _group(self, node: LogicalNode, source: LogicalNode, ttl: StateTtl) -> LogicalNode:
        if node is source:
            return node
        # a sub-query stands on the right of a join, and may read the source again
        rows, others = (node.inputs[:1], node.inputs[1:]) if isinstance(node, Join) else (node.inputs, ())
        node = node.with_inputs([*(self._group(i, source, ttl) for i in rows), *others])
        if isinstance(node, Aggregate):
            self._used.add(self._relations[0].alias)
            node = replace(node, ttls=(ttl,), position=node.position or self._binder.position(self._found))
        return node

    def check_used(self) -> None:
        """Raises ValidationError where STATE_TTL names a table whose rows no state of this SELECT keeps."""
        unused = next((n for n in self._names if n.name not in self._used), None)
        if unused is not None:
            raise self._binder.error(
                unused,
                f"the hint STATE_TTL has no effect on '{unused.name}': "
                "it is neither a side of a join nor the only table of a GROUP BY",
                hint="SET 'table.exec.state.ttl' is about the state of all operators",
            )
