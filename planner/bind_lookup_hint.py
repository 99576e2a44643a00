"""The hint LOOKUP: ``LOOKUP('table'='d', 'retry-predicate'='lookup_miss', …)`` for one lookup join of a SELECT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.catalog.lookup import lookup_retry
from streamsql.errors import StreamSqlError, ValidationError

from .bind_hint_joins import change_joins
from .logical import Join, LogicalNode
from .logical_joins import LookupHint, TemporalJoin
from .scope import Relation

if TYPE_CHECKING:
    from .binder import QueryBinder


@dataclass
class LookupCall:
    """One such hint; ``used`` says whether a join of the SELECT is meant."""

    table: str
    place: exp.Expr
    hint: LookupHint
    used: bool = False


def lookup_call(binder: QueryBinder, call: exp.Expr) -> LookupCall:
    """What a hint says. Raises what is wrong with it, at its place."""
    options = {o.this.name: o for o in call.expressions if "value" in o.args}
    if len(options) != len(call.expressions) or not options:
        raise ValidationError(
            "LOOKUP expects options, each one once",
            hint="LOOKUP('table'='d', 'retry-predicate'='lookup_miss', …)",
            position=binder.position(call),
        )
    try:
        retry = lookup_retry({key: option.args["value"].name for key, option in options.items()})
    except StreamSqlError as e:
        named = next((o for key, o in options.items() if f"'{key}'" in e.message), call)
        e.position = e.position or binder.position(named) or binder.position(call)
        raise
    place = options["table"].args["value"]
    return LookupCall(place.name, place, LookupHint(retry))


def with_lookups(
    binder: QueryBinder, node: LogicalNode, relations: Sequence[Relation], calls: Sequence[LookupCall]
) -> LogicalNode:
    """The joins of FROM with the hints about them. Raises ValidationError for two about one join."""

    def changed(join: Join, _: Sequence[Relation], right: Sequence[Relation]) -> Join:
        if isinstance(join, TemporalJoin) and not join.event_time and len(right) == 1:
            names = {right[0].alias, join.table, join.table.rsplit(".", 1)[-1]}
            for call in calls:
                if call.table in names:
                    if join.lookup is not None:
                        raise binder.error(
                            call.place,
                            f"two hints LOOKUP are about the table '{call.table}'",
                            hint="say it all in one: LOOKUP('table'='d', 'retry-predicate'='lookup_miss', …)",
                        )
                    call.used = True
                    join = replace(join, lookup=call.hint)
        return join

    return change_joins(node, relations, changed)


def check_lookups(binder: QueryBinder, calls: Sequence[LookupCall], relations: Sequence[Relation]) -> None:
    """Raises ValidationError for a hint that is about no join."""
    for call in calls:
        if not call.used:
            known = [r.alias for r in relations if r.alias]
            what = (
                "which is no table of FROM"
                if call.table not in known
                else "which is not joined as of processing time"
            )
            raise binder.error(
                call.place,
                f"the hint LOOKUP names '{call.table}', {what}",
                hint="it is about a table joined with FOR SYSTEM_TIME AS OF a processing time",
            )
